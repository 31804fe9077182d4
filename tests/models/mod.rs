//! Models: what they ask of a database, and what real databases make of it.

mod mock;
pub mod rows;

mod connection;
mod customer_accounts;
mod locks;
mod races;
mod schema;
mod statements;
mod transactions;
mod webhook_secrets;
mod webhook_urls;

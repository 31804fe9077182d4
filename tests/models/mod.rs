//! Models, one file per table or promise.

mod mock;
mod rows;

mod customer_accounts;
mod customers;
mod orders;
mod products;

mod connection;
mod races;
mod schema;
mod transactions;

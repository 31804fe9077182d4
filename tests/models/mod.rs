//! Models, one file per table or promise.

mod mock;
mod rows;

mod customer_accounts;
mod customers;
mod orders;
mod products;

mod schema;
mod transactions;

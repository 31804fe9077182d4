//! Requests and answers, one file per resource or promise.

mod auth;
mod customer_accounts;
mod customers;
mod errors;
mod idempotency;
mod lifecycle;
mod lists;
mod orders;
mod products;
mod routes;

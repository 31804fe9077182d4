//! Requests and answers, one file per resource or promise.

mod api_keys;
mod auth;
mod caching;
mod cors;
mod customer_accounts;
mod customer_addresses;
mod customers;
mod document;
mod errors;
mod events;
mod fuzzed;
mod idempotency;
mod lifecycle;
mod limits;
mod lists;
mod mails;
mod matrix;
mod me;
mod metrics;
mod orders;
mod problems;
mod products;
mod routes;
mod webhook_deliveries;
mod webhook_endpoints;

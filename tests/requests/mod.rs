//! Requests and answers, one file per resource or promise.

mod auth;
mod customers;
mod errors;
mod routes;

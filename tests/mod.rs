//! The store's tests, as one program. They run on SQLite, or on the server that `DATABASE_URL` names
//! (MariaDB, MySQL or PostgreSQL); either way each test has a database of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod mailers;
mod models;
mod proofs;
mod requests;
mod support;
mod tasks;

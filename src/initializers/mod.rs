//! What is plugged into the server when it starts.

pub mod client_address;
pub mod connections;
pub mod demo;
pub mod finish_writes;
pub mod first_admin;
pub mod metrics;
pub mod problem_details;
pub mod prune;
pub mod rate_limiter;
pub mod redis;
pub mod request_log;
pub mod safety;
pub mod swagger;
pub mod welcome;

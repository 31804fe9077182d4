//! What is plugged into the server when it starts.

pub mod banner;
pub mod config_audit;
pub mod demo;
pub mod first_admin;
pub mod mail;
pub mod metrics;
pub mod migrations;
pub mod redis;
pub mod swagger;

//! Boxcar: customers and their accounts, a product catalogue, orders.

pub mod app;
pub mod commands;
pub mod context;
pub mod controllers;
pub mod initializers;
pub mod log;
pub mod mailers;
pub mod middleware;
pub mod models;
pub mod server;
pub mod settings;
pub mod shared;
pub mod signals;
pub mod tasks;
pub mod views;
pub mod workers;

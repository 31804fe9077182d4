//! What is plugged into the server when it starts.

pub mod demo;
pub mod first_admin;
pub mod problem_details;
pub mod swagger;
pub mod welcome;

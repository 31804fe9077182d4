//! What goes over the wire: bodies in and out, one file per resource, and never an entity.

pub mod auth;
pub mod customer_accounts;
pub mod customers;
pub mod orders;
pub mod products;
pub mod stock_movements;

pub mod answer;
pub mod csv;
pub mod page;
pub mod problem;
pub mod problem_page;

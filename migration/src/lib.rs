//! Boxcar's schema: one migration per table, in the order of their references.
//!
//! The same tables behave alike on SQLite, MariaDB/MySQL and PostgreSQL; where the three differ by
//! default (collation, time precision, engine), [`columns`] says what is meant.

pub use sea_orm_migration::prelude::*;

mod columns;
mod m20261123_000001_customers;
mod m20261123_000002_customer_accounts;
mod m20261123_000003_products;
mod m20261123_000004_orders;
mod m20261123_000005_order_items;
mod m20261123_000006_order_events;
mod m20261123_000007_stock_movements;
mod m20261123_000008_idempotency_keys;
mod m20261126_000010_write_probes;
mod steps;

/// Runs the migrations, up and down.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_customers::Migration),
            Box::new(m20261123_000002_customer_accounts::Migration),
            Box::new(m20261123_000003_products::Migration),
            Box::new(m20261123_000004_orders::Migration),
            Box::new(m20261123_000005_order_items::Migration),
            Box::new(m20261123_000006_order_events::Migration),
            Box::new(m20261123_000007_stock_movements::Migration),
            Box::new(m20261123_000008_idempotency_keys::Migration),
            Box::new(m20261126_000010_write_probes::Migration),
            // inject-above (do not remove this comment)
        ]
    }
}

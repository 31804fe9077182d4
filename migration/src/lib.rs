//! Boxcar's schema: one migration per table, in the order of their references.
//!
//! The same tables behave alike on SQLite, MariaDB/MySQL and PostgreSQL; where the three differ by
//! default (collation, time precision, engine), [`columns`] says what is meant.

pub use sea_orm_migration::prelude::*;

pub mod addresses;
mod columns;
pub mod keys;
mod m20261123_000001_customers;
mod m20261123_000002_customer_accounts;
mod m20261123_000003_products;
mod m20261123_000004_orders;
mod m20261123_000005_order_items;
mod m20261123_000006_order_events;
mod m20261123_000007_stock_movements;
mod m20261123_000008_idempotency_keys;
mod m20261126_000009_idempotency_subjects;
mod m20261126_000010_write_probes;
mod m20261126_000011_search_keys;
mod m20261127_000012_events;
mod m20261127_000013_webhooks;
mod m20261127_000014_mails;
mod m20261127_000015_api_keys;
mod m20261127_000016_codes;
mod m20261127_000018_customer_addresses;
mod m20261127_000019_order_addresses;
mod m20261127_000020_shipping_rates;
mod m20261127_000021_tax_rates;
mod m20261127_000022_discounts;
mod m20261128_000025_discount_uses;
mod m20261128_000026_holds;
mod m20261128_000027_checkouts;
mod steps;
mod turn;

use self::turn::Turn;

/// Runs the migrations, up and down, one process at a time. Where a migration was cut off, by a crash or a
/// `kill`, the next run goes on from there; SQLite and PostgreSQL take back what was cut off.
pub struct Migrator;

/// The same migrations, for the process whose turn it is.
struct Unguarded;

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
            Box::new(m20261126_000009_idempotency_subjects::Migration),
            Box::new(m20261126_000010_write_probes::Migration),
            Box::new(m20261126_000011_search_keys::Migration),
            Box::new(m20261127_000012_events::Migration),
            Box::new(m20261127_000013_webhooks::Migration),
            Box::new(m20261127_000014_mails::Migration),
            Box::new(m20261127_000015_api_keys::Migration),
            Box::new(m20261127_000016_codes::Migration),
            Box::new(m20261127_000018_customer_addresses::Migration),
            Box::new(m20261127_000019_order_addresses::Migration),
            Box::new(m20261127_000020_shipping_rates::Migration),
            Box::new(m20261127_000021_tax_rates::Migration),
            Box::new(m20261127_000022_discounts::Migration),
            Box::new(m20261128_000025_discount_uses::Migration),
            Box::new(m20261128_000026_holds::Migration),
            Box::new(m20261128_000027_checkouts::Migration),
            // inject-above (do not remove this comment)
        ]
    }

    async fn up<'c, C>(db: C, steps: Option<u32>) -> Result<(), DbErr>
    where
        C: IntoSchemaManagerConnection<'c>,
    {
        let db = db.into_database_executor();
        // Most starts find nothing to do, and wait for no lock.
        if pending(&db).await? == 0 {
            return Ok(());
        }
        let turn = Turn::take(&db).await?;
        let outcome = Unguarded::up(turn.transaction(), steps).await;
        turn.end(outcome).await
    }

    async fn down<'c, C>(db: C, steps: Option<u32>) -> Result<(), DbErr>
    where
        C: IntoSchemaManagerConnection<'c>,
    {
        let turn = Turn::take(&db.into_database_executor()).await?;
        let outcome = Unguarded::down(turn.transaction(), steps).await;
        turn.end(outcome).await
    }
}

impl MigratorTrait for Unguarded {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Migrator::migrations()
    }
}

/// Whether the database lacks a migration of this program. One that a newer program has migrated lacks none: while
/// nodes are replaced one by one, the older ones serve on.
pub async fn is_behind(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    match Unguarded::get_pending_migrations_read_only(db).await {
        Ok(pending) => Ok(!pending.is_empty()),
        Err(DbErr::Custom(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// How many migrations the database has not seen yet.
async fn pending(db: &SchemaManagerConnection<'_>) -> Result<usize, DbErr> {
    match Unguarded::get_pending_migrations_read_only(db).await {
        Ok(pending) => Ok(pending.len()),
        Err(DbErr::Custom(why)) => Err(DbErr::Migration(format!(
            "a newer version of the program has migrated this database, use that one: {why}"
        ))),
        Err(error) => Err(error),
    }
}

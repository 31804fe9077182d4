//! The store's domain. Finders, verbs and transitions stand on the models, one file per table; what
//! the models share stands beside them. Nothing here knows HTTP.
//!
//! Every function that asks the database fails when the database does not answer, and every `find` with
//! [`Error::NotFound`] when the row does not exist. A section `# Errors` says what else can go wrong.

#[allow(missing_docs, reason = "generated from the schema")]
pub mod _entities;

pub mod api_keys;
pub mod checkouts;
pub mod codes;
pub mod customer_accounts;
pub mod customer_addresses;
pub mod customers;
pub mod discount_uses;
pub mod discounts;
pub mod events;
pub mod hold_budgets;
pub mod idempotency_keys;
pub mod mails;
pub mod order_events;
pub mod order_items;
pub mod orders;
pub mod products;
pub mod shipping_rates;
pub mod stock_movements;
pub mod tax_rates;
pub mod webhook_deliveries;
pub mod webhook_endpoints;

pub mod actor;
pub mod cache_tag;
pub mod connection;
pub mod deadline;
pub mod deliveries;
pub mod error;
pub mod growing;
pub mod imported;
pub mod input;
pub mod listing;
pub mod personal_data;
pub mod pricing;
pub mod queue;
pub mod reader;
pub mod self_service;
mod statement;
pub mod terms;
pub mod transaction;
pub mod types;
pub mod write_probe;

use sea_orm::{
    ActiveModelBehavior, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, ModelTrait, Select,
    TryIntoModel,
};

pub use self::{
    actor::Actor,
    cache_tag::CacheTag,
    error::{Error, Result},
    transaction::Transaction,
};

/// Every table, those first that others refer to.
pub const TABLES: &[&str] = &[
    "shipping_rates",
    "tax_rates",
    "discounts",
    "customers",
    "customer_accounts",
    "customer_addresses",
    "products",
    "orders",
    "discount_uses",
    "checkouts",
    "hold_budgets",
    "order_items",
    "order_events",
    "stock_movements",
    "events",
    "webhook_endpoints",
    "webhook_deliveries",
    "mails",
    "codes",
    "api_keys",
    "idempotency_keys",
];

/// The one row that `select` finds.
async fn found<E: EntityTrait>(db: &impl ConnectionTrait, select: Select<E>) -> Result<E::Model> {
    select.one(db).await?.ok_or(Error::NotFound)
}

/// Writes what is set in a row that is there. It is not read again: what it holds is known.
async fn update<M, A>(txn: &Transaction, row: A) -> Result<M, DbErr>
where
    M: ModelTrait<Entity = A::Entity> + IntoActiveModel<A>,
    A: ActiveModelBehavior + TryIntoModel<M> + Send,
    A::Entity: EntityTrait<Model = M>,
{
    row.clone().update_without_returning(txn).await?;
    row.try_into_model()
}

/// The present moment, to the microsecond: what every database keeps, so that a row reads back as it
/// was written.
pub fn now() -> sea_orm::prelude::DateTimeWithTimeZone {
    use chrono::SubsecRound;
    chrono::Utc::now().trunc_subsecs(6).fixed_offset()
}

//! The ledger of a product's stock, on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::{stock_movements::Model, types::MovementKind};

/// A change of a product's stock.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockMovement {
    /// Its id.
    id: i64,
    /// Why it changed.
    #[schema(value_type = MovementKind)]
    kind: String,
    /// By how many pieces.
    delta: i64,
    /// In the words of the person who changed the stock.
    #[schema(required)]
    reason: Option<String>,
    /// The order that took them or gave them back.
    #[schema(required)]
    order_id: Option<i64>,
    /// The checkout that holds them, or held them. Keys without `checkouts:read` are not shown it.
    #[schema(required)]
    checkout_id: Option<String>,
    /// When.
    #[serde(serialize_with = "super::moment")]
    at: DateTime<Utc>,
    /// By whom.
    by: String,
}

impl From<Model> for StockMovement {
    fn from(movement: Model) -> Self {
        Self {
            id: movement.id,
            kind: movement.kind,
            delta: movement.delta,
            reason: movement.reason,
            order_id: movement.order_id,
            checkout_id: movement.checkout_id,
            at: movement.created_at.to_utc(),
            by: movement.actor,
        }
    }
}

impl StockMovement {
    /// The same for somebody who may not read checkouts: with its id a visitor's can be changed.
    #[must_use]
    pub fn without_checkout(mut self) -> Self {
        self.checkout_id = None;
        self
    }
}

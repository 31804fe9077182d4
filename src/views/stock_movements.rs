//! The ledger of a product's stock, on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    fields::{Fields, FromFields},
    page::{MarkKind, SortWords},
    schemas::NonZero,
};
use crate::models::{
    listing::Sort,
    products::Adjustment,
    stock_movements::{Key, Kind, Model},
    types::{Reason, StockDelta},
};

/// A change of a product's stock.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockMovement {
    /// Its id.
    id: i64,
    /// Why it changed.
    #[schema(value_type = Kind)]
    kind: String,
    /// By how many pieces.
    delta: i64,
    /// In somebody's words.
    #[schema(required)]
    reason: Option<String>,
    /// The order that took them or gave them back.
    #[schema(required)]
    order_id: Option<i64>,
    /// When.
    at: DateTime<Utc>,
    /// By whom.
    by: String,
}

/// A change of a product's stock, as it is asked for.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Adjustment` reads")]
pub struct StockAdjustmentBody {
    /// By how many pieces: negative to take some away, and not zero.
    #[schema(value_type = NonZero)]
    delta: i64,
    /// Why.
    reason: Reason,
}

impl From<Model> for StockMovement {
    fn from(movement: Model) -> Self {
        Self {
            id: movement.id,
            kind: movement.kind,
            delta: movement.delta,
            reason: movement.reason,
            order_id: movement.order_id,
            at: movement.created_at.to_utc(),
            by: movement.actor,
        }
    }
}

impl FromFields for Adjustment {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let delta = fields.required::<StockDelta>("delta");
        let reason = fields.required("reason");
        if delta.is_some_and(|delta| delta.get() == 0) {
            fields.refuse("delta", "range", "must not be 0");
        }
        Some(Self {
            delta: delta?,
            reason: reason?,
        })
    }
}

impl SortWords for Key {
    const WORDS: &'static [(&'static str, Self)] = &[("id", Self)];
    const DEFAULT: Sort<Self> = Sort {
        key: Self,
        descending: true,
    };

    fn kind(self) -> MarkKind {
        MarkKind::Id
    }
}

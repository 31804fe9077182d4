//! Discounts on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::{
    discounts::Model,
    types::{Amount, DiscountKind, Money},
};

/// A discount.
#[derive(Debug, Serialize, ToSchema)]
pub struct Discount {
    /// The id.
    id: i64,
    /// What a customer enters.
    code: String,
    /// What it takes off.
    #[schema(value_type = DiscountKind)]
    kind: String,
    /// How much: a percentage, or an amount of money. Free shipping has none.
    #[schema(required)]
    value: Option<String>,
    /// From when on it can be used.
    #[schema(required)]
    #[serde(serialize_with = "super::moment_or_null")]
    starts_at: Option<DateTime<Utc>>,
    /// Until when it can be used.
    #[schema(required)]
    #[serde(serialize_with = "super::moment_or_null")]
    ends_at: Option<DateTime<Utc>>,
    /// The subtotal, before the discount, from which on it can be used.
    #[schema(required, value_type = Option<Amount>)]
    min_subtotal: Option<String>,
    /// How many orders can use it.
    #[schema(required)]
    usage_limit: Option<i64>,
    /// How many orders of one customer can use it.
    #[schema(required)]
    per_customer_limit: Option<i64>,
    /// Whether it can be used.
    enabled: bool,
    /// How many orders have used it.
    used: i64,
    /// When it was added.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
    /// When it last changed.
    #[serde(serialize_with = "super::moment")]
    updated_at: DateTime<Utc>,
}

impl From<Model> for Discount {
    fn from(discount: Model) -> Self {
        Self {
            id: discount.id,
            value: discount.value(),
            code: discount.code,
            kind: discount.kind,
            starts_at: discount.starts_at.map(|moment| moment.to_utc()),
            ends_at: discount.ends_at.map(|moment| moment.to_utc()),
            min_subtotal: discount
                .min_subtotal_minor
                .map(|minor| Money::from_minor(minor).to_string()),
            usage_limit: discount.usage_limit,
            per_customer_limit: discount.per_customer_limit,
            enabled: discount.enabled,
            used: discount.used,
            created_at: discount.created_at.to_utc(),
            updated_at: discount.updated_at.to_utc(),
        }
    }
}

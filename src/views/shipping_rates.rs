//! Shipping rates on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::{
    shipping_rates::Model,
    types::{Amount, Money},
};

/// A shipping rate.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShippingRate {
    /// The id.
    id: i64,
    /// The name, as customers read it.
    name: String,
    /// Where it is sent to: codes of countries, or `*` for every country.
    countries: Vec<String>,
    /// What it costs.
    #[schema(value_type = Amount)]
    price: String,
    /// The discounted subtotal from which on it costs nothing.
    #[schema(required, value_type = Option<Amount>)]
    free_from: Option<String>,
    /// The class that it is taxed by.
    tax_class: String,
    /// At which place it is offered, the lowest first.
    position: i64,
    /// When it was added.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
    /// When it last changed.
    #[serde(serialize_with = "super::moment")]
    updated_at: DateTime<Utc>,
}

impl From<Model> for ShippingRate {
    fn from(shipping_rate: Model) -> Self {
        Self {
            id: shipping_rate.id,
            countries: shipping_rate.destinations(),
            name: shipping_rate.name,
            price: Money::from_minor(shipping_rate.price_minor).to_string(),
            free_from: shipping_rate
                .free_from_minor
                .map(|minor| Money::from_minor(minor).to_string()),
            tax_class: shipping_rate.tax_class,
            position: shipping_rate.position,
            created_at: shipping_rate.created_at.to_utc(),
            updated_at: shipping_rate.updated_at.to_utc(),
        }
    }
}

//! Products on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::{
    products::{Model, Summary},
    types::{Amount, Money},
};

/// A product.
#[derive(Debug, Serialize, ToSchema)]
pub struct Product {
    #[serde(flatten)]
    summary: ProductSummary,
    /// The description.
    #[schema(required)]
    description: Option<String>,
}

/// A product as lists show it, without its description.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductSummary {
    /// The id.
    id: i64,
    /// The stock keeping unit.
    #[schema(required)]
    sku: Option<String>,
    /// The name.
    name: String,
    /// What one piece costs.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    price: Money,
    /// The store's currency (ISO 4217).
    currency: String,
    /// How many pieces there are; `null` is not tracked, and always available.
    #[schema(required)]
    stock: Option<i64>,
    /// Whether the product can be ordered now.
    available: bool,
    /// The class that it is taxed by.
    tax_class: String,
    /// When the product was added.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
    /// When the product last changed.
    #[serde(serialize_with = "super::moment")]
    updated_at: DateTime<Utc>,
}

impl ProductSummary {
    /// The product in the store's currency.
    pub fn new(product: Summary, currency: &str) -> Self {
        Self {
            id: product.id,
            price: Money::from_minor(product.price_minor),
            currency: currency.to_owned(),
            stock: product.stock,
            available: product.is_available(),
            tax_class: product.tax_class,
            sku: product.sku,
            name: product.name,
            created_at: product.created_at.to_utc(),
            updated_at: product.updated_at.to_utc(),
        }
    }
}

impl Product {
    /// The product in the store's currency.
    pub fn new(mut product: Model, currency: &str) -> Self {
        Self {
            description: product.description.take(),
            summary: ProductSummary::new(product.into(), currency),
        }
    }
}

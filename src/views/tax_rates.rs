//! Tax rates on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::{tax_rates::Model, types::Percentage};

/// A tax rate.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaxRate {
    /// The id.
    id: i64,
    /// The name.
    name: String,
    /// Where it holds.
    country: String,
    /// A part of the country, where it holds instead of that of the whole country.
    #[schema(required)]
    region: Option<String>,
    /// The class of what bears it.
    tax_class: String,
    /// A percentage: a decimal with at most three places.
    rate: String,
    /// When it was added.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
    /// When it last changed.
    #[serde(serialize_with = "super::moment")]
    updated_at: DateTime<Utc>,
}

impl From<Model> for TaxRate {
    fn from(tax_rate: Model) -> Self {
        Self {
            id: tax_rate.id,
            name: tax_rate.name,
            country: tax_rate.country,
            region: tax_rate.region,
            tax_class: tax_rate.tax_class,
            rate: Percentage::new(tax_rate.rate_thousandths)
                .unwrap_or_default()
                .to_string(),
            created_at: tax_rate.created_at.to_utc(),
            updated_at: tax_rate.updated_at.to_utc(),
        }
    }
}

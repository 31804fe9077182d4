//! Products on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    fields::{Fields, FromFields},
    page::{MarkKind, SortWords},
    schemas::Amount,
};
use crate::models::{
    listing::Sort,
    products::{Changes, Details, Filter, Key, Model},
    types::{Description, Money, ProductName, Search, Sku, Stock},
};

/// A product.
#[derive(Debug, Serialize, ToSchema)]
pub struct Product {
    #[serde(flatten)]
    summary: ProductSummary,
    /// What it is.
    #[schema(required)]
    description: Option<String>,
}

/// A product as lists show it, without its description.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductSummary {
    /// Its id.
    id: i64,
    /// Its stock keeping unit.
    #[schema(required)]
    sku: Option<String>,
    /// What it is called.
    name: String,
    /// What one piece costs.
    #[schema(value_type = Amount)]
    price: String,
    /// The store's currency (ISO 4217).
    currency: String,
    /// How many pieces there are; `null` is not tracked, and always available.
    #[schema(required)]
    stock: Option<i64>,
    /// Whether it can be ordered now.
    available: bool,
    /// When it was added.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

/// What a product is made from, or replaced with.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Details` reads")]
pub struct ProductBody {
    /// What it is called.
    name: ProductName,
    /// What one piece costs: a decimal with at most two places, as a string or a number.
    price: Money,
    /// Its stock keeping unit, which no other product on sale has.
    sku: Option<Sku>,
    /// What it is.
    description: Option<Description>,
    /// How many pieces there are; `null` is not tracked, and always available.
    stock: Option<Stock>,
}

/// What is to change of a product. What is missing stays as it is.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Changes` reads")]
pub struct ProductPatch {
    /// What it is called.
    #[schema(nullable = false)]
    name: Option<ProductName>,
    /// What one piece costs: a decimal with at most two places, as a string or a number.
    #[schema(nullable = false)]
    price: Option<Money>,
    /// Its stock keeping unit; `null` clears it.
    sku: Option<Sku>,
    /// What it is; `null` clears it.
    description: Option<Description>,
    /// How many pieces there are; `null` turns tracking off.
    stock: Option<Stock>,
}

/// Which products are listed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documents what `Filter` reads")]
pub struct ProductFilter {
    /// Text anywhere in name or SKU, without regard to case.
    #[param(inline)]
    q: Option<Search>,
    /// The lowest price.
    #[param(inline)]
    min_price: Option<Money>,
    /// The highest price.
    #[param(inline)]
    max_price: Option<Money>,
    /// Whether it can be ordered now.
    available: Option<bool>,
}

impl ProductSummary {
    /// The product in the store's currency.
    #[must_use]
    pub fn new(product: &Model, currency: &str) -> Self {
        Self {
            id: product.id,
            sku: product.sku.clone(),
            name: product.name.clone(),
            price: product.price().to_string(),
            currency: currency.to_owned(),
            stock: product.stock,
            available: product.is_available(),
            created_at: product.created_at.to_utc(),
            updated_at: product.updated_at.to_utc(),
        }
    }
}

impl Product {
    /// The product in the store's currency.
    #[must_use]
    pub fn new(product: Model, currency: &str) -> Self {
        Self {
            summary: ProductSummary::new(&product, currency),
            description: product.description,
        }
    }
}

impl FromFields for Details {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name");
        let price = fields.required("price");
        let sku = fields.optional("sku");
        let description = fields.optional("description");
        let stock = fields.optional("stock");
        Some(Self {
            name: name?,
            price: price?,
            sku: sku?,
            description: description?,
            stock: stock?,
        })
    }
}

impl FromFields for Changes {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.change("name");
        let price = fields.change("price");
        let sku = fields.clearable("sku");
        let description = fields.clearable("description");
        let stock = fields.clearable("stock");
        Some(Self {
            name: name?,
            price: price?,
            sku: sku?,
            description: description?,
            stock: stock?,
        })
    }
}

impl FromFields for Filter {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let q = fields.optional::<Search>("q");
        let min_price = fields.optional("min_price");
        let max_price = fields.optional("max_price");
        let available = fields.optional("available");
        Some(Self {
            q: q?.map(String::from),
            min_price: min_price?,
            max_price: max_price?,
            available: available?,
        })
    }
}

impl SortWords for Key {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("id", Self::Id),
        ("name", Self::Name),
        ("price", Self::Price),
        ("created_at", Self::CreatedAt),
    ];
    const DEFAULT: Sort<Self> = Sort {
        key: Self::Id,
        descending: false,
    };

    fn kind(self) -> MarkKind {
        match self {
            Self::Id => MarkKind::Id,
            Self::Name => MarkKind::Text,
            Self::Price => MarkKind::Number,
            Self::CreatedAt => MarkKind::Time,
        }
    }
}

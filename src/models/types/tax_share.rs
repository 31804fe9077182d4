//! What a tax rate has taxed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Amount;

/// What one tax rate has taxed of goods and shipping together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct TaxShare {
    /// The rate: a percentage without noughts at its end.
    pub rate: String,
    /// What it has taxed, without the tax.
    #[schema(value_type = Amount)]
    pub net: String,
    /// The tax.
    #[schema(value_type = Amount)]
    pub tax: String,
}

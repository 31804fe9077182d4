//! The addresses of customers on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::models::customer_addresses::Model;

/// An address of a customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerAddress {
    /// Its id.
    id: i64,
    /// Who receives it there.
    name: String,
    /// The company.
    #[schema(required)]
    company: Option<String>,
    /// The first line.
    line1: String,
    /// The second line.
    #[schema(required)]
    line2: Option<String>,
    /// The city, town or village.
    city: String,
    /// The state, province or county.
    #[schema(required)]
    region: Option<String>,
    /// The postal code.
    #[schema(required)]
    postal_code: Option<String>,
    /// The code of the country (ISO 3166-1 alpha-2).
    country: String,
    /// A telephone number for whoever delivers.
    #[schema(required)]
    phone: Option<String>,
    /// Whether it is the customer's default.
    default: bool,
}

impl From<Model> for CustomerAddress {
    fn from(address: Model) -> Self {
        Self {
            default: address.is_default(),
            id: address.id,
            name: address.name,
            company: address.company,
            line1: address.line1,
            line2: address.line2,
            city: address.city,
            region: address.region,
            postal_code: address.postal_code,
            country: address.country,
            phone: address.phone,
        }
    }
}

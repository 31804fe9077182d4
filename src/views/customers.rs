//! Customers on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::customers::Model;

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Customer {
    #[serde(flatten)]
    contact: Contact,
    /// When they were added.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
    /// When something of them last changed.
    #[serde(serialize_with = "super::moment")]
    updated_at: DateTime<Utc>,
}

/// Who a customer is and how to reach them.
#[derive(Debug, Serialize, ToSchema)]
pub struct Contact {
    /// Their id.
    id: i64,
    /// Their full name.
    name: String,
    /// Their email address.
    email: String,
    /// Their telephone number.
    #[schema(required)]
    phone: Option<String>,
}

impl From<Model> for Contact {
    fn from(customer: Model) -> Self {
        Self {
            id: customer.id,
            name: customer.name,
            email: customer.email,
            phone: customer.phone,
        }
    }
}

impl From<Model> for Customer {
    fn from(customer: Model) -> Self {
        Self {
            created_at: customer.created_at.to_utc(),
            updated_at: customer.updated_at.to_utc(),
            contact: customer.into(),
        }
    }
}

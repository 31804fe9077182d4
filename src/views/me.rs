//! What people see of themselves, on the wire.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::customers::Customer;
use crate::models::{customers, personal_data::Addresses};

/// The customer whom the caller is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    #[serde(flatten)]
    customer: Customer,
    /// Their addresses.
    #[schema(value_type = Vec<Object>)]
    addresses: Vec<Value>,
}

/// That something is done, if there is something to do: no more is said.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Accepted {}

impl Me {
    /// A customer with their addresses.
    pub fn new(customer: customers::Model, addresses: Addresses) -> Self {
        Self {
            customer: customer.into(),
            addresses,
        }
    }
}

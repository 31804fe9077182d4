//! What people see of themselves, on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use super::{customer_addresses::CustomerAddress, customers::Customer};
use crate::models::{customer_addresses, customers};

/// The customer whom the caller is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    #[serde(flatten)]
    customer: Customer,
    /// Their addresses.
    addresses: Vec<CustomerAddress>,
}

/// That something is done, if there is something to do: no more is said.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Accepted {}

impl Me {
    /// A customer with their addresses.
    pub fn new(customer: customers::Model, addresses: Vec<customer_addresses::Model>) -> Self {
        Self {
            customer: customer.into(),
            addresses: addresses.into_iter().map(CustomerAddress::from).collect(),
        }
    }
}

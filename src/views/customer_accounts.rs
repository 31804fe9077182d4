//! Customer accounts on the wire. Passwords come in and never go out.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::customers::Contact;
use crate::models::{customer_accounts::WithCustomer, types::Role};

/// An account with its customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerAccount {
    /// Its id.
    id: i64,
    /// The name to log in with.
    username: String,
    /// What it may do.
    #[schema(value_type = Role)]
    role: &'static str,
    /// Whose it is; only administrators may have none.
    #[schema(required)]
    customer: Option<Contact>,
    /// When it was created.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
    /// When it last changed.
    #[serde(serialize_with = "super::moment")]
    updated_at: DateTime<Utc>,
}

impl From<WithCustomer> for CustomerAccount {
    fn from((account, customer): WithCustomer) -> Self {
        Self {
            id: account.id,
            role: account.role().as_str(),
            username: account.username,
            customer: customer.map(Contact::from),
            created_at: account.created_at.to_utc(),
            updated_at: account.updated_at.to_utc(),
        }
    }
}

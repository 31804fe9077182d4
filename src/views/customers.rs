//! Customers on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    fields::{Fields, FromFields},
    page::{MarkKind, SortWords},
};
use crate::models::{
    customers::{Changes, Details, Filter, Key, Model},
    listing::Sort,
    types::{CustomerName, Email, Phone, Search},
};

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Customer {
    #[serde(flatten)]
    contact: Contact,
    /// When they were added.
    created_at: DateTime<Utc>,
    /// When something of them last changed.
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

/// What a customer is made from, or replaced with.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Details` reads")]
pub struct CustomerBody {
    /// Their full name.
    name: CustomerName,
    /// Their email address, which no other customer has, whatever the case of its letters.
    email: Email,
    /// Their telephone number: 5 to 20 digits, which may begin with + and contain blanks and ().-
    phone: Option<Phone>,
}

/// What is to change of a customer. What is missing stays as it is.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Changes` reads")]
pub struct CustomerPatch {
    /// Their full name.
    #[schema(nullable = false)]
    name: Option<CustomerName>,
    /// Their email address.
    #[schema(nullable = false)]
    email: Option<Email>,
    /// Their telephone number; `null` clears it.
    phone: Option<Phone>,
}

/// Which customers are listed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documents what `Filter` reads")]
pub struct CustomerFilter {
    /// Text anywhere in name, email or phone, without regard to case.
    #[param(inline)]
    q: Option<Search>,
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

impl FromFields for Details {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name");
        let email = fields.required("email");
        let phone = fields.optional("phone");
        Some(Self {
            name: name?,
            email: email?,
            phone: phone?,
        })
    }
}

impl FromFields for Changes {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.change("name");
        let email = fields.change("email");
        let phone = fields.clearable("phone");
        Some(Self {
            name: name?,
            email: email?,
            phone: phone?,
        })
    }
}

impl FromFields for Filter {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let q = fields.optional::<Search>("q");
        Some(Self {
            q: q?.map(String::from),
        })
    }
}

impl SortWords for Key {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("id", Self::Id),
        ("name", Self::Name),
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
            Self::CreatedAt => MarkKind::Time,
        }
    }
}

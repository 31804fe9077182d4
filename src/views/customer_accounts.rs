//! Customer accounts on the wire. Passwords come in and never go out.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    customers::Contact,
    fields::{Fields, FromFields},
    page::{MarkKind, SortWords},
};
use crate::models::{
    customer_accounts::{Changes, Filter, Key, Registration, WithCustomer},
    listing::Sort,
    types::{Id, Password, Role, Search, Username},
};

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
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

/// What an account is made from.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Registration` reads")]
pub struct CustomerAccountBody {
    /// Whose it is.
    customer_id: i64,
    /// The name to log in with: letters a-z, digits, dot, underscore and hyphen.
    username: Username,
    /// The password to log in with, of any characters, as long as it is not easily guessed.
    password: Password,
    /// What it may do: `customer`, unless said otherwise.
    role: Option<Role>,
}

/// What an account is replaced with.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Credentials` reads")]
pub struct CredentialsBody {
    /// The name to log in with.
    username: Username,
    /// The password to log in with.
    password: Password,
}

/// What is to change of an account. What is missing stays as it is.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Changes` reads")]
pub struct CustomerAccountPatch {
    /// The name to log in with.
    #[schema(nullable = false)]
    username: Option<Username>,
    /// The password to log in with. A new one ends the tokens that are out.
    #[schema(nullable = false)]
    password: Option<Password>,
    /// What it may do. A new one ends the tokens that are out.
    #[schema(nullable = false)]
    role: Option<Role>,
}

/// Which accounts are listed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documents what `Filter` reads")]
pub struct CustomerAccountFilter {
    /// Text anywhere in the username.
    #[param(inline)]
    q: Option<Search>,
    /// What they may do.
    #[param(inline)]
    role: Option<Role>,
}

/// A whole new name and password.
#[derive(Clone, Debug)]
pub struct Credentials {
    username: Username,
    password: Password,
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

impl From<Credentials> for Changes {
    fn from(credentials: Credentials) -> Self {
        Self {
            username: Some(credentials.username),
            password: Some(credentials.password),
            role: None,
        }
    }
}

impl FromFields for Registration {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let customer_id = fields.required::<Id>("customer_id");
        let username = fields.required("username");
        let password = fields.new_password("password");
        let role = fields.optional("role");
        Some(Self {
            customer_id: Some(customer_id?.0),
            username: username?,
            password: password?,
            role: role?.unwrap_or(Role::Customer),
        })
    }
}

impl FromFields for Credentials {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let username = fields.required("username");
        let password = fields.new_password("password");
        Some(Self {
            username: username?,
            password: password?,
        })
    }
}

impl FromFields for Changes {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let username = fields.change("username");
        let password = fields.changed_password("password");
        let role = fields.change("role");
        Some(Self {
            username: username?,
            password: password?,
            role: role?,
        })
    }
}

impl FromFields for Filter {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let q = fields.optional::<Search>("q");
        let role = fields.optional("role");
        Some(Self {
            q: q?.map(String::from),
            role: role?,
        })
    }
}

impl SortWords for Key {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("id", Self::Id),
        ("username", Self::Username),
        ("created_at", Self::CreatedAt),
    ];
    const DEFAULT: Sort<Self> = Sort {
        key: Self::Id,
        descending: false,
    };

    fn kind(self) -> MarkKind {
        match self {
            Self::Id => MarkKind::Id,
            Self::Username => MarkKind::Text,
            Self::CreatedAt => MarkKind::Time,
        }
    }
}

//! Who is calling. A handler that takes an [`Account`] or an [`Admin`] cannot run without one.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use loco_rs::app::AppContext;

use crate::{
    models::{
        Actor, Error,
        customer_accounts::{self, Claims},
        orders::Scope,
        types::Role,
    },
    views::problem::{Kind, Problem},
};

/// Whoever has a valid token.
#[derive(Clone, Debug)]
pub struct Account(pub customer_accounts::Model);

/// An administrator with a valid token.
#[derive(Clone, Debug)]
pub struct Admin(pub customer_accounts::Model);

impl Account {
    /// Whose orders they may see.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match (self.0.role(), self.0.customer_id) {
            (Role::Admin, _) => Scope::All,
            // An account without a customer is an administrator's; id 0 is nobody's.
            (Role::Customer, customer) => Scope::Customer(customer.unwrap_or_default()),
        }
    }

    /// Who they are, for history.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.0.actor()
    }

    /// Whether they run the store.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.0.role() == Role::Admin
    }
}

impl Admin {
    /// Who they are, for history.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.0.actor()
    }
}

impl FromRequestParts<AppContext> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ctx: &AppContext) -> Result<Self, Problem> {
        let refused = || Problem::unauthenticated(Some("invalid_token"));
        let token = bearer(&parts.headers)?;
        let claims = Claims::verified(token, ctx.config.get_jwt_config()?).ok_or_else(refused)?;
        // A deleted account is not found, and a raised version is another one: both end the token.
        let account = match customer_accounts::Model::find_by_pid(&ctx.db, &claims.pid).await {
            Err(Error::NotFound) => return Err(refused()),
            account => account?,
        };
        if claims.version == account.token_version {
            Ok(Self(account))
        } else {
            Err(refused())
        }
    }
}

impl FromRequestParts<AppContext> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ctx: &AppContext) -> Result<Self, Problem> {
        let account = Account::from_request_parts(parts, ctx).await?;
        if account.is_admin() {
            Ok(Self(account.0))
        } else {
            Err(Problem::new(Kind::Forbidden))
        }
    }
}

/// The token of the one `Authorization: Bearer` header (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(credentials) = given.next() else {
        return Err(Problem::unauthenticated(None));
    };
    let refused = || Problem::unauthenticated(Some("invalid_token"));
    if given.next().is_some() {
        return Err(refused());
    }
    let (scheme, token) = credentials
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(refused)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_start())
    } else {
        Err(refused())
    }
}

//! Logging in, on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::models::{customer_accounts::Model, types::Role};

/// A token and what it is good for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Token {
    /// What goes into the `Authorization` header, after `Bearer`.
    token: String,
    /// Always `Bearer`.
    #[schema(pattern = "^Bearer$")]
    token_type: &'static str,
    /// For how many seconds it is good.
    expires_in: u64,
    /// Whose it is.
    account: TokenAccount,
}

/// Whose a token is.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenAccount {
    /// The account's id.
    id: i64,
    /// The name it logged in with.
    username: String,
    /// What it may do.
    #[schema(value_type = Role)]
    role: &'static str,
    /// Its customer; only administrators may have none.
    #[schema(required)]
    customer_id: Option<i64>,
}

impl Token {
    /// The token that was made for an account.
    pub fn new(token: String, expires_in: u64, account: Model) -> Self {
        let account = TokenAccount {
            id: account.id,
            role: account.role().as_str(),
            username: account.username,
            customer_id: account.customer_id,
        };
        Self {
            token,
            token_type: "Bearer",
            expires_in,
            account,
        }
    }
}

//! Logging in, on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Fields, FromFields};
use crate::models::{
    customer_accounts::{Model, PasswordChange},
    types::{Password, Role, Scalar, Violation},
};

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

/// A name and a password.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Login` reads")]
pub struct LoginBody {
    /// The account's name.
    username: String,
    /// Its password.
    #[schema(format = Password)]
    password: String,
}

/// A name and a password, as a client sends them.
#[derive(Clone, Debug)]
pub struct Login {
    /// The account's name, or what may be one.
    pub username: String,
    /// Its password, or what may be that.
    pub password: Password,
}

impl Token {
    /// The token that was made for an account.
    #[must_use]
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

/// A new password, and the one that shows who asks for it.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `PasswordChange` reads")]
pub struct PasswordChangeBody {
    /// The password to log in with so far.
    #[schema(format = Password)]
    current_password: String,
    /// The password to log in with from now on, of any characters, as long as it is not easily guessed.
    #[schema(format = Password, min_length = 12, max_length = 128)]
    new_password: String,
}

impl FromFields for PasswordChange {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let current = fields.required::<Attempt>("current_password");
        let new = fields.new_password("new_password");
        Some(Self {
            current: Password::given(&current?.0),
            new: new?,
        })
    }
}

/// Nothing at all.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl FromFields for Nothing {
    const MAY_BE_MISSING: bool = true;

    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self)
    }
}

impl FromFields for Login {
    /// Any text may be tried: which names and passwords there can be is not for strangers to learn.
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let username = fields.required::<Attempt>("username");
        let password = fields.required::<Attempt>("password");
        Some(Self {
            username: username?.0,
            password: Password::given(&password?.0),
        })
    }
}

struct Attempt(String);

impl Scalar for Attempt {
    fn parse(text: &str) -> Result<Self, Violation> {
        Ok(Self(text.to_owned()))
    }
}

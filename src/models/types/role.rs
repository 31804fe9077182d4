//! What an account may do.

use super::{Scalar, Violation};

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs the store.
    Admin,
    /// Orders, and sees its own orders.
    Customer,
}

impl Role {
    /// The word for it, on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Customer => "customer",
        }
    }
}

impl Scalar for Role {
    fn parse(text: &str) -> Result<Self, Violation> {
        match text {
            "admin" => Ok(Self::Admin),
            "customer" => Ok(Self::Customer),
            _ => Err(Violation::new("choice", "must be admin or customer")),
        }
    }
}

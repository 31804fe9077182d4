//! What an account may do.

use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Runs the store.
    Admin,
    /// Orders, and sees its own orders.
    Customer,
}

super::choice!(Role, "Role");

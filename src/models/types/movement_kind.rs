//! Why a product's stock changed.

use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// Why a product's stock changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum MovementKind {
    /// Tracking began with these pieces.
    Initial,
    /// An order took them.
    Order,
    /// A cancelled order gave them back.
    Cancellation,
    /// An administrator counted again, received or removed some.
    Adjustment,
    /// They are held for a checkout.
    Hold,
    /// A checkout does not hold them any more.
    Release,
}

super::choice!(MovementKind, "StockMovementKind");

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
    /// A checkout holds them.
    Hold,
    /// A checkout holds them no longer.
    Release,
}

super::choice!(MovementKind, "StockMovementKind");

//! What has become of a delivery.

use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryStatus {
    /// It waits for its next attempt.
    Pending,
    /// It has arrived.
    Delivered,
    /// It was given up.
    Failed,
    /// It is not wanted any more.
    Cancelled,
}

super::choice!(DeliveryStatus, "DeliveryStatus");

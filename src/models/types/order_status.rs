//! How far an order has come.

use strum::{Display, EnumString, IntoStaticStr, VariantNames};

use super::EventType;

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum OrderStatus {
    /// It was placed.
    Placed,
    /// It is paid.
    Paid,
    /// It is on its way.
    Shipped,
    /// It has arrived.
    Delivered,
    /// It was cancelled, and its stock returned.
    Cancelled,
}

super::choice!(OrderStatus, "OrderStatus");

impl OrderStatus {
    /// What has happened to an order that has this status now.
    pub const fn event_type(self) -> EventType {
        match self {
            Self::Placed => EventType::OrderPlaced,
            Self::Paid => EventType::OrderPaid,
            Self::Shipped => EventType::OrderShipped,
            Self::Delivered => EventType::OrderDelivered,
            Self::Cancelled => EventType::OrderCancelled,
        }
    }

    /// Whether an order may go from here to there in one step.
    pub const fn can_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Placed, Self::Paid | Self::Cancelled)
                | (Self::Paid, Self::Shipped | Self::Cancelled)
                | (Self::Shipped, Self::Delivered)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Scalar, *};

    #[test]
    fn an_order_moves_along_the_arrows_only() {
        let every = OrderStatus::VARIANTS
            .iter()
            .map(|word| OrderStatus::parse(word).unwrap());
        let arrows: Vec<_> = every
            .clone()
            .flat_map(|from| {
                let next = every.clone().filter(move |to| from.can_become(*to));
                next.map(move |to| format!("{from} → {to}"))
            })
            .collect();
        assert_eq!(
            arrows,
            [
                "placed → paid",
                "placed → cancelled",
                "paid → shipped",
                "paid → cancelled",
                "shipped → delivered"
            ]
        );
    }

    #[test]
    fn a_word_that_is_not_known_is_answered_with_those_that_are() {
        let violation = OrderStatus::parse("Placed").unwrap_err();
        assert_eq!(violation.code, "choice");
        assert_eq!(
            violation.message,
            "must be placed, paid, shipped, delivered or cancelled"
        );
    }
}

//! What is sent by mail.

use strum::{Display, EnumString, IntoStaticStr, VariantNames};

use super::EventType;

/// A kind of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum MailTemplate {
    /// That an order was placed.
    OrderPlaced,
    /// That an order is on its way.
    OrderShipped,
    /// That an order was cancelled.
    OrderCancelled,
    /// That a webhook endpoint is sent nothing any more.
    WebhookDisabled,
    /// That a webhook delivery was given up.
    WebhookFailed,
}

super::choice!(MailTemplate, "MailTemplate");

impl MailTemplate {
    /// What somebody is sent when that has happened.
    pub const fn after(happened: EventType) -> Option<Self> {
        match happened {
            EventType::OrderPlaced => Some(Self::OrderPlaced),
            EventType::OrderShipped => Some(Self::OrderShipped),
            EventType::OrderCancelled => Some(Self::OrderCancelled),
            EventType::WebhookEndpointDisabled => Some(Self::WebhookDisabled),
            EventType::WebhookDeliveryFailed => Some(Self::WebhookFailed),
            _ => None,
        }
    }

    /// The subject of the mail about that order, or that endpoint.
    pub fn subject(self, shop_name: &str, id: i64) -> String {
        match self {
            Self::OrderPlaced => format!("{shop_name}: we have your order {id}"),
            Self::OrderShipped => format!("{shop_name}: your order {id} is on its way"),
            Self::OrderCancelled => format!("{shop_name}: your order {id} is cancelled"),
            Self::WebhookDisabled => format!("{shop_name}: the webhook endpoint {id} is disabled"),
            Self::WebhookFailed => {
                format!("{shop_name}: the webhook endpoint {id} cannot be reached")
            }
        }
    }
}

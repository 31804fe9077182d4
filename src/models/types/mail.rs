//! What is sent by mail.

use strum::{Display, EnumString, IntoStaticStr, VariantNames};

use super::{CodeKind, EventType};

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
    /// How to end a registration.
    Registration,
    /// That somebody has tried to register with an address that has an account.
    AlreadyRegistered,
    /// How to set a new password.
    PasswordReset,
    /// That the password is another one.
    PasswordChanged,
    /// How to move an account to this address.
    EmailChange,
    /// That an account is going to be moved away from this address.
    EmailChangeRequested,
    /// That somebody has tried to move an account to an address that has one.
    EmailTaken,
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
            EventType::CustomerAccountPasswordChanged => Some(Self::PasswordChanged),
            _ => None,
        }
    }

    /// The kind of code that it shows, and the page of the shop that takes it.
    pub const fn code(self) -> Option<(CodeKind, &'static str)> {
        match self {
            Self::Registration => Some((CodeKind::Registration, "verify")),
            Self::PasswordReset => Some((CodeKind::PasswordReset, "reset")),
            Self::EmailChange => Some((CodeKind::EmailChange, "email")),
            _ => None,
        }
    }

    /// The subject of the mail about that order, or that endpoint; those about an account name none.
    pub fn subject(self, shop_name: &str, id: i64) -> String {
        match self {
            Self::OrderPlaced => format!("{shop_name}: we have your order {id}"),
            Self::OrderShipped => format!("{shop_name}: your order {id} is on its way"),
            Self::OrderCancelled => format!("{shop_name}: your order {id} is cancelled"),
            Self::WebhookDisabled => format!("{shop_name}: the webhook endpoint {id} is disabled"),
            Self::WebhookFailed => {
                format!("{shop_name}: the webhook endpoint {id} cannot be reached")
            }
            Self::Registration => format!("{shop_name}: confirm your email address"),
            Self::AlreadyRegistered => format!("{shop_name}: you have an account already"),
            Self::PasswordReset => format!("{shop_name}: set a new password"),
            Self::PasswordChanged => format!("{shop_name}: your password was changed"),
            Self::EmailChange => format!("{shop_name}: confirm your new email address"),
            Self::EmailChangeRequested => {
                format!("{shop_name}: your email address is going to change")
            }
            Self::EmailTaken => format!("{shop_name}: this email address has an account"),
        }
    }
}

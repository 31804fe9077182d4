//! What can happen, to what, and by whom.

use std::fmt;

use strum::{Display, EnumString, IntoStaticStr, VariantNames};
use utoipa::openapi::Schema;

use super::{RuleViolation, Scalar, string};

/// What can happen. Its name begins with what it happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
pub enum EventType {
    /// An order was placed.
    #[strum(serialize = "order.placed")]
    OrderPlaced,
    /// An order was paid.
    #[strum(serialize = "order.paid")]
    OrderPaid,
    /// An order was sent.
    #[strum(serialize = "order.shipped")]
    OrderShipped,
    /// An order has arrived.
    #[strum(serialize = "order.delivered")]
    OrderDelivered,
    /// An order was cancelled.
    #[strum(serialize = "order.cancelled")]
    OrderCancelled,
    /// A checkout has become an order.
    #[strum(serialize = "checkout.completed")]
    CheckoutCompleted,
    /// A checkout was not changed for so long that it ended.
    #[strum(serialize = "checkout.expired")]
    CheckoutExpired,
    /// A product was added.
    #[strum(serialize = "product.created")]
    ProductCreated,
    /// A product was changed, in more than its stock.
    #[strum(serialize = "product.updated")]
    ProductUpdated,
    /// A product was taken off sale.
    #[strum(serialize = "product.deleted")]
    ProductDeleted,
    /// The stock of a product was changed, by neither an order nor its cancellation.
    #[strum(serialize = "product.stock_changed")]
    ProductStockChanged,
    /// A product cannot be ordered any more.
    #[strum(serialize = "product.sold_out")]
    ProductSoldOut,
    /// A product can be ordered again.
    #[strum(serialize = "product.back_in_stock")]
    ProductBackInStock,
    /// A shipping rate was added.
    #[strum(serialize = "shipping_rate.created")]
    ShippingRateCreated,
    /// A shipping rate was changed.
    #[strum(serialize = "shipping_rate.updated")]
    ShippingRateUpdated,
    /// A shipping rate was deleted.
    #[strum(serialize = "shipping_rate.deleted")]
    ShippingRateDeleted,
    /// A tax rate was added.
    #[strum(serialize = "tax_rate.created")]
    TaxRateCreated,
    /// A tax rate was changed.
    #[strum(serialize = "tax_rate.updated")]
    TaxRateUpdated,
    /// A tax rate was deleted.
    #[strum(serialize = "tax_rate.deleted")]
    TaxRateDeleted,
    /// A discount was added.
    #[strum(serialize = "discount.created")]
    DiscountCreated,
    /// A discount was changed.
    #[strum(serialize = "discount.updated")]
    DiscountUpdated,
    /// A discount was deleted.
    #[strum(serialize = "discount.deleted")]
    DiscountDeleted,
    /// A customer was added.
    #[strum(serialize = "customer.created")]
    CustomerCreated,
    /// A customer was changed.
    #[strum(serialize = "customer.updated")]
    CustomerUpdated,
    /// A customer was deleted, or erased.
    #[strum(serialize = "customer.deleted")]
    CustomerDeleted,
    /// An account was created.
    #[strum(serialize = "customer_account.created")]
    CustomerAccountCreated,
    /// An account has another name, or another role.
    #[strum(serialize = "customer_account.updated")]
    CustomerAccountUpdated,
    /// An account was deleted.
    #[strum(serialize = "customer_account.deleted")]
    CustomerAccountDeleted,
    /// An account has another password.
    #[strum(serialize = "customer_account.password_changed")]
    CustomerAccountPasswordChanged,
    /// Too many logins to an account have failed.
    #[strum(serialize = "customer_account.locked_out")]
    CustomerAccountLockedOut,
    /// An address of a customer was added.
    #[strum(serialize = "customer_address.created")]
    CustomerAddressCreated,
    /// An address of a customer was changed, or is the default from now on, or not any more.
    #[strum(serialize = "customer_address.updated")]
    CustomerAddressUpdated,
    /// An address of a customer was deleted.
    #[strum(serialize = "customer_address.deleted")]
    CustomerAddressDeleted,
    /// A webhook endpoint was added.
    #[strum(serialize = "webhook_endpoint.created")]
    WebhookEndpointCreated,
    /// A webhook endpoint was changed.
    #[strum(serialize = "webhook_endpoint.updated")]
    WebhookEndpointUpdated,
    /// A webhook endpoint was deleted.
    #[strum(serialize = "webhook_endpoint.deleted")]
    WebhookEndpointDeleted,
    /// A webhook endpoint has a new secret.
    #[strum(serialize = "webhook_endpoint.secret_rotated")]
    WebhookEndpointSecretRotated,
    /// A webhook endpoint is sent nothing any more.
    #[strum(serialize = "webhook_endpoint.disabled")]
    WebhookEndpointDisabled,
    /// Somebody tries whether a webhook endpoint hears.
    #[strum(serialize = "webhook_endpoint.test")]
    WebhookEndpointTest,
    /// A webhook delivery was given up.
    #[strum(serialize = "webhook_delivery.failed")]
    WebhookDeliveryFailed,
    /// An API key was made.
    #[strum(serialize = "api_key.created")]
    ApiKeyCreated,
    /// An API key was changed.
    #[strum(serialize = "api_key.updated")]
    ApiKeyUpdated,
    /// An API key was deleted.
    #[strum(serialize = "api_key.deleted")]
    ApiKeyDeleted,
}

/// What something can happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum SubjectKind {
    /// An order.
    Order,
    /// A checkout.
    Checkout,
    /// A product.
    Product,
    /// A shipping rate.
    ShippingRate,
    /// A tax rate.
    TaxRate,
    /// A discount.
    Discount,
    /// A customer.
    Customer,
    /// A customer account.
    CustomerAccount,
    /// An address of a customer.
    CustomerAddress,
    /// A webhook endpoint.
    WebhookEndpoint,
    /// A webhook delivery.
    WebhookDelivery,
    /// An API key.
    ApiKey,
}

/// Who can do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ActorKind {
    /// Somebody with an account.
    Account,
    /// A program with a key.
    ApiKey,
    /// An operator's command.
    Task,
    /// The store itself.
    System,
}

super::choice!(EventType, "EventType");
super::choice!(SubjectKind, "EventSubjectKind");
super::choice!(ActorKind, "EventActorKind");

/// Which types are meant: one, or all of one subject, such as `order.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventTypes {
    /// That one.
    One(EventType),
    /// All that can happen to one.
    AllOf(SubjectKind),
}

/// What a webhook endpoint hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// Everything but webhooks themselves, and keys.
    Everything,
    /// One type, or all of one subject.
    Some(EventTypes),
}

impl EventType {
    /// Whether its subject is gone from then on.
    pub fn is_deletion(self) -> bool {
        self.as_str().ends_with(".deleted")
    }
}

impl EventTypes {
    fn words() -> impl Iterator<Item = String> {
        let kinds = SubjectKind::VARIANTS.iter();
        let types = EventType::VARIANTS.iter();
        let types = types.map(|word| (*word).to_owned());
        types.chain(kinds.map(|kind| format!("{kind}.*")))
    }
}

impl Scalar for EventTypes {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let parsed = match text.strip_suffix(".*") {
            Some(kind) => kind.parse().map(Self::AllOf),
            None => text.parse().map(Self::One),
        };
        parsed.map_err(|_| {
            let message = "must be the type of an event, or all of one subject, such as order.*";
            RuleViolation::new("choice", message)
        })
    }

    fn schema() -> Schema {
        string().enum_values(Some(Self::words())).into()
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Some(EventTypes::One(only)) => f.write_str(only.as_str()),
            Self::Some(EventTypes::AllOf(kind)) => write!(f, "{kind}.*"),
        }
    }
}

impl Scalar for Subscription {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        if text == "*" {
            return Ok(Self::Everything);
        }
        EventTypes::parse(text).map(Self::Some).map_err(|_| {
            let message =
                "must be the type of an event, all of one subject, such as order.*, or * for all";
            RuleViolation::new("choice", message)
        })
    }

    fn schema() -> Schema {
        let words = std::iter::once("*".to_owned()).chain(EventTypes::words());
        string().enum_values(Some(words)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_and_no_other() {
        for word in EventTypes::words() {
            assert!(EventTypes::parse(&word).is_ok(), "{word}");
        }
        assert_eq!(
            EventTypes::parse("order.*"),
            Ok(EventTypes::AllOf(SubjectKind::Order))
        );
        for word in [
            "",
            "*",
            "order",
            "order.",
            "orders.*",
            "order.lost",
            "Order.placed",
        ] {
            assert!(EventTypes::parse(word).is_err(), "{word}");
        }
    }
}

//! Checkouts on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::orders::as_it_is;
use crate::models::{
    checkouts::{self, Message, ShippingOption, StandingLine, Totals},
    orders,
    types::{Amount, CheckoutAddress, CheckoutStatus, Money, OrderStatus, TaxShare},
};

/// A checkout.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checkout {
    /// Its id. Who knows that of a visitor's checkout may see and change it.
    id: String,
    /// How far it has come.
    #[schema(value_type = CheckoutStatus)]
    status: &'static str,
    /// Whether it can be completed as it is: it is open, and no message blocks.
    ready: bool,
    /// The store's currency (ISO 4217).
    currency: String,
    /// What is bought, at today's prices.
    items: Vec<CheckoutItem>,
    /// The email address of the buyer.
    #[schema(required)]
    email: Option<String>,
    /// The name of the buyer.
    #[schema(required)]
    name: Option<String>,
    /// The telephone number of the buyer.
    #[schema(required)]
    phone: Option<String>,
    /// The customer whose it is; `null` as long as it is nobody's.
    #[schema(required)]
    customer_id: Option<i64>,
    /// Where it goes.
    #[schema(required, value_type = Option<CheckoutAddress>)]
    shipping_address: Option<Box<RawValue>>,
    /// Where the invoice goes; `null`: to the shipping address.
    #[schema(required, value_type = Option<CheckoutAddress>)]
    billing_address: Option<Box<RawValue>>,
    /// A remark.
    #[schema(required)]
    note: Option<String>,
    /// How it can be shipped.
    shipping_options: Vec<CheckoutShippingOption>,
    /// How it is shipped: the id of a shipping option.
    #[schema(required)]
    shipping_option_id: Option<i64>,
    /// The code that takes something off.
    #[schema(required)]
    discount_code: Option<String>,
    /// What it comes to.
    totals: CheckoutTotals,
    /// What each tax rate has taxed, the highest first.
    taxes: Vec<TaxShare>,
    /// Whether prices include tax.
    prices_include_tax: bool,
    /// What is not right yet.
    messages: Vec<CheckoutMessage>,
    /// Until when its stock is held, if it is.
    #[schema(required, value_type = Option<DateTime<Utc>>)]
    #[serde(serialize_with = "super::moment_or_null")]
    held_until: Option<DateTime<Utc>>,
    /// The order that it has become.
    #[schema(required)]
    order: Option<CheckoutOrder>,
    /// When it was opened.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
    /// When it last changed.
    #[serde(serialize_with = "super::moment")]
    updated_at: DateTime<Utc>,
    /// Until when it is open without another change; `null` when it has ended.
    #[schema(required, value_type = Option<DateTime<Utc>>)]
    #[serde(serialize_with = "super::moment_or_null")]
    expires_at: Option<DateTime<Utc>>,
}

/// What is bought of one product.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckoutItem {
    /// The product.
    product_id: i64,
    /// Its stock keeping unit.
    #[schema(required)]
    sku: Option<String>,
    /// What it is called.
    name: String,
    /// What one piece costs.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    unit_price: Money,
    /// How many pieces.
    quantity: i64,
    /// What they cost together, before the discount.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    subtotal: Money,
    /// What the code takes off.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    discount: Money,
    /// The tax on them: a percentage.
    tax_rate: String,
    /// How much tax that is: part of the total, where prices include it.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    tax: Money,
    /// Subtotal − discount, without tax that comes on top.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    total: Money,
}

/// A way of shipping.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckoutShippingOption {
    /// The id of the shipping rate.
    id: i64,
    /// Its name.
    name: String,
    /// What it would cost now.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    price: Money,
}

/// What a checkout comes to.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckoutTotals {
    /// The goods before the discount.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    subtotal: Money,
    /// What the code takes off them.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    discount: Money,
    /// What shipping costs.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    shipping: Money,
    /// The tax on goods and shipping.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    tax: Money,
    /// What is to be paid: subtotal − discount + shipping, + tax where prices do not include it.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    total: Money,
}

/// Something that is not right yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckoutMessage {
    /// A stable word for it: `items-missing`, `email-missing`, `address-missing`, `address-incomplete`,
    /// `shipping-option-missing`, `shipping-unavailable`, `product-gone`, `out-of-stock`, `price-changed` or
    /// `code-not-applicable`.
    code: &'static str,
    /// A JSON pointer (RFC 6901) to what it is about.
    pointer: String,
    /// A sentence for people.
    message: String,
    /// Whether the checkout cannot be completed with it.
    blocking: bool,
    /// How many pieces are wanted of which there are too few.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    requested: Option<i64>,
    /// How many pieces there are.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<i64>,
}

/// The order that a checkout has become.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckoutOrder {
    /// Its id.
    id: i64,
    /// How far it has come.
    #[schema(value_type = OrderStatus)]
    status: String,
    /// When it was placed.
    #[serde(serialize_with = "super::moment")]
    placed_at: DateTime<Utc>,
}

impl From<checkouts::Checkout> for Checkout {
    fn from(whole: checkouts::Checkout) -> Self {
        let ready = whole.is_ready();
        let checkouts::Checkout {
            checkout,
            currency,
            standing,
            order,
        } = whole;
        let status = checkout.status().unwrap_or(CheckoutStatus::Expired);
        let is_open = status == CheckoutStatus::Open;
        Self {
            status: status.as_str(),
            ready,
            currency,
            items: standing.lines.into_iter().map(CheckoutItem::from).collect(),
            shipping_options: standing
                .shipping_options
                .into_iter()
                .map(CheckoutShippingOption::from)
                .collect(),
            totals: standing.totals.into(),
            taxes: standing.taxes,
            prices_include_tax: standing.prices_include_tax,
            messages: standing
                .messages
                .into_iter()
                .map(CheckoutMessage::from)
                .collect(),
            order: order.map(CheckoutOrder::from),
            id: checkout.token,
            email: checkout.email,
            name: checkout.name,
            phone: checkout.phone,
            customer_id: checkout.customer_id,
            shipping_address: checkout.shipping_address.and_then(as_it_is),
            billing_address: checkout.billing_address.and_then(as_it_is),
            note: checkout.note,
            shipping_option_id: checkout.shipping_option_id,
            discount_code: checkout.discount_code,
            held_until: checkout.held_until.map(|until| until.to_utc()),
            created_at: checkout.created_at.to_utc(),
            updated_at: checkout.updated_at.to_utc(),
            expires_at: is_open.then(|| checkout.expires_at.to_utc()),
        }
    }
}

impl From<StandingLine> for CheckoutItem {
    fn from(line: StandingLine) -> Self {
        Self {
            product_id: line.product_id,
            sku: line.sku,
            name: line.name,
            unit_price: line.unit_price,
            quantity: line.quantity,
            subtotal: line.subtotal,
            discount: line.discount,
            tax_rate: line.tax_rate.to_string(),
            tax: line.tax,
            total: line.total,
        }
    }
}

impl From<ShippingOption> for CheckoutShippingOption {
    fn from(option: ShippingOption) -> Self {
        Self {
            id: option.id,
            name: option.name,
            price: option.price,
        }
    }
}

impl From<Totals> for CheckoutTotals {
    fn from(totals: Totals) -> Self {
        Self {
            subtotal: totals.subtotal,
            discount: totals.discount,
            shipping: totals.shipping,
            tax: totals.tax,
            total: totals.total,
        }
    }
}

impl From<Message> for CheckoutMessage {
    fn from(message: Message) -> Self {
        let (requested, available) = message.stock.unzip();
        Self {
            code: message.code,
            pointer: message.pointer,
            message: message.message,
            blocking: message.blocking,
            requested,
            available,
        }
    }
}

impl From<orders::Model> for CheckoutOrder {
    fn from(order: orders::Model) -> Self {
        Self {
            id: order.id,
            status: order.status,
            placed_at: order.placed_at.to_utc(),
        }
    }
}

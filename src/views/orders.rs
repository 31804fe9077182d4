//! Orders on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::models::{
    order_events::Step,
    order_items::Item,
    orders,
    types::{Amount, Money, OrderStatus, ShippingAddress, TaxShare},
};

/// Who somebody is called that is not named.
const GUEST: &str = "guest";

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub struct Order {
    /// Its id.
    id: i64,
    /// How far it has come.
    #[schema(value_type = OrderStatus)]
    status: String,
    /// The customer who ordered. With a publishable key this is null.
    #[schema(required)]
    customer: Option<OrderCustomer>,
    /// Whom it is written to; `null` once they were erased.
    #[schema(required)]
    email: Option<String>,
    /// When it was placed.
    #[serde(serialize_with = "super::moment")]
    placed_at: DateTime<Utc>,
    /// The store's currency then (ISO 4217).
    currency: String,
    /// What was ordered, at the names and prices of that moment.
    items: Vec<OrderItem>,
    /// What the goods cost before the discount.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    subtotal: Money,
    /// What the code took off them.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    discount: Money,
    /// What shipping cost.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    shipping: Money,
    /// The tax on goods and shipping.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    tax: Money,
    /// What all of it costs: subtotal − discount + shipping, + tax where prices do not include it.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    total: Money,
    /// What each tax rate has taxed, the highest first. An order from before there were rates has none.
    #[schema(value_type = Vec<TaxShare>)]
    taxes: Box<RawValue>,
    /// Whether its prices include tax.
    prices_include_tax: bool,
    /// The code that it used, as it was written then.
    #[schema(required)]
    discount_code: Option<String>,
    /// How it is shipped: the name of the shipping rate then.
    #[schema(required)]
    shipping_name: Option<String>,
    /// Where to.
    #[schema(required, value_type = Option<ShippingAddress>)]
    shipping_address: Option<Box<RawValue>>,
    /// Where the invoice goes, if that is another address.
    #[schema(required, value_type = Option<ShippingAddress>)]
    billing_address: Option<Box<RawValue>>,
    /// A remark.
    #[schema(required)]
    note: Option<String>,
    /// Every status it has had, oldest first.
    history: Vec<OrderEvent>,
    /// When it last changed.
    #[serde(serialize_with = "super::moment")]
    updated_at: DateTime<Utc>,
}

/// Who ordered.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderCustomer {
    /// Their id.
    id: i64,
    /// Their name.
    name: String,
}

/// One line of an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderItem {
    /// The product.
    product_id: i64,
    /// Its stock keeping unit then.
    #[schema(required)]
    sku: Option<String>,
    /// What it was called.
    name: String,
    /// What one piece cost.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    unit_price: Money,
    /// How many.
    quantity: i64,
    /// What they cost together, before the discount.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    line_total: Money,
    /// What the code took off.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    discount: Money,
    /// The tax on them: a percentage.
    tax_rate: String,
    /// How much tax that is: part of what they cost, where prices include it.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    tax: Money,
}

/// One status that an order has had.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderEvent {
    /// The status.
    #[schema(value_type = OrderStatus)]
    status: String,
    /// Since when.
    #[serde(serialize_with = "super::moment")]
    at: DateTime<Utc>,
    /// By whom.
    by: String,
    /// Why, if a reason was given.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<orders::Order> for Order {
    fn from(order: orders::Order) -> Self {
        let orders::Order {
            order,
            customer_name,
            items,
            history,
        } = order;
        let taxes = order.taxes.clone().and_then(as_it_is);
        Self {
            id: order.id,
            subtotal: order.subtotal(),
            discount: Money::from_minor(order.discount_minor),
            shipping: Money::from_minor(order.shipping_minor),
            tax: Money::from_minor(order.tax_minor),
            total: order.total(),
            taxes: taxes.unwrap_or_else(no_list),
            prices_include_tax: order.prices_include_tax,
            discount_code: order.discount_code,
            shipping_name: order.shipping_name,
            billing_address: order.billing_address.and_then(as_it_is),
            email: order.email,
            customer: Some(OrderCustomer {
                id: order.customer_id,
                name: customer_name,
            }),
            placed_at: order.placed_at.to_utc(),
            updated_at: order.updated_at.to_utc(),
            status: order.status,
            currency: order.currency,
            items: items.into_iter().map(OrderItem::from).collect(),
            shipping_address: order.shipping_address.and_then(as_it_is),
            note: order.note,
            history: history.into_iter().map(OrderEvent::from).collect(),
        }
    }
}

impl Order {
    /// Its id.
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// The same for somebody of whom no more is known than the id of a checkout: it tells nothing of the customer, who
    /// may have been there before, and nobody's name.
    #[must_use]
    pub fn for_visitor(mut self) -> Self {
        self.customer = None;
        for step in &mut self.history {
            GUEST.clone_into(&mut step.by);
        }
        self
    }
}

/// `[]`.
fn no_list() -> Box<RawValue> {
    RawValue::from_string("[]".to_owned()).unwrap_or_default()
}

/// What is kept as JSON is shown as it is.
pub(super) fn as_it_is(json: String) -> Option<Box<RawValue>> {
    RawValue::from_string(json).ok()
}

impl From<Item> for OrderItem {
    fn from(item: Item) -> Self {
        Self {
            product_id: item.product_id,
            unit_price: item.unit_price,
            line_total: item.line_total,
            discount: item.discount,
            tax_rate: item.tax_rate.to_string(),
            tax: item.tax,
            sku: item.sku,
            name: item.name,
            quantity: item.quantity,
        }
    }
}

impl From<Step> for OrderEvent {
    fn from(step: Step) -> Self {
        Self {
            status: step.status,
            at: step.at.to_utc(),
            by: step.by,
            reason: step.reason,
        }
    }
}

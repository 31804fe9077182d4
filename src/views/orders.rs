//! Orders on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::models::{
    order_events::Step,
    order_items::Item,
    orders,
    types::{Amount, Money, OrderStatus, ShippingAddress},
};

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub struct Order {
    /// Its id.
    id: i64,
    /// How far it has come.
    #[schema(value_type = OrderStatus)]
    status: String,
    /// Who ordered.
    customer: OrderCustomer,
    /// When it was placed.
    #[serde(serialize_with = "super::moment")]
    placed_at: DateTime<Utc>,
    /// The store's currency then (ISO 4217).
    currency: String,
    /// What was ordered, at the names and prices of that moment.
    items: Vec<OrderItem>,
    /// What all of it costs.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    total: Money,
    /// Where to.
    #[schema(required, value_type = Option<ShippingAddress>)]
    shipping_address: Option<Box<RawValue>>,
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
    /// What they cost together.
    #[schema(value_type = Amount)]
    #[serde(serialize_with = "super::amount")]
    line_total: Money,
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
        Self {
            id: order.id,
            total: order.total(),
            customer: OrderCustomer {
                id: order.customer_id,
                name: customer_name,
            },
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
}

/// What is kept as JSON is shown as it is.
fn as_it_is(json: String) -> Option<Box<RawValue>> {
    RawValue::from_string(json).ok()
}

impl From<Item> for OrderItem {
    fn from(item: Item) -> Self {
        Self {
            product_id: item.product_id,
            unit_price: item.unit_price,
            line_total: item.line_total,
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

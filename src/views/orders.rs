//! Orders on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    fields::{Fields, FromFields},
    page::{MarkKind, SortWords},
    schemas::Amount,
};
use crate::models::{
    listing::Sort,
    order_events::Event,
    order_items::Item,
    orders::{self, Filter, Key, Line, Status},
    types::{Id, Moment, Note, Quantity, ShippingAddress},
};

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub struct Order {
    /// Its id.
    id: i64,
    /// How far it has come.
    #[schema(value_type = Status)]
    status: String,
    /// Who ordered.
    customer: OrderCustomer,
    /// When it was placed.
    placed_at: DateTime<Utc>,
    /// The store's currency then (ISO 4217).
    currency: String,
    /// What was ordered, at the names and prices of that moment.
    items: Vec<OrderItem>,
    /// What all of it costs.
    #[schema(value_type = Amount)]
    total: String,
    /// Where to.
    #[schema(required)]
    shipping_address: Option<String>,
    /// A remark.
    #[schema(required)]
    note: Option<String>,
    /// Every status it has had, oldest first.
    history: Vec<OrderEvent>,
    /// When it last changed.
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
    unit_price: String,
    /// How many.
    quantity: i64,
    /// What they cost together.
    #[schema(value_type = Amount)]
    line_total: String,
}

/// One status that an order has had.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderEvent {
    /// The status.
    #[schema(value_type = Status)]
    status: String,
    /// Since when.
    at: DateTime<Utc>,
    /// By whom.
    by: String,
    /// Why, if somebody said so.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What an order is placed with.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Placement` reads")]
pub struct OrderBody {
    /// What is ordered. Lines of the same product are merged.
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<OrderLineBody>,
    /// For whom; only administrators say so, and have to unless they are customers themselves.
    customer_id: Option<i64>,
    /// Where to.
    shipping_address: Option<ShippingAddress>,
    /// A remark.
    note: Option<Note>,
}

/// How many of which product.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Line` reads")]
pub struct OrderLineBody {
    /// The product.
    product_id: i64,
    /// How many.
    quantity: Quantity,
}

/// Where an order moves on to.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Advance` reads")]
pub struct OrderPatch {
    /// The next status.
    status: Status,
}

/// Why an order is cancelled.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents what `Cancellation` reads")]
pub struct CancellationBody {
    /// Why.
    reason: Option<Note>,
}

/// Which orders are listed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documents what `Filter` reads")]
pub struct OrderFilter {
    /// How far they have come.
    #[param(inline)]
    status: Option<Status>,
    /// Whose they are; for administrators.
    customer_id: Option<i64>,
    /// Placed then or later (RFC 3339).
    #[param(inline)]
    placed_from: Option<Moment>,
    /// Placed then or earlier (RFC 3339).
    #[param(inline)]
    placed_to: Option<Moment>,
}

/// Where an order moves on to, as a client says it.
#[derive(Clone, Copy, Debug)]
pub struct Advance {
    /// The next status.
    pub status: Status,
}

/// A cancellation as a client asks for it. The body may be missing.
#[derive(Clone, Debug)]
pub struct Cancellation {
    /// Why.
    pub reason: Option<Note>,
}

/// An order as a client places it.
#[derive(Clone, Debug)]
pub struct Placement {
    /// What is ordered.
    pub lines: Vec<Line>,
    /// For whom, if that was said.
    pub customer_id: Option<i64>,
    /// Where to.
    pub shipping_address: Option<ShippingAddress>,
    /// A remark.
    pub note: Option<Note>,
}

impl From<orders::Order> for Order {
    fn from(order: orders::Order) -> Self {
        let orders::Order {
            order,
            customer_name,
            items,
            events,
        } = order;
        Self {
            id: order.id,
            total: order.total().to_string(),
            customer: OrderCustomer {
                id: order.customer_id,
                name: customer_name,
            },
            placed_at: order.placed_at.to_utc(),
            updated_at: order.updated_at.to_utc(),
            status: order.status,
            currency: order.currency,
            items: items.into_iter().map(OrderItem::from).collect(),
            shipping_address: order.shipping_address,
            note: order.note,
            history: events.into_iter().map(OrderEvent::from).collect(),
        }
    }
}

impl Order {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> i64 {
        self.id
    }
}

impl From<Item> for OrderItem {
    fn from(item: Item) -> Self {
        Self {
            product_id: item.product_id,
            unit_price: item.unit_price.to_string(),
            line_total: item.line_total.to_string(),
            sku: item.sku,
            name: item.name,
            quantity: item.quantity,
        }
    }
}

impl From<Event> for OrderEvent {
    fn from(event: Event) -> Self {
        Self {
            status: event.status,
            at: event.at.to_utc(),
            by: event.by,
            reason: event.reason,
        }
    }
}

impl FromFields for Placement {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let lines = fields.each("items", 1..=100);
        let customer_id = fields.optional::<Id>("customer_id");
        let shipping_address = fields.optional("shipping_address");
        let note = fields.optional("note");
        Some(Self {
            lines: lines?,
            customer_id: customer_id?.map(|id| id.0),
            shipping_address: shipping_address?,
            note: note?,
        })
    }
}

impl FromFields for Advance {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let status = fields.required("status");
        Some(Self { status: status? })
    }
}

impl FromFields for Cancellation {
    const MAY_BE_MISSING: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let reason = fields.optional("reason");
        Some(Self { reason: reason? })
    }
}

impl FromFields for Line {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let product_id = fields.required::<Id>("product_id");
        let quantity = fields.required("quantity");
        Some(Self {
            product_id: product_id?.0,
            quantity: quantity?,
        })
    }
}

impl FromFields for Filter {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let status = fields.optional::<Status>("status");
        let customer_id = fields.optional::<Id>("customer_id");
        let placed_from = fields.optional::<Moment>("placed_from");
        let placed_to = fields.optional::<Moment>("placed_to");
        Some(Self {
            status: status?,
            customer_id: customer_id?.map(|id| id.0),
            placed_from: placed_from?.map(|moment| moment.0),
            placed_to: placed_to?.map(|moment| moment.0),
        })
    }
}

impl SortWords for Key {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("id", Self::Id),
        ("placed_at", Self::PlacedAt),
        ("total", Self::Total),
    ];
    const DEFAULT: Sort<Self> = Sort {
        key: Self::PlacedAt,
        descending: true,
    };

    fn kind(self) -> MarkKind {
        match self {
            Self::Id => MarkKind::Id,
            Self::PlacedAt => MarkKind::Time,
            Self::Total => MarkKind::Number,
        }
    }
}

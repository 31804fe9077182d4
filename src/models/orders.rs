//! Orders: who ordered what, when, for how much, and how far it has come.

use std::{collections::BTreeMap, fmt};

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, QuerySelect, QueryTrait, Select, SqlErr, TryIntoModel,
    entity::prelude::*, sea_query::Expr,
};

pub use super::_entities::orders::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, Error, Result, Topic, Transaction, customers,
    error::{BrokenRule, Shortage},
    listing::{self, Listing, Mark, Page, Position, SortKey},
    now,
    order_events::{self, Event},
    order_items::{self, Item},
    products,
    stock_movements::{self, Kind, Movement},
    types::{Money, Note, Quantity, Scalar, ShippingAddress, Violation},
};

impl ActiveModelBehavior for ActiveModel {}

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was placed.
    Placed,
    /// It is paid.
    Paid,
    /// It is on its way.
    Shipped,
    /// It has arrived.
    Delivered,
    /// It was called off, and its stock returned.
    Cancelled,
}

impl Status {
    /// The word for it, on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether an order may go from here to there in one step.
    #[must_use]
    pub const fn can_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Placed, Self::Paid | Self::Cancelled)
                | (Self::Paid, Self::Shipped | Self::Cancelled)
                | (Self::Shipped, Self::Delivered)
        )
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Scalar for Status {
    fn parse(text: &str) -> Result<Self, Violation> {
        [
            Self::Placed,
            Self::Paid,
            Self::Shipped,
            Self::Delivered,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| {
            Violation::new(
                "choice",
                "must be placed, paid, shipped, delivered or cancelled",
            )
        })
    }
}

/// An order with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Order {
    /// The order itself.
    pub order: Model,
    /// The customer's name.
    pub customer_name: String,
    /// What was ordered.
    pub items: Vec<Item>,
    /// What happened to it, oldest first.
    pub events: Vec<Event>,
}

/// Whose orders somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's.
    All,
    /// One customer's.
    Customer(i64),
}

/// What is to be ordered.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// For whom.
    pub customer_id: i64,
    /// What, as it was sent.
    pub lines: Vec<Line>,
    /// Where to.
    pub shipping_address: Option<ShippingAddress>,
    /// A remark.
    pub note: Option<Note>,
}

/// How many of which product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The product.
    pub product_id: i64,
    /// How many.
    pub quantity: Quantity,
}

/// The lines of one product, made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Merged {
    product_id: i64,
    quantity: i64,
    /// Where the product was first named, from 0.
    line: usize,
}

/// Which orders are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// How far they have come.
    pub status: Option<Status>,
    /// Whose they are.
    pub customer_id: Option<i64>,
    /// Placed then or later.
    pub placed_from: Option<DateTimeWithTimeZone>,
    /// Placed then or earlier.
    pub placed_to: Option<DateTimeWithTimeZone>,
}

/// What orders are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The id.
    Id,
    /// When they were placed.
    PlacedAt,
    /// Their total.
    Total,
}

impl SortKey<Entity> for Key {
    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::PlacedAt => Some(Column::PlacedAt),
            Self::Total => Some(Column::TotalMinor),
        }
    }

    fn id() -> Column {
        Column::Id
    }

    fn position(self, row: &Model) -> Position {
        let mark = match self {
            Self::Id => Mark::Id,
            Self::PlacedAt => Mark::Time(row.placed_at),
            Self::Total => Mark::Number(row.total_minor),
        };
        Position { mark, id: row.id }
    }
}

impl Scope {
    /// Whether something that shows that customer, or none, may be shown.
    #[must_use]
    pub fn includes(self, customer_id: Option<i64>) -> bool {
        match self {
            Self::All => true,
            Self::Customer(own) => customer_id.is_none_or(|shown| shown == own),
        }
    }

    fn apply(self, select: Select<Entity>) -> Select<Entity> {
        match self {
            Self::All => select,
            Self::Customer(id) => select.filter(Column::CustomerId.eq(id)),
        }
    }

    async fn lock(self, txn: &Transaction, id: i64) -> Result<Model> {
        self.apply(Entity::find_by_id(id))
            .lock_exclusive()
            .one(txn)
            .await?
            .ok_or(Error::NotFound)
    }
}

impl Model {
    /// The order with that id, if it is within the scope: somebody else's order is not found, because
    /// the query cannot see it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn find_for(db: &impl ConnectionTrait, scope: Scope, id: i64) -> Result<Order> {
        let order = scope
            .apply(Entity::find_by_id(id))
            .find_also_related(customers::Entity)
            .one(db)
            .await?;
        let (order, customer) = order.ok_or(Error::NotFound)?;
        let mut items = order_items::Model::of_orders(db, &[id]).await?;
        let mut events = order_events::Model::of_orders(db, &[id]).await?;
        Ok(Order {
            order,
            customer_name: customer.map(|customer| customer.name).unwrap_or_default(),
            items: items.remove(&id).unwrap_or_default(),
            events: events.remove(&id).unwrap_or_default(),
        })
    }

    /// The same, locked until the transaction ends.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn find_locked(txn: &Transaction, scope: Scope, id: i64) -> Result<Order> {
        scope.lock(txn, id).await?;
        Self::find_for(txn, scope, id).await
    }

    /// A page of the orders within the scope.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_for(
        db: &impl ConnectionTrait,
        scope: Scope,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<Order>> {
        let select = listing.filter.apply(scope.apply(Entity::find()));
        let page = listing::fetch(db, select, listing).await?;
        let ids: Vec<_> = page.items.iter().map(|order| order.id).collect();
        if ids.is_empty() {
            return Ok(Page {
                items: Vec::new(),
                page_size: page.page_size,
                place: page.place,
            });
        }
        let mut items = order_items::Model::of_orders(db, &ids).await?;
        let mut events = order_events::Model::of_orders(db, &ids).await?;
        let names =
            customers::Model::names(db, page.items.iter().map(|order| order.customer_id)).await?;
        Ok(page.map(|order| Order {
            customer_name: names.get(&order.customer_id).cloned().unwrap_or_default(),
            items: items.remove(&order.id).unwrap_or_default(),
            events: events.remove(&order.id).unwrap_or_default(),
            order,
        }))
    }

    /// Places an order, all of its lines or none. The stock is taken product by product in the order of
    /// their ids, so that no two orders wait for each other; and before the items are written, because
    /// their foreign key makes MySQL share the products' locks, which two orders could not both raise.
    ///
    /// # Errors
    /// [`Error::Invalid`] for every line whose product is not on sale, when there is no such customer,
    /// or when the total cannot be held; [`Error::InsufficientStock`] naming every short line.
    pub async fn place(
        txn: &Transaction,
        new: &NewOrder,
        currency: &str,
        actor: &Actor,
    ) -> Result<Order> {
        let lines = merge(&new.lines);
        let customer = customers::Model::find_locked(txn, new.customer_id)
            .await
            .map_err(unknown_customer)?;
        let products =
            products::Model::find_all(txn, lines.iter().map(|line| line.product_id)).await?;
        check_on_sale(&new.lines, &products)?;
        let placed_at = now();
        let (items, total) = priced(&lines, &products)?;
        let order = ActiveModel {
            customer_id: Set(customer.id),
            status: Set(Status::Placed.as_str().to_owned()),
            currency: Set(currency.to_owned()),
            total_minor: Set(total.minor()),
            shipping_address: Set(new.shipping_address.clone().map(String::from)),
            note: Set(new.note.clone().map(String::from)),
            placed_at: Set(placed_at),
            updated_at: Set(placed_at),
            ..Default::default()
        };
        let inserted = Entity::insert(order.clone()).exec(txn).await;
        let id = inserted.map_err(vanished)?.last_insert_id;
        let event =
            order_events::Model::record(txn, id, Status::Placed, None, actor, placed_at).await?;
        take_stock(txn, id, lines, &products, actor).await?;
        txn.touch([Topic::Orders, Topic::OrdersOf(customer.id)]);
        order_items::Model::record(txn, id, &items)
            .await
            .map_err(vanished)?;
        // Nothing is read again: what was written is known, and every statement is a round trip.
        let order = ActiveModel {
            id: Set(id),
            ..order
        };
        Ok(Order {
            order: order.try_into_model()?,
            customer_name: customer.name,
            items,
            events: vec![event],
        })
    }

    /// Moves an order within the scope on to its next status. Cancelling gives the stock back.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InvalidTransition`], also when somebody else was faster.
    pub async fn advance(
        txn: &Transaction,
        scope: Scope,
        id: i64,
        next: Status,
        reason: Option<Note>,
        actor: &Actor,
    ) -> Result<Order> {
        let order = scope.lock(txn, id).await?;
        let refusal = Error::InvalidTransition {
            from: order.status()?,
            to: next,
        };
        if !order.status()?.can_become(next) {
            return Err(refusal);
        }
        txn.touch([
            Topic::Order(id),
            Topic::Orders,
            Topic::OrdersOf(order.customer_id),
        ]);
        let at = now();
        let moved = Entity::update_many()
            .col_expr(Column::Status, Expr::value(next.as_str()))
            .col_expr(Column::UpdatedAt, Expr::value(at))
            .filter(Column::Id.eq(id))
            .filter(Column::Status.eq(&order.status))
            .exec(txn)
            .await?;
        if moved.rows_affected != 1 {
            return Err(refusal);
        }
        order_events::Model::record(txn, id, next, reason.map(String::from), actor, at).await?;
        if next == Status::Cancelled {
            return_stock(txn, id, actor).await?;
        }
        Self::find_for(txn, scope, id).await
    }

    /// How far it has come.
    ///
    /// # Errors
    /// Never, as long as the table's CHECK stands.
    pub fn status(&self) -> Result<Status> {
        Status::parse(&self.status).map_err(|_| {
            loco_rs::Error::Message(format!("order {} is {}", self.id, self.status)).into()
        })
    }

    /// Takes a customer's personal data out of their orders; the figures stay.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_customer(txn: &Transaction, customer_id: i64) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::ShippingAddress, Expr::value(None::<String>))
            .col_expr(Column::Note, Expr::value(None::<String>))
            .col_expr(Column::UpdatedAt, Expr::value(now()))
            .filter(Column::CustomerId.eq(customer_id))
            .exec(txn)
            .await?;
        order_events::Model::forget_reasons(txn, customer_id).await
    }

    /// The orders in whose history an account stands.
    #[must_use]
    pub fn acted_on_by(account_id: i64) -> Select<Entity> {
        let events = order_events::Entity::find()
            .select_only()
            .column(order_events::Column::OrderId)
            .filter(order_events::Column::AccountId.eq(account_id))
            .into_query();
        Entity::find().filter(Column::Id.in_subquery(events))
    }

    /// What all of it costs.
    #[must_use]
    pub const fn total(&self) -> Money {
        Money::from_minor(self.total_minor)
    }
}

/// One line for each product, in the order in which the products were first named.
fn merge(lines: &[Line]) -> Vec<Merged> {
    let mut merged = BTreeMap::<i64, Merged>::new();
    for (
        at,
        Line {
            product_id,
            quantity,
        },
    ) in lines.iter().copied().enumerate()
    {
        merged
            .entry(product_id)
            .or_insert(Merged {
                product_id,
                quantity: 0,
                line: at,
            })
            .quantity += quantity.get();
    }
    let mut merged: Vec<_> = merged.into_values().collect();
    merged.sort_by_key(|line| line.line);
    merged
}

fn check_on_sale(lines: &[Line], products: &BTreeMap<i64, products::Model>) -> Result<()> {
    let unknown: Vec<_> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !products.contains_key(&line.product_id))
        .map(|(at, _)| {
            BrokenRule::at(
                format!("/items/{at}/product_id"),
                "reference",
                "is no product on sale",
            )
        })
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(unknown))
    }
}

/// The order's items at today's names and prices, and their total.
fn priced(
    lines: &[Merged],
    products: &BTreeMap<i64, products::Model>,
) -> Result<(Vec<Item>, Money)> {
    let mut total = Money::default();
    let mut items = Vec::with_capacity(lines.len());
    for line in lines {
        let product = products.get(&line.product_id).ok_or(Error::NotFound)?;
        let line_total = product.price().times(line.quantity).ok_or_else(too_much)?;
        total = total.plus(line_total).ok_or_else(too_much)?;
        items.push(Item {
            product_id: product.id,
            sku: product.sku.clone(),
            name: product.name.clone(),
            unit_price: product.price(),
            quantity: line.quantity,
            line_total,
        });
    }
    Ok((items, total))
}

/// Takes the pieces and writes the ledger; or names every line that is short, when one is.
async fn take_stock(
    txn: &Transaction,
    order_id: i64,
    mut lines: Vec<Merged>,
    products: &BTreeMap<i64, products::Model>,
    actor: &Actor,
) -> Result<()> {
    lines.retain(|line| {
        products
            .get(&line.product_id)
            .is_some_and(|product| product.stock.is_some())
    });
    lines.sort_by_key(|line| line.product_id);
    let mut short = Vec::new();
    for line in &lines {
        if !products::Model::take(txn, line.product_id, line.quantity).await? {
            short.push(*line);
        }
    }
    if !short.is_empty() {
        return Err(shortage(txn, short).await?);
    }
    let movements = lines.iter().map(|line| Movement {
        product_id: line.product_id,
        kind: Kind::Order,
        delta: -line.quantity,
        reason: None,
        order_id: Some(order_id),
    });
    stock_movements::Model::record(txn, movements, actor).await
}

/// Gives back what the order took, product by product in the order of their ids, to those whose stock
/// is tracked still.
async fn return_stock(txn: &Transaction, order_id: i64, actor: &Actor) -> Result<()> {
    let mut movements = Vec::new();
    for taken in stock_movements::Model::of_order(txn, order_id).await? {
        let delta = -taken.delta;
        if products::Model::put_back(txn, taken.product_id, delta).await? {
            let product_id = taken.product_id;
            let kind = Kind::Cancellation;
            movements.push(Movement {
                product_id,
                kind,
                delta,
                reason: None,
                order_id: Some(order_id),
            });
        }
    }
    stock_movements::Model::record(txn, movements, actor).await
}

/// What to say of the lines whose pieces could not be taken.
async fn shortage(txn: &Transaction, mut short: Vec<Merged>) -> Result<Error> {
    short.sort_by_key(|line| line.line);
    let products = products::Model::find_all(txn, short.iter().map(|line| line.product_id)).await?;
    let untracked = |id| {
        products
            .get(id)
            .is_some_and(|product: &products::Model| product.stock.is_none())
    };
    if short.iter().any(|line| untracked(&line.product_id)) {
        // Tracked when the order began, and not any more: there is no shortage.
        return Ok(Error::Overtaken);
    }
    let shortages = short.into_iter().map(|line| Shortage {
        line: Some(line.line),
        product_id: line.product_id,
        requested: line.quantity,
        // Archived since the order began: there is none for this one.
        available: products
            .get(&line.product_id)
            .and_then(|product| product.stock)
            .unwrap_or_default(),
    });
    Ok(Error::InsufficientStock(shortages.collect()))
}

fn unknown_customer(error: Error) -> Error {
    match error {
        Error::NotFound => Error::Invalid(vec![BrokenRule::at(
            "/customer_id",
            "reference",
            "is no customer",
        )]),
        error => error,
    }
}

fn too_much() -> Error {
    Error::Invalid(vec![BrokenRule::at(
        "/items",
        "range",
        "cost more than an order can hold",
    )])
}

/// A customer or product that went away after it was read is a reference to nothing.
fn vanished(error: DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::NotFound,
        _ => error.into(),
    }
}

impl Filter {
    fn apply(&self, mut select: Select<Entity>) -> Select<Entity> {
        if let Some(status) = self.status {
            select = select.filter(Column::Status.eq(status.as_str()));
        }
        if let Some(id) = self.customer_id {
            select = select.filter(Column::CustomerId.eq(id));
        }
        if let Some(from) = self.placed_from {
            select = select.filter(Column::PlacedAt.gte(from));
        }
        if let Some(to) = self.placed_to {
            select = select.filter(Column::PlacedAt.lte(to));
        }
        select
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Status; 5] = [
        Status::Placed,
        Status::Paid,
        Status::Shipped,
        Status::Delivered,
        Status::Cancelled,
    ];

    #[test]
    fn an_order_moves_along_the_arrows_only() {
        let arrows: Vec<_> = ALL
            .iter()
            .flat_map(|from| {
                ALL.iter()
                    .filter(|to| from.can_become(**to))
                    .map(move |to| format!("{from} → {to}"))
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
    fn every_status_reads_back() {
        for status in ALL {
            assert_eq!(Status::parse(status.as_str()), Ok(status));
        }
        assert_eq!(Status::parse("Placed").unwrap_err().code, "choice");
    }

    fn lines() -> impl Strategy<Value = Vec<Line>> {
        let line = (1..=8_i64, 1..=10_000_i64).prop_map(|(product_id, quantity)| Line {
            product_id,
            quantity: Quantity::new(quantity).unwrap(),
        });
        proptest::collection::vec(line, 1..=100)
    }

    proptest! {
        #[test]
        fn merging_keeps_every_piece_and_names_each_product_once(lines in lines()) {
            let merged = merge(&lines);
            let pieces: i64 = lines.iter().map(|line| line.quantity.get()).sum();
            prop_assert_eq!(merged.iter().map(|line| line.quantity).sum::<i64>(), pieces);
            for line in &merged {
                prop_assert_eq!(merged.iter().filter(|other| other.product_id == line.product_id).count(), 1);
                let first = lines.iter().position(|sent| sent.product_id == line.product_id);
                prop_assert_eq!(Some(line.line), first);
            }
            prop_assert!(merged.is_sorted_by_key(|line| line.line));
        }
    }
}

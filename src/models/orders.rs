//! Orders: who ordered what, when, for how much, and how far it has come.

use std::{collections::BTreeMap, mem};

use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, FromQueryResult, QueryResult, QuerySelect,
    QueryTrait, Select, SqlErr, TryIntoModel, entity::prelude::*, sea_query::Expr,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::orders::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, CacheTag, Error, Result, Transaction, customer_accounts, customer_addresses, customers,
    error::FieldError,
    found,
    growing::Growing,
    input::{Fields, Input},
    listing::{self, Listing, Page, Sort, SortKey},
    now,
    order_events::{self, Step},
    order_items::{self, Item},
    products::{self, Offer},
    statement::insert,
    stock_movements::{self, Movement},
    types::{
        Address, EventType, Money, MovementKind, Note, OrderStatus, Quantity, Role, Scalar,
        ShippingAddress, Timestamp,
    },
};

impl ActiveModelBehavior for ActiveModel {}

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
    pub history: Vec<Step>,
}

/// Whose orders an account may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of all customers.
    All,
    /// One customer's.
    Customer(i64),
}

/// What an order is placed with.
#[derive(Clone, Debug, Input)]
#[input(schema = OrderBody, check = goes_to_one_address)]
pub struct NewOrder {
    /// What is ordered. Lines of the same product are merged.
    #[input(items = 1..=100)]
    pub items: Vec<OrderLine>,
    /// The customer it is for: only administrators name one, and have to unless they are customers.
    pub customer_id: Option<i64>,
    /// The address it goes to.
    #[input(nested)]
    pub shipping_address: Option<Address>,
    /// One of the customer's own addresses, which it goes to. The order keeps a copy. Excludes `shipping_address`.
    pub shipping_address_id: Option<i64>,
    /// A remark.
    pub note: Option<Note>,
}

fn goes_to_one_address(fields: &mut Fields<'_>) {
    if fields.has("shipping_address") && fields.has("shipping_address_id") {
        let message = "excludes shipping_address";
        fields.refuse("shipping_address_id", "exclusive", message);
    }
}

/// How many pieces of which product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Input)]
#[input(schema = OrderLineBody)]
pub struct OrderLine {
    /// The product.
    pub product_id: i64,
    /// How many pieces.
    pub quantity: Quantity,
}

/// The status that an order gets next.
#[derive(Clone, Copy, Debug, Input)]
#[input(schema = OrderPatch)]
pub struct StatusChange {
    /// The next status.
    pub status: OrderStatus,
}

/// A cancellation.
#[derive(Clone, Debug, Input)]
#[input(schema = CancellationBody, may_be_missing)]
pub struct Cancellation {
    /// Why.
    pub reason: Option<Note>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Input)]
pub struct Filter {
    /// How far they have come.
    pub status: Option<OrderStatus>,
    /// The customer they are for; only administrators name one.
    pub customer_id: Option<i64>,
    /// Placed then or later (RFC 3339).
    pub placed_from: Option<Timestamp>,
    /// Placed then or earlier (RFC 3339).
    pub placed_to: Option<Timestamp>,
}

/// What orders are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
    /// When they were placed.
    PlacedAt,
    /// Their total.
    Total,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::descending(Self::PlacedAt);

    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::PlacedAt => Some(Column::PlacedAt),
            Self::Total => Some(Column::TotalMinor),
        }
    }
}

impl NewOrder {
    /// The customer whose order it is: the account's own, unless an administrator names one.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn customer_for(&self, account: Option<&customer_accounts::Model>) -> Result<i64> {
        let own = account.and_then(|account| account.customer_id);
        match self.customer_id {
            Some(_) if account.is_some_and(|account| account.role() != Role::Admin) => {
                Err(for_administrators())
            }
            named => named.or(own).ok_or_else(|| {
                let message = "is required unless your account belongs to a customer";
                FieldError::at("/customer_id", "required", message).into()
            }),
        }
    }

    /// Where it goes, as the order keeps it. Notes that the customer has no address of that id.
    async fn ships_to(
        &self,
        txn: &Transaction,
        customer_id: i64,
        broken: &mut Vec<FieldError>,
    ) -> Result<Option<String>> {
        let address: ShippingAddress = match (&self.shipping_address, self.shipping_address_id) {
            (Some(address), _) => address.clone().into(),
            (None, Some(id)) => match customer_addresses::Model::find(txn, customer_id, id).await {
                Err(Error::NotFound) => {
                    let message = "must be one of the customer's addresses";
                    broken.push(FieldError::at("/shipping_address_id", "reference", message));
                    return Ok(None);
                }
                address => address?.into(),
            },
            (None, None) => return Ok(None),
        };
        address.json().map(Some)
    }
}

impl Scope {
    /// Whether something that shows that customer, or none, may be shown.
    pub fn includes(self, customer_id: Option<i64>) -> bool {
        match self {
            Self::All => true,
            Self::Customer(own) => customer_id.is_none_or(|shown| shown == own),
        }
    }

    fn condition(self) -> Option<Expr> {
        match self {
            Self::All => None,
            Self::Customer(id) => Some(Column::CustomerId.eq(id)),
        }
    }

    fn apply(self, select: Select<Entity>) -> Select<Entity> {
        select.filter(Condition::all().add_option(self.condition()))
    }

    async fn lock(self, txn: &Transaction, id: i64) -> Result<Model> {
        found(txn, self.apply(Entity::find_by_id(id)).lock_exclusive()).await
    }
}

impl Model {
    /// The order with that id, if it is within the scope: the order of another customer is not found,
    /// because the query cannot see it.
    pub async fn find_for(db: &impl ConnectionTrait, scope: Scope, id: i64) -> Result<Order> {
        let order = with_customer(scope.apply(Entity::find_by_id(id)));
        let order = order.into_model::<Row>().one(db).await?;
        let order = order.ok_or(Error::NotFound)?;
        let items = order_items::Model::of_orders(db, &[id]).await?;
        let history = order_events::Model::of_orders(db, &[id]).await?;
        Ok(order.with(
            items.into_iter().map(|(_, item)| item).collect(),
            history.into_iter().map(|(_, step)| step).collect(),
        ))
    }

    /// The same, locked until the transaction ends.
    pub async fn find_locked(txn: &Transaction, scope: Scope, id: i64) -> Result<Order> {
        scope.lock(txn, id).await?;
        Self::find_for(txn, scope, id).await
    }

    /// A page of the orders within the scope.
    pub async fn list_for(
        db: &impl ConnectionTrait,
        scope: Scope,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<Order>> {
        let orders = with_customer(scope.apply(Entity::find()));
        let page: Page<Row> = listing::fetch(db, orders, listing).await?;
        let ids: Vec<_> = page.items.iter().map(|row| row.order.id).collect();
        let mut items = grouped(order_items::Model::of_orders(db, &ids).await?);
        let mut histories = grouped(order_events::Model::of_orders(db, &ids).await?);
        Ok(page.map(|row| {
            let id = row.order.id;
            row.with(take(&mut items, id), take(&mut histories, id))
        }))
    }

    /// How many orders within the scope a list has.
    pub async fn count_for(
        db: &impl ConnectionTrait,
        scope: Scope,
        filter: &Filter,
    ) -> Result<u64> {
        listing::count(db, scope.apply(Entity::find()), filter).await
    }

    /// The orders within the scope as a list that only grows, unless the filter is one that an order may cease to
    /// pass. Orders are committed in another order than that of their ids.
    pub fn growing(scope: Scope, filter: &Filter) -> Option<Growing<Entity>> {
        if filter.status.is_some() {
            return None;
        }
        let own = listing::Filter::condition(filter);
        Some(Growing {
            id: Column::Id,
            among: Condition::all(),
            own: own.add_option(scope.condition()),
            past: Some(CacheTag::PastOrders),
        })
    }

    /// Places an order, all of its lines or none. Where orders are placed at the same time the stock is taken
    /// product by product in the order of their ids, so that no two orders wait for each other; and before the
    /// items are written, because their foreign key makes MySQL share the products' locks, which two orders
    /// could not both raise.
    ///
    /// # Errors
    /// [`Error::Invalid`] for every line whose product is not on sale, when the customer or the address does not exist,
    /// or when the total cannot be held; [`Error::InsufficientStock`] naming every short line.
    pub async fn place(
        txn: &Transaction,
        customer_id: i64,
        new: &NewOrder,
        currency: &str,
        actor: &Actor,
    ) -> Result<Order> {
        let lines = merge(&new.items)?;
        let customer_name = customers::Model::name_locked(txn, customer_id).await;
        let customer_name = customer_name.map_err(customers::unknown)?;
        let ids = lines.iter().map(|line| line.product_id);
        let offers = products::Model::offers(txn, ids).await?;
        let mut broken = not_on_sale(&new.items, &offers);
        let shipping_address = new.ships_to(txn, customer_id, &mut broken).await?;
        if !broken.is_empty() {
            return Err(Error::Invalid(broken));
        }
        let placed_at = now();
        let (items, total) = priced(&lines, &offers)?;
        let order = ActiveModel {
            customer_id: Set(customer_id),
            status: Set(OrderStatus::Placed.as_str().to_owned()),
            currency: Set(currency.to_owned()),
            total_minor: Set(total.minor()),
            shipping_address: Set(shipping_address),
            note: Set(new.note.clone().map(String::from)),
            placed_at: Set(placed_at),
            updated_at: Set(placed_at),
            ..Default::default()
        };
        let id = insert(txn, order.clone()).await.map_err(vanished)?;
        let status = OrderStatus::Placed;
        let (step, history) = order_events::Model::record(txn, id, status, None, actor, placed_at);
        // Nothing is read again: what was written is known, and every statement is a round trip.
        let order = ActiveModel {
            id: Set(id),
            ..order
        };
        let order = Order {
            order: order.try_into_model()?,
            customer_name,
            items,
            history: vec![step],
        };
        txn.happened(EventType::OrderPlaced, &order);
        let taken = take_stock(txn, id, lines, &offers).await?;
        let mut records = vec![history, order_items::Model::record(txn, id, &order.items)];
        records.extend(stock_movements::Model::entries(txn, taken, actor));
        txn.execute_later(records).await.map_err(vanished)?;
        Ok(order)
    }

    /// Gives an order within the scope its next status. Cancelling gives the stock back.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InvalidTransition`], also when another request was faster.
    pub async fn change_status(
        txn: &Transaction,
        scope: Scope,
        id: i64,
        next: OrderStatus,
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
        let reason = reason.map(String::from);
        let (_, history) = order_events::Model::record(txn, id, next, reason, actor, at);
        txn.execute_raw(history).await?;
        let order = Self::find_for(txn, scope, id).await?;
        txn.happened(next.event_type(), &order);
        if next == OrderStatus::Cancelled {
            return_stock(txn, id, actor).await?;
        }
        Ok(order)
    }

    /// How far it has come.
    pub fn status(&self) -> Result<OrderStatus> {
        OrderStatus::parse(&self.status).map_err(|_| {
            loco_rs::Error::Message(format!("order {} is {}", self.id, self.status)).into()
        })
    }

    /// Takes a customer's personal data out of their orders; the figures stay.
    pub async fn anonymize_customer(txn: &Transaction, customer_id: i64) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::ShippingAddress, Expr::value(None::<String>))
            .col_expr(Column::Note, Expr::value(None::<String>))
            .col_expr(Column::UpdatedAt, Expr::value(now()))
            .filter(Column::CustomerId.eq(customer_id))
            .exec(txn)
            .await?;
        order_events::Model::delete_reasons(txn, customer_id).await
    }

    /// The orders in whose history an account stands.
    pub fn acted_on_by(account_id: i64) -> Select<Entity> {
        let events = order_events::Entity::find()
            .select_only()
            .column(order_events::Column::OrderId)
            .filter(order_events::Column::AccountId.eq(account_id))
            .into_query();
        Entity::find().filter(Column::Id.in_subquery(events))
    }

    /// What all of it costs.
    pub const fn total(&self) -> Money {
        Money::from_minor(self.total_minor)
    }
}

/// An order with the name of its customer, as one statement reads them.
struct Row {
    order: Model,
    customer_name: String,
}

impl Row {
    fn with(self, items: Vec<Item>, history: Vec<Step>) -> Order {
        Order {
            order: self.order,
            customer_name: self.customer_name,
            items,
            history,
        }
    }
}

impl FromQueryResult for Row {
    /// By the places of the columns, which takes half as long as by their names.
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        Ok(Self {
            order: Model {
                id: row.try_get_by_index(0)?,
                customer_id: row.try_get_by_index(1)?,
                status: row.try_get_by_index(2)?,
                currency: row.try_get_by_index(3)?,
                total_minor: row.try_get_by_index(4)?,
                shipping_address: row.try_get_by_index(5)?,
                note: row.try_get_by_index(6)?,
                placed_at: row.try_get_by_index(7)?,
                updated_at: row.try_get_by_index(8)?,
            },
            customer_name: row.try_get_by_index(9)?,
        })
    }
}

/// Selects what a [`Row`] has: the columns of orders, in their order, and the name of the customer, who may
/// have been erased.
fn with_customer(orders: Select<Entity>) -> Select<Entity> {
    let orders = orders.left_join(customers::Entity);
    orders.column_as(customers::Column::Name, "customer_name")
}

/// What stands in the order of the ids before it, by these ids.
fn grouped<T>(rows: Vec<(i64, T)>) -> Vec<(i64, Vec<T>)> {
    let mut groups = Vec::<(i64, Vec<T>)>::new();
    for (id, row) in rows {
        match groups.last_mut() {
            Some((last, group)) if *last == id => group.push(row),
            _ => groups.push((id, vec![row])),
        }
    }
    groups
}

fn take<T>(groups: &mut [(i64, Vec<T>)], id: i64) -> Vec<T> {
    let found = groups.binary_search_by_key(&id, |(id, _)| *id);
    let group = found.ok().and_then(|at| groups.get_mut(at));
    group.map(|(_, rows)| mem::take(rows)).unwrap_or_default()
}

/// One line for each product, in the order in which the products were first named.
///
/// # Errors
/// [`Error::Invalid`] for every line that takes its product over the largest [`Quantity`].
fn merge(lines: &[OrderLine]) -> Result<Vec<Merged>> {
    let mut merged = BTreeMap::<i64, Merged>::new();
    let mut refused = Vec::new();
    for (line, sent) in lines.iter().enumerate() {
        let product_id = sent.product_id;
        let first = || Merged {
            product_id,
            quantity: 0,
            line,
        };
        let merged = merged.entry(product_id).or_insert_with(first);
        merged.quantity += sent.quantity.get();
        if let Err(violation) = Quantity::parse(&merged.quantity.to_string()) {
            let pointer = format!("/items/{line}/quantity");
            let message = format!(
                "{} of one product, in all lines together",
                violation.message
            );
            refused.push(FieldError::at(pointer, violation.code, message));
        }
    }
    if !refused.is_empty() {
        return Err(Error::Invalid(refused));
    }
    let mut merged: Vec<_> = merged.into_values().collect();
    merged.sort_by_key(|line| line.line);
    Ok(merged)
}

/// What is wrong with the lines whose products are not on sale.
fn not_on_sale(lines: &[OrderLine], offers: &BTreeMap<i64, Offer>) -> Vec<FieldError> {
    let refused = |(at, _)| {
        let pointer = format!("/items/{at}/product_id");
        FieldError::at(pointer, "reference", "must be a product on sale")
    };
    let lines = lines.iter().enumerate();
    let unknown = lines.filter(|(_, line)| !offers.contains_key(&line.product_id));
    unknown.map(refused).collect()
}

/// The order's items at today's names and prices, and their total.
fn priced(lines: &[Merged], offers: &BTreeMap<i64, Offer>) -> Result<(Vec<Item>, Money)> {
    let mut total = Money::default();
    let mut items = Vec::with_capacity(lines.len());
    for line in lines {
        let offer = offers.get(&line.product_id).ok_or(Error::NotFound)?;
        let unit_price = Money::from_minor(offer.price_minor);
        let line_total = unit_price.times(line.quantity).ok_or_else(too_much)?;
        total = total.plus(line_total).ok_or_else(too_much)?;
        items.push(Item {
            product_id: offer.id,
            sku: offer.sku.clone(),
            name: offer.name.clone(),
            unit_price,
            quantity: line.quantity,
            line_total,
        });
    }
    Ok((items, total))
}

/// Takes the pieces whose stock is tracked, and answers what the ledger has to say of it; or names every line that is
/// short, when one is.
async fn take_stock(
    txn: &Transaction,
    order_id: i64,
    mut lines: Vec<Merged>,
    offers: &BTreeMap<i64, Offer>,
) -> Result<Vec<Movement>> {
    let stock = |line: &Merged| offers.get(&line.product_id)?.stock;
    lines.retain(|line| stock(line).is_some());
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    lines.sort_by_key(|line| line.product_id);
    let wanted = lines.iter().map(|line| (line.product_id, line.quantity));
    let left = products::Model::take(txn, &wanted.collect(), offers).await?;
    if left.len() < lines.len() {
        lines.retain(|line| !left.contains_key(&line.product_id));
        return Err(shortage(txn, lines).await?);
    }
    let taken = lines.iter().map(|line| Movement {
        product_id: line.product_id,
        kind: MovementKind::Order,
        delta: -line.quantity,
        reason: None,
        order_id: Some(order_id),
        checkout_id: None,
    });
    Ok(taken.collect())
}

/// Gives back what the order took, product by product in the order of their ids, to those whose stock
/// is tracked still.
async fn return_stock(txn: &Transaction, order_id: i64, actor: &Actor) -> Result<()> {
    let taken = stock_movements::Model::of_order(txn, order_id).await?;
    let taken = taken.iter().map(|taken| (taken.product_id, -taken.delta));
    let mut returned: BTreeMap<_, _> = taken.collect();
    let tracked = products::Model::put_back(txn, &returned).await?;
    returned.retain(|product_id, _| tracked.contains(product_id));
    let movements = returned.into_iter().map(|(product_id, delta)| Movement {
        product_id,
        kind: MovementKind::Cancellation,
        delta,
        reason: None,
        order_id: Some(order_id),
        checkout_id: None,
    });
    stock_movements::Model::record(txn, movements, actor).await
}

/// What to say of the lines whose pieces could not be taken.
async fn shortage(txn: &Transaction, mut short: Vec<Merged>) -> Result<Error> {
    short.sort_by_key(|line| line.line);
    let offers = products::Model::offers(txn, short.iter().map(|line| line.product_id)).await?;
    if offers.values().any(|offer| offer.stock.is_none()) {
        // Tracked when the order began, and not any more: nothing is short.
        return Ok(Error::WriteConflict);
    }
    let shortages = short.into_iter().map(|line| {
        let id = line.product_id;
        // Archived since the order began: there is none for this one.
        let available = offers.get(&id).and_then(|offer| offer.stock);
        let pointer = format!("/items/{}", line.line);
        FieldError::shortage(&pointer, id, line.quantity, available.unwrap_or_default())
    });
    Ok(Error::InsufficientStock(shortages.collect()))
}

fn for_administrators() -> Error {
    let message = "may be set by administrators only";
    FieldError::at("/customer_id", "forbidden", message).into()
}

fn too_much() -> Error {
    let message = "must not cost more than an order can hold";
    FieldError::at("/items", "range", message).into()
}

/// A customer or product that went away after it was read is a reference to nothing.
fn vanished(error: DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::NotFound,
        _ => error.into(),
    }
}

impl listing::Filter for Filter {
    fn condition(&self) -> Condition {
        let status = self.status.map(|status| Column::Status.eq(status.as_str()));
        Condition::all()
            .add_option(status)
            .add_option(self.customer_id.map(|id| Column::CustomerId.eq(id)))
            .add_option(self.placed_from.map(|from| Column::PlacedAt.gte(from.0)))
            .add_option(self.placed_to.map(|to| Column::PlacedAt.lte(to.0)))
    }
}

impl Filter {
    /// Refuses a filter by customer to those who see one customer's orders only.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check_for(&self, scope: Scope) -> Result<()> {
        match (scope, self.customer_id) {
            (Scope::Customer(_), Some(_)) => Err(for_administrators()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines() -> impl Strategy<Value = Vec<OrderLine>> {
        let line = (1..=8_i64, 1..=100_i64).prop_map(|(product_id, quantity)| OrderLine {
            product_id,
            quantity: Quantity::new(quantity).unwrap(),
        });
        proptest::collection::vec(line, 1..=100)
    }

    proptest! {
        #[test]
        fn merging_keeps_every_piece_and_names_each_product_once(lines in lines()) {
            let merged = merge(&lines).unwrap();
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

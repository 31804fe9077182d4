//! Orders: who ordered what, when, for how much, and how far it has come.

mod placement;

use std::{collections::BTreeMap, mem};

use sea_orm::{
    Condition, ConnectionTrait, FromQueryResult, QueryResult, QuerySelect, QueryTrait, Select,
    entity::prelude::*, sea_query::Expr,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub(super) use self::placement::{Draft, Line, applicable, merge, not_on_sale, shortage};
pub use self::placement::{NewOrder, OrderLine, Sale};
pub use super::_entities::orders::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, CacheTag, Error, Result, Transaction, customers, discount_uses,
    error::FieldError,
    found,
    growing::Growing,
    input::Input,
    listing::{self, Listing, Page, Sort, SortKey},
    now,
    order_events::{self, Step},
    order_items::{self, Item},
    products::{self, Purpose},
    stock_movements::{self, Movement},
    types::{Money, MovementKind, Note, OrderStatus, Scalar, Timestamp},
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

    /// The order that a checkout has become.
    pub async fn find_by_checkout(db: &impl ConnectionTrait, checkout_id: &str) -> Result<Order> {
        let id = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::CheckoutId.eq(checkout_id))
            .into_tuple::<i64>();
        let id = id.one(db).await?.ok_or(Error::NotFound)?;
        Self::find_for(db, Scope::All, id).await
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
            return_stock(txn, &order.order, actor).await?;
            discount_uses::Model::give_back(txn, id).await?;
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
            .col_expr(Column::Email, Expr::value(None::<String>))
            .col_expr(Column::ShippingAddress, Expr::value(None::<String>))
            .col_expr(Column::BillingAddress, Expr::value(None::<String>))
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

    /// What the goods cost before the discount: the rest of the total.
    pub const fn subtotal(&self) -> Money {
        let tax_on_top = if self.prices_include_tax {
            0
        } else {
            self.tax_minor
        };
        let goods = self.total_minor - tax_on_top - self.shipping_minor;
        Money::from_minor(goods + self.discount_minor)
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
                discount_minor: row.try_get_by_index(9)?,
                shipping_minor: row.try_get_by_index(10)?,
                tax_minor: row.try_get_by_index(11)?,
                prices_include_tax: row.try_get_by_index(12)?,
                taxes: row.try_get_by_index(13)?,
                email: row.try_get_by_index(14)?,
                billing_address: row.try_get_by_index(15)?,
                shipping_name: row.try_get_by_index(16)?,
                discount_code: row.try_get_by_index(17)?,
                checkout_id: row.try_get_by_index(18)?,
            },
            customer_name: row.try_get_by_index(19)?,
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

/// Gives back what the order took, product by product in the order of their ids, to those whose stock
/// is tracked still.
async fn return_stock(txn: &Transaction, order: &Model, actor: &Actor) -> Result<()> {
    let taken = stock_movements::Model::of_order(txn, order).await?;
    let mut returned = BTreeMap::new();
    for taken in taken {
        *returned.entry(taken.product_id).or_default() -= taken.delta;
    }
    returned.retain(|_, pieces| *pieces > 0);
    let tracked = products::Model::put_back(txn, &returned, Purpose::Sale).await?;
    returned.retain(|product_id, _| tracked.contains(product_id));
    let movements = returned.into_iter().map(|(product_id, delta)| Movement {
        product_id,
        kind: MovementKind::Cancellation,
        delta,
        reason: None,
        order_id: Some(order.id),
        checkout_id: None,
    });
    stock_movements::Model::record(txn, movements, actor).await
}

fn for_administrators() -> Error {
    let message = "may be set by administrators only";
    FieldError::at("/customer_id", "forbidden", message).into()
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

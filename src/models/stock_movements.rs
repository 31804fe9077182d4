//! Stock movements: the ledger. A tracked product's stock is the sum of its movements.

use sea_orm::{ActiveValue::Set, ConnectionTrait, QueryOrder, entity::prelude::*, sea_query::Expr};

pub use super::_entities::stock_movements::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, Result, Topic, Transaction,
    listing::{self, Listing, Mark, NoFilter, Page, Position, SortKey},
    now,
};

impl ActiveModelBehavior for ActiveModel {}

/// Why the stock changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Tracking began with these pieces.
    Initial,
    /// An order took them.
    Order,
    /// A cancelled order gave them back.
    Cancellation,
    /// An administrator counted again, received or removed some.
    Adjustment,
}

impl Kind {
    /// The word for it, on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Order => "order",
            Self::Cancellation => "cancellation",
            Self::Adjustment => "adjustment",
        }
    }
}

/// What movements are sorted by: the order in which they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key;

impl SortKey<Entity> for Key {
    fn column(self) -> Option<Column> {
        None
    }

    fn id() -> Column {
        Column::Id
    }

    fn position(self, row: &Model) -> Position {
        Position {
            mark: Mark::Id,
            id: row.id,
        }
    }
}

/// A change of a product's stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The product.
    pub product_id: i64,
    /// Why it changed.
    pub kind: Kind,
    /// By how many pieces.
    pub delta: i64,
    /// In somebody's words.
    pub reason: Option<String>,
    /// The order that took them or gave them back.
    pub order_id: Option<i64>,
}

/// The movement that leads from one stock to another, if they differ. Turning tracking off takes the
/// sum to zero, turning it on begins anew.
#[must_use]
pub fn between(product_id: i64, before: Option<i64>, after: Option<i64>) -> Option<Movement> {
    let (kind, delta, reason) = match (before, after) {
        (None, Some(after)) => (Kind::Initial, after, None),
        (Some(before), None) => (
            Kind::Adjustment,
            -before,
            Some("tracking turned off".to_owned()),
        ),
        (Some(before), Some(after)) if before != after => (Kind::Adjustment, after - before, None),
        _ => return None,
    };
    Some(Movement {
        product_id,
        kind,
        delta,
        reason,
        order_id: None,
    })
}

impl Model {
    /// A page of a product's movements.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list(
        db: &impl ConnectionTrait,
        product_id: i64,
        listing: &Listing<NoFilter, Key>,
    ) -> Result<Page<Self>> {
        let select = Entity::find().filter(Column::ProductId.eq(product_id));
        Ok(listing::fetch(db, select, listing).await?)
    }

    /// Writes movements into the ledger.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn record(
        txn: &Transaction,
        movements: impl IntoIterator<Item = Movement>,
        actor: &Actor,
    ) -> Result<()> {
        let created_at = now();
        let rows: Vec<_> = movements
            .into_iter()
            .inspect(|movement| txn.touch([Topic::Stock(movement.product_id)]))
            .map(|movement| ActiveModel {
                product_id: Set(movement.product_id),
                kind: Set(movement.kind.as_str().to_owned()),
                delta: Set(movement.delta),
                reason: Set(movement.reason),
                order_id: Set(movement.order_id),
                account_id: Set(actor.account_id),
                actor: Set(actor.name.clone()),
                created_at: Set(created_at),
                ..Default::default()
            })
            .collect();
        if !rows.is_empty() {
            Entity::insert_many(rows)
                .exec_without_returning(txn)
                .await?;
        }
        Ok(())
    }

    /// What an order took, by product.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of_order(db: &impl ConnectionTrait, order_id: i64) -> Result<Vec<Self>> {
        Ok(Entity::find()
            .filter(Column::OrderId.eq(order_id))
            .filter(Column::Kind.eq(Kind::Order.as_str()))
            .order_by_asc(Column::ProductId)
            .all(db)
            .await?)
    }

    /// Takes an account's name out of the ledger; it is called `name` from now on.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_actor(txn: &Transaction, account_id: i64, name: &str) -> Result<()> {
        txn.touch([Topic::People]);
        Entity::update_many()
            .col_expr(Column::Actor, Expr::value(name))
            .filter(Column::AccountId.eq(account_id))
            .exec(txn)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(before: Option<i64>, after: Option<i64>) -> Option<(Kind, i64)> {
        between(1, before, after).map(|movement| (movement.kind, movement.delta))
    }

    #[test]
    fn the_movement_between_two_stocks_is_their_difference() {
        assert_eq!(delta(Some(5), Some(3)), Some((Kind::Adjustment, -2)));
        assert_eq!(delta(Some(3), Some(5)), Some((Kind::Adjustment, 2)));
        assert_eq!(delta(Some(3), Some(3)), None);
        assert_eq!(delta(None, None), None);
    }

    #[test]
    fn tracking_begins_with_its_stock_and_ends_at_nothing() {
        assert_eq!(delta(None, Some(7)), Some((Kind::Initial, 7)));
        assert_eq!(delta(None, Some(0)), Some((Kind::Initial, 0)));
        assert_eq!(delta(Some(7), None), Some((Kind::Adjustment, -7)));
    }
}

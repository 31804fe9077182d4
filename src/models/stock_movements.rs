//! Stock movements: the ledger. A tracked product's stock is the sum of its movements.

use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, QueryOrder, Statement, entity::prelude::*,
    sea_query::Expr,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::stock_movements::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, CacheTag, Result, Transaction,
    growing::Growing,
    listing::{self, Listing, NoFilter, Page, Sort, SortKey},
    now,
    statement::inserting,
    types::MovementKind,
};

impl ActiveModelBehavior for ActiveModel {}

/// What movements are sorted by: the order in which they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::descending(Self::Id);

    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
        }
    }
}

/// A change of a product's stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The product.
    pub product_id: i64,
    /// Why it changed.
    pub kind: MovementKind,
    /// By how many pieces.
    pub delta: i64,
    /// In the words of the person who changed the stock.
    pub reason: Option<String>,
    /// The order that took them or gave them back.
    pub order_id: Option<i64>,
    /// The checkout that holds them, or held them.
    pub checkout_id: Option<String>,
}

/// The movement that leads from one stock to another, if they differ. Turning tracking off takes the
/// sum to zero, turning it on begins anew.
pub fn between(product_id: i64, before: Option<i64>, after: Option<i64>) -> Option<Movement> {
    let (kind, delta) = match (before, after) {
        (None, Some(after)) => (MovementKind::Initial, after),
        (Some(before), after) if Some(before) != after => {
            (MovementKind::Adjustment, after.unwrap_or_default() - before)
        }
        _ => return None,
    };
    Some(Movement {
        product_id,
        kind,
        delta,
        reason: after.is_none().then(|| "tracking turned off".to_owned()),
        order_id: None,
        checkout_id: None,
    })
}

impl Model {
    /// A page of a product's movements.
    pub async fn list(
        db: &impl ConnectionTrait,
        product_id: i64,
        listing: &Listing<NoFilter, Key>,
    ) -> Result<Page<Self>> {
        let select = Entity::find().filter(Column::ProductId.eq(product_id));
        listing::fetch(db, select, listing).await
    }

    /// A product's movements as a list that only grows. They are committed in the order of their ids: whoever
    /// [records](Self::record) one has locked the product.
    pub fn growing(product_id: i64) -> Growing<Entity> {
        Growing {
            id: Column::Id,
            among: Condition::all().add(Column::ProductId.eq(product_id)),
            own: Condition::all(),
            past: None,
        }
    }

    /// Writes movements into the ledger. Their products have to be locked.
    pub async fn record(
        txn: &Transaction,
        movements: impl IntoIterator<Item = Movement>,
        actor: &Actor,
    ) -> Result<()> {
        let entries = Self::entries(txn, movements, actor);
        if let Some(entries) = entries {
            txn.execute_raw(entries).await?;
        }
        Ok(())
    }

    /// What writes movements into the ledger, if there are any.
    pub fn entries(
        txn: &Transaction,
        movements: impl IntoIterator<Item = Movement>,
        actor: &Actor,
    ) -> Option<Statement> {
        let created_at = now();
        let rows: Vec<_> = movements
            .into_iter()
            .inspect(|movement| txn.touch([CacheTag::Stock(movement.product_id)]))
            .map(|movement| ActiveModel {
                product_id: Set(movement.product_id),
                kind: Set(movement.kind.as_str().to_owned()),
                delta: Set(movement.delta),
                reason: Set(movement.reason),
                order_id: Set(movement.order_id),
                checkout_id: Set(movement.checkout_id),
                account_id: Set(actor.account_id()),
                actor: Set(actor.name.clone()),
                created_at: Set(created_at),
                ..Default::default()
            })
            .collect();
        (!rows.is_empty()).then(|| inserting(txn.get_database_backend(), rows))
    }

    /// What an order took, by product.
    pub async fn of_order(db: &impl ConnectionTrait, order_id: i64) -> Result<Vec<Self>> {
        Ok(Entity::find()
            .filter(Column::OrderId.eq(order_id))
            .filter(Column::Kind.eq(MovementKind::Order.as_str()))
            .order_by_asc(Column::ProductId)
            .all(db)
            .await?)
    }

    /// Takes an account's name out of the ledger; it is called `name` from now on.
    pub async fn anonymize_actor(txn: &Transaction, account_id: i64, name: &str) -> Result<()> {
        txn.touch([CacheTag::People]);
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

    #[test]
    fn a_movement_is_the_difference_of_two_stocks_of_which_one_may_not_be_tracked() {
        for (before, after, expected) in [
            (Some(5), Some(3), Some((MovementKind::Adjustment, -2))),
            (Some(3), Some(5), Some((MovementKind::Adjustment, 2))),
            (Some(3), Some(3), None),
            (None, None, None),
            (None, Some(7), Some((MovementKind::Initial, 7))),
            (None, Some(0), Some((MovementKind::Initial, 0))),
            (Some(7), None, Some((MovementKind::Adjustment, -7))),
        ] {
            let movement = between(1, before, after);
            let movement = movement.map(|movement| (movement.kind, movement.delta));
            assert_eq!(movement, expected, "{before:?} to {after:?}");
        }
    }
}

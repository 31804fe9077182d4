//! Order events: every status an order has had, when, by whom and why.

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, QueryResult, QuerySelect, QueryTrait, Statement,
    entity::prelude::*,
    sea_query::{Expr, Order, Query},
};

pub use super::_entities::order_events::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, CacheTag, Result, Transaction, orders, statement::inserting, types::OrderStatus,
};

impl ActiveModelBehavior for ActiveModel {}

/// A step in the history of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its status from then on.
    pub status: String,
    /// When.
    pub at: DateTimeWithTimeZone,
    /// By whom.
    pub by: String,
    /// Why, if a reason was given.
    pub reason: Option<String>,
}

impl Model {
    /// The steps of those orders, each after its order's id: by these, and then the oldest first.
    pub async fn of_orders(db: &impl ConnectionTrait, ids: &[i64]) -> Result<Vec<(i64, Step)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let steps = Query::select()
            .from(Entity)
            .columns([
                Column::OrderId,
                Column::Status,
                Column::CreatedAt,
                Column::Actor,
                Column::Reason,
            ])
            .and_where(Column::OrderId.is_in(ids.iter().copied()))
            .order_by(Column::OrderId, Order::Asc)
            .order_by(Column::Id, Order::Asc)
            .take();
        let step = |row: &QueryResult| {
            let step = Step {
                status: row.try_get_by_index(1)?,
                at: row.try_get_by_index(2)?,
                by: row.try_get_by_index(3)?,
                reason: row.try_get_by_index(4)?,
            };
            Ok((row.try_get_by_index(0)?, step))
        };
        db.query_all(&steps).await?.iter().map(step).collect()
    }

    /// That an order has a status now, and what writes it down.
    pub fn record(
        txn: &Transaction,
        order_id: i64,
        status: OrderStatus,
        reason: Option<String>,
        actor: &Actor,
        at: DateTimeWithTimeZone,
    ) -> (Step, Statement) {
        let step = Step {
            status: status.as_str().to_owned(),
            at,
            by: actor.name.clone(),
            reason,
        };
        let row = ActiveModel {
            order_id: Set(order_id),
            status: Set(step.status.clone()),
            account_id: Set(actor.account_id()),
            actor: Set(step.by.clone()),
            reason: Set(step.reason.clone()),
            created_at: Set(at),
            ..Default::default()
        };
        (step, inserting(txn.get_database_backend(), [row]))
    }

    /// Takes an account's name out of the histories; it is called `name` from now on.
    pub async fn anonymize_actor(txn: &Transaction, account_id: i64, name: &str) -> Result<()> {
        txn.touch([CacheTag::People]);
        // A request that changes one of the orders now may have read its history, and is about to keep it as an
        // answer: that one has to be there before such answers are deleted.
        orders::Model::acted_on_by(account_id)
            .select_only()
            .column(orders::Column::Id)
            .order_by_id_asc()
            .lock_exclusive()
            .into_tuple::<i64>()
            .all(txn)
            .await?;
        Entity::update_many()
            .col_expr(Column::Actor, Expr::value(name))
            .filter(Column::AccountId.eq(account_id))
            .exec(txn)
            .await?;
        Ok(())
    }

    /// Takes every reason out of the histories of a customer's orders.
    pub async fn delete_reasons(txn: &Transaction, customer_id: i64) -> Result<()> {
        txn.touch([CacheTag::People]);
        let orders = orders::Entity::find()
            .select_only()
            .column(orders::Column::Id)
            .filter(orders::Column::CustomerId.eq(customer_id))
            .into_query();
        Entity::update_many()
            .col_expr(Column::Reason, Expr::value(None::<String>))
            .filter(Column::OrderId.in_subquery(orders))
            .exec(txn)
            .await?;
        Ok(())
    }
}

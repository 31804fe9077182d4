//! Order events: every status an order has had, when, by whom and why.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*,
    sea_query::Expr,
};

pub use super::_entities::order_events::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, Result, Topic, Transaction,
    orders::{self, Status},
};

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The events of those orders, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of_orders(
        db: &impl ConnectionTrait,
        ids: &[i64],
    ) -> Result<HashMap<i64, Vec<Self>>> {
        let events = Entity::find()
            .filter(Column::OrderId.is_in(ids.iter().copied()))
            .order_by_asc(Column::Id)
            .all(db)
            .await?;
        let mut of_orders = HashMap::<_, Vec<_>>::new();
        for event in events {
            of_orders.entry(event.order_id).or_default().push(event);
        }
        Ok(of_orders)
    }

    /// Writes down that an order has a status now.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn record(
        db: &impl ConnectionTrait,
        order_id: i64,
        status: Status,
        reason: Option<String>,
        actor: &Actor,
        at: DateTimeWithTimeZone,
    ) -> Result<Self> {
        let event = ActiveModel {
            order_id: Set(order_id),
            status: Set(status.as_str().to_owned()),
            account_id: Set(actor.account_id),
            actor: Set(actor.name.clone()),
            reason: Set(reason),
            created_at: Set(at),
            ..Default::default()
        };
        Ok(event.insert(db).await?)
    }

    /// Takes an account's name out of the histories; it is called `name` from now on.
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

    /// Takes everybody's words out of the histories of a customer's orders.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_reasons(txn: &Transaction, customer_id: i64) -> Result<()> {
        txn.touch([Topic::People]);
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

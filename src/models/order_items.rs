//! Order items: what was ordered, at the name and price of that moment.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, QueryOrder, entity::prelude::*};

pub use super::_entities::order_items::{ActiveModel, Column, Entity, Model};
use super::{Result, types::Money};

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The items of those orders, each order's in the order they were sent.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of_orders(
        db: &impl ConnectionTrait,
        ids: &[i64],
    ) -> Result<HashMap<i64, Vec<Self>>> {
        let items = Entity::find()
            .filter(Column::OrderId.is_in(ids.iter().copied()))
            .order_by_asc(Column::OrderId)
            .order_by_asc(Column::Line)
            .all(db)
            .await?;
        let mut of_orders = HashMap::<_, Vec<_>>::new();
        for item in items {
            of_orders.entry(item.order_id).or_default().push(item);
        }
        Ok(of_orders)
    }

    /// What one piece cost.
    #[must_use]
    pub const fn unit_price(&self) -> Money {
        Money::from_minor(self.unit_price_minor)
    }

    /// What all pieces cost.
    #[must_use]
    pub const fn line_total(&self) -> Money {
        Money::from_minor(self.line_total_minor)
    }
}

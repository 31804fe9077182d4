//! Order items: what was ordered, at the name and price of that moment.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, QueryOrder, QueryTrait, entity::prelude::*,
    sea_query::InsertStatement,
};

pub use super::_entities::order_items::{ActiveModel, Column, Entity, Model};
use super::{Result, types::Money};

impl ActiveModelBehavior for ActiveModel {}

/// What was ordered of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The product.
    pub product_id: i64,
    /// Its stock keeping unit then.
    pub sku: Option<String>,
    /// What it was called.
    pub name: String,
    /// What one piece cost.
    pub unit_price: Money,
    /// How many.
    pub quantity: i64,
    /// What they cost together.
    pub line_total: Money,
}

impl Model {
    /// The items of those orders, each order's in the order they were sent.
    pub async fn of_orders(
        db: &impl ConnectionTrait,
        ids: &[i64],
    ) -> Result<HashMap<i64, Vec<Item>>> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let items = Entity::find()
            .filter(Column::OrderId.is_in(ids.iter().copied()))
            .order_by_asc(Column::OrderId)
            .order_by_asc(Column::Line)
            .all(db)
            .await?;
        let mut of_orders = HashMap::<_, Vec<_>>::new();
        for item in items {
            of_orders
                .entry(item.order_id)
                .or_default()
                .push(item.into());
        }
        Ok(of_orders)
    }

    /// What writes down what was ordered, in that order.
    pub fn record(order_id: i64, items: &[Item]) -> InsertStatement {
        let rows = (1..).zip(items).map(|(line, item)| ActiveModel {
            order_id: Set(order_id),
            line: Set(line),
            product_id: Set(item.product_id),
            sku: Set(item.sku.clone()),
            name: Set(item.name.clone()),
            unit_price_minor: Set(item.unit_price.minor()),
            quantity: Set(item.quantity),
            line_total_minor: Set(item.line_total.minor()),
            ..Default::default()
        });
        Entity::insert_many(rows).into_query()
    }
}

impl From<Model> for Item {
    fn from(row: Model) -> Self {
        Self {
            product_id: row.product_id,
            sku: row.sku,
            name: row.name,
            unit_price: Money::from_minor(row.unit_price_minor),
            quantity: row.quantity,
            line_total: Money::from_minor(row.line_total_minor),
        }
    }
}

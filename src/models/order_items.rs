//! Order items: what was ordered, at the name and price of that moment.

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, QueryResult, Statement,
    entity::prelude::*,
    sea_query::{Order, Query},
};

pub use super::_entities::order_items::{ActiveModel, Column, Entity, Model};
use super::{
    Result, Transaction,
    statement::inserting,
    types::{Money, Percentage},
};

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
    /// What they cost together, before the discount.
    pub line_total: Money,
    /// What a code took off.
    pub discount: Money,
    /// The tax on them.
    pub tax_rate: Percentage,
    /// How much tax that was.
    pub tax: Money,
}

impl Model {
    /// The items of those orders, each after its order's id: by these, and then in the order they were sent.
    pub async fn of_orders(db: &impl ConnectionTrait, ids: &[i64]) -> Result<Vec<(i64, Item)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let items = Query::select()
            .from(Entity)
            .columns([
                Column::OrderId,
                Column::ProductId,
                Column::Sku,
                Column::Name,
                Column::UnitPriceMinor,
                Column::Quantity,
                Column::LineTotalMinor,
                Column::DiscountMinor,
                Column::TaxRateThousandths,
                Column::TaxMinor,
            ])
            .and_where(Column::OrderId.is_in(ids.iter().copied()))
            .order_by(Column::OrderId, Order::Asc)
            .order_by(Column::Line, Order::Asc)
            .take();
        let item = |row: &QueryResult| {
            let item = Item {
                product_id: row.try_get_by_index(1)?,
                sku: row.try_get_by_index(2)?,
                name: row.try_get_by_index(3)?,
                unit_price: Money::from_minor(row.try_get_by_index(4)?),
                quantity: row.try_get_by_index(5)?,
                line_total: Money::from_minor(row.try_get_by_index(6)?),
                discount: Money::from_minor(row.try_get_by_index(7)?),
                tax_rate: Percentage::new(row.try_get_by_index(8)?).unwrap_or_default(),
                tax: Money::from_minor(row.try_get_by_index(9)?),
            };
            Ok((row.try_get_by_index(0)?, item))
        };
        db.query_all(&items).await?.iter().map(item).collect()
    }

    /// What writes down what was ordered, in that order.
    pub fn record(txn: &Transaction, order_id: i64, items: &[Item]) -> Statement {
        let rows = (1..).zip(items).map(|(line, item)| ActiveModel {
            order_id: Set(order_id),
            line: Set(line),
            product_id: Set(item.product_id),
            sku: Set(item.sku.clone()),
            name: Set(item.name.clone()),
            unit_price_minor: Set(item.unit_price.minor()),
            quantity: Set(item.quantity),
            line_total_minor: Set(item.line_total.minor()),
            discount_minor: Set(item.discount.minor()),
            tax_rate_thousandths: Set(item.tax_rate.thousandths()),
            tax_minor: Set(item.tax.minor()),
            ..Default::default()
        });
        inserting(txn.get_database_backend(), rows)
    }
}

//! Importing many products at once, by SKU.

use std::collections::BTreeMap;

use sea_orm::{
    IntoActiveModel, QueryOrder, QuerySelect, entity::prelude::*, sea_query::OnConflict,
};

use super::{ActiveModel, Changes, Column, Details, Entity, Model, sku_taken, touch_assortment};
use crate::models::{
    Actor, Result, Topic, Transaction, stock_movements,
    types::{Description, Sku, Stock},
};

/// A product to be imported.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which product it is; one is added when there is none.
    pub sku: Sku,
    /// What is known of it.
    pub details: Details,
    /// Whether the table has a description column; without one, descriptions stay.
    pub describes: bool,
    /// Whether the table has a stock column; without one, stocks stay.
    pub counts: bool,
}

/// What became of imported rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Products that were added.
    pub added: u64,
    /// Products that were changed.
    pub changed: u64,
    /// Products that were the same already.
    pub unchanged: u64,
}

impl std::ops::AddAssign for Imported {
    fn add_assign(&mut self, other: Self) {
        self.added += other.added;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
    }
}

impl Model {
    /// Adds or changes the products with the rows' SKUs, each of which stands in one row only, in a
    /// few statements of many rows each.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn import(txn: &Transaction, rows: &[Row], actor: &Actor) -> Result<Imported> {
        let known = Self::locked_by_sku(txn, rows).await?;
        let mut imported = Imported::default();
        let (mut added, mut changed, mut movements) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let Some(product) = known.get(row.sku.as_str()) else {
                added.push(ActiveModel::new_product(&row.details));
                continue;
            };
            let changes = row.changes();
            if product.is_described_by(&changes) {
                imported.unchanged += 1;
                continue;
            }
            touch_assortment(txn, product.id);
            let stock = changes
                .stock
                .map_or(product.stock, |stock| stock.map(Stock::get));
            movements.extend(stock_movements::between(product.id, product.stock, stock));
            // Every column is set, because the statement is an INSERT that turns into an UPDATE.
            changed.push(
                product
                    .clone()
                    .into_active_model()
                    .reset_all()
                    .changed(&changes),
            );
        }
        imported.added = added.len() as u64;
        imported.changed = changed.len() as u64;
        if !added.is_empty() {
            txn.touch([Topic::Products, Topic::Assortment]);
            let skus: Vec<_> = added
                .iter()
                .filter_map(|product| product.sku.as_ref().clone())
                .collect();
            Entity::insert_many(added)
                .exec_without_returning(txn)
                .await
                .map_err(sku_taken())?;
            let added = Entity::find()
                .filter(Column::Sku.is_in(skus))
                .all(txn)
                .await?;
            movements.extend(
                added.iter().filter_map(|product| {
                    stock_movements::between(product.id, None, product.stock)
                }),
            );
        }
        if !changed.is_empty() {
            // The rows are locked: every one is there and the conflict is always on the id.
            Entity::insert_many(changed)
                .on_conflict(
                    OnConflict::column(Column::Id)
                        .update_columns([
                            Column::Name,
                            Column::Description,
                            Column::PriceMinor,
                            Column::Stock,
                            Column::NameKey,
                            Column::SearchText,
                            Column::UpdatedAt,
                        ])
                        .to_owned(),
                )
                .exec_without_returning(txn)
                .await?;
        }
        stock_movements::Model::record(txn, movements, actor).await?;
        Ok(imported)
    }

    async fn locked_by_sku(txn: &Transaction, rows: &[Row]) -> Result<BTreeMap<String, Self>> {
        let products = Entity::find()
            .filter(Column::Sku.is_in(rows.iter().map(|row| row.sku.as_str())))
            .order_by_asc(Column::Id)
            .lock_exclusive()
            .all(txn)
            .await?;
        Ok(products
            .into_iter()
            .filter_map(|product| Some((product.sku.clone()?, product)))
            .collect())
    }

    fn is_described_by(&self, changes: &Changes) -> bool {
        let description = changes
            .description
            .as_ref()
            .map(|text| text.as_ref().map(Description::as_str));
        changes
            .name
            .as_ref()
            .is_none_or(|name| name.as_str() == self.name)
            && changes.price.is_none_or(|price| price == self.price())
            && description.is_none_or(|description| description == self.description.as_deref())
            && changes
                .stock
                .is_none_or(|stock| stock.map(Stock::get) == self.stock)
    }
}

impl Row {
    /// What it changes of a product that is known.
    fn changes(&self) -> Changes {
        Changes {
            name: Some(self.details.name.clone()),
            price: Some(self.details.price),
            sku: None,
            description: self.describes.then(|| self.details.description.clone()),
            stock: self.counts.then_some(self.details.stock),
        }
    }
}

//! Importing many products at once, by SKU.

use std::collections::BTreeMap;

use sea_orm::{
    DatabaseTransaction, IntoActiveModel, QueryOrder, QuerySelect, entity::prelude::*,
    sea_query::OnConflict,
};

use super::{ActiveModel, Column, Details, Entity, Model, sku_taken};
use crate::models::{
    Actor, Result, stock_movements,
    types::{Sku, Stock},
};

/// A product to be imported.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which product it is; one is added when there is none.
    pub sku: Sku,
    /// What is known of it.
    pub details: Details,
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
    pub async fn import(
        txn: &DatabaseTransaction,
        rows: &[Row],
        actor: &Actor,
    ) -> Result<Imported> {
        let known = Self::locked_by_sku(txn, rows).await?;
        let mut imported = Imported::default();
        let (mut added, mut changed, mut movements) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            match known.get(row.sku.as_str()) {
                None => added.push(ActiveModel::new_product(&row.details)),
                Some(product) if product.is_described_by(&row.details) => imported.unchanged += 1,
                Some(product) => {
                    let stock = row.details.stock.map(Stock::get);
                    movements.extend(stock_movements::between(product.id, product.stock, stock));
                    changed.push(changed_product(product.clone(), &row.details));
                }
            }
        }
        imported.added = added.len() as u64;
        imported.changed = changed.len() as u64;
        if !added.is_empty() {
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

    async fn locked_by_sku(
        txn: &DatabaseTransaction,
        rows: &[Row],
    ) -> Result<BTreeMap<String, Self>> {
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

    fn is_described_by(&self, details: &Details) -> bool {
        self.name == details.name.as_str()
            && self.price() == details.price
            && self.description.as_deref()
                == details.description.as_ref().map(super::Description::as_str)
            && self.stock == details.stock.map(Stock::get)
    }
}

/// Every column is set, because the statement is an INSERT that turns into an UPDATE.
fn changed_product(product: Model, details: &Details) -> ActiveModel {
    let mut product = product.into_active_model().reset_all();
    product.describe(details);
    product
}

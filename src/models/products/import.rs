//! Importing many products at once, by SKU.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use sea_orm::{
    ActiveValue::Set, IntoActiveModel, Iterable, QueryOrder, QuerySelect, TryIntoModel,
    entity::prelude::*, sea_query::OnConflict,
};

use super::{ActiveModel, Changes, Column, Details, Entity, Model, by_id, on_sale, sku_taken};
use crate::models::{
    Actor, Result, Transaction,
    error::FieldError,
    imported::{Imported, missing},
    input::{Fields, Input},
    stock_movements, tax_rates,
    types::{EventType, Sku, TaxClass, case_fold},
};

/// What a row of a table says of a product.
#[derive(Clone, Debug, Default, Input)]
#[input(check = has_identity)]
pub struct Row {
    /// Which product it is, if that has no SKU.
    pub id: Option<i64>,
    /// Its SKU, by which it is known, and what else the table has columns for.
    #[input(flatten)]
    pub changes: Changes,
}

fn has_identity(fields: &mut Fields<'_>) {
    if !fields.has("sku") && !fields.has("id") {
        let message = "is required: it says which product the row is";
        fields.refuse("sku", "required", message);
    }
}

/// What says which product a row is. Two rows of a table never share it.
#[derive(Clone, Copy, Debug)]
pub enum Identity<'a> {
    /// The SKU.
    Sku(&'a str),
    /// The id.
    Id(i64),
}

impl Identity<'_> {
    /// The same for two that are one product's.
    pub fn key(self) -> String {
        match self {
            Self::Sku(sku) => format!("sku {}", case_fold(sku)),
            Self::Id(id) => format!("id {id}"),
        }
    }
}

impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sku(sku) => write!(f, "the SKU {sku}"),
            Self::Id(id) => write!(f, "the id {id}"),
        }
    }
}

impl Model {
    /// Adds the products that are not known, and changes the others, in a few statements of many rows each.
    /// No two rows share an [`Identity`].
    ///
    /// A product is known by its SKU. One without is known by its id and its name together, because the id
    /// alone is another product's in another shop; it may be given a SKU so.
    pub async fn import(txn: &Transaction, rows: &[Row], actor: &Actor) -> Result<Imported> {
        let by_sku = Self::locked_by_sku(txn, rows).await?;
        let by_id = Self::locked_by_id(txn, rows, &by_sku).await?;
        let without_rate = classes_without_rate(txn, rows).await?;
        let mut imported = Imported::default();
        let (mut added, mut changed, mut movements) = (Vec::new(), Vec::new(), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            let changes = &row.changes;
            let sku = row.sku_key();
            let refusal = row.tax_class().and_then(|class| without_rate.get(class));
            let namesake = row.id.and_then(|id| by_id.get(&id));
            let known = sku
                .as_ref()
                .and_then(|sku| by_sku.get(sku))
                .or_else(|| namesake.filter(|product| product.is_meant_by(changes)));
            let Some(product) = known else {
                let details = match namesake {
                    Some(_) if sku.is_none() => {
                        let message = "is that of a product that has a SKU or another name";
                        Err(vec![FieldError::at("/id", "taken", message)])
                    }
                    _ => row.details(),
                };
                match (details, refusal) {
                    (Ok(details), None) => added.push(ActiveModel::new_product(&details)),
                    (details, refusal) => {
                        let mut broken = details.err().unwrap_or_default();
                        broken.extend(refusal.cloned());
                        imported.refused.push((at, broken));
                    }
                }
                continue;
            };
            if let Some(refusal) = refusal {
                imported.refused.push((at, vec![refusal.clone()]));
                continue;
            }
            if product.is_described_by(changes) {
                imported.unchanged += 1;
                continue;
            }
            // Every column is set, because the statement is an INSERT that turns into an UPDATE.
            let after = product.clone().into_active_model().reset_all();
            let after = after.assign(changes);
            let is = after.clone().try_into_model()?;
            is.has_changed(txn, product);
            movements.extend(stock_movements::between(
                product.id,
                product.stock,
                is.stock,
            ));
            changed.push(after);
        }
        imported.added = added.len() as u64;
        imported.changed = changed.len() as u64;
        if !added.is_empty() {
            let skus: Vec<_> = added
                .iter()
                .filter_map(|product| product.sku_key.as_ref().clone())
                .collect();
            // Which ids many rows were given can be found out by their SKUs only.
            let without_sku = |product: &ActiveModel| product.sku.as_ref().is_none();
            let (alone, together): (Vec<_>, Vec<_>) = added.into_iter().partition(without_sku);
            let mut created = Vec::new();
            for product in alone {
                created.push(product.insert(txn).await?);
            }
            if !together.is_empty() {
                let together = Entity::insert_many(together);
                let outcome = together.exec_without_returning(txn).await;
                outcome.map_err(sku_taken())?;
                let with_sku = Entity::find().filter(Column::SkuKey.is_in(skus));
                created.extend(with_sku.order_by_asc(Column::Id).all(txn).await?);
            }
            for product in created {
                txn.happened(EventType::ProductCreated, &product);
                movements.extend(stock_movements::between(product.id, None, product.stock));
            }
        }
        if !changed.is_empty() {
            // The rows are locked: every one is there and the conflict is always on the id.
            let mut update = OnConflict::column(Column::Id);
            update.update_columns(Column::iter().filter(|column| !is_fixed(*column)));
            let changed = Entity::insert_many(changed).on_conflict(update);
            let outcome = changed.exec_without_returning(txn).await;
            outcome.map_err(sku_taken())?;
        }
        stock_movements::Model::record(txn, movements, actor).await?;
        Ok(imported)
    }

    async fn locked_by_sku(txn: &Transaction, rows: &[Row]) -> Result<BTreeMap<String, Self>> {
        let skus = rows.iter().filter_map(Row::sku_key);
        let products = Entity::find().filter(Column::SkuKey.is_in(skus));
        let products = products.order_by_asc(Column::Id).lock_exclusive();
        let products = products.all(txn).await?.into_iter();
        let by_sku = products.filter_map(|product| Some((product.sku_key.clone()?, product)));
        Ok(by_sku.collect())
    }

    /// The products with the ids of those rows whose SKU is not known.
    async fn locked_by_id(
        txn: &Transaction,
        rows: &[Row],
        by_sku: &BTreeMap<String, Self>,
    ) -> Result<BTreeMap<i64, Self>> {
        let is_known = |sku| by_sku.contains_key(&sku);
        let unknown = rows
            .iter()
            .filter(|row| !row.sku_key().is_some_and(is_known));
        let ids: BTreeSet<_> = unknown.filter_map(|row| row.id).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let products = on_sale().filter(Column::Id.is_in(ids));
        let products = products.order_by_asc(Column::Id).lock_exclusive();
        Ok(by_id(products.all(txn).await?))
    }

    /// Whether a row with this product's id means it: it may be the file of another shop.
    fn is_meant_by(&self, changes: &Changes) -> bool {
        let name = changes.name.as_ref();
        self.sku.is_none() && name.is_none_or(|name| name.as_str() == self.name)
    }

    /// Whether the changes change nothing. A cell cannot tell a description of blanks from none.
    fn is_described_by(&self, changes: &Changes) -> bool {
        let is_blank = |text: &String| text.trim().is_empty();
        let before = Self {
            description: self.description.clone().filter(|text| !is_blank(text)),
            ..self.clone()
        };
        let mut after = before.clone().into_active_model().assign(changes);
        after.updated_at = Set(before.updated_at);
        Column::iter().all(|column| after.get(column).into_value() == Some(before.get(column)))
    }
}

/// What is wrong with each class of those rows that has no rate.
async fn classes_without_rate<'a>(
    txn: &Transaction,
    rows: &'a [Row],
) -> Result<BTreeMap<&'a str, FieldError>> {
    let classes: BTreeSet<_> = rows.iter().filter_map(Row::tax_class).collect();
    let mut without_rate = BTreeMap::new();
    for class in classes {
        let refusal = tax_rates::Model::refusal_of_class(txn, class).await?;
        without_rate.extend(refusal.map(|refusal| (class, refusal)));
    }
    Ok(without_rate)
}

/// What an import does not change of a product that is there.
const fn is_fixed(column: Column) -> bool {
    matches!(column, Column::Id | Column::Archived | Column::CreatedAt)
}

impl Row {
    /// What says which product it is.
    pub fn identities(&self) -> impl Iterator<Item = Identity<'_>> {
        let sku = self.sku().map(|sku| Identity::Sku(sku.as_str()));
        sku.into_iter().chain(self.id.map(Identity::Id))
    }

    fn sku(&self) -> Option<&Sku> {
        self.changes.sku.as_ref()?.as_ref()
    }

    /// The class that it is to be taxed by, if one is said.
    fn tax_class(&self) -> Option<&str> {
        self.changes.class().map(TaxClass::as_str)
    }

    /// Its SKU, in the form in which it is compared.
    fn sku_key(&self) -> Option<String> {
        Some(case_fold(self.sku()?.as_str()))
    }

    /// The product that it describes, or what is missing.
    fn details(&self) -> Result<Details, Vec<FieldError>> {
        let details = Details::try_from(self.changes.clone());
        details.map_err(|names| missing("product", names))
    }
}

//! SKUs are unique without regard to case and normal form, and searches and sorting ignore accents: the key columns
//! of the rows that are there get their new forms.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, QueryResult},
};

use crate::{
    columns::Columns,
    keys::{case_fold, search_text, sort_fold},
    steps,
};

const PRODUCTS: &str = "products";
const SKU_KEY: &str = "sku_key";

/// How many rows are read at once.
const BATCH: u64 = 500;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::column(m, PRODUCTS, Columns::of(m).string_or_null(SKU_KEY, 192)).await?;
        each(m, PRODUCTS, &["name", "sku"], product_keys).await?;
        each(m, "customers", &["name", "email", "phone"], customer_keys).await?;
        refuse_twins(m).await?;
        steps::unique(m, "uq_products_sku_key", PRODUCTS, &[SKU_KEY]).await?;
        steps::drop_index(m, "uq_products_sku", PRODUCTS).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::unique(m, "uq_products_sku", PRODUCTS, &["sku"]).await?;
        steps::drop_index(m, "uq_products_sku_key", PRODUCTS).await?;
        steps::drop_column(m, PRODUCTS, SKU_KEY).await
    }
}

/// The key columns of a row, by their names.
type Keys = Vec<(&'static str, Option<String>)>;

fn product_keys(row: &QueryResult) -> Result<Keys, DbErr> {
    let (name, sku): (String, Option<String>) = (text(row, "name")?, row.try_get("", "sku")?);
    let search_text = search_text(&[&name, sku.as_deref().unwrap_or_default()]);
    Ok(vec![
        ("name_key", Some(sort_fold(&name, 600))),
        (SKU_KEY, sku.as_deref().map(case_fold)),
        ("search_text", Some(search_text)),
    ])
}

fn customer_keys(row: &QueryResult) -> Result<Keys, DbErr> {
    let (name, email): (String, String) = (text(row, "name")?, text(row, "email")?);
    let phone: Option<String> = row.try_get("", "phone")?;
    let search_text = search_text(&[&name, &email, phone.as_deref().unwrap_or_default()]);
    Ok(vec![
        ("name_key", Some(sort_fold(&name, 360))),
        ("search_text", Some(search_text)),
    ])
}

fn text(row: &QueryResult, column: &str) -> Result<String, DbErr> {
    row.try_get("", column)
}

/// Sets the key columns of each row, in batches by id. Erased customers and archived products keep theirs: they are
/// not listed.
async fn each(
    m: &SchemaManager<'_>,
    table: &'static str,
    columns: &[&'static str],
    keys: fn(&QueryResult) -> Result<Keys, DbErr>,
) -> Result<(), DbErr> {
    let db = m.get_connection();
    let gone = if table == PRODUCTS {
        "archived"
    } else {
        "erased"
    };
    let mut last = 0_i64;
    loop {
        let batch = Query::select()
            .column("id")
            .columns(columns.iter().copied())
            .from(table)
            .and_where(Expr::col("id").gt(last))
            .and_where(Expr::col(gone).eq(false))
            .order_by("id", Order::Asc)
            .limit(BATCH)
            .take();
        let rows = db.query_all(&batch).await?;
        let Some(row) = rows.last() else {
            return Ok(());
        };
        last = row.try_get("", "id")?;
        for row in &rows {
            let id: i64 = row.try_get("", "id")?;
            let values = keys(row)?
                .into_iter()
                .map(|(name, value)| (name, value.into()));
            let update = Query::update()
                .table(table)
                .values(values)
                .and_where(Expr::col("id").eq(id))
                .take();
            db.execute(&update).await?;
        }
    }
}

/// Two products whose SKUs are the same now. The older program can still change one of them.
async fn refuse_twins(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    let twins = Query::select()
        .expr_as(Expr::col("id").min(), "first")
        .expr_as(Expr::col("id").max(), "last")
        .from(PRODUCTS)
        .and_where(Expr::col(SKU_KEY).is_not_null())
        .group_by_col(SKU_KEY)
        .and_having(Expr::col("id").count().gt(1))
        .limit(1)
        .take();
    let Some(twins) = m.get_connection().query_one(&twins).await? else {
        return Ok(());
    };
    let (first, last): (i64, i64) = (twins.try_get("", "first")?, twins.try_get("", "last")?);
    Err(DbErr::Custom(format!(
        "the SKUs of products {first} and {last} differ in case or normal form only: change one of them with the older \
         version, then start this one again"
    )))
}

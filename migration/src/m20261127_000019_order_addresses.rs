//! Orders go to an address of several fields. It was one text before: in orders, in the events that show them, and in
//! what was answered to requests.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, ExprTrait, sea_query::LikeExpr},
};

use crate::addresses;

/// How many rows are read at once.
const BATCH: u64 = 500;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Where it was cut off it goes on: what is an address already stays as it is.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let address = Expr::col("shipping_address").is_not_null();
        each(m, "orders", "shipping_address", address, |text| {
            (!addresses::is_address(text)).then(|| addresses::of_text(text))
        })
        .await?;
        for (table, column) in [("events", "data"), ("idempotency_keys", "body")] {
            // No text that somebody has typed has quotes without backslashes before them.
            let with_text = LikeExpr::new("%\"shipping_address\":\"%");
            let with_text = Expr::col(column).like(with_text);
            each(m, table, column, with_text, |json| {
                Some(addresses::in_order(json))
            })
            .await?;
        }
        Ok(())
    }

    /// Nothing: an older version is given a backup of its own time.
    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}

/// Sets a column of the rows that are meant, in batches by id, where there is something else to be set.
async fn each(
    m: &SchemaManager<'_>,
    table: &'static str,
    column: &'static str,
    meant: Expr,
    change: fn(&str) -> Option<Option<String>>,
) -> Result<(), DbErr> {
    let db = m.get_connection();
    let mut last = 0_i64;
    loop {
        let batch = Query::select()
            .columns(["id", column])
            .from(table)
            .and_where(Expr::col("id").gt(last))
            .and_where(meant.clone())
            .order_by("id", Order::Asc)
            .limit(BATCH)
            .take();
        let rows = db.query_all(&batch).await?;
        let Some(row) = rows.last() else {
            return Ok(());
        };
        last = row.try_get("", "id")?;
        for row in &rows {
            let (id, text): (i64, String) = (row.try_get("", "id")?, row.try_get("", column)?);
            let Some(changed) = change(&text) else {
                continue;
            };
            let update = Query::update()
                .table(table)
                .value(column, changed)
                .and_where(Expr::col("id").eq(id))
                .take();
            db.execute(&update).await?;
        }
    }
}

//! Whether the database takes writes: it may answer every question while its disk is full.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend,
    sea_query::{Alias, Expr, ExprTrait, Query},
};
use tokio::time::timeout;

use super::{Error, Result, error::is_transient};
use crate::transaction;

const TABLE: &str = "write_probes";

/// How long the probe may take, which writes as little as an order does.
const TIME: Duration = Duration::from_secs(2);

/// How much is written into a SQLite file, in bytes: more pages than an order takes.
const PADDING: usize = 64 * 1024;

/// Whether something can be written: a row is added and taken away again in one transaction.
pub async fn is_writable(db: &DatabaseConnection) -> bool {
    let is_sqlite = db.get_database_backend() == DbBackend::Sqlite;
    match timeout(TIME, write(db, if is_sqlite { PADDING } else { 0 })).await {
        Ok(Ok(())) => true,
        // Another process writes: this one's turn comes.
        Ok(Err(Error::Db(error))) if is_transient(&error) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "nothing can be written");
            false
        }
        // SQLite's writers wait for each other. On a server nothing else touches this row.
        Err(_) => is_sqlite,
    }
}

async fn write(db: &DatabaseConnection, padding: usize) -> Result<()> {
    let id: i64 = rand::random();
    let row = [Expr::value(id), Expr::value(" ".repeat(padding))];
    let insert = Query::insert()
        .into_table(TABLE)
        .columns(["id", "padding"].map(Alias::new))
        .values_panic(row)
        .to_owned();
    let delete = Query::delete()
        .from_table(TABLE)
        .and_where(Expr::col(Alias::new("id")).eq(id))
        .to_owned();
    transaction!(db, |txn| {
        txn.execute(&insert).await?;
        txn.execute(&delete).await?;
        Ok(())
    })
}

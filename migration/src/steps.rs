//! The steps of a migration, each of which does nothing where it has been done before.
//!
//! MariaDB and MySQL commit every one of them by itself: a start that is killed between two steps leaves
//! the first behind, and the next start goes on from there.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend, Statement},
};

/// Creates a table with its columns, rules and references, unless it is there.
pub async fn table(m: &SchemaManager<'_>, mut table: TableCreateStatement) -> Result<(), DbErr> {
    m.create_table(table.if_not_exists().take()).await
}

/// Adds a column, unless its table has one of that name.
pub async fn column(
    m: &SchemaManager<'_>,
    table: &'static str,
    column: ColumnDef,
) -> Result<(), DbErr> {
    // MySQL has no ADD COLUMN IF NOT EXISTS.
    if m.has_column(table, column.get_column_name()).await? {
        return Ok(());
    }
    m.alter_table(Table::alter().table(table).add_column(column).take())
        .await
}

/// Drops a column, if its table has one of that name.
pub async fn drop_column(
    m: &SchemaManager<'_>,
    table: &'static str,
    column: &'static str,
) -> Result<(), DbErr> {
    if !m.has_column(table, column).await? {
        return Ok(());
    }
    m.alter_table(Table::alter().table(table).drop_column(column).to_owned())
        .await
}

/// Creates an index, unless its table has one of that name.
pub async fn index(
    m: &SchemaManager<'_>,
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
) -> Result<(), DbErr> {
    create(m, name, table, columns, &mut Index::create()).await
}

/// Creates an index of the rows in which a column has that word, unless its table has one of that name. MySQL knows no
/// such index, and gets one of all rows.
pub async fn index_where(
    m: &SchemaManager<'_>,
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
    (column, word): (&'static str, &'static str),
) -> Result<(), DbErr> {
    let mut index = Index::create();
    if m.get_connection().get_database_backend() != DbBackend::MySql {
        index.and_where(Expr::col(column).eq(word));
    }
    create(m, name, table, columns, &mut index).await
}

/// Creates a unique index, unless its table has one of that name. SQLite names the columns in its errors
/// and the other two the index, so that an index is named after its columns: `uq_<table>_<column>`.
pub async fn unique(
    m: &SchemaManager<'_>,
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
) -> Result<(), DbErr> {
    create(m, name, table, columns, Index::create().unique()).await
}

/// Drops an index, if its table has one of that name.
pub async fn drop_index(
    m: &SchemaManager<'_>,
    name: &'static str,
    table: &'static str,
) -> Result<(), DbErr> {
    if !m.has_index(table, name).await? {
        return Ok(());
    }
    m.drop_index(Index::drop().name(name).table(table).to_owned())
        .await
}

/// Drops a table, if it is there.
pub async fn drop(m: &SchemaManager<'_>, table: &'static str) -> Result<(), DbErr> {
    m.drop_table(Table::drop().table(table).if_exists().take())
        .await
}

/// SQLite cannot change the rules of a table and its columns: makes it anew as `next`, with what it has in the columns
/// `copied`, where it does not yet have, or lack, the `column` that tells. Its indexes are gone then.
pub async fn rebuild(
    m: &SchemaManager<'_>,
    table: &'static str,
    (next, mut definition): (&'static str, TableCreateStatement),
    (column, has_it): (&'static str, bool),
    copied: &str,
) -> Result<(), DbErr> {
    let db = m.get_connection();
    let run = |sql: String| db.execute_raw(Statement::from_string(DbBackend::Sqlite, sql));
    if m.has_table(table).await? && m.has_column(table, column).await? != has_it {
        drop(m, next).await?;
        m.create_table(definition.table(next).take()).await?;
        run(format!(
            "INSERT INTO {next} ({copied}) SELECT {copied} FROM {table}"
        ))
        .await?;
        drop(m, table).await?;
    }
    // It was cut off between the two.
    if !m.has_table(table).await? {
        run(format!("ALTER TABLE {next} RENAME TO {table}")).await?;
    }
    Ok(())
}

async fn create(
    m: &SchemaManager<'_>,
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
    index: &mut IndexCreateStatement,
) -> Result<(), DbErr> {
    // MySQL has no CREATE INDEX IF NOT EXISTS.
    if m.has_index(table, name).await? {
        return Ok(());
    }
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    m.create_index(index.take()).await
}

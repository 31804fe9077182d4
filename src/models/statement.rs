//! The statements of orders and events, put together as text. The query builder makes the same statements at ten times
//! the cost. Elsewhere that does not matter, and the query builder is used.

use std::fmt::Write;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic,
    Iterable, Statement, Value,
};

/// A statement with `?` where its values go.
pub fn statement(
    backend: DbBackend,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    if backend != DbBackend::Postgres {
        return Statement::from_sql_and_values(backend, sql, values);
    }
    let mut numbered = String::with_capacity(sql.len() + 16);
    for (number, part) in sql.split('?').enumerate() {
        if number > 0 {
            // Writing to a string does not fail.
            let _ = write!(numbered, "${number}");
        }
        numbered.push_str(part);
    }
    Statement::from_sql_and_values(backend, numbered, values)
}

/// What inserts rows, of which all have the same columns set.
pub fn inserting<A: ActiveModelTrait>(
    backend: DbBackend,
    rows: impl IntoIterator<Item = A>,
) -> Statement {
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    let mut rows = rows.into_iter();
    let mut sql = String::with_capacity(512);
    sql.push_str("INSERT INTO ");
    sql.push_str(A::Entity::default().as_str());
    let Some(mut first) = rows.next() else {
        return Statement::from_string(backend, "");
    };
    for column in <A::Entity as EntityTrait>::Column::iter() {
        if let ActiveValue::Set(value) | ActiveValue::Unchanged(value) = first.take(column) {
            sql.push_str(if columns.is_empty() { " (" } else { ", " });
            push_quoted(&mut sql, backend, column.as_str());
            columns.push(column);
            values.push(value);
        }
    }
    let places = format!("({})", vec!["?"; columns.len()].join(", "));
    sql.push_str(") VALUES ");
    sql.push_str(&places);
    for mut row in rows {
        sql.push_str(", ");
        sql.push_str(&places);
        values.extend(
            columns
                .iter()
                .filter_map(|column| row.take(*column).into_value()),
        );
    }
    statement(backend, &sql, values)
}

/// Updates one row, and of it only the columns that are set in `row`. Fails if no row has this id.
pub async fn update<A: ActiveModelTrait>(
    db: &impl ConnectionTrait,
    id: i64,
    mut row: A,
) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let mut values = Vec::new();
    let mut sql = String::with_capacity(512);
    sql.push_str("UPDATE ");
    sql.push_str(A::Entity::default().as_str());
    for column in <A::Entity as EntityTrait>::Column::iter() {
        if let ActiveValue::Set(value) = row.take(column)
            && column.as_str() != "id"
        {
            sql.push_str(if values.is_empty() { " SET " } else { ", " });
            push_quoted(&mut sql, backend, column.as_str());
            sql.push_str(" = ?");
            values.push(value);
        }
    }
    sql.push_str(" WHERE id = ?");
    values.push(id.into());
    let done = db.execute_raw(statement(backend, &sql, values)).await?;
    match done.rows_affected() {
        0 => Err(DbErr::RecordNotUpdated),
        _ => Ok(()),
    }
}

fn push_quoted(sql: &mut String, backend: DbBackend, name: &str) {
    let quote = if backend == DbBackend::MySql {
        '`'
    } else {
        '"'
    };
    sql.push(quote);
    sql.push_str(name);
    sql.push(quote);
}

/// Inserts a row, and answers which id it was given.
pub async fn insert<A: ActiveModelTrait>(db: &impl ConnectionTrait, row: A) -> Result<i64, DbErr> {
    let backend = db.get_database_backend();
    let mut insert = inserting(backend, [row]);
    if backend != DbBackend::Postgres {
        let id = db.execute_raw(insert).await?.last_insert_id();
        return i64::try_from(id).map_err(|_| DbErr::Custom(format!("{id} is too large an id")));
    }
    insert.sql.push_str(" RETURNING id");
    let row = db.query_one_raw(insert).await?;
    row.ok_or(DbErr::RecordNotInserted)?.try_get("", "id")
}

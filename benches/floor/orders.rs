//! Placing an order of two lines with the statements that the store uses, one after the other.

use std::str::FromStr;

use sea_orm::sqlx::{
    self, MySqlPool, Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    types::chrono::Utc,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// Writers that queue are faster than writers that poll, so the floor does as the store does.
pub static SQLITE_TURN: Mutex<()> = Mutex::const_new(());

/// What is ordered.
#[derive(Deserialize)]
pub struct NewOrder {
    customer_id: i64,
    items: [Line; 2],
}

#[derive(Deserialize)]
struct Line {
    product_id: i64,
    quantity: i64,
}

/// What was ordered.
#[derive(Serialize)]
pub struct Placed {
    id: i64,
    customer: String,
    items: Vec<Item>,
    total_minor: i64,
}

#[derive(Serialize)]
struct Item {
    product_id: i64,
    sku: Option<String>,
    name: String,
    unit_price_minor: i64,
    quantity: i64,
}

/// A SQLite store, opened as the store opens it: what is committed is on the disk.
pub fn opened(url: &str) -> sqlx::Result<SqliteConnectOptions> {
    Ok(SqliteConnectOptions::from_str(url)?
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true))
}

macro_rules! placed {
    ($txn:expr, $order:expr, $lock:literal, $id:ident) => {{
        let NewOrder { customer_id, items } = $order;
        let now = Utc::now();
        let customer = sqlx::query(concat!(
            "SELECT id, name, email, email_key, phone, name_key, search_text, erased, created_at, updated_at \
             FROM customers WHERE erased = 0 AND id = ? LIMIT 1",
            $lock
        ))
        .bind(customer_id)
        .fetch_one(&mut *$txn)
        .await?;
        let products = sqlx::query(
            "SELECT id, sku, name, description, price_minor, stock, name_key, search_text, archived, created_at, \
             updated_at FROM products WHERE archived = 0 AND id IN (?, ?)",
        )
        .bind(items[0].product_id)
        .bind(items[1].product_id)
        .fetch_all(&mut *$txn)
        .await?;
        let mut lines = Vec::with_capacity(2);
        for row in &products {
            let product_id = row.try_get("id")?;
            let line = items.iter().find(|line| line.product_id == product_id);
            lines.push(Item {
                product_id,
                sku: row.try_get("sku")?,
                name: row.try_get("name")?,
                unit_price_minor: row.try_get("price_minor")?,
                quantity: line.map_or(1, |line| line.quantity),
            });
        }
        let total_minor = lines.iter().map(|line| line.unit_price_minor * line.quantity).sum();
        let id = sqlx::query(
            "INSERT INTO orders (customer_id, status, currency, total_minor, shipping_address, note, placed_at, \
             updated_at) VALUES (?, 'placed', 'USD', ?, NULL, NULL, ?, ?)",
        )
        .bind(customer_id)
        .bind(total_minor)
        .bind(now)
        .bind(now)
        .execute(&mut *$txn)
        .await?
        .$id();
        let id = i64::try_from(id).unwrap_or_default();
        sqlx::query(
            "INSERT INTO order_events (order_id, status, account_id, actor, reason, created_at) \
             VALUES (?, 'placed', 1, 'pat', NULL, ?)",
        )
        .bind(id)
        .bind(now)
        .execute(&mut *$txn)
        .await?;
        for line in &lines {
            sqlx::query(
                "UPDATE products SET stock = stock - ?, updated_at = ? \
                 WHERE id = ? AND archived = 0 AND stock >= ?",
            )
            .bind(line.quantity)
            .bind(now)
            .bind(line.product_id)
            .bind(line.quantity)
            .execute(&mut *$txn)
            .await?;
        }
        let mut movements = sqlx::query(
            "INSERT INTO stock_movements (product_id, kind, delta, reason, order_id, account_id, actor, created_at) \
             VALUES (?, 'order', ?, NULL, ?, 1, 'pat', ?), (?, 'order', ?, NULL, ?, 1, 'pat', ?)",
        );
        for line in &lines {
            movements = movements.bind(line.product_id).bind(-line.quantity).bind(id).bind(now);
        }
        movements.execute(&mut *$txn).await?;
        let mut rows = sqlx::query(
            "INSERT INTO order_items (order_id, line, product_id, sku, name, unit_price_minor, quantity, \
             line_total_minor) VALUES (?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?)",
        );
        for (number, line) in (1_i64..).zip(&lines) {
            rows = rows
                .bind(id)
                .bind(number)
                .bind(line.product_id)
                .bind(&line.sku)
                .bind(&line.name)
                .bind(line.unit_price_minor)
                .bind(line.quantity)
                .bind(line.unit_price_minor * line.quantity);
        }
        rows.execute(&mut *$txn).await?;
        Placed {
            id,
            customer: customer.try_get("name")?,
            items: lines,
            total_minor,
        }
    }};
}

/// Places an order in a SQLite store.
pub async fn on_sqlite(db: &SqlitePool, order: NewOrder) -> sqlx::Result<Placed> {
    let _turn = SQLITE_TURN.lock().await;
    let mut txn = db.begin_with("BEGIN IMMEDIATE").await?;
    let placed = placed!(txn, order, "", last_insert_rowid);
    txn.commit().await?;
    Ok(placed)
}

/// Places an order in a MySQL or MariaDB store.
pub async fn on_mysql(db: &MySqlPool, order: NewOrder) -> sqlx::Result<Placed> {
    let mut txn = db.begin().await?;
    let placed = placed!(txn, order, " FOR UPDATE", last_insert_id);
    txn.commit().await?;
    Ok(placed)
}

//! A cart of two lines, with the statements that the store uses, one after the other: shown, an item set, completed.
//! On SQLite only.

use chrono::TimeDelta;
use sea_orm::sqlx::{
    self, AssertSqlSafe, Row, SqliteConnection, SqlitePool,
    sqlite::SqliteRow,
    types::chrono::{DateTime, Utc},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::orders::SQLITE_TURN;

const COLUMNS: &str = "id, token, status, customer_id, email, email_key, name, phone, items, shipping_address, \
                       billing_address, note, shipping_option_id, discount_code, quoted_total_minor, held, held_until, \
                       first_held_at, budget, created_at, updated_at, expires_at";

/// A cart, and what it comes to.
#[derive(Serialize)]
pub struct Cart {
    #[serde(skip)]
    row: i64,
    id: String,
    status: String,
    email: Option<String>,
    items: Vec<Item>,
    shipping_address: Option<Box<RawValue>>,
    shipping_options: Vec<ShippingOption>,
    shipping_option_id: Option<i64>,
    total_minor: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Item {
    product_id: i64,
    quantity: i64,
    unit_price_minor: i64,
    sku: Option<String>,
    name: String,
}

#[derive(Serialize)]
struct ShippingOption {
    id: i64,
    name: String,
    price_minor: i64,
}

/// What a cart has become.
#[derive(Serialize)]
pub struct Completed {
    id: i64,
    customer: String,
    items: Vec<Item>,
    total_minor: i64,
}

/// Shows it.
pub async fn show(db: &SqlitePool, token: &str) -> sqlx::Result<Cart> {
    let mut connection = db.acquire().await?;
    let row = find(&mut connection, token).await?;
    calculated(&mut connection, &row, items(&row)?).await
}

/// Sets how many pieces of a product it has.
pub async fn set(db: &SqlitePool, token: &str, product: i64, quantity: i64) -> sqlx::Result<Cart> {
    let _turn = SQLITE_TURN.lock().await;
    let mut txn = db.begin_with("BEGIN IMMEDIATE").await?;
    let row = find(&mut txn, token).await?;
    let mut items = items(&row)?;
    let offer = offers(&mut txn, &[product]).await?.remove(0);
    let offer = Item {
        quantity,
        ..of(&offer)?
    };
    match items.iter_mut().find(|item| item.product_id == product) {
        Some(item) => *item = offer,
        None => items.push(offer),
    }
    let mut cart = calculated(&mut txn, &row, items).await?;
    cart.updated_at = Utc::now();
    cart.expires_at = cart.updated_at + TimeDelta::days(30);
    sqlx::query("UPDATE checkouts SET items = ?, quoted_total_minor = ?, updated_at = ?, expires_at = ? WHERE id = ?")
        .bind(serde_json::to_string(&cart.items).map_err(decoded)?)
        .bind(cart.total_minor)
        .bind(cart.updated_at)
        .bind(cart.expires_at)
        .bind(cart.row)
        .execute(&mut *txn)
        .await?;
    txn.commit().await?;
    Ok(cart)
}

/// Makes it an order.
pub async fn complete(db: &SqlitePool, token: &str) -> sqlx::Result<Completed> {
    let _turn = SQLITE_TURN.lock().await;
    let mut txn = db.begin_with("BEGIN IMMEDIATE").await?;
    let row = find(&mut txn, token).await?;
    let customer = sqlx::query(
        "SELECT id, name, email, email_key, phone, name_key, search_text, erased, created_at, updated_at \
         FROM customers WHERE erased = 0 AND email_key = ? LIMIT 1",
    )
    .bind(row.try_get::<String, _>("email_key")?)
    .fetch_one(&mut *txn)
    .await?;
    let cart = calculated(&mut txn, &row, items(&row)?).await?;
    let id = ordered(&mut txn, &row, &cart, customer.try_get("id")?).await?;
    sqlx::query("UPDATE checkouts SET status = 'completed', updated_at = ? WHERE id = ? AND status = 'open'")
        .bind(Utc::now())
        .bind(cart.row)
        .execute(&mut *txn)
        .await?;
    txn.commit().await?;
    Ok(Completed {
        id,
        customer: customer.try_get("name")?,
        items: cart.items,
        total_minor: cart.total_minor,
    })
}

/// Writes the order and all that belongs to it.
async fn ordered(
    txn: &mut SqliteConnection,
    row: &SqliteRow,
    cart: &Cart,
    customer: i64,
) -> sqlx::Result<i64> {
    let now = Utc::now();
    let id = sqlx::query(
        "INSERT INTO orders (customer_id, status, currency, total_minor, shipping_address, note, placed_at, updated_at, \
         discount_minor, shipping_minor, tax_minor, prices_include_tax, taxes, email, billing_address, shipping_name, \
         discount_code, checkout_id) \
         VALUES (?, 'placed', 'USD', ?, ?, NULL, ?, ?, 0, 490, 0, 1, '[]', ?, NULL, 'Post', NULL, ?)",
    )
    .bind(customer)
    .bind(cart.total_minor)
    .bind(row.try_get::<Option<String>, _>("shipping_address")?)
    .bind(now)
    .bind(now)
    .bind(&cart.email)
    .bind(&cart.id)
    .execute(&mut *txn)
    .await?
    .last_insert_rowid();
    for item in &cart.items {
        sqlx::query(
            "UPDATE products SET stock = stock - ?, updated_at = ? WHERE id = ? AND archived = 0 AND stock >= ?",
        )
        .bind(item.quantity)
        .bind(now)
        .bind(item.product_id)
        .bind(item.quantity)
        .execute(&mut *txn)
        .await?;
    }
    sqlx::query(
        "INSERT INTO order_events (order_id, status, account_id, actor, reason, created_at) \
         VALUES (?, 'placed', NULL, 'guest', NULL, ?)",
    )
    .bind(id)
    .bind(now)
    .execute(&mut *txn)
    .await?;
    let mut lines = sqlx::query(
        "INSERT INTO order_items (order_id, line, product_id, sku, name, unit_price_minor, quantity, line_total_minor, \
         discount_minor, tax_rate_thousandths, tax_minor) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0), (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0)",
    );
    for (number, item) in (1_i64..).zip(&cart.items) {
        lines = lines
            .bind(id)
            .bind(number)
            .bind(item.product_id)
            .bind(&item.sku)
            .bind(&item.name)
            .bind(item.unit_price_minor)
            .bind(item.quantity)
            .bind(item.unit_price_minor * item.quantity);
    }
    lines.execute(&mut *txn).await?;
    let mut movements = sqlx::query(
        "INSERT INTO stock_movements (product_id, kind, delta, reason, order_id, account_id, actor, created_at, \
         checkout_id) VALUES (?, 'order', ?, NULL, ?, NULL, 'guest', ?, NULL), (?, 'order', ?, NULL, ?, NULL, 'guest', ?, NULL)",
    );
    for item in &cart.items {
        movements = movements
            .bind(item.product_id)
            .bind(-item.quantity)
            .bind(id)
            .bind(now);
    }
    movements.execute(&mut *txn).await?;
    Ok(id)
}

async fn find(connection: &mut SqliteConnection, token: &str) -> sqlx::Result<SqliteRow> {
    let statement =
        format!("SELECT {COLUMNS} FROM checkouts WHERE token = ? AND customer_id IS NULL LIMIT 1");
    sqlx::query(AssertSqlSafe(statement))
        .bind(token)
        .fetch_one(connection)
        .await
}

fn items(row: &SqliteRow) -> sqlx::Result<Vec<Item>> {
    serde_json::from_str(row.try_get("items")?).map_err(decoded)
}

async fn offers(connection: &mut SqliteConnection, ids: &[i64]) -> sqlx::Result<Vec<SqliteRow>> {
    let one = "SELECT id, sku, name, price_minor, stock, tax_class FROM products WHERE archived = 0 AND id = ?";
    let mut query = sqlx::query(AssertSqlSafe(vec![one; ids.len()].join(" UNION ALL ")));
    for id in ids {
        query = query.bind(id);
    }
    query.fetch_all(connection).await
}

fn of(offer: &SqliteRow) -> sqlx::Result<Item> {
    Ok(Item {
        product_id: offer.try_get("id")?,
        quantity: 0,
        unit_price_minor: offer.try_get("price_minor")?,
        sku: offer.try_get("sku")?,
        name: offer.try_get("name")?,
    })
}

/// What it comes to today.
async fn calculated(
    connection: &mut SqliteConnection,
    row: &SqliteRow,
    mut items: Vec<Item>,
) -> sqlx::Result<Cart> {
    let ids: Vec<_> = items.iter().map(|item| item.product_id).collect();
    for offer in offers(&mut *connection, &ids).await? {
        let offer = of(&offer)?;
        for item in &mut items {
            if item.product_id == offer.product_id {
                *item = Item {
                    quantity: item.quantity,
                    ..offer.clone()
                };
            }
        }
    }
    let rates = sqlx::query("SELECT * FROM shipping_rates ORDER BY position, id")
        .fetch_all(&mut *connection)
        .await?;
    let rates = rates.iter().map(|rate| {
        Ok(ShippingOption {
            id: rate.try_get("id")?,
            name: rate.try_get("name")?,
            price_minor: rate.try_get("price_minor")?,
        })
    });
    let shipping_options: Vec<_> = rates.collect::<sqlx::Result<_>>()?;
    sqlx::query(
        "SELECT * FROM tax_rates WHERE country = ? OR id = (SELECT MIN(id) FROM tax_rates)",
    )
    .bind("DE")
    .fetch_all(&mut *connection)
    .await?;
    let goods: i64 = items
        .iter()
        .map(|item| item.unit_price_minor * item.quantity)
        .sum();
    let shipping_option_id = row.try_get("shipping_option_id")?;
    let shipping = shipping_options
        .iter()
        .find(|option| Some(option.id) == shipping_option_id)
        .map_or(0, |option| option.price_minor);
    let address: Option<String> = row.try_get("shipping_address")?;
    Ok(Cart {
        row: row.try_get("id")?,
        id: row.try_get("token")?,
        status: row.try_get("status")?,
        email: row.try_get("email")?,
        items,
        shipping_address: address
            .map(RawValue::from_string)
            .transpose()
            .map_err(decoded)?,
        shipping_options,
        shipping_option_id,
        total_minor: goods + shipping,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

fn decoded(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

//! The floor that the store's speed is held against: axum, a token and the database, and nothing else.
//!
//!     JWT_SECRET=… cargo run --release --example floor -- PORT DATABASE-URL
//!
//! `/hit/{id}` verifies the token and answers from a cache in memory; `/miss/{id}` asks the database; a POST to
//! `/orders` places an order, whose statements are in `orders.rs`; `/carts/{id}` is a checkout, with the statements in
//! `carts.rs`. The scripts beside this folder start it.

use std::{env, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    routing::{get, post, put},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::sync::Cache;
use sea_orm::sqlx::{
    self, Row, SqlitePool,
    mysql::MySqlPoolOptions,
    sqlite::SqlitePoolOptions,
    types::chrono::{DateTime, Utc},
};
use serde::{Deserialize, Serialize};

mod carts;
mod orders;

use orders::{NewOrder, Placed};

struct Floor {
    key: DecodingKey,
    rules: Validation,
    db: Database,
    kept: Cache<i64, Bytes>,
}

enum Database {
    Sqlite(SqlitePool),
    Mysql(sqlx::MySqlPool),
}

#[derive(Serialize)]
struct Product {
    id: i64,
    sku: Option<String>,
    name: String,
    description: Option<String>,
    price_minor: i64,
    stock: Option<i64>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// The product with that id, if there is one, of either database.
macro_rules! product {
    ($db:expr, $id:expr) => {{
        let statement = "SELECT id, sku, name, description, price_minor, stock, created_at, updated_at \
                         FROM products WHERE archived = 0 AND id = ? LIMIT 1";
        match sqlx::query(statement).bind($id).fetch_optional($db).await? {
            Some(row) => Some(Product {
                id: row.try_get(0)?,
                sku: row.try_get(1)?,
                name: row.try_get(2)?,
                description: row.try_get(3)?,
                price_minor: row.try_get(4)?,
                stock: row.try_get(5)?,
                created_at: row.try_get(6)?,
                updated_at: row.try_get(7)?,
            }),
            None => None,
        }
    }};
}

type Answer = Result<([(HeaderName, &'static str); 1], Bytes), StatusCode>;

impl Floor {
    fn admit(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or(StatusCode::UNAUTHORIZED)?;
        jsonwebtoken::decode::<serde_json::Value>(token, &self.key, &self.rules)
            .map(|_| ())
            .map_err(|_| StatusCode::UNAUTHORIZED)
    }

    async fn read(&self, id: i64) -> Result<Bytes, StatusCode> {
        let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
        let product = self.product(id).await.map_err(failed)?;
        let product = product.ok_or(StatusCode::NOT_FOUND)?;
        serde_json::to_vec(&product)
            .map(Bytes::from)
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    }

    const fn sqlite(&self) -> Result<&SqlitePool, StatusCode> {
        match &self.db {
            Database::Sqlite(db) => Ok(db),
            Database::Mysql(_) => Err(StatusCode::NOT_IMPLEMENTED),
        }
    }

    async fn product(&self, id: i64) -> sqlx::Result<Option<Product>> {
        Ok(match &self.db {
            Database::Sqlite(db) => product!(db, id),
            Database::Mysql(db) => product!(db, id),
        })
    }
}

async fn hit(State(floor): State<Arc<Floor>>, Path(id): Path<i64>, headers: HeaderMap) -> Answer {
    floor.admit(&headers)?;
    if let Some(body) = floor.kept.get(&id) {
        return Ok(json(body));
    }
    let body = floor.read(id).await?;
    floor.kept.insert(id, body.clone());
    Ok(json(body))
}

async fn miss(State(floor): State<Arc<Floor>>, Path(id): Path<i64>, headers: HeaderMap) -> Answer {
    floor.admit(&headers)?;
    floor.read(id).await.map(json)
}

async fn order(
    State(floor): State<Arc<Floor>>,
    headers: HeaderMap,
    Json(order): Json<NewOrder>,
) -> Result<(StatusCode, Json<Placed>), StatusCode> {
    floor.admit(&headers)?;
    let placed = match &floor.db {
        Database::Sqlite(db) => orders::on_sqlite(db, order).await,
        Database::Mysql(db) => orders::on_mysql(db, order).await,
    };
    let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
    Ok((StatusCode::CREATED, Json(placed.map_err(failed)?)))
}

#[derive(Deserialize)]
struct Quantity {
    quantity: i64,
}

async fn cart(
    State(floor): State<Arc<Floor>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<carts::Cart>, StatusCode> {
    floor.admit(&headers)?;
    done(carts::show(floor.sqlite()?, &id).await)
}

async fn cart_item(
    State(floor): State<Arc<Floor>>,
    Path((id, product)): Path<(String, i64)>,
    headers: HeaderMap,
    Json(set): Json<Quantity>,
) -> Result<Json<carts::Cart>, StatusCode> {
    floor.admit(&headers)?;
    done(carts::set(floor.sqlite()?, &id, product, set.quantity).await)
}

async fn cart_completed(
    State(floor): State<Arc<Floor>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<carts::Completed>, StatusCode> {
    floor.admit(&headers)?;
    done(carts::complete(floor.sqlite()?, &id).await)
}

fn done<T>(result: sqlx::Result<T>) -> Result<Json<T>, StatusCode> {
    result
        .map(Json)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

const fn json(body: Bytes) -> ([(HeaderName, &'static str); 1], Bytes) {
    ([(header::CONTENT_TYPE, "application/json")], body)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let (port, store) = arguments
        .next()
        .zip(arguments.next())
        .ok_or("PORT DATABASE-URL")?;
    let mut rules = Validation::new(Algorithm::HS512);
    rules.set_audience(&["boxcar"]);
    let db = if store.starts_with("sqlite:") {
        let options = SqlitePoolOptions::new()
            .max_connections(16)
            .test_before_acquire(false);
        Database::Sqlite(options.connect_with(orders::opened(&store)?).await?)
    } else {
        let options = MySqlPoolOptions::new()
            .max_connections(16)
            .test_before_acquire(false);
        Database::Mysql(options.connect(&store).await?)
    };
    let floor = Floor {
        key: DecodingKey::from_base64_secret(&env::var("JWT_SECRET")?)?,
        rules,
        db,
        kept: Cache::new(100_000),
    };
    let router = Router::new()
        .route("/hit/{id}", get(hit))
        .route("/miss/{id}", get(miss))
        .route("/orders", post(order))
        .route("/carts/{id}", get(cart))
        .route("/carts/{id}/items/{product}", put(cart_item))
        .route("/carts/{id}/complete", post(cart_completed))
        .with_state(Arc::new(floor));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    Ok(axum::serve(listener, router).await?)
}

//! The floor that the store's speed is held against: axum, a token and the database, and nothing else.
//!
//!     JWT_SECRET=… cargo run --release --example floor -- PORT DATABASE-URL
//!
//! `/hit/{id}` verifies the token and answers from a cache in memory; `/miss/{id}` asks the database (SQLite),
//! with the statement that the store would use; a POST to `/orders` places an order with the store's
//! statements (SQLite and MySQL). The scripts beside this folder start it.

use std::{env, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    routing::{get, post},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::sync::Cache;
use sea_orm::sqlx::{
    self, Row, SqlitePool,
    mysql::MySqlPoolOptions,
    sqlite::{SqlitePoolOptions, SqliteRow},
};
use serde::Serialize;

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
    created_at: String,
    updated_at: String,
}

impl Product {
    fn of(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            sku: row.try_get("sku")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            price_minor: row.try_get("price_minor")?,
            stock: row.try_get("stock")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
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
        let Database::Sqlite(db) = &self.db else {
            return Err(StatusCode::NOT_IMPLEMENTED);
        };
        let statement = "SELECT id, sku, name, description, price_minor, stock, created_at, updated_at \
                         FROM products WHERE archived = 0 AND id = ? LIMIT 1";
        let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
        let row = sqlx::query(statement).bind(id).fetch_optional(db);
        let row = row.await.map_err(failed)?.ok_or(StatusCode::NOT_FOUND)?;
        let product = Product::of(&row).map_err(failed)?;
        serde_json::to_vec(&product)
            .map(Bytes::from)
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
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
        .with_state(Arc::new(floor));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    Ok(axum::serve(listener, router).await?)
}

//! The floor that the store's speed is held against: axum, a token and a product, and nothing else.
//!
//!     JWT_SECRET=… cargo run --release --example floor -- PORT PATH-OF-A-SQLITE-STORE
//!
//! `/hit/{id}` verifies the token and answers from a cache in memory; `/miss/{id}` asks the database, with
//! the statement that the store would use. `benches/get.py` starts it.

use std::{env, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    routing::get,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::sync::Cache;
use sea_orm::sqlx::{
    self, Row, SqlitePool,
    sqlite::{SqlitePoolOptions, SqliteRow},
};
use serde::Serialize;

struct Floor {
    key: DecodingKey,
    rules: Validation,
    db: SqlitePool,
    kept: Cache<i64, Bytes>,
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
        let statement = "SELECT id, sku, name, description, price_minor, stock, created_at, updated_at \
                         FROM products WHERE archived = 0 AND id = ? LIMIT 1";
        let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
        let row = sqlx::query(statement).bind(id).fetch_optional(&self.db);
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

const fn json(body: Bytes) -> ([(HeaderName, &'static str); 1], Bytes) {
    ([(header::CONTENT_TYPE, "application/json")], body)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let (port, store) = arguments.next().zip(arguments.next()).ok_or("PORT PATH")?;
    let mut rules = Validation::new(Algorithm::HS512);
    rules.set_audience(&["boxcar"]);
    let floor = Floor {
        key: DecodingKey::from_base64_secret(&env::var("JWT_SECRET")?)?,
        rules,
        db: SqlitePoolOptions::new()
            .max_connections(16)
            .test_before_acquire(false)
            .connect(&format!("sqlite://{store}"))
            .await?,
        kept: Cache::new(100_000),
    };
    let router = Router::new()
        .route("/hit/{id}", get(hit))
        .route("/miss/{id}", get(miss))
        .with_state(Arc::new(floor));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    Ok(axum::serve(listener, router).await?)
}

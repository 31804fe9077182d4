//! Servers that share a database, and a Redis.

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Program, Server, Service, Shop};

/// Some servers, and the shop that prepared their database.
pub struct Nodes {
    /// In here the shop only prepares and looks on.
    pub shop: Shop,
    /// The servers.
    pub servers: Vec<Arc<Server>>,
    /// The Redis that they share.
    pub redis: Option<Service>,
    /// An administrator's token.
    pub admin: String,
}

impl Nodes {
    /// One server, that shares nothing.
    pub async fn alone() -> Self {
        let shop = Shop::open().await;
        let server = Arc::new(Server::start(node(&shop)).await);
        Self::of(shop, vec![server], None).await
    }

    /// Two servers with a Redis of their own; where that is wanted (`REDIS_URL` is set) and the database
    /// is one that two processes on two machines could share.
    pub async fn two() -> Option<Self> {
        Self::two_with(|program| program).await
    }

    /// The same, with other settings.
    pub async fn two_with(settings: impl Fn(Program) -> Program + Send + Sync) -> Option<Self> {
        let shop = Shop::open().await;
        if std::env::var("REDIS_URL").is_err()
            || shop.ctx.config.database.uri.starts_with("sqlite:")
        {
            eprintln!("not tried: it takes REDIS_URL, and a database server in DATABASE_URL");
            return None;
        }
        let redis = Service::redis().await;
        let start = || async {
            let program = node(&shop).env("REDIS_URL", &redis.uri());
            Arc::new(Server::start(settings(program)).await)
        };
        let servers = vec![start().await, start().await];
        Some(Self::of(shop, servers, Some(redis)).await)
    }

    async fn of(shop: Shop, servers: Vec<Arc<Server>>, redis: Option<Service>) -> Self {
        let admin = shop.admin().await.token.unwrap();
        Self {
            shop,
            servers,
            redis,
            admin,
        }
    }

    /// One more server beside these.
    pub async fn another(&self, settings: impl Fn(Program) -> Program + Send + Sync) -> Server {
        let redis = self.redis.as_ref().unwrap().uri();
        Server::start(settings(node(&self.shop).env("REDIS_URL", &redis))).await
    }

    /// Adds a product for 1.00, of which there are plenty.
    pub async fn add_product(&self) -> i64 {
        let product = json!({ "name": "Lamp", "price": "1.00", "stock": 1_000_000 });
        let added = self.send(&self.servers[0], Method::POST, "/api/v1/products", &product);
        added.await.body["id"].as_i64().unwrap()
    }

    /// What an administrator is answered.
    pub async fn get(&self, server: &Server, path: &str) -> Answer {
        server
            .request(Method::GET, path, Some(&self.admin), None)
            .await
    }

    /// What an administrator is answered.
    pub async fn send(&self, server: &Server, method: Method, path: &str, body: &Value) -> Answer {
        server
            .request(method, path, Some(&self.admin), Some(body))
            .await
    }
}

fn node(shop: &Shop) -> Program {
    Program::new("test").on(&shop.ctx.config.database.uri)
}

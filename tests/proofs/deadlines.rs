//! A request's time is over: what is answered 503 was not done, and is not done later.

use std::time::Duration;

use boxcar::models::{connection, orders};
use loco_rs::{config::Config, controller::middleware::timeout::TimeOut};
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseTransaction, EntityTrait, PaginatorTrait,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::support::{Answer, Client, Shop, TestDatabase, assert_invariants};

/// How long a request may take here.
const TIME: Duration = Duration::from_millis(700);

/// How much later its answer may come on a busy machine.
const LATE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn an_order_that_waits_too_long_for_a_lock_is_never_placed() {
    let scene = Scene::open().await;
    let lock = scene.lock().await;
    let begun = Instant::now();
    let answer = scene.order().await;
    assert!(begun.elapsed() < TIME + LATE, "{:?}", begun.elapsed());
    answer.assert_problem(503, "unavailable");
    lock.rollback().await.unwrap();
    scene.assert_orders(0).await;
}

#[tokio::test]
async fn orders_that_queue_behind_a_lock_too_long_are_never_placed() {
    let scene = Scene::open().await;
    let lock = scene.lock().await;
    let waiting = (0..6).map(|_| scene.order());
    for answer in futures_util::future::join_all(waiting).await {
        answer.assert_problem(503, "unavailable");
    }
    lock.rollback().await.unwrap();
    scene.assert_orders(0).await;
}

#[tokio::test]
async fn an_order_whose_lock_is_free_in_time_is_placed() {
    let scene = Scene::open().await;
    let lock = scene.lock().await;
    let order = scene.order();
    tokio::pin!(order);
    assert!(
        timeout(TIME / 4, &mut order).await.is_err(),
        "it did not wait"
    );
    lock.rollback().await.unwrap();
    assert_eq!(order.await.status, 201);
    scene.assert_orders(1).await;
}

#[tokio::test]
async fn the_key_of_an_order_that_took_too_long_can_be_used_again() {
    let scene = Scene::open().await;
    let lock = scene.lock().await;
    let order = json!({ "items": [{ "product_id": scene.product, "quantity": 1 }] });
    let refused = scene.customer.post_once("k-1", "/orders", &order).await;
    refused.assert_problem(503, "unavailable");
    lock.rollback().await.unwrap();
    let placed = scene.customer.post_once("k-1", "/orders", &order).await;
    assert_eq!(placed.status, 201);
    assert_eq!(placed.header("idempotency-replayed"), None);
}

/// A shop in whose way another process can stand.
struct Scene {
    shop: Shop,
    customer: Client,
    product: i64,
    outside: sea_orm::DatabaseConnection,
}

impl Scene {
    async fn open() -> Self {
        let database = TestDatabase::create().await;
        let mut config: Config = database.configuration().await;
        config.server.middlewares.timeout_request = Some(TimeOut {
            enable: true,
            timeout: u64::try_from(TIME.as_millis()).unwrap(),
        });
        let shop = Shop::open_on(database, config).await;
        let product = json!({ "name": "Tea", "price": "2", "stock": 100 });
        let product = shop.admin().await.add_product(product).await;
        let customer = shop.customer("ada").await;
        let outside = connection::connect(&shop.ctx.config.database)
            .await
            .unwrap();
        Self {
            shop,
            customer,
            product,
            outside,
        }
    }

    /// Takes what an order needs, as another process could.
    async fn lock(&self) -> DatabaseTransaction {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let lock = self.outside.begin_with_options(immediate).await.unwrap();
        if lock.get_database_backend() != DatabaseBackend::Sqlite {
            let product = format!("UPDATE products SET stock = 1 WHERE id = {}", self.product);
            lock.execute_unprepared(&product).await.unwrap();
        }
        lock
    }

    async fn order(&self) -> Answer {
        self.customer.order(&[(self.product, 1)]).await
    }

    /// That so many orders are there, and that none is on its way: the next one is placed behind them.
    async fn assert_orders(&self, expected: u64) {
        assert_eq!(self.order().await.status, 201);
        let db = &self.shop.ctx.db;
        assert_eq!(
            orders::Entity::find().count(db).await.unwrap(),
            expected + 1
        );
        assert_invariants(db).await;
    }
}

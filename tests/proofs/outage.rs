//! The database goes away, and comes back.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use boxcar::models::{order_items, orders, products};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::support::{Answer, Client, PASSWORD, Service, Shop, TestDatabase, assert_invariants};

/// How long the shop waits for a connection, and how long an answer may take then.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(500);
const IN_TIME: Duration = Duration::from_secs(4);

/// How long the database may take to do what is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many orders each shopper places who does not give up.
const ORDERS: usize = 30;

/// How many pieces there are at first.
const STOCK: i64 = 1_000_000;

#[tokio::test]
async fn while_the_database_is_stopped_every_request_is_answered_unavailable() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.server.stop().await;
    scene.assert_unavailable().await;
}

#[tokio::test]
async fn while_the_database_is_stopped_the_shop_is_alive_and_not_ready() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.server.stop().await;
    assert_eq!(scene.status("/_ping").await, StatusCode::OK);
    assert_eq!(
        scene.status("/_readiness").await,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn when_the_database_is_back_the_same_shop_goes_on() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.server.stop().await;
    scene.assert_unavailable().await;
    scene.server.resume().await;
    scene.assert_recovers().await;
    assert_eq!(scene.assert_consistent().await, 1);
}

#[tokio::test]
async fn when_the_database_crashes_the_same_shop_goes_on() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.server.kill().await;
    scene.assert_unavailable().await;
    scene.server.resume().await;
    scene.assert_recovers().await;
    assert_eq!(scene.assert_consistent().await, 1);
}

#[tokio::test]
async fn a_crash_amid_orders_keeps_every_acknowledged_order_whole_and_no_half_one() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    let placed = Arc::new(AtomicUsize::new(0));
    let mut shoppers = JoinSet::new();
    for _ in 0..6 {
        shoppers.spawn(order_until_refused(
            scene.customer.clone(),
            scene.order(),
            Arc::clone(&placed),
        ));
    }
    eventually(|| async { placed.load(Ordering::SeqCst) >= 30 }).await;
    scene.server.kill().await;
    for answer in shoppers.join_all().await {
        assert_unavailable_or_unknown(&answer);
    }
    scene.server.resume().await;
    scene.assert_recovers().await;
    // One more is the order that showed the recovery, and each shopper's last may have been placed
    // without an answer.
    let acknowledged = placed.load(Ordering::SeqCst) + 1;
    let found = scene.assert_consistent().await;
    assert!(
        (acknowledged..=acknowledged + 6).contains(&found),
        "{found} orders, {acknowledged} acknowledged"
    );
}

#[tokio::test]
async fn orders_that_are_sent_again_through_a_crash_are_placed_once_each() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    let placed = Arc::new(AtomicUsize::new(0));
    let mut shoppers = JoinSet::new();
    for shopper in 0..6 {
        shoppers.spawn(order_stubbornly(
            scene.customer.clone(),
            scene.order(),
            format!("shopper-{shopper}"),
            Arc::clone(&placed),
        ));
    }
    for crash in 1..=3 {
        eventually(|| async { placed.load(Ordering::SeqCst) >= crash * 30 }).await;
        scene.server.kill().await;
        scene.server.resume().await;
    }
    shoppers.join_all().await;
    assert_eq!(scene.assert_consistent().await, 6 * ORDERS);
}

/// A shop on a database server of its own.
struct Scene {
    shop: Shop,
    customer: Client,
    product_id: i64,
    // The last to go: the others still use it.
    server: Service,
}

impl Scene {
    /// Nothing, when these tests are not about MariaDB.
    async fn open() -> Option<Self> {
        if !std::env::var("DATABASE_URL").is_ok_and(|url| url.starts_with("mysql:")) {
            println!("only with DATABASE_URL=mysql://…: it is MariaDB that is stopped here");
            return None;
        }
        let server = Service::mariadb().await;
        let database = TestDatabase::create_on(server.uri()).await;
        let mut config = database.configuration().await;
        config.database.acquire_timeout = Some(u64::try_from(ACQUIRE_TIMEOUT.as_millis()).unwrap());
        let shop = Shop::open_on(database, config).await;
        let customer = shop.customer("ada").await;
        let product = json!({ "name": "Tea", "price": "4.50", "stock": STOCK });
        let product_id = shop.admin().await.add_product(product).await;
        Some(Self {
            shop,
            customer,
            product_id,
            server,
        })
    }

    /// An order for one piece.
    fn order(&self) -> Value {
        json!({ "items": [{ "product_id": self.product_id, "quantity": 1 }] })
    }

    async fn get_product(&self) -> Answer {
        let path = format!("/products/{}", self.product_id);
        in_time(self.customer.get(&path)).await
    }

    async fn place_order(&self) -> Answer {
        in_time(self.customer.post("/orders", self.order())).await
    }

    async fn log_in(&self) -> Answer {
        let body = json!({ "username": "ada", "password": PASSWORD });
        in_time(self.customer.post("/auth/login", body)).await
    }

    async fn status(&self, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).unwrap();
        in_time(self.shop.stranger().request(request)).await.status
    }

    async fn assert_unavailable(&self) {
        assert_unavailable(&self.get_product().await);
        assert_unavailable(&self.place_order().await);
        assert_unavailable(&self.log_in().await);
    }

    /// Waits until each kind of request succeeds again; one order is placed.
    async fn assert_recovers(&self) {
        eventually(|| async { self.get_product().await.status == StatusCode::OK }).await;
        eventually(|| async { self.log_in().await.status == StatusCode::OK }).await;
        eventually(|| async { self.status("/_readiness").await == StatusCode::OK }).await;
        eventually(|| async { self.place_order().await.status == StatusCode::CREATED }).await;
    }

    /// Every order has its line, its piece has left the stock, and the ledger knows. Answers how many
    /// orders there are.
    async fn assert_consistent(&self) -> usize {
        let db = &self.shop.ctx.db;
        let orders = orders::Entity::find().count(db).await.unwrap();
        let lines = order_items::Entity::find().count(db).await.unwrap();
        assert_eq!(lines, orders);
        let product = products::Model::find(db, self.product_id).await.unwrap();
        let orders = i64::try_from(orders).unwrap();
        assert_eq!(product.stock, Some(STOCK - orders));
        assert_invariants(db).await;
        usize::try_from(orders).unwrap()
    }
}

/// Places one order after the other, and answers the first refusal.
async fn order_until_refused(customer: Client, order: Value, placed: Arc<AtomicUsize>) -> Answer {
    loop {
        let answer = customer.post("/orders", order.clone()).await;
        if answer.status != StatusCode::CREATED {
            return answer;
        }
        placed.fetch_add(1, Ordering::SeqCst);
    }
}

/// Places that many orders, each under a key of its own and again until it is told that it was placed.
async fn order_stubbornly(customer: Client, order: Value, name: String, placed: Arc<AtomicUsize>) {
    for number in 0..ORDERS {
        let key = format!("{name}-{number}");
        loop {
            let answer = customer.post_once(&key, "/orders", &order).await;
            if answer.status == StatusCode::CREATED {
                break;
            }
            assert_unavailable_or_unknown(&answer);
            sleep(Duration::from_millis(50)).await;
        }
        placed.fetch_add(1, Ordering::SeqCst);
    }
}

fn assert_unavailable(answer: &Answer) {
    answer.assert_problem(503, "unavailable");
    let seconds = answer.header("retry-after").unwrap();
    assert!(seconds.parse::<u32>().is_ok(), "{seconds}");
}

/// A commit that the crash has cut off is there or not.
fn assert_unavailable_or_unknown(answer: &Answer) {
    if answer.status == StatusCode::GATEWAY_TIMEOUT {
        assert_eq!(answer.problem(), "outcome-unknown");
    } else {
        assert_unavailable(answer);
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(IN_TIME, work).await.expect("the answer is in time")
}

/// Asks again and again until it is so.
async fn eventually<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "it is not so in time");
        sleep(Duration::from_millis(20)).await;
    }
}

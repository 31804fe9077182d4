//! How many rows a list has stays exact, though what was counted once is not counted again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::{Method, StatusCode};
use boxcar::{
    models::{now, orders, products, stock_movements},
    shared::{SharedState, digest::Digest, metrics::Metrics, redis::Redis, versions::Version},
};
use sea_orm::{
    ActiveValue::Set, DatabaseConnection, DbBackend, EntityTrait, QuerySelect, TransactionTrait,
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::nodes::Nodes;
use crate::support::{Client, Server, Shop, order_lines};

/// So many rows that a list of them is not counted whole each time.
const MANY: u64 = 1_200;

/// So many that a base is not made behind them.
const SOME: u64 = 150;

const SHOPPERS: usize = 6;
const READERS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_committed_after_later_ones_is_counted() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let db = &shop.ctx.db;
    if !has_rows_locked_one_by_one(db) {
        return;
    }
    let lamp = admin.sell("Lamp", "1.00", 1_000).await;
    let bob = shop.customer("bob").await.customer_id;
    let lists = [
        "/orders".to_owned(),
        format!("/orders?customer_id={}", ada.customer_id),
    ];
    for customer in [ada.customer_id, bob] {
        add_orders(db, customer, MANY).await;
    }
    let lamps = lock(db, lamp).await;
    let late = tokio::spawn(async move { ada.order(&[(lamp, 1)]).await });
    wait_for_its_id(db, bob).await;
    add_orders(db, bob, SOME).await;
    let before = totals(&admin, &lists).await;
    lamps.commit().await.unwrap();
    assert_eq!(late.await.unwrap().status, 201);
    let after = totals(&admin, &lists).await;
    assert_eq!(after, [before[0] + 1, before[1] + 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_another_node_commits_after_later_ones_is_counted() {
    let Some(nodes) = Nodes::two().await else {
        return;
    };
    let db = &nodes.shop.ctx.db;
    let lamp = nodes.add_product().await;
    let ada = nodes.shop.customer("ada").await;
    let bob = nodes.shop.customer("bob").await.customer_id;
    add_orders(db, bob, MANY).await;
    let total = async || total_at(&nodes.servers[0], &nodes.admin, "/api/v1/orders").await;
    // The first base in a new Redis is not kept.
    for _ in 0..2 {
        total().await;
        add_orders(db, bob, 1).await;
        place(&nodes.servers[1], &ada, lamp).await;
    }
    let lamps = lock(db, lamp).await;
    let (node, shopper) = (Arc::clone(&nodes.servers[1]), ada.clone());
    let late = tokio::spawn(async move { place(&node, &shopper, lamp).await });
    wait_for_its_id(db, bob).await;
    // Far enough for the base to be moved beyond it.
    add_orders(db, bob, MANY).await;
    let cleo = nodes.shop.customer("cleo").await;
    let rug = nodes.add_product().await;
    let mut before = 0;
    for _ in 0..2 {
        place(&nodes.servers[1], &cleo, rug).await;
        before = total().await;
    }
    lamps.commit().await.unwrap();
    late.await.unwrap();
    assert_eq!(total().await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_movement_has_no_id_before_its_product_is_locked() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let db = &shop.ctx.db;
    if !has_rows_locked_one_by_one(db) {
        return;
    }
    let lamp = admin.sell("Lamp", "1.00", 1_000).await;
    let rug = admin.sell("Rug", "1.00", 1_000).await;
    let bob = shop.customer("bob").await.customer_id;
    let first = add_movements(db, rug, 1).await;
    let lamps = lock(db, lamp).await;
    let late = tokio::spawn(async move { ada.order(&[(lamp, 1)]).await });
    wait_for_its_id(db, bob).await;
    assert_eq!(add_movements(db, rug, 1).await, first + 1);
    lamps.commit().await.unwrap();
    assert_eq!(late.await.unwrap().status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_node_totals_are_exact_while_many_order() {
    let nodes = Nodes::alone().await;
    race(&nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_nodes_totals_are_exact_while_many_order() {
    if let Some(nodes) = Nodes::two().await {
        race(&nodes).await;
    }
}

#[tokio::test]
async fn an_announcement_that_redis_has_lost_outdates_what_was_kept() {
    let Ok(url) = std::env::var("REDIS_URL") else {
        eprintln!("not tried: it takes REDIS_URL");
        return;
    };
    let prefix = uuid::Uuid::new_v4().to_string();
    let digest = Digest::keyed("secret", "names");
    let ttl = Duration::from_mins(1);
    let redis = Redis::at(&url, &prefix, digest.clone(), ttl, Metrics::default()).unwrap();
    let shared = SharedState::new(Some(redis), digest, Metrics::default());
    let lose = async || {
        let client = redis::Client::open(url.clone()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut removal = redis::cmd("DEL");
        removal.arg(format!("{prefix}:announced:tea"));
        let removed: i64 = removal.query_async(&mut connection).await.unwrap();
        assert_eq!(removed, 1);
    };
    let nothing: [&str; 0] = [];
    assert!(shared.announce(&"tea", 700).await);
    let kept = version(&shared).await;
    assert!(shared.announce(&"tea", 800).await);
    shared.bump(&nothing, &[("tea", 801)], false).await;
    assert_eq!(version(&shared).await, kept, "nothing has happened to it");
    shared.bump(&nothing, &[("tea", 800)], false).await;
    let again = version(&shared).await;
    assert_ne!(again, kept, "a row has come among what was announced");
    lose().await;
    shared.bump(&nothing, &[("tea", 900)], false).await;
    let kept = version(&shared).await;
    assert_ne!(kept, again, "who adds a row does not know of what");
    lose().await;
    assert!(shared.announce(&"tea", 5).await);
    assert_ne!(version(&shared).await, kept, "who announces does not know");
}

async fn version(shared: &SharedState) -> Version {
    let (versions, _) = shared.fetch(&["tea"], None).await;
    versions.version(&["tea"]).unwrap()
}

/// Whether an order can wait while another is placed.
fn has_rows_locked_one_by_one(db: &DatabaseConnection) -> bool {
    let has = db.get_database_backend() != DbBackend::Sqlite;
    if !has {
        eprintln!("not tried: SQLite has one writer at a time");
    }
    has
}

/// Locks a product: no order takes of it until that is over.
async fn lock(db: &DatabaseConnection, product: i64) -> sea_orm::DatabaseTransaction {
    let lock = db.begin().await.unwrap();
    let product = products::Entity::find_by_id(product).lock_exclusive();
    assert!(product.one(&lock).await.unwrap().is_some());
    lock
}

/// Waits until an order that is being placed has its id. It is missing between two that are added.
async fn wait_for_its_id(db: &DatabaseConnection, customer: i64) {
    let mut last = add_orders(db, customer, 1).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let next = add_orders(db, customer, 1).await;
        if next > last + 1 {
            return;
        }
        last = next;
        assert!(Instant::now() < deadline, "it has no id");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Adds orders of that customer past the shop, and answers the id of the last.
async fn add_orders(db: &DatabaseConnection, customer: i64, count: u64) -> i64 {
    let order = orders::ActiveModel {
        customer_id: Set(customer),
        status: Set("placed".to_owned()),
        currency: Set("USD".to_owned()),
        total_minor: Set(0),
        placed_at: Set(now()),
        updated_at: Set(now()),
        ..Default::default()
    };
    if count > 1 {
        let others = (1..count).map(|_| order.clone());
        let others = orders::Entity::insert_many(others);
        others.exec_without_returning(db).await.unwrap();
    }
    let last = orders::Entity::insert(order).exec(db).await;
    last.unwrap().last_insert_id
}

/// The same with movements of a product.
async fn add_movements(db: &DatabaseConnection, product: i64, count: u64) -> i64 {
    let movement = stock_movements::ActiveModel {
        product_id: Set(product),
        kind: Set("adjustment".to_owned()),
        delta: Set(0),
        actor: Set("system".to_owned()),
        created_at: Set(now()),
        ..Default::default()
    };
    if count > 1 {
        let others = (1..count).map(|_| movement.clone());
        let others = stock_movements::Entity::insert_many(others);
        others.exec_without_returning(db).await.unwrap();
    }
    let last = stock_movements::Entity::insert(movement).exec(db).await;
    last.unwrap().last_insert_id
}

/// What lists say themselves, asked until the answer is one that was counted from what is kept.
async fn totals(who: &Client, lists: &[String; 2]) -> [u64; 2] {
    let mut totals = [0; 2];
    for (total, list) in totals.iter_mut().zip(lists) {
        // Each page is another answer. The first base in a new Redis is not kept.
        for page_size in 1..=3 {
            let sign = if list.contains('?') { '&' } else { '?' };
            let answer = who.get(&format!("{list}{sign}page_size={page_size}")).await;
            *total = answer.body["total_items"].as_u64().unwrap();
        }
    }
    totals
}

async fn total_at(node: &Server, token: &str, path: &str) -> u64 {
    let answer = node.request(Method::GET, path, Some(token), None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body["total_items"].as_u64().unwrap()
}

async fn place(node: &Server, who: &Client, product: i64) -> Value {
    let order = json!({ "items": order_lines(&[(product, 1)]) });
    let (path, token) = ("/api/v1/orders", who.token.as_deref());
    let placed = node.request(Method::POST, path, token, Some(&order)).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{}", placed.body);
    placed.body
}

/// What shoppers and readers share.
struct Stage {
    servers: Vec<Arc<Server>>,
    admin: String,
    shoppers: Vec<Shopper>,
    over: AtomicBool,
}

/// A customer, who always orders the same.
struct Shopper {
    client: Client,
    product: i64,
    /// The orders that are begun, and those that were there before; each is a movement too.
    begun: AtomicU64,
    /// Those that are acknowledged.
    acknowledged: AtomicU64,
}

/// Customers order, each a product of their own so that none waits for another, while readers look how many orders
/// and movements there are: no fewer than were acknowledged before they asked, and no more than were begun when they
/// were answered.
async fn race(nodes: &Nodes) {
    let db = &nodes.shop.ctx.db;
    let mut shoppers = Vec::new();
    for number in 0..SHOPPERS {
        let product = nodes.add_product().await;
        let client = nodes.shop.customer(&format!("shopper{number}")).await;
        add_orders(db, client.customer_id, MANY).await;
        // Its stock at first is one, too.
        add_movements(db, product, MANY - 1).await;
        shoppers.push(Shopper {
            client,
            product,
            begun: AtomicU64::new(MANY),
            acknowledged: AtomicU64::new(MANY),
        });
    }
    let stage = Arc::new(Stage {
        servers: nodes.servers.clone(),
        admin: nodes.admin.clone(),
        shoppers,
        over: AtomicBool::new(false),
    });
    let mut actors = JoinSet::new();
    for shopper in 0..SHOPPERS {
        actors.spawn(Arc::clone(&stage).shop(shopper));
    }
    for reader in 0..READERS {
        actors.spawn(Arc::clone(&stage).read(reader));
    }
    actors.spawn(Arc::clone(&stage).forget());
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        // None ends before it is told to, unless it has failed.
        if let Some(ended) = actors.try_join_next() {
            ended.unwrap();
        }
        sleep(Duration::from_millis(20)).await;
    }
    stage.over.store(true, Ordering::SeqCst);
    actors.join_all().await;
    let there = stage.acknowledged();
    assert!(there[0] > 20 + MANY * SHOPPERS as u64, "{there:?}");
    for node in &nodes.servers {
        for (path, there) in stage.lists().iter().zip(there) {
            let total = total_at(node, &stage.admin, path).await;
            assert_eq!(total, there, "{path}");
        }
    }
}

impl Stage {
    fn lists(&self) -> [String; 3] {
        [
            "/api/v1/orders".to_owned(),
            "/api/v1/orders?placed_from=2001-01-01T00:00:00Z".to_owned(),
            format!("/api/v1/products/{}/stock", self.shoppers[0].product),
        ]
    }

    /// How many each of the lists has at least.
    fn acknowledged(&self) -> [u64; 3] {
        self.counted(|shopper| &shopper.acknowledged)
    }

    /// How many each of the lists has at most.
    fn begun(&self) -> [u64; 3] {
        self.counted(|shopper| &shopper.begun)
    }

    fn counted(&self, counter: impl Fn(&Shopper) -> &AtomicU64) -> [u64; 3] {
        let of = |shopper| counter(shopper).load(Ordering::SeqCst);
        let all = self.shoppers.iter().map(of).sum();
        [all, all, of(&self.shoppers[0])]
    }

    fn is_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    fn any(&self, number: usize) -> &Server {
        &self.servers[number % self.servers.len()]
    }

    async fn shop(self: Arc<Self>, number: usize) {
        let shopper = &self.shoppers[number];
        let mut turn = number;
        while self.is_on() {
            turn += 1;
            shopper.begun.fetch_add(1, Ordering::SeqCst);
            place(self.any(turn), &shopper.client, shopper.product).await;
            shopper.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn read(self: Arc<Self>, number: usize) {
        let lists = self.lists();
        let mut turn = number;
        while self.is_on() {
            turn += 1;
            let list = turn % lists.len();
            let path = &lists[list];
            let least = self.acknowledged()[list];
            let total = total_at(self.any(turn / 2), &self.admin, path).await;
            let most = self.begun()[list];
            assert!(
                (least..=most).contains(&total),
                "{path}: {total} is not from {least} to {most}"
            );
        }
    }

    /// Sends an order again and again under one key: whatever is replayed makes the nodes forget everything.
    async fn forget(self: Arc<Self>) {
        let shopper = &self.shoppers[0];
        let order = json!({ "items": order_lines(&[(shopper.product, 1)]) });
        let token = shopper.client.token.as_deref().unwrap();
        shopper.begun.fetch_add(1, Ordering::SeqCst);
        let mut turn = 0;
        while self.is_on() {
            let node = self.any(turn);
            let placed = node.place(token, "again", &order).await.unwrap();
            assert_eq!(placed.status, StatusCode::CREATED, "{}", placed.body);
            if turn == 0 {
                shopper.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            turn += 1;
            sleep(Duration::from_millis(500)).await;
        }
    }
}

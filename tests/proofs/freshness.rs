//! Readers and writers race, and no reader sees a state from before a write that was acknowledged
//! before it asked; nor anything of another customer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::Method;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::nodes::Nodes;
use crate::support::{Answer, Client, Server};

/// How long they race, unless `STRESS_SECONDS` says otherwise.
const SECONDS: u64 = 5;

const PRODUCTS: usize = 4;
const READERS: usize = 6;

/// The highest price; where writers end and begin again.
const HIGHEST: i64 = 9_999_999_999;

#[tokio::test(flavor = "multi_thread")]
async fn on_one_node_no_read_is_older_than_the_last_acknowledged_write() {
    let nodes = Nodes::alone().await;
    let race = Race::begin(&nodes).await;
    race.run(seconds()).await;
    race.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_nodes_no_read_is_older_than_the_last_acknowledged_write() {
    let Some(nodes) = Nodes::two().await else {
        return;
    };
    let race = Race::begin(&nodes).await;
    race.run(seconds()).await;
    race.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_read_is_older_through_every_outage_of_redis() {
    let Some(nodes) = Nodes::two().await else {
        return;
    };
    let redis = nodes.redis.as_ref().unwrap();
    let race = Race::begin(&nodes).await;
    for round in 0..4 {
        race.run(Duration::from_secs(1)).await;
        match round % 2 {
            0 => redis.kill().await,
            _ => redis.stop().await,
        }
        race.run(Duration::from_secs(1)).await;
        redis.resume().await;
        race.run(Duration::from_secs(1)).await;
        redis.freeze();
        race.run(Duration::from_secs(2)).await;
        redis.thaw();
    }
    race.run(Duration::from_secs(1)).await;
    for node in &nodes.servers {
        assert!(
            figure(node, "boxcar_redis_errors_total").await > 0,
            "Redis was away, and this node has not noticed"
        );
    }
    race.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_redis_is_away_is_shown_by_all_when_it_is_back() {
    let Some(nodes) = Nodes::two().await else {
        return;
    };
    let redis = nodes.redis.as_ref().unwrap();
    for outage in [
        Outage::Stopped,
        Outage::Killed,
        Outage::Restarted,
        Outage::Frozen,
    ] {
        let product = nodes.add_product().await;
        let path = format!("/api/v1/products/{product}");
        for node in &nodes.servers {
            for _ in 0..2 {
                assert_eq!(price(&nodes.get(node, &path).await), 100);
            }
        }
        match outage {
            Outage::Stopped | Outage::Restarted => redis.stop().await,
            Outage::Killed => redis.kill().await,
            Outage::Frozen => redis.freeze(),
        }
        if matches!(outage, Outage::Restarted) {
            redis.resume().await;
        }
        // Only the first node is asked while it is away: the other has no way to notice.
        let body = json!({ "price": "2.00" });
        let answer = nodes
            .send(&nodes.servers[0], Method::PATCH, &path, &body)
            .await;
        assert_eq!(answer.status, 200, "{outage:?}: {}", answer.body);
        match outage {
            Outage::Stopped | Outage::Killed => redis.resume().await,
            Outage::Frozen => redis.thaw(),
            Outage::Restarted => {}
        }
        for _ in 0..20 {
            for node in nodes.servers.iter().rev() {
                assert_eq!(price(&nodes.get(node, &path).await), 200, "{outage:?}");
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Outage {
    Stopped,
    Killed,
    /// Away and back before the write.
    Restarted,
    Frozen,
}

fn seconds() -> Duration {
    let seconds = std::env::var("STRESS_SECONDS").ok();
    Duration::from_secs(seconds.map_or(SECONDS, |text| text.parse().unwrap()))
}

fn price(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 200, "{}", answer.body);
    minor(&answer.body["price"])
}

fn minor(price: &Value) -> i64 {
    price.as_str().unwrap().replace('.', "").parse().unwrap()
}

/// A figure of a server's.
async fn figure(server: &Server, name: &str) -> u64 {
    let answer = server.request(Method::GET, "/metrics", None, None).await;
    let text = String::from_utf8(answer.bytes).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

/// Writers each raise the price of a product of their own, and customers place orders; readers look at
/// all of it.
struct Race<'a> {
    nodes: &'a Nodes,
    stage: Arc<Stage>,
}

struct Stage {
    servers: Vec<Arc<Server>>,
    admin: String,
    customers: Vec<Client>,
    products: Vec<Product>,
    over: AtomicBool,
    reads: AtomicU64,
    writes: AtomicU64,
}

/// A product, and the price that was acknowledged last.
struct Product {
    id: i64,
    acknowledged: AtomicI64,
}

impl<'a> Race<'a> {
    async fn begin(nodes: &'a Nodes) -> Self {
        let mut products = Vec::new();
        for _ in 0..PRODUCTS {
            let id = nodes.add_product().await;
            products.push(Product {
                id,
                acknowledged: AtomicI64::new(100),
            });
        }
        let customers = vec![
            nodes.shop.customer("ada").await,
            nodes.shop.customer("bob").await,
        ];
        let stage = Stage {
            servers: nodes.servers.clone(),
            admin: nodes.admin.clone(),
            customers,
            products,
            over: AtomicBool::new(false),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        };
        Self {
            nodes,
            stage: Arc::new(stage),
        }
    }

    async fn run(&self, time: Duration) {
        let stage = &self.stage;
        stage.over.store(false, Ordering::SeqCst);
        let mut actors = JoinSet::new();
        for product in 0..PRODUCTS {
            actors.spawn(Arc::clone(stage).write(product));
        }
        for customer in 0..stage.customers.len() {
            actors.spawn(Arc::clone(stage).shop(customer));
        }
        for reader in 0..READERS {
            actors.spawn(Arc::clone(stage).read(reader));
        }
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            // None ends before it is told to, unless it has failed.
            if let Some(ended) = actors.try_join_next() {
                ended.unwrap();
            }
            sleep(Duration::from_millis(20)).await;
        }
        stage.over.store(true, Ordering::SeqCst);
        actors.join_all().await;
    }

    /// Says what was done, and that it was something.
    async fn finish(self) {
        let (reads, writes) = (&self.stage.reads, &self.stage.writes);
        let (reads, writes) = (reads.load(Ordering::SeqCst), writes.load(Ordering::SeqCst));
        let mut hits = 0;
        for node in &self.nodes.servers {
            hits += figure(node, "boxcar_cache_hits_total").await;
        }
        println!(
            "{} nodes: {writes} writes, {reads} reads, {hits} of them from the cache",
            self.nodes.servers.len()
        );
        assert!(
            writes > 20 && reads > 100 && hits > 0,
            "{writes} {reads} {hits}"
        );
    }
}

impl Stage {
    fn is_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    fn any(&self, number: usize) -> &Server {
        &self.servers[number % self.servers.len()]
    }

    async fn get(&self, server: &Server, token: &str, path: &str) -> Answer {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let answer = server.request(Method::GET, path, Some(token), None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer
    }

    /// Raises a price again and again, through one node and the other.
    async fn write(self: Arc<Self>, number: usize) {
        let Product { id, acknowledged } = &self.products[number];
        let path = format!("/api/v1/products/{id}");
        let mut turn = number;
        while self.is_on() {
            turn += 1;
            let next = acknowledged.load(Ordering::SeqCst) + 1;
            assert!(next < HIGHEST);
            let body = json!({ "price": format!("{}.{:02}", next / 100, next % 100) });
            let server = self.any(turn);
            let answer = server
                .request(Method::PATCH, &path, Some(&self.admin), Some(&body))
                .await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            acknowledged.store(next, Ordering::SeqCst);
            self.writes.fetch_add(1, Ordering::SeqCst);
            // Long enough for readers to find what is kept.
            sleep(Duration::from_millis(15)).await;
        }
    }

    /// Looks at a product, the list, and its ledger.
    async fn read(self: Arc<Self>, reader: usize) {
        let mut turn = reader;
        while self.is_on() {
            turn += 1;
            let Product { id, acknowledged } = &self.products[turn % PRODUCTS];
            let floor = acknowledged.load(Ordering::SeqCst);
            let path = format!("/api/v1/products/{id}");
            let shown = price(&self.get(self.any(turn / 2), &self.admin, &path).await);
            assert!(
                shown >= floor,
                "product {id} shows {shown} after {floor} was acknowledged"
            );

            let floor = acknowledged.load(Ordering::SeqCst);
            let path = "/api/v1/products?page_size=100";
            let list = self.get(self.any(turn / 3), &self.admin, path).await;
            let items = list.body["items"].as_array().unwrap();
            let listed = items.iter().find(|item| item["id"] == *id).unwrap();
            let shown = minor(&listed["price"]);
            assert!(
                shown >= floor,
                "the list shows {shown} after {floor} was acknowledged"
            );
        }
    }

    /// Orders, looks for the order everywhere, and finds no other customer's.
    async fn shop(self: Arc<Self>, number: usize) {
        let customer = &self.customers[number];
        let token = customer.token.as_deref().unwrap();
        let mut turn = number;
        while self.is_on() {
            turn += 1;
            let product = self.products[turn % PRODUCTS].id;
            let order = json!({ "items": [{ "product_id": product, "quantity": 1 }] });
            let server = self.any(turn);
            let placed = server
                .request(Method::POST, "/api/v1/orders", Some(token), Some(&order))
                .await;
            assert_eq!(placed.status, 201, "{}", placed.body);
            self.writes.fetch_add(1, Ordering::SeqCst);
            let id = &placed.body["id"];

            let other = self.any(turn + 1);
            let list = self.get(other, token, "/api/v1/orders?page_size=5").await;
            let items = list.body["items"].as_array().unwrap();
            assert_eq!(
                &items[0]["id"], id,
                "the list does not begin with the order just placed"
            );
            for item in items {
                assert_eq!(
                    item["customer"]["id"], customer.customer_id,
                    "another customer's order"
                );
            }
            let me = self.get(other, token, "/api/v1/auth/me").await;
            assert_eq!(me.body["id"], customer.account_id);

            let cancel = format!("/api/v1/orders/{id}/cancel");
            let server = self.any(turn / 2);
            let cancelled = server
                .request(Method::POST, &cancel, Some(token), Some(&json!({})))
                .await;
            assert_eq!(cancelled.status, 200, "{}", cancelled.body);
            let path = format!("/api/v1/orders/{id}");
            let shown = self.get(self.any(turn), token, &path).await;
            assert_eq!(shown.body["status"], "cancelled");
        }
    }
}

//! The real server under load of orders and of checkouts, killed at random moments and started again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::http::{Method, StatusCode};
use boxcar::models::orders;
use rand::Rng;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    Answer, OVERLOADED, Program, Server, Shop, address, assert_invariants, order_lines,
};

/// How often the server is killed. By hand: `KILLS=100 cargo test --test mod -- proofs::crash --nocapture`.
const KILLS: usize = 20;
const SHOPPERS: usize = 8;
const STOCK: i64 = 1_000_000;

/// What the shoppers know: what each key was answered, and the keys that were not answered.
#[derive(Default)]
struct Known {
    answered: BTreeMap<String, Value>,
    unanswered: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_server_is_killed_every_acknowledged_order_is_there_once() {
    // In here the shop only prepares and looks on; it is the server's database too.
    let shop = Shop::open().await;
    let product = shop.admin().await.sell("Lamp", "9", STOCK).await;
    let token: Arc<str> = shop.customer("buyer").await.token.unwrap().into();
    let mut known = Known::default();
    for round in 0..kills() {
        let server = Arc::new(start(&shop).await);
        let mut shoppers = JoinSet::new();
        let unanswered: Vec<_> = std::mem::take(&mut known.unanswered).into_iter().collect();
        for shopper in 0..SHOPPERS {
            // What a crash left without an answer is tried again first.
            let first = unanswered
                .iter()
                .skip(shopper)
                .step_by(SHOPPERS)
                .cloned()
                .collect();
            let prefix = format!("{round}-{shopper}");
            shoppers.spawn(order_until_it_dies(
                Arc::clone(&server),
                token.clone(),
                product,
                first,
                prefix,
            ));
        }
        kill_at_some_moment(&server).await;
        for seen in shoppers.join_all().await {
            known.answered.extend(seen.answered);
            known.unanswered.extend(seen.unanswered);
        }
    }

    let server = start(&shop).await;
    for key in std::mem::take(&mut known.unanswered) {
        let answer = place(&server, &token, product, &key)
            .await
            .expect("nothing is killed any more");
        assert_eq!(answer.status, 201, "{}", answer.body);
        known.answered.insert(key, answer.body);
    }
    println!(
        "{} kills, {} orders acknowledged",
        kills(),
        known.answered.len()
    );
    for (key, body) in &known.answered {
        let again = place(&server, &token, product, key)
            .await
            .expect("nothing is killed any more");
        assert_eq!(
            (again.status, &again.body),
            (StatusCode::CREATED, body),
            "the retry of {key}"
        );
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    let acknowledged: BTreeSet<i64> = known
        .answered
        .values()
        .map(|order| order["id"].as_i64().unwrap())
        .collect();
    assert_eq!(
        acknowledged.len(),
        known.answered.len(),
        "two keys were told the same order"
    );
    let placed: BTreeSet<i64> = orders::Entity::find()
        .all(&shop.ctx.db)
        .await
        .unwrap()
        .iter()
        .map(|order| order.id)
        .collect();
    assert_eq!(
        placed, acknowledged,
        "the orders that there are, and those that were acknowledged"
    );
    assert!(placed.len() > kills(), "there was no load");
    assert_invariants(&shop.ctx.db).await;
}

fn kills() -> usize {
    std::env::var("KILLS").map_or(KILLS, |number| number.parse().unwrap())
}

/// Starts the server on the shop's database. What is held ends soon, and is soon given back.
async fn start(shop: &Shop) -> Server {
    let program = Program::new("test")
        .on(&shop.ctx.config.database.uri)
        .env("CHECKOUT_HOLD_MINUTES", "0.01")
        .env("CHECKOUT_SWEEP_SECONDS", "1")
        .env("CHECKOUT_HOLDS_PER_HOUR", "0")
        .env("CHECKOUT_HOLD_PIECES", "100000");
    Server::start(program).await
}

async fn kill_at_some_moment(server: &Server) {
    let moment = rand::rng().random_range(30..500);
    tokio::time::sleep(Duration::from_millis(moment)).await;
    server.kill();
}

/// Sends the keys of `first`, then new ones, until the server does not answer any more.
async fn order_until_it_dies(
    server: Arc<Server>,
    token: Arc<str>,
    product: i64,
    first: Vec<String>,
    prefix: String,
) -> Known {
    let mut known = Known::default();
    let mut keys = first
        .into_iter()
        .chain((0..).map(|number| format!("{prefix}-{number}")));
    while let Some(key) = keys.next() {
        let Some(answer) = place(&server, &token, product, &key).await else {
            known.unanswered.insert(key);
            // New keys were never sent; the old ones are still without an answer.
            known
                .unanswered
                .extend(keys.take_while(|key| !key.starts_with(&prefix)));
            break;
        };
        assert_eq!(answer.status, 201, "{}", answer.body);
        known.answered.insert(key, answer.body);
    }
    known
}

async fn place(server: &Server, token: &str, product: i64, key: &str) -> Option<Answer> {
    let order = json!({ "items": [{ "product_id": product, "quantity": 1 }] });
    server.place(token, key, &order).await
}

/// A checkout that is being completed, and for how much.
struct Pending {
    path: String,
    total: String,
}

/// What shoppers with carts know: the order of each checkout, and what was not answered.
#[derive(Default)]
struct Bought {
    orders: BTreeMap<String, i64>,
    unanswered: Vec<Pending>,
    abandoned: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_server_is_killed_a_checkout_is_one_order_and_what_it_held_is_given_back() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let lamp = admin.sell("Lamp", "9.99", STOCK).await;
    let code = json!({ "code": "FEW", "kind": "percentage", "value": "10", "usage_limit": 10 });
    admin.post("/discounts", code).await;
    let visitor: Arc<str> = admin.publishable_key().await.token.unwrap().into();
    let cart = json!({
        "items": order_lines(&[(lamp, 2)]), "email": "ada@example.com", "discount_code": "few",
        "shipping_address": address("12 Hill Street"),
    });
    let mut bought = Bought::default();
    for _ in 0..kills() {
        let server = Arc::new(start(&shop).await);
        let mut shoppers = JoinSet::new();
        let mut unanswered = std::mem::take(&mut bought.unanswered);
        for shopper in 0..SHOPPERS {
            let left = unanswered.len() / (SHOPPERS - shopper);
            let first = unanswered.split_off(unanswered.len() - left);
            shoppers.spawn(buy_until_it_dies(
                Arc::clone(&server),
                visitor.clone(),
                cart.clone(),
                first,
            ));
        }
        kill_at_some_moment(&server).await;
        for seen in shoppers.join_all().await {
            bought.add(seen);
        }
    }

    let server = start(&shop).await;
    for pending in std::mem::take(&mut bought.unanswered) {
        bought.complete(&server, &visitor, pending).await;
    }
    assert_eq!(bought.unanswered.len(), 0, "nothing is killed any more");
    println!(
        "{} kills, {} checkouts completed, {} abandoned",
        kills(),
        bought.orders.len(),
        bought.abandoned
    );
    let acknowledged: BTreeSet<i64> = bought.orders.values().copied().collect();
    assert_eq!(
        acknowledged.len(),
        bought.orders.len(),
        "two checkouts became the same order"
    );
    let orders = orders::Entity::find().all(&shop.ctx.db).await.unwrap();
    let placed: BTreeSet<i64> = orders.iter().map(|order| order.id).collect();
    assert_eq!(
        placed, acknowledged,
        "the orders that there are, and those that were acknowledged"
    );
    assert!(
        !placed.is_empty() && bought.abandoned > 0,
        "there was no load"
    );
    let sold = 2 * i64::try_from(placed.len()).unwrap();
    let given_back = tokio::time::timeout(Duration::from_mins(1), async {
        while stock(&server, &visitor, lamp).await != STOCK - sold {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    given_back
        .await
        .expect("what is abandoned can be sold again within a minute");
    assert_invariants(&shop.ctx.db).await;
}

async fn stock(server: &Server, visitor: &str, product: i64) -> i64 {
    let path = format!("/api/v1/products/{product}");
    let product = server
        .request(Method::GET, &path, Some(visitor), None)
        .await;
    product.body["stock"].as_i64().unwrap()
}

/// Completes the checkouts of `first`, then fills, holds and completes or abandons new ones, until the server does
/// not answer any more.
async fn buy_until_it_dies(
    server: Arc<Server>,
    visitor: Arc<str>,
    cart: Value,
    first: Vec<Pending>,
) -> Bought {
    let mut bought = Bought::default();
    for pending in first {
        bought.complete(&server, &visitor, pending).await;
    }
    while bought.unanswered.is_empty() {
        let Some(opened) = server.try_post("/api/v1/checkouts", &visitor, &cart).await else {
            break;
        };
        if opened.outcome() == OVERLOADED {
            continue;
        }
        assert_eq!(opened.status, 201, "{}", opened.body);
        let path = format!("/api/v1/checkouts/{}", opened.body["id"].as_str().unwrap());
        let total = opened.body["totals"]["total"].as_str().unwrap().to_owned();
        let hold = format!("{path}/hold");
        let held = server.try_post(&hold, &visitor, &json!({})).await;
        if held.is_none() || rand::rng().random_ratio(1, 4) {
            bought.abandoned += 1;
            continue;
        }
        let pending = Pending { path, total };
        bought.complete(&server, &visitor, pending).await;
    }
    bought
}

impl Bought {
    /// Completes a checkout for what it costs.
    async fn complete(&mut self, server: &Server, visitor: &str, mut pending: Pending) {
        loop {
            let path = format!("{}/complete", pending.path);
            let body = json!({ "expected_total": pending.total });
            let Some(answer) = server.try_post(&path, visitor, &body).await else {
                return self.unanswered.push(pending);
            };
            match answer.outcome().as_str() {
                "200" | "201" => {
                    let order = answer.body["id"].as_i64().unwrap();
                    self.orders.insert(pending.path, order);
                    return;
                }
                // The code has been used up.
                "409 totals-changed" => {
                    let now = &answer.body["checkout"]["totals"]["total"];
                    now.as_str().unwrap().clone_into(&mut pending.total);
                }
                OVERLOADED => tokio::time::sleep(Duration::from_millis(100)).await,
                _ => panic!("{}", answer.body),
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.orders.extend(other.orders);
        self.unanswered.extend(other.unanswered);
        self.abandoned += other.abandoned;
    }
}

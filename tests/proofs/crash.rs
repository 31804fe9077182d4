//! The real server under load, killed at random moments and started again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::http::StatusCode;
use boxcar::models::orders;
use rand::Rng;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Program, Server, Shop, assert_invariants};

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
    for round in 0..KILLS {
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
        let moment = rand::rng().random_range(30..500);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        server.kill();
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
        "{KILLS} kills, {} orders acknowledged",
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
    assert!(placed.len() > KILLS, "there was no load");
    assert_invariants(&shop.ctx.db).await;
}

async fn start(shop: &Shop) -> Server {
    Server::start(Program::new("test").on(&shop.ctx.config.database.uri)).await
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

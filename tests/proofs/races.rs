//! Many tasks against few products: orders, retries, cancellations, deliveries and adjustments mixed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::http::StatusCode;
use boxcar::models::customer_addresses;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Client, Shop, address, assert_invariants, order_lines};

const TASKS: u64 = 64;
const OPERATIONS: usize = 8;

/// What one task saw.
#[derive(Default)]
struct Seen {
    /// Acknowledged orders, by the key under which they were placed.
    orders: BTreeMap<String, i64>,
    /// How often each answer was given.
    answers: BTreeMap<String, u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_races_the_stock_adds_up_and_every_order_is_there_once() {
    let (shop, admin) = Shop::open_with_admin().await;
    let mut products = Vec::new();
    for (name, stock) in [
        ("scarce", Some(5)),
        ("some", Some(60)),
        ("many", Some(900)),
        ("endless", None),
    ] {
        products.push(admin.sell(name, "2.50", stock).await);
    }
    let customer = shop.customer("buyer").await;
    let mut tasks = JoinSet::new();
    for seed in 0..TASKS {
        let task = work(seed, admin.clone(), customer.clone(), products.clone());
        tasks.spawn(task);
    }
    let seen = tasks.join_all().await;

    assert_invariants(&shop.ctx.db).await;
    let mut answers = BTreeMap::<_, u64>::new();
    let mut acknowledged = BTreeSet::new();
    for task in &seen {
        for (answer, count) in &task.answers {
            *answers.entry(answer.clone()).or_default() += count;
        }
        for id in task.orders.values() {
            assert!(
                acknowledged.insert(*id),
                "order {id} was acknowledged to two requests"
            );
        }
    }
    println!("{answers:#?}");
    let surprise = answers
        .keys()
        .find(|answer| answer.ends_with("500") || answer.ends_with("503"));
    assert_eq!(surprise, None, "nothing was wrong with the store");
    let placed = orders_in(&admin).await;
    assert_eq!(
        placed, acknowledged,
        "the orders that there are, and those that were acknowledged"
    );
    assert!(
        answers["order 409"] > 0,
        "none was refused: this was not a race"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_cancel_an_order_its_stock_returns_once() {
    let (shop, admin) = Shop::open_with_admin().await;
    let product = admin.sell("Lamp", "9", 10).await;
    let customer = shop.customer("buyer").await;
    let order = customer
        .post(
            "/orders",
            json!({ "items": [{ "product_id": product, "quantity": 4 }] }),
        )
        .await;
    let path = format!("/orders/{}/cancel", order.body["id"]);
    let mut tasks = JoinSet::new();
    for at in 0..TASKS {
        let (client, path) = (
            if at % 2 == 0 {
                admin.clone()
            } else {
                customer.clone()
            },
            path.clone(),
        );
        tasks.spawn(async move { client.post(&path, json!({})).await.status });
    }
    let answers = tasks.join_all().await;
    assert_eq!(
        answers
            .iter()
            .filter(|status| **status == StatusCode::OK)
            .count(),
        1
    );
    assert_eq!(
        answers
            .iter()
            .filter(|status| **status == StatusCode::CONFLICT)
            .count() as u64,
        TASKS - 1
    );
    assert_eq!(
        admin.get(&format!("/products/{product}")).await.body["stock"],
        10
    );
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_write_addresses_one_is_the_default_and_there_are_twenty_at_most() {
    let (shop, admin, customer) = Shop::open_with_customer("buyer").await;
    let list = format!("/customers/{}/addresses", customer.customer_id);
    let product = admin.sell("Lamp", "9", None).await;
    let mut tasks = JoinSet::new();
    for seed in 0..TASKS {
        let (client, list) = if seed % 2 == 0 {
            (admin.clone(), list.clone())
        } else {
            (customer.clone(), "/me/addresses".to_owned())
        };
        let customer_id = customer.customer_id;
        tasks.spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            let mut outcomes = Vec::new();
            for _ in 0..OPERATIONS {
                let there = client.get(&list).await.body["items"].clone();
                let there = there.as_array().unwrap().choose(&mut random).cloned();
                let path = there.map(|address| format!("{list}/{}", address["id"]));
                let new = |default| {
                    let mut new = address(&format!("{seed} Elm Road"));
                    new["default"] = Value::Bool(default);
                    new
                };
                let (what, answer) = match (random.random_range(0..8), path) {
                    (0..=1, Some(path)) => ("delete", client.delete(&path).await),
                    (2..=3, Some(path)) => {
                        let default = json!({ "default": true });
                        ("move", client.patch(&path, default).await)
                    }
                    (4, Some(path)) => ("replace", client.put(&path, new(true)).await),
                    (5, _) => {
                        let id = client.get(&list).await.body["items"][0]["id"].clone();
                        let mut order = json!({
                            "items": order_lines(&[(product, 1)]), "shipping_address_id": id,
                        });
                        if client.customer_id == 0 {
                            order["customer_id"] = customer_id.into();
                        }
                        ("order", client.post("/orders", order).await)
                    }
                    (default, _) => ("add", client.post(&list, new(default == 6)).await),
                };
                outcomes.push(format!("{what} {}", answer.outcome()));
            }
            outcomes
        });
    }
    let mut outcomes = BTreeMap::<_, u64>::new();
    for outcome in tasks.join_all().await.concat() {
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!("{outcomes:#?}");
    assert_invariants(&shop.ctx.db).await;
    let expected = [
        "add 201",
        "add 409 conflict",
        "delete 204",
        "delete 404 not-found",
        "move 200",
        "move 404 not-found",
        "order 201",
        "order 422 validation-failed /shipping_address_id reference",
        "replace 200",
        "replace 404 not-found",
    ];
    let surprise = outcomes
        .keys()
        .find(|outcome| !expected.contains(&outcome.as_str()));
    assert_eq!(surprise, None);
    assert!(
        outcomes["move 200"] > 0 && outcomes["delete 204"] > 0,
        "{outcomes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_added_while_its_customer_is_deleted_goes_with_them() {
    let (shop, admin) = Shop::open_with_admin().await;
    for round in 0..8 {
        let customer = shop.customer(&format!("buyer{round}")).await;
        let path = format!("/customers/{}", customer.customer_id);
        let mut tasks = JoinSet::new();
        for at in 0..12 {
            let (admin, customer, path) = (admin.clone(), customer.clone(), path.clone());
            tasks.spawn(async move {
                let answer = match at {
                    6 => admin.delete(&path).await,
                    _ if at % 2 == 0 => customer.post("/me/addresses", address("1 Elm Road")).await,
                    _ => {
                        admin
                            .post(&format!("{path}/addresses"), address("1 Elm Road"))
                            .await
                    }
                };
                answer.outcome()
            });
        }
        let outcomes = tasks.join_all().await;
        let expected = ["201", "204", "404 not-found", "401 unauthenticated"];
        let surprise = outcomes
            .iter()
            .find(|outcome| !expected.contains(&outcome.as_str()));
        assert_eq!(surprise, None);
        assert!(
            outcomes.iter().any(|outcome| outcome == "204"),
            "{outcomes:?}"
        );
    }
    let left = customer_addresses::Entity::find().count(&shop.ctx.db).await;
    assert_eq!(left.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_sent_many_times_at_once_places_one_order() {
    let (shop, admin) = Shop::open_with_admin().await;
    let product = admin.sell("Lamp", "9", 1000).await;
    let customer = shop.customer("buyer").await;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let customer = customer.clone();
        tasks.spawn(async move {
            // As a client does that means its order: until it is told which one it is.
            loop {
                let answer = place(&customer, "the-one", &[(product, 3)]).await;
                if answer.status != StatusCode::CONFLICT {
                    return answer;
                }
                assert_eq!(answer.problem(), "idempotency-in-progress");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        });
    }
    let answers = tasks.join_all().await;
    for answer in &answers {
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.bytes, answers[0].bytes);
        assert_eq!(answer.header("location"), answers[0].header("location"));
    }
    let first = answers
        .iter()
        .filter(|answer| answer.header("idempotency-replayed").is_none())
        .count();
    assert_eq!(first, 1, "one of them placed it, the others were told");
    assert_eq!(orders_in(&admin).await.len(), 1);
    assert_eq!(
        admin.get(&format!("/products/{product}")).await.body["stock"],
        997
    );
}

async fn work(seed: u64, admin: Client, customer: Client, products: Vec<i64>) -> Seen {
    let mut random = StdRng::seed_from_u64(seed);
    let mut seen = Seen::default();
    for number in 0..OPERATIONS {
        let known: Vec<i64> = seen.orders.values().copied().collect();
        let some_order = known.choose(&mut random).copied();
        let (what, answer) = match (random.random_range(0..10), some_order) {
            (0..=4, _) | (_, None) => {
                let key = format!("{seed}-{number}");
                let lines = lines(&mut random, &products);
                // Sent twice at once, as by a client whose first attempt seems to hang.
                let twice = random.random_bool(0.3);
                let (answer, again) = tokio::join!(place(&customer, &key, &lines), async {
                    if twice {
                        Some(place(&customer, &key, &lines).await)
                    } else {
                        None
                    }
                });
                for answer in again
                    .iter()
                    .chain([&answer])
                    .filter(|answer| answer.status == StatusCode::CREATED)
                {
                    let id = answer.body["id"].as_i64().unwrap();
                    assert_eq!(
                        *seen.orders.entry(key.clone()).or_insert(id),
                        id,
                        "one key, two orders"
                    );
                }
                ("order", answer)
            }
            (5 | 6, Some(id)) => (
                "cancel",
                customer
                    .post(&format!("/orders/{id}/cancel"), json!({}))
                    .await,
            ),
            (7, Some(id)) => {
                let status = ["paid", "shipped", "delivered", "cancelled"]
                    .choose(&mut random)
                    .unwrap();
                (
                    "advance",
                    admin
                        .patch(&format!("/orders/{id}"), json!({ "status": status }))
                        .await,
                )
            }
            (8, _) => {
                let product = products.choose(&mut random).unwrap();
                let body =
                    json!({ "delta": random.random_range(1..4) * 2 - 5, "reason": "counted" });
                (
                    "adjust",
                    admin
                        .post(&format!("/products/{product}/stock"), body)
                        .await,
                )
            }
            _ => {
                // Not the one that is never tracked: turning tracking on and off has a test of its own.
                let product = products[random.random_range(0..3)];
                let body = json!({ "stock": random.random_range(0..50) });
                (
                    "set",
                    admin.patch(&format!("/products/{product}"), body).await,
                )
            }
        };
        *seen
            .answers
            .entry(format!("{what} {}", answer.status.as_u16()))
            .or_default() += 1;
    }
    seen
}

/// One to four lines, of any products in any order, some of them twice.
fn lines(random: &mut StdRng, products: &[i64]) -> Vec<(i64, i64)> {
    let count = random.random_range(1..=4);
    (0..count)
        .map(|_| {
            (
                *products.choose(random).unwrap(),
                random.random_range(1..=3),
            )
        })
        .collect()
}

async fn place(client: &Client, key: &str, lines: &[(i64, i64)]) -> Answer {
    let order = json!({ "items": order_lines(lines) });
    client.post_once(key, "/orders", &order).await
}

async fn orders_in(admin: &Client) -> BTreeSet<i64> {
    let mut ids = BTreeSet::new();
    let mut path = "/orders?page_size=100&cursor=".to_owned();
    loop {
        let page = admin.get(&path).await.body;
        ids.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|order| order["id"].as_i64().unwrap()),
        );
        let Value::String(next) = &page["next_cursor"] else {
            return ids;
        };
        path = format!("/orders?page_size=100&cursor={next}");
    }
}

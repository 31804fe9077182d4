//! Whoever follows the feed sees each event exactly once, whatever is written meanwhile, on however many nodes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::http::Method;
use boxcar::{
    models::{Actor, Error, customers, events, products, products::Details, transaction::Database},
    transaction,
};
use rand::Rng;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::nodes::Nodes;
use crate::{
    models::rows::{kettle, person},
    support::{Client, Server, Shop, assert_invariants},
};

const WRITERS: usize = 24;
const WRITES_EACH: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_seen_once_while_many_write() {
    let (shop, admin) = Shop::open_with_admin().await;
    let other = admin.at(shop.another().await);
    let lamp = admin.sell("Lamp", "9.00", 1_000_000).await;
    let shop = Arc::new(shop);
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for reader in [&admin, &other, &admin] {
        readers.spawn(follow(reader.clone(), Arc::clone(&over)));
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let node = if writer % 2 == 0 { &admin } else { &other };
        writers.spawn(write(Arc::clone(&shop), node.clone(), lamp, writer));
    }
    writers.join_all().await;
    over.store(true, Ordering::SeqCst);
    let all = all_ids(&shop).await;
    for seen in readers.join_all().await {
        assert_eq!(seen.len(), all.len());
        assert_eq!(seen, all);
    }
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn an_event_whose_transaction_is_open_holds_up_the_later_ones_and_no_writer() {
    let (shop, admin) = Shop::open_with_admin().await;
    if shop.ctx.config.database.uri.starts_with("sqlite:") {
        eprintln!("not tried: SQLite has one writer at a time");
        return;
    }
    let start = read(&admin, "").await;
    let (written, go_on) = (Notify::new(), Notify::new());
    let id = AtomicI64::new(0);
    let slow = async {
        transaction!(&shop.ctx, |txn| {
            let product =
                products::Model::create(txn, &kettle(None, None), &Actor::system()).await?;
            id.store(product.id, Ordering::SeqCst);
            // It has its ids from here on.
            shop.ctx.record(txn).await?;
            written.notify_one();
            go_on.notified().await;
            Ok::<_, Error>(())
        })
    };
    let meanwhile = async {
        written.notified().await;
        let mut cursor = start.1.clone();
        for round in 0..3 {
            let begun = Instant::now();
            let later = admin.sell(&format!("Lamp {round}"), "9.00", None).await;
            assert!(begun.elapsed() < Duration::from_secs(2), "a writer waited");
            let newest = admin.get("/events?page_size=1").await.body;
            assert_eq!(
                newest["items"][0]["subject"]["id"], later,
                "the log is behind"
            );
            let begun = Instant::now();
            let (seen, next) = read(&admin, &cursor).await;
            assert_eq!(
                seen, [0; 0],
                "it was shown although an earlier one can appear"
            );
            assert!(
                begun.elapsed() < Duration::from_secs(3),
                "a reader waited too long"
            );
            cursor = next;
        }
        go_on.notify_one();
        cursor
    };
    let (slow, cursor) = tokio::join!(slow, meanwhile);
    slow.unwrap();
    let begun = Instant::now();
    let mut seen = Vec::new();
    let mut cursor = cursor;
    while seen.len() < 4 {
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "the feed is behind: {seen:?}"
        );
        let (some, next) = read(&admin, &cursor).await;
        seen.extend(some);
        cursor = next;
    }
    let all = all_ids(&shop).await;
    assert_eq!([start.0, seen].concat(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_two_nodes_each_order_is_one_event_of_the_feed() {
    let Some(nodes) = Nodes::two().await else {
        return;
    };
    let product = nodes.add_product().await;
    let token = nodes.shop.customer("ada").await.token.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (node, token) = (Arc::clone(&nodes.servers[writer % 2]), token.clone());
        writers.spawn(async move {
            let order = json!({ "items": [{ "product_id": product, "quantity": 1 }] });
            let mut placed = Vec::new();
            for number in 0..WRITES_EACH {
                let key = format!("{writer}-{number}");
                let answer = node.place(&token, &key, &order).await.unwrap();
                placed.push(answer.body["id"].as_i64().unwrap());
            }
            placed
        });
    }
    let [one, two] = [0, 1].map(|node| &nodes.servers[node]);
    let all = WRITERS * WRITES_EACH;
    let (mut one, mut two) = tokio::join!(orders_of(&nodes, one, all), orders_of(&nodes, two, all));
    let mut placed = writers.join_all().await.concat();
    for orders in [&mut one, &mut two, &mut placed] {
        orders.sort_unstable();
    }
    assert_eq!(one, placed);
    assert_eq!(two, placed);
    assert_invariants(&nodes.shop.ctx.db).await;
}

/// The orders in the feed of a node, until it is as many.
async fn orders_of(nodes: &Nodes, node: &Server, count: usize) -> Vec<i64> {
    let (mut orders, mut cursor) = (Vec::new(), String::new());
    let deadline = Instant::now() + Duration::from_mins(2);
    while orders.len() < count {
        assert!(Instant::now() < deadline, "{} of {count}", orders.len());
        let path = format!("/api/v1/events?sort=id&type=order.placed&cursor={cursor}");
        let answer = node.request(Method::GET, &path, Some(&nodes.admin), None);
        let page = answer.await.body;
        let items = page["items"].as_array().unwrap();
        orders.extend(
            items
                .iter()
                .map(|event| event["subject"]["id"].as_i64().unwrap()),
        );
        page["next_cursor"]
            .as_str()
            .unwrap()
            .clone_into(&mut cursor);
    }
    orders
}

/// Writes as customers of a shop and its operators do: some fast, some slowly, some that take back what they did.
async fn write(shop: Arc<Shop>, admin: Client, lamp: i64, writer: usize) {
    for number in 0..WRITES_EACH {
        let name = format!("{writer}-{number}");
        match number % 4 {
            0 => drop(admin.sell(&name, "9.00", None).await),
            1 => {
                let path = format!("/products/{lamp}/stock");
                let adjustment = json!({ "delta": 1, "reason": name });
                assert_eq!(admin.post(&path, adjustment).await.outcome(), "200");
            }
            kind => {
                let pause = Duration::from_millis(rand::rng().random_range(0..40));
                let slow = slowly(&shop, &name, pause, kind == 2).await;
                assert_eq!(slow.is_ok(), kind == 2, "{slow:?}");
            }
        }
    }
}

/// Writes an event, waits, and commits or does not.
async fn slowly(shop: &Shop, name: &str, pause: Duration, commit: bool) -> Result<(), Error> {
    let person = person(&format!("{name}@example.com"));
    let details: Details = kettle(None, None);
    transaction!(&shop.ctx, |txn| {
        customers::Model::create(txn, &person).await?;
        shop.ctx.record(txn).await?;
        sleep(pause).await;
        products::Model::create(txn, &details, &Actor::system()).await?;
        if commit { Ok(()) } else { Err(Error::NotFound) }
    })
}

/// What a reader of the feed sees until nobody writes any more, and everything is seen.
async fn follow(reader: Client, over: Arc<AtomicBool>) -> Vec<i64> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let last_time = over.load(Ordering::SeqCst);
        let (some, next) = read(&reader, &cursor).await;
        if last_time && some.is_empty() {
            return seen;
        }
        seen.extend(some);
        cursor = next;
    }
}

/// The ids of a page of the feed, and where it goes on.
async fn read(reader: &Client, cursor: &str) -> (Vec<i64>, String) {
    let path = format!("/events?sort=id&page_size=10&cursor={cursor}");
    let page: Value = reader.get(&path).await.body;
    let items = page["items"].as_array().unwrap().iter();
    let ids = items.map(|event| event["id"].as_i64().unwrap()).collect();
    (ids, page["next_cursor"].as_str().unwrap().to_owned())
}

async fn all_ids(shop: &Shop) -> Vec<i64> {
    let all = events::Entity::find()
        .order_by_asc(events::Column::Id)
        .all(&shop.ctx.db)
        .await
        .unwrap();
    all.iter().map(|event| event.id).collect()
}

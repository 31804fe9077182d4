//! What was acknowledged is sent at least once, whatever is killed, hangs or answers nonsense; and while nothing breaks,
//! once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::http::Method;
use boxcar::{
    context::Context,
    models::webhook_deliveries,
    workers::{relay, webhooks::Webhooks, wire::Wire},
};
use rand::Rng;
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::support::{
    Client, Program, Receiver, Reply, Server, Shop, assert_invariants, order_lines,
};

/// How often the server is killed, unless `KILLS` says otherwise.
const KILLS: usize = 5;

/// How many clients order at once.
const CLIENTS: usize = 4;

/// How long the last delivery may take: the lease of a node that was killed has to end first.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_acknowledged_order_is_one_event_that_arrives_though_the_server_is_killed() {
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let shop = Shop::open().await;
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    let lamp = admin.sell("Lamp", "9.00", 1_000_000).await;
    let receiver = Receiver::start(moody).await;
    let endpoint = json!({ "url": receiver.url(), "types": ["order.placed"] });
    let endpoint = admin.post("/webhook-endpoints", endpoint).await;
    let webhook = Webhook::new(endpoint.body["secret"].as_str().unwrap()).unwrap();
    let start = || {
        let waits = vec!["1"; 30].join(",");
        let program = Program::new("test").on(&shop.ctx.config.database.uri);
        Server::start(program.env("WEBHOOK_RETRY_SECONDS", &waits))
    };

    let mut acknowledged = BTreeSet::new();
    for round in 0..kills {
        let server = Arc::new(start().await);
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (server, token) = (Arc::clone(&server), ada.token.clone().unwrap());
            let key = format!("{round}-{client}");
            clients.spawn(async move { order_on(&server, &token, lamp, &key).await });
        }
        let span = rand::rng().random_range(50..800);
        sleep(Duration::from_millis(span)).await;
        server.kill();
        acknowledged.extend(clients.join_all().await.into_iter().flatten());
    }
    assert!(!acknowledged.is_empty(), "nothing was acknowledged");

    let server = start().await;
    let deadline = Instant::now() + PATIENCE;
    let mut missing = acknowledged.clone();
    while !missing.is_empty() {
        assert!(Instant::now() < deadline, "{missing:?} were not sent");
        for request in receiver.requests() {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            missing.remove(&body["data"]["id"].as_i64().unwrap());
        }
        sleep(Duration::from_millis(100)).await;
    }
    server.terminate();
    server.ended().await;
    for request in receiver.requests() {
        webhook
            .verify(request.body.as_bytes(), &request.headers)
            .unwrap();
    }
    let placed = events_of(&admin, "order.placed").await;
    let orders: BTreeMap<_, _> = placed
        .iter()
        .map(|event| (event["subject"]["id"].as_i64().unwrap(), event))
        .collect();
    assert_eq!(orders.len(), placed.len(), "an order is two events");
    assert!(acknowledged.iter().all(|order| orders.contains_key(order)));
    for (order, event) in orders {
        assert_eq!(event["data"]["id"], order);
        assert_eq!(
            admin.get(&format!("/orders/{order}")).await.outcome(),
            "200"
        );
    }
    assert_invariants(&shop.ctx.db).await;
}

/// Fails, hangs, hangs up, and takes some.
fn moody(nth: usize) -> Reply {
    match nth {
        3 => Reply::Held(String::new()),
        _ if nth % 3 == 1 => Reply::status(500),
        _ if nth % 5 == 2 => Reply::Closed(String::new()),
        _ => Reply::status(200),
    }
}

/// Orders until there is no answer any more. Says which orders were acknowledged.
async fn order_on(server: &Server, token: &str, product: i64, key: &str) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    for nth in 0.. {
        let order = json!({ "items": order_lines(&[(product, 1)]) });
        let answer = server.place(token, &format!("{key}-{nth}"), &order).await;
        match answer {
            Some(answer) if answer.status == 201 => {
                acknowledged.push(answer.body["id"].as_i64().unwrap());
            }
            Some(answer) => panic!("{}", answer.body),
            None => break,
        }
    }
    acknowledged
}

/// All events of a type.
async fn events_of(admin: &Client, types: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin
            .get(&format!(
                "/events?type={types}&page_size=100&cursor={cursor}"
            ))
            .await;
        all.extend(page.body["items"].as_array().unwrap().iter().cloned());
        match page.body["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

#[tokio::test]
async fn an_import_of_many_products_reaches_as_many_endpoints_as_there_can_be() {
    let (shop, admin) = Shop::open_with_admin().await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    for _ in 0..32 {
        let endpoint = json!({ "url": receiver.url(), "types": ["product.*"] });
        assert_eq!(admin.post("/webhook-endpoints", endpoint).await.status, 201);
    }
    let lines = (0..600).map(|nth| format!("LAMP-{nth},Lamp {nth},9.00,5\n"));
    let table = format!("sku,name,price,stock\n{}", lines.collect::<String>());
    let program = Program::new("test").on(&shop.ctx.config.database.uri);
    let program = program.file("products.csv", &table);
    let outcome = program
        .run(&["task", "products:import", "file:products.csv"])
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let deliveries = webhook_deliveries::Entity::find().count(&shop.ctx.db).await;
    assert_eq!(deliveries.unwrap(), 600 * 32);
    assert_eq!(events_of(&admin, "product.created").await.len(), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_the_work_and_send_each_delivery_once() {
    let (shop, admin) = Shop::open_with_admin().await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let endpoint = json!({ "url": receiver.url(), "types": ["product.created"] });
    admin.post("/webhook-endpoints", endpoint).await;
    for nth in 0..120 {
        admin.sell(&format!("Lamp {nth}"), "9.00", 5).await;
    }
    let ctx = Context::of(&shop.ctx).unwrap();
    let mut nodes = JoinSet::new();
    for _ in 0..3 {
        let webhooks = Webhooks::over(Wire::new(true).unwrap(), &ctx);
        nodes.spawn(async move { relay::send_all(&webhooks).await.unwrap() });
    }
    nodes.join_all().await;
    let sent: Vec<_> = receiver
        .requests()
        .iter()
        .map(|request| request.headers["webhook-id"].clone())
        .collect();
    let different: BTreeSet<_> = sent.iter().map(|id| id.to_str().unwrap()).collect();
    assert_eq!((sent.len(), different.len()), (120, 120));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_sends_at_once_waits_as_configured_and_gives_back_what_it_cannot_finish() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let receiver = Receiver::start(|nth| match nth {
        0 => Reply::status(500),
        1 => Reply::status(200),
        _ => Reply::Held(String::new()),
    })
    .await;
    let endpoint = json!({ "url": receiver.url(), "types": ["product.created"] });
    admin.post("/webhook-endpoints", endpoint).await;
    let program = Program::new("test").on(&shop.ctx.config.database.uri);
    let server = Server::start(program.env("WEBHOOK_RETRY_SECONDS", "1,1")).await;
    let sell = async || {
        let body = json!({ "name": "Lamp", "price": "1.00" });
        let sold = server.request(
            Method::POST,
            "/api/v1/products",
            admin.token.as_deref(),
            Some(&body),
        );
        assert_eq!(sold.await.status, 201);
    };
    let heard = async |count: usize| {
        let begun = Instant::now();
        while receiver.requests().len() < count {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "nothing was sent"
            );
            sleep(Duration::from_millis(10)).await;
        }
        begun.elapsed()
    };
    sell().await;
    heard(1).await;
    let waited = heard(2).await;
    assert!((0.85..1.6).contains(&waited.as_secs_f64()), "{waited:?}");
    sell().await;
    heard(3).await;
    server.terminate();
    server.ended().await;
    let left = admin.get("/webhook-deliveries?status=pending").await;
    assert_eq!(left.body["items"].as_array().unwrap().len(), 1);
    // It is due, and nobody has to wait for the lease of a node that is gone.
    let receiver_is_well = Receiver::start(|_| Reply::status(200)).await;
    let url = json!({ "url": receiver_is_well.url() });
    let id = left.body["items"][0]["endpoint_id"].clone();
    admin.patch(&format!("/webhook-endpoints/{id}"), url).await;
    let ctx = Context::of(&shop.ctx).unwrap();
    let webhooks = Webhooks::over(Wire::new(true).unwrap(), &ctx);
    relay::send_all(&webhooks).await.unwrap();
    assert_eq!(receiver_is_well.requests().len(), 1);
}

#[tokio::test]
async fn a_node_without_relay_leaves_the_work_to_others() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let endpoint = json!({ "url": receiver.url(), "types": ["product.created"] });
    admin.post("/webhook-endpoints", endpoint).await;
    admin.sell("Lamp", "1.00", 5).await;
    let node = |relay: &str| {
        let program = Program::new("test").on(&shop.ctx.config.database.uri);
        Server::start(program.env("RELAY", relay))
    };
    let idle = node("false").await;
    // Longer than a relay rests.
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(receiver.connections(), 0);
    let busy = node("true").await;
    let begun = Instant::now();
    while receiver.requests().is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "nothing was sent"
        );
        sleep(Duration::from_millis(10)).await;
    }
    drop((idle, busy));
}

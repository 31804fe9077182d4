//! The real server, asked to end while it is at work.

use std::{sync::Arc, time::Duration};

use axum::http::{Method, StatusCode};
use boxcar::models::{api_keys, now};
use chrono::TimeDelta;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::support::{Client, Program, Server, Shop, assert_invariants, request_at};

const SHOPPERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_fails_first_and_a_client_that_heeds_it_loses_no_request() {
    let (shop, buyer, order) = shop().await;
    let server = Arc::new(start(&shop, "2").await);
    let (ready, heeded) = watch::channel(true);
    let mut shoppers = JoinSet::new();
    for _ in 0..SHOPPERS {
        let (server, ready) = (Arc::clone(&server), heeded.clone());
        let (token, order) = (buyer.token.clone(), order.clone());
        shoppers.spawn(async move {
            let mut placed = 0;
            while *ready.borrow() {
                let answer = server
                    .request(
                        Method::POST,
                        "/api/v1/orders",
                        token.as_deref(),
                        Some(&order),
                    )
                    .await;
                assert_eq!(answer.status, 201, "{}", answer.body);
                placed += 1;
            }
            placed
        });
    }
    sleep(Duration::from_millis(500)).await;
    assert_eq!(readiness(&server).await, StatusCode::OK);
    server.terminate();
    while readiness(&server).await != StatusCode::SERVICE_UNAVAILABLE {}
    // The others do not know yet, and are served as before.
    sleep(Duration::from_millis(500)).await;
    ready.send(false).unwrap();
    let placed: usize = shoppers.join_all().await.into_iter().sum();
    assert!(placed > SHOPPERS, "there was no load");
    assert_eq!(readiness(&server).await, StatusCode::SERVICE_UNAVAILABLE);

    let server = Arc::into_inner(server).unwrap();
    let port = server.port;
    let outcome = server.ended().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered_after_the_listener_has_closed() {
    let (shop, buyer, order) = shop().await;
    let server = start(&shop, "0").await;
    let (head, body) = written(&buyer, &order);
    let mut slow = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    slow.write_all(head.as_bytes()).await.unwrap();
    // Until it has been accepted and read.
    sleep(Duration::from_millis(300)).await;
    server.terminate();
    closed(server.port).await;
    slow.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.ended().await.code, Some(0));
}

#[tokio::test]
async fn connections_on_which_nothing_is_asked_are_closed() {
    let (shop, ..) = shop().await;
    let server = start(&shop, "0").await;
    let _silent = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    let mut kept_alive = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    kept_alive
        .write_all(b"GET /_ping HTTP/1.1\r\nHost: shop\r\n\r\n")
        .await
        .unwrap();
    assert!(kept_alive.read(&mut [0; 1024]).await.unwrap() > 0);
    server.terminate();
    let ended = timeout(Duration::from_secs(5), server.ended()).await;
    assert_eq!(ended.expect("it ends soon").code, Some(0));
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_does_not_hold_the_end_up() {
    let (shop, buyer, order) = shop().await;
    let program = Program::new("test").on(&shop.ctx.config.database.uri);
    let server = Server::start(program.env("REQUEST_TIMEOUT", "2000")).await;
    let (head, _) = written(&buyer, &order);
    let mut stalled = Vec::new();
    for part in [&head[..40], &head] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port))
            .await
            .unwrap();
        stream.write_all(part.as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    server.terminate();
    assert_eq!(server.ended().await.code, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(7));
    drop(stalled);
}

#[tokio::test]
async fn when_a_key_was_last_used_is_known_a_moment_later_and_at_the_end() {
    let (shop, admin) = Shop::open_with_admin().await;
    let body = json!({ "name": "Robot", "kind": "secret", "scopes": ["products:read"] });
    let (robot, _) = admin.key(body).await;
    let server = start(&shop, "0").await;
    let use_key = async || {
        let path = "/api/v1/products";
        let answer = server
            .request(Method::GET, path, robot.token.as_deref(), None)
            .await;
        assert_eq!(answer.status, StatusCode::OK);
    };
    let last_used = async || {
        let key = api_keys::Entity::find().one(&shop.ctx.db).await.unwrap();
        key.unwrap().last_used_at
    };
    use_key().await;
    // The server writes it down by itself.
    let deadline = Instant::now() + Duration::from_mins(1);
    let noted = loop {
        if let Some(noted) = last_used().await {
            break noted;
        }
        assert!(Instant::now() < deadline, "it is not written down");
        sleep(Duration::from_millis(50)).await;
    };
    // The next time would be in a minute, if there was one.
    let before = now();
    use_key().await;
    assert_eq!(last_used().await, Some(noted));
    server.terminate();
    assert_eq!(server.ended().await.code, Some(0));
    let last = last_used().await.unwrap();
    assert!(
        last >= before - TimeDelta::milliseconds(1),
        "{last}, not {before}"
    );
}

/// A shop that looks on, a customer who buys there, and what they order.
async fn shop() -> (Shop, Client, Value) {
    let (shop, admin) = Shop::open_with_admin().await;
    let product = admin.sell("Lamp", "9", 1_000_000).await;
    let buyer = shop.customer("buyer").await;
    let order = json!({ "items": [{ "product_id": product, "quantity": 1 }] });
    (shop, buyer, order)
}

async fn start(shop: &Shop, delay: &str) -> Server {
    let program = Program::new("test").on(&shop.ctx.config.database.uri);
    Server::start(program.env("SHUTDOWN_DELAY_SECONDS", delay)).await
}

async fn readiness(server: &Server) -> StatusCode {
    let answer = server.request(Method::GET, "/_readiness", None, None).await;
    answer.status
}

/// Waits until no server listens there any more.
async fn closed(port: u16) {
    while request_at(port, Method::GET, "/_ping", "", None)
        .await
        .is_ok()
    {
        sleep(Duration::from_millis(20)).await;
    }
}

/// The head of a request that places an order, and its body.
fn written(buyer: &Client, order: &Value) -> (String, String) {
    let (token, body) = (buyer.token.as_ref().unwrap(), order.to_string());
    let head = format!(
        "POST /api/v1/orders HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head, body)
}

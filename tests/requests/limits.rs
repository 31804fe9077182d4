//! How often each client may call each route.

use std::net::{IpAddr, SocketAddr};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request, StatusCode},
};
use boxcar::settings::Settings;
use redis::{AsyncCommands, aio::MultiplexedConnection};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Client, Mismatches, PASSWORD, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_a_day_are_answered_and_the_next_is_refused_for_each_client_and_route() {
    let shop = limited(100).await;
    let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
    let admin = shop.admin().await;
    for client in [&ada, &bob, &admin] {
        for path in ["/products", "/orders", "/auth/me"] {
            let mut requests = JoinSet::new();
            for _ in 0..101 {
                let client = client.clone();
                requests.spawn(async move { client.get(path).await.status });
            }
            let statuses = requests.join_all().await;
            let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
            assert_eq!((count(200), count(429)), (100, 1), "{path}");
        }
    }
}

#[tokio::test]
async fn a_refusal_says_for_how_long_and_changes_nothing() {
    let shop = limited(2).await;
    let admin = shop.admin().await;
    let lamp = json!({ "name": "Lamp", "price": "5" });
    let policy = Some("\"default\";q=2;w=86400");
    for left in ["1", "0"] {
        let answer = admin.post("/products", lamp.clone()).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header("ratelimit-policy"), policy);
        let limit = answer.header("ratelimit").unwrap();
        assert!(
            limit.starts_with(&format!("\"default\";r={left};t=")),
            "{limit}"
        );
    }
    let answer = admin.post("/products", lamp).await;
    answer.assert_problem(429, "rate-limited");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((43_100..=43_200).contains(&wait), "{wait}");
    let limit = format!("\"default\";r=0;t={wait}");
    assert_eq!(answer.header("ratelimit"), Some(&*limit));
    assert_eq!(answer.header("ratelimit-policy"), policy);
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(admin.get("/products").await.body["total_items"], 2);
}

#[tokio::test]
async fn each_method_of_each_route_has_a_budget_of_its_own_whatever_the_id() {
    let shop = limited(2).await;
    let admin = shop.admin().await;
    let lamp = admin.sell("Lamp", "5", None).await;
    let path = format!("/products/{lamp}");
    assert_eq!(admin.get(&path).await.status, 200);
    assert_eq!(admin.get("/products/999").await.status, 404);
    assert_eq!(admin.get(&path).await.status, 429);
    assert_eq!(
        admin.patch(&path, json!({ "price": "6" })).await.status,
        200
    );
    assert_eq!(admin.get("/products").await.status, 200);
}

#[tokio::test]
async fn head_is_a_get() {
    let shop = limited(2).await;
    let ada = shop.customer("ada").await;
    assert_eq!(ada.get("/products").await.status, 200);
    assert_eq!(ada.send(Method::HEAD, "/products", None).await.status, 200);
    assert_eq!(ada.get("/products").await.status, 429);
}

#[tokio::test]
async fn a_client_without_a_valid_token_has_the_budget_of_its_address() {
    let shop = limited(3).await;
    let ada = shop.customer("ada").await;
    let forged = shop.bearing(Some("forged".to_owned()));
    let stranger = shop.stranger();
    for client in [&stranger, &forged, &stranger] {
        assert_eq!(from("192.0.2.1", client).await.status, 401);
    }
    assert_eq!(from("192.0.2.1", &forged).await.status, 429);
    assert_eq!(from("192.0.2.2", &stranger).await.status, 401);
    assert_eq!(from("192.0.2.1", &ada).await.status, 200);
}

#[tokio::test]
async fn a_token_that_was_revoked_counts_for_its_address() {
    let shop = limited(2).await;
    let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
    assert_eq!(from("192.0.2.1", &ada).await.status, 200);
    admin
        .delete(&format!("/customer-accounts/{}", ada.account_id))
        .await;
    for _ in 0..2 {
        assert_eq!(from("192.0.2.1", &ada).await.status, 401);
    }
    assert_eq!(from("192.0.2.1", &ada).await.status, 429);
    assert_eq!(from("192.0.2.1", &shop.stranger()).await.status, 429);
    assert_eq!(from("192.0.2.2", &ada).await.status, 401);
}

#[tokio::test]
async fn an_ipv6_network_is_one_client_and_an_ipv4_address_in_ipv6_is_that_address() {
    let shop = limited(1).await;
    let stranger = shop.stranger();
    let mut mismatches = Mismatches::default();
    for (address, status) in [
        ("2001:db8:1:2::1", 401),
        ("2001:db8:1:2:ffff::7", 429),
        ("2001:db8:1:3::1", 401),
        ("::ffff:192.0.2.1", 401),
        ("192.0.2.1", 429),
    ] {
        mismatches.compare(address, from(address, &stranger).await.status, status);
    }
}

#[tokio::test]
async fn a_forwarding_header_is_believed_only_where_the_settings_name_it() {
    let shop = limited(1).await;
    assert_eq!(forwarded(&shop, "203.0.113.1").await, 401);
    assert_eq!(forwarded(&shop, "203.0.113.2").await, 429);

    for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
        let shop = behind_a_proxy(header).await;
        for (client, status) in [
            ("203.0.113.1", 401),
            ("203.0.113.2", 401),
            ("203.0.113.1", 429),
        ] {
            assert_eq!(forwarded(&shop, client).await, status, "{header}: {client}");
        }
    }
}

#[tokio::test]
async fn a_client_behind_a_proxy_counts_for_itself_however_its_address_is_written() {
    let shop = behind_a_proxy("X-Forwarded-For").await;
    let mut mismatches = Mismatches::default();
    for (addresses, status) in [
        ("203.0.113.1:4711", 401),
        ("203.0.113.2:4711", 401),
        ("203.0.113.1:4712", 429),
        // What the client wrote stands to the left of what the proxy has added.
        ("203.0.113.9, 203.0.113.1", 429),
        ("[2001:db8::1]:4711", 401),
        ("2001:db8::2", 429),
        // Not an address: it counts for the connection's.
        ("unknown", 401),
        ("_hidden", 429),
        ("203.0.113.3", 401),
    ] {
        let answered = forwarded_by("x-forwarded-for", &shop, addresses).await;
        mismatches.compare(addresses, answered, status);
    }
}

#[tokio::test]
async fn a_token_that_is_good_no_more_leaves_its_owners_budget_alone() {
    let shop = limited(3).await;
    let ada = shop.customer("ada").await;
    assert_eq!(ada.get("/products").await.status, 200);
    assert_eq!(ada.post("/auth/logout", json!({})).await.status, 204);
    for number in 0..12 {
        let answer = from(&format!("192.0.2.{number}"), &ada).await;
        assert_eq!(answer.status, 401);
    }
    let ada = shop.logged_in("ada", PASSWORD).await;
    let answer = ada.get("/products").await;
    assert_eq!(answer.status, 200);
    let left = answer.header("ratelimit").unwrap();
    assert!(left.starts_with("\"default\";r=1;"), "{left}");
}

#[tokio::test]
async fn a_client_that_fails_to_log_in_does_not_keep_others_out_for_the_day() {
    let settings = [
        ("rate_limit", "requests", json!(2)),
        ("security", "login_failures", json!(1)),
    ];
    let shop = Shop::open_with(&settings).await;
    shop.customer("ada").await;
    let login = |body: Value| {
        let request = request("192.0.2.1", Method::POST, "/auth/login", Some(&body));
        let stranger = shop.stranger();
        async move { stranger.request(request).await.status }
    };
    for number in 0..9 {
        let body = json!({ "username": format!("nobody-{number}"), "password": PASSWORD });
        assert_eq!(login(body).await, 401);
        login(json!([])).await;
    }
    assert_eq!(login(json!([])).await, 429);
    let answer = log_in(&shop, "192.0.2.1", "ada", PASSWORD).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("ratelimit"), None);
    assert_eq!(
        answer.header("ratelimit-policy"),
        Some("\"failed-logins\";q=1;w=900, \"all-failed-logins\";q=10;w=900")
    );
}

#[tokio::test]
async fn without_a_limit_of_failed_logins_they_count_for_their_route() {
    let settings = [
        ("rate_limit", "requests", json!(2)),
        ("security", "login_failures", json!(0)),
    ];
    let shop = Shop::open_with(&settings).await;
    shop.customer("ada").await;
    for left in ["1", "0"] {
        let failed = log_in(&shop, "192.0.2.1", "ada", "not her password").await;
        assert_eq!(failed.status, 401);
        let limit = failed.header("ratelimit").unwrap();
        assert!(limit.starts_with(&format!("\"default\";r={left};t=")));
    }
    let failed = log_in(&shop, "192.0.2.1", "ada", "not her password").await;
    failed.assert_problem(429, "rate-limited");
    let right = log_in(&shop, "192.0.2.1", "ada", PASSWORD).await;
    assert_eq!(right.status, 200);
}

#[tokio::test]
async fn a_username_is_not_guessed_from_many_addresses_and_its_owner_still_logs_in() {
    let shop = Shop::open_with(&[
        ("security", "login_failures", json!(1)),
        // So long that none comes back while the test runs.
        ("security", "login_failures_period_seconds", json!(86_400)),
    ])
    .await;
    shop.customer("ada").await;
    shop.customer("bob").await;
    let wrong = "not it at all, sorry";
    let logged_in = log_in(&shop, "198.51.100.1", "ada", PASSWORD).await;
    assert_eq!(logged_in.status, 200);
    for number in 0..10 {
        let failed = log_in(&shop, &format!("192.0.2.{number}"), "ada", wrong).await;
        failed.assert_problem(401, "invalid-credentials");
    }
    let refused = log_in(&shop, "192.0.2.10", "ada", wrong).await;
    refused.assert_problem(429, "rate-limited");
    for (address, username) in [("198.51.100.1", "ada"), ("192.0.2.10", "bob")] {
        let answer = log_in(&shop, address, username, PASSWORD).await;
        assert_eq!(answer.status, 200, "{username}");
    }
}

#[tokio::test]
async fn an_ipv6_network_that_is_larger_than_a_client_has_a_budget_of_failed_logins_too() {
    let shop = Shop::open_with(&[
        ("security", "login_failures", json!(1)),
        // So long that none comes back while the test runs.
        ("security", "login_failures_period_seconds", json!(86_400)),
    ])
    .await;
    for number in 0..40 {
        let address = format!("2001:db8:1:ff{number:02x}::1");
        let failed = log_in(&shop, &address, &format!("nobody-{number}"), PASSWORD).await;
        failed.assert_problem(401, "invalid-credentials");
    }
    for (address, status) in [("2001:db8:1:ffff::1", 429), ("2001:db8:1:fe00::1", 401)] {
        let answer = log_in(&shop, address, "somebody", PASSWORD).await;
        assert_eq!(answer.status, status, "{address}");
    }
}

#[tokio::test]
async fn redis_holds_no_username_and_no_address_that_can_be_read() {
    let shop = limited(5).await;
    let Some((mut redis, prefix)) = redis_of(&shop).await else {
        return;
    };
    shop.customer("ada").await;
    log_in(&shop, "192.0.2.1", "ada", PASSWORD).await;
    log_in(&shop, "2001:db8:7:7::1", "a-password-typed-here", PASSWORD).await;
    from("192.0.2.1", &shop.stranger()).await;
    let keys = keys(&mut redis, &format!("{prefix}:*")).await;
    for kind in ["budget", "memory"] {
        assert!(keys.iter().any(|key| key.contains(kind)), "{keys:#?}");
    }
    for key in &keys {
        for readable in ["ada", "typed", "192.0.2", "2001:db8", "20010db8"] {
            assert!(!key.contains(readable), "{key}");
        }
    }
}

#[tokio::test]
async fn what_is_no_moment_in_redis_is_no_end_of_the_limit() {
    for broken in ["nan", "-nan", "inf", "1e400", "1e300", "a word", "list"] {
        let shop = limited(2).await;
        let Some((mut redis, prefix)) = redis_of(&shop).await else {
            return;
        };
        let ada = shop.customer("ada").await;
        assert_eq!(ada.get("/products").await.status, 200);
        for key in keys(&mut redis, &format!("{prefix}:budget:*")).await {
            let mut pipe = redis::pipe();
            pipe.del(&key);
            if broken == "list" {
                pipe.rpush(&key, 1);
            } else {
                pipe.set(&key, broken);
            }
            pipe.exec_async(&mut redis).await.unwrap();
        }
        let mut answered = 0;
        for _ in 0..4 {
            let status = ada.get("/products").await.status;
            assert!(status == 200 || status == 429, "{broken}: {status}");
            answered += u32::from(status == 200);
        }
        assert!(answered <= 2, "{broken}: {answered} were answered");
    }
}

#[tokio::test]
async fn health_the_swagger_page_and_options_are_not_limited() {
    let shop = limited(1).await;
    for _ in 0..3 {
        for path in [
            "/_ping",
            "/_health",
            "/_readiness",
            "/swagger/",
            "/api-docs/openapi.json",
        ] {
            let answer = ask(&shop.stranger(), Method::GET, path).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("ratelimit"), None, "{path}");
        }
        let answer = ask(&shop.stranger(), Method::OPTIONS, "/api/v1/products").await;
        assert_ne!(answer.status, 429);
    }
}

#[tokio::test]
async fn no_requests_is_no_limit() {
    let shop = limited(0).await;
    let ada = shop.customer("ada").await;
    for _ in 0..150 {
        let answer = ada.get("/products").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit"), None);
    }
}

#[tokio::test]
async fn a_budget_comes_back_with_time() {
    let settings = [("requests", json!(2)), ("period_seconds", json!(2))];
    let settings = settings.map(|(key, value)| ("rate_limit", key, value));
    let shop = Shop::open_with(&settings).await;
    let ada = shop.customer("ada").await;
    for _ in 0..2 {
        assert_eq!(ada.get("/products").await.status, 200);
    }
    let refused = ada.get("/products").await;
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
    assert_eq!(ada.get("/products").await.status, 200);
}

#[tokio::test]
async fn too_many_failed_logins_of_a_name_from_an_address_are_refused_there_alone() {
    let shop = Shop::open_with(&[("security", "login_failures", json!(3))]).await;
    shop.customer("ada").await;
    shop.customer("bob").await;
    for _ in 0..3 {
        // The right password does not count.
        assert_eq!(
            log_in(&shop, "192.0.2.1", "ada", PASSWORD).await.status,
            200
        );
        let failed = log_in(&shop, "192.0.2.1", "ADA", "not it at all, sorry").await;
        failed.assert_problem(401, "invalid-credentials");
    }
    for password in [PASSWORD, "not it at all, sorry"] {
        let refused = log_in(&shop, "192.0.2.1", "ada", password).await;
        refused.assert_problem(429, "rate-limited");
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((200..=300).contains(&wait), "{wait}");
    }
    assert_eq!(
        log_in(&shop, "192.0.2.2", "ada", PASSWORD).await.status,
        200
    );
    assert_eq!(
        log_in(&shop, "192.0.2.1", "bob", PASSWORD).await.status,
        200
    );
}

#[tokio::test]
async fn too_many_failed_logins_from_an_address_are_refused_whatever_the_name() {
    let shop = Shop::open_with(&[("security", "login_failures", json!(1))]).await;
    shop.customer("ada").await;
    for number in 0..10 {
        let failed = log_in(&shop, "192.0.2.1", &format!("nobody-{number}"), PASSWORD).await;
        failed.assert_problem(401, "invalid-credentials");
    }
    let refused = log_in(&shop, "192.0.2.1", "ada", PASSWORD).await;
    refused.assert_problem(429, "rate-limited");
    assert_eq!(
        log_in(&shop, "192.0.2.2", "ada", PASSWORD).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_logins_fail_than_may_however_many_are_tried_at_once() {
    let shop = Shop::open_with(&[("security", "login_failures", json!(3))]).await;
    shop.customer("ada").await;
    let mut attempts = JoinSet::new();
    for _ in 0..12 {
        let stranger = shop.stranger();
        attempts.spawn(async move {
            let body = json!({ "username": "ada", "password": "not it at all, sorry" });
            stranger.post("/auth/login", body).await.status
        });
    }
    let statuses = attempts.join_all().await;
    let failed = statuses.iter().filter(|status| **status == 401);
    assert_eq!(failed.count(), 3, "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn right_logins_are_not_refused_for_being_many_at_once() {
    let shop = Shop::open_with(&[("security", "login_failures", json!(2))]).await;
    shop.customer("ada").await;
    let mut attempts = JoinSet::new();
    for _ in 0..8 {
        let stranger = shop.stranger();
        attempts.spawn(async move {
            let body = json!({ "username": "ada", "password": PASSWORD });
            stranger.post("/auth/login", body).await.status
        });
    }
    assert_eq!(attempts.join_all().await, [200; 8]);
}

async fn limited(requests: u32) -> Shop {
    Shop::open_with(&[("rate_limit", "requests", json!(requests))]).await
}

/// `GET /products` from an address.
async fn from(address: &str, client: &Client) -> Answer {
    client
        .request(request(address, Method::GET, "/products", None))
        .await
}

async fn log_in(shop: &Shop, address: &str, username: &str, password: &str) -> Answer {
    let body = json!({ "username": username, "password": password });
    let request = request(address, Method::POST, "/auth/login", Some(&body));
    shop.stranger().request(request).await
}

async fn behind_a_proxy(header: &str) -> Shop {
    let settings = [
        ("rate_limit", "requests", json!(1)),
        ("connections", "trusted_proxy_header", json!(header)),
    ];
    Shop::open_with(&settings).await
}

/// What `GET /products` is answered that comes through a proxy with every header of proxies.
async fn forwarded(shop: &Shop, client: &str) -> StatusCode {
    let mut request = request("192.0.2.7", Method::GET, "/products", None);
    let headers = request.headers_mut();
    headers.insert("x-forwarded-for", client.parse().unwrap());
    headers.insert("forwarded", format!("for={client}").parse().unwrap());
    headers.insert("x-real-ip", client.parse().unwrap());
    shop.stranger().request(request).await.status
}

/// The same with one header.
async fn forwarded_by(header: &'static str, shop: &Shop, value: &str) -> StatusCode {
    let mut request = request("192.0.2.7", Method::GET, "/products", None);
    request.headers_mut().insert(header, value.parse().unwrap());
    shop.stranger().request(request).await.status
}

/// The Redis that the shop counts in and what its keys begin with, where there is one.
async fn redis_of(shop: &Shop) -> Option<(MultiplexedConnection, String)> {
    let settings = Settings::of(&shop.ctx).unwrap();
    let Some(url) = settings.redis.url() else {
        eprintln!("not tried: it takes REDIS_URL");
        return None;
    };
    let client = redis::Client::open(url).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    Some((connection, settings.redis.prefix.clone()))
}

async fn keys(redis: &mut MultiplexedConnection, pattern: &str) -> Vec<String> {
    redis.keys(pattern).await.unwrap()
}

async fn ask(client: &Client, method: Method, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    client.request(request.body(Body::empty()).unwrap()).await
}

fn request(address: &str, method: Method, path: &str, body: Option<&Value>) -> Request<Body> {
    let address: IpAddr = address.parse().unwrap();
    Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header("content-type", "application/json")
        .extension(ConnectInfo(SocketAddr::new(address, 50_000)))
        .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
        .unwrap()
}

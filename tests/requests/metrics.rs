//! `/metrics`, as Prometheus reads it.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use boxcar::{
    context::Context,
    models::queue::{Client as Asker, hashing},
};

use crate::support::{Client, Mismatches, Shop};

#[tokio::test]
async fn requests_are_counted_by_method_route_and_status() {
    let (shop, admin) = Shop::open_with_admin().await;
    let lamp = admin.sell("Lamp", "9", 3).await;
    for _ in 0..3 {
        admin.get(&format!("/products/{lamp}")).await;
    }
    admin.get("/products/999").await;
    admin.get("/products/text").await;
    shop.stranger().get("/products").await;
    admin.delete("/products").await;
    admin.order(&[(lamp, 5)]).await;
    let text = metrics(&shop).await;
    let mut mismatches = Mismatches::default();
    for (method, route, status, count) in [
        ("POST", "/api/v1/products", 201, Some(1)),
        ("GET", "/api/v1/products/{id}", 200, Some(3)),
        ("GET", "/api/v1/products/{id}", 404, Some(1)),
        ("GET", "/api/v1/products/{id}", 400, Some(1)),
        ("GET", "/api/v1/products", 401, Some(1)),
        ("DELETE", "/api/v1/products", 405, Some(1)),
        ("POST", "/api/v1/orders", 422, Some(1)),
        ("POST", "/api/v1/orders", 201, None),
    ] {
        let row = format!("{method} {route} {status}");
        mismatches.compare(row, count_of(&text, method, route, status), count);
    }
}

#[tokio::test]
async fn what_clients_make_up_makes_no_new_labels() {
    let shop = Shop::open().await;
    let stranger = shop.stranger();
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        stranger.request(request.body(Body::empty()).unwrap()).await
    };
    // Each kind once, and what the labels are then.
    let made_up = |number: u32| {
        [
            ("GET", format!("/nothing-{number}")),
            ("GET", format!("/api/v1/products/{number}")),
            ("GET", format!("/api/v1/nothing/{number}?q={number}")),
            ("GET", format!("/swagger/{number}.js")),
            ("GET", format!("/problems/kind-{number}")),
            ("GET", format!("/api-docs/{number}")),
        ]
    };
    let mut series = Vec::new();
    for number in 0..3 {
        for (method, path) in made_up(number) {
            ask(method, &path).await;
        }
        ask(&format!("BREW{number}"), "/api/v1/products").await;
        series.push(metrics(&shop).await.lines().count());
    }
    assert_eq!(series, [series[0]; 3]);
    let text = metrics(&shop).await;
    assert_eq!(
        count_of(&text, "other", "/api/v1/products", 405),
        Some(3),
        "{text}"
    );
    assert_eq!(count_of(&text, "GET", "none", 404), Some(9), "{text}");
}

#[tokio::test]
async fn reading_the_metrics_is_not_counted() {
    let shop = Shop::open().await;
    metrics(&shop).await;
    let text = metrics(&shop).await;
    assert!(!text.contains("\"/metrics\""), "{text}");
}

#[tokio::test]
async fn connections_to_the_database_are_shown_as_they_are() {
    let shop = Shop::open().await;
    let text = metrics(&shop).await;
    let max = u64::from(shop.ctx.config.database.max_connections);
    assert_eq!(value(&text, "boxcar_db_connections_max"), max);
    let open = value(&text, "boxcar_db_connections");
    let idle = value(&text, "boxcar_db_connections_idle");
    assert!(1 <= open && open <= max && idle <= open, "{text}");
}

#[tokio::test]
async fn passwords_that_are_hashed_are_shown_as_they_are() {
    let shop = Shop::open().await;
    // The queue is this process's, and other tests wait in it too.
    let turn = hashing().turn(Asker::System).await.unwrap();
    let text = metrics(&shop).await;
    assert!(
        value(&text, "boxcar_password_hashes_running") >= 1,
        "{text}"
    );
    value(&text, "boxcar_password_hashes_waiting");
    drop(turn);
}

#[tokio::test]
async fn a_server_that_is_not_ready_says_so() {
    let shop = Shop::open().await;
    assert_eq!(value(&metrics(&shop).await, "boxcar_ready"), 1);
    Context::of(&shop.ctx).unwrap().draining.begin();
    assert_eq!(value(&metrics(&shop).await, "boxcar_ready"), 0);
}

#[tokio::test]
async fn the_version_is_shown() {
    let shop = Shop::open().await;
    let text = metrics(&shop).await;
    let version = concat!(
        "boxcar_build_info{version=\"",
        env!("CARGO_PKG_VERSION"),
        "\",commit=\""
    );
    assert!(text.lines().any(|line| line.starts_with(version)), "{text}");
}

#[tokio::test]
async fn every_metric_of_the_dashboard_and_the_alerts_exists() {
    let shop = Shop::open().await;
    let request = Request::get("/_ping").body(Body::empty()).unwrap();
    shop.stranger().request(request).await;
    let text = metrics(&shop).await;
    let found: BTreeSet<_> = text.lines().map(metric).collect();
    for file in [
        include_str!("../../deploy/alerts.yaml"),
        include_str!("../../deploy/grafana.json"),
    ] {
        let named: BTreeSet<_> = file
            .match_indices("boxcar_")
            .map(|(at, _)| metric(&file[at..]))
            .collect();
        assert!(named.len() > 1, "{named:?}");
        let missing: Vec<_> = named.difference(&found).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

/// The name with which a text begins.
fn metric(text: &str) -> &str {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(|letter| !is_name(letter)).next().unwrap()
}

async fn metrics(shop: &Shop) -> String {
    let request = Request::builder().method(Method::GET).uri("/metrics");
    let client: Client = shop.stranger();
    let answer = client.request(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    String::from_utf8(answer.bytes).unwrap()
}

fn count_of(text: &str, method: &str, route: &str, status: u16) -> Option<u64> {
    let name = format!(
        "boxcar_http_request_duration_seconds_count{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} "
    );
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.map(|count| count.parse().unwrap())
}

fn value(text: &str, name: &str) -> u64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}: {text}"))
        .parse()
        .unwrap()
}

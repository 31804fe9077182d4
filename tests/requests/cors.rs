//! Pages of other origins, which call from a browser.

use axum::{
    body::Body,
    http::{Method, Request},
};

use crate::support::{Answer, Client, Shop, TestDatabase};

const ORIGIN: &str = "https://shop.example";

#[tokio::test]
async fn a_page_of_a_named_origin_may_call_and_see_every_header() {
    let shop = shop_of(ORIGIN).await;
    let admin = shop.admin().await;
    let preflight = send(&admin, Method::OPTIONS, "/products/1", ORIGIN).await;
    assert_eq!(preflight.status, 200);
    assert_eq!(
        preflight.header("access-control-allow-origin"),
        Some(ORIGIN)
    );
    let allowed = preflight.header("access-control-allow-headers").unwrap();
    for header in [
        "authorization",
        "if-match",
        "idempotency-key",
        "content-type",
    ] {
        assert!(allowed.contains(header), "{allowed}");
    }
    for (client, path) in [
        (&admin, "/products"),
        (&admin, "/products/9"),
        (&shop.stranger(), "/products"),
    ] {
        let answer = send(client, Method::GET, path, ORIGIN).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some(ORIGIN),
            "{path}"
        );
        let exposed = answer.header("access-control-expose-headers").unwrap();
        for header in [
            "etag",
            "location",
            "link",
            "ratelimit",
            "retry-after",
            "x-request-id",
        ] {
            assert!(exposed.contains(header), "{exposed}");
        }
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_let_in_by_no_header() {
    let shop = shop_of(ORIGIN).await;
    let admin = shop.admin().await;
    for method in [Method::OPTIONS, Method::GET] {
        let answer = send(&admin, method, "/products", "https://evil.example").await;
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

/// A shop whose API the pages of one origin may call.
async fn shop_of(origin: &str) -> Shop {
    let database = TestDatabase::create().await;
    let mut config = database.configuration().await;
    let cors = config.server.middlewares.cors.as_mut().unwrap();
    cors.enable = true;
    cors.allow_origins = vec![origin.to_owned()];
    Shop::open_on(database, config).await
}

async fn send(client: &Client, method: Method, path: &str, origin: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header("origin", origin)
        .header("access-control-request-method", "PATCH")
        .body(Body::empty());
    client.request(request.unwrap()).await
}

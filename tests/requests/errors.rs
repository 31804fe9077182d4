//! The one shape of every error, whichever layer it comes from.

use axum::{
    Router,
    body::Body,
    http::{Method, Request, header},
    routing::get,
};
use boxcar::{app::App, middleware::Outside};
use loco_rs::{
    app::Initializer,
    controller::{AppRoutes, Routes, middleware::timeout::TimeOut},
};
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::{
    assert_answer,
    support::{Answer, Client, Mismatches, Shop},
};

const JSON: Option<&str> = Some("application/json");

const MALFORMED: &str = "400 malformed-request";

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = post(&admin, JSON, r#"{"name":"Ada""#).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn what_is_nearly_json_is_malformed_too() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    for body in [
        &b""[..],
        b"{",
        b"{'name': 'Ada'}",
        b"{\"name\":}",
        b"{\"name\": \"Ada\",}",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b"name=Ada",
        b"NaN",
        b"{\"name\":\"Ren\xe9\",\"email\":\"rene@example.com\"}",
    ] {
        let answer = post(&admin, JSON, body).await;
        mismatches.answer(body.escape_ascii(), &answer, MALFORMED);
    }
    for body in ["[]", "null", "7", "\"Ada\"", "true"] {
        let answer = post(&admin, JSON, body).await;
        mismatches.answer(body, &answer, "422 validation-failed  type");
    }
}

#[tokio::test]
async fn a_body_that_is_nested_too_deep_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let depth = 100_000;
    let body = format!("{{\"name\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let answer = post(&admin, JSON, body).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
}

#[tokio::test]
async fn an_id_that_is_not_a_number_is_malformed() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    for path in [
        "/customers/one",
        "/customer-accounts/one",
        "/orders/one",
        "/products/1.0",
        "/products/+1",
        "/products/01",
        "/products/0x1",
        "/products/1e3",
        "/products/-",
        "/products/%20",
        "/products/1%2F2",
        "/products/%FF",
        "/products/9223372036854775808",
    ] {
        mismatches.answer(path, &admin.get(path).await, MALFORMED);
    }
}

#[tokio::test]
async fn an_id_that_no_row_has_is_not_found() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    for id in ["0", "-1", "99", "9223372036854775807"] {
        let answer = admin.get(&format!("/products/{id}")).await;
        mismatches.answer(id, &answer, "404 not-found");
    }
}

#[tokio::test]
async fn a_query_that_is_not_utf_8_is_malformed() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    for (query, outcome) in [
        ("q=%FF", MALFORMED),
        ("q=%C3", MALFORMED),
        ("%FF=q", MALFORMED),
        // The character that stands for an invalid one is valid itself.
        ("q=%EF%BF%BD", "200"),
    ] {
        let answer = admin.get(&format!("/customers?{query}")).await;
        mismatches.answer(query, &answer, outcome);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = post(&admin, JSON, named_with(140_000)).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_too_large() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let body = named_with(140_000);
    let request = Request::post("/api/v1/customers")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .body(Body::from(body))
        .unwrap();
    let answer = admin.request(request).await;
    answer.assert_problem(413, "payload-too-large");
}

#[tokio::test]
async fn a_body_within_the_limit_is_read() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = post(&admin, JSON, named_with(120_000)).await;
    answer.assert_invalid(&[("/name", "length"), ("/email", "required")]);
}

#[tokio::test]
async fn a_body_of_no_stated_type_is_not_taken() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = post(&admin, None, "{}").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_body_is_taken_as_json_under_all_of_its_names_and_no_other() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let (taken, refused) = (
        "422 validation-failed /email required",
        "415 unsupported-media-type",
    );
    let mut mismatches = Mismatches::default();
    for (content_type, outcome) in [
        ("application/json; charset=utf-8", taken),
        ("APPLICATION/JSON", taken),
        ("application/merge-patch+json", taken),
        ("", refused),
        ("text/plain", refused),
        ("text/json", refused),
        ("application/jsonp", refused),
        ("application/xml", refused),
        ("application/x-www-form-urlencoded", refused),
        ("multipart/form-data; boundary=application/json", refused),
    ] {
        let answer = post(&admin, Some(content_type), r#"{"name":"Ada"}"#).await;
        mismatches.answer(content_type, &answer, outcome);
    }
}

#[tokio::test]
async fn every_broken_rule_is_named_at_once() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let body = json!({ "name": "", "email": "nowhere", "phone": 7, "fax": null, "a/b~c": 1 });
    let answer = admin.post("/customers", body).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn an_unknown_field_alone_is_enough_to_refuse_a_body() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let body = json!({ "name": "Ada", "email": "ada@example.com", "Phone": "12345" });
    let answer = admin.post("/customers", body).await;
    answer.assert_invalid(&[("/Phone", "unknown")]);
}

#[tokio::test]
async fn no_more_than_a_hundred_faults_are_named() {
    let (shop, admin) = Shop::open_with_admin().await;
    let unknown: serde_json::Map<_, _> = (0..5_000).map(|n| (n.to_string(), json!(1))).collect();
    let lines: Vec<_> = (0..100).map(|_| json!({ "a": 1, "b": 2 })).collect();
    for (client, path, body) in [
        (shop.stranger(), "/auth/login", unknown.into()),
        (admin, "/orders", json!({ "items": lines })),
    ] {
        let answer = client.post(path, body).await;
        answer.assert_problem(422, "validation-failed");
        assert_eq!(answer.faults().len(), 100, "{path}");
        assert_eq!(
            answer.body["detail"], "100 fields or more are invalid; the first 100 are named.",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_field_that_is_there_twice_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let body = r#"{"name":"Ada","email":"ada@example.com","\u006eame":"Ada"}"#;
    let answer = post(&admin, JSON, body).await;
    answer.assert_invalid(&[("/name", "duplicate")]);
}

#[tokio::test]
async fn every_list_refuses_query_parameters_that_it_does_not_know() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    for path in ["/customers", "/customer-accounts", "/products", "/orders"] {
        let answer = admin.get(&format!("{path}?pagesize=5&Sort=id")).await;
        let unknown = "422 validation-failed /Sort unknown /pagesize unknown";
        mismatches.answer(path, &answer, unknown);
    }
}

#[tokio::test]
async fn a_query_parameter_that_is_there_twice_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = admin.get("/customers?page=1&page=2").await;
    answer.assert_invalid(&[("/page", "duplicate")]);
}

#[tokio::test]
async fn a_problem_names_the_request_that_its_header_names() {
    let shop = Shop::open().await;
    let answer = shop.stranger().get("/nothing").await;
    assert_eq!(
        answer.body["request_id"].as_str(),
        answer.header("x-request-id")
    );
}

#[tokio::test]
async fn a_problem_keeps_the_id_that_the_client_gave_the_request() {
    let shop = Shop::open().await;
    let request = Request::get("/nothing").header("x-request-id", "checkout-42");
    let answer = shop
        .stranger()
        .request(request.body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.body["request_id"], "checkout-42");
}

#[tokio::test]
async fn the_instance_of_a_problem_is_the_path_without_its_query() {
    let shop = Shop::open().await;
    let answer = shop.stranger().get("/caf%C3%A9?token=secret").await;
    assert_eq!(answer.body["instance"], "/api/v1/caf%C3%A9");
}

#[tokio::test]
async fn json_is_answered_whatever_the_client_would_rather_have() {
    let shop = Shop::open().await;
    let request = Request::get("/nothing").header(header::ACCEPT, "text/html, image/png");
    let answer = shop
        .stranger()
        .request(request.body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.problem(), "not-found");
}

#[tokio::test]
async fn a_panic_is_an_internal_error() {
    let shop = Shop::open().await;
    let answer = misbehaving(&shop).await.get("/breaks").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_panic_tells_the_client_nothing() {
    let shop = Shop::open().await;
    let answer = misbehaving(&shop).await.get("/breaks").await;
    assert_tells_nothing(&answer, &["handler", "secret", "panic"]);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_unavailable() {
    let shop = Shop::open().await;
    let answer = misbehaving(&shop).await.get("/hangs").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn an_error_of_the_database_tells_the_client_nothing() {
    let (shop, admin) = Shop::open_with_admin().await;
    let drop = "DROP TABLE stock_movements";
    shop.ctx.db.execute_unprepared(drop).await.unwrap();
    let lamp = json!({ "name": "Lamp", "price": 5, "stock": 3 });
    let answer = admin.post("/products", lamp).await;
    answer.assert_problem(500, "internal");
    assert_tells_nothing(&answer, &["stock_movements", "table", "insert", "sql"]);
}

#[tokio::test]
async fn a_database_that_is_gone_is_an_outage() {
    let (shop, admin) = Shop::open_with_admin().await;
    shop.ctx.db.close_by_ref().await.unwrap();
    let answer = admin.get("/customers").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_failed_health_check_says_so() {
    let shop = Shop::open().await;
    shop.ctx.db.close_by_ref().await.unwrap();
    let request = Request::get("/_readiness").body(Body::empty()).unwrap();
    let answer = shop.stranger().request(request).await;
    answer.assert_problem(503, "unavailable");
}

/// `POST /customers` of a body as it stands.
async fn post(client: &Client, content_type: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/customers");
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    client.request(request.body(body.into()).unwrap()).await
}

/// A body whose name has that many characters.
fn named_with(length: usize) -> String {
    json!({ "name": "a".repeat(length) }).to_string()
}

/// A client of a server with the store's layers and no patience, whose handlers misbehave.
async fn misbehaving(shop: &Shop) -> Client {
    let mut ctx = shop.ctx.clone();
    ctx.config.server.middlewares.timeout_request = Some(TimeOut {
        enable: true,
        timeout: 50,
    });
    let routes = Routes::at("/api/v1")
        .add("/breaks", get(breaks))
        .add("/hangs", get(std::future::pending::<()>));
    let router = AppRoutes::empty()
        .add_route(routes)
        .to_router::<App>(ctx.clone(), Router::new())
        .unwrap();
    let router = Outside.after_routes(router, &ctx).await.unwrap();
    shop.stranger().at(router)
}

async fn breaks() {
    panic!("the handler knows a secret");
}

/// An error on the store's side shows none of these words, nor where in the program it happened.
fn assert_tells_nothing(answer: &Answer, words: &[&str]) {
    let text = String::from_utf8(answer.bytes.clone())
        .unwrap()
        .to_lowercase();
    for word in words.iter().chain(&[".rs", "src/", "backtrace"]) {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

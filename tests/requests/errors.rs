//! The one shape of every error, whichever layer it comes from.

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
    routing::get,
};
use boxcar::{app::App, initializers::problem_details::ProblemDetails};
use loco_rs::{
    app::Initializer,
    controller::{AppRoutes, Routes, middleware::timeout::TimeOut},
};
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::{
    assert_answer,
    support::{Answer, Client, Shop},
};

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let answer = post(&admin, JSON, r#"{"name":"Ada""#).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn what_is_nearly_json_is_malformed_too() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for body in [
        "{",
        "{'name': 'Ada'}",
        "{\"name\":}",
        "{\"name\": \"Ada\",}",
        "{} {}",
        "\u{feff}{}",
        "name=Ada",
        "NaN",
    ] {
        assert_malformed(&post(&admin, JSON, body).await, body);
    }
}

#[tokio::test]
async fn an_empty_body_is_malformed() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    assert_malformed(&post(&admin, JSON, "").await, "no body");
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_malformed() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let body = b"{\"name\":\"Ren\xe9\",\"email\":\"rene@example.com\"}";
    assert_malformed(&post(&admin, JSON, body.as_slice()).await, "Latin-1");
}

#[tokio::test]
async fn a_body_that_is_nested_too_deep_is_refused() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let depth = 100_000;
    let body = format!("{{\"name\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let answer = post(&admin, JSON, body).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_invalid() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for body in ["[]", "null", "7", "\"Ada\"", "true"] {
        let answer = post(&admin, JSON, body).await;
        answer.assert_invalid(&[("", "type")]);
    }
}

#[tokio::test]
async fn an_id_that_is_no_number_is_malformed() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for id in [
        "abc",
        "1.0",
        "+1",
        "01",
        "0x1",
        "1e3",
        "-",
        "%20",
        "1%2F2",
        "%FF",
        "9223372036854775808",
    ] {
        let answer = admin.get(&format!("/products/{id}")).await;
        assert_malformed(&answer, id);
    }
}

#[tokio::test]
async fn every_path_with_an_id_takes_numbers_only() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for path in ["/customers", "/customer-accounts", "/products", "/orders"] {
        let answer = admin.get(&format!("{path}/one")).await;
        assert_malformed(&answer, path);
    }
}

#[tokio::test]
async fn a_number_that_is_nobodys_id_is_not_found() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for id in ["0", "-1", "99", "9223372036854775807"] {
        let answer = admin.get(&format!("/products/{id}")).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::NOT_FOUND, "not-found"),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_cursor_that_no_list_gave_out_is_malformed() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for cursor in ["x", "e30", "bnVsbA", "%00", "WyJpZCIsbnVsbCwxXQ=="] {
        let answer = admin.get(&format!("/customers?cursor={cursor}")).await;
        assert_malformed(&answer, cursor);
    }
}

#[tokio::test]
async fn a_cursor_of_another_order_is_malformed() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    shop.customer("ada").await;
    shop.customer("bob").await;
    let walk = admin.get("/customers?cursor=&page_size=1&sort=name").await;
    let cursor = walk.body["next_cursor"].as_str().unwrap();
    let answer = admin
        .get(&format!("/customers?sort=-name&cursor={cursor}"))
        .await;
    assert_malformed(&answer, cursor);
}

#[tokio::test]
async fn a_query_that_is_not_utf_8_is_malformed() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for query in ["q=%FF", "q=%C3", "%FF=q"] {
        assert_malformed(&admin.get(&format!("/customers?{query}")).await, query);
    }
    // The character that stands for what is none is one itself.
    let answer = admin.get("/customers?q=%EF%BF%BD").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let answer = post(&admin, JSON, named_with(140_000)).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_too_large() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let body = named_with(140_000);
    let request = Request::post("/api/v1/customers")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .body(Body::from(body))
        .unwrap();
    let answer = admin.request(request).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large")
    );
}

#[tokio::test]
async fn a_body_within_the_limit_is_read() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let answer = post(&admin, JSON, named_with(120_000)).await;
    answer.assert_invalid(&[("/name", "length"), ("/email", "required")]);
}

#[tokio::test]
async fn a_body_of_no_stated_type_is_not_taken() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let answer = post(&admin, None, "{}").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_body_of_another_type_is_not_taken() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for content_type in [
        "",
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
    ] {
        let answer = post(&admin, Some(content_type), "{}").await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"),
            "{content_type}"
        );
    }
}

#[tokio::test]
async fn json_is_taken_under_all_of_its_names() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for content_type in [
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/merge-patch+json",
    ] {
        let answer = post(&admin, Some(content_type), "{}").await;
        answer.assert_invalid(&[("/name", "required"), ("/email", "required")]);
    }
}

#[tokio::test]
async fn every_broken_rule_is_named_at_once() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let body = json!({ "name": "", "email": "nowhere", "phone": 7, "fax": null, "a/b~c": 1 });
    let answer = admin.post("/customers", body).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn an_unknown_field_alone_is_enough_to_refuse_a_body() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
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
        answer.assert_problem(StatusCode::UNPROCESSABLE_ENTITY, "validation-failed");
        assert_eq!(answer.faults().len(), 100, "{path}");
        assert_eq!(
            answer.body["detail"], "100 fields or more are invalid; the first 100 are named.",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_field_that_is_there_twice_is_refused() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let body = r#"{"name":"Ada","email":"ada@example.com","\u006eame":"Ada"}"#;
    let answer = post(&admin, JSON, body).await;
    answer.assert_invalid(&[("/name", "duplicate")]);
}

#[tokio::test]
async fn every_list_refuses_query_parameters_that_it_does_not_know() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for path in ["/customers", "/customer-accounts", "/products", "/orders"] {
        let answer = admin.get(&format!("{path}?pagesize=5&Sort=id")).await;
        answer.assert_invalid(&[("/Sort", "unknown"), ("/pagesize", "unknown")]);
    }
}

#[tokio::test]
async fn a_query_parameter_that_is_there_twice_is_refused() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
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
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let drop = "DROP TABLE stock_movements";
    shop.ctx.db.execute_unprepared(drop).await.unwrap();
    let lamp = json!({ "name": "Lamp", "price": 5, "stock": 3 });
    let answer = admin.post("/products", lamp).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::INTERNAL_SERVER_ERROR, "internal")
    );
    assert_tells_nothing(&answer, &["stock_movements", "table", "insert", "sql"]);
}

#[tokio::test]
async fn a_database_that_is_gone_is_an_outage() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
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
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    );
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
    let router = ProblemDetails.after_routes(router, &ctx).await.unwrap();
    shop.stranger().at(router)
}

async fn breaks() {
    panic!("the handler knows a secret");
}

fn assert_malformed(answer: &Answer, what: &str) {
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::BAD_REQUEST, "malformed-request"),
        "{what}"
    );
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

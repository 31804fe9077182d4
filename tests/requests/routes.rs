//! What holds for every route, whatever it does.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use boxcar::app::App;
use loco_rs::app::Hooks;
use serde_json::json;

use crate::{
    assert_answer,
    support::{Answer, Client, Shop},
};

/// The routes that need no token.
const PUBLIC: [(Method, &str); 6] = [
    (Method::GET, "/_ping"),
    (Method::GET, "/_health"),
    (Method::GET, "/_readiness"),
    (Method::POST, "/api/v1/auth/login"),
    (Method::GET, "/problems"),
    (Method::GET, "/problems/not-found"),
];

#[tokio::test]
async fn every_route_that_is_not_public_asks_for_a_token() {
    let shop = Shop::open().await;
    for (method, path) in routes(&shop) {
        if PUBLIC.contains(&(method.clone(), path.as_str())) {
            continue;
        }
        let answer = request(&shop.stranger(), &method, &path).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNAUTHORIZED, "unauthenticated"),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn every_public_route_is_there_and_open() {
    let shop = Shop::open().await;
    let routes = routes(&shop);
    for (method, path) in PUBLIC {
        assert!(
            routes.contains(&(method.clone(), path.to_owned())),
            "{method} {path}"
        );
        let answer = request(&shop.stranger(), &method, path).await;
        assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
}

#[tokio::test]
async fn the_health_routes_answer_without_a_token() {
    let shop = Shop::open().await;
    for path in ["/_ping", "/_health", "/_readiness"] {
        let answer = request(&shop.stranger(), &Method::GET, path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.body, json!({ "ok": true }), "{path}");
    }
}

#[tokio::test]
async fn head_answers_as_get_does_without_a_body() {
    let shop = Shop::open().await;
    let admin = one_of_everything(&shop).await;
    for (_, path) in gets(&shop) {
        let get = request(&admin, &Method::GET, &path).await;
        assert_eq!(get.status, StatusCode::OK, "GET {path}");
        let head = request(&admin, &Method::HEAD, &path).await;
        assert_eq!(head.status, get.status, "HEAD {path}");
        assert_eq!(
            head.header("content-type"),
            get.header("content-type"),
            "HEAD {path}"
        );
        assert!(head.bytes.is_empty(), "HEAD {path}");
    }
}

#[tokio::test]
async fn head_asks_for_a_token_wherever_get_does() {
    let shop = Shop::open().await;
    for (method, path) in gets(&shop) {
        if PUBLIC.contains(&(method, path.as_str())) {
            continue;
        }
        let answer = request(&shop.stranger(), &Method::HEAD, &path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "HEAD {path}");
    }
}

#[tokio::test]
async fn every_path_refuses_other_methods_and_names_its_own() {
    let shop = Shop::open().await;
    for (path, mut methods) in methods_by_path(&shop) {
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if methods.contains(method) {
                continue;
            }
            let answer = request(&shop.stranger(), &method.parse().unwrap(), &path).await;
            assert_eq!(
                (answer.status, answer.problem()),
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
                "{method} {path}"
            );
            assert_eq!(allowed(&answer), methods, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_allows_the_right_ones() {
    let shop = Shop::open().await;
    let answer = shop.admin().await.delete("/products").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_path_that_is_not_there_is_not_found() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/products",
        "/api/v1/products/",
        "/api/v1/products/1/2",
        "/api/v1//products",
        "/API/V1/PRODUCTS",
        "/api/v1/../../etc/passwd",
    ] {
        let answer = request(&admin, &Method::GET, path).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::NOT_FOUND, "not-found"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_unknown_path_is_a_problem_for_strangers_too() {
    let shop = Shop::open().await;
    let answer = shop.stranger().get("/nothing").await;
    assert_answer!(answer);
}

/// Every method of every path, with ids filled in.
fn routes(shop: &Shop) -> Vec<(Method, String)> {
    let routes = App::routes(&shop.ctx).collect();
    routes
        .into_iter()
        .flat_map(|route| {
            let path = route
                .uri
                .replace("{id}", "1")
                .replace("{name}", "not-found");
            assert!(!path.contains('{'), "{path}");
            assert!(!route.actions.is_empty(), "{path}");
            route
                .actions
                .into_iter()
                .map(move |method| (method, path.clone()))
        })
        .collect()
}

fn gets(shop: &Shop) -> Vec<(Method, String)> {
    let mut routes = routes(shop);
    routes.retain(|(method, _)| method == Method::GET);
    routes
}

fn methods_by_path(shop: &Shop) -> BTreeMap<String, BTreeSet<String>> {
    let mut by_path = BTreeMap::<_, BTreeSet<_>>::new();
    for (method, path) in routes(shop) {
        by_path.entry(path).or_default().insert(method.to_string());
    }
    by_path
}

fn allowed(answer: &Answer) -> BTreeSet<String> {
    let allowed = answer.header("allow").expect("405 comes with Allow");
    allowed
        .split(',')
        .map(|method| method.trim().to_owned())
        .collect()
}

async fn request(client: &Client, method: &Method, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    client.request(request.body(Body::empty()).unwrap()).await
}

/// An administrator of a shop where id 1 is a customer, an account, a product and an order.
async fn one_of_everything(shop: &Shop) -> Client {
    let ada = shop.customer("ada").await;
    let admin = shop.admin().await;
    let lamp = json!({ "name": "Lamp", "price": "19.99", "stock": 5 });
    let lamp = admin.add_product(lamp).await;
    let order = json!({ "items": [{ "product_id": lamp, "quantity": 1 }] });
    let answer = ada.post("/orders", order).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    admin
}

#[tokio::test]
async fn the_swagger_page_and_its_document_are_open() {
    let shop = Shop::open().await;
    for path in [
        "/swagger/",
        "/api-docs/openapi.json",
        "/api-docs/swagger.yaml",
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = shop.stranger().request(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
}

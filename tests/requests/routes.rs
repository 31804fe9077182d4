//! What holds for every route, whatever it does.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    body::Body,
    http::{Method, Request},
};
use boxcar::{app::App, models::mails};
use loco_rs::app::Hooks;
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
use serde_json::json;

use crate::{
    assert_answer,
    models::rows::mail,
    support::{Answer, Client, Mismatches, Shop, address},
};

#[tokio::test]
async fn head_answers_as_get_does_without_a_body() {
    let shop = Shop::open().await;
    let admin = shop.customer_and_admin("boss").await;
    let checkout = one_of_everything(&shop, &admin).await;
    let mut mismatches = Mismatches::default();
    for (method, path) in routes(&shop) {
        if method != Method::GET {
            continue;
        }
        let path = path.replace("/checkouts/1", &format!("/checkouts/{checkout}"));
        for client in [&admin, &shop.stranger()] {
            let get = request(client, &Method::GET, &path).await;
            let head = request(client, &Method::HEAD, &path).await;
            if client.token.is_some() {
                mismatches.compare(&path, get.status, 200);
            }
            mismatches.compare(&path, (head.status, head.bytes.len()), (get.status, 0));
            for name in HEADERS {
                mismatches.compare(
                    format!("{path} {name}"),
                    head.header(name),
                    get.header(name),
                );
            }
        }
    }
}

#[tokio::test]
async fn every_path_refuses_other_methods_and_names_its_own() {
    let shop = Shop::open().await;
    let mut mismatches = Mismatches::default();
    for (path, mut methods) in methods_by_path(&shop) {
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if methods.contains(method) {
                continue;
            }
            let answer = request(&shop.stranger(), &method.parse().unwrap(), &path).await;
            let row = format!("{method} {path}");
            mismatches.answer(&row, &answer, "405 method-not-allowed");
            mismatches.compare(&row, allowed(&answer), methods.clone());
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
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    for path in [
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
        mismatches.answer(path, &answer, "404 not-found");
    }
}

#[tokio::test]
async fn the_root_leads_to_the_swagger_page() {
    let shop = Shop::open().await;
    let answer = request(&shop.stranger(), &Method::GET, "/").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, Some("/swagger"))
    );
}

#[tokio::test]
async fn an_encoded_body_is_refused_and_changes_nothing() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let body = json!({ "name": "Tea", "price": "1" }).to_string();
    let request = Request::post("/api/v1/products")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body(Body::from(body));
    let answer = admin.request(request.unwrap()).await;
    answer.assert_problem(415, "unsupported-media-type");
    assert_eq!(admin.get("/products").await.body["total_items"], 0);
}

#[tokio::test]
async fn an_unknown_path_is_a_problem_for_strangers_too() {
    let shop = Shop::open().await;
    let answer = shop.stranger().get("/nothing").await;
    assert_answer!(answer);
}

/// The headers that depend on what is shown.
const HEADERS: [&str; 7] = [
    "cache-control",
    "content-length",
    "content-type",
    "etag",
    "link",
    "vary",
    "www-authenticate",
];

/// Every method of every path, with ids filled in.
fn routes(shop: &Shop) -> Vec<(Method, String)> {
    let routes = App::routes(&shop.ctx).collect();
    routes
        .into_iter()
        .flat_map(|route| {
            let path = route
                .uri
                .replace("{id}", "1")
                .replace("{address_id}", "1")
                .replace("{product_id}", "1")
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

/// Makes id 1 an address, a product and an order, and answers the id of a checkout. The administrator is customer and
/// account 1.
async fn one_of_everything(shop: &Shop, admin: &Client) -> String {
    admin.publishable_key().await;
    for (list, body) in [
        (
            "/shipping-rates",
            json!({ "name": "Parcel", "countries": ["*"], "price": "4.90" }),
        ),
        (
            "/tax-rates",
            json!({ "name": "VAT", "country": "DE", "rate": "19" }),
        ),
        (
            "/discounts",
            json!({ "code": "SPRING", "kind": "percentage", "value": "10" }),
        ),
    ] {
        assert_eq!(admin.post(list, body).await.outcome(), "201");
    }
    let lamp = admin.sell("Lamp", "19.99", 5).await;
    let customer_id = shop.customer("ada").await.customer_id;
    let items = json!([{ "product_id": lamp, "quantity": 1 }]);
    let order = json!({ "customer_id": customer_id, "items": items });
    assert_eq!(admin.post("/orders", order).await.outcome(), "201");
    let address = admin.post("/me/addresses", address("1 Elm Road")).await;
    assert_eq!(address.outcome(), "201");
    let endpoint = json!({ "url": "https://example.com/hooks", "types": ["*"] });
    let endpoint = admin.post("/webhook-endpoints", endpoint).await.id();
    let test = format!("/webhook-endpoints/{endpoint}/test");
    assert_eq!(admin.post(&test, json!({})).await.outcome(), "202");
    let mail = mails::Model { id: 1, ..mail() };
    mails::Entity::insert(mail.into_active_model().reset_all())
        .exec_without_returning(&shop.ctx.db)
        .await
        .unwrap();
    let checkout = admin.post("/checkouts", json!({})).await.body;
    checkout["id"].as_str().unwrap().to_owned()
}

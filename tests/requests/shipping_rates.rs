//! Shipping rates.

use axum::http::{Method, header};
use serde_json::{Value, json};

use crate::support::{Mismatches, Shop};

#[tokio::test]
async fn a_shipping_rate_is_found_where_its_location_says() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let created = admin.post("/shipping-rates", shipping_rate()).await;
    assert_eq!(created.outcome(), "201");
    assert_eq!(created.header("location"), Some("/api/v1/shipping-rates/1"));
    let shown = admin.get("/shipping-rates/1").await;
    assert_eq!(shown.outcome(), "200");
    assert_eq!(shown.body, created.body);
    assert_eq!(fields(shown.body), shipping_rate());
}

#[tokio::test]
async fn a_shipping_rate_that_is_sent_again_under_its_key_is_the_same() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for _ in 0..2 {
        let created = admin
            .post_once("key", "/shipping-rates", &shipping_rate())
            .await;
        assert_eq!(created.id(), 1);
    }
    assert_eq!(admin.get("/shipping-rates").await.body["total_items"], 1);
}

#[tokio::test]
async fn shipping_rates_are_listed_a_page_at_a_time() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for shipping_rate in [shipping_rate(), another()] {
        assert_eq!(
            admin.post("/shipping-rates", shipping_rate).await.outcome(),
            "201"
        );
    }
    for (query, id) in [
        ("page=1", 1),
        ("page=2", 2),
        ("sort=-id", 2),
        ("sort=-position&cursor=", 2),
    ] {
        let path = format!("/shipping-rates?page_size=1&{query}");
        let answer = admin.get(&path).await;
        assert_eq!(answer.outcome(), "200", "{path}");
        assert_eq!(answer.body["items"][0]["id"], id, "{path}");
        assert_eq!(answer.body["items"][1], Value::Null, "{path}");
    }
}

#[tokio::test]
async fn put_replaces_every_field() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/shipping-rates", shipping_rate()).await;
    let replaced = admin.put("/shipping-rates/1", another()).await;
    assert_eq!(replaced.outcome(), "200");
    assert_eq!(fields(replaced.body), another());
}

#[tokio::test]
async fn what_put_does_not_send_is_cleared_and_so_is_what_patch_sends_as_null() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let (mut bare, mut nulls, mut cleared) = (another(), another(), another());
    for (field, value) in [("free_from", Value::Null), ("tax_class", json!("standard"))] {
        bare.as_object_mut().unwrap().remove(field);
        nulls[field] = Value::Null;
        cleared[field] = value;
    }
    admin.post("/shipping-rates", another()).await;
    let replaced = admin.put("/shipping-rates/1", bare).await;
    assert_eq!(fields(replaced.body), cleared);
    admin.put("/shipping-rates/1", another()).await;
    let changed = admin.patch("/shipping-rates/1", nulls).await;
    assert_eq!(fields(changed.body), cleared);
}

#[tokio::test]
async fn patch_changes_what_is_sent_and_keeps_the_rest() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/shipping-rates", shipping_rate()).await;
    for (field, value) in another().as_object().unwrap() {
        let mut expected = fields(admin.get("/shipping-rates/1").await.body);
        expected[field] = value.clone();
        let changed = admin
            .patch("/shipping-rates/1", json!({ field: value }))
            .await;
        assert_eq!(changed.outcome(), "200", "{field}");
        assert_eq!(fields(changed.body), expected, "{field}");
    }
}

#[tokio::test]
async fn every_write_shows_at_once() {
    let (_shop, admin) = Shop::open_with_admin().await;
    assert_eq!(admin.get("/shipping-rates").await.body["items"], json!([]));
    admin.post("/shipping-rates", shipping_rate()).await;
    for (method, body) in [(Method::PUT, another()), (Method::PATCH, shipping_rate())] {
        admin.get("/shipping-rates/1").await;
        admin.get("/shipping-rates").await;
        let written = admin.send(method, "/shipping-rates/1", Some(body)).await;
        assert_eq!(admin.get("/shipping-rates/1").await.body, written.body);
        assert_eq!(
            admin.get("/shipping-rates").await.body["items"],
            json!([written.body])
        );
    }
    admin.delete("/shipping-rates/1").await;
    assert_eq!(admin.get("/shipping-rates").await.body["items"], json!([]));
}

#[tokio::test]
async fn a_shipping_rate_that_was_deleted_is_not_found_by_any_verb() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/shipping-rates", shipping_rate()).await;
    assert_eq!(admin.delete("/shipping-rates/1").await.outcome(), "204");
    let mut mismatches = Mismatches::default();
    for (method, body) in [
        (Method::GET, None),
        (Method::PUT, Some(shipping_rate())),
        (Method::PATCH, Some(json!({}))),
        (Method::DELETE, None),
    ] {
        let answer = admin.send(method.clone(), "/shipping-rates/1", body).await;
        mismatches.answer(method, &answer, "404 not-found");
    }
}

#[tokio::test]
async fn a_change_of_what_was_changed_meanwhile_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/shipping-rates", shipping_rate()).await;
    let shown = admin.get("/shipping-rates/1").await;
    let old = shown.header("etag").unwrap();
    let same = admin
        .get_if("/shipping-rates/1", header::IF_NONE_MATCH, old)
        .await;
    assert_eq!(same.outcome(), "304");
    admin.put("/shipping-rates/1", another()).await;
    let mut mismatches = Mismatches::default();
    for (method, body) in [
        (Method::PUT, Some(shipping_rate())),
        (Method::PATCH, Some(shipping_rate())),
        (Method::DELETE, None),
    ] {
        let answer = admin
            .send_if_match(method.clone(), "/shipping-rates/1", old, body.as_ref())
            .await;
        mismatches.answer(method, &answer, "412 precondition-failed");
    }
    let shown = admin.get("/shipping-rates/1").await;
    let current = shown.header("etag").unwrap();
    let deleted = admin
        .send_if_match(Method::DELETE, "/shipping-rates/1", current, None)
        .await;
    assert_eq!(deleted.outcome(), "204");
}

#[tokio::test]
async fn every_broken_rule_is_named() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/shipping-rates", another()).await;
    let mut mismatches = Mismatches::default();
    for (field, value, code) in [
        ("name", json!(null), "required"),
        ("name", json!(7), "type"),
        ("name", json!(""), "length"),
        ("name", json!("x".repeat(121)), "length"),
        ("countries", json!(null), "type"),
        ("countries", json!(7), "type"),
        ("countries", json!([]), "length"),
        ("countries/0", json!(7), "type"),
        ("countries/1", json!("Germany"), "choice"),
        ("countries/1", json!("de"), "duplicate"),
        ("price", json!(null), "required"),
        ("price", json!(true), "type"),
        ("price", json!("x"), "format"),
        ("price", json!(-1), "range"),
        ("free_from", json!(true), "type"),
        ("free_from", json!("x"), "format"),
        ("free_from", json!(-1), "range"),
        ("tax_class", json!(7), "type"),
        ("tax_class", json!(""), "length"),
        ("tax_class", json!("x".repeat(33)), "length"),
        ("tax_class", json!("Standard"), "reference"),
        ("position", json!("15"), "type"),
        ("position", json!(1.5), "type"),
        ("position", json!(-1), "range"),
        ("unknown", json!(1), "unknown"),
        ("id", json!(7), "unknown"),
        ("created_at", json!("2026-01-31T08:00:00Z"), "unknown"),
    ] {
        let mut body = shipping_rate();
        set(&mut body, field, value);
        let expected = format!("422 validation-failed /{field} {code}");
        for (method, path) in [
            (Method::POST, "/shipping-rates"),
            (Method::PUT, "/shipping-rates/1"),
            (Method::PATCH, "/shipping-rates/1"),
        ] {
            let answer = admin.send(method.clone(), path, Some(body.clone())).await;
            mismatches.answer(format!("{method} {body}"), &answer, &expected);
        }
    }
}

#[tokio::test]
async fn every_field_that_is_required_is_asked_for() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = admin.post("/shipping-rates", json!({})).await;
    answer.assert_invalid(&[
        ("/name", "required"),
        ("/countries", "required"),
        ("/price", "required"),
    ]);
}

fn shipping_rate() -> Value {
    json!({ "name": "Parcel", "countries": ["DE", "AT"], "price": "4.90", "free_from": "50.00", "tax_class": "standard", "position": 1 })
}

/// Each field of which is another.
fn another() -> Value {
    json!({ "name": "Courier", "countries": ["*"], "price": "24.50", "free_from": "200.00", "tax_class": "zero", "position": 20 })
}

/// Sets a field, or an element of it.
fn set(body: &mut Value, field: &str, value: Value) {
    match field.split_once('/') {
        Some((list, at)) => body[list][at.parse::<usize>().unwrap()] = value,
        None => body[field] = value,
    }
}

/// What an answer shows, but for its id and its times.
fn fields(mut body: Value) -> Value {
    for name in ["id", "created_at", "updated_at"] {
        body.as_object_mut().unwrap().remove(name).expect(name);
    }
    body
}

#[tokio::test]
async fn a_new_shipping_rate_is_standard_and_comes_first_where_nothing_else_is_said() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let bare = json!({ "name": "Parcel", "countries": [" de "], "price": 0 });
    let created = admin.post("/shipping-rates", bare).await;
    let expected = json!({
        "name": "Parcel", "countries": ["DE"], "price": "0.00", "free_from": null, "tax_class": "standard", "position": 0,
    });
    assert_eq!(fields(created.body), expected);
}

//! Tax rates.

use axum::http::{Method, header};
use serde_json::{Value, json};

use crate::support::{Mismatches, Shop};

#[tokio::test]
async fn a_tax_rate_is_found_where_its_location_says() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let created = admin.post("/tax-rates", tax_rate()).await;
    assert_eq!(created.outcome(), "201");
    assert_eq!(created.header("location"), Some("/api/v1/tax-rates/1"));
    let shown = admin.get("/tax-rates/1").await;
    assert_eq!(shown.outcome(), "200");
    assert_eq!(shown.body, created.body);
    assert_eq!(fields(shown.body), tax_rate());
}

#[tokio::test]
async fn a_tax_rate_that_is_sent_again_under_its_key_is_the_same() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for _ in 0..2 {
        let created = admin.post_once("key", "/tax-rates", &tax_rate()).await;
        assert_eq!(created.id(), 1);
    }
    assert_eq!(admin.get("/tax-rates").await.body["total_items"], 1);
}

#[tokio::test]
async fn tax_rates_are_listed_a_page_at_a_time() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for tax_rate in [tax_rate(), another()] {
        assert_eq!(admin.post("/tax-rates", tax_rate).await.outcome(), "201");
    }
    for (query, id) in [
        ("page=1", 1),
        ("page=2", 2),
        ("sort=-id", 2),
        ("sort=-country&cursor=", 2),
    ] {
        let path = format!("/tax-rates?page_size=1&{query}");
        let answer = admin.get(&path).await;
        assert_eq!(answer.outcome(), "200", "{path}");
        assert_eq!(answer.body["items"][0]["id"], id, "{path}");
        assert_eq!(answer.body["items"][1], Value::Null, "{path}");
    }
}

#[tokio::test]
async fn put_replaces_every_field() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/tax-rates", tax_rate()).await;
    let replaced = admin.put("/tax-rates/1", another()).await;
    assert_eq!(replaced.outcome(), "200");
    assert_eq!(fields(replaced.body), another());
}

#[tokio::test]
async fn what_put_does_not_send_is_cleared_and_so_is_what_patch_sends_as_null() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let (mut bare, mut nulls, mut cleared) = (another(), another(), another());
    for (field, value) in [("region", Value::Null), ("tax_class", json!("standard"))] {
        bare.as_object_mut().unwrap().remove(field);
        nulls[field] = Value::Null;
        cleared[field] = value;
    }
    admin.post("/tax-rates", another()).await;
    let replaced = admin.put("/tax-rates/1", bare).await;
    assert_eq!(fields(replaced.body), cleared);
    admin.put("/tax-rates/1", another()).await;
    let changed = admin.patch("/tax-rates/1", nulls).await;
    assert_eq!(fields(changed.body), cleared);
}

#[tokio::test]
async fn patch_changes_what_is_sent_and_keeps_the_rest() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/tax-rates", tax_rate()).await;
    for (field, value) in another().as_object().unwrap() {
        let mut expected = fields(admin.get("/tax-rates/1").await.body);
        expected[field] = value.clone();
        let changed = admin.patch("/tax-rates/1", json!({ field: value })).await;
        assert_eq!(changed.outcome(), "200", "{field}");
        assert_eq!(fields(changed.body), expected, "{field}");
    }
}

#[tokio::test]
async fn every_write_shows_at_once() {
    let (_shop, admin) = Shop::open_with_admin().await;
    assert_eq!(admin.get("/tax-rates").await.body["items"], json!([]));
    admin.post("/tax-rates", tax_rate()).await;
    for (method, body) in [(Method::PUT, another()), (Method::PATCH, tax_rate())] {
        admin.get("/tax-rates/1").await;
        admin.get("/tax-rates").await;
        let written = admin.send(method, "/tax-rates/1", Some(body)).await;
        assert_eq!(admin.get("/tax-rates/1").await.body, written.body);
        assert_eq!(
            admin.get("/tax-rates").await.body["items"],
            json!([written.body])
        );
    }
    admin.delete("/tax-rates/1").await;
    assert_eq!(admin.get("/tax-rates").await.body["items"], json!([]));
}

#[tokio::test]
async fn a_tax_rate_that_was_deleted_is_not_found_by_any_verb() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/tax-rates", tax_rate()).await;
    assert_eq!(admin.delete("/tax-rates/1").await.outcome(), "204");
    let mut mismatches = Mismatches::default();
    for (method, body) in [
        (Method::GET, None),
        (Method::PUT, Some(tax_rate())),
        (Method::PATCH, Some(json!({}))),
        (Method::DELETE, None),
    ] {
        let answer = admin.send(method.clone(), "/tax-rates/1", body).await;
        mismatches.answer(method, &answer, "404 not-found");
    }
}

#[tokio::test]
async fn a_change_of_what_was_changed_meanwhile_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/tax-rates", tax_rate()).await;
    let shown = admin.get("/tax-rates/1").await;
    let old = shown.header("etag").unwrap();
    let same = admin
        .get_if("/tax-rates/1", header::IF_NONE_MATCH, old)
        .await;
    assert_eq!(same.outcome(), "304");
    admin.put("/tax-rates/1", another()).await;
    let mut mismatches = Mismatches::default();
    for (method, body) in [
        (Method::PUT, Some(tax_rate())),
        (Method::PATCH, Some(tax_rate())),
        (Method::DELETE, None),
    ] {
        let answer = admin
            .send_if_match(method.clone(), "/tax-rates/1", old, body.as_ref())
            .await;
        mismatches.answer(method, &answer, "412 precondition-failed");
    }
    let shown = admin.get("/tax-rates/1").await;
    let current = shown.header("etag").unwrap();
    let deleted = admin
        .send_if_match(Method::DELETE, "/tax-rates/1", current, None)
        .await;
    assert_eq!(deleted.outcome(), "204");
}

#[tokio::test]
async fn every_broken_rule_is_named() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/tax-rates", another()).await;
    let mut mismatches = Mismatches::default();
    for (field, value, code) in [
        ("name", json!(null), "required"),
        ("name", json!(7), "type"),
        ("name", json!(""), "length"),
        ("name", json!("x".repeat(121)), "length"),
        ("country", json!(null), "required"),
        ("country", json!(7), "type"),
        ("country", json!("*"), "choice"),
        ("country", json!("Germany"), "choice"),
        ("region", json!(7), "type"),
        ("region", json!(" "), "length"),
        ("region", json!("x".repeat(121)), "length"),
        ("tax_class", json!(""), "length"),
        ("tax_class", json!("x".repeat(33)), "length"),
        ("rate", json!(null), "required"),
        ("rate", json!(true), "type"),
        ("rate", json!("19%"), "format"),
        ("rate", json!("100.001"), "range"),
        ("rate", json!(-1), "range"),
        ("rate", json!("8.8755"), "precision"),
        ("unknown", json!(1), "unknown"),
        ("id", json!(7), "unknown"),
        ("created_at", json!("2026-01-31T08:00:00Z"), "unknown"),
    ] {
        let mut body = tax_rate();
        body[field] = value;
        let expected = format!("422 validation-failed /{field} {code}");
        for (method, path) in [
            (Method::POST, "/tax-rates"),
            (Method::PUT, "/tax-rates/1"),
            (Method::PATCH, "/tax-rates/1"),
        ] {
            let answer = admin.send(method.clone(), path, Some(body.clone())).await;
            mismatches.answer(format!("{method} {}", body[field]), &answer, &expected);
        }
    }
}

#[tokio::test]
async fn every_field_that_is_required_is_asked_for() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = admin.post("/tax-rates", json!({})).await;
    answer.assert_invalid(&[
        ("/name", "required"),
        ("/country", "required"),
        ("/rate", "required"),
    ]);
}

fn tax_rate() -> Value {
    json!({ "name": "VAT", "country": "DE", "region": "Helgoland", "tax_class": "standard", "rate": "19" })
}

/// Each field of which is another.
fn another() -> Value {
    json!({ "name": "Sales tax", "country": "US", "region": "New York", "tax_class": "reduced", "rate": "8.875" })
}

/// What an answer shows, but for its id and its times.
fn fields(mut body: Value) -> Value {
    for name in ["id", "created_at", "updated_at"] {
        body.as_object_mut().unwrap().remove(name).expect(name);
    }
    body
}

#[tokio::test]
async fn of_a_country_region_and_class_there_is_one_rate() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let rate = |country: &str, region: Value, class: &str| json!({ "name": "Tax", "country": country, "region": region, "tax_class": class, "rate": 5 });
    let mut mismatches = Mismatches::default();
    let mut last = 0;
    for (body, outcome) in [
        (rate("US", json!(null), "standard"), "201"),
        (
            rate("us", json!(null), "standard"),
            "409 conflict /tax_class taken",
        ),
        (rate("US", json!("New York"), "standard"), "201"),
        (
            rate("US", json!(" NEW york "), "standard"),
            "409 conflict /tax_class taken",
        ),
        (rate("US", json!("New York"), "reduced"), "201"),
        (rate("DE", json!(null), "standard"), "201"),
    ] {
        let answer = admin.post("/tax-rates", body.clone()).await;
        mismatches.answer(body, &answer, outcome);
        if answer.status.is_success() {
            last = answer.id();
        }
    }
    let path = format!("/tax-rates/{last}");
    let moved = admin.patch(&path, json!({ "country": "US" })).await;
    assert_eq!(moved.outcome(), "409 conflict /tax_class taken");
    let shown = admin.get(&path).await;
    assert_eq!(shown.body["country"], "DE");
}

#[tokio::test]
async fn rates_of_one_country_or_class_can_be_asked_for() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for body in [tax_rate(), another()] {
        admin.post("/tax-rates", body).await;
    }
    for (query, ids) in [
        ("country=us", json!([2])),
        ("tax_class=standard", json!([1])),
        ("country=FR", json!([])),
    ] {
        let list = admin.get(&format!("/tax-rates?{query}")).await;
        let found: Vec<_> = list.body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rate| &rate["id"])
            .collect();
        assert_eq!(json!(found), ids, "{query}");
    }
}

#[tokio::test]
async fn a_class_in_use_keeps_a_rate() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let parcel =
        json!({ "name": "Parcel", "countries": ["*"], "price": 5, "tax_class": "reduced" });
    let refused = admin.post("/shipping-rates", parcel.clone()).await;
    assert_eq!(
        refused.outcome(),
        "422 validation-failed /tax_class reference"
    );
    for country in ["DE", "FR"] {
        let rate = json!({ "name": "VAT", "country": country, "tax_class": "reduced", "rate": 7 });
        admin.post("/tax-rates", rate).await;
    }
    assert_eq!(admin.post("/shipping-rates", parcel).await.outcome(), "201");
    assert_eq!(admin.delete("/tax-rates/1").await.outcome(), "204");
    assert_eq!(admin.delete("/tax-rates/2").await.outcome(), "409 conflict");
    let renamed = admin
        .patch("/tax-rates/2", json!({ "tax_class": "other" }))
        .await;
    assert_eq!(renamed.outcome(), "409 conflict");
    assert_eq!(admin.get("/tax-rates/2").await.body["tax_class"], "reduced");
    admin
        .patch("/shipping-rates/1", json!({ "tax_class": "zero" }))
        .await;
    let sold = admin
        .add_product(json!({ "name": "Tea", "price": 3, "tax_class": "reduced" }))
        .await;
    assert_eq!(admin.delete("/tax-rates/2").await.outcome(), "409 conflict");
    // What is not on sale any more is not taxed.
    admin.delete(&format!("/products/{sold}")).await;
    assert_eq!(admin.delete("/tax-rates/2").await.outcome(), "204");
}

//! Discounts.

use axum::http::{Method, header};
use boxcar::models::discounts;
use sea_orm::{EntityTrait, sea_query::Expr};
use serde_json::{Value, json};

use crate::support::{Mismatches, Shop};

#[tokio::test]
async fn a_discount_is_found_where_its_location_says() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let created = admin.post("/discounts", discount()).await;
    assert_eq!(created.outcome(), "201");
    assert_eq!(created.header("location"), Some("/api/v1/discounts/1"));
    let shown = admin.get("/discounts/1").await;
    assert_eq!(shown.outcome(), "200");
    assert_eq!(shown.body, created.body);
    assert_eq!(fields(shown.body), discount());
}

#[tokio::test]
async fn a_discount_that_is_sent_again_under_its_key_is_the_same() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for _ in 0..2 {
        let created = admin.post_once("key", "/discounts", &discount()).await;
        assert_eq!(created.id(), 1);
    }
    assert_eq!(admin.get("/discounts").await.body["total_items"], 1);
}

#[tokio::test]
async fn discounts_are_listed_a_page_at_a_time() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for discount in [discount(), another()] {
        assert_eq!(admin.post("/discounts", discount).await.outcome(), "201");
    }
    for (query, id) in [
        ("page=1", 1),
        ("page=2", 2),
        ("sort=-id", 2),
        ("sort=-code&cursor=", 2),
    ] {
        let path = format!("/discounts?page_size=1&{query}");
        let answer = admin.get(&path).await;
        assert_eq!(answer.outcome(), "200", "{path}");
        assert_eq!(answer.body["items"][0]["id"], id, "{path}");
        assert_eq!(answer.body["items"][1], Value::Null, "{path}");
    }
}

#[tokio::test]
async fn put_replaces_every_field() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/discounts", discount()).await;
    let replaced = admin.put("/discounts/1", another()).await;
    assert_eq!(replaced.outcome(), "200");
    assert_eq!(fields(replaced.body), another());
}

#[tokio::test]
async fn what_put_does_not_send_is_cleared_and_so_is_what_patch_sends_as_null() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut bare = discount();
    let mut cleared = discount();
    for field in [
        "starts_at",
        "ends_at",
        "min_subtotal",
        "usage_limit",
        "per_customer_limit",
    ] {
        bare.as_object_mut().unwrap().remove(field);
        cleared[field] = Value::Null;
    }
    admin.post("/discounts", discount()).await;
    let replaced = admin.put("/discounts/1", bare).await;
    assert_eq!(fields(replaced.body), cleared);
    admin.put("/discounts/1", discount()).await;
    let changed = admin.patch("/discounts/1", cleared.clone()).await;
    assert_eq!(fields(changed.body), cleared);
}

#[tokio::test]
async fn patch_changes_what_is_sent_and_keeps_the_rest() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/discounts", discount()).await;
    for (field, value) in another().as_object().unwrap() {
        let mut expected = fields(admin.get("/discounts/1").await.body);
        expected[field] = value.clone();
        let changed = admin.patch("/discounts/1", json!({ field: value })).await;
        assert_eq!(changed.outcome(), "200", "{field}");
        assert_eq!(fields(changed.body), expected, "{field}");
    }
}

#[tokio::test]
async fn every_write_shows_at_once() {
    let (_shop, admin) = Shop::open_with_admin().await;
    assert_eq!(admin.get("/discounts").await.body["items"], json!([]));
    admin.post("/discounts", discount()).await;
    for (method, body) in [(Method::PUT, another()), (Method::PATCH, discount())] {
        admin.get("/discounts/1").await;
        admin.get("/discounts").await;
        let written = admin.send(method, "/discounts/1", Some(body)).await;
        assert_eq!(admin.get("/discounts/1").await.body, written.body);
        assert_eq!(
            admin.get("/discounts").await.body["items"],
            json!([written.body])
        );
    }
    admin.delete("/discounts/1").await;
    assert_eq!(admin.get("/discounts").await.body["items"], json!([]));
}

#[tokio::test]
async fn a_discount_that_was_deleted_is_not_found_by_any_verb() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/discounts", discount()).await;
    assert_eq!(admin.delete("/discounts/1").await.outcome(), "204");
    let mut mismatches = Mismatches::default();
    for (method, body) in [
        (Method::GET, None),
        (Method::PUT, Some(discount())),
        (Method::PATCH, Some(json!({}))),
        (Method::DELETE, None),
    ] {
        let answer = admin.send(method.clone(), "/discounts/1", body).await;
        mismatches.answer(method, &answer, "404 not-found");
    }
}

#[tokio::test]
async fn a_change_of_what_was_changed_meanwhile_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/discounts", discount()).await;
    let shown = admin.get("/discounts/1").await;
    let old = shown.header("etag").unwrap();
    let same = admin
        .get_if("/discounts/1", header::IF_NONE_MATCH, old)
        .await;
    assert_eq!(same.outcome(), "304");
    admin.put("/discounts/1", another()).await;
    let mut mismatches = Mismatches::default();
    for (method, body) in [
        (Method::PUT, Some(discount())),
        (Method::PATCH, Some(discount())),
        (Method::DELETE, None),
    ] {
        let answer = admin
            .send_if_match(method.clone(), "/discounts/1", old, body.as_ref())
            .await;
        mismatches.answer(method, &answer, "412 precondition-failed");
    }
    let shown = admin.get("/discounts/1").await;
    let current = shown.header("etag").unwrap();
    let deleted = admin
        .send_if_match(Method::DELETE, "/discounts/1", current, None)
        .await;
    assert_eq!(deleted.outcome(), "204");
}

#[tokio::test]
async fn every_broken_rule_is_named() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/discounts", another()).await;
    let mut mismatches = Mismatches::default();
    for (field, value, code) in [
        ("code", json!(null), "required"),
        ("code", json!(7), "type"),
        ("code", json!(""), "length"),
        ("code", json!("x".repeat(65)), "length"),
        ("kind", json!(null), "required"),
        ("kind", json!(7), "type"),
        ("kind", json!("Percentage"), "choice"),
        ("value", json!(null), "required"),
        ("value", json!(true), "type"),
        ("value", json!("10%"), "format"),
        ("value", json!("0.0001"), "precision"),
        ("value", json!(0), "range"),
        ("value", json!("100.001"), "range"),
        ("value", json!(-1), "range"),
        ("starts_at", json!(7), "type"),
        ("starts_at", json!("today"), "format"),
        ("ends_at", json!(7), "type"),
        ("ends_at", json!("today"), "format"),
        ("ends_at", json!("2026-03-01T00:00:00Z"), "range"),
        ("min_subtotal", json!(true), "type"),
        ("min_subtotal", json!("x"), "format"),
        ("min_subtotal", json!(-1), "range"),
        ("usage_limit", json!("15"), "type"),
        ("usage_limit", json!(1.5), "type"),
        ("usage_limit", json!(0), "range"),
        ("per_customer_limit", json!("15"), "type"),
        ("per_customer_limit", json!(1.5), "type"),
        ("per_customer_limit", json!(0), "range"),
        ("enabled", json!(null), "required"),
        ("enabled", json!("true"), "type"),
        ("used", json!(3), "unknown"),
        ("unknown", json!(1), "unknown"),
        ("id", json!(7), "unknown"),
        ("created_at", json!("2026-01-31T08:00:00Z"), "unknown"),
    ] {
        let mut body = discount();
        body[field] = value;
        let expected = format!("422 validation-failed /{field} {code}");
        for (method, path) in [
            (Method::POST, "/discounts"),
            (Method::PUT, "/discounts/1"),
            (Method::PATCH, "/discounts/1"),
        ] {
            let answer = admin.send(method.clone(), path, Some(body.clone())).await;
            mismatches.answer(format!("{method} {}", body[field]), &answer, &expected);
        }
    }
}

#[tokio::test]
async fn every_field_that_is_required_is_asked_for() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = admin.post("/discounts", json!({})).await;
    answer.assert_invalid(&[("/code", "required"), ("/kind", "required")]);
}

#[tokio::test]
async fn no_two_discounts_have_the_same_code() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/discounts", discount()).await;
    admin.post("/discounts", another()).await;
    for answer in [
        admin.post("/discounts", discount()).await,
        admin.put("/discounts/2", discount()).await,
        admin.patch("/discounts/2", discount()).await,
    ] {
        answer.assert_taken("/code");
    }
    assert_eq!(admin.put("/discounts/1", discount()).await.outcome(), "200");
}

#[tokio::test]
async fn of_two_that_race_for_the_same_code_one_gets_it() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let (one, other) = tokio::join!(
        admin.post("/discounts", discount()),
        admin.post("/discounts", discount())
    );
    let mut outcomes = [one.outcome(), other.outcome()];
    outcomes.sort();
    assert_eq!(outcomes, ["201", "409 conflict /code taken"]);
}

fn discount() -> Value {
    json!({ "code": "SPRING", "kind": "percentage", "value": "10", "starts_at": "2026-03-01T00:00:00Z", "ends_at": "2026-06-01T00:00:00Z", "min_subtotal": "19.90", "usage_limit": 100, "per_customer_limit": 1, "enabled": true })
}

/// Each field of which is another, but for the kind, which says what a value is.
fn another() -> Value {
    json!({ "code": "Summer", "kind": "percentage", "value": "7.5", "starts_at": "2026-05-01T00:00:00Z", "ends_at": "2026-09-01T00:00:00Z", "min_subtotal": "24.50", "usage_limit": 20, "per_customer_limit": 2, "enabled": false })
}

/// What an answer shows, but for its id and its times.
fn fields(mut body: Value) -> Value {
    for name in ["id", "used", "created_at", "updated_at"] {
        body.as_object_mut().unwrap().remove(name).expect(name);
    }
    body
}

#[tokio::test]
async fn a_code_is_unique_without_regard_to_case() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/discounts", discount()).await;
    let mut other = discount();
    other["code"] = json!(" spring ");
    admin.post("/discounts", other).await.assert_taken("/code");
    let found = admin.get("/discounts?code=Spring").await;
    assert_eq!(found.body["items"][0]["code"], "SPRING");
}

#[tokio::test]
async fn the_code_of_a_deleted_discount_is_free_again() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/discounts", discount()).await;
    admin.delete("/discounts/1").await;
    assert_eq!(admin.post("/discounts", discount()).await.outcome(), "201");
}

#[tokio::test]
async fn a_value_is_what_its_kind_says() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let new = |kind: &str, value: Value| json!({ "code": "CODE", "kind": kind, "value": value });
    let mut mismatches = Mismatches::default();
    for (kind, value, outcome) in [
        ("percentage", json!("100.000"), "201"),
        ("percentage", json!(0.001), "201"),
        (
            "percentage",
            json!(100.5),
            "422 validation-failed /value range",
        ),
        ("amount", json!("99999999.99"), "201"),
        ("amount", json!("0.010"), "201"),
        (
            "amount",
            json!("10.005"),
            "422 validation-failed /value precision",
        ),
        (
            "amount",
            json!("0.00"),
            "422 validation-failed /value range",
        ),
        (
            "amount",
            json!(null),
            "422 validation-failed /value required",
        ),
        ("free_shipping", json!(null), "201"),
        (
            "free_shipping",
            json!("1"),
            "422 validation-failed /value forbidden",
        ),
    ] {
        let answer = admin.post("/discounts", new(kind, value.clone())).await;
        mismatches.answer(format!("{kind} {value}"), &answer, outcome);
        if answer.status.is_success() {
            let path = format!("/discounts/{}", answer.id());
            admin.delete(&path).await;
        }
    }
    let created = admin
        .post("/discounts", new("percentage", json!("12.50")))
        .await;
    assert_eq!(created.body["value"], "12.5");
    let path = format!("/discounts/{}", created.id());
    let refused = admin.patch(&path, json!({ "kind": "free_shipping" })).await;
    assert_eq!(refused.outcome(), "422 validation-failed /value forbidden");
    let changed = admin.patch(&path, json!({ "kind": "amount" })).await;
    assert_eq!(changed.body["value"], "12.50");
    let freed = admin
        .patch(&path, json!({ "kind": "free_shipping", "value": null }))
        .await;
    assert_eq!(freed.body["value"], Value::Null);
}

#[tokio::test]
async fn a_new_discount_can_be_used_without_limits_where_nothing_else_is_said() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let created = admin
        .post(
            "/discounts",
            json!({ "code": "FREE", "kind": "free_shipping" }),
        )
        .await;
    assert_eq!(created.body["used"], 0);
    let expected = json!({
        "code": "FREE", "kind": "free_shipping", "value": null, "starts_at": null, "ends_at": null, "min_subtotal": null,
        "usage_limit": null, "per_customer_limit": null, "enabled": true,
    });
    assert_eq!(fields(created.body), expected);
}

#[tokio::test]
async fn a_limit_is_not_set_below_what_was_used() {
    let (shop, admin) = Shop::open_with_admin().await;
    admin.post("/discounts", discount()).await;
    discounts::Entity::update_many()
        .col_expr(discounts::Column::Used, Expr::value(3))
        .exec(&shop.ctx.db)
        .await
        .unwrap();
    let refused = admin
        .patch("/discounts/1", json!({ "usage_limit": 2 }))
        .await;
    assert_eq!(
        refused.outcome(),
        "422 validation-failed /usage_limit range"
    );
    assert_eq!(
        admin
            .patch("/discounts/1", json!({ "usage_limit": 3 }))
            .await
            .outcome(),
        "200"
    );
}

//! Webhook endpoints: where other systems are told what happens.

use std::time::Duration;

use axum::http::Method;
use boxcar::models::webhook_endpoints;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Client, Mismatches, Shop};

const PATH: &str = "/webhook-endpoints";

fn endpoint(types: &[&str]) -> Value {
    json!({ "url": "https://example.com/hooks", "types": types })
}

async fn added(admin: &Client, types: &[&str]) -> Answer {
    let added = admin.post(PATH, endpoint(types)).await;
    assert_eq!(added.outcome(), "201", "{}", added.body);
    added
}

/// The types of the newest events, the oldest first.
async fn newest(admin: &Client, count: usize) -> Vec<Value> {
    let events = admin.get(&format!("/events?page_size={count}")).await;
    let mut events = events.body["items"].as_array().unwrap().clone();
    events.reverse();
    events
}

#[tokio::test]
async fn an_endpoint_is_added_shown_changed_and_deleted_and_each_is_an_event() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let body = json!({
        "url": "HTTPS://Example.COM:443/a/../hooks?x=1", "types": ["order.*", "product.updated"],
        "description": "The warehouse",
    });
    let added = admin.post(PATH, body).await;
    let id = added.id();
    let path = format!("{PATH}/{id}");
    assert_eq!(added.header("location"), Some(&*format!("/api/v1{path}")));
    assert_eq!(added.header("cache-control"), Some("no-store"));
    let secret = added.body["secret"].as_str().unwrap();
    assert!(
        secret.starts_with("whsec_") && secret.len() == 38,
        "{secret}"
    );
    let shown = admin.get(&path).await;
    assert_eq!(shown.header("etag"), added.header("etag"));
    let expected = json!({
        "id": id, "url": "https://example.com/hooks?x=1", "types": ["order.*", "product.updated"],
        "description": "The warehouse", "enabled": true, "disabled_reason": null,
        "created_at": shown.body["created_at"], "updated_at": shown.body["created_at"],
    });
    assert_eq!(shown.body, expected);
    let listed = admin.get(PATH).await;
    assert_eq!(listed.body["items"], json!([expected]));
    assert_eq!(listed.body["total_items"], 1);
    let event = &newest(&admin, 1).await[0];
    assert_eq!(event["type"], "webhook_endpoint.created");
    assert_eq!(event["data"], expected);

    let changed = admin
        .patch(&path, json!({ "description": null, "types": ["*"] }))
        .await;
    assert_eq!(changed.body["types"], json!(["*"]));
    assert_eq!(changed.body["description"], Value::Null);
    let event = &newest(&admin, 1).await[0];
    assert_eq!(event["type"], "webhook_endpoint.updated");
    assert_eq!(event["data"], changed.body);
    let unchanged = admin.patch(&path, json!({ "types": ["*"] })).await;
    assert_eq!(unchanged.body, changed.body);
    assert_eq!(newest(&admin, 1).await[0]["id"], event["id"]);

    let disabled = admin.patch(&path, json!({ "enabled": false })).await;
    assert_eq!(disabled.body["disabled_reason"], "by_hand");
    let events = newest(&admin, 2).await;
    assert_eq!(events[0]["type"], "webhook_endpoint.updated");
    assert_eq!(events[1]["type"], "webhook_endpoint.disabled");
    let replaced = admin.put(&path, endpoint(&["order.placed"])).await;
    assert_eq!(replaced.body["enabled"], false);
    let enabled = admin.patch(&path, json!({ "enabled": true })).await;
    assert_eq!(enabled.body["disabled_reason"], Value::Null);
    assert_eq!(
        newest(&admin, 1).await[0]["type"],
        "webhook_endpoint.updated"
    );

    let stale = admin
        .send_if_match(Method::DELETE, &path, "\"other\"", None)
        .await;
    stale.assert_problem(412, "precondition-failed");
    assert_eq!(admin.delete(&path).await.outcome(), "204");
    let event = &newest(&admin, 1).await[0];
    assert_eq!(event["type"], "webhook_endpoint.deleted");
    assert_eq!(event["data"], json!({ "id": id }));
    admin.get(&path).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn every_broken_rule_is_named() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let many: Vec<_> = (0..51).map(|_| "order.*").collect();
    let long = "x".repeat(501);
    let mut mismatches = Mismatches::default();
    for (body, faults) in [
        (
            json!({}),
            &[("/url", "required"), ("/types", "required")][..],
        ),
        (
            json!({ "url": "ftp://example.com", "types": ["order.lost", "order.*", 7, "**"] }),
            &[
                ("/url", "format"),
                ("/types/0", "choice"),
                ("/types/2", "type"),
                ("/types/3", "choice"),
            ],
        ),
        (
            json!({ "url": "https://example.com", "types": [] }),
            &[("/types", "length")],
        ),
        (
            json!({ "url": "https://example.com", "types": many }),
            &[("/types", "length")],
        ),
        (
            json!({ "url": "https://example.com", "types": "order.*", "description": long, "secret": "x" }),
            &[
                ("/types", "type"),
                ("/description", "length"),
                ("/secret", "unknown"),
            ],
        ),
        (
            json!({ "url": "https://ada:pw@example.com", "types": null, "enabled": null }),
            &[
                ("/url", "format"),
                ("/types", "type"),
                ("/enabled", "required"),
            ],
        ),
    ] {
        let refused = admin.post(PATH, body.clone()).await;
        mismatches.compare(body, refused.faults(), faults.to_vec());
    }
    assert_eq!(admin.get(PATH).await.body["total_items"], 0);
}

#[tokio::test]
async fn a_secret_is_shown_once_and_stored_sealed() {
    let (shop, admin) = Shop::open_with_admin().await;
    let added = admin.post_once("k1", PATH, &endpoint(&["*"])).await;
    let replayed = admin.post_once("k1", PATH, &endpoint(&["*"])).await;
    assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    assert_eq!(replayed.body["secret"], Value::Null);
    assert_eq!(replayed.body["id"], added.body["id"]);
    let path = format!("{PATH}/{}/rotate-secret", added.id());
    let rotated = admin.post_once("k2", &path, &json!({})).await;
    assert_eq!(rotated.outcome(), "200");
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
    assert_eq!(
        newest(&admin, 1).await[0]["type"],
        "webhook_endpoint.secret_rotated"
    );
    let replayed = admin.post_once("k2", &path, &json!({})).await;
    assert_eq!(replayed.body["secret"], Value::Null);
    let secrets = [&added, &rotated].map(|answer| answer.body["secret"].as_str().unwrap());
    assert_ne!(secrets[0], secrets[1]);
    let stored = webhook_endpoints::Entity::find()
        .all(&shop.ctx.db)
        .await
        .unwrap();
    let kept = format!("{stored:?}");
    for secret in secrets {
        assert!(
            !kept.contains(secret.trim_start_matches("whsec_")),
            "{kept}"
        );
    }
    assert_eq!(stored[0].sealed_secrets().unwrap().len(), 2);
    let events = admin.get("/events").await;
    assert!(!events.body.to_string().contains("whsec_"));
}

#[tokio::test]
async fn an_old_secret_signs_only_for_its_time() {
    let settings = [("webhooks", "secret_overlap_seconds", json!(0))];
    let shop = Shop::open_with(&settings).await;
    let admin = shop.admin().await;
    let added = added(&admin, &["*"]).await;
    let path = format!("{PATH}/{}/rotate-secret", added.id());
    admin.post(&path, json!({})).await;
    let stored = webhook_endpoints::Entity::find()
        .one(&shop.ctx.db)
        .await
        .unwrap();
    assert_eq!(stored.unwrap().sealed_secrets().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_32_endpoints_at_most_also_when_40_are_added_at_once() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut adding = JoinSet::new();
    for _ in 0..40 {
        let admin = admin.clone();
        adding.spawn(async move { admin.post(PATH, endpoint(&["order.*"])).await.outcome() });
    }
    let outcomes = adding.join_all().await;
    let added = outcomes.iter().filter(|outcome| *outcome == "201").count();
    let refused = outcomes
        .iter()
        .filter(|outcome| *outcome == "409 conflict")
        .count();
    assert_eq!((added, refused), (32, 8), "{outcomes:?}");
    assert_eq!(admin.get(PATH).await.body["total_items"], 32);
}

#[tokio::test]
async fn a_test_is_a_delivery_to_this_endpoint_alone() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let other = added(&admin, &["webhook_endpoint.*", "*"]).await.id();
    let tested = added(&admin, &["order.placed"]).await.id();
    let answer = admin
        .post(&format!("{PATH}/{tested}/test"), json!({}))
        .await;
    assert_eq!(answer.outcome(), "202");
    let location = answer
        .header("location")
        .unwrap()
        .trim_start_matches("/api/v1");
    assert_eq!(admin.get(location).await.body, answer.body);
    assert_eq!(answer.body["endpoint_id"], tested);
    assert_eq!(answer.body["event"]["type"], "webhook_endpoint.test");
    let event = &newest(&admin, 1).await[0];
    assert_eq!(event["id"], answer.body["event"]["id"]);
    assert_eq!(
        event["subject"],
        json!({ "kind": "webhook_endpoint", "id": tested })
    );
    let to_other = admin
        .get(&format!("/webhook-deliveries?endpoint_id={other}"))
        .await;
    let types: Vec<_> = to_other.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["event"]["type"].clone())
        .collect();
    assert_eq!(types, ["webhook_endpoint.created"]);
}

#[tokio::test]
async fn a_disabled_endpoint_is_not_tested_and_no_endpoint_more_than_ten_times_a_minute() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let endpoint = added(&admin, &["*"]).await.id();
    let test = format!("{PATH}/{endpoint}/test");
    for _ in 0..10 {
        assert_eq!(admin.post(&test, json!({})).await.outcome(), "202");
    }
    let limited = admin.post(&test, json!({})).await;
    limited.assert_problem(429, "rate-limited");
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!(
        Duration::from_secs(wait) <= Duration::from_mins(1),
        "{wait}"
    );
    let other = added(&admin, &["*"]).await.id();
    admin
        .patch(&format!("{PATH}/{other}"), json!({ "enabled": false }))
        .await;
    let refused = admin.post(&format!("{PATH}/{other}/test"), json!({})).await;
    refused.assert_problem(409, "invalid-transition");
}

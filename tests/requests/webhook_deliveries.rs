//! Webhook deliveries: what is sent, to whom, how often, and what is made of the answers.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use boxcar::{
    context::Context,
    models::{events, now, webhook_deliveries, webhook_endpoints},
    workers::{relay, webhooks::Webhooks, wire::Wire},
};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::support::{Client, Received, Receiver, Reply, Shop};

/// A shop whose webhooks are sent when a test says so.
struct Sender {
    shop: Shop,
    admin: Client,
    webhooks: Webhooks,
}

impl Sender {
    async fn open() -> Self {
        Self::open_with("0,0").await
    }

    /// With those waits after failures.
    async fn open_with(waits: &str) -> Self {
        let settings = [
            ("webhooks", "retry_seconds", json!(waits)),
            ("webhooks", "disable_after_seconds", json!(3_600)),
        ];
        let shop = Shop::open_with(&settings).await;
        let admin = shop.admin().await;
        let ctx = Context::of(&shop.ctx).unwrap();
        let webhooks = Webhooks::over(Wire::new(true).unwrap(), &ctx);
        Self {
            shop,
            admin,
            webhooks,
        }
    }

    /// An endpoint at that receiver: its id and its secret.
    async fn endpoint(&self, receiver: &Receiver, types: &[&str]) -> (i64, String) {
        let body = json!({ "url": receiver.url(), "types": types });
        let added = self.admin.post("/webhook-endpoints", body).await;
        let secret = added.body["secret"].as_str().unwrap();
        (added.id(), secret.to_owned())
    }

    async fn send(&self) {
        relay::send_all(&self.webhooks).await.unwrap();
    }

    /// All deliveries to an endpoint, the oldest first.
    async fn deliveries(&self, endpoint: i64) -> Vec<Value> {
        let path = format!("/webhook-deliveries?endpoint_id={endpoint}&sort=id&page_size=100");
        let listed = self.admin.get(&path).await;
        listed.body["items"].as_array().unwrap().clone()
    }

    async fn delivery(&self, id: &Value) -> Value {
        self.admin
            .get(&format!("/webhook-deliveries/{id}"))
            .await
            .body
    }

    async fn show(&self, endpoint: i64) -> Value {
        self.admin
            .get(&format!("/webhook-endpoints/{endpoint}"))
            .await
            .body
    }

    /// Makes what is due later due now.
    async fn let_time_pass(&self) {
        webhook_deliveries::Entity::update_many()
            .col_expr(
                webhook_deliveries::Column::NextAttemptAt,
                Expr::value(now()),
            )
            .filter(webhook_deliveries::Column::Status.eq("pending"))
            .exec(&self.shop.ctx.db)
            .await
            .unwrap();
    }

    async fn event_types(&self) -> Vec<String> {
        let events = self.admin.get("/events?page_size=10").await;
        let events = events.body["items"].as_array().unwrap().clone();
        let types = events
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned());
        types.collect()
    }
}

fn verify(secret: &str, request: &Received) -> Result<(), standardwebhooks::WebhookError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.insert(name.clone(), value.clone());
    }
    Webhook::new(secret)
        .unwrap()
        .verify(request.body.as_bytes(), &headers)
}

fn statuses(deliveries: &[Value]) -> Vec<&str> {
    let statuses = deliveries
        .iter()
        .map(|delivery| delivery["status"].as_str());
    statuses.map(Option::unwrap).collect()
}

#[tokio::test]
async fn an_event_is_sent_to_each_endpoint_that_wants_it_signed() {
    let sender = Sender::open().await;
    let [orders, all, products] = [
        Receiver::start(|_| Reply::status(204)).await,
        Receiver::start(|_| Reply::status(200)).await,
        Receiver::start(|_| Reply::status(200)).await,
    ];
    let (to_orders, secret) = sender.endpoint(&orders, &["order.*"]).await;
    sender.endpoint(&all, &["*"]).await;
    sender.endpoint(&products, &["product.deleted"]).await;
    let ada = sender.shop.customer("ada").await;
    let lamp = sender.admin.sell("Lamp", "9.00", 5).await;
    let order = ada.order(&[(lamp, 2)]).await;
    sender.send().await;

    let request = &orders.requests()[0];
    verify(&secret, request).unwrap();
    let events = sender.admin.get("/events?type=order.placed").await;
    let event = &events.body["items"][0];
    assert_eq!(
        request.headers["webhook-id"],
        format!("evt_{}", event["id"])
    );
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let expected = json!({
        "id": event["id"], "type": "order.placed", "timestamp": event["occurred_at"],
        "subject": { "kind": "order", "id": order.id() }, "data": order.body,
    });
    assert_eq!(body, expected);
    let heard: Vec<_> = all
        .requests()
        .iter()
        .map(|request| {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            body["type"].as_str().unwrap().to_owned()
        })
        .collect();
    for wanted in [
        "customer.created",
        "product.created",
        "order.placed",
        "customer_account.created",
    ] {
        assert!(
            heard.iter().any(|heard| heard == wanted),
            "{wanted}: {heard:?}"
        );
    }
    assert!(
        !heard.iter().any(|heard| heard.starts_with("webhook")),
        "{heard:?}"
    );
    assert_eq!(products.connections(), 0);

    let deliveries = sender.deliveries(to_orders).await;
    assert_eq!(statuses(&deliveries), ["delivered"]);
    let attempt = &deliveries[0]["attempts"][0];
    assert_eq!(
        (&attempt["status_code"], &attempt["error"]),
        (&json!(204), &Value::Null)
    );
    assert_eq!(deliveries[0]["next_attempt_at"], Value::Null);
}

#[tokio::test]
async fn what_is_rolled_back_refused_or_replayed_is_not_sent() {
    let sender = Sender::open().await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let (endpoint, _) = sender.endpoint(&receiver, &["order.*"]).await;
    let ada = sender.shop.customer("ada").await;
    let lamp = sender.admin.sell("Lamp", "9.00", 1).await;
    let short = ada.order(&[(lamp, 2)]).await;
    short.assert_problem(409, "insufficient-stock");
    let body = json!({ "items": [{ "product_id": lamp, "quantity": 1 }] });
    for _ in 0..3 {
        assert_eq!(ada.post_once("k", "/orders", &body).await.outcome(), "201");
    }
    sender.send().await;
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(sender.deliveries(endpoint).await.len(), 1);
}

#[tokio::test]
async fn what_fails_is_sent_again_the_same_until_it_arrives() {
    let sender = Sender::open().await;
    let replies = [500, 302, 200];
    let receiver = Receiver::start(move |nth| Reply::status(replies[nth])).await;
    let (endpoint, secret) = sender.endpoint(&receiver, &["product.created"]).await;
    sender.admin.sell("Lamp", "9.00", 5).await;
    sender.send().await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        verify(&secret, request).unwrap();
        assert_eq!(request.body, requests[0].body);
        assert_eq!(
            request.headers["webhook-id"],
            requests[0].headers["webhook-id"]
        );
    }
    let delivery = &sender.deliveries(endpoint).await[0];
    assert_eq!(delivery["status"], "delivered");
    let codes: Vec<_> = delivery["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["status_code"].clone())
        .collect();
    assert_eq!(codes, replies);
    assert_eq!(
        delivery["attempts"][0]["error"],
        "The receiver answered 500."
    );
}

#[tokio::test]
async fn the_waits_are_kept_and_retry_after_where_it_is_later() {
    let sender = Sender::open_with("100,1000").await;
    let replies = [
        ("500", ""),
        ("429", "Retry-After: 5000\r\n"),
        ("503", "Retry-After: 1\r\n"),
    ];
    let receiver = Receiver::start(move |nth| {
        let (code, headers) = replies[nth];
        Reply::with(code.parse().unwrap(), headers)
    })
    .await;
    let (endpoint, _) = sender.endpoint(&receiver, &["product.created"]).await;
    sender.admin.sell("Lamp", "9.00", 5).await;
    for (wait, status) in [
        (Some(100), "pending"),
        (Some(5_000), "pending"),
        (None, "failed"),
    ] {
        let before = Utc::now();
        sender.send().await;
        let delivery = &sender.deliveries(endpoint).await[0];
        assert_eq!(delivery["status"], status);
        let next = delivery["next_attempt_at"].as_str();
        assert_eq!(next.is_some(), wait.is_some());
        if let (Some(next), Some(wait)) = (next, wait) {
            let next: DateTime<Utc> = next.parse().unwrap();
            let (wait, tenth) = (TimeDelta::seconds(wait), TimeDelta::seconds(wait) / 10);
            let found = next - before;
            assert!(
                (found - wait).abs() <= tenth + TimeDelta::seconds(5),
                "{found}"
            );
        }
        sender.let_time_pass().await;
        // What was asked to slow down may be asked again.
        relax(&sender).await;
    }
    assert_eq!(receiver.requests().len(), 3);
    assert_eq!(sender.event_types().await[0], "webhook_delivery.failed");
}

/// As after a pause: another node has not heard that an endpoint has too much to do.
async fn relax(sender: &Sender) {
    let ctx = Context::of(&sender.shop.ctx).unwrap();
    let webhooks = Webhooks::over(Wire::new(true).unwrap(), &ctx);
    relay::send_all(&webhooks).await.unwrap_or_default();
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_what_waits_is_cancelled() {
    let sender = Sender::open().await;
    let receiver = Receiver::start(|_| Reply::status(410)).await;
    let (endpoint, _) = sender.endpoint(&receiver, &["product.created"]).await;
    for name in ["Lamp", "Chair"] {
        sender.admin.sell(name, "9.00", 5).await;
    }
    // The second is not leased with the first.
    webhook_deliveries::Entity::update_many()
        .col_expr(
            webhook_deliveries::Column::NextAttemptAt,
            Expr::value(now() + TimeDelta::hours(1)),
        )
        .filter(
            webhook_deliveries::Column::Id
                .eq(sender.deliveries(endpoint).await[1]["id"].as_i64().unwrap()),
        )
        .exec(&sender.shop.ctx.db)
        .await
        .unwrap();
    sender.send().await;
    assert_eq!(
        statuses(&sender.deliveries(endpoint).await),
        ["failed", "cancelled"]
    );
    let shown = sender.show(endpoint).await;
    assert_eq!(
        (&shown["enabled"], &shown["disabled_reason"]),
        (&json!(false), &json!("gone"))
    );
    let events = sender.event_types().await;
    assert_eq!(
        events[..2],
        ["webhook_endpoint.disabled", "webhook_delivery.failed"]
    );
    sender.admin.sell("Rug", "9.00", 5).await;
    assert_eq!(sender.deliveries(endpoint).await.len(), 2);
}

#[tokio::test]
async fn an_endpoint_where_nothing_has_arrived_for_too_long_is_disabled() {
    let sender = Sender::open_with("100").await;
    let receiver = Receiver::start(|_| Reply::status(500)).await;
    let (endpoint, _) = sender.endpoint(&receiver, &["product.created"]).await;
    sender.admin.sell("Lamp", "9.00", 5).await;
    sender.send().await;
    assert_eq!(sender.show(endpoint).await["enabled"], true);
    webhook_endpoints::Entity::update_many()
        .col_expr(
            webhook_endpoints::Column::FailingSince,
            Expr::value(now() - TimeDelta::hours(1)),
        )
        .exec(&sender.shop.ctx.db)
        .await
        .unwrap();
    sender.admin.sell("Chair", "9.00", 5).await;
    sender.send().await;
    assert_eq!(sender.show(endpoint).await["disabled_reason"], "failing");
    assert_eq!(
        statuses(&sender.deliveries(endpoint).await),
        ["cancelled", "cancelled"]
    );
}

#[tokio::test]
async fn one_that_arrives_ends_the_count_of_failures() {
    let sender = Sender::open_with("100").await;
    let receiver = Receiver::start(|nth| Reply::status(if nth == 1 { 200 } else { 500 })).await;
    let (endpoint, _) = sender.endpoint(&receiver, &["product.created"]).await;
    for name in ["Lamp", "Chair"] {
        sender.admin.sell(name, "9.00", 5).await;
        sender.send().await;
    }
    let stored = webhook_endpoints::Entity::find_by_id(endpoint)
        .one(&sender.shop.ctx.db)
        .await;
    assert_eq!(stored.unwrap().unwrap().failing_since, None);
}

#[tokio::test]
async fn a_delivery_can_be_repeated_when_it_is_done_and_not_before() {
    let sender = Sender::open_with("100").await;
    let receiver = Receiver::start(|nth| Reply::status(if nth < 2 { 500 } else { 200 })).await;
    let (endpoint, _) = sender.endpoint(&receiver, &["product.created"]).await;
    sender.admin.sell("Lamp", "9.00", 5).await;
    let id = sender.deliveries(endpoint).await[0]["id"].clone();
    let retry = format!("/webhook-deliveries/{id}/retry");
    let refused = sender.admin.post(&retry, json!({})).await;
    refused.assert_problem(409, "invalid-transition");
    for _ in 0..2 {
        sender.let_time_pass().await;
        sender.send().await;
    }
    assert_eq!(sender.delivery(&id).await["status"], "failed");
    let again = sender.admin.post(&retry, json!({})).await;
    assert_eq!(
        (again.outcome(), &again.body["status"]),
        ("200".to_owned(), &json!("pending"))
    );
    sender.send().await;
    assert_eq!(sender.delivery(&id).await["status"], "delivered");
    // And once more, though it has arrived.
    assert_eq!(sender.admin.post(&retry, json!({})).await.outcome(), "200");
    sender.send().await;
    assert_eq!(
        sender.delivery(&id).await["attempts"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    let bodies: Vec<_> = receiver
        .requests()
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    sender
        .admin
        .patch(
            &format!("/webhook-endpoints/{endpoint}"),
            json!({ "enabled": false }),
        )
        .await;
    let refused = sender.admin.post(&retry, json!({})).await;
    refused.assert_problem(409, "invalid-transition");
}

#[tokio::test]
async fn what_happens_while_an_endpoint_is_disabled_is_not_sent_later() {
    let sender = Sender::open().await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let (endpoint, _) = sender.endpoint(&receiver, &["product.created"]).await;
    let path = format!("/webhook-endpoints/{endpoint}");
    sender.admin.sell("Lamp", "9.00", 5).await;
    sender.admin.patch(&path, json!({ "enabled": false })).await;
    sender.admin.sell("Chair", "9.00", 5).await;
    sender.admin.patch(&path, json!({ "enabled": true })).await;
    sender.admin.sell("Rug", "9.00", 5).await;
    sender.send().await;
    assert_eq!(
        statuses(&sender.deliveries(endpoint).await),
        ["cancelled", "delivered"]
    );
    assert!(receiver.requests()[0].body.contains("Rug"));
    sender.admin.sell("Bed", "9.00", 5).await;
    sender.admin.delete(&path).await;
    sender.send().await;
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(
        statuses(&sender.deliveries(endpoint).await),
        ["cancelled", "delivered", "cancelled"]
    );
}

#[tokio::test]
async fn a_delivery_that_another_node_sends_is_left_to_it_until_its_lease_ends() {
    let sender = Sender::open().await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let (endpoint, _) = sender.endpoint(&receiver, &["product.created"]).await;
    sender.admin.sell("Lamp", "9.00", 5).await;
    let lease_ends = async |at| {
        webhook_deliveries::Entity::update_many()
            .col_expr(
                webhook_deliveries::Column::Lease,
                Expr::value("another node's"),
            )
            .col_expr(webhook_deliveries::Column::LeasedUntil, Expr::value(at))
            .exec(&sender.shop.ctx.db)
            .await
            .unwrap();
    };
    lease_ends(now() + TimeDelta::seconds(20)).await;
    sender.send().await;
    assert_eq!(receiver.connections(), 0);
    lease_ends(now()).await;
    sender.send().await;
    assert_eq!(statuses(&sender.deliveries(endpoint).await), ["delivered"]);
}

#[tokio::test]
async fn what_a_customer_was_is_not_sent_after_they_were_erased() {
    let sender = Sender::open_with("0").await;
    let receiver = Receiver::start(|_| Reply::status(500)).await;
    sender.endpoint(&receiver, &["customer.*", "order.*"]).await;
    let ada = sender.shop.customer("ada").await;
    let lamp = sender.admin.sell("Lamp", "9.00", 5).await;
    ada.order(&[(lamp, 1)]).await;
    let email = sender
        .admin
        .get(&format!("/customers/{}", ada.customer_id))
        .await
        .body["email"]
        .clone();
    let email = email.as_str().unwrap();
    let deleted = sender
        .admin
        .delete(&format!("/customers/{}", ada.customer_id))
        .await;
    assert_eq!(deleted.outcome(), "204");
    sender.send().await;
    let sent = receiver.requests();
    assert!(!sent.is_empty());
    for request in sent {
        assert!(!request.body.contains(email), "{}", request.body);
    }
}

#[tokio::test]
async fn an_event_is_kept_as_long_as_it_has_to_be_sent() {
    let sender = Sender::open_with("100").await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    sender.endpoint(&receiver, &["product.created"]).await;
    sender.admin.sell("Lamp", "9.00", 5).await;
    let long_ago = now() - TimeDelta::days(10);
    events::Entity::update_many()
        .col_expr(events::Column::OccurredAt, Expr::value(long_ago))
        .exec(&sender.shop.ctx.db)
        .await
        .unwrap();
    let prune = async || {
        events::Model::prune(&sender.shop.ctx, 9).await.unwrap();
        let left = events::Entity::find()
            .all(&sender.shop.ctx.db)
            .await
            .unwrap();
        left.into_iter()
            .map(|event| event.r#type)
            .collect::<Vec<_>>()
    };
    assert_eq!(prune().await, ["product.created"]);
    sender.send().await;
    assert_eq!(prune().await, [""; 0]);
    webhook_deliveries::Model::prune(&sender.shop.ctx, 1)
        .await
        .unwrap();
    let listed = async || {
        sender.admin.get("/webhook-deliveries").await.body["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(listed().await, 1);
    webhook_deliveries::Entity::update_many()
        .col_expr(webhook_deliveries::Column::UpdatedAt, Expr::value(long_ago))
        .exec(&sender.shop.ctx.db)
        .await
        .unwrap();
    webhook_deliveries::Model::prune(&sender.shop.ctx, 9)
        .await
        .unwrap();
    assert_eq!(listed().await, 0);
}

#[tokio::test]
async fn a_slow_endpoint_does_not_keep_another_waiting() {
    let sender = Sender::open_with("100").await;
    let slow = Receiver::start(|_| Reply::Held(String::new())).await;
    let quick = Receiver::start(|_| Reply::status(200)).await;
    let (to_slow, _) = sender.endpoint(&slow, &["product.created"]).await;
    let (to_quick, _) = sender.endpoint(&quick, &["product.created"]).await;
    for nth in 0..40 {
        sender.admin.sell(&format!("Lamp {nth}"), "9.00", 5).await;
    }
    let sending = relay::send_all(&sender.webhooks);
    let all_arrived = async {
        while quick.requests().len() < 40 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        sent = sending => sent.unwrap(),
        () = all_arrived => {}
    }
    let by_endpoint = BTreeMap::from([
        (to_slow, slow.connections()),
        (to_quick, quick.requests().len()),
    ]);
    assert_eq!(by_endpoint, BTreeMap::from([(to_slow, 16), (to_quick, 40)]));
}

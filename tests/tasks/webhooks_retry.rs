//! `webhooks:retry`: what was given up for an endpoint is sent once more.

use boxcar::{
    context::Context,
    tasks::webhooks_retry::WebhooksRetry,
    workers::{relay, webhooks::Webhooks, wire::Wire},
};
use serde_json::json;

use super::run;
use crate::support::{Receiver, Reply, Shop};

#[tokio::test]
async fn what_was_given_up_is_sent_once_more() {
    let shop = Shop::open_with(&[("webhooks", "retry_seconds", json!(""))]).await;
    let admin = shop.admin().await;
    let receiver = Receiver::start(|nth| Reply::status(if nth < 4 { 500 } else { 200 })).await;
    let other = Receiver::start(|_| Reply::status(500)).await;
    let mut endpoints = Vec::new();
    for url in [receiver.url(), other.url()] {
        let endpoint = json!({ "url": url, "types": ["product.created"] });
        endpoints.push(admin.post("/webhook-endpoints", endpoint).await.id());
    }
    let ctx = Context::of(&shop.ctx).unwrap();
    let webhooks = Webhooks::over(Wire::new(true).unwrap(), &ctx);
    for nth in 0..4 {
        admin.sell(&format!("Lamp {nth}"), "9.00", 5).await;
    }
    relay::send_all(&webhooks).await.unwrap();
    let endpoint = endpoints[0].to_string();
    run(WebhooksRetry, &shop, &[("endpoint", &endpoint)])
        .await
        .unwrap();
    relay::send_all(&webhooks).await.unwrap();
    assert_eq!((receiver.requests().len(), other.requests().len()), (8, 4));
    let failed = admin.get("/webhook-deliveries?status=failed").await;
    let failed = failed.body["items"].as_array().unwrap().clone();
    assert_eq!(failed.len(), 4);
    assert!(failed.iter().all(|one| one["endpoint_id"] == endpoints[1]));
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_or_disabled_is_named() {
    let (shop, admin) = Shop::open_with_admin().await;
    let endpoint = json!({ "url": "https://example.com", "types": ["*"], "enabled": false });
    let endpoint = admin.post("/webhook-endpoints", endpoint).await.id();
    let disabled = endpoint.to_string();
    for (arguments, expected) in [
        (
            &[][..],
            "endpoint:ID is required: the id of a webhook endpoint",
        ),
        (
            &[("endpoint", "one")],
            "endpoint:ID is required: the id of a webhook endpoint",
        ),
        (&[("endpoint", "404")], "there is no webhook endpoint 404"),
        (
            &[("endpoint", &*disabled)],
            "the webhook endpoint 1 is disabled: enable it first",
        ),
        (&[("id", "1")], "the argument id is not one of endpoint"),
    ] {
        let refused = run(WebhooksRetry, &shop, arguments).await.unwrap_err();
        assert_eq!(refused, expected);
    }
}

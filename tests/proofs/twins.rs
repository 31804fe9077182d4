//! The same request with the same key, sent to two nodes at once: both answer the same, or one says that
//! the other is still at work. None is refused by the trace of its twin.

use axum::{Router, http::HeaderMap};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Shop, assert_invariants};

const PAIRS: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_with_a_sku_is_added_once_and_both_are_told() {
    let scene = Scene::open().await;
    for pair in 0..PAIRS {
        let product = json!({ "name": "Tea", "price": "2", "sku": format!("TEA-{pair}") });
        scene
            .twins(&format!("p-{pair}"), "/products", &product)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_is_added_once_and_both_are_told() {
    let scene = Scene::open().await;
    for pair in 0..PAIRS {
        let customer = json!({ "name": "Ada", "email": format!("ada-{pair}@example.com") });
        scene
            .twins(&format!("c-{pair}"), "/customers", &customer)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_piece_is_ordered_once_and_both_are_told() {
    let scene = Scene::open().await;
    for pair in 0..PAIRS {
        let product = scene.admin.sell("Tea", "2", 1).await;
        let order = json!({
            "customer_id": scene.customer.customer_id,
            "items": [{ "product_id": product, "quantity": 1 }]
        });
        scene.twins(&format!("o-{pair}"), "/orders", &order).await;
    }
    assert_invariants(&scene.shop.ctx.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_cancelled_once_and_both_are_told() {
    let scene = Scene::open().await;
    let product = scene
        .admin
        .sell("Tea", "2", i64::try_from(PAIRS).unwrap())
        .await;
    for pair in 0..PAIRS {
        let order = scene.customer.order(&[(product, 1)]).await;
        let path = format!("/orders/{}/cancel", order.body["id"]);
        scene.twins(&format!("x-{pair}"), &path, &json!({})).await;
    }
    assert_invariants(&scene.shop.ctx.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_is_taken_away_once_and_both_are_told() {
    let scene = Scene::open().await;
    for pair in 0..PAIRS {
        let product = scene.admin.sell("Tea", "2", 3).await;
        let path = format!("/products/{product}/stock");
        let taken = json!({ "delta": -3, "reason": "broken" });
        scene.twins(&format!("s-{pair}"), &path, &taken).await;
    }
    assert_invariants(&scene.shop.ctx.db).await;
}

/// Two nodes on one database.
struct Scene {
    shop: Shop,
    other: Router,
    admin: Client,
    customer: Client,
}

impl Scene {
    async fn open() -> Self {
        let (shop, admin) = Shop::open_with_admin().await;
        let other = shop.another().await;
        let customer = shop.customer("ada").await;
        Self {
            shop,
            other,
            admin,
            customer,
        }
    }

    /// Sends the request to both nodes at once, and compares their answers.
    async fn twins(&self, key: &str, path: &str, body: &Value) {
        let there = self.admin.at(self.other.clone());
        let (one, two) = tokio::join!(
            tokio::spawn(send(
                self.admin.clone(),
                key.to_owned(),
                path.to_owned(),
                body.clone()
            )),
            tokio::spawn(send(there, key.to_owned(), path.to_owned(), body.clone())),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        let done: Vec<_> = [&one, &two]
            .into_iter()
            .filter(|answer| answer.status.is_success())
            .collect();
        match done[..] {
            [one, two] => {
                assert_eq!((one.status, &one.body), (two.status, &two.body));
                let replayed = |headers: &HeaderMap| headers.contains_key("idempotency-replayed");
                assert_ne!(replayed(&one.headers), replayed(&two.headers), "{path}");
            }
            [_] => {
                let refused = if one.status.is_success() { &two } else { &one };
                refused.assert_problem(409, "idempotency-in-progress");
            }
            _ => panic!("{path}: {} and {}", one.body, two.body),
        }
    }
}

async fn send(client: Client, key: String, path: String, body: Value) -> Answer {
    client.post_once(&key, &path, &body).await
}

//! A right is taken away while a request that uses it is open: once that is acknowledged, the request
//! writes nothing.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use boxcar::models::{customer_accounts, customers, now, orders, products, stock_movements};
use chrono::TimeDelta;
use futures_util::stream;
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{Answer, Client, Mismatches, PASSWORD, Shop, order_lines};

const NEW_PASSWORD: &str = "copper lantern 41 drifting reef";

#[tokio::test]
async fn no_write_of_a_deleted_administrator_is_done() {
    assert_revoked_by(|root, path, _| async move { root.delete(&path).await }).await;
}

#[tokio::test]
async fn no_write_of_a_demoted_administrator_is_done() {
    let demotion = json!({ "role": "customer" });
    assert_revoked_by(|root, path, _| async move { root.patch(&path, demotion).await }).await;
}

#[tokio::test]
async fn no_write_of_an_administrator_who_has_logged_out_is_done() {
    assert_revoked_by(|_, _, boss| async move { boss.post("/auth/logout", json!({})).await }).await;
}

#[tokio::test]
async fn no_write_of_an_administrator_whose_password_was_reset_is_done() {
    let reset = json!({ "password": NEW_PASSWORD });
    assert_revoked_by(|root, path, _| async move { root.patch(&path, reset).await }).await;
}

#[tokio::test]
async fn a_password_that_was_reset_is_not_replaced_by_a_change_in_flight() {
    let (shop, root) = Shop::open_with_admin().await;
    let ada = shop.customer("ada").await;
    let stolen =
        json!({ "current_password": PASSWORD, "new_password": "thief of the violet harbor 77" });
    let change = Open::send(&ada, Method::PUT, "/auth/password", &stolen).await;
    let path = format!("/customer-accounts/{}", ada.account_id);
    let reset = root.patch(&path, json!({ "password": NEW_PASSWORD })).await;
    assert_eq!(reset.status, 200);
    let change = change.finish().await;
    change.assert_problem(401, "unauthenticated");
    assert_eq!(shop.log_in("ada", NEW_PASSWORD).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_a_thief_changes_the_password_the_acknowledged_reset_stands() {
    let (shop, root) = Shop::open_with_admin().await;
    for round in 0..12 {
        let name = format!("ada{round}");
        let ada = shop.customer(&name).await;
        let path = format!("/customer-accounts/{}", ada.account_id);
        let stolen = json!({ "current_password": PASSWORD, "new_password": "thief of the violet harbor 77" });
        let thief = tokio::spawn(async move { ada.put("/auth/password", stolen).await });
        tokio::time::sleep(std::time::Duration::from_millis(round * 7)).await;
        let reset = root.patch(&path, json!({ "password": NEW_PASSWORD })).await;
        let thief = thief.await.unwrap();
        assert_eq!(reset.status, 200, "{}", reset.body);
        assert!(
            [
                StatusCode::NO_CONTENT,
                StatusCode::UNAUTHORIZED,
                StatusCode::UNPROCESSABLE_ENTITY
            ]
            .contains(&thief.status),
            "{}",
            thief.body
        );
        let owner = shop.log_in(&name, NEW_PASSWORD).await;
        assert_eq!(owner.status, 200, "round {round}: {}", thief.body);
    }
}

#[tokio::test]
async fn a_token_that_expires_while_its_request_is_open_writes_nothing() {
    let (shop, _) = Shop::open_with_admin().await;
    let mut jwt = shop.ctx.config.get_jwt_config().unwrap().clone();
    jwt.expiration = 2;
    let admin = customer_accounts::Entity::find()
        .one(&shop.ctx.db)
        .await
        .unwrap()
        .unwrap();
    let brief = shop.bearing(Some(admin.token(&jwt).unwrap()));
    let tea = json!({ "name": "Tea", "price": "1" });
    let open = Open::send(&brief, Method::POST, "/products", &tea).await;
    while brief.get("/auth/me").await.status == StatusCode::OK {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let answer = open.finish().await;
    answer.assert_problem(401, "unauthenticated");
    assert_eq!(
        products::Entity::find().count(&shop.ctx.db).await.unwrap(),
        0
    );
}

#[tokio::test]
async fn no_write_of_a_deleted_key_is_done() {
    let (shop, root) = Shop::open_with_admin().await;
    let scopes = [
        "products:write",
        "orders:write",
        "customers:write",
        "customer_accounts:write",
    ];
    let body = json!({ "name": "Robot", "kind": "secret", "scopes": scopes });
    let (robot, path) = root.key(body).await;
    assert_nothing_is_done(&shop, &root, &robot, is_for_keys, async {
        root.delete(&path).await
    })
    .await;
}

#[tokio::test]
async fn no_write_of_a_key_that_has_expired_is_done() {
    let (shop, root) = Shop::open_with_admin().await;
    let scopes = [
        "products:write",
        "orders:write",
        "customers:write",
        "customer_accounts:write",
    ];
    let body = json!({ "name": "Robot", "kind": "secret", "scopes": scopes });
    let (robot, path) = root.key(body).await;
    assert_nothing_is_done(&shop, &root, &robot, is_for_keys, async {
        let soon = (now() + TimeDelta::milliseconds(100)).to_rfc3339();
        let changed = root.patch(&path, json!({ "expires_at": soon })).await;
        while robot.get("/products").await.status == StatusCode::OK {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        changed
    })
    .await;
}

/// What a key may do at all.
fn is_for_keys(path: &str, body: &Value) -> bool {
    !path.starts_with("/auth") && body["role"] != "admin"
}

/// Opens one request of each kind for an administrator, takes the right away, and sends the rest.
async fn assert_revoked_by<F: Future<Output = Answer>>(
    revoke: impl FnOnce(Client, String, Client) -> F,
) {
    let (shop, root) = Shop::open_with_admin().await;
    let boss = shop.customer_and_admin("boss").await;
    let path = format!("/customer-accounts/{}", boss.account_id);
    let revoke = revoke(root.clone(), path, boss.clone());
    assert_nothing_is_done(&shop, &root, &boss, |_, _| true, revoke).await;
}

/// The same for anybody.
async fn assert_nothing_is_done(
    shop: &Shop,
    root: &Client,
    boss: &Client,
    is_meant: impl Fn(&str, &Value) -> bool,
    revoke: impl Future<Output = Answer>,
) {
    let ada = shop.customer("ada").await;
    let product = root.sell("Tea", "2", 9).await;
    let order = ada.order(&[(product, 1)]).await.body["id"].clone();
    let to = |path: &str| {
        path.replace(":product", &product.to_string())
            .replace(":order", &order.to_string())
            .replace(":customer", &ada.customer_id.to_string())
            .replace(":account", &ada.account_id.to_string())
    };
    let bo = json!({ "name": "Bo", "email": "bo@example.com" });
    let bo = root.post("/customers", bo).await.id();
    let mut requests = requests(bo, ada.customer_id, product);
    requests.retain(|(_, path, body)| is_meant(path, body));
    let mut open = Vec::new();
    for (method, path, body) in &requests {
        open.push(Open::send(boss, method.clone(), &to(path), body).await);
    }
    let revoked = revoke.await;
    assert!(revoked.status.is_success(), "{}", revoked.body);
    let before = everything(shop).await;
    let mut mismatches = Mismatches::default();
    for (open, (method, path, _)) in open.into_iter().zip(&requests) {
        let answer = open.finish().await;
        mismatches.answer(format!("{method} {path}"), &answer, "401 unauthenticated");
    }
    assert_eq!(everything(shop).await, before);
}

/// One request of each kind that changes something.
#[rustfmt::skip]
fn requests(without_account: i64, customer: i64, product: i64) -> Vec<(Method, &'static str, Value)> {
    let product_body = json!({ "name": "Cup", "price": "1" });
    let customer_body = json!({ "name": "Eve", "email": "eve@example.com" });
    let account = json!({ "customer_id": without_account, "username": "bobby", "password": NEW_PASSWORD, "role": "admin" });
    let order = json!({ "customer_id": customer, "items": order_lines(&[(product, 1)]) });
    let password = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    vec![
        (Method::POST,  "/products", product_body.clone()),
        (Method::PUT,   "/products/:product", product_body),
        (Method::PATCH, "/products/:product", json!({ "price": "1" })),
        (Method::POST,  "/products/:product/stock", json!({ "delta": 1, "reason": "x" })),
        (Method::POST,  "/customers", customer_body.clone()),
        (Method::PUT,   "/customers/:customer", customer_body),
        (Method::PATCH, "/customers/:customer", json!({ "name": "Eve" })),
        (Method::POST,  "/customer-accounts", account),
        (Method::PATCH, "/customer-accounts/:account", json!({ "role": "admin" })),
        (Method::PUT,   "/customer-accounts/:account", json!({ "username": "eve", "password": NEW_PASSWORD })),
        (Method::POST,  "/orders", order),
        (Method::PATCH, "/orders/:order", json!({ "status": "paid" })),
        (Method::POST,  "/orders/:order/cancel", json!({})),
        (Method::PUT,   "/auth/password", password),
        (Method::POST,  "/auth/logout", json!({})),
    ]
}

/// Every row that a request here could change.
async fn everything(shop: &Shop) -> [String; 5] {
    async fn rows<E: EntityTrait>(_: E, shop: &Shop) -> String {
        format!("{:?}", E::find().all(&shop.ctx.db).await.unwrap())
    }
    [
        rows(products::Entity, shop).await,
        rows(customers::Entity, shop).await,
        rows(orders::Entity, shop).await,
        rows(customer_accounts::Entity, shop).await,
        rows(stock_movements::Entity, shop).await,
    ]
}

/// A request whose head has been taken, and whose body is still awaited.
struct Open {
    rest: Arc<Notify>,
    answer: tokio::task::JoinHandle<Answer>,
}

impl Open {
    async fn send(client: &Client, method: Method, path: &str, body: &Value) -> Self {
        let (asked, rest) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (body_asked, body_rest, body) =
            (Arc::clone(&asked), Arc::clone(&rest), body.to_string());
        let body = stream::once(async move {
            body_asked.notify_one();
            body_rest.notified().await;
            Ok::<_, std::convert::Infallible>(body)
        });
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from_stream(body))
            .unwrap();
        let client = client.clone();
        let answer = tokio::spawn(async move { client.request(request).await });
        asked.notified().await;
        Self { rest, answer }
    }

    async fn finish(self) -> Answer {
        self.rest.notify_one();
        self.answer.await.unwrap()
    }
}

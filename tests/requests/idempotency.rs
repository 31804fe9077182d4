//! A POST that is sent again: the same answer, and nothing done twice.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use boxcar::{
    app::App,
    idempotent,
    models::{
        customer_accounts,
        idempotency_keys::{self, InFlight, KeyGuard, Owner, RequestKey, StoredResponse},
        now,
        orders::{self, Scope},
        products,
    },
    tasks::idempotency_prune::IdempotencyPrune,
    views::answer::Answer,
};
use chrono::TimeDelta;
use loco_rs::{
    app::Hooks,
    boot::StartMode,
    config::Config,
    environment::Environment,
    task::{Task, Vars},
};
use sea_orm::{EntityTrait, PaginatorTrait, sea_query::Expr};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Mismatches, PASSWORD, Shop, TestDatabase};

#[tokio::test]
async fn the_same_request_is_answered_the_same_and_done_once() {
    let (shop, admin) = Shop::open_with_admin().await;
    let first = admin.post_once("k-1", "/products", &tea()).await;
    let again = admin.post_once("k-1", "/products", &tea()).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(
        products::Entity::find().count(&shop.ctx.db).await.unwrap(),
        1
    );
}

#[tokio::test]
async fn a_retried_order_takes_its_stock_once() {
    let (shop, admin) = Shop::open_with_admin().await;
    let product = admin.sell("Tea", "2", 9).await;
    let customer = shop.customer("ada").await;
    let order = json!({ "items": [{ "product_id": product, "quantity": 2 }] });
    for _ in 0..3 {
        assert_eq!(
            customer.post_once("k-1", "/orders", &order).await.status,
            201
        );
    }
    assert_eq!(
        admin.get(&format!("/products/{product}")).await.body["stock"],
        7
    );
    assert_eq!(orders::Entity::find().count(&shop.ctx.db).await.unwrap(), 1);
}

#[tokio::test]
async fn every_post_but_login_takes_a_key() {
    let (shop, admin) = Shop::open_with_admin().await;
    let customer = shop.customer("ada").await;
    let product = admin.sell("Tea", "2", 9).await;
    let order = customer
        .post(
            "/orders",
            json!({ "items": [{ "product_id": product, "quantity": 1 }] }),
        )
        .await;
    let requests = [
        (
            "/customers".to_owned(),
            json!({ "name": "Bo", "email": "bo@example.com" }),
        ),
        (
            format!("/products/{product}/stock"),
            json!({ "delta": 3, "reason": "found" }),
        ),
        (format!("/orders/{}/cancel", order.body["id"]), json!({})),
    ];
    for (path, body) in requests {
        let first = admin.post_once(&path, &path, &body).await;
        let again = admin.post_once(&path, &path, &body).await;
        assert!(first.status.is_success(), "{path}: {}", first.body);
        assert_eq!(
            (again.status, again.bytes),
            (first.status, first.bytes),
            "{path}"
        );
    }
    assert_eq!(
        admin.get(&format!("/products/{product}")).await.body["stock"],
        12
    );
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post_once("k-1", "/products", &tea()).await;
    let other = admin
        .post_once("k-1", "/products", &json!({ "name": "Cup", "price": "1" }))
        .await;
    other.assert_problem(422, "idempotency-mismatch");
}

#[tokio::test]
async fn an_answer_that_its_account_may_not_see_any_more_is_not_replayed() {
    let (shop, root) = Shop::open_with_admin().await;
    let (ada, boss) = (
        shop.customer("ada").await,
        shop.customer_and_admin("boss").await,
    );
    let tea = root.sell("Tea", "2", 9).await;
    let order = ada.order(&[(tea, 1)]).await;
    let cancel = format!("/orders/{}/cancel", order.body["id"]);
    let done = boss.post_once("k-1", &cancel, &json!({})).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let path = format!("/customer-accounts/{}", boss.account_id);
    root.patch(&path, json!({ "role": "customer" })).await;
    let boss = shop.logged_in("boss", PASSWORD).await;
    let again = boss.post_once("k-1", &cancel, &json!({})).await;
    again.assert_problem(404, "not-found");
}

#[tokio::test]
async fn keys_of_different_accounts_have_nothing_to_do_with_each_other() {
    let (shop, admin) = Shop::open_with_admin().await;
    let other = shop.admin_named("other").await;
    let first = admin.post_once("k-1", "/products", &tea()).await;
    let second = other.post_once("k-1", "/products", &tea()).await;
    assert_eq!(second.status, 201);
    assert_ne!(first.body["id"], second.body["id"]);
}

#[tokio::test]
async fn a_refusal_is_not_kept_and_its_retry_may_succeed() {
    let (shop, admin) = Shop::open_with_admin().await;
    let product = admin.sell("Tea", "2", 0).await;
    let customer = shop.customer("ada").await;
    let order = json!({ "items": [{ "product_id": product, "quantity": 1 }] });
    assert_eq!(
        customer.post_once("k-1", "/orders", &order).await.problem(),
        "insufficient-stock"
    );
    admin
        .patch(&format!("/products/{product}"), json!({ "stock": 1 }))
        .await;
    assert_eq!(
        customer.post_once("k-1", "/orders", &order).await.status,
        201
    );
}

#[tokio::test]
async fn a_key_that_cannot_be_one_is_malformed() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    for key in ["", "two words", "\"open", &"x".repeat(256)] {
        let answer = admin.post_once(key, "/products", &tea()).await;
        mismatches.answer(key, &answer, "400 malformed-request");
    }
}

#[tokio::test]
async fn while_the_first_runs_its_key_is_taken_and_free_again_afterwards() {
    let running = Arc::<InFlight>::default();
    let first = running.claim(Some(key("a"))).expect("it is free");
    assert!(running.claim(Some(key("a"))).is_none());
    assert!(running.claim(Some(key("b"))).is_some());
    assert!(running.claim(None).is_some());
    drop(first);
    assert!(running.claim(Some(key("a"))).is_some());
}

#[tokio::test]
async fn the_same_request_on_another_node_replays_although_it_was_not_seen_running() {
    let (shop, admin) = Shop::open_with_admin().await;
    let request = RequestKey {
        owner: Owner::Account(admin.account_id),
        ..key("a")
    };
    let here = Arc::<InFlight>::default()
        .claim(Some(request.clone()))
        .unwrap();
    let there = Arc::<InFlight>::default().claim(Some(request)).unwrap();
    let (one, other) = tokio::join!(kept(&shop, &here), kept(&shop, &there));
    assert_ne!(one.replayed, other.replayed);
    assert_eq!(
        idempotency_keys::Entity::find()
            .count(&shop.ctx.db)
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day_and_pruned() {
    let (shop, admin) = Shop::open_with_admin().await;
    let first = admin.post_once("k-1", "/products", &tea()).await;
    admin
        .post_once("k-2", "/products", &json!({ "name": "Cup", "price": "1" }))
        .await;
    idempotency_keys::Entity::update_many()
        .col_expr(
            idempotency_keys::Column::CreatedAt,
            Expr::value(now() - TimeDelta::hours(25)),
        )
        .exec(&shop.ctx.db)
        .await
        .unwrap();
    let again = admin.post_once("k-1", "/products", &tea()).await;
    assert_ne!(again.body["id"], first.body["id"]);
    IdempotencyPrune
        .run(&shop.ctx, &Vars::default())
        .await
        .unwrap();
    let left = idempotency_keys::Entity::find()
        .all(&shop.ctx.db)
        .await
        .unwrap();
    assert_eq!(
        left.iter()
            .map(|key| key.idempotency_key.as_str())
            .collect::<Vec<_>>(),
        ["k-1"]
    );
}

#[tokio::test]
async fn what_is_stored_of_a_request_cannot_be_made_without_the_secret() {
    let mut stored = Vec::new();
    for secret in ["first", "second"] {
        let database = TestDatabase::create().await;
        let config = with_secret(database.configuration().await, secret);
        let shop = Shop::open_on(database, config).await;
        let admin = shop.admin().await;
        admin.post_once("k-1", "/products", &tea()).await;
        let kept = idempotency_keys::Entity::find().one(&shop.ctx.db).await;
        stored.push(kept.unwrap().unwrap().fingerprint);
    }
    let request = format!("POST /api/v1/products\n{}", tea());
    let digest = format!("{:x}", Sha256::digest(request));
    assert_eq!(stored[0].len(), digest.len());
    assert!(!stored.contains(&digest));
    assert_ne!(stored[0], stored[1]);
}

#[tokio::test]
async fn under_another_secret_a_key_from_before_is_refused_and_nothing_done_twice() {
    let (shop, admin) = Shop::open_with_admin().await;
    admin.post_once("k-1", "/products", &tea()).await;
    let config = with_secret(shop.ctx.config.clone(), "another");
    let renewed = App::boot(StartMode::ServerOnly, &Environment::Test, config);
    let renewed = renewed.await.unwrap();
    let account = customer_accounts::Model::find(&shop.ctx.db, admin.account_id).await;
    let jwt = renewed.app_context.config.get_jwt_config().unwrap();
    let mut admin = admin.at(renewed.router.unwrap());
    admin.token = Some(account.unwrap().0.token(jwt).unwrap());
    let again = admin.post_once("k-1", "/products", &tea()).await;
    again.assert_problem(422, "idempotency-mismatch");
    let products = products::Entity::find().count(&shop.ctx.db).await;
    assert_eq!(products.unwrap(), 1);
}

/// The same configuration with another secret to sign tokens with.
fn with_secret(mut config: Config, text: &str) -> Config {
    let jwt = config.auth.as_mut().unwrap().jwt.as_mut().unwrap();
    jwt.secret = BASE64_STANDARD.encode(text.repeat(64));
    config
}

async fn kept(shop: &Shop, claim: &KeyGuard) -> StoredResponse {
    let answer = idempotent!(&shop.ctx, claim, |txn| {
        // Like any work it takes a statement, so that both of them are under way.
        products::Entity::find().count(txn).await?;
        Answer::ok(&"done")
    });
    answer.unwrap().into()
}

fn key(key: &str) -> RequestKey {
    RequestKey {
        owner: Owner::Account(1),
        scope: Scope::All,
        key: key.to_owned(),
        fingerprints: vec!["f".repeat(64)],
    }
}

fn tea() -> Value {
    json!({ "name": "Tea", "price": "4.50" })
}

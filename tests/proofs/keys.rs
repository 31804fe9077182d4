//! No key grows: whatever it is used for, and whatever else happens meanwhile.

use axum::http::{Method, StatusCode};
use boxcar::models::{api_keys, types::KeyScope};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Mismatches, PASSWORD, Shop};

/// Everything that a secret key can be let do.
const ALL: [&str; 19] = [
    "products:read",
    "products:write",
    "orders:read",
    "orders:write",
    "customers:read",
    "customers:write",
    "customer_accounts:read",
    "customer_accounts:write",
    "webhooks:read",
    "webhooks:write",
    "checkouts:read",
    "checkouts:write",
    "rates:read",
    "rates:write",
    "discounts:read",
    "discounts:write",
    "events:read",
    "mails:read",
    "visitors",
];

#[tokio::test]
async fn no_key_makes_reads_widens_or_deletes_a_key() {
    let (shop, admin) = Shop::open_with_admin().await;
    let body = json!({ "name": "Robot", "kind": "secret", "scopes": ALL });
    let (robot, path) = admin.key(body.clone()).await;
    assert_eq!(ALL.len(), KeyScope::COUNT);
    let mut keys = vec![robot, admin.publishable_key().await];
    for scope in ALL {
        keys.push(admin.secret_key(&[scope]).await);
    }
    let before = rows(&shop).await;
    let mut mismatches = Mismatches::default();
    for key in &keys {
        for (method, path, body) in [
            (Method::GET, "/api-keys", None),
            (Method::POST, "/api-keys", Some(body.clone())),
            (Method::GET, &path, None),
            (Method::PATCH, &path, Some(json!({ "rate_limit": null }))),
            (Method::DELETE, &path, None),
            (Method::GET, "/auth/me", None),
            (Method::POST, "/auth/logout", None),
            (
                Method::PUT,
                "/auth/password",
                Some(json!({ "current_password": PASSWORD, "new_password": PASSWORD })),
            ),
        ] {
            let answer = key.send(method.clone(), path, body).await;
            mismatches.answer(format!("{method} {path}"), &answer, "403 forbidden");
        }
    }
    assert_eq!(rows(&shop).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_becomes_an_administrator_is_out_of_a_keys_reach_from_then_on() {
    let (shop, admin) = Shop::open_with_admin().await;
    let robot = admin.secret_key(&ALL).await;
    for round in 0..8 {
        let ada = shop.customer(&format!("ada{round}")).await;
        let account = format!("/customer-accounts/{}", ada.account_id);
        let customer = format!("/customers/{}", ada.customer_id);
        let mut changes = JoinSet::new();
        for attempt in 0..4 {
            let (robot, account, customer) = (robot.clone(), account.clone(), customer.clone());
            let name = format!("eve{round}x{attempt}");
            changes.spawn(async move {
                let body = json!({ "email": format!("{name}@example.com") });
                let email = robot.patch(&customer, body).await.status;
                let body = json!({ "username": name });
                [email, robot.patch(&account, body).await.status]
            });
        }
        let promoted = admin.patch(&account, json!({ "role": "admin" })).await;
        assert_eq!(promoted.outcome(), "200");
        for statuses in changes.join_all().await {
            for status in statuses {
                let known = [StatusCode::OK, StatusCode::FORBIDDEN];
                assert!(known.contains(&status), "{status}");
            }
        }
        // Events are written while what they are about is locked: none of the key's comes after the promotion.
        let events = admin.get("/events?page_size=100").await.body["items"].clone();
        let events = events.as_array().unwrap();
        let is_about = |event: &&Value| {
            event["subject"] == json!({ "kind": "customer_account", "id": ada.account_id })
                || event["subject"] == json!({ "kind": "customer", "id": ada.customer_id })
        };
        let mut about: Vec<_> = events.iter().filter(is_about).collect();
        about.sort_unstable_by_key(|event| event["id"].as_i64());
        let promotion = about
            .iter()
            .position(|event| event["data"]["role"] == "admin");
        let after = &about[promotion.unwrap() + 1..];
        assert!(after.is_empty(), "{after:#?}");
        assert_eq!(
            robot
                .patch(&customer, json!({ "name": "Eve" }))
                .await
                .outcome(),
            "403 forbidden"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_promotion_and_a_keys_deletion_one_comes_first_and_ends_the_other() {
    let (shop, admin) = Shop::open_with_admin().await;
    let robot = admin.secret_key(&ALL).await;
    let mut mismatches = Mismatches::default();
    for round in 0..12 {
        let ada = shop.customer(&format!("ada{round}")).await;
        let account = format!("/customer-accounts/{}", ada.account_id);
        let deleted = if round % 2 == 0 {
            account.clone()
        } else {
            format!("/customers/{}", ada.customer_id)
        };
        let (promoting, deleting) = (admin.clone(), robot.clone());
        let promotion = tokio::spawn(async move {
            let body = json!({ "role": "admin" });
            promoting.patch(&account, body).await.outcome()
        });
        let deletion = tokio::spawn(async move { deleting.delete(&deleted).await.outcome() });
        let outcomes = (promotion.await.unwrap(), deletion.await.unwrap());
        let known = [("200", "403 forbidden"), ("404 not-found", "204")];
        let is_known = known.contains(&(&*outcomes.0, &*outcomes.1));
        mismatches.compare(format!("round {round}: {outcomes:?}"), is_known, true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_becomes_an_administrator_by_way_of_an_account_or_an_email() {
    let (shop, _mails) = Shop::open_with_mails().await;
    let admin = shop.admin().await;
    let robot = admin.secret_key(&ALL).await;
    let boss = shop.customer_and_admin("boss").await;
    let mut mismatches = Mismatches::default();
    // What a key may do to others it does to itself: a customer, an account, and a code for its own address.
    let eve = json!({ "name": "Eve", "email": "eve@example.com" });
    let eve = robot.post("/customers", eve).await.id();
    let account = json!({ "customer_id": eve, "username": "eve", "password": PASSWORD });
    assert_eq!(
        robot.post("/customer-accounts", account).await.body["role"],
        "customer"
    );
    let rosa = shop.registration_code("rosa@example.com").await;
    let verify = json!({ "token": rosa, "password": PASSWORD, "username": "rosa" });
    let verified = robot.post("/auth/verify", verify).await;
    assert_eq!(verified.body["account"]["role"], "customer");
    for name in ["eve", "rosa"] {
        let client = shop.logged_in(name, PASSWORD).await;
        mismatches.answer(name, &client.get("/api-keys").await, "403 forbidden");
    }
    // And to take an administrator's address it would have to change it.
    let customer = format!("/customers/{}", boss.customer_id);
    let taken = json!({ "name": "Eve", "email": "BOSS@example.com" });
    let bodies = [
        json!({ "email": "eve@example.org" }),
        json!({ "phone": null }),
    ];
    for body in bodies {
        let answer = robot.patch(&customer, body.clone()).await;
        mismatches.answer(body, &answer, "403 forbidden");
    }
    let answer = robot.post("/customers", taken).await;
    mismatches.answer(
        "a second of that address",
        &answer,
        "409 conflict /email taken",
    );
    let answer = robot
        .post(
            "/auth/register",
            json!({ "email": "boss@example.com", "name": "Eve" }),
        )
        .await;
    mismatches.answer("registering it", &answer, "202");
    let told = shop.mails_to("boss@example.com").await;
    mismatches.compare(
        "what is mailed there",
        told,
        vec!["already_registered".to_owned()],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_are_made_at_once_there_are_a_thousand_keys_at_most() {
    let (shop, admin) = Shop::open_with_admin().await;
    admin.publishable_key().await;
    let first = api_keys::Entity::find()
        .one(&shop.ctx.db)
        .await
        .unwrap()
        .unwrap();
    let rows = (2..=996).map(|place| {
        let mut row: api_keys::ActiveModel = first.clone().into();
        row.id = sea_orm::ActiveValue::NotSet;
        row.place = sea_orm::Set(place);
        row.digest = sea_orm::Set(format!("{place:064}"));
        row
    });
    let rows: Vec<_> = rows.collect();
    for rows in rows.chunks(100) {
        let insert = api_keys::Entity::insert_many(rows.to_vec());
        insert.exec_without_returning(&shop.ctx.db).await.unwrap();
    }
    let mut attempts = JoinSet::new();
    for _ in 0..12 {
        let admin = admin.clone();
        let body = json!({ "name": "Robot", "kind": "publishable" });
        attempts.spawn(async move { admin.post("/api-keys", body).await.status });
    }
    let statuses = attempts.join_all().await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(201), count(409)), (4, 8), "{statuses:?}");
    assert_eq!(
        api_keys::Entity::find().count(&shop.ctx.db).await.unwrap(),
        1_000
    );
}

async fn rows(shop: &Shop) -> Vec<api_keys::Model> {
    api_keys::Entity::find().all(&shop.ctx.db).await.unwrap()
}

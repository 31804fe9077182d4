//! API keys: what programs prove themselves with, and what they may do.

use std::net::{IpAddr, SocketAddr};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request},
};
use boxcar::models::{api_keys, now};
use chrono::TimeDelta;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Mismatches, PASSWORD, Shop, order_lines};

const PATH: &str = "/api-keys";

fn secret(scopes: &[&str]) -> Value {
    json!({ "name": "Robot", "kind": "secret", "scopes": scopes })
}

/// The newest events, the oldest first.
async fn newest(admin: &Client, count: usize) -> Vec<Value> {
    let events = admin.get(&format!("/events?page_size={count}")).await;
    let mut events = events.body["items"].as_array().unwrap().clone();
    events.reverse();
    events
}

#[tokio::test]
async fn a_key_is_made_shown_changed_and_deleted_and_each_is_an_event_without_it() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let body = json!({
        "name": "Warehouse", "kind": "secret", "scopes": ["orders:write", "products:read"],
        "rate_limit": { "requests": 5, "period_seconds": 60 }, "expires_at": "2999-01-31T00:00:00Z",
    });
    let made = admin.post(PATH, body).await;
    let path = format!("{PATH}/{}", made.id());
    assert_eq!(made.header("location"), Some(&*format!("/api/v1{path}")));
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let key = made.body["key"].as_str().unwrap();
    assert!(key.starts_with("sk_") && key.len() == 52, "{key}");
    let digits = |c: char| c.is_ascii_alphanumeric();
    assert!(key[3..].chars().all(digits), "{key}");

    let shown = admin.get(&path).await;
    let expected = json!({
        "id": made.id(), "name": "Warehouse", "kind": "secret", "scopes": ["orders:write", "products:read"],
        "prefix": &key[..8], "rate_limit": { "requests": 5, "period_seconds": 60 },
        "expires_at": "2999-01-31T00:00:00Z", "last_used_at": null,
        "created_by": { "id": admin.account_id, "username": "admin" }, "created_at": shown.body["created_at"],
    });
    assert_eq!(shown.body, expected);
    assert_eq!(shown.header("etag"), made.header("etag"));
    assert_eq!(admin.get(PATH).await.body["items"], json!([expected]));
    let event = &newest(&admin, 1).await[0];
    assert_eq!(event["type"], "api_key.created");
    assert_eq!(event["data"], expected);

    let changes = json!({ "name": "Robot", "rate_limit": null, "expires_at": null });
    let changed = admin.patch(&path, changes.clone()).await;
    assert_eq!(changed.body["name"], "Robot");
    assert_eq!(changed.body["rate_limit"], Value::Null);
    assert_eq!(changed.body["expires_at"], Value::Null);
    let event = newest(&admin, 1).await.remove(0);
    assert_eq!(event["type"], "api_key.updated");
    assert_eq!(event["data"], changed.body);
    assert_eq!(admin.patch(&path, changes).await.body, changed.body);
    assert_eq!(newest(&admin, 1).await[0]["id"], event["id"]);

    assert_eq!(admin.delete(&path).await.outcome(), "204");
    let event = &newest(&admin, 1).await[0];
    assert_eq!(event["type"], "api_key.deleted");
    assert_eq!(event["data"], json!({ "id": made.id() }));
    assert_eq!(admin.get(&path).await.outcome(), "404 not-found");
    let events = admin.get("/events").await;
    assert!(!String::from_utf8_lossy(&events.bytes).contains(key));
}

#[tokio::test]
async fn a_key_is_kept_as_a_digest_alone() {
    let (shop, admin) = Shop::open_with_admin().await;
    let made = admin
        .post_once("one", PATH, &secret(&["orders:read"]))
        .await;
    let key = made.body["key"].as_str().unwrap();
    let again = admin
        .post_once("one", PATH, &secret(&["orders:read"]))
        .await;
    assert_eq!(again.outcome(), "201");
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body["key"], Value::Null);
    assert_eq!(again.body["id"], made.body["id"]);
    let rows = api_keys::Entity::find().all(&shop.ctx.db).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(!format!("{rows:?}").contains(&key[..9]));
}

#[tokio::test]
async fn what_a_key_cannot_be_is_refused_with_every_reason() {
    let (shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    let secret = |more: Value| {
        let mut body = secret(&["orders:read"]);
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let limit = |requests: i64, seconds: i64| {
        secret(json!({ "rate_limit": { "requests": requests, "period_seconds": seconds } }))
    };
    for (body, faults) in [
        (json!({}), "/name required /kind required"),
        (
            json!({ "name": "", "kind": "open" }),
            "/name length /kind choice",
        ),
        (
            json!({ "name": "A", "kind": "publishable", "scopes": [] }),
            "/scopes length",
        ),
        (
            json!({ "name": "A", "kind": "publishable", "scopes": ["visitors"] }),
            "/scopes forbidden",
        ),
        (json!({ "name": "A", "kind": "secret" }), "/scopes required"),
        (secret(json!({ "scopes": [] })), "/scopes length"),
        (secret(json!({ "scopes": ["orders"] })), "/scopes/0 choice"),
        (
            secret(json!({ "scopes": ["api_keys:write"] })),
            "/scopes/0 choice",
        ),
        (
            secret(json!({ "scopes": ["events:write"] })),
            "/scopes/0 choice",
        ),
        (
            secret(json!({ "scopes": ["orders:read", "orders:read"] })),
            "/scopes duplicate",
        ),
        (limit(-1, 60), "/rate_limit/requests range"),
        (
            limit(1_000_000_001, 0),
            "/rate_limit/requests range /rate_limit/period_seconds range",
        ),
        (limit(1, 31_536_001), "/rate_limit/period_seconds range"),
        (secret(json!({ "rate_limit": 5 })), "/rate_limit type"),
        (
            secret(json!({ "rate_limit": {} })),
            "/rate_limit/requests required /rate_limit/period_seconds required",
        ),
        (
            secret(json!({ "expires_at": "2020-01-31T00:00:00Z" })),
            "/expires_at range",
        ),
        (
            secret(json!({ "expires_at": "soon" })),
            "/expires_at format",
        ),
        (secret(json!({ "key": "sk_1" })), "/key unknown"),
    ] {
        let answer = admin.post(PATH, body.clone()).await;
        mismatches.answer(&body, &answer, format!("422 validation-failed {faults}"));
    }
    let (_, path) = admin.key(secret(json!({}))).await;
    let before = admin.get(&path).await.body;
    for (body, faults) in [
        (json!({ "scopes": ["orders:write"] }), "/scopes unknown"),
        (json!({ "kind": "publishable" }), "/kind unknown"),
        (
            json!({ "expires_at": "2020-01-31T00:00:00Z" }),
            "/expires_at range",
        ),
        (json!({ "name": null }), "/name required"),
    ] {
        let answer = admin.patch(&path, body.clone()).await;
        mismatches.answer(&body, &answer, format!("422 validation-failed {faults}"));
    }
    mismatches.compare("after all that", admin.get(&path).await.body, before);
    drop(shop);
}

#[tokio::test]
async fn a_list_of_keys_is_narrowed_by_kind_and_by_who_made_them() {
    let (shop, admin) = Shop::open_with_admin().await;
    let boss = shop.admin_named("boss").await;
    for (who, kind, name) in [(&admin, "publishable", "B"), (&boss, "publishable", "A")] {
        who.key(json!({ "name": name, "kind": kind })).await;
    }
    admin.key(secret(&["orders:read"])).await;
    let names = async |query: &str| {
        let list = admin.get(&format!("{PATH}?{query}")).await;
        let items = list.body["items"].as_array().unwrap().clone();
        let names: Vec<_> = items
            .iter()
            .map(|key| key["name"].as_str().unwrap().to_owned())
            .collect();
        names.join(" ")
    };
    let of_boss = format!("created_by={}", boss.account_id);
    for (query, expected) in [
        ("", "B A Robot"),
        ("kind=publishable", "B A"),
        ("kind=secret", "Robot"),
        (&*of_boss, "A"),
        ("sort=name", "A B Robot"),
        ("sort=-created_at", "Robot A B"),
    ] {
        assert_eq!(names(query).await, expected, "{query}");
    }
    let refused = admin.get(&format!("{PATH}?kind=open")).await;
    refused.assert_problem(422, "validation-failed");
}

#[tokio::test]
async fn a_change_under_an_old_entity_tag_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let (_, path) = admin.key(secret(&["orders:read"])).await;
    let etag = admin.get(&path).await.header("etag").unwrap().to_owned();
    let body = json!({ "name": "Other" });
    let change = admin
        .send_if_match(Method::PATCH, &path, &etag, Some(&body))
        .await;
    assert_eq!(change.outcome(), "200");
    for (method, body) in [(Method::PATCH, Some(&body)), (Method::DELETE, None)] {
        let late = admin.send_if_match(method, &path, &etag, body).await;
        assert_eq!(late.outcome(), "412 precondition-failed");
    }
    let current = change.header("etag").unwrap();
    let deleted = admin
        .send_if_match(Method::DELETE, &path, current, None)
        .await;
    assert_eq!(deleted.outcome(), "204");
}

#[tokio::test]
async fn a_key_that_was_deleted_or_has_expired_is_refused_at_once() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (robot, path) = admin.key(secret(&["orders:read"])).await;
    assert_eq!(robot.get("/orders").await.outcome(), "200");
    admin.delete(&path).await;
    let refused = robot.get("/orders").await;
    assert_eq!(refused.outcome(), "401 unauthenticated");
    assert_eq!(
        refused.header("www-authenticate"),
        Some("Bearer realm=\"boxcar\", error=\"invalid_token\"")
    );

    let (robot, path) = admin.key(secret(&["orders:read"])).await;
    assert_eq!(robot.get("/orders").await.outcome(), "200");
    let soon = (now() + TimeDelta::milliseconds(300)).to_rfc3339();
    let changed = admin.patch(&path, json!({ "expires_at": soon })).await;
    assert_eq!(changed.outcome(), "200");
    while robot.get("/orders").await.outcome() == "200" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(robot.get("/orders").await.outcome(), "401 unauthenticated");
    assert!(now().to_rfc3339() >= soon);
    drop(shop);
}

#[tokio::test]
async fn a_key_that_was_mistyped_is_refused_without_a_look_up() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (robot, path) = admin.key(secret(&["orders:read"])).await;
    admin.delete(&path).await;
    let key = robot.token.clone().unwrap();
    shop.ctx.db.close_by_ref().await.unwrap();
    let last = if key.ends_with('0') { "1" } else { "0" };
    let publishable = key.replace("sk_", "pk_");
    for wrong in [
        format!("{}{last}", &key[..51]),
        key[..51].to_owned(),
        format!("{key}0"),
        publishable,
        "sk_".to_owned(),
    ] {
        let answer = shop.bearing(Some(wrong)).get("/orders").await;
        assert_eq!(answer.outcome(), "401 unauthenticated");
    }
    // This one would have to be looked up.
    assert_eq!(robot.get("/orders").await.outcome(), "503 unavailable");
}

#[tokio::test]
async fn a_key_is_taken_from_the_authorization_header_alone() {
    let (shop, admin) = Shop::open_with_admin().await;
    let key = admin.secret_key(&["products:read"]).await.token.unwrap();
    let as_query = shop.stranger().get(&format!("/products?key={key}")).await;
    assert_eq!(as_query.outcome(), "401 unauthenticated");
    for (name, value) in [
        ("x-api-key", &*key),
        ("authorization", &format!("Basic {key}")),
    ] {
        let request = Request::get("/api/v1/products").header(name, value);
        let answer = shop
            .stranger()
            .request(request.body(Body::empty()).unwrap())
            .await;
        assert_eq!(answer.outcome(), "401 unauthenticated", "{name}");
    }
}

#[tokio::test]
async fn what_a_key_does_is_done_in_its_name() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let scopes = ["products:write", "orders:write", "customers:write"];
    let (robot, path) = admin.key(secret(&scopes)).await;
    let id: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let lamp = robot.sell("Lamp", "5", 10).await;
    let actor = json!({ "kind": "api_key", "id": id, "name": "Robot" });
    for event in newest(&admin, 1).await {
        assert_eq!(event["actor"], actor);
    }
    let ledger = admin.get(&format!("/products/{lamp}/stock")).await;
    assert_eq!(ledger.body["items"][0]["by"], "Robot");

    let lines = order_lines(&[(lamp, 1)]);
    let nobodys = robot.post("/orders", json!({ "items": lines })).await;
    nobodys.assert_invalid(&[("/customer_id", "required")]);
    let body = json!({ "items": lines, "customer_id": ada.customer_id });
    let placed = robot.post("/orders", body).await;
    let order = format!("/orders/{}", placed.id());
    assert_eq!(placed.body["history"][0]["by"], "Robot");
    assert_eq!(newest(&admin, 1).await[0]["actor"], actor);
    // It sees everybody's, and changes them.
    let hers = ada.order(&[(lamp, 1)]).await.id();
    assert_eq!(robot.get("/orders").await.body["total_items"], 2);
    let cancelled = robot
        .post(&format!("/orders/{hers}/cancel"), json!({}))
        .await;
    assert_eq!(cancelled.body["status"], "cancelled");
    let paid = robot.patch(&order, json!({ "status": "paid" })).await;
    assert_eq!(paid.body["history"][1]["by"], "Robot");

    // The id of a key is no account's, whatever account has the same.
    let query = format!("/events?actor_id={id}&page_size=100");
    let of_id = admin.get(&query).await;
    if of_id.outcome() == "200" {
        let items = of_id.body["items"].as_array().unwrap().clone();
        assert!(
            items
                .iter()
                .any(|event| event["actor"]["kind"] == "api_key")
        );
    }
    let boss = shop.admin_named("boss").await;
    let account = format!("/customer-accounts/{}", boss.account_id);
    assert_eq!(admin.delete(&account).await.outcome(), "204");
    let ledger = admin.get(&format!("/products/{lamp}/stock")).await;
    assert_eq!(
        ledger.body["items"].as_array().unwrap().last().unwrap()["by"],
        "Robot"
    );
}

#[tokio::test]
async fn administrators_and_their_customers_are_out_of_every_keys_reach() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let boss = shop.customer_and_admin("boss").await;
    let robot = admin
        .secret_key(&["customers:write", "customer_accounts:write"])
        .await;
    let cleo = json!({ "name": "Cleo", "email": "cleo@example.com" });
    let cleo = robot.post("/customers", cleo).await.id();
    let account = |role: &str| json!({ "customer_id": cleo, "username": "cleo", "password": PASSWORD, "role": role });
    let (of_ada, of_boss, of_admin) = (
        format!("/customer-accounts/{}", ada.account_id),
        format!("/customer-accounts/{}", boss.account_id),
        format!("/customer-accounts/{}", admin.account_id),
    );
    let customer = format!("/customers/{}", boss.customer_id);
    let details = json!({ "name": "Eve", "email": "eve@example.com" });
    let credentials = json!({ "username": "eve", "password": PASSWORD });
    let mut mismatches = Mismatches::default();
    for (method, path, body) in [
        (Method::POST, "/customer-accounts", Some(account("admin"))),
        (Method::PATCH, &of_ada, Some(json!({ "role": "admin" }))),
        (Method::PATCH, &of_boss, Some(json!({ "role": "customer" }))),
        (Method::PATCH, &of_boss, Some(json!({ "username": "eve" }))),
        (
            Method::PATCH,
            &of_boss,
            Some(json!({ "password": PASSWORD })),
        ),
        (Method::PATCH, &of_boss, Some(json!({}))),
        (Method::PUT, &of_boss, Some(credentials.clone())),
        (Method::DELETE, &of_boss, None),
        (Method::PATCH, &of_admin, Some(json!({ "username": "eve" }))),
        (Method::DELETE, &of_admin, None),
        (
            Method::PATCH,
            &customer,
            Some(json!({ "email": "eve@example.com" })),
        ),
        (Method::PATCH, &customer, Some(json!({ "name": "Eve" }))),
        (Method::PUT, &customer, Some(details)),
        (Method::DELETE, &customer, None),
    ] {
        let answer = robot.send(method.clone(), path, body).await;
        mismatches.answer(format!("{method} {path}"), &answer, "403 forbidden");
        let challenge = answer.header("www-authenticate");
        let expected = "Bearer realm=\"boxcar\", error=\"insufficient_scope\"";
        mismatches.compare(format!("{method} {path}"), challenge, Some(expected));
    }
    // Others are not, and what is out of reach can be read.
    for (method, path, body, status) in [
        (Method::GET, &*of_boss, None, "200"),
        (Method::GET, &customer, None, "200"),
        (
            Method::POST,
            "/customer-accounts",
            Some(account("customer")),
            "201",
        ),
        (Method::PUT, &of_ada, Some(credentials), "200"),
        (
            Method::PATCH,
            &of_ada,
            Some(json!({ "role": "customer" })),
            "200",
        ),
        (Method::DELETE, &of_ada, None, "204"),
    ] {
        let answer = robot.send(method.clone(), path, body).await;
        mismatches.answer(format!("{method} {path}"), &answer, status);
    }
    assert_eq!(boss.get("/auth/me").await.outcome(), "200");
}

#[tokio::test]
async fn keys_of_a_deleted_administrator_stay_and_its_event_names_them() {
    let (shop, admin) = Shop::open_with_admin().await;
    let boss = shop.customer_and_admin("boss").await;
    let (robot, path) = boss.key(secret(&["orders:read"])).await;
    let id: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let account = format!("/customer-accounts/{}", boss.account_id);
    assert_eq!(admin.delete(&account).await.outcome(), "204");
    let event = &newest(&admin, 1).await[0];
    assert_eq!(event["type"], "customer_account.deleted");
    let expected = json!({ "id": boss.account_id, "api_keys": [{ "id": id, "name": "Robot" }] });
    assert_eq!(event["data"], expected);
    assert_eq!(robot.get("/orders").await.outcome(), "200");
    let creator = admin.get(&path).await.body["created_by"].clone();
    assert_eq!(creator["id"], boss.account_id);

    let gone = shop.admin_named("gone").await;
    admin
        .delete(&format!("/customer-accounts/{}", gone.account_id))
        .await;
    let event = &newest(&admin, 1).await[0];
    assert_eq!(event["data"], json!({ "id": gone.account_id }));
}

#[tokio::test]
async fn a_key_has_idempotency_keys_of_its_own() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let (one, other) = (
        admin.secret_key(&["products:write"]).await,
        admin.secret_key(&["products:write"]).await,
    );
    let lamp = json!({ "name": "Lamp", "price": "5" });
    let mut ids = Vec::new();
    for client in [&admin, &one, &other] {
        let (first, again) = (
            client.post_once("same", "/products", &lamp).await,
            client.post_once("same", "/products", &lamp).await,
        );
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.body, first.body);
        ids.push(first.id());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let table = json!({ "name": "Table", "price": "5" });
    let reused = one.post_once("same", "/products", &table).await;
    reused.assert_problem(422, "idempotency-mismatch");
}

#[tokio::test]
async fn when_a_key_was_last_used_is_written_down_later_and_is_no_event() {
    let (shop, admin) = Shop::open_with_admin().await;
    let ctx = boxcar::context::Context::of(&shop.ctx).unwrap();
    let (robot, path) = admin.key(secret(&["orders:read"])).await;
    let events = newest(&admin, 100).await.len();
    let before = now();
    robot.get("/orders").await;
    assert_eq!(robot.get("/products").await.outcome(), "403 forbidden");
    assert_eq!(admin.get(&path).await.body["last_used_at"], Value::Null);
    ctx.key_uses.write(&shop.ctx, false).await.unwrap();
    let used = admin.get(&path).await.body["last_used_at"].clone();
    let used = chrono::DateTime::parse_from_rfc3339(used.as_str().unwrap()).unwrap();
    assert!(used >= before - TimeDelta::milliseconds(1) && used <= now());
    // Once a minute at most, but for the end.
    robot.get("/orders").await;
    ctx.key_uses.write(&shop.ctx, false).await.unwrap();
    let same = admin.get(&path).await.body["last_used_at"].clone();
    assert_eq!(
        chrono::DateTime::parse_from_rfc3339(same.as_str().unwrap()).unwrap(),
        used
    );
    ctx.key_uses.write(&shop.ctx, true).await.unwrap();
    let later = admin.get(&path).await.body["last_used_at"].clone();
    assert!(chrono::DateTime::parse_from_rfc3339(later.as_str().unwrap()).unwrap() > used);
    assert_eq!(newest(&admin, 100).await.len(), events);
    // One that is gone stays so.
    robot.get("/orders").await;
    admin.delete(&path).await;
    ctx.key_uses.write(&shop.ctx, true).await.unwrap();
    assert_eq!(admin.get(&path).await.outcome(), "404 not-found");
}

#[tokio::test]
async fn there_are_a_thousand_keys_at_most() {
    let (shop, admin) = Shop::open_with_admin().await;
    admin.key(secret(&["orders:read"])).await;
    let first = api_keys::Entity::find()
        .one(&shop.ctx.db)
        .await
        .unwrap()
        .unwrap();
    let rows = (2..=1_000).map(|place| {
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
    let refused = admin.post(PATH, secret(&["orders:read"])).await;
    refused.assert_problem(409, "conflict");
    api_keys::Entity::delete_many()
        .filter(api_keys::Column::Place.eq(500))
        .exec(&shop.ctx.db)
        .await
        .unwrap();
    assert_eq!(
        admin.post(PATH, secret(&["orders:read"])).await.outcome(),
        "201"
    );
}

#[tokio::test]
async fn star_does_not_tell_of_keys_and_their_names_do() {
    let (shop, admin) = Shop::open_with_admin().await;
    for types in [["*"], ["api_key.*"], ["api_key.created"]] {
        let body = json!({ "url": "https://example.com/hooks", "types": types });
        assert_eq!(
            admin.post("/webhook-endpoints", body).await.outcome(),
            "201"
        );
    }
    let before = admin.get("/webhook-deliveries").await.body["items"]
        .as_array()
        .unwrap()
        .len();
    admin.key(secret(&["orders:read"])).await;
    let deliveries = admin.get("/webhook-deliveries").await;
    let items = deliveries.body["items"].as_array().unwrap();
    let told = items
        .iter()
        .filter(|it| it["event"]["type"] == "api_key.created");
    let mut told: Vec<_> = told.map(|it| it["endpoint_id"].as_i64().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, [2, 3]);
    assert_eq!(items.len(), before + 2);
    drop(shop);
}

#[tokio::test]
async fn a_key_has_the_shops_budget_for_itself_unless_it_has_one_of_its_own() {
    let shop = Shop::open_with(&[("rate_limit", "requests", json!(3))]).await;
    let admin = shop.admin().await;
    let (robot, path) = admin.key(secret(&["products:read"])).await;
    let twin = admin.secret_key(&["products:read"]).await;
    for _ in 0..3 {
        assert_eq!(from("192.0.2.1", &robot).await.outcome(), "200");
    }
    assert_eq!(
        from("192.0.2.2", &robot).await.outcome(),
        "429 rate-limited"
    );
    assert_eq!(from("192.0.2.1", &twin).await.outcome(), "200");
    // Its own holds from the next request.
    let limit =
        |requests: i64| json!({ "rate_limit": { "requests": requests, "period_seconds": 3600 } });
    admin.patch(&path, limit(2)).await;
    let answer = from("192.0.2.1", &robot).await;
    assert_eq!(answer.outcome(), "200");
    assert_eq!(
        answer.header("ratelimit-policy"),
        Some("\"default\";q=2;w=3600")
    );
    let left = answer.header("ratelimit").unwrap();
    assert!(left.starts_with("\"default\";r=1;t="), "{left}");
    assert_eq!(from("192.0.2.1", &robot).await.outcome(), "200");
    let refused = from("192.0.2.1", &robot).await;
    refused.assert_problem(429, "rate-limited");
    assert_eq!(
        refused.header("ratelimit-policy"),
        Some("\"default\";q=2;w=3600")
    );
    // None at all.
    admin.patch(&path, limit(0)).await;
    for _ in 0..10 {
        let answer = from("192.0.2.1", &robot).await;
        assert_eq!(answer.outcome(), "200");
        assert_eq!(answer.header("ratelimit-policy"), None);
    }
}

#[tokio::test]
async fn a_key_has_its_own_budget_also_where_the_shop_has_none() {
    let shop = Shop::open_with(&[("rate_limit", "requests", json!(0))]).await;
    let admin = shop.admin().await;
    let (robot, path) = admin.key(secret(&["products:read"])).await;
    assert_eq!(
        from("192.0.2.1", &robot).await.header("ratelimit-policy"),
        None
    );
    let limit = json!({ "rate_limit": { "requests": 1, "period_seconds": 3600 } });
    admin.patch(&path, limit).await;
    assert_eq!(from("192.0.2.1", &robot).await.outcome(), "200");
    assert_eq!(
        from("192.0.2.1", &robot).await.outcome(),
        "429 rate-limited"
    );
    assert_eq!(from("192.0.2.1", &admin).await.outcome(), "200");
}

#[tokio::test]
async fn a_publishable_key_has_a_budget_for_each_address() {
    let shop = Shop::open_with(&[("rate_limit", "requests", json!(2))]).await;
    let admin = shop.admin().await;
    let window = admin.publishable_key().await;
    let mut mismatches = Mismatches::default();
    for (address, status) in [
        ("192.0.2.1", "200"),
        ("192.0.2.1", "200"),
        ("192.0.2.1", "429 rate-limited"),
        ("192.0.2.2", "200"),
        ("2001:db8:1:2::1", "200"),
        ("2001:db8:1:2::2", "200"),
        ("2001:db8:1:2:ffff::3", "429 rate-limited"),
        ("2001:db8:1:3::1", "200"),
    ] {
        mismatches.answer(address, &from(address, &window).await, status);
    }
    // What strangers have used up is another budget.
    assert_eq!(
        from("192.0.2.1", &shop.stranger()).await.outcome(),
        "401 unauthenticated"
    );
    let other = admin.publishable_key().await;
    assert_eq!(from("192.0.2.1", &other).await.outcome(), "200");
}

#[tokio::test]
async fn a_visitors_address_is_believed_from_a_shop_window_alone() {
    let shop = Shop::open_with(&[("rate_limit", "requests", json!(2))]).await;
    let admin = shop.admin().await;
    let window = admin.secret_key(&["visitors", "orders:read"]).await;
    let mut mismatches = Mismatches::default();
    for (visitor, status) in [
        ("198.51.100.1", "200"),
        ("198.51.100.1", "200"),
        ("198.51.100.1", "429 rate-limited"),
        ("198.51.100.2", "200"),
        ("2001:db8:1:2::1", "200"),
        ("2001:db8:1:2::2", "200"),
        ("2001:db8:1:2::3", "429 rate-limited"),
        ("nonsense", "400 malformed-request"),
        ("198.51.100.3:80", "400 malformed-request"),
        // What is wrong counts for the connection's address.
        ("", "429 rate-limited"),
    ] {
        let answer = visit(&window, "/products", visitor).await;
        mismatches.answer(visitor, &answer, status);
    }
    // What is not for visitors counts for the key.
    for (visitor, status) in [
        ("198.51.100.4", "200"),
        ("198.51.100.5", "200"),
        ("198.51.100.6", "429 rate-limited"),
    ] {
        mismatches.answer(visitor, &visit(&window, "/orders", visitor).await, status);
    }
    // From anybody else it is ignored, also where it makes no sense.
    let robot = admin.secret_key(&["products:read"]).await;
    let publishable = shop.admin_named("boss").await.publishable_key().await;
    let ada = shop.customer("ada").await;
    for client in [&robot, &publishable, &ada] {
        for (visitor, status) in [
            ("198.51.100.7", "200"),
            ("nonsense", "200"),
            ("198.51.100.9", "429 rate-limited"),
        ] {
            let answer = visit(client, "/products", visitor).await;
            mismatches.answer(visitor, &answer, status);
        }
    }
}

#[tokio::test]
async fn a_failed_login_through_a_shop_window_counts_for_the_visitor() {
    let settings = [("security", "login_failures", json!(1))];
    let shop = Shop::open_with(&settings).await;
    let admin = shop.admin().await;
    shop.customer("ada").await;
    let window = admin.secret_key(&["visitors"]).await;
    let attempt = async |client: &Client, visitor: &str| {
        let body = json!({ "username": "ada", "password": "wrong" });
        let request = request(
            "192.0.2.1",
            Method::POST,
            "/auth/login",
            Some(&body),
            visitor,
        );
        client.request(request).await.outcome()
    };
    assert_eq!(
        attempt(&window, "198.51.100.1").await,
        "401 invalid-credentials"
    );
    assert_eq!(attempt(&window, "198.51.100.1").await, "429 rate-limited");
    assert_eq!(
        attempt(&window, "198.51.100.2").await,
        "401 invalid-credentials"
    );
    let stranger = shop.stranger();
    assert_eq!(
        attempt(&stranger, "198.51.100.3").await,
        "401 invalid-credentials"
    );
    assert_eq!(attempt(&stranger, "198.51.100.4").await, "429 rate-limited");
}

#[tokio::test]
async fn a_key_row_that_was_changed_by_hand_lets_in_nothing_that_it_does_not_name() {
    let (shop, admin) = Shop::open_with_admin().await;
    let robot = admin.secret_key(&["orders:read"]).await;
    api_keys::Entity::update_many()
        .col_expr(api_keys::Column::Scopes, Expr::value("[\"everything\"]"))
        .exec(&shop.ctx.db)
        .await
        .unwrap();
    assert_eq!(robot.get("/orders").await.outcome(), "403 forbidden");
}

/// `GET /products` from an address.
async fn from(address: &str, client: &Client) -> Answer {
    client
        .request(request(address, Method::GET, "/products", None, ""))
        .await
}

/// A GET for a visitor.
async fn visit(client: &Client, path: &str, visitor: &str) -> Answer {
    let mut request = request("192.0.2.1", Method::GET, path, None, "");
    request
        .headers_mut()
        .insert("visitor-address", visitor.parse().unwrap());
    client.request(request).await
}

fn request(
    address: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
    visitor: &str,
) -> Request<Body> {
    let address: IpAddr = address.parse().unwrap();
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header("content-type", "application/json")
        .extension(ConnectInfo(SocketAddr::new(address, 50_000)))
        .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
        .unwrap();
    if !visitor.is_empty() {
        request
            .headers_mut()
            .insert("visitor-address", visitor.parse().unwrap());
    }
    request
}

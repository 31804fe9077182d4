//! Events: what has happened, to what and by whom.

use std::path::Path;

use axum::http::{Method, header};
use boxcar::{
    app::App,
    models::{customer_accounts, events, now},
    tasks::events_prune::EventsPrune,
};
use chrono::TimeDelta;
use loco_rs::{
    app::Hooks,
    task::{Task, Vars},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    assert_answer,
    support::{Answer, Client, Mismatches, PASSWORD, Shop, address},
};

#[tokio::test]
async fn each_step_of_an_order_is_an_event() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let lamp = admin.sell("Lamp", "9.00", 10).await;
    let mut log = Log::begin(&admin).await;
    let placed = ada.order(&[(lamp, 2)]).await;
    let order = format!("/orders/{}", placed.id());
    log.expect(&["order.placed"], &ada, &placed).await;
    for status in ["paid", "shipped", "delivered"] {
        let step = admin.patch(&order, json!({ "status": status })).await;
        log.expect(&[&format!("order.{status}")], &admin, &step)
            .await;
    }
    let second = ada.order(&[(lamp, 1)]).await;
    log.expect(&["order.placed"], &ada, &second).await;
    let cancel = format!("/orders/{}/cancel", second.id());
    let cancelled = ada.post(&cancel, json!({ "reason": "Too late" })).await;
    log.expect(&["order.cancelled"], &ada, &cancelled).await;
    assert_answer!(admin.get(&format!("/events/{}", log.last)).await);
    drop(shop);
}

#[tokio::test]
async fn each_change_of_a_product_is_an_event() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut log = Log::begin(&admin).await;
    let body = json!({ "name": "Lamp", "price": "9.00", "stock": 0 });
    let created = admin.post("/products", body.clone()).await;
    let path = format!("/products/{}", created.id());
    log.expect(&["product.created"], &admin, &created).await;
    for (change, happened) in [
        (json!({ "price": "8.00" }), &["product.updated"][..]),
        (
            json!({ "stock": 3 }),
            &["product.stock_changed", "product.back_in_stock"],
        ),
        (
            json!({ "stock": 0, "name": "Lamps" }),
            &["product.updated", "product.sold_out"],
        ),
        (
            json!({ "stock": null }),
            &["product.stock_changed", "product.back_in_stock"],
        ),
        (json!({ "stock": 7 }), &["product.stock_changed"]),
        (json!({ "stock": 7, "price": "8.00" }), &[]),
        (json!({}), &[]),
    ] {
        let changed = admin.patch(&path, change.clone()).await;
        assert_eq!(changed.outcome(), "200", "{change}");
        log.expect(happened, &admin, &changed).await;
    }
    let replaced = admin.put(&path, body.clone()).await;
    log.expect(&["product.updated", "product.sold_out"], &admin, &replaced)
        .await;
    let replaced = admin.put(&path, body).await;
    log.expect(&[], &admin, &replaced).await;
    for (delta, happened) in [
        (2, &["product.stock_changed", "product.back_in_stock"][..]),
        (-1, &["product.stock_changed"]),
        (-1, &["product.stock_changed", "product.sold_out"]),
    ] {
        let adjustment = json!({ "delta": delta, "reason": "counted" });
        let adjusted = admin.post(&format!("{path}/stock"), adjustment).await;
        log.expect(happened, &admin, &adjusted).await;
    }
    let deleted = admin.delete(&path).await;
    let events = log.news().await;
    assert_eq!(types(&events), ["product.deleted"]);
    assert_eq!(events[0]["data"], json!({ "id": created.id() }));
    assert_eq!(
        events[0]["request_id"],
        deleted.header("x-request-id").unwrap()
    );
}

#[tokio::test]
async fn an_order_that_takes_the_last_piece_sells_a_product_out_and_its_cancellation_brings_it_back()
 {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let [lamp, chair, rug] = [
        admin.sell("Lamp", "9.00", 2).await,
        admin.sell("Chair", "9.00", 3).await,
        admin.sell("Rug", "9.00", None).await,
    ];
    let mut log = Log::begin(&admin).await;
    let placed = ada.order(&[(chair, 1), (rug, 4), (lamp, 2)]).await;
    let events = log.news().await;
    assert_eq!(types(&events), ["order.placed", "product.sold_out"]);
    assert_eq!(
        events[1]["data"],
        admin.get(&format!("/products/{lamp}")).await.body
    );
    ada.post(&format!("/orders/{}/cancel", placed.id()), json!({}))
        .await;
    let events = log.news().await;
    assert_eq!(types(&events), ["order.cancelled", "product.back_in_stock"]);
    assert_eq!(
        events[1]["data"],
        admin.get(&format!("/products/{lamp}")).await.body
    );
}

#[tokio::test]
async fn each_change_of_a_customer_and_of_an_account_is_an_event() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut log = Log::begin(&admin).await;
    let body = json!({ "name": "Ada", "email": "ada@example.com" });
    let created = admin.post("/customers", body.clone()).await;
    let customer = format!("/customers/{}", created.id());
    log.expect(&["customer.created"], &admin, &created).await;
    for (change, happened) in [
        (
            json!({ "phone": "+44 20 7946 0018" }),
            &["customer.updated"][..],
        ),
        (json!({ "phone": "+44 20 7946 0018", "name": "Ada" }), &[]),
        (json!({}), &[]),
    ] {
        let changed = admin.patch(&customer, change).await;
        log.expect(happened, &admin, &changed).await;
    }
    let replaced = admin.put(&customer, body).await;
    log.expect(&["customer.updated"], &admin, &replaced).await;

    let body = json!({ "customer_id": created.id(), "username": "ada", "password": PASSWORD });
    let account = admin.post("/customer-accounts", body).await;
    log.expect(&["customer_account.created"], &admin, &account)
        .await;
    let path = format!("/customer-accounts/{}", account.id());
    let (updated, password) = (
        "customer_account.updated",
        "customer_account.password_changed",
    );
    for (change, happened) in [
        (json!({ "username": "ada.l" }), &[updated][..]),
        (json!({ "role": "admin" }), &[updated]),
        (json!({ "username": "ada.l", "role": "admin" }), &[]),
        (json!({}), &[]),
        (
            json!({ "password": "gravel otter 3 plinth dune" }),
            &[password],
        ),
        (
            json!({ "username": "ada", "password": PASSWORD }),
            &[updated, password],
        ),
    ] {
        let changed = admin.patch(&path, change).await;
        log.expect(happened, &admin, &changed).await;
    }
    let credentials = json!({ "username": "ada", "password": PASSWORD });
    let replaced = admin.put(&path, credentials).await;
    log.expect(&[password], &admin, &replaced).await;
    admin.delete(&customer).await;
    let events = log.news().await;
    assert_eq!(
        types(&events),
        ["customer_account.deleted", "customer.deleted"]
    );
    for (event, of) in events.iter().zip([&account, &created]) {
        assert_eq!(event["data"], json!({ "id": of.id() }));
    }
}

#[tokio::test]
async fn a_password_that_its_owner_changes_is_an_event_and_logging_in_and_out_is_none() {
    let (shop, admin, _) = Shop::open_with_customer("ada").await;
    let mut log = Log::begin(&admin).await;
    let ada = shop.logged_in("ada", PASSWORD).await;
    ada.post("/auth/logout", json!({})).await;
    assert_eq!(log.news().await, [Value::Null; 0]);
    let ada = shop.logged_in("ada", PASSWORD).await;
    let change =
        json!({ "current_password": PASSWORD, "new_password": "gravel otter 3 plinth dune" });
    assert_eq!(ada.put("/auth/password", change).await.outcome(), "204");
    let events = log.news().await;
    assert_eq!(types(&events), ["customer_account.password_changed"]);
    let path = format!("/customer-accounts/{}", ada.account_id);
    assert_eq!(events[0]["data"], admin.get(&path).await.body);
    assert_eq!(
        events[0]["actor"],
        json!({ "kind": "account", "id": ada.account_id, "name": "ada" })
    );
}

#[tokio::test]
async fn what_is_refused_or_replayed_is_no_event() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let lamp = admin.sell("Lamp", "9.00", 2).await;
    let order = json!({ "items": [{ "product_id": lamp, "quantity": 1 }] });
    let placed = ada.post_once("once", "/orders", &order).await.id();
    let mut log = Log::begin(&admin).await;
    let cancel = format!("/orders/{placed}/cancel");
    for _ in 0..2 {
        assert_eq!(ada.post_once("once", "/orders", &order).await.id(), placed);
    }
    let product = format!("/products/{lamp}");
    let etag = Some(json!({ "price": "1" }));
    for (answer, outcome) in [
        (
            ada.order(&[(lamp, 2)]).await,
            "409 insufficient-stock /items/0/quantity insufficient_stock",
        ),
        (
            admin
                .patch(
                    &format!("/orders/{placed}"),
                    json!({ "status": "delivered" }),
                )
                .await,
            "409 invalid-transition",
        ),
        (
            admin
                .send_if_match(Method::PATCH, &product, "\"old\"", etag.as_ref())
                .await,
            "412 precondition-failed",
        ),
        (
            admin
                .delete(&format!("/customer-accounts/{}", admin.account_id))
                .await,
            "409 conflict",
        ),
    ] {
        assert!(
            outcome.starts_with(&answer.outcome()[..3]),
            "{}",
            answer.body
        );
    }
    assert_eq!(log.news().await, [Value::Null; 0]);
    for _ in 0..2 {
        ada.post_once("cancel", &cancel, &json!({})).await;
    }
    assert_eq!(types(&log.news().await), ["order.cancelled"]);
}

#[tokio::test]
async fn events_are_found_by_what_happened_to_what_and_by_whom() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let lamp = admin.sell("Lamp", "9.00", 1).await;
    let order = ada.order(&[(lamp, 1)]).await.id();
    admin
        .patch(&format!("/orders/{order}"), json!({ "status": "paid" }))
        .await;
    let all = admin.get("/events").await.body;
    let time = |at: usize| all["items"][at]["occurred_at"].as_str().unwrap().to_owned();
    let (paid, placed) = (time(0), time(2));
    let (admin_id, ada_id) = (admin.account_id, ada.account_id);
    let mut mismatches = Mismatches::default();
    for (query, expected) in [
        ("type=order.placed".to_owned(), &["order.placed"][..]),
        ("type=order.*".to_owned(), &["order.paid", "order.placed"]),
        ("type=customer.*".to_owned(), &["customer.created"]),
        (
            format!("subject_kind=product&subject_id={lamp}"),
            &["product.sold_out", "product.created"],
        ),
        (format!("subject_kind=order&subject_id={}", order + 1), &[]),
        (
            format!("actor_kind=account&actor_id={ada_id}"),
            &["product.sold_out", "order.placed"],
        ),
        (
            format!("actor_kind=account&actor_id={admin_id}&type=order.*"),
            &["order.paid"],
        ),
        ("actor_kind=task".to_owned(), &[]),
        (format!("occurred_from={paid}"), &["order.paid"]),
        (
            format!("occurred_from={placed}&occurred_to={paid}"),
            &["product.sold_out", "order.placed"],
        ),
    ] {
        let found = admin.get(&format!("/events?{query}")).await;
        let found = found.body["items"].as_array().cloned().unwrap_or_default();
        mismatches.compare(query, types(&found), expected.to_vec());
    }
    for (query, outcome) in [
        ("page=1", "422 validation-failed /page unknown"),
        ("type=order.lost", "422 validation-failed /type choice"),
        ("type=*", "422 validation-failed /type choice"),
        (
            "subject_id=1",
            "422 validation-failed /subject_kind required",
        ),
        ("actor_id=1", "422 validation-failed /actor_kind required"),
        (
            "actor_kind=robot",
            "422 validation-failed /actor_kind choice",
        ),
        ("sort=occurred_at", "422 validation-failed /sort choice"),
        (
            "occurred_from=today",
            "422 validation-failed /occurred_from format",
        ),
        ("cursor=nonsense", "400 malformed-request"),
    ] {
        let answer = admin.get(&format!("/events?{query}")).await;
        mismatches.answer(query, &answer, outcome);
    }
    mismatches.answer("none", &admin.get("/events/999999").await, "404 not-found");
}

#[tokio::test]
async fn the_newest_come_first_and_each_once() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for number in 0..7 {
        admin.sell(&format!("Lamp {number}"), "9.00", None).await;
    }
    let mut path = "/events?page_size=3".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = admin.get(&path).await;
        assert_eq!(page.body.get("total_items"), None);
        seen.extend(ids(&page.body["items"]));
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/events?page_size=3&cursor={cursor}"),
            None => break,
        }
    }
    let all = ids(&admin.get("/events").await.body["items"]);
    assert!(all.is_sorted_by(|one, next| one > next), "{all:?}");
    assert_eq!((seen.len(), &seen), (8, &all));
}

#[tokio::test]
async fn an_event_that_was_seen_is_not_sent_again() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let path = format!("/events/{}", Log::begin(&admin).await.last);
    let shown = admin.get(&path).await;
    let etag = shown.header("etag").unwrap();
    let again = admin.get_if(&path, header::IF_NONE_MATCH, etag).await;
    assert_eq!(again.outcome(), "304");
}

#[tokio::test]
async fn an_account_that_is_locked_out_is_an_event_once_and_an_unknown_name_is_none() {
    let shop = Shop::open_with(&[("security", "login_failures", json!(2))]).await;
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    let mut log = Log::begin(&admin).await;
    for _ in 0..4 {
        shop.log_in("nobody", "not it at all").await;
    }
    let mut first = None;
    for _ in 0..6 {
        let answer = shop.log_in("Ada", "not it at all").await;
        if answer.status == 429 && first.is_none() {
            first = answer.header("x-request-id").map(str::to_owned);
        }
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut events = log.news().await;
    while events.is_empty() {
        assert!(Instant::now() < deadline, "it is not said");
        sleep(Duration::from_millis(20)).await;
        events = log.news().await;
    }
    assert_eq!(types(&events), ["customer_account.locked_out"]);
    let path = format!("/customer-accounts/{}", ada.account_id);
    assert_eq!(events[0]["data"], admin.get(&path).await.body);
    let system = json!({ "kind": "system", "id": null, "name": "system" });
    assert_eq!(events[0]["actor"], system);
    assert_eq!(events[0]["request_id"].as_str(), first.as_deref());
    // Another node knows nothing of it but what stands in the database.
    let there = shop.stranger().at(shop.another().await);
    for _ in 0..6 {
        let wrong = json!({ "username": "ada", "password": "not it at all" });
        there.post("/auth/login", wrong).await;
    }
    sleep(Duration::from_millis(500)).await;
    assert_eq!(log.news().await, [Value::Null; 0]);
}

#[tokio::test]
async fn who_deletes_their_own_account_is_not_named() {
    let (shop, admin) = Shop::open_with_admin().await;
    let boss = shop.customer_and_admin("boss").await;
    let path = format!("/customers/{}", boss.customer_id);
    assert_eq!(boss.delete(&path).await.outcome(), "204");
    let events = admin.get("/events?type=customer.deleted").await.body;
    let erased = json!({ "kind": "account", "id": boss.account_id, "name": "erased" });
    assert_eq!(events["items"][0]["actor"], erased);
    let all = admin.get("/events?page_size=100").await;
    assert!(!String::from_utf8(all.bytes).unwrap().contains("boss"));
}

#[tokio::test]
async fn what_an_erased_customer_bought_is_known_still() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let lamp = admin.sell("Lamp", "9.00", 2).await;
    let order = json!({
        "items": [{ "product_id": lamp, "quantity": 1 }], "note": "Ring twice", "shipping_address": address("41 Elm Road"),
    });
    let order = ada.post("/orders", order).await;
    let cancel = format!("/orders/{}/cancel", order.id());
    ada.post(&cancel, json!({ "reason": "I move" })).await;
    let path = format!("/customers/{}", ada.customer_id);
    assert_eq!(admin.delete(&path).await.outcome(), "204");
    let mut expected = order.body;
    expected["customer"]["name"] = "erased".into();
    expected["history"][0]["by"] = "erased".into();
    for field in ["email", "note", "shipping_address"] {
        expected[field] = Value::Null;
    }
    let placed = admin.get("/events?type=order.placed").await.body;
    assert_eq!(placed["items"][0]["data"], expected);
    let cancelled = admin.get("/events?type=order.cancelled").await.body;
    let cancelled = &cancelled["items"][0]["data"];
    let shown = admin.get(&format!("/orders/{}", expected["id"])).await.body;
    assert_eq!(cancelled["history"], shown["history"]);
    let account = admin
        .get("/events?type=customer_account.created")
        .await
        .body;
    let account = &account["items"][0]["data"];
    assert_eq!(account["username"], "erased");
    let email = format!("erased-{}@erased.invalid", ada.customer_id);
    assert_eq!(account["customer"]["email"], email);
}

#[tokio::test]
async fn the_demo_is_written_by_the_system() {
    let (shop, admin) = Shop::open_with_admin().await;
    App::seed(&shop.ctx, Path::new("")).await.unwrap();
    for types in [
        "product.created",
        "customer.created",
        "order.placed",
        "order.paid",
    ] {
        let events = admin
            .get(&format!("/events?page_size=100&type={types}"))
            .await;
        let events = events.body["items"].as_array().unwrap().clone();
        assert!(!events.is_empty(), "{types}");
        for event in events {
            assert_eq!(event["actor"]["kind"], "system");
            assert_eq!(event["request_id"], Value::Null);
        }
    }
}

#[tokio::test]
async fn events_hold_no_secrets() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let change =
        json!({ "current_password": PASSWORD, "new_password": "gravel otter 3 plinth dune" });
    assert_eq!(ada.put("/auth/password", change).await.outcome(), "204");
    let account = customer_accounts::Model::find(&shop.ctx.db, ada.account_id).await;
    let (account, _) = account.unwrap();
    let all = admin.get("/events?page_size=100").await;
    let all = String::from_utf8(all.bytes).unwrap();
    for secret in [
        PASSWORD,
        "gravel",
        "argon2",
        &account.pid,
        &account.password_hash,
    ] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn old_events_are_deleted_and_no_cursor_ends_with_them() {
    let shop = Shop::open_with(&[("events", "keep_days", json!(30))]).await;
    let admin = shop.admin().await;
    for number in 0..4 {
        admin.sell(&format!("Lamp {number}"), "9.00", None).await;
    }
    let page = admin.get("/events?sort=id&page_size=2&cursor=").await.body;
    let (seen, cursor) = (ids(&page["items"]), page["next_cursor"].as_str().unwrap());
    let (first, rest) = (seen[0], seen[1] + 1);
    events::Entity::update_many()
        .col_expr(
            events::Column::OccurredAt,
            Expr::value(now() - TimeDelta::days(31)),
        )
        .filter(events::Column::Id.lte(rest))
        .exec(&shop.ctx.db)
        .await
        .unwrap();
    EventsPrune.run(&shop.ctx, &Vars::default()).await.unwrap();
    let left = format!("/events?sort=id&cursor={cursor}");
    let left = admin.get(&left).await.body;
    let all = admin.get("/events?sort=id").await.body;
    assert_eq!(ids(&left["items"]), ids(&all["items"]));
    assert_eq!(ids(&all["items"]), [rest + 1, rest + 2]);
    assert_eq!(
        admin.get(&format!("/events/{first}")).await.outcome(),
        "404 not-found"
    );
    // At the end it is the same again.
    let end = left["next_cursor"].as_str().unwrap();
    let end = admin
        .get(&format!("/events?sort=id&cursor={end}"))
        .await
        .body;
    assert_eq!(
        (ids(&end["items"]).len(), end["next_cursor"].is_string()),
        (0, true)
    );
}

/// What an administrator has read of the events.
struct Log {
    admin: Client,
    last: i64,
}

impl Log {
    /// What happened so far does not matter.
    async fn begin(admin: &Client) -> Self {
        let mut log = Self {
            admin: admin.clone(),
            last: 0,
        };
        log.news().await;
        log
    }

    /// The events since the last time, oldest first.
    async fn news(&mut self) -> Vec<Value> {
        let newest = self.admin.get("/events?page_size=100").await.body;
        let mut news = newest["items"].as_array().unwrap().clone();
        news.retain(|event| event["id"].as_i64().unwrap() > self.last);
        news.reverse();
        if let Some(last) = news.last() {
            self.last = last["id"].as_i64().unwrap();
        }
        news
    }

    /// That an answer has made these happen, in this order, and each shows what was answered.
    async fn expect(&mut self, types: &[&str], by: &Client, answer: &Answer) {
        let news = self.news().await;
        assert_eq!(self::types(&news), types, "{}", answer.body);
        for event in news {
            assert_eq!(event["data"], answer.body);
            assert_eq!(event["subject"]["id"], answer.body["id"]);
            assert_eq!(event["actor"]["id"], by.account_id);
            assert_eq!(event["actor"]["kind"], "account");
            assert_eq!(event["request_id"], answer.header("x-request-id").unwrap());
            let kind = event["subject"]["kind"].as_str().unwrap();
            assert!(
                event["type"]
                    .as_str()
                    .unwrap()
                    .starts_with(&format!("{kind}."))
            );
        }
    }
}

fn types(events: &[Value]) -> Vec<&str> {
    let types = events.iter().map(|event| event["type"].as_str());
    types.map(Option::unwrap).collect()
}

fn ids(events: &Value) -> Vec<i64> {
    let events = events.as_array().unwrap().iter();
    events.map(|event| event["id"].as_i64().unwrap()).collect()
}

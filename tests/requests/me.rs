//! One's own data.

use std::collections::BTreeSet;

use axum::http::{Method, header};
use boxcar::{context::Context, tasks::customers_export::CustomersExport};
use loco_rs::task::{Task, Vars};
use serde_json::{Value, json};

use crate::{
    assert_answer,
    support::{PASSWORD, Shop},
};

#[tokio::test]
async fn people_see_themselves_and_an_account_without_a_customer_sees_nobody() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    assert_answer!(ada.get("/me").await);
    let boss = shop.customer_and_admin("boss").await;
    assert_eq!(boss.get("/me").await.body["email"], "boss@example.com");
    let farewell = json!({ "current_password": PASSWORD });
    for (method, path, body) in [
        (Method::GET, "/me", None),
        (Method::PATCH, "/me", Some(json!({ "name": "A" }))),
        (Method::POST, "/me/email", Some(json!({ "token": "x" }))),
        (Method::POST, "/me/erase", Some(farewell)),
        (Method::GET, "/me/export", None),
    ] {
        let answer = admin.send(method, path, body).await;
        answer.assert_problem(404, "not-found");
    }
}

#[tokio::test]
async fn name_and_phone_change_at_once_and_only_in_the_state_that_was_seen() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let seen = ada.get("/me").await;
    let etag = seen.header("etag").unwrap();
    let changes =
        json!({ "name": "Ada Lovelace", "phone": "+44 20 7946 0318", "email": "ada@example.com" });
    let changed = ada
        .send_if_match(Method::PATCH, "/me", etag, Some(&changes))
        .await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(changed.body["name"], "Ada Lovelace");
    let again = ada
        .send_if_match(Method::PATCH, "/me", etag, Some(&changes))
        .await;
    again.assert_problem(412, "precondition-failed");
    let now = ada.get("/me").await;
    assert_eq!(
        (now.header("etag"), &now.body),
        (changed.header("etag"), &changed.body)
    );
    assert_eq!(
        ada.patch("/me", json!({ "phone": null })).await.body["phone"],
        Value::Null
    );
    let events = admin.get("/events?type=customer.updated&page_size=1").await;
    assert_eq!(events.body["items"][0]["actor"]["name"], "ada");
    // What administrators change is seen at once.
    let path = format!("/customers/{}", ada.customer_id);
    admin.patch(&path, json!({ "name": "Ada King" })).await;
    assert_eq!(ada.get("/me").await.body["name"], "Ada King");
}

#[tokio::test]
async fn every_broken_rule_is_named_and_nothing_changes() {
    let (_shop, _, ada) = Shop::open_with_customer("ada").await;
    let body = json!({ "name": "", "phone": "x", "email": "x", "role": "admin", "customer_id": 7 });
    let answer = ada.patch("/me", body).await;
    let faults: BTreeSet<_> = answer
        .faults()
        .into_iter()
        .map(|(pointer, _)| pointer)
        .collect();
    let expected = ["/name", "/phone", "/email", "/role", "/customer_id"];
    assert_eq!(faults, expected.into());
    assert_eq!(ada.get("/me").await.body["name"], "ada");
}

#[tokio::test]
async fn another_email_needs_the_password_and_stays_the_old_one_until_it_is_proven() {
    let (shop, _mails) = Shop::open_with_mails().await;
    let ada = shop.customer("ada").await;
    let bob = shop.customer("bob").await;
    let to = |email: &str| json!({ "email": email, "name": "Ada L", "current_password": PASSWORD });
    let without = ada
        .patch("/me", json!({ "email": "ada@example.org" }))
        .await;
    without.assert_invalid(&[("/current_password", "required")]);
    let wrong = json!({ "email": "ada@example.org", "name": "A", "current_password": "wrong" });
    let wrong = ada.patch("/me", wrong).await;
    wrong.assert_invalid(&[("/current_password", "mismatch")]);
    let free = ada.patch("/me", to("Ada@example.org")).await;
    assert_eq!(
        (free.status.as_u16(), &free.body["email"]),
        (200, &json!("ada@example.com"))
    );
    assert_eq!(free.body["name"], "Ada L");
    let taken = ada.patch("/me", to("BOB@example.com")).await;
    assert_eq!((taken.status, &taken.body), (free.status, &free.body));
    assert_eq!(shop.mails_to("Ada@example.org").await, ["email_change"]);
    assert_eq!(shop.mails_to("bob@example.com").await, ["email_taken"]);
    let asked = "email_change_requested";
    assert_eq!(shop.mails_to("ada@example.com").await, [asked, asked]);
    let proof = json!({ "token": shop.code_for("Ada@example.org").await });
    let others = bob.post("/me/email", proof.clone()).await;
    others.assert_invalid(&[("/token", "invalid")]);
    let moved = ada.post_once("move", "/me/email", &proof).await;
    assert_eq!(moved.body["email"], "Ada@example.org", "{}", moved.body);
    let again = ada.post_once("move", "/me/email", &proof).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    ada.post("/me/email", proof)
        .await
        .assert_invalid(&[("/token", "invalid")]);
    assert_eq!(shop.log_in("ada@example.org", PASSWORD).await.status, 200);
    assert_eq!(shop.log_in("ada@example.com", PASSWORD).await.status, 401);
}

#[tokio::test]
async fn an_email_that_is_taken_by_then_is_refused() {
    let (shop, _mails) = Shop::open_with_mails().await;
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    let body = json!({ "email": "ada@example.org", "current_password": PASSWORD });
    ada.patch("/me", body).await;
    let token = shop.code_for("ada@example.org").await;
    let taken = json!({ "name": "Faster", "email": "ADA@example.org" });
    assert_eq!(admin.post("/customers", taken).await.status, 201);
    let answer = ada.post("/me/email", json!({ "token": token })).await;
    answer.assert_invalid(&[("/token", "invalid")]);
    assert_eq!(ada.get("/me").await.body["email"], "ada@example.com");
}

#[tokio::test]
async fn wrong_passwords_are_counted_as_failed_logins() {
    let mails = tempfile::tempdir().unwrap();
    let settings = [
        ("security", "login_failures", json!(4)),
        ("mail", "dir", json!(mails.path())),
    ];
    let shop = Shop::open_with(&settings).await;
    let ada = shop.customer("ada").await;
    let email = |password: &str| json!({ "email": "a@example.org", "current_password": password });
    assert_eq!(ada.patch("/me", email("wrong")).await.status, 422);
    assert_eq!(
        ada.patch("/me", json!({ "email": "a@example.org" }))
            .await
            .status,
        422
    );
    let farewell = json!({ "current_password": "wrong" });
    assert_eq!(ada.post("/me/erase", farewell.clone()).await.status, 422);
    assert_eq!(shop.log_in("ada", "wrong").await.status, 401);
    for answer in [
        ada.patch("/me", email(PASSWORD)).await,
        ada.post("/me/erase", farewell).await,
        shop.log_in("ada@example.com", PASSWORD).await,
    ] {
        answer.assert_problem(429, "rate-limited");
    }
    assert_eq!(ada.patch("/me", json!({ "name": "Ada" })).await.status, 200);
    // That the account is locked out is written beside the answers: before the database goes.
    let writes = &Context::of(&shop.ctx).unwrap().draining.writes;
    writes.close();
    writes.wait().await;
}

#[tokio::test]
async fn who_leaves_is_gone_unless_an_order_is_under_way() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let lamp = admin.sell("Lamp", "5", None).await;
    let order = format!("/orders/{}", ada.order(&[(lamp, 1)]).await.id());
    let farewell = json!({ "current_password": PASSWORD });
    for status in ["paid", "shipped"] {
        let open = ada.post("/me/erase", farewell.clone()).await;
        open.assert_problem(409, "open-orders");
        admin.patch(&order, json!({ "status": status })).await;
    }
    ada.post("/me/erase", json!({}))
        .await
        .assert_invalid(&[("/current_password", "required")]);
    assert_eq!(ada.post("/me/erase", farewell).await.outcome(), "204");
    ada.get("/me").await.assert_problem(401, "unauthenticated");
    assert_eq!(shop.log_in("ada", PASSWORD).await.status, 401);
    assert_eq!(admin.get(&order).await.body["customer"]["name"], "erased");
}

#[tokio::test]
async fn the_last_administrator_cannot_leave() {
    let shop = Shop::open().await;
    let boss = shop.customer_and_admin("boss").await;
    let left = boss
        .post("/me/erase", json!({ "current_password": PASSWORD }))
        .await;
    left.assert_problem(409, "conflict");
}

#[tokio::test]
async fn an_export_is_complete_and_shows_nobody_else() {
    let (shop, _mails) = Shop::open_with_mails().await;
    let admin = shop.admin_named("secret-admin").await;
    let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
    let lamp = admin.sell("Lamp", "5", None).await;
    for _ in 0..3 {
        assert_eq!(ada.order(&[(lamp, 1)]).await.status, 201);
    }
    bob.order(&[(lamp, 1)]).await;
    let path = format!("/customers/{}", ada.customer_id);
    admin
        .patch(&path, json!({ "phone": "+44 20 7946 0318" }))
        .await;
    let visitor = shop.visitor().await;
    visitor
        .post(
            "/auth/password-reset",
            json!({ "email": "ada@example.com" }),
        )
        .await;
    let code = shop.code_for("ada@example.com").await;

    let export = ada.get("/me/export").await;
    assert_eq!(export.status, 200);
    assert_eq!(export.headers[header::CACHE_CONTROL], "no-store");
    let name = format!("attachment; filename=\"customer-{}.json\"", ada.customer_id);
    assert_eq!(export.header("content-disposition"), Some(&*name));
    let fields = [
        "exported_at",
        "customer",
        "account",
        "addresses",
        "orders",
        "checkouts",
        "events",
        "mails",
    ];
    let found: BTreeSet<_> = export
        .body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(found, fields.into());
    let count = |list: &str| export.body[list].as_array().unwrap().len();
    // Both were created, and one was changed; three orders.
    assert_eq!(
        (count("orders"), count("events"), count("mails")),
        (3, 6, 4)
    );
    let me = ada.get("/me").await.body;
    assert_eq!(export.body["customer"]["phone"], me["phone"]);
    assert_eq!(export.body["account"]["username"], "ada");
    let order = &export.body["orders"][0];
    let shown = ada.get(&format!("/orders/{}", order["id"])).await.body;
    assert_eq!(*order, shown);
    let text = String::from_utf8(export.bytes.clone()).unwrap();
    for word in ["bob", "secret-admin", &code, "argon2", "digest"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    let by_admin = admin.get(&format!("{path}/export")).await;
    assert_eq!(by_admin.body["orders"], export.body["orders"]);
    assert_eq!(by_admin.body["events"], export.body["events"]);
    admin
        .get("/customers/404/export")
        .await
        .assert_problem(404, "not-found");
    ada.get("/me/export?page=1")
        .await
        .assert_invalid(&[("/page", "unknown")]);

    let vars = |id: &str| Vars::from_cli_args(vec![("id".to_owned(), id.to_owned())]);
    let id = ada.customer_id.to_string();
    CustomersExport.run(&shop.ctx, &vars(&id)).await.unwrap();
    for wrong in ["404", "x"] {
        CustomersExport
            .run(&shop.ctx, &vars(wrong))
            .await
            .unwrap_err();
    }
}

#[tokio::test]
async fn an_export_of_many_orders_has_each_once() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let lamp = admin.sell("Lamp", "5", None).await;
    for _ in 0..205 {
        assert_eq!(ada.order(&[(lamp, 1)]).await.status, 201);
    }
    let export = ada.get("/me/export").await.body;
    let ids = |list: &Value| -> Vec<i64> {
        let items = list.as_array().unwrap().iter();
        items.map(|item| item["id"].as_i64().unwrap()).collect()
    };
    let orders = ids(&export["orders"]);
    assert_eq!(orders.len(), 205);
    assert!(orders.is_sorted_by(|one, next| one < next));
    let events: BTreeSet<_> = ids(&export["events"]).into_iter().collect();
    assert_eq!(
        (events.len(), export["events"].as_array().unwrap().len()),
        (207, 207)
    );
}

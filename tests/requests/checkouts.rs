//! Checkouts: carts, holds, codes, and orders that they become.

use axum::http::{Method, header};
use boxcar::{context::Context, workers::sweeper};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Mismatches, Shop, address, assert_invariants, order_lines};

/// A store that sells a lamp, of which there are ten pieces, for 9.99, ships for 4.90, and taxes with 19 %.
struct Store {
    shop: Shop,
    admin: Client,
    visitor: Client,
    lamp: i64,
    shipping: i64,
}

impl Store {
    async fn open() -> Self {
        Self::open_with(&[]).await
    }

    async fn open_with(settings: &[(&str, &str, Value)]) -> Self {
        let shop = Shop::open_with(settings).await;
        let admin = shop.admin().await;
        let lamp = admin.sell("Lamp", "9.99", 10).await;
        let rate = json!({ "name": "Post", "countries": ["GB"], "price": "4.90" });
        let shipping = admin.post("/shipping-rates", rate).await.id();
        let rate = json!({ "name": "VAT", "country": "GB", "rate": "19" });
        assert_eq!(admin.post("/tax-rates", rate).await.outcome(), "201");
        Self {
            visitor: admin.publishable_key().await,
            shop,
            admin,
            lamp,
            shipping,
        }
    }

    /// Opens a checkout of so many lamps.
    async fn cart(&self, client: &Client, lamps: i64) -> String {
        let body = json!({ "items": order_lines(&[(self.lamp, lamps)]) });
        path(&client.post("/checkouts", body).await)
    }

    /// Opens one that can be completed.
    async fn full_cart(&self, client: &Client, lamps: i64) -> String {
        path(&client.post("/checkouts", self.body(lamps)).await)
    }

    fn body(&self, lamps: i64) -> Value {
        json!({
            "items": order_lines(&[(self.lamp, lamps)]), "email": "ada@example.com",
            "shipping_address": address("12 Hill Street"), "shipping_option_id": self.shipping,
        })
    }

    async fn stock(&self) -> i64 {
        let lamp = self.admin.get(&format!("/products/{}", self.lamp)).await;
        lamp.body["stock"].as_i64().unwrap()
    }

    async fn code(&self, code: &str, more: Value) -> String {
        let mut body = json!({ "code": code, "kind": "percentage", "value": "10" });
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        format!(
            "/discounts/{}",
            self.admin.post("/discounts", body).await.id()
        )
    }

    async fn sweep(&self) {
        let ctx = Context::of(&self.shop.ctx).unwrap();
        sweeper::sweep(&ctx).await.unwrap();
    }

    /// What has happened of that kind, oldest first.
    async fn events(&self, kind: &str) -> Vec<Value> {
        let path = format!("/events?type={kind}.*&sort=id");
        self.admin.get(&path).await.body["items"]
            .as_array()
            .unwrap()
            .clone()
    }
}

fn path(checkout: &Answer) -> String {
    assert_eq!(checkout.outcome(), "201", "{}", checkout.body);
    format!("/checkouts/{}", checkout.body["id"].as_str().unwrap())
}

fn codes(checkout: &Value) -> Vec<&str> {
    let messages = checkout["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["code"].as_str().unwrap())
        .collect()
}

async fn complete(client: &Client, path: &str, total: &str) -> Answer {
    client
        .post(
            &format!("{path}/complete"),
            json!({ "expected_total": total }),
        )
        .await
}

#[tokio::test]
async fn a_visitor_comes_from_an_empty_cart_to_an_order() {
    let store = Store::open().await;
    let opened = store.visitor.post("/checkouts", json!({})).await;
    let path = path(&opened);
    assert_eq!(opened.header("location"), Some(&*format!("/api/v1{path}")));
    assert_eq!(opened.header("cache-control"), Some("no-store"));
    let missing = [
        "items-missing",
        "email-missing",
        "address-missing",
        "shipping-option-missing",
    ];
    assert_eq!(codes(&opened.body), missing);
    assert_eq!(opened.body["ready"], false);

    let item = format!("{path}/items/{}", store.lamp);
    let filled = store.visitor.put(&item, json!({ "quantity": 3 })).await;
    assert_eq!(filled.outcome(), "200");
    let line = json!({
        "product_id": store.lamp, "sku": null, "name": "Lamp", "unit_price": "9.99", "quantity": 3,
        "subtotal": "29.97", "discount": "0.00", "tax_rate": "0", "tax": "0.00", "total": "29.97",
    });
    assert_eq!(filled.body["items"], json!([line]));

    let to = json!({ "email": "Ada@example.com", "shipping_address": { "country": "GB" } });
    let addressed = store.visitor.patch(&path, to).await.body;
    let options = json!([{ "id": store.shipping, "name": "Post", "price": "4.90" }]);
    assert_eq!(addressed["shipping_options"], options);
    let incomplete = ["address-incomplete"; 3];
    assert_eq!(
        codes(&addressed),
        [&incomplete[..], &["shipping-option-missing"]].concat()
    );

    let rest = json!({ "shipping_address": address("12 Hill Street"), "shipping_option_id": store.shipping });
    let ready = store.visitor.patch(&path, rest).await.body;
    assert_eq!((codes(&ready), &ready["ready"]), (vec![], &json!(true)));
    let totals = json!({
        "subtotal": "29.97", "discount": "0.00", "shipping": "4.90", "tax": "5.57", "total": "34.87",
    });
    assert_eq!(ready["totals"], totals);
    assert_eq!(
        ready["taxes"],
        json!([{ "rate": "19", "net": "29.30", "tax": "5.57" }])
    );

    let placed = complete(&store.visitor, &path, "34.87").await;
    assert_eq!(placed.outcome(), "201", "{}", placed.body);
    assert_eq!(placed.body["customer"], Value::Null);
    assert_eq!(placed.body["history"][0]["by"], "guest");
    assert_eq!(placed.body["email"], "Ada@example.com");
    let order = format!("/orders/{}", placed.id());
    assert_eq!(placed.header("location"), Some(&*format!("/api/v1{order}")));
    assert_eq!(store.stock().await, 7);
    let shown = store.admin.get(&order).await.body;
    assert_eq!(shown["customer"]["name"], "Ada Lovelace");
    assert_eq!(
        (&shown["total"], &shown["shipping_name"]),
        (&json!("34.87"), &json!("Post"))
    );

    let completed = store.visitor.get(&path).await.body;
    assert_eq!(completed["status"], "completed");
    assert_eq!(completed["customer_id"], Value::Null);
    assert_eq!(completed["order"]["id"], placed.body["id"]);
    assert_eq!(completed["totals"], totals);
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test]
async fn a_checkout_is_completed_once_and_shows_its_order_to_who_asks_again() {
    let store = Store::open().await;
    let path = store.full_cart(&store.visitor, 1).await;
    let placed = complete(&store.visitor, &path, "14.89").await;
    assert_eq!(placed.outcome(), "201", "{}", placed.body);
    let status = json!({ "status": "paid" });
    store
        .admin
        .patch(&format!("/orders/{}", placed.id()), status)
        .await;
    let again = complete(&store.visitor, &path, "14.89").await;
    assert_eq!(
        (again.outcome(), &again.body["id"]),
        ("200".to_owned(), &placed.body["id"])
    );
    assert_eq!(again.body["status"], "paid");
    let other = complete(&store.visitor, &path, "14.90").await;
    other.assert_problem(409, "invalid-transition");
    assert_eq!(store.admin.get("/orders").await.body["total_items"], 1);
    assert_eq!(store.stock().await, 9);
    for (method, to, body) in [
        (Method::PATCH, path.clone(), json!({ "note": "too late" })),
        (
            Method::PUT,
            format!("{path}/items/{}", store.lamp),
            json!({ "quantity": 2 }),
        ),
        (Method::POST, format!("{path}/hold"), json!({})),
        (Method::POST, format!("{path}/cancel"), json!({})),
    ] {
        let answer = store.visitor.send(method, &to, Some(body)).await;
        answer.assert_problem(409, "invalid-transition");
    }
}

#[tokio::test]
async fn everybody_sees_only_what_is_theirs() {
    let store = Store::open().await;
    let (ada, ben) = (
        store.shop.customer("ada").await,
        store.shop.customer("ben").await,
    );
    let robot = store.admin.secret_key(&["checkouts:write"]).await;
    let window = store.admin.secret_key(&["visitors"]).await;
    let guests = store.cart(&store.visitor, 1).await;
    let adas = store.cart(&ada, 1).await;
    let mut mismatches = Mismatches::default();
    for (who, client, of_guest, of_ada) in [
        ("visitor", &store.visitor, "200", "404 not-found"),
        ("window", &window, "200", "404 not-found"),
        ("ada", &ada, "200", "200"),
        ("ben", &ben, "200", "404 not-found"),
        ("admin", &store.admin, "200", "200"),
        ("robot", &robot, "200", "200"),
    ] {
        mismatches.answer(
            format!("{who} {guests}"),
            &client.get(&guests).await,
            of_guest,
        );
        for (method, path, body) in [
            (Method::GET, adas.clone(), None),
            (Method::PATCH, adas.clone(), Some(json!({ "note": "x" }))),
            (
                Method::PUT,
                format!("{adas}/items/{}", store.lamp),
                Some(json!({ "quantity": 2 })),
            ),
        ] {
            let answer = client.send(method.clone(), &path, body).await;
            mismatches.answer(format!("{who} {method} {path}"), &answer, of_ada);
        }
    }
    for id in ["chk_short", "7", "chk_0000000000000000000000"] {
        let answer = store.visitor.get(&format!("/checkouts/{id}")).await;
        mismatches.answer(id, &answer, "404 not-found");
    }
}

#[tokio::test]
async fn a_visitors_checkout_becomes_the_customers_who_changes_it_first() {
    let store = Store::open().await;
    let (ada, ben) = (
        store.shop.customer("ada").await,
        store.shop.customer("ben").await,
    );
    let path = store.full_cart(&store.visitor, 1).await;
    store
        .admin
        .patch(&path, json!({ "note": "Administrators take none." }))
        .await;
    assert_eq!(
        store.visitor.get(&path).await.body["customer_id"],
        Value::Null
    );
    assert_eq!(ada.get(&path).await.body["customer_id"], Value::Null);
    let refused = ada.patch(&path, json!({ "discount_code": 7 })).await;
    refused.assert_invalid(&[("/discount_code", "type")]);
    assert_eq!(store.visitor.get(&path).await.outcome(), "200");

    let taken = ada.patch(&path, json!({ "note": "Mine." })).await;
    assert_eq!(taken.body["customer_id"], ada.customer_id);
    assert_eq!(taken.body["email"], "ada@example.com");
    for other in [&store.visitor, &ben] {
        assert_eq!(other.get(&path).await.outcome(), "404 not-found");
        let late = other.patch(&path, json!({ "note": "No." })).await;
        assert_eq!(late.outcome(), "404 not-found");
    }
    let own = ada.get("/checkouts").await.body;
    assert_eq!(
        (&own["total_items"], &own["items"][0]["note"]),
        (&json!(1), &json!("Mine."))
    );
    assert_eq!(ben.get("/checkouts").await.body["total_items"], 0);
    let placed = complete(&ada, &path, "14.89").await;
    assert_eq!(placed.outcome(), "201");
    assert_eq!(placed.body["customer"]["id"], ada.customer_id);
    assert_eq!(placed.body["history"][0]["by"], "ada");
}

#[tokio::test]
async fn who_runs_the_store_finds_abandoned_carts_and_opens_one_for_a_customer() {
    let store = Store::open().await;
    let ada = store.shop.customer("ada").await;
    let path = store.full_cart(&store.visitor, 1).await;
    let body = json!({ "customer_id": ada.customer_id, "items": order_lines(&[(store.lamp, 2)]) });
    let opened = store.admin.post("/checkouts", body.clone()).await;
    assert_eq!(opened.body["customer_id"], ada.customer_id);
    assert_eq!(opened.body["email"], "ada@example.com");
    for (filter, expected) in [
        ("", 2),
        ("status=open", 2),
        ("status=completed", 0),
        ("email=ADA@example.com", 2),
        ("email=ben@example.com", 0),
    ] {
        let list = store.admin.get(&format!("/checkouts?{filter}")).await;
        assert_eq!(list.body["total_items"], expected, "{filter}");
    }
    let of_ada = store
        .admin
        .get(&format!("/checkouts?customer_id={}", ada.customer_id))
        .await;
    assert_eq!(of_ada.body["items"][0]["id"], opened.body["id"]);
    assert_eq!(
        store.admin.get(&path).await.body["customer_id"],
        Value::Null
    );
    for (client, of_whom) in [(&ada, 1), (&store.visitor, ada.customer_id)] {
        let mut body = body.clone();
        body["customer_id"] = json!(of_whom + 100);
        let refused = client.post("/checkouts", body).await;
        refused.assert_invalid(&[("/customer_id", "forbidden")]);
    }
    let nobody = store
        .admin
        .post("/checkouts", json!({ "customer_id": 1_000_000 }))
        .await;
    nobody.assert_invalid(&[("/customer_id", "reference")]);
    assert_eq!(
        store.visitor.get("/checkouts").await.outcome(),
        "403 forbidden"
    );
    let named = ada.get("/checkouts?email=ben@example.com").await;
    named.assert_invalid(&[("/email", "forbidden")]);
}

#[tokio::test]
async fn what_is_not_right_yet_is_said_and_the_checkout_stays_usable() {
    let store = Store::open().await;
    let rug = store.admin.sell("Rug", "100.00", 1).await;
    let mut body = store.body(1);
    body["items"] = order_lines(&[(store.lamp, 11), (rug, 1)]);
    body["discount_code"] = json!("NOTHING");
    let path = path(&store.visitor.post("/checkouts", body).await);
    store
        .admin
        .patch(
            &format!("/products/{}", store.lamp),
            json!({ "price": "8.00" }),
        )
        .await;
    store.admin.delete(&format!("/products/{rug}")).await;
    store
        .admin
        .delete(&format!("/shipping-rates/{}", store.shipping))
        .await;
    let shown = store.visitor.get(&path).await.body;
    let expected = [
        "out-of-stock",
        "price-changed",
        "product-gone",
        "code-not-applicable",
    ];
    assert_eq!(codes(&shown), expected, "{shown}");
    let messages = &shown["messages"];
    assert_eq!(
        (&messages[0]["requested"], &messages[0]["available"]),
        (&json!(11), &json!(10))
    );
    let pointers: Vec<_> = (0..4).map(|at| messages[at]["pointer"].clone()).collect();
    assert_eq!(
        pointers,
        ["/items/0", "/items/0", "/items/1", "/discount_code"]
    );
    let blocking: Vec<_> = (0..4).map(|at| messages[at]["blocking"].clone()).collect();
    assert_eq!(blocking, [true, false, true, false]);
    let refused = complete(&store.visitor, &path, "1.00").await;
    refused.assert_invalid(&[("/items/1", "product-gone")]);

    store.visitor.delete(&format!("{path}/items/{rug}")).await;
    let lamp = format!("{path}/items/{}", store.lamp);
    let mended = store
        .visitor
        .put(&lamp, json!({ "quantity": 2 }))
        .await
        .body;
    assert_eq!(codes(&mended), ["code-not-applicable"]);
    assert_eq!(
        (&mended["totals"]["total"], &mended["ready"]),
        (&json!("16.00"), &json!(true))
    );
    assert_eq!(complete(&store.visitor, &path, "16").await.outcome(), "201");
}

#[tokio::test]
async fn the_total_that_the_buyer_has_not_seen_is_not_charged() {
    let store = Store::open().await;
    let path = store.full_cart(&store.visitor, 1).await;
    let lamp = format!("/products/{}", store.lamp);
    store.admin.patch(&lamp, json!({ "price": "19.99" })).await;
    let refused = complete(&store.visitor, &path, "14.89").await;
    refused.assert_problem(409, "totals-changed");
    let now = &refused.body["checkout"];
    assert_eq!(
        (&now["totals"]["total"], &now["id"]),
        (&json!("24.89"), &json!(path[11..]))
    );
    assert_eq!(codes(now), ["price-changed"]);
    assert_eq!(store.stock().await, 10);
    let missing = store
        .visitor
        .post(&format!("{path}/complete"), json!({}))
        .await;
    missing.assert_invalid(&[("/expected_total", "required")]);

    let robot = store.admin.secret_key(&["checkouts:write"]).await;
    let silent = robot.post(&format!("{path}/complete"), json!({})).await;
    silent.assert_problem(409, "totals-changed");
    robot.patch(&path, json!({ "note": "Seen." })).await;
    let placed = robot.post(&format!("{path}/complete"), json!({})).await;
    assert_eq!(
        (placed.outcome(), &placed.body["total"]),
        ("201".to_owned(), &json!("24.89"))
    );
}

#[tokio::test]
async fn the_published_example_is_what_a_checkout_and_an_order_cost() {
    for (include_tax, tax, total) in [(true, "9.16", "59.86"), (false, "10.87", "70.73")] {
        let settings = [("store", "prices_include_tax", json!(include_tax))];
        let shop = Shop::open_with(&settings).await;
        let admin = shop.admin().await;
        for (class, rate) in [("standard", "19"), ("reduced", "7")] {
            let rate = json!({ "name": "VAT", "country": "GB", "tax_class": class, "rate": rate });
            admin.post("/tax-rates", rate).await;
        }
        let rate = json!({ "name": "Post", "countries": ["*"], "price": "4.90" });
        let shipping = admin.post("/shipping-rates", rate).await.id();
        let code = json!({ "code": "TEN", "kind": "amount", "value": "10.00" });
        admin.post("/discounts", code).await;
        let first = admin.sell("Cup", "9.99", None).await;
        let book = json!({ "name": "Book", "price": "4.99", "tax_class": "reduced" });
        let lines = [
            (first, 3),
            (admin.add_product(book).await, 1),
            (admin.sell("Pan", "15.00", None).await, 2),
        ];
        let body = json!({
            "items": order_lines(&lines), "shipping_address": address("1 Elm Road"),
            "shipping_option_id": shipping, "discount_code": "ten",
        });
        let ada = shop.customer("ada").await;
        let ordered = ada.post("/orders", body.clone()).await;
        assert_eq!(ordered.outcome(), "201", "{}", ordered.body);
        let path = path(&ada.post("/checkouts", body).await);
        let totals = ada.get(&path).await.body["totals"].clone();
        let placed = complete(&ada, &path, total).await;
        assert_eq!(placed.outcome(), "201", "{}", placed.body);
        let expected = [
            ("subtotal", "64.96"),
            ("discount", "10.00"),
            ("shipping", "4.90"),
            ("tax", tax),
            ("total", total),
        ];
        for (field, expected) in expected {
            for shown in [&totals, &ordered.body, &placed.body] {
                assert_eq!(shown[field], expected, "{field}");
            }
        }
        let shares: Vec<_> = (0..3)
            .map(|line| placed.body["items"][line]["discount"].clone())
            .collect();
        assert_eq!(shares, ["4.61", "0.77", "4.62"]);
        assert_eq!(placed.body["discount_code"], "TEN");
        assert_eq!(placed.body["taxes"], ordered.body["taxes"]);
        assert_invariants(&shop.ctx.db).await;
    }
}

#[tokio::test]
async fn a_hold_takes_stock_and_follows_the_items_and_nobody_is_refused_because_of_their_own() {
    let store = Store::open().await;
    let path = store.full_cart(&store.visitor, 10).await;
    assert_eq!(store.stock().await, 10);
    let held = store.visitor.post(&format!("{path}/hold"), json!({})).await;
    assert_eq!(held.outcome(), "200", "{}", held.body);
    assert!(held.body["held_until"].is_string());
    assert_eq!((codes(&held.body), store.stock().await), (vec![], 0));
    let other = store.full_cart(&store.visitor, 1).await;
    let refused = complete(&store.visitor, &other, "14.89").await;
    refused.assert_problem(409, "insufficient-stock");
    assert_eq!(refused.body["errors"][0]["available"], 0);

    let lamp = format!("{path}/items/{}", store.lamp);
    let fewer = store.visitor.put(&lamp, json!({ "quantity": 4 })).await;
    assert_eq!(
        (fewer.outcome(), store.stock().await),
        ("200".to_owned(), 6)
    );
    assert_eq!(fewer.body["held_until"], held.body["held_until"]);
    let more = store.visitor.put(&lamp, json!({ "quantity": 11 })).await;
    more.assert_problem(409, "insufficient-stock");
    assert_eq!(more.body["errors"][0]["available"], 10);
    assert_eq!(store.stock().await, 6);
    store.visitor.put(&lamp, json!({ "quantity": 10 })).await;
    let placed = complete(&store.visitor, &path, "104.80").await;
    assert_eq!(placed.outcome(), "201", "{}", placed.body);
    assert_eq!(store.stock().await, 0);
    assert_invariants(&store.shop.ctx.db).await;

    let ledger = store
        .admin
        .get(&format!("/products/{}/stock", store.lamp))
        .await
        .body;
    let movements: Vec<_> = ledger["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|movement| {
            format!(
                "{} {}",
                movement["kind"].as_str().unwrap(),
                movement["delta"]
            )
        })
        .collect();
    assert_eq!(
        movements,
        ["initial 10", "hold -10", "release 6", "hold -6"]
    );
    assert_eq!(ledger["items"][0]["checkout_id"], path[11..]);
    let cancelled = store
        .admin
        .post(&format!("/orders/{}/cancel", placed.id()), json!({}))
        .await;
    assert_eq!(
        (cancelled.outcome(), store.stock().await),
        ("200".to_owned(), 10)
    );
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test]
async fn holds_tell_receivers_nothing_and_what_is_sold_or_cancelled_does() {
    let store = Store::open().await;
    let path = store.full_cart(&store.visitor, 10).await;
    store.visitor.post(&format!("{path}/hold"), json!({})).await;
    store
        .visitor
        .post(&format!("{path}/cancel"), json!({}))
        .await;
    let of_products = async || {
        let events = store.events("product").await.into_iter();
        events
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(of_products().await, ["product.created"]);
    assert_eq!(store.stock().await, 10);

    let path = store.full_cart(&store.visitor, 10).await;
    store.visitor.post(&format!("{path}/hold"), json!({})).await;
    let placed = complete(&store.visitor, &path, "104.80").await;
    store
        .admin
        .post(&format!("/orders/{}/cancel", placed.id()), json!({}))
        .await;
    let expected = [
        "product.created",
        "product.sold_out",
        "product.back_in_stock",
    ];
    assert_eq!(of_products().await, expected);
    let completed = &store.events("checkout").await;
    assert_eq!(
        (completed.len(), &completed[0]["type"]),
        (1, &json!("checkout.completed"))
    );
    assert_eq!(completed[0]["data"]["order"]["id"], placed.body["id"]);
}

#[tokio::test]
async fn a_hold_that_has_ended_is_released_by_the_sweep() {
    let store = Store::open_with(&[("checkout", "hold_minutes", json!(0.0001))]).await;
    let path = store.full_cart(&store.visitor, 10).await;
    let held = store.visitor.post(&format!("{path}/hold"), json!({})).await;
    assert_eq!((held.outcome(), store.stock().await), ("200".to_owned(), 0));
    until_past(&held.body["held_until"]).await;
    store.sweep().await;
    assert_eq!(store.stock().await, 10);
    assert_eq!(
        store.visitor.get(&path).await.body["held_until"],
        Value::Null
    );
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test]
async fn who_finds_too_little_stock_releases_what_has_ended_without_a_sweep() {
    let store = Store::open_with(&[("checkout", "hold_minutes", json!(0.0001))]).await;
    let ada = store.shop.customer("ada").await;
    let mut mismatches = Mismatches::default();
    for way in ["order", "complete", "hold", "adjustment"] {
        let abandoned = store.full_cart(&store.visitor, 10).await;
        let held = store
            .visitor
            .post(&format!("{abandoned}/hold"), json!({}))
            .await;
        until_past(&held.body["held_until"]).await;
        let answer = match way {
            "order" => ada.post("/orders", store.order(1)).await,
            "complete" => {
                let path = store.full_cart(&ada, 1).await;
                complete(&ada, &path, "14.89").await
            }
            "hold" => {
                let path = store.full_cart(&ada, 1).await;
                let held = ada.post(&format!("{path}/hold"), json!({})).await;
                ada.post(&format!("{path}/cancel"), json!({})).await;
                held
            }
            _ => {
                let one = json!({ "delta": -1, "reason": "broken" });
                store
                    .admin
                    .post(&format!("/products/{}/stock", store.lamp), one)
                    .await
            }
        };
        let expected = if matches!(way, "order" | "complete") {
            "201"
        } else {
            "200"
        };
        mismatches.answer(way, &answer, expected);
        let missing = 10 - store.stock().await;
        let back = json!({ "delta": missing, "reason": "again" });
        store
            .admin
            .post(&format!("/products/{}/stock", store.lamp), back)
            .await;
    }
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test]
async fn holds_are_off_where_the_store_says_so_and_end_an_hour_after_the_first() {
    let off = Store::open_with(&[("checkout", "hold_minutes", json!(0))]).await;
    let path = off.full_cart(&off.visitor, 1).await;
    let refused = off.visitor.post(&format!("{path}/hold"), json!({})).await;
    refused.assert_problem(409, "hold-disabled");
    assert_eq!(
        complete(&off.visitor, &path, "14.89").await.outcome(),
        "201"
    );

    let store = Store::open_with(&[("checkout", "hold_minutes", json!(60))]).await;
    let path = store.full_cart(&store.visitor, 1).await;
    let first = store.visitor.post(&format!("{path}/hold"), json!({})).await;
    let again = store.visitor.post(&format!("{path}/hold"), json!({})).await;
    assert_eq!(again.body["held_until"], first.body["held_until"]);
    assert_eq!(store.stock().await, 9);
    let empty = self::path(&store.visitor.post("/checkouts", json!({})).await);
    let nothing = store
        .visitor
        .post(&format!("{empty}/hold"), json!({}))
        .await;
    nothing.assert_invalid(&[("/items", "items-missing")]);
}

#[tokio::test]
async fn a_visitor_holds_so_many_pieces_and_no_more_and_may_order_them_still() {
    let settings = [("checkout", "hold_pieces", json!(3))];
    let store = Store::open_with(&settings).await;
    let many = store.full_cart(&store.visitor, 4).await;
    let refused = store.visitor.post(&format!("{many}/hold"), json!({})).await;
    refused.assert_invalid(&[("/items", "range")]);
    for _ in 0..3 {
        let path = store.full_cart(&store.visitor, 3).await;
        let held = store.visitor.post(&format!("{path}/hold"), json!({})).await;
        assert_eq!(held.outcome(), "200");
    }
    let path = store.full_cart(&store.visitor, 1).await;
    let full = store.visitor.post(&format!("{path}/hold"), json!({})).await;
    full.assert_invalid(&[("/items", "range")]);
    assert_eq!(
        complete(&store.visitor, &path, "14.89").await.outcome(),
        "201"
    );
    assert_eq!(store.stock().await, 0);
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test]
async fn visitors_open_and_hold_so_often_in_an_hour_and_those_who_run_the_store_as_often_as_they_like()
 {
    let store = Store::open_with(&[("checkout", "holds_per_hour", json!(3))]).await;
    let path = store.cart(&store.visitor, 1).await;
    let refused = store
        .visitor
        .post("/checkouts", json!({ "email": "nobody" }))
        .await;
    refused.assert_invalid(&[("/email", "format")]);
    store.cart(&store.visitor, 1).await;
    let hold = format!("{path}/hold");
    assert_eq!(store.visitor.post(&hold, json!({})).await.outcome(), "200");
    for path in ["/checkouts", &hold] {
        let refused = store.visitor.post(path, json!({})).await;
        refused.assert_problem(429, "rate-limited");
        assert!(refused.header("retry-after").is_some());
    }
    for _ in 0..5 {
        store.cart(&store.admin, 1).await;
    }
}

#[tokio::test]
async fn wrong_codes_are_tried_thirty_times_an_hour() {
    let store = Store::open_with(&[("checkout", "holds_per_hour", json!(0))]).await;
    store.code("RIGHT", json!({})).await;
    let path = store.full_cart(&store.visitor, 1).await;
    let ada = store.shop.customer("ada").await;
    for number in 0..30 {
        let wrong = json!({ "discount_code": format!("WRONG{number}") });
        assert_eq!(store.visitor.patch(&path, wrong).await.outcome(), "200");
        let right = json!({ "discount_code": "right" });
        if number < 29 {
            assert_eq!(store.visitor.patch(&path, right).await.outcome(), "200");
        }
        let mut order = store.order(1);
        order["discount_code"] = json!(format!("WRONG{number}"));
        let refused = ada.post("/orders", order).await;
        refused.assert_invalid(&[("/discount_code", "reference")]);
    }
    let right = json!({ "discount_code": "RIGHT" });
    store
        .visitor
        .patch(&path, right.clone())
        .await
        .assert_problem(429, "rate-limited");
    let another = store.visitor.post("/checkouts", right.clone()).await;
    another.assert_problem(429, "rate-limited");
    let mut order = store.order(1);
    order["discount_code"] = json!("RIGHT");
    ada.post("/orders", order)
        .await
        .assert_problem(429, "rate-limited");
    assert_eq!(store.admin.patch(&path, right).await.outcome(), "200");
}

#[tokio::test]
async fn a_code_that_does_not_apply_says_why_and_takes_nothing_off() {
    let store = Store::open().await;
    for (code, more) in [
        ("LATER", json!({ "starts_at": "2999-01-01T00:00:00Z" })),
        ("EARLIER", json!({ "ends_at": "2020-01-01T00:00:00Z" })),
        ("OFF", json!({ "enabled": false })),
        ("BIG", json!({ "min_subtotal": "10.00" })),
    ] {
        store.code(code, more).await;
    }
    let path = store.full_cart(&store.visitor, 1).await;
    let mut reasons = Vec::new();
    for code in ["LATER", "EARLIER", "OFF", "NONE", "BIG"] {
        let shown = store
            .visitor
            .patch(&path, json!({ "discount_code": code }))
            .await
            .body;
        assert_eq!(codes(&shown), ["code-not-applicable"], "{code}");
        assert_eq!(shown["totals"]["discount"], "0.00");
        assert_eq!(shown["ready"], true);
        reasons.push(shown["messages"][0]["message"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        reasons,
        [
            "The code cannot be used yet.",
            "The code has expired.",
            "The code is not known.",
            "The code is not known.",
            "The code needs goods for at least 10.00.",
        ]
    );
    let lamp = format!("{path}/items/{}", store.lamp);
    let enough = store
        .visitor
        .put(&lamp, json!({ "quantity": 2 }))
        .await
        .body;
    assert_eq!(
        (codes(&enough), &enough["totals"]["discount"]),
        (vec![], &json!("2.00"))
    );
}

#[tokio::test]
async fn a_code_is_used_as_often_as_it_may_be_and_a_cancelled_order_gives_its_use_back() {
    let store = Store::open().await;
    let code = store.code("ONCE", json!({ "usage_limit": 1 })).await;
    let mut body = store.body(1);
    body["discount_code"] = json!("once");
    let (first, second) = (
        path(&store.visitor.post("/checkouts", body.clone()).await),
        path(&store.visitor.post("/checkouts", body).await),
    );
    let placed = complete(&store.visitor, &first, "13.89").await;
    assert_eq!(placed.outcome(), "201", "{}", placed.body);
    assert_eq!(store.admin.get(&code).await.body["used"], 1);
    let refused = complete(&store.visitor, &second, "13.89").await;
    refused.assert_problem(409, "totals-changed");
    assert_eq!(refused.body["checkout"]["totals"]["total"], "14.89");
    let smaller = store.admin.patch(&code, json!({ "usage_limit": 0 })).await;
    smaller.assert_invalid(&[("/usage_limit", "range")]);
    store
        .admin
        .post(&format!("/orders/{}/cancel", placed.id()), json!({}))
        .await;
    assert_eq!(store.admin.get(&code).await.body["used"], 0);
    assert_eq!(
        complete(&store.visitor, &second, "13.89").await.outcome(),
        "201"
    );
    assert_eq!(store.admin.delete(&code).await.outcome(), "204");
    let order = store
        .admin
        .get(&format!("/orders/{}", placed.id()))
        .await
        .body;
    assert_eq!(
        (&order["discount_code"], &order["discount"]),
        (&json!("ONCE"), &json!("1.00"))
    );
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test]
async fn a_customer_uses_a_code_as_often_as_they_may_and_a_guest_learns_it_when_they_complete() {
    let store = Store::open().await;
    store.code("MINE", json!({ "per_customer_limit": 1 })).await;
    let mut body = store.body(1);
    body["discount_code"] = json!("MINE");
    let first = path(&store.visitor.post("/checkouts", body.clone()).await);
    assert_eq!(
        complete(&store.visitor, &first, "13.89").await.outcome(),
        "201"
    );
    body["email"] = json!("ADA@example.com");
    let second = store.visitor.post("/checkouts", body.clone()).await;
    assert_eq!(
        (codes(&second.body), &second.body["totals"]["total"]),
        (vec![], &json!("13.89"))
    );
    let refused = complete(&store.visitor, &path(&second), "13.89").await;
    refused.assert_problem(409, "totals-changed");
    let now = &refused.body["checkout"];
    assert_eq!(
        (&now["totals"]["total"], codes(now)),
        (&json!("14.89"), vec!["code-not-applicable"])
    );
    assert_eq!(
        complete(&store.visitor, &path(&second), "14.89")
            .await
            .outcome(),
        "201"
    );
    body["email"] = json!("ben@example.com");
    let bens = path(&store.visitor.post("/checkouts", body).await);
    assert_eq!(
        complete(&store.visitor, &bens, "13.89").await.outcome(),
        "201"
    );
}

#[tokio::test]
async fn a_key_of_visitors_is_a_secret_and_counts_for_its_checkout() {
    let store = Store::open().await;
    let (long, short) = ("0123456789012345678901", "012345678901234567890");
    let refused = store
        .visitor
        .post_once(short, "/checkouts", &store.body(1))
        .await;
    refused.assert_problem(400, "malformed-request");
    let opened = store
        .visitor
        .post_once(long, "/checkouts", &store.body(1))
        .await;
    let again = store
        .visitor
        .post_once(long, "/checkouts", &store.body(1))
        .await;
    assert_eq!(opened.body["id"], again.body["id"]);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let other = store.full_cart(&store.visitor, 1).await;
    let expected = json!({ "expected_total": "14.89" });
    let mut orders = Vec::new();
    for path in [path(&opened), other] {
        let complete = format!("{path}/complete");
        let short = store.visitor.post_once(short, &complete, &expected).await;
        short.assert_problem(400, "malformed-request");
        let placed = store.visitor.post_once(long, &complete, &expected).await;
        let again = store.visitor.post_once(long, &complete, &expected).await;
        assert_eq!(
            (placed.outcome(), again.outcome()),
            ("201".to_owned(), "201".to_owned())
        );
        assert_eq!(placed.body, again.body);
        orders.push(placed.id());
    }
    assert_ne!(orders[0], orders[1]);
    let ben = store.shop.customer("ben").await;
    assert_eq!(
        ben.post_once(short, "/checkouts", &store.body(1))
            .await
            .outcome(),
        "201"
    );
}

#[tokio::test]
async fn what_is_not_changed_for_long_expires_and_a_visitors_is_forgotten_in_the_end() {
    let store = Store::open_with(&[("checkout", "days", json!(0.00002))]).await;
    let ada = store.shop.customer("ada").await;
    let (guests, adas) = (
        store.full_cart(&store.visitor, 1).await,
        store.full_cart(&ada, 1).await,
    );
    until_past(&ada.get(&adas).await.body["expires_at"]).await;
    // Nobody has swept yet.
    assert_eq!(store.visitor.get(&guests).await.body["status"], "expired");
    let late = complete(&store.visitor, &guests, "14.89").await;
    late.assert_problem(409, "invalid-transition");
    store.sweep().await;
    let expired = store.events("checkout").await;
    assert_eq!(
        (expired.len(), &expired[0]["type"]),
        (2, &json!("checkout.expired"))
    );
    assert_eq!(expired[0]["data"]["email"], "ada@example.com");
    let shown = ada.get(&adas).await.body;
    assert_eq!(
        (&shown["status"], &shown["expires_at"]),
        (&json!("expired"), &Value::Null)
    );
    until(async || store.visitor.get(&guests).await.outcome() == "404 not-found").await;
    store.sweep().await;
    assert_eq!(ada.get(&adas).await.outcome(), "200");
    assert_eq!(store.admin.get("/checkouts").await.body["total_items"], 1);
    let of_guest = &store.events("checkout").await[0];
    assert_eq!(of_guest["data"], json!({ "id": guests[11..] }));
}

#[tokio::test]
async fn a_customer_who_is_erased_is_in_no_checkout() {
    let store = Store::open().await;
    let ada = store.shop.customer("ada").await;
    let (adas, guests) = (
        store.full_cart(&ada, 2).await,
        store.full_cart(&store.visitor, 3).await,
    );
    let completed = store.full_cart(&store.visitor, 1).await;
    for path in [&adas, &guests] {
        let client = if path == &adas { &ada } else { &store.visitor };
        assert_eq!(
            client
                .post(&format!("{path}/hold"), json!({}))
                .await
                .outcome(),
            "200"
        );
    }
    let placed = complete(&store.visitor, &completed, "14.89").await;
    store
        .admin
        .post(&format!("/orders/{}/cancel", placed.id()), json!({}))
        .await;
    let customer = format!("/customers/{}", ada.customer_id);
    let exported = store.admin.get(&format!("{customer}/export")).await.body;
    assert_eq!(exported["checkouts"].as_array().unwrap().len(), 3);
    assert_eq!(store.admin.delete(&customer).await.outcome(), "204");
    assert_eq!(store.stock().await, 10);
    for path in [&adas, &guests, &completed] {
        assert_eq!(store.admin.get(path).await.outcome(), "404 not-found");
    }
    let order = store
        .admin
        .get(&format!("/orders/{}", placed.id()))
        .await
        .body;
    assert_eq!(
        (&order["email"], &order["shipping_address"]),
        (&Value::Null, &Value::Null)
    );
    for event in store.events("checkout").await {
        assert_eq!(event["data"].as_object().unwrap().len(), 1, "{event}");
    }
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test]
async fn bad_input_names_every_broken_rule_and_changes_nothing() {
    let store = Store::open().await;
    let body = json!({
        "items": [{ "product_id": 9_999, "quantity": 1 }], "customer_id": 3, "shipping_address_id": 7,
    });
    let refused = store.visitor.post("/checkouts", body).await;
    refused.assert_invalid(&[
        ("/customer_id", "forbidden"),
        ("/items/0/product_id", "reference"),
        ("/shipping_address_id", "reference"),
    ]);
    let path = store.full_cart(&store.visitor, 1).await;
    let before = store.visitor.get(&path).await.body;
    for (body, fault) in [
        (
            json!({ "shipping_address": { "city": "London" } }),
            ("/shipping_address/country", "required"),
        ),
        (
            json!({ "shipping_address": address("1 Elm Road"), "shipping_address_id": 1 }),
            ("/shipping_address_id", "exclusive"),
        ),
        (
            json!({ "items": [{ "product_id": store.lamp, "quantity": 0 }] }),
            ("/items/0/quantity", "range"),
        ),
        (
            json!({ "items": order_lines(&[(store.lamp, 6_000), (store.lamp, 6_000)]) }),
            ("/items/1/quantity", "range"),
        ),
        (json!({ "items": null }), ("/items", "type")),
        (json!({ "total": "0.01" }), ("/total", "unknown")),
    ] {
        store
            .visitor
            .patch(&path, body)
            .await
            .assert_invalid(&[fault]);
    }
    let gone = store
        .visitor
        .put(&format!("{path}/items/9999"), json!({ "quantity": 1 }))
        .await;
    gone.assert_invalid(&[("/product_id", "reference")]);
    let absent = store.visitor.delete(&format!("{path}/items/9999")).await;
    assert_eq!(absent.outcome(), "404 not-found");
    assert_eq!(store.visitor.get(&path).await.body, before);
}

#[tokio::test]
async fn a_change_of_what_was_changed_meanwhile_is_refused_on_request() {
    let store = Store::open().await;
    let path = store.full_cart(&store.visitor, 1).await;
    let old = store.visitor.get(&path).await;
    let old = old.header("etag").unwrap();
    let same = store
        .visitor
        .get_if(&path, header::IF_NONE_MATCH, old)
        .await;
    assert_eq!(same.outcome(), "304");
    let note = json!({ "note": "Changed." });
    let changed = store
        .visitor
        .send_if_match(Method::PATCH, &path, old, Some(&note))
        .await;
    assert_eq!(changed.outcome(), "200");
    let late = store
        .visitor
        .send_if_match(Method::PATCH, &path, old, Some(&note))
        .await;
    assert_eq!(late.outcome(), "412 precondition-failed");
    let now = changed.header("etag").unwrap();
    let lamp = format!("{path}/items/{}", store.lamp);
    let quantity = json!({ "quantity": 2 });
    let set = store
        .visitor
        .send_if_match(Method::PUT, &lamp, now, Some(&quantity))
        .await;
    assert_eq!(set.outcome(), "200");
}

impl Store {
    /// What a customer orders so many lamps with.
    fn order(&self, lamps: i64) -> Value {
        json!({
            "items": order_lines(&[(self.lamp, lamps)]), "shipping_address": address("12 Hill Street"),
            "shipping_option_id": self.shipping,
        })
    }
}

/// Waits until a moment is over.
async fn until_past(moment: &Value) {
    let moment: chrono::DateTime<chrono::Utc> = moment.as_str().unwrap().parse().unwrap();
    until(async || chrono::Utc::now() > moment).await;
}

/// Waits until something is so.
async fn until(is_so: impl AsyncFn() -> bool) {
    while !is_so().await {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

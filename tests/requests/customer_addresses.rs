//! The addresses of customers: their own, and for administrators those of every customer.

use axum::http::{Method, header};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Mismatches, Shop, address, assert_invariants, shown_address};

const OWN: &str = "/me/addresses";

/// An address as it is shown.
fn shown(id: i64, line1: &str, default: bool) -> Value {
    let mut shown = shown_address(line1);
    (shown["id"], shown["default"]) = (id.into(), default.into());
    shown
}

async fn added(client: &Client, line1: &str) -> i64 {
    client.post(OWN, address(line1)).await.id()
}

/// The first lines of a list, the default in brackets.
fn lines(list: &Answer) -> Vec<String> {
    let items = list.body["items"].as_array().unwrap().iter();
    items
        .map(
            |item| match (item["line1"].as_str().unwrap(), &item["default"]) {
                (line, Value::Bool(true)) => format!("[{line}]"),
                (line, _) => line.to_owned(),
            },
        )
        .collect()
}

/// What the newest events say, the oldest first: their types, and of which address.
async fn newest(admin: &Client, count: usize) -> Vec<String> {
    let events = admin.get(&format!("/events?page_size={count}")).await;
    let mut events = events.body["items"].as_array().unwrap().clone();
    events.reverse();
    let said = |event: &Value| {
        let data = &event["data"];
        let kind = event["type"].as_str().unwrap();
        format!("{kind} {} {}", data["id"], data["default"])
    };
    events.iter().map(said).collect()
}

#[tokio::test]
async fn an_address_is_added_shown_replaced_changed_and_deleted_and_each_is_an_event() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let full = json!({
        "name": "  Ada Lovelace ", "company": "Engines", "line1": "1 Elm Road", "line2": "Flat 2", "city": "Cafe\u{301}",
        "region": "Kent", "postal_code": "SE22 9XD", "country": "gb", "phone": "+44 20 7946\u{a0}0018",
    });
    let created = ada.post(OWN, full).await;
    let id = created.id();
    let path = format!("{OWN}/{id}");
    let expected = json!({
        "id": id, "name": "Ada Lovelace", "company": "Engines", "line1": "1 Elm Road", "line2": "Flat 2", "city": "Café",
        "region": "Kent", "postal_code": "SE22 9XD", "country": "GB", "phone": "+44 20 7946 0018", "default": true,
    });
    assert_eq!(created.header("location"), Some(&*format!("/api/v1{path}")));
    let got = ada.get(&path).await;
    assert_eq!((&created.body, &got.body), (&expected, &expected));
    assert_eq!(created.header("etag"), got.header("etag"));
    let event = admin.get("/events?page_size=1").await.body["items"][0].clone();
    assert_eq!(event["type"], "customer_address.created");
    assert_eq!(event["data"], expected);
    assert_eq!(
        event["subject"],
        json!({ "kind": "customer_address", "id": id })
    );
    assert_eq!(event["actor"]["id"], ada.account_id);
    // What may be missing and is, is cleared; the default stays.
    let replaced = ada.put(&path, address("2 Oak Street")).await;
    assert_eq!(replaced.body, shown(id, "2 Oak Street", true));
    let changed = ada
        .patch(&path, json!({ "line2": "Flat 3", "country": "xk" }))
        .await;
    assert_eq!(
        (&changed.body["line2"], &changed.body["country"]),
        (&json!("Flat 3"), &json!("XK"))
    );
    let cleared = ada
        .patch(&path, json!({ "line2": null, "country": "GB" }))
        .await;
    assert_eq!(cleared.body, replaced.body);
    assert_eq!(
        newest(&admin, 1).await,
        [format!("customer_address.updated {id} true")]
    );
    let events = admin
        .get("/events?type=customer_address.*&page_size=100")
        .await;
    for nothing in [
        json!({}),
        json!({ "country": " gb " }),
        json!({ "default": false }),
        json!({ "default": true }),
    ] {
        assert_eq!(ada.patch(&path, nothing).await.bytes, cleared.bytes);
    }
    let same = admin
        .get("/events?type=customer_address.*&page_size=100")
        .await;
    assert_eq!(same.body, events.body, "what changes nothing is no event");
    let stale = ada
        .send_if_match(Method::DELETE, &path, "\"other\"", None)
        .await;
    stale.assert_problem(412, "precondition-failed");
    let etag = cleared.header("etag").unwrap();
    let deleted = ada.send_if_match(Method::DELETE, &path, etag, None).await;
    assert_eq!(deleted.outcome(), "204");
    ada.get(&path).await.assert_problem(404, "not-found");
    let event = &admin.get("/events?page_size=1").await.body["items"][0];
    assert_eq!(event["type"], "customer_address.deleted");
    assert_eq!(event["data"], json!({ "id": id }));
}

#[tokio::test]
async fn one_address_always_is_the_default() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let mut unwanted = address("first");
    unwanted["default"] = false.into();
    let first = ada.post(OWN, unwanted).await.id();
    let (second, third) = (added(&ada, "second").await, added(&ada, "third").await);
    let list = async || lines(&ada.get(OWN).await);
    assert_eq!(list().await, ["[first]", "second", "third"]);
    let path = |id: i64| format!("{OWN}/{id}");
    // `true` moves it, and says so of both.
    let moved = ada.patch(&path(third), json!({ "default": true })).await;
    assert_eq!(moved.body["default"], true);
    assert_eq!(list().await, ["first", "second", "[third]"]);
    let said = |id, default| format!("customer_address.updated {id} {default}");
    assert_eq!(
        newest(&admin, 2).await,
        [said(first, false), said(third, true)]
    );
    // `false` changes nothing.
    let same = ada.patch(&path(third), json!({ "default": false })).await;
    assert_eq!(
        (same.outcome().as_str(), &same.body["default"]),
        ("200", &json!(true))
    );
    let mut whole = address("Third");
    whole["default"] = false.into();
    assert_eq!(ada.put(&path(third), whole).await.body["default"], true);
    let mut newer = address("fourth");
    newer["default"] = true.into();
    ada.post(OWN, newer).await;
    assert_eq!(list().await, ["first", "second", "Third", "[fourth]"]);
    assert_eq!(
        ada.put(&path(second), address("Second")).await.body["default"],
        false
    );
    // After it the oldest one left is the default.
    assert_eq!(ada.delete(&path(first)).await.outcome(), "204");
    assert_eq!(list().await, ["Second", "Third", "[fourth]"]);
    assert_eq!(ada.delete(&path(third + 1)).await.outcome(), "204");
    assert_eq!(list().await, ["[Second]", "Third"]);
    assert_eq!(
        newest(&admin, 2).await,
        [
            format!("customer_address.deleted {} null", third + 1),
            said(second, true)
        ]
    );
    assert_eq!(ada.delete(&path(third)).await.outcome(), "204");
    assert_eq!(ada.delete(&path(second)).await.outcome(), "204");
    assert_eq!(list().await, [""; 0]);
    added(&ada, "fifth").await;
    assert_eq!(list().await, ["[fifth]"]);
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn every_broken_rule_is_named() {
    let (_shop, _admin, ada) = Shop::open_with_customer("ada").await;
    let mut mismatches = Mismatches::default();
    for (body, faults) in [
        (
            json!({}),
            &[
                ("/name", "required"),
                ("/line1", "required"),
                ("/city", "required"),
                ("/country", "required"),
            ][..],
        ),
        (
            json!({
                "name": "", "company": "x".repeat(121), "line1": "x".repeat(201), "line2": "a\u{2028}b", "city": null,
                "region": 7, "postal_code": "x".repeat(21), "country": "UK", "phone": "", "default": "yes", "id": 1,
            }),
            &[
                ("/name", "length"),
                ("/company", "length"),
                ("/line1", "length"),
                ("/line2", "format"),
                ("/city", "required"),
                ("/region", "type"),
                ("/postal_code", "length"),
                ("/country", "choice"),
                ("/phone", "format"),
                ("/default", "type"),
                ("/id", "unknown"),
            ],
        ),
    ] {
        let refused = ada.post(OWN, body.clone()).await;
        mismatches.compare(&body, refused.faults(), faults.to_vec());
    }
    assert_eq!(ada.get(OWN).await.body["total_items"], 0);
    let path = format!("{OWN}/{}", added(&ada, "1 Elm Road").await);
    let patch = json!({ "name": null, "line1": null, "country": null, "default": null, "postal_code": null });
    ada.patch(&path, patch).await.assert_invalid(&[
        ("/name", "required"),
        ("/line1", "required"),
        ("/country", "required"),
        ("/default", "required"),
    ]);
    ada.put(&path, json!({ "name": "Ada" }))
        .await
        .assert_invalid(&[
            ("/line1", "required"),
            ("/city", "required"),
            ("/country", "required"),
        ]);
    assert_eq!(ada.get(&path).await.body["line1"], "1 Elm Road");
}

#[tokio::test]
async fn an_address_of_somebody_else_is_not_found() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let bob = shop.customer("bob").await;
    let (hers, his) = (
        added(&ada, "1 Elm Road").await,
        added(&bob, "2 Oak Street").await,
    );
    let theirs = |who: &Client, id: i64| format!("/customers/{}/addresses/{id}", who.customer_id);
    let mut mismatches = Mismatches::default();
    for (who, path) in [
        (&bob, format!("{OWN}/{hers}")),
        (&ada, format!("{OWN}/{his}")),
        (&ada, format!("{OWN}/404")),
        (&admin, theirs(&ada, his)),
        (&admin, theirs(&bob, hers)),
        (&admin, format!("/customers/404/addresses/{hers}")),
        // Who has no customer has no addresses.
        (&admin, format!("{OWN}/{hers}")),
    ] {
        let city = json!({ "city": "Bristol" });
        let answers = [
            who.get(&path).await,
            who.put(&path, address("3 Ash Lane")).await,
            who.patch(&path, city).await,
            who.delete(&path).await,
        ];
        for answer in answers {
            mismatches.answer(&path, &answer, "404 not-found");
        }
    }
    for list in [OWN, "/customers/404/addresses"] {
        mismatches.answer(list, &admin.get(list).await, "404 not-found");
        let answer = admin.post(list, address("3 Ash Lane")).await;
        mismatches.answer(list, &answer, "404 not-found");
    }
    for path in [
        "/me/addresses/one",
        "/customers/one/addresses/1",
        "/customers/1/addresses/+1",
        "/customers/1/addresses/1.0",
    ] {
        let who = if path.starts_with("/me") {
            &ada
        } else {
            &admin
        };
        mismatches.answer(path, &who.get(path).await, "400 malformed-request");
    }
    let typo = admin
        .get(&format!("{}?defualt=true", theirs(&ada, hers)))
        .await;
    typo.assert_invalid(&[("/defualt", "unknown")]);
    assert_eq!(lines(&ada.get(OWN).await), ["[1 Elm Road]"]);
    assert_eq!(lines(&bob.get(OWN).await), ["[2 Oak Street]"]);
}

#[tokio::test]
async fn administrators_and_customers_keep_the_same_addresses_and_read_each_others_writes() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let list = format!("/customers/{}/addresses", ada.customer_id);
    let created = admin.post(&list, address("1 Elm Road")).await;
    let id = created.id();
    assert_eq!(
        created.header("location"),
        Some(&*format!("/api/v1{list}/{id}"))
    );
    let (own, theirs) = (format!("{OWN}/{id}"), format!("{list}/{id}"));
    for (writer, path, city) in [
        (&ada, &own, "Bath"),
        (&admin, &theirs, "Bristol"),
        (&ada, &own, "Wells"),
    ] {
        let changed = writer.patch(path, json!({ "city": city })).await;
        assert_eq!(changed.body["city"], city);
        // Twice: from the database, and then from what is kept of it.
        for _ in 0..2 {
            for (reader, path) in [(&ada, &own), (&admin, &theirs)] {
                assert_eq!(reader.get(path).await.bytes, changed.bytes);
            }
            for list in [ada.get(OWN).await, admin.get(&list).await] {
                assert_eq!(list.body["items"], json!([changed.body]));
            }
        }
    }
    let boss = shop.customer_and_admin("boss").await;
    let of_boss = added(&boss, "5 Beech Walk").await;
    let own = boss.get(&format!("{OWN}/{of_boss}")).await;
    assert_eq!(own.body, shown(of_boss, "5 Beech Walk", true));
}

#[tokio::test]
async fn a_list_has_pages_by_number_and_by_cursor_and_is_not_sent_twice() {
    let (_shop, _admin, ada) = Shop::open_with_customer("ada").await;
    for line in ["a", "b", "c", "d", "e"] {
        added(&ada, line).await;
    }
    let page = ada.get("/me/addresses?page=2&page_size=2").await;
    assert_eq!(lines(&page), ["c", "d"]);
    assert_eq!(
        (&page.body["total_items"], &page.body["total_pages"]),
        (&json!(5), &json!(3))
    );
    let next = "</api/v1/me/addresses?page_size=2&page=3>; rel=\"next\"";
    assert!(page.header("link").unwrap().contains(next), "{page:?}");
    let etag = page.header("etag").unwrap();
    let again = ada
        .get_if(
            "/me/addresses?page=2&page_size=2",
            header::IF_NONE_MATCH,
            etag,
        )
        .await;
    assert_eq!(again.status, 304);
    assert_eq!(
        lines(&ada.get("/me/addresses?sort=-id&page_size=2").await),
        ["e", "d"]
    );
    let (mut walked, mut cursor) = (Vec::new(), Some(String::new()));
    while let Some(from) = cursor {
        let page = ada
            .get(&format!("/me/addresses?page_size=2&cursor={from}"))
            .await;
        walked.extend(lines(&page));
        cursor = page.body["next_cursor"].as_str().map(str::to_owned);
    }
    assert_eq!(walked, ["[a]", "b", "c", "d", "e"]);
    let refused = ada.get("/me/addresses?sort=city&page_size=0").await;
    refused.assert_invalid(&[("/page_size", "range"), ("/sort", "choice")]);
}

#[tokio::test]
async fn a_customer_has_twenty_addresses_at_most() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    for line in 1..=20 {
        added(&ada, &line.to_string()).await;
    }
    let list = format!("/customers/{}/addresses", ada.customer_id);
    for refused in [
        ada.post(OWN, address("21")).await,
        admin.post(&list, address("21")).await,
    ] {
        refused.assert_problem(409, "conflict");
    }
    let first = ada.get(OWN).await.body["items"][0]["id"].clone();
    assert_eq!(ada.delete(&format!("{OWN}/{first}")).await.outcome(), "204");
    assert_eq!(ada.post(OWN, address("21")).await.outcome(), "201");
    let other = shop.customer("bob").await;
    assert_eq!(other.post(OWN, address("1")).await.outcome(), "201");
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn a_request_that_is_sent_again_adds_one_address() {
    let (_shop, _admin, ada) = Shop::open_with_customer("ada").await;
    let body = address("1 Elm Road");
    let first = ada.post_once("home", OWN, &body).await;
    let again = ada.post_once("home", OWN, &body).await;
    assert_eq!((first.id(), &first.bytes), (again.id(), &again.bytes));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let other = ada.post_once("home", OWN, &address("2 Oak Street")).await;
    other.assert_problem(422, "idempotency-mismatch");
    assert_eq!(ada.get(OWN).await.body["total_items"], 1);
}

#[tokio::test]
async fn the_addresses_of_a_deleted_customer_are_deleted_and_their_events_say_nothing_of_them() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let first = added(&ada, "1 Elm Road").await;
    added(&ada, "2 Oak Street").await;
    let bob = shop.customer("bob").await;
    let his = added(&bob, "3 Ash Lane").await;
    let list = format!("/customers/{}/addresses", ada.customer_id);
    assert_eq!(admin.get(&list).await.body["total_items"], 2);
    let path = format!("{list}/{first}");
    assert_eq!(admin.get(&path).await.outcome(), "200");
    let customer = format!("/customers/{}", ada.customer_id);
    assert_eq!(admin.delete(&customer).await.outcome(), "204");
    for gone in [&list, &path] {
        admin.get(gone).await.assert_problem(404, "not-found");
    }
    let events = admin
        .get("/events?subject_kind=customer_address&page_size=100")
        .await;
    let events = events.body["items"].as_array().unwrap();
    let deleted = events
        .iter()
        .filter(|event| event["type"] == "customer_address.deleted");
    assert_eq!(deleted.count(), 2);
    for event in events {
        let id = &event["subject"]["id"];
        let expected = if *id == his {
            shown(his, "3 Ash Lane", true)
        } else {
            json!({ "id": id })
        };
        assert_eq!(event["data"], expected);
    }
    assert_eq!(lines(&bob.get(OWN).await), ["[3 Ash Lane]"]);
}

#[tokio::test]
async fn a_webhook_endpoint_is_told_of_addresses() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    for types in [
        json!(["customer_address.*"]),
        json!(["customer_address.deleted"]),
        json!(["customer.*"]),
        json!(["*"]),
    ] {
        let endpoint = json!({ "url": "https://example.com/hooks", "types": types });
        assert_eq!(
            admin.post("/webhook-endpoints", endpoint).await.outcome(),
            "201"
        );
    }
    let path = format!("{OWN}/{}", added(&ada, "1 Elm Road").await);
    assert_eq!(ada.delete(&path).await.outcome(), "204");
    let told = async |endpoint: i64| {
        let told = admin
            .get(&format!("/webhook-deliveries?endpoint_id={endpoint}"))
            .await;
        let told = told.body["items"].as_array().unwrap().clone();
        let types = told
            .iter()
            .map(|delivery| delivery["event"]["type"].as_str().unwrap().to_owned());
        types.filter(|kind| kind.starts_with("customer")).count()
    };
    assert_eq!(
        [told(1).await, told(2).await, told(3).await, told(4).await],
        [2, 1, 0, 2]
    );
}

//! Orders: R4 and R5.

use std::slice::from_ref;

use axum::http::StatusCode;
use boxcar::{
    models::{
        Actor, order_events, order_items,
        orders::{self, Scope},
        stock_movements,
        types::OrderStatus,
    },
    transaction,
};
use sea_orm::{EntityTrait, PaginatorTrait, QueryOrder};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    assert_answer,
    support::{Answer, Client, Mismatches, Shop, address, order_lines, shown_address},
};

#[tokio::test]
async fn the_line_that_takes_a_product_over_the_largest_quantity_is_refused() {
    let (shop, admin) = Shop::open_with_admin().await;
    let customer = shop.customer("ada").await;
    let id = admin.sell("Nail", "0.01", None).await;
    let line = |quantity: i64| json!({ "product_id": id, "quantity": quantity });
    let body = json!({ "items": [line(6_000), line(4_000), line(1)] });
    let answer = customer.post("/orders", body).await;
    answer.assert_invalid(&[("/items/2/quantity", "range")]);
    assert_eq!(customer.order(&[(id, 10_000)]).await.outcome(), "201");
}

#[tokio::test]
async fn a_customer_orders_for_itself() {
    let (shop, admin) = Shop::open_with_admin().await;
    let customer = shop.customer("grace").await;
    let teapot = json!({ "name": "Teapot", "price": "24.90", "sku": "POT-1", "stock": 8 });
    let items = order_lines(&[
        (admin.add_product(teapot).await, 2),
        (admin.add_product(a_cup(null())).await, 6),
    ]);
    let body = json!({
        "items": items, "shipping_address": address("1 Harbour Road"), "note": "Ring twice.",
    });
    let answer = customer.post("/orders", body).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn an_order_is_shown_at_its_location_as_it_was_placed() {
    let (_shop, _admin, customer, cup) = shop_with_cups(8).await;
    let placed = customer.order(&[(cup, 2)]).await;
    let path = placed.header("location").unwrap();
    let shown = customer.get(path.strip_prefix("/api/v1").unwrap()).await;
    assert_eq!((shown.status, &shown.body), (StatusCode::OK, &placed.body));
}

#[tokio::test]
async fn an_administrator_who_is_no_customer_has_to_say_for_whom() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let cup = admin.add_product(a_cup(null())).await;
    let answer = admin.order(&[(cup, 1)]).await;
    answer.assert_invalid(&[("/customer_id", "required")]);
}

#[tokio::test]
async fn an_administrator_who_is_a_customer_orders_for_itself() {
    let shop = Shop::open().await;
    let grace = shop.customer_and_admin("grace").await;
    let cup = grace.add_product(a_cup(null())).await;
    let answer = grace.order(&[(cup, 1)]).await;
    assert_eq!(answer.body["customer"]["id"], grace.customer_id);
}

#[tokio::test]
async fn an_administrator_orders_for_any_customer() {
    let (shop, admin) = Shop::open_with_admin().await;
    let customer = shop.customer("grace").await;
    let cup = admin.add_product(a_cup(null())).await;
    let order = order_for(&admin, customer.customer_id, &[(cup, 1)])
        .await
        .body;
    assert_eq!(
        order["customer"],
        json!({ "id": customer.customer_id, "name": "grace" })
    );
    assert_eq!(order["history"][0]["by"], "admin");
}

#[tokio::test]
async fn an_order_for_a_customer_who_is_not_there_is_refused() {
    let (shop, admin) = Shop::open_with_admin().await;
    let deleted = shop.customer("grace").await.customer_id;
    admin.delete(&format!("/customers/{deleted}")).await;
    let cup = admin.add_product(a_cup(null())).await;
    for missing in [deleted, 404, -1] {
        let answer = order_for(&admin, missing, &[(cup, 1)]).await;
        answer.assert_invalid(&[("/customer_id", "reference")]);
    }
}

#[tokio::test]
async fn a_customer_does_not_say_for_whom() {
    let (shop, _admin, customer, cup) = shop_with_cups(8).await;
    let other = shop.customer("alan").await;
    for named in [customer.customer_id, other.customer_id] {
        let answer = order_for(&customer, named, &[(cup, 1)]).await;
        answer.assert_invalid(&[("/customer_id", "forbidden")]);
    }
}

#[tokio::test]
async fn lines_of_the_same_product_are_merged_where_it_was_first_named() {
    let (_shop, admin, customer, cup) = shop_with_cups(8).await;
    let pot = admin.sell("Pot", "10", None).await;
    let order = customer.order(&[(cup, 1), (pot, 1), (cup, 3)]).await.body;
    let items = order["items"].as_array().unwrap();
    let lines: Vec<_> = items
        .iter()
        .map(|item| (&item["product_id"], &item["quantity"], &item["line_total"]))
        .collect();
    assert_eq!(
        lines,
        [
            (&json!(cup), &json!(4), &json!("18.00")),
            (&json!(pot), &json!(1), &json!("10.00")),
        ]
    );
    assert_eq!(order["total"], "28.00");
}

#[tokio::test]
async fn an_order_keeps_the_name_and_the_price_of_its_moment() {
    let (_shop, admin, customer, cup) = shop_with_cups(8).await;
    let placed = customer.order(&[(cup, 2)]).await.body;
    let changes = json!({ "name": "Mug", "price": "9.99", "sku": "MUG-1" });
    admin.patch(&format!("/products/{cup}"), changes).await;
    let path = format!("/orders/{}", placed["id"]);
    assert_eq!(customer.get(&path).await.body, placed);
}

#[tokio::test]
async fn an_order_takes_its_pieces_from_the_stock() {
    let (_shop, _admin, customer, cup) = shop_with_cups(8).await;
    customer.order(&[(cup, 2), (cup, 3)]).await;
    assert_eq!(stock(&customer, cup).await, 3);
}

#[tokio::test]
async fn the_last_pieces_can_be_ordered() {
    let (_shop, _admin, customer, cup) = shop_with_cups(8).await;
    let answer = customer.order(&[(cup, 8)]).await;
    assert_eq!(answer.status, 201);
    assert_eq!(stock(&customer, cup).await, 0);
}

#[tokio::test]
async fn a_stock_that_is_not_tracked_has_no_end() {
    let (_shop, admin, customer, _) = shop_with_cups(8).await;
    let untracked = admin.add_product(a_cup(null())).await;
    let answer = customer.order(&[(untracked, 10_000)]).await;
    assert_eq!(answer.status, 201);
    assert_eq!(stock(&customer, untracked).await, null());
}

#[tokio::test]
async fn what_an_order_takes_is_in_the_ledger() {
    let (shop, _admin, customer, cup) = shop_with_cups(8).await;
    let order = customer.order(&[(cup, 2)]).await.body;
    let ledger = ledger(&shop).await;
    let taken = ledger.last().unwrap();
    assert_eq!(
        (taken.product_id, taken.kind.as_str(), taken.delta),
        (cup, "order", -2)
    );
    assert_eq!(taken.order_id, order["id"].as_i64());
}

#[tokio::test]
async fn every_line_that_exceeds_the_stock_is_named() {
    let (_shop, admin, customer, cups) = shop_with_cups(8).await;
    let few = admin.add_product(a_cup(json!(3))).await;
    let none = admin.add_product(a_cup(json!(0))).await;
    let lines = [(none, 1), (cups, 8), (few, 2), (few, 2)];
    let answer = customer.order(&lines).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn an_order_that_exceeds_the_stock_changes_nothing() {
    let (shop, admin, customer, cups) = shop_with_cups(8).await;
    let few = admin.add_product(a_cup(json!(3))).await;
    let before = ledger(&shop).await;
    let answer = customer.order(&[(cups, 8), (few, 4)]).await;
    answer.assert_problem(409, "insufficient-stock");
    assert_eq!(stock(&customer, cups).await, 8);
    assert_eq!(stock(&customer, few).await, 3);
    assert_eq!(ledger(&shop).await, before);
    assert_eq!(rows(&shop).await, [0, 0, 0]);
}

#[tokio::test]
async fn every_line_with_an_unknown_product_is_named() {
    let (shop, _admin, customer, cup) = shop_with_cups(8).await;
    let answer = customer.order(&[(404, 1), (cup, 1), (405, 1)]).await;
    answer.assert_invalid(&[
        ("/items/0/product_id", "reference"),
        ("/items/2/product_id", "reference"),
    ]);
    assert_eq!(rows(&shop).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_line_that_breaks_a_rule_is_named_with_the_rule() {
    let (_shop, _admin, customer, cup) = shop_with_cups(20_000).await;
    let mut mismatches = Mismatches::default();
    for (field, value, code) in [
        ("quantity", json!(0), "range"),
        ("quantity", json!(-1), "range"),
        ("quantity", json!(10_001), "range"),
        ("quantity", json!(1.5), "type"),
        ("quantity", json!("2"), "type"),
        ("quantity", null(), "required"),
        ("product_id", json!("1"), "type"),
        ("product_id", json!(1.5), "type"),
        ("product_id", null(), "required"),
        ("price", json!("0.01"), "unknown"),
    ] {
        let mut items = order_lines(&[(cup, 1), (cup, 1)]);
        items[1][field] = value.clone();
        let answer = customer.post("/orders", json!({ "items": items })).await;
        let expected = format!("422 validation-failed /items/1/{field} {code}");
        mismatches.answer(format!("{field} {value}"), &answer, expected);
    }
}

#[tokio::test]
async fn a_line_takes_up_to_ten_thousand_pieces() {
    let (_shop, _admin, customer, cup) = shop_with_cups(10_000).await;
    let answer = customer.order(&[(cup, 10_000)]).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn an_order_has_one_to_a_hundred_lines() {
    let (_shop, _admin, customer, cup) = shop_with_cups(200).await;
    for count in [0, 101] {
        let answer = customer.order(&vec![(cup, 1); count]).await;
        answer.assert_invalid(&[("/items", "length")]);
    }
    let answer = customer.order(&[(cup, 1); 100]).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn an_order_names_its_items() {
    let (_shop, _admin, customer, _) = shop_with_cups(1).await;
    for (order, code) in [
        (json!({ "items": null }), "type"),
        (json!({ "items": {} }), "type"),
        (json!({ "items": "cup" }), "type"),
        (json!({}), "required"),
    ] {
        let answer = customer.post("/orders", order).await;
        answer.assert_invalid(&[("/items", code)]);
    }
}

#[tokio::test]
async fn the_greatest_order_there_can_be_has_an_exact_total() {
    let (_shop, admin, customer, _) = shop_with_cups(1).await;
    let mut lines = Vec::new();
    for _ in 0..100 {
        lines.push((admin.sell("Yacht", "99999999.99", None).await, 10_000));
    }
    let order = customer.order(&lines).await.body;
    assert_eq!(order["total"], "99999999990000.00");
    let listed = customer.get("/orders?sort=-total").await.body;
    assert_eq!(listed["items"][0]["total"], "99999999990000.00");
}

#[tokio::test]
async fn a_note_has_up_to_a_thousand_characters() {
    let (_shop, _admin, customer, cup) = shop_with_cups(8).await;
    let mut body = json!({ "items": order_lines(&[(cup, 1)]), "note": "é".repeat(1_000) });
    let answer = customer.post("/orders", body.clone()).await;
    assert_eq!(answer.body["note"], body["note"]);
    body["note"] = "é".repeat(1_001).into();
    let answer = customer.post("/orders", body).await;
    answer.assert_invalid(&[("/note", "length")]);
}

#[tokio::test]
async fn every_broken_rule_of_an_address_is_named_where_it_stands_in_the_order() {
    let (_shop, _admin, customer, cup) = shop_with_cups(8).await;
    let mut mismatches = Mismatches::default();
    for (address, faults) in [
        (json!("41 Elm Road"), &[("", "type")][..]),
        (json!([]), &[("", "type")]),
        (
            json!({}),
            &[
                ("/name", "required"),
                ("/line1", "required"),
                ("/city", "required"),
                ("/country", "required"),
            ],
        ),
        (
            json!({
                "name": "x".repeat(121), "line1": "a\nb", "city": " ", "country": "Germany", "phone": "call",
                "postal_code": 7, "default": true,
            }),
            &[
                ("/name", "length"),
                ("/line1", "format"),
                ("/city", "length"),
                ("/postal_code", "type"),
                ("/country", "choice"),
                ("/phone", "format"),
                ("/default", "unknown"),
            ],
        ),
    ] {
        let body = json!({ "items": order_lines(&[(cup, 1)]), "shipping_address": address });
        let refused = customer.post("/orders", body).await;
        let expected: Vec<_> = faults
            .iter()
            .map(|(field, code)| (format!("/shipping_address{field}"), *code))
            .collect();
        let found = refused.faults().into_iter();
        let found: Vec<_> = found.map(|(at, code)| (at.to_owned(), code)).collect();
        mismatches.compare(address, found, expected);
    }
    assert_eq!(customer.get("/orders").await.body["total_items"], 0);
}

#[tokio::test]
async fn an_order_keeps_a_copy_of_the_address_as_it_was_then() {
    let (_shop, admin, customer, cup) = shop_with_cups(8).await;
    let saved = customer.post("/me/addresses", address("1 Elm Road")).await;
    let (id, path) = (saved.id(), format!("/me/addresses/{}", saved.id()));
    let body = json!({
        "items": order_lines(&[(cup, 1)]), "shipping_address": null, "shipping_address_id": id,
    });
    let placed = customer.post("/orders", body).await;
    let order = format!("/orders/{}", placed.id());
    assert_eq!(placed.body["shipping_address"], shown_address("1 Elm Road"));
    let moved = customer
        .patch(&path, json!({ "line1": "2 Oak Street" }))
        .await;
    assert_eq!(moved.outcome(), "200");
    assert_eq!(customer.get(&order).await.body, placed.body);
    assert_eq!(customer.delete(&path).await.outcome(), "204");
    assert_eq!(admin.get(&order).await.body, placed.body);
    let event = admin.get("/events?type=order.placed").await.body;
    assert_eq!(event["items"][0]["data"], placed.body);
}

#[tokio::test]
async fn an_order_goes_to_an_address_of_its_own_customer_only_and_to_one() {
    let (shop, admin, customer, cup) = shop_with_cups(8).await;
    let other = shop.customer("alan").await;
    let own = customer
        .post("/me/addresses", address("1 Elm Road"))
        .await
        .id();
    let theirs = other
        .post("/me/addresses", address("2 Oak Street"))
        .await
        .id();
    let items = order_lines(&[(cup, 1)]);
    for unknown in [theirs, 404, -1] {
        let body = json!({ "items": items, "shipping_address_id": unknown });
        let refused = customer.post("/orders", body).await;
        refused.assert_invalid(&[("/shipping_address_id", "reference")]);
    }
    // For whom an administrator orders, to theirs.
    let order_for = |address: i64| json!({ "customer_id": other.customer_id, "items": items, "shipping_address_id": address });
    let refused = admin.post("/orders", order_for(own)).await;
    refused.assert_invalid(&[("/shipping_address_id", "reference")]);
    let placed = admin.post("/orders", order_for(theirs)).await;
    assert_eq!(placed.outcome(), "201");
    assert_eq!(placed.body["shipping_address"]["line1"], "2 Oak Street");
    let both = json!({ "items": items, "shipping_address": address("1 Elm Road"), "shipping_address_id": own });
    let refused = customer.post("/orders", both).await;
    refused.assert_invalid(&[("/shipping_address_id", "exclusive")]);
    let lines = json!([{ "product_id": 404, "quantity": 1 }]);
    let both = json!({ "items": lines, "shipping_address_id": 404 });
    let refused = customer.post("/orders", both).await;
    refused.assert_invalid(&[
        ("/items/0/product_id", "reference"),
        ("/shipping_address_id", "reference"),
    ]);
    assert_eq!(customer.get("/orders").await.body["total_items"], 0);
}

#[tokio::test]
async fn an_order_of_another_customer_is_not_found() {
    let (shop, _admin, customer, cup) = shop_with_cups(8).await;
    let order = customer.order(&[(cup, 1)]).await.body;
    let other = shop.customer("alan").await;
    let answer = other.get(&format!("/orders/{}", order["id"])).await;
    answer.assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_customer_lists_its_own_orders() {
    let (shop, _admin, customer, cup) = shop_with_cups(8).await;
    let own = customer.order(&[(cup, 1)]).await.body;
    shop.customer("alan").await.order(&[(cup, 1)]).await;
    assert_eq!(listed(&customer, "").await, from_ref(&own["id"]));
    let by_cursor = customer.get("/orders?cursor=").await.body;
    assert_eq!(by_cursor["items"], json!([own]));
}

#[tokio::test]
async fn an_administrator_lists_everybody_s_orders_the_newest_first() {
    let (shop, admin, customer, cup) = shop_with_cups(8).await;
    let first = customer.order(&[(cup, 1)]).await.body;
    let other = shop.customer("alan").await;
    let second = other.order(&[(cup, 1)]).await.body;
    let third = customer.order(&[(cup, 1)]).await.body;
    assert_eq!(
        admin.get("/orders").await.body["items"],
        json!([third, second, first])
    );
}

#[tokio::test]
async fn orders_are_listed_by_status() {
    let (shop, _admin, customer, cup) = shop_with_cups(8).await;
    let [first, second] = two_orders(&customer, cup).await;
    pay(&shop, &first).await;
    for (status, ids) in [
        ("paid", from_ref(&first)),
        ("placed", from_ref(&second)),
        ("shipped", &[]),
    ] {
        assert_eq!(listed(&customer, &format!("?status={status}")).await, ids);
    }
}

#[tokio::test]
async fn an_administrator_lists_one_customer_s_orders() {
    let (shop, admin, customer, cup) = shop_with_cups(8).await;
    let own = customer.order(&[(cup, 1)]).await.body;
    shop.customer("alan").await.order(&[(cup, 1)]).await;
    let query = format!("?customer_id={}", customer.customer_id);
    assert_eq!(listed(&admin, &query).await, from_ref(&own["id"]));
    assert!(listed(&admin, "?customer_id=404").await.is_empty());
}

#[tokio::test]
async fn a_customer_cannot_ask_for_a_customer_s_orders() {
    let (_shop, _admin, customer, _) = shop_with_cups(8).await;
    let query = format!("/orders?customer_id={}", customer.customer_id);
    let answer = customer.get(&query).await;
    answer.assert_invalid(&[("/customer_id", "forbidden")]);
}

#[tokio::test]
async fn orders_are_listed_from_one_moment_to_another_and_both_count() {
    let (_shop, _admin, customer, cup) = shop_with_cups(8).await;
    let [first, _] = two_orders(&customer, cup).await;
    let middle = customer.order(&[(cup, 1)]).await.body;
    let [_, last] = two_orders(&customer, cup).await;
    let at = middle["placed_at"].as_str().unwrap();
    let from = listed(&customer, &format!("?placed_from={at}")).await;
    assert_eq!((from.len(), &from[0], &from[2]), (3, &last, &middle["id"]));
    let to = listed(&customer, &format!("?placed_to={at}")).await;
    assert_eq!((to.len(), &to[0], &to[2]), (3, &middle["id"], &first));
    let both = listed(&customer, &format!("?placed_from={at}&placed_to={at}")).await;
    assert_eq!(both, from_ref(&middle["id"]));
}

#[tokio::test]
async fn a_moment_is_the_same_in_every_time_zone() {
    let (_shop, _admin, customer, cup) = shop_with_cups(8).await;
    let order = customer.order(&[(cup, 1)]).await.body;
    let at = chrono::DateTime::parse_from_rfc3339(order["placed_at"].as_str().unwrap()).unwrap();
    let at = at.with_timezone(&chrono::FixedOffset::east_opt(9 * 3_600).unwrap());
    let at = at.to_rfc3339().replace('+', "%2B");
    let query = format!("?placed_from={at}&placed_to={at}");
    assert_eq!(listed(&customer, &query).await, from_ref(&order["id"]));
}

#[tokio::test]
async fn a_moment_that_only_some_databases_know_is_the_same_on_all() {
    let (_shop, _admin, customer, cup) = shop_with_cups(8).await;
    let order = customer.order(&[(cup, 1)]).await.body;
    let everything = from_ref(&order["id"]);
    for (query, expected) in [
        ("?placed_from=2016-12-31T23:59:60Z", everything),
        ("?placed_to=2016-12-31T23:59:60Z", &[]),
        ("?placed_to=9999-12-31T23:59:59-01:00", everything),
        ("?placed_from=9999-12-31T23:59:59-01:00", &[]),
        ("?placed_from=0001-01-01T00:00:00%2B01:00", everything),
        ("?placed_to=0001-01-01T00:00:00%2B01:00", &[]),
    ] {
        assert_eq!(listed(&customer, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn orders_are_sorted_by_total_and_then_by_id() {
    let (_shop, _admin, customer, cup) = shop_with_cups(20).await;
    let [small, other_small] = two_orders(&customer, cup).await;
    let great = customer.order(&[(cup, 9)]).await.body["id"].clone();
    let middle = customer.order(&[(cup, 2)]).await.body["id"].clone();
    let mut ids = [small, other_small, middle, great];
    assert_eq!(listed(&customer, "?sort=total").await, ids);
    ids.reverse();
    assert_eq!(listed(&customer, "?sort=-total").await, ids);
}

#[tokio::test]
async fn a_filter_that_cannot_be_is_refused() {
    let (_shop, _admin, customer, _) = shop_with_cups(8).await;
    let mut mismatches = Mismatches::default();
    for (query, pointer, code) in [
        ("status=lost", "/status", "choice"),
        ("status=", "/status", "choice"),
        ("placed_from=yesterday", "/placed_from", "format"),
        ("placed_to=2026-01-31", "/placed_to", "format"),
        ("sort=status", "/sort", "choice"),
        ("state=paid", "/state", "unknown"),
    ] {
        let answer = customer.get(&format!("/orders?{query}")).await;
        mismatches.answer(
            query,
            &answer,
            format!("422 validation-failed {pointer} {code}"),
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_pieces_are_sold_once_however_many_orders_race_for_them() {
    let (shop, admin) = Shop::open_with_admin().await;
    let cup = admin.add_product(a_cup(json!(7))).await;
    let answers = race(&admin, &[[(cup, 1)]; 24]).await;
    let (placed, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!((placed.len(), refused.len()), (7, 17));
    for answer in refused {
        answer.assert_problem(409, "insufficient-stock");
        assert_eq!(answer.body["errors"][0]["available"], 0);
    }
    assert_eq!(stock(&admin, cup).await, 0);
    assert_eq!(ledger(&shop).await.iter().map(|m| m.delta).sum::<i64>(), 0);
    assert_eq!(rows(&shop).await, [7, 7, 7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orders_for_the_same_products_in_any_order_do_not_hinder_each_other() {
    let (_shop, admin, _, cup) = shop_with_cups(100).await;
    let pot = admin.sell("Pot", "10", 100).await;
    let orders = [[(cup, 1), (pot, 2)], [(pot, 2), (cup, 1)]].repeat(10);
    for answer in race(&admin, &orders).await {
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    assert_eq!(stock(&admin, cup).await, 80);
    assert_eq!(stock(&admin, pot).await, 60);
}

/// A shop that sells cups, so many of them; its administrator, its customer Grace, and the cup's id.
async fn shop_with_cups(stock: i64) -> (Shop, Client, Client, i64) {
    let (shop, admin) = Shop::open_with_admin().await;
    let cup = admin.add_product(a_cup(json!(stock))).await;
    let customer = shop.customer("grace").await;
    (shop, admin, customer, cup)
}

#[allow(clippy::needless_pass_by_value, reason = "callers make it on the spot")]
fn a_cup(stock: Value) -> Value {
    json!({ "name": "Cup", "price": "4.50", "stock": stock })
}

const fn null() -> Value {
    Value::Null
}

async fn order_for(client: &Client, customer_id: i64, lines: &[(i64, i64)]) -> Answer {
    let body = json!({ "customer_id": customer_id, "items": order_lines(lines) });
    client.post("/orders", body).await
}

/// Two orders of one piece each, and their ids.
async fn two_orders(customer: &Client, product_id: i64) -> [Value; 2] {
    let first = customer.order(&[(product_id, 1)]).await;
    let second = customer.order(&[(product_id, 1)]).await;
    [first, second].map(|order| order.body["id"].clone())
}

/// Places all of the orders at once, each for a customer of its own.
async fn race<const LINES: usize>(admin: &Client, orders: &[[(i64, i64); LINES]]) -> Vec<Answer> {
    let mut customers = Vec::new();
    for number in 0..orders.len() {
        let body = json!({ "name": "Racer", "email": format!("racer{number}@example.com") });
        let customer = admin.post("/customers", body).await;
        customers.push(customer.id());
    }
    let mut racing = JoinSet::new();
    for (customer, lines) in customers.into_iter().zip(orders.iter().copied()) {
        let admin = admin.clone();
        racing.spawn(async move { order_for(&admin, customer, &lines).await });
    }
    racing.join_all().await
}

async fn pay(shop: &Shop, order: &Value) {
    let id = order.as_i64().unwrap();
    let system = Actor::system();
    transaction!(&shop.ctx, |txn| orders::Model::change_status(
        txn,
        Scope::All,
        id,
        OrderStatus::Paid,
        None,
        &system
    )
    .await)
    .unwrap();
}

async fn stock(client: &Client, product_id: i64) -> Value {
    let product = client.get(&format!("/products/{product_id}")).await;
    product.body["stock"].clone()
}

/// The ids of the orders that a list shows.
async fn listed(client: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("/orders{query}")).await;
    let orders = answer.body["items"].as_array().unwrap().iter();
    orders.map(|order| order["id"].clone()).collect()
}

async fn ledger(shop: &Shop) -> Vec<stock_movements::Model> {
    let movements = stock_movements::Entity::find().order_by_asc(stock_movements::Column::Id);
    movements.all(&shop.ctx.db).await.unwrap()
}

/// How many orders, items and events there are.
async fn rows(shop: &Shop) -> [u64; 3] {
    let db = &shop.ctx.db;
    [
        orders::Entity::find().count(db).await.unwrap(),
        order_items::Entity::find().count(db).await.unwrap(),
        order_events::Entity::find().count(db).await.unwrap(),
    ]
}

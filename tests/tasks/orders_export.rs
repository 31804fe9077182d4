//! `orders:export`.

use std::{fs, os::unix::fs::MetadataExt};

use boxcar::{
    models::{customers, order_items, orders, products},
    tasks::orders_export::OrdersExport,
};
use chrono::DateTime;
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel};
use serde_json::{Value, json};

use super::{answers, printed, run};
use crate::{
    models::rows,
    support::{Mismatches, Shop, address, order_lines},
};

const HEADER: &str = "order_id,status,placed_at,customer_id,customer_name,email,currency,product_id,sku,name,\
                      unit_price,quantity,line_total,line_discount,line_tax_rate,line_tax,subtotal,discount,\
                      shipping,tax,total,prices_include_tax,discount_code,shipping_option,shipping_name,\
                      shipping_company,shipping_line1,shipping_line2,shipping_city,shipping_region,\
                      shipping_postal_code,shipping_country,shipping_phone,billing_name,billing_company,\
                      billing_line1,billing_line2,billing_city,billing_region,billing_postal_code,\
                      billing_country,note,updated_at\n";

#[tokio::test]
async fn each_item_of_an_order_is_a_row() {
    let (shop, admin, customer) = Shop::open_with_customer("grace").await;
    let tea = json!({ "sku": "T-1", "name": "Tea, \"black\"", "price": "4.50" });
    let tea = admin.add_product(tea).await;
    let cup = admin.sell("Cup", "2", None).await;
    let order = json!({
        "items": order_lines(&[(tea, 2), (cup, 1)]),
        "shipping_address": address("1 Harbour Road, 2"),
    });
    let order = customer.post("/orders", order).await.body;
    let text = |pointer| order.pointer(pointer).and_then(Value::as_str).unwrap();
    let (at, name) = (text("/placed_at"), text("/customer/name"));
    let customer = &order["customer"]["id"];
    let start = format!("1,placed,{at},{customer},{name},grace@example.com,USD");
    let untaxed = "0.00,0,0.00";
    let totals = "11.00,0.00,0.00,0.00,11.00,true,,";
    let to = "Ada Lovelace,,\"1 Harbour Road, 2\",,London,,SE22 9XD,GB,";
    let end = format!("{untaxed},{totals},{to},,,,,,,,,,{at}");
    assert_eq!(
        printed(&shop, "orders:export", &[]).await,
        format!(
            "{HEADER}{start},{tea},T-1,\"Tea, \"\"black\"\"\",4.50,2,9.00,{end}\n\
             {start},{cup},,Cup,2.00,1,2.00,{end}\n"
        )
    );
}

#[tokio::test]
async fn a_line_of_json_is_what_the_api_answers() {
    let (shop, admin, customer) = Shop::open_with_customer("grace").await;
    let tea = admin.sell("Tea", "4.50", None).await;
    let order = json!({ "items": order_lines(&[(tea, 2)]), "note": "=1\nRing \"twice\"." });
    customer.post("/orders", order).await;
    customer.order(&[(tea, 1)]).await;
    let reason = json!({ "reason": "Too late" });
    customer.post("/orders/2/cancel", reason).await;
    let lines = printed(&shop, "orders:export", &["format:ndjson"]).await;
    assert_eq!(lines, answers(&admin, "orders", &[1, 2]).await);
}

#[tokio::test]
async fn what_a_spreadsheet_would_calculate_is_written_as_text() {
    let (shop, admin, customer) = Shop::open_with_customer("grace").await;
    let tea = json!({ "sku": "-A", "name": "=1+1", "price": "1" });
    let tea = admin.add_product(tea).await;
    let order = json!({ "items": order_lines(&[(tea, 1)]), "shipping_address": address("+1"), "note": "@x" });
    customer.post("/orders", order).await;
    let table = printed(&shop, "orders:export", &[]).await;
    assert!(
        table.contains(",'-A,'=1+1,1.00,1,1.00,0.00,0,0.00,1.00,"),
        "{table}"
    );
    assert!(
        table.contains(",Ada Lovelace,,'+1,,London,,SE22 9XD,GB,,,,,,,,,,'@x,"),
        "{table}"
    );
}

#[tokio::test]
async fn orders_from_a_time_on_and_before_another_are_written() {
    let shop = shop_with_orders(&[
        "2026-01-30T23:59:59.999999Z",
        "2026-01-31T00:00:00Z",
        "2026-01-31T23:59:59.999999Z",
        "2026-02-01T00:00:00Z",
    ])
    .await;
    let mut mismatches = Mismatches::default();
    for (from, to, expected) in [
        ("", "", &[1, 2, 3, 4][..]),
        ("2026-01-31", "", &[2, 3, 4]),
        ("", "2026-02-01", &[1, 2, 3]),
        ("2026-01-31", "2026-02-01", &[2, 3]),
        (
            "2026-01-31T00:00:00.000001Z",
            "2026-02-01T00:00:00.000001Z",
            &[3, 4],
        ),
        (
            "2026-01-31T01:00:00+01:00",
            "2026-01-31T01:00:01+01:00",
            &[2],
        ),
        ("2026-02-02", "", &[]),
        ("", "0001-01-01", &[]),
        ("0001-01-01", "9999-12-31", &[1, 2, 3, 4]),
    ] {
        let arguments = [("from", from), ("to", to)];
        let mut arguments = arguments.to_vec();
        arguments.retain(|(_, value)| !value.is_empty());
        let found = exported_ids(&shop, &arguments).await;
        mismatches.compare(format!("from:{from} to:{to}"), found, expected.to_vec());
    }
}

#[tokio::test]
async fn an_argument_that_cannot_be_is_refused() {
    let shop = Shop::open().await;
    let neither = "is neither a day such as 2026-01-31 nor a time such as 2026-01-31T12:00:00Z";
    let order = "from: has to be earlier than to:";
    let mut mismatches = Mismatches::default();
    for (arguments, refusal) in [
        (
            &[("form", "2026-01-31")][..],
            "the argument form is not one of file, from, to, format".to_owned(),
        ),
        (
            &[("format", "CSV")],
            "format:CSV is neither csv nor ndjson".to_owned(),
        ),
        (
            &[("from", "31.1.2026")],
            format!("from:31.1.2026 {neither}"),
        ),
        (
            &[("from", "2026-02-30")],
            format!("from:2026-02-30 {neither}"),
        ),
        (&[("to", "2026-1-31")], format!("to:2026-1-31 {neither}")),
        (
            &[("to", "2026-01-31T12:00:00")],
            format!("to:2026-01-31T12:00:00 {neither}"),
        ),
        (&[("to", "")], format!("to: {neither}")),
        (
            &[("from", "2026-01-31"), ("to", "2026-01-31")],
            order.to_owned(),
        ),
        (
            &[("from", "2026-01-31"), ("to", "2026-01-30")],
            order.to_owned(),
        ),
    ] {
        let why = run(OrdersExport, &shop, arguments).await.unwrap_err();
        mismatches.compare(format!("{arguments:?}"), why, refusal);
    }
}

#[tokio::test]
async fn a_time_with_colons_is_read_from_the_command_line() {
    let shop = shop_with_orders(&["2026-01-31T11:59:59Z", "2026-01-31T12:00:00Z"]).await;
    let arguments = ["format:ndjson", "from:2026-01-31T13:00:00+01:00"];
    assert_eq!(ids(&printed(&shop, "orders:export", &arguments).await), [2]);
}

#[tokio::test]
async fn every_order_is_written_once_in_the_order_of_ids_however_many_there_are() {
    let times = vec!["2026-01-31T00:00:00Z"; 2_500];
    let shop = shop_with_orders(&times).await;
    let expected: Vec<_> = (1..=2_500).collect();
    assert_eq!(exported_ids(&shop, &[]).await, expected);
}

#[tokio::test]
async fn a_shop_without_orders_is_a_table_without_rows() {
    let shop = Shop::open().await;
    assert_eq!(printed(&shop, "orders:export", &[]).await, HEADER);
}

#[tokio::test]
async fn a_new_file_can_be_read_by_its_owner_alone() {
    let shop = shop_with_orders(&["2026-01-31T23:00:00Z"]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv");
    let arguments = [("file", path.to_str().unwrap())];
    run(OrdersExport, &shop, &arguments).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_failed_export_keeps_the_older_file_and_leaves_nothing_behind() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.csv");
    fs::write(&path, "older").unwrap();
    let rename = "ALTER TABLE orders RENAME TO elsewhere";
    shop.ctx.db.execute_unprepared(rename).await.unwrap();
    let arguments = [("file", path.to_str().unwrap())];
    run(OrdersExport, &shop, &arguments).await.unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "older");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// A shop with an order placed at each of those times, whose ids count from 1.
async fn shop_with_orders(times: &[&str]) -> Shop {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    let customer = rows::customer().into_active_model();
    customers::Entity::insert(customer).exec(db).await.unwrap();
    let product = rows::product().into_active_model();
    products::Entity::insert(product).exec(db).await.unwrap();
    let orders = (1..).zip(times).map(|(id, time)| orders::Model {
        id,
        placed_at: DateTime::parse_from_rfc3339(time).unwrap(),
        ..rows::order()
    });
    let orders: Vec<_> = orders.map(IntoActiveModel::into_active_model).collect();
    // A statement has so many values at most.
    for orders in orders.chunks(500) {
        let orders = orders.to_vec();
        orders::Entity::insert_many(orders).exec(db).await.unwrap();
    }
    let items = (1..).zip(times).map(|(id, _)| order_items::Model {
        id,
        order_id: id,
        ..rows::item()
    });
    let items: Vec<_> = items.map(IntoActiveModel::into_active_model).collect();
    for items in items.chunks(500) {
        let items = items.to_vec();
        order_items::Entity::insert_many(items)
            .exec(db)
            .await
            .unwrap();
    }
    shop
}

async fn exported_ids(shop: &Shop, arguments: &[(&str, &str)]) -> Vec<i64> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders");
    let mut all = vec![("file", path.to_str().unwrap()), ("format", "ndjson")];
    all.extend(arguments);
    run(OrdersExport, shop, &all).await.unwrap();
    ids(&fs::read_to_string(&path).unwrap())
}

fn ids(lines: &str) -> Vec<i64> {
    let id = |line| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64();
    lines.lines().map(|line| id(line).unwrap()).collect()
}

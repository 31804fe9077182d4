//! Products: R3.

use axum::http::{Method, StatusCode};
use boxcar::models::stock_movements;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};

use crate::{
    assert_answer,
    support::{Client, Mismatches, Shop},
};

#[tokio::test]
async fn a_product_needs_no_more_than_a_name_and_a_price() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = admin
        .post("/products", json!({ "name": "Cup", "price": "4.50" }))
        .await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_product_is_created_with_all_of_its_fields_and_its_location() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = admin.post("/products", teapot()).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_product_is_shown_at_its_location_as_it_was_created() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let created = admin.post("/products", teapot()).await;
    let path = created.header("location").unwrap();
    let shown = admin.get(path.strip_prefix("/api/v1").unwrap()).await;
    assert_eq!((shown.status, &shown.body), (StatusCode::OK, &created.body));
}

#[tokio::test]
async fn a_price_is_a_string_or_a_number_and_is_shown_with_two_places() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    for (price, shown) in [
        (json!("19.99"), "19.99"),
        (json!("19.9"), "19.90"),
        (json!("0"), "0.00"),
        (json!("99999999.99"), "99999999.99"),
        (json!(19.99), "19.99"),
        (json!(0.1), "0.10"),
        (json!(20), "20.00"),
        (json!(99_999_999.99), "99999999.99"),
    ] {
        let body = json!({ "name": "Cup", "price": price });
        let answer = admin.post("/products", body).await;
        mismatches.compare(price, &answer.body["price"], &json!(shown));
    }
}

#[tokio::test]
async fn a_product_is_available_unless_its_stock_is_used_up() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for (stock, available) in [(json!(null), true), (json!(1), true), (json!(0), false)] {
        let answer = admin.post("/products", with(cup(), "stock", &stock)).await;
        assert_eq!(answer.body["available"], available, "{stock}");
    }
}

#[tokio::test]
async fn lengths_are_counted_in_characters_up_to_their_limits() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let body = json!({
        "name": "é".repeat(200), "sku": "ß".repeat(64), "description": "雪".repeat(5_000), "price": 1,
    });
    let id = admin.add_product(body.clone()).await;
    let shown = admin.get(&path(id)).await.body;
    for field in ["name", "sku", "description"] {
        assert_eq!(shown[field], body[field]);
    }
}

#[tokio::test]
async fn a_field_that_breaks_a_rule_is_named_with_the_rule() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    for (pointer, value, code) in [
        ("/name", json!(null), "required"),
        ("/name", json!(""), "length"),
        ("/name", json!("   "), "length"),
        ("/name", json!("x".repeat(201)), "length"),
        ("/name", json!("two\nlines"), "format"),
        ("/name", json!(7), "type"),
        ("/price", json!(null), "required"),
        ("/price", json!("-0.01"), "range"),
        ("/price", json!(-1), "range"),
        ("/price", json!("100000000.00"), "range"),
        ("/price", json!(100_000_000), "range"),
        ("/price", json!("19.999"), "precision"),
        ("/price", json!(19.999), "precision"),
        ("/price", json!("cheap"), "format"),
        ("/price", json!(""), "format"),
        ("/price", json!(true), "type"),
        ("/sku", json!(""), "length"),
        ("/sku", json!("x".repeat(65)), "length"),
        ("/description", json!("x".repeat(5_001)), "length"),
        ("/stock", json!(-1), "range"),
        ("/stock", json!(1.5), "type"),
        ("/stock", json!("5"), "type"),
        ("/tax_class", json!(7), "type"),
        ("/tax_class", json!(""), "length"),
        ("/tax_class", json!("x".repeat(33)), "length"),
    ] {
        let answer = admin
            .post("/products", with(teapot(), &pointer[1..], &value))
            .await;
        let expected = format!("422 validation-failed {pointer} {code}");
        mismatches.answer(format!("{pointer} {value}"), &answer, expected);
    }
}

#[tokio::test]
async fn every_broken_rule_of_a_product_is_named_at_once() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let body = json!({ "name": "", "price": "1.234", "stock": -1, "colour": "red" });
    let answer = admin.post("/products", body).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_product_is_not_left_without_name_and_price() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(teapot()).await;
    let cleared = json!({ "name": null, "price": null });
    for answer in [
        admin.post("/products", json!({})).await,
        admin.put(&path(id), json!({})).await,
        admin.patch(&path(id), cleared).await,
    ] {
        answer.assert_invalid(&[("/name", "required"), ("/price", "required")]);
    }
}

#[tokio::test]
async fn a_field_that_clients_do_not_write_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(teapot()).await;
    let mut mismatches = Mismatches::default();
    for field in ["id", "currency", "available", "created_at"] {
        let answer = admin.patch(&path(id), json!({ field: null })).await;
        let expected = format!("422 validation-failed /{field} unknown");
        mismatches.answer(field, &answer, expected);
    }
}

#[tokio::test]
async fn put_replaces_every_field() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(teapot()).await;
    let body = json!({
        "name": "Kettle", "price": 60, "sku": "KETTLE-2", "description": "Whistles.", "stock": 0,
        "tax_class": "zero",
    });
    let answer = admin.put(&path(id), body).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn put_clears_the_optional_fields_that_it_leaves_out() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(teapot()).await;
    let answer = admin
        .put(&path(id), json!({ "name": "Kettle", "price": "60.00" }))
        .await;
    assert_eq!(answer.status, 200);
    for field in ["sku", "description"] {
        assert_eq!(answer.body[field], json!(null), "{field}");
    }
}

#[tokio::test]
async fn put_without_a_stock_leaves_it_and_null_ends_its_tracking() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(with(teapot(), "stock", &7.into())).await;
    let mut body = teapot();
    body.as_object_mut().unwrap().remove("stock");
    assert_eq!(admin.put(&path(id), body).await.body["stock"], 7);
    let body = with(teapot(), "stock", &json!(null));
    assert_eq!(admin.put(&path(id), body).await.body["stock"], json!(null));
}

#[tokio::test]
async fn the_class_of_a_product_is_the_standard_one_where_none_is_said() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let created = admin.post("/products", cup()).await.body;
    assert_eq!(created["tax_class"], "standard");
    let id = admin
        .add_product(with(cup(), "tax_class", &"zero".into()))
        .await;
    for (method, body, class) in [
        (Method::PATCH, json!({ "price": 1 }), "zero"),
        (Method::PATCH, json!({ "tax_class": null }), "standard"),
        (
            Method::PUT,
            with(cup(), "tax_class", &"zero".into()),
            "zero",
        ),
        (Method::PUT, cup(), "standard"),
    ] {
        let answer = admin.send(method, &path(id), Some(body)).await;
        assert_eq!(answer.body["tax_class"], class);
    }
}

#[tokio::test]
async fn a_class_of_a_product_that_no_tax_rate_has_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(teapot()).await;
    let expected = "422 validation-failed /tax_class reference";
    let mut mismatches = Mismatches::default();
    for class in ["reduced", "Standard", "ZERO"] {
        for (method, path, body) in [
            (Method::POST, "/products".to_owned(), cup()),
            (Method::PUT, path(id), teapot()),
            (Method::PATCH, path(id), json!({})),
        ] {
            let body = with(body, "tax_class", &class.into());
            let answer = admin.send(method.clone(), &path, Some(body)).await;
            mismatches.answer(format!("{method} {class}"), &answer, expected);
        }
    }
    let rate = json!({ "name": "VAT", "country": "DE", "tax_class": "reduced", "rate": 7 });
    assert_eq!(admin.post("/tax-rates", rate).await.outcome(), "201");
    let answer = admin
        .patch(&path(id), json!({ "tax_class": "reduced" }))
        .await;
    assert_eq!(answer.body["tax_class"], "reduced");
}

#[tokio::test]
async fn a_sku_that_looks_like_another_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin
        .add_product(with(teapot(), "sku", &"CAFÉ-1".into()))
        .await;
    let mut mismatches = Mismatches::default();
    for (sku, outcome) in [
        ("café-1", "409 conflict /sku taken"),
        ("CAFE\u{301}-1", "409 conflict /sku taken"),
        (" CAFÉ-1 ", "409 conflict /sku taken"),
        ("CAFÉ-1\u{200b}", "422 validation-failed /sku format"),
        ("CAFÉ-1\u{feff}", "422 validation-failed /sku format"),
        ("CAFÉ\u{ad}-1", "422 validation-failed /sku format"),
        ("\u{200b}", "422 validation-failed /sku format"),
    ] {
        let answer = admin
            .post("/products", with(teapot(), "sku", &sku.into()))
            .await;
        mismatches.answer(format!("{sku:?}"), &answer, outcome);
    }
    for name in ["\u{200b}", "\u{2060}\u{200b}", "\u{3164}", "\u{2800}"] {
        let answer = admin
            .post("/products", json!({ "name": name, "price": 1 }))
            .await;
        mismatches.answer(
            format!("{name:?}"),
            &answer,
            "422 validation-failed /name format",
        );
    }
}

#[tokio::test]
async fn patch_changes_the_field_that_is_sent_and_no_other() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(teapot()).await;
    let mut expected = admin.get(&path(id)).await.body;
    for (field, value) in [
        ("name", "Kettle".into()),
        ("price", "60.00".into()),
        ("sku", "KETTLE-2".into()),
        ("description", "Whistles.".into()),
        ("stock", 3.into()),
        ("tax_class", "zero".into()),
    ] {
        let answer = admin
            .patch(&path(id), with(json!({}), field, &value))
            .await
            .body;
        expected[field] = value;
        expected["updated_at"] = answer["updated_at"].clone();
        assert_eq!(answer, expected, "{field}");
    }
}

#[tokio::test]
async fn patch_with_null_clears_an_optional_field() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(teapot()).await;
    for field in ["sku", "description", "stock"] {
        let answer = admin.patch(&path(id), json!({ field: null })).await;
        assert_eq!(
            (answer.status, &answer.body[field]),
            (StatusCode::OK, &json!(null)),
            "{field}"
        );
    }
}

#[tokio::test]
async fn an_empty_patch_changes_nothing() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let before = admin.post("/products", teapot()).await.body;
    let id = before["id"].as_i64().unwrap();
    let after = admin.patch(&path(id), json!({})).await.body;
    let updated_at = after["updated_at"].clone();
    assert_eq!(after, with(before, "updated_at", &updated_at));
}

#[tokio::test]
async fn a_change_is_seen_in_updated_at_alone() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let before = admin.post("/products", teapot()).await.body;
    let id = before["id"].as_i64().unwrap();
    let after = admin.patch(&path(id), json!({ "price": 1 })).await.body;
    assert_eq!(after["created_at"], before["created_at"]);
    assert!(time(&after["updated_at"]) > time(&before["updated_at"]));
}

#[tokio::test]
async fn a_sku_belongs_to_one_product() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.add_product(teapot()).await;
    let other = admin.add_product(cup()).await;
    for answer in [
        admin.post("/products", teapot()).await,
        admin.put(&path(other), teapot()).await,
        admin.patch(&path(other), json!({ "sku": "POT-1" })).await,
    ] {
        answer.assert_problem(409, "conflict");
        assert_eq!(answer.faults(), [("/sku", "taken")]);
    }
}

#[tokio::test]
async fn a_product_keeps_its_own_sku_when_it_is_replaced() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(teapot()).await;
    let answer = admin.put(&path(id), teapot()).await;
    assert_eq!(
        (answer.status, &answer.body["sku"]),
        (StatusCode::OK, &json!("POT-1"))
    );
}

#[tokio::test]
async fn any_number_of_products_go_without_a_sku() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let first = admin.add_product(cup()).await;
    let second = admin.add_product(cup()).await;
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_list_shows_everything_but_the_description() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut product = admin.post("/products", teapot()).await.body;
    product.as_object_mut().unwrap().remove("description");
    for list in ["/products", "/products?cursor="] {
        assert_eq!(admin.get(list).await.body["items"], json!([product]));
    }
}

#[tokio::test]
async fn a_deleted_product_leaves_no_body_behind() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(teapot()).await;
    let answer = admin.delete(&path(id)).await;
    assert_eq!((answer.outcome().as_str(), answer.bytes.len()), ("204", 0));
}

#[tokio::test]
async fn a_product_that_is_deleted_or_never_was_is_not_found_by_any_verb() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = with_one_deleted(&admin).await;
    for id in [id, 404] {
        assert_gone(&admin, id).await;
    }
}

#[tokio::test]
async fn a_deleted_product_is_gone_from_lists() {
    let (_shop, admin) = Shop::open_with_admin().await;
    with_one_deleted(&admin).await;
    let numbered = admin.get("/products?q=pot").await.body;
    assert_eq!(
        (&numbered["items"], &numbered["total_items"]),
        (&json!([]), &json!(0))
    );
    assert_eq!(
        admin.get("/products?cursor=").await.body["items"],
        json!([])
    );
}

#[tokio::test]
async fn a_deleted_product_s_sku_is_free_again() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let deleted = with_one_deleted(&admin).await;
    let answer = admin.post("/products", teapot()).await;
    assert_eq!(answer.status, 201);
    assert_ne!(answer.body["id"], deleted);
}

#[tokio::test]
async fn a_past_order_shows_a_deleted_product_as_it_was() {
    let (shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(teapot()).await;
    let customer = shop.customer("grace").await;
    let order = customer.order(&[(id, 1)]).await.body;
    admin.delete(&path(id)).await;
    let later = customer.get(&format!("/orders/{}", order["id"])).await.body;
    assert_eq!(later, order);
}

#[tokio::test]
async fn a_deleted_product_cannot_be_ordered() {
    let (shop, admin) = Shop::open_with_admin().await;
    let id = with_one_deleted(&admin).await;
    let answer = shop.customer("grace").await.order(&[(id, 1)]).await;
    answer.assert_invalid(&[("/items/0/product_id", "reference")]);
}

#[tokio::test]
async fn every_change_of_the_stock_is_in_the_ledger() {
    let (shop, admin) = Shop::open_with_admin().await;
    let id = admin.add_product(with(teapot(), "stock", &5.into())).await;
    admin
        .put(&path(id), with(teapot(), "stock", &9.into()))
        .await;
    for stock in [json!(2), json!(2), json!(null), json!(4)] {
        admin.patch(&path(id), json!({ "stock": stock })).await;
    }
    let ledger = stock_movements::Entity::find().order_by_asc(stock_movements::Column::Id);
    let ledger = ledger.all(&shop.ctx.db).await.unwrap();
    let movements: Vec<_> = ledger.iter().map(|m| (m.kind.as_str(), m.delta)).collect();
    assert_eq!(
        movements,
        [
            ("initial", 5),
            ("adjustment", 4),
            ("adjustment", -7),
            ("adjustment", -2),
            ("initial", 4),
        ]
    );
}

fn path(id: i64) -> String {
    format!("/products/{id}")
}

/// A product with every field.
fn teapot() -> Value {
    json!({
        "name": "Teapot", "price": "24.90", "sku": "POT-1", "description": "Holds a litre.", "stock": 8,
        "tax_class": "standard",
    })
}

/// A product with no more than it needs.
fn cup() -> Value {
    json!({ "name": "Cup", "price": "4.50" })
}

fn with(mut body: Value, field: &str, value: &Value) -> Value {
    body[field] = value.clone();
    body
}

fn time(value: &Value) -> chrono::DateTime<chrono::FixedOffset> {
    chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap()
}

/// Adds a product, deletes it and answers its id.
async fn with_one_deleted(admin: &Client) -> i64 {
    let id = admin.add_product(teapot()).await;
    let answer = admin.delete(&path(id)).await;
    assert_eq!(answer.status, 204);
    id
}

async fn assert_gone(admin: &Client, id: i64) {
    let mut mismatches = Mismatches::default();
    for (method, body) in [
        (Method::GET, None),
        (Method::PUT, Some(teapot())),
        (Method::PATCH, Some(json!({ "price": 1 }))),
        (Method::DELETE, None),
    ] {
        let answer = admin.send(method.clone(), &path(id), body).await;
        mismatches.answer(method, &answer, "404 not-found");
    }
}

#[tokio::test]
async fn a_ledger_names_checkouts_to_those_alone_who_may_read_them() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let lamp = admin.sell("Lamp", "5", 9).await;
    let cart = json!({ "items": [{ "product_id": lamp, "quantity": 2 }] });
    let visitor = admin.publishable_key().await;
    let checkout = visitor.post("/checkouts", cart).await.body["id"].clone();
    let hold = format!("/checkouts/{}/hold", checkout.as_str().unwrap());
    assert_eq!(visitor.post(&hold, json!({})).await.outcome(), "200");
    let ledger = format!("/products/{lamp}/stock");
    let reader = admin.secret_key(&["products:read"]).await;
    let seller = admin
        .secret_key(&["products:read", "checkouts:write"])
        .await;
    // What was kept for one is not shown to another.
    for round in 0..2 {
        for (who, shown) in [
            (&admin, &checkout),
            (&reader, &Value::Null),
            (&seller, &checkout),
        ] {
            let movement = &who.get(&ledger).await.body["items"][0];
            assert_eq!(movement["kind"], "hold");
            assert_eq!(&movement["checkout_id"], shown, "round {round}");
        }
    }
}

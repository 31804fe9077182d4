//! An order on its way, and its stock.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    assert_answer,
    support::{Client, Mismatches, Shop, assert_invariants},
};

#[tokio::test]
async fn an_order_is_paid_shipped_and_delivered_with_its_history() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (_, order) = one_order(&shop, &admin).await;
    for status in ["paid", "shipped"] {
        assert_eq!(advance(&admin, &order, status).await, StatusCode::OK);
    }
    assert_answer!(
        admin
            .patch(
                &format!("/orders/{order}"),
                json!({ "status": "delivered" })
            )
            .await
    );
}

#[tokio::test]
async fn an_order_cannot_leave_its_way() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (_, order) = one_order(&shop, &admin).await;
    let mut mismatches = Mismatches::default();
    for status in ["placed", "shipped", "delivered"] {
        let answer = admin
            .patch(&format!("/orders/{order}"), json!({ "status": status }))
            .await;
        mismatches.answer(status, &answer, "409 invalid-transition");
    }
    assert_eq!(
        admin.get(&format!("/orders/{order}")).await.body["status"],
        "placed"
    );
}

#[tokio::test]
async fn a_shipped_order_cannot_be_cancelled() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (_, order) = one_order(&shop, &admin).await;
    for status in ["paid", "shipped"] {
        advance(&admin, &order, status).await;
    }
    assert_eq!(
        advance(&admin, &order, "cancelled").await,
        StatusCode::CONFLICT
    );
    let answer = admin
        .post(&format!("/orders/{order}/cancel"), json!({}))
        .await;
    assert_eq!(answer.problem(), "invalid-transition");
}

#[tokio::test]
async fn customers_do_not_move_orders_on() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (customer, order) = one_order(&shop, &admin).await;
    assert_eq!(
        advance(&customer, &order, "paid").await,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_customer_cancels_their_order_and_its_stock_returns() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (customer, order) = one_order(&shop, &admin).await;
    let answer = customer
        .post(
            &format!("/orders/{order}/cancel"),
            json!({ "reason": "Too late" }),
        )
        .await;
    assert_answer!(answer);
    assert_eq!(admin.get("/products/1").await.body["stock"], 9);
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn a_cancellation_needs_no_body() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (customer, order) = one_order(&shop, &admin).await;
    let answer = customer
        .send(Method::POST, &format!("/orders/{order}/cancel"), None)
        .await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (StatusCode::OK, &json!("cancelled"))
    );
}

#[tokio::test]
async fn an_order_of_another_customer_is_not_found_to_be_cancelled() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (_, order) = one_order(&shop, &admin).await;
    let other = shop.customer("other").await;
    let answer = other
        .post(&format!("/orders/{order}/cancel"), json!({}))
        .await;
    answer.assert_problem(404, "not-found");
}

#[tokio::test]
async fn what_is_not_tracked_any_more_is_not_given_back() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (customer, order) = one_order(&shop, &admin).await;
    admin.patch("/products/1", json!({ "stock": null })).await;
    customer
        .post(&format!("/orders/{order}/cancel"), json!({}))
        .await;
    assert_eq!(admin.get("/products/1").await.body["stock"], Value::Null);
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn an_adjustment_changes_the_stock_and_shows_the_product() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.sell("Tea", "2", 9).await;
    assert_answer!(
        admin
            .post(
                "/products/1/stock",
                json!({ "delta": -4, "reason": "Broken" })
            )
            .await
    );
}

#[tokio::test]
async fn no_adjustment_takes_more_than_there_is() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.sell("Tea", "2", 3).await;
    let answer = admin
        .post(
            "/products/1/stock",
            json!({ "delta": -4, "reason": "Broken" }),
        )
        .await;
    answer.assert_problem(409, "insufficient-stock");
    let error = &answer.body["errors"][0];
    assert_eq!(
        (&error["pointer"], &error["requested"], &error["available"]),
        (&json!("/delta"), &json!(4), &json!(3))
    );
    assert_eq!(admin.get("/products/1").await.body["stock"], 3);
}

#[tokio::test]
async fn an_adjustment_needs_a_delta_and_a_reason() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.sell("Tea", "2", 3).await;
    let answer = admin.post("/products/1/stock", json!({ "delta": 0 })).await;
    assert_eq!(
        answer.faults(),
        [("/delta", "range"), ("/reason", "required")]
    );
    let answer = admin
        .post("/products/1/stock", json!({ "delta": 1.5, "reason": "" }))
        .await;
    assert_eq!(answer.faults(), [("/delta", "type"), ("/reason", "length")]);
}

#[tokio::test]
async fn what_is_not_tracked_cannot_be_adjusted() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.sell("Gift card", "2", None).await;
    let answer = admin
        .post(
            "/products/1/stock",
            json!({ "delta": 1, "reason": "Found" }),
        )
        .await;
    answer.assert_problem(409, "conflict");
}

#[tokio::test]
async fn the_ledger_lists_every_change_the_newest_first() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (customer, order) = one_order(&shop, &admin).await;
    customer
        .post(&format!("/orders/{order}/cancel"), json!({}))
        .await;
    admin
        .post(
            "/products/1/stock",
            json!({ "delta": 5, "reason": "Delivery" }),
        )
        .await;
    admin.patch("/products/1", json!({ "stock": null })).await;
    admin.patch("/products/1", json!({ "stock": 2 })).await;
    assert_answer!(admin.get("/products/1/stock").await);
}

#[tokio::test]
async fn the_ledger_is_for_administrators() {
    let (shop, admin) = Shop::open_with_admin().await;
    let (customer, _) = one_order(&shop, &admin).await;
    assert_eq!(customer.get("/products/1/stock").await.status, 403);
    assert_eq!(admin.get("/products/2/stock").await.status, 404);
}

/// Two of nine pieces of tea, ordered by ada.
async fn one_order(shop: &Shop, admin: &Client) -> (Client, Value) {
    let product = admin.sell("Tea", "2", 9).await;
    let customer = shop.customer("ada").await;
    let order = customer
        .post(
            "/orders",
            json!({ "items": [{ "product_id": product, "quantity": 2 }] }),
        )
        .await;
    (customer, order.body["id"].clone())
}

async fn advance(client: &Client, order: &Value, status: &str) -> StatusCode {
    client
        .patch(&format!("/orders/{order}"), json!({ "status": status }))
        .await
        .status
}

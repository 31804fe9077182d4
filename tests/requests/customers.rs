//! Customers: R1.

use axum::http::StatusCode;
use serde_json::json;

use crate::{assert_answer, support::Shop};

#[tokio::test]
async fn a_customer_is_created_with_its_location() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let answer = admin
        .post("/customers", json!({ "name": "Ada Lovelace", "email": "Ada@Example.com", "phone": "+44 20 7946 0018" }))
        .await;
    assert_answer!(answer);
}

#[tokio::test]
async fn an_email_belongs_to_one_customer_whatever_its_case() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    admin
        .post(
            "/customers",
            json!({ "name": "Ada", "email": "ada@example.com" }),
        )
        .await;
    let answer = admin
        .post(
            "/customers",
            json!({ "name": "Other", "email": "ADA@example.com" }),
        )
        .await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::CONFLICT, "conflict")
    );
    assert_eq!(answer.faults(), [("/email", "taken")]);
}

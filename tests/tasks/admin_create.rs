//! `admin:create`: R2.

use axum::http::StatusCode;
use boxcar::{models::customer_accounts, tasks::admin_create::AdminCreate};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::json;

use super::run;
use crate::support::{PASSWORD, Program, Shop};

#[tokio::test]
async fn the_new_administrator_logs_in() {
    let shop = Shop::open().await;
    create(&shop, "root", PASSWORD).await.unwrap();
    let account = shop
        .stranger()
        .post(
            "/auth/login",
            json!({ "username": "root", "password": PASSWORD }),
        )
        .await
        .body["account"]
        .clone();
    assert_eq!(
        account,
        json!({ "id": 1, "username": "root", "role": "admin", "customer_id": null })
    );
}

#[tokio::test]
async fn a_password_is_generated_and_printed_once() {
    let shop = Shop::open().await;
    let outcome = program(&shop)
        .run(&["task", "admin:create", "username:root"])
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let password = outcome.stdout.split_whitespace().last().unwrap();
    assert_eq!(outcome.stdout.matches(password).count(), 1);
    assert!(!outcome.stderr.contains(password));
    assert_eq!(login(&shop, "root", password).await, StatusCode::OK);
}

#[tokio::test]
async fn a_password_that_was_given_is_not_printed() {
    let shop = Shop::open().await;
    let outcome = program(&shop)
        .run(&[
            "task",
            "admin:create",
            "username:root",
            &format!("password:{PASSWORD}"),
        ])
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(PASSWORD));
}

#[tokio::test]
async fn a_password_may_contain_colons() {
    let shop = Shop::open().await;
    let outcome = program(&shop)
        .run(&[
            "task",
            "admin:create",
            "username:root",
            "password:kettle:9:anvil:fjord",
        ])
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(
        login(&shop, "root", "kettle:9:anvil:fjord").await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_password_is_read_from_the_first_line_of_standard_input() {
    let shop = Shop::open().await;
    let outcome = program(&shop)
        .input(&format!("{PASSWORD}\r\nanother line\n"))
        .run(&["task", "admin:create", "username:root", "password:-"])
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(login(&shop, "root", PASSWORD).await, StatusCode::OK);
}

#[tokio::test]
async fn an_empty_standard_input_is_no_password() {
    let shop = Shop::open().await;
    let outcome = program(&shop)
        .input("")
        .run(&["task", "admin:create", "username:root", "password:-"])
        .await;
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .stderr
            .contains("password must have 12 to 128 characters"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_refusal_is_exit_code_1_and_a_message_on_standard_error() {
    let shop = Shop::open().await;
    let outcome = program(&shop)
        .run(&["task", "admin:create", "username:root", "pasword:x"])
        .await;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert!(
        outcome
            .stderr
            .contains("the argument pasword is not one of username, password"),
        "{outcome:?}"
    );
    assert_eq!(accounts(&shop).await, 0);
}

#[tokio::test]
async fn a_short_password_is_refused() {
    let shop = Shop::open().await;
    let why = create(&shop, "root", "9 anvils").await.unwrap_err();
    assert_eq!(why, "password must have 12 to 128 characters");
    assert_eq!(accounts(&shop).await, 0);
}

#[tokio::test]
async fn a_password_that_is_easily_guessed_is_refused() {
    let shop = Shop::open().await;
    let why = create(&shop, "root", "password1234").await.unwrap_err();
    assert!(why.starts_with("password is easily guessed. "), "{why}");
    assert_eq!(accounts(&shop).await, 0);
}

#[tokio::test]
async fn a_password_made_of_the_username_is_refused() {
    let shop = Shop::open().await;
    let name = "zanthoxylum.qvist";
    let why = create(&shop, name, name).await.unwrap_err();
    assert!(why.starts_with("password is easily guessed. "), "{why}");
    assert_eq!(accounts(&shop).await, 0);
}

#[tokio::test]
async fn a_username_that_breaks_the_rules_is_refused() {
    let shop = Shop::open().await;
    for name in ["ab", "with blank", ""] {
        let why = create(&shop, name, PASSWORD).await.unwrap_err();
        assert!(why.starts_with("username must "), "{why}");
    }
    assert_eq!(accounts(&shop).await, 0);
}

#[tokio::test]
async fn a_username_is_required() {
    let shop = Shop::open().await;
    let why = run(AdminCreate, &shop, &[]).await.unwrap_err();
    assert_eq!(why, "username:NAME is required");
}

#[tokio::test]
async fn a_username_that_is_taken_is_refused_whatever_its_case() {
    let shop = Shop::open().await;
    create(&shop, "root", PASSWORD).await.unwrap();
    let why = create(&shop, "ROOT", "another 7 gravel lantern")
        .await
        .unwrap_err();
    assert_eq!(why, "username belongs to another account");
    assert_eq!(login(&shop, "root", PASSWORD).await, StatusCode::OK);
    assert_eq!(accounts(&shop).await, 1);
}

async fn create(shop: &Shop, username: &str, password: &str) -> Result<(), String> {
    let arguments = [("username", username), ("password", password)];
    run(AdminCreate, shop, &arguments).await
}

fn program(shop: &Shop) -> Program {
    Program::new("test").on(&shop.ctx.config.database.uri)
}

async fn login(shop: &Shop, username: &str, password: &str) -> StatusCode {
    let body = json!({ "username": username, "password": password });
    shop.stranger().post("/auth/login", body).await.status
}

async fn accounts(shop: &Shop) -> u64 {
    customer_accounts::Entity::find()
        .count(&shop.ctx.db)
        .await
        .unwrap()
}

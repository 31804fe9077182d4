//! What the server writes into its log, and what it never does.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{PASSWORD, Program, Server};

const NEW_PASSWORD: &str = "gravel otter 3 plinth dune";

#[tokio::test]
async fn no_password_token_secret_or_body_is_logged_however_much_is() {
    let program = Program::new("development")
        .env("LOG_LEVEL", "trace")
        .env("DB_LOGGING", "true")
        .env("SEED_DEMO", "false")
        .env("ADMIN_USERNAME", "root")
        .env("ADMIN_PASSWORD", PASSWORD);
    let server = Server::start(program).await;
    let bearer = log_in(&server, PASSWORD).await;
    let wrong = json!({ "username": "root", "password": "wrong-kettle-password" });
    send(&server, Method::POST, "/auth/login", None, &wrong, 401).await;
    let token = Some(bearer.as_str());
    let customer = json!({ "name": "Quillon Marsh", "email": "quillon@example.com", "phone": "+44 7700 900123" });
    let customer = send(&server, Method::POST, "/customers", token, &customer, 201).await;
    let account = json!({ "customer_id": customer["id"], "username": "quillon", "password": "marsh heron 8 lantern" });
    send(
        &server,
        Method::POST,
        "/customer-accounts",
        token,
        &account,
        201,
    )
    .await;
    let product = json!({ "name": "Lamp", "price": "5" });
    let product = send(&server, Method::POST, "/products", token, &product, 201).await;
    let order = json!({
        "customer_id": customer["id"], "note": "behind the green shed",
        "items": [{ "product_id": product["id"], "quantity": 1 }],
    });
    send(&server, Method::POST, "/orders", token, &order, 201).await;
    let broken = json!({ "name": "unseemly-unknown-value", "colour": 7 });
    send(&server, Method::POST, "/products", token, &broken, 422).await;
    let change = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    send(&server, Method::PUT, "/auth/password", token, &change, 204).await;

    let log = server.printed();
    assert!(
        log.contains("trace") || log.contains("TRACE") || log.contains("DEBUG"),
        "little was logged"
    );
    let secret = "Ym94Y2FyLWRldmVsb3BtZW50LW9ubHkta2V5";
    for never in [
        PASSWORD,
        NEW_PASSWORD,
        "wrong-kettle-password",
        "marsh heron 8 lantern",
        "$argon2id$",
        &bearer,
        secret,
        "quillon@example.com",
        "+44 7700 900123",
        "behind the green shed",
        "unseemly-unknown-value",
    ] {
        assert!(!log.contains(never), "{never} is in the log");
    }
}

#[tokio::test]
async fn who_did_what_is_logged_with_the_requests_id() {
    let program = Program::new("production")
        .env("JWT_SECRET", &"QUJD".repeat(22))
        .env("ADMIN_USERNAME", "root")
        .env("ADMIN_PASSWORD", PASSWORD);
    let server = Server::start(program).await;
    let token = log_in(&server, PASSWORD).await;
    let product = json!({ "name": "Lamp", "price": "5" });
    let path = "/api/v1/products";
    let answer = server
        .request(Method::POST, path, Some(&token), Some(&product))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let log = server.printed();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let audits: Vec<_> = lines
        .filter(|line| line["target"] == "boxcar::audit")
        .collect();
    let [login, write] = &audits[..] else {
        panic!("{audits:#?}");
    };
    assert_eq!(
        (&login["fields"]["route"], &login["fields"]["status"]),
        (&json!("/api/v1/auth/login"), &json!(200))
    );
    let fields = &write["fields"];
    for (name, value) in [
        ("username", json!("root")),
        ("role", json!("admin")),
        ("method", json!("POST")),
        ("route", json!("/api/v1/products")),
        ("status", json!(201)),
        ("location", json!("/api/v1/products/1")),
    ] {
        assert_eq!(fields[name], value, "{fields:#}");
    }
    let id = answer.header("x-request-id").unwrap();
    assert!(write.to_string().contains(id), "{write:#}");
}

async fn log_in(server: &Server, password: &str) -> String {
    let credentials = json!({ "username": "root", "password": password });
    let login = send(server, Method::POST, "/auth/login", None, &credentials, 200).await;
    login["token"].as_str().unwrap().to_owned()
}

async fn send(
    server: &Server,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: &Value,
    status: u16,
) -> Value {
    let path = format!("/api/v1{path}");
    let answer = server.request(method, &path, token, Some(body)).await;
    assert_eq!(answer.status, status, "{path}: {}", answer.body);
    answer.body
}

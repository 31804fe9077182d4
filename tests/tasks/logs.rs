//! What the server writes into its log, and what it never does.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::http::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::support::{PASSWORD, Program, Server, Service, Shop, request_at};

const NEW_PASSWORD: &str = "gravel otter 3 plinth dune";

#[tokio::test]
async fn no_password_token_secret_or_body_is_logged_however_much_is() {
    let program = Program::new("development")
        .env("LOG_LEVEL", "trace")
        .env("RUST_LOG", "trace")
        .env("DB_LOGGING", "true")
        .env("SEED_DEMO", "false")
        .env("ADMIN_USERNAME", "root")
        .env("ADMIN_PASSWORD", PASSWORD);
    let server = Server::start(program).await;
    let bearer = log_in(&server, PASSWORD).await;
    let wrong = json!({ "username": "root", "password": "wrong-kettle-password" });
    post(&server, "/auth/login", None, &wrong, 401).await;
    let token = Some(bearer.as_str());
    let customer = json!({ "name": "Quillon Marsh", "email": "quillon@example.com", "phone": "+44 7700 900123" });
    let customer = post(&server, "/customers", token, &customer, 201).await;
    let account = json!({ "customer_id": customer["id"], "username": "quillon", "password": "marsh heron 8 lantern" });
    post(&server, "/customer-accounts", token, &account, 201).await;
    let product = json!({ "name": "Lamp", "price": "5" });
    let product = post(&server, "/products", token, &product, 201).await;
    let order = json!({
        "customer_id": customer["id"], "note": "behind the green shed",
        "items": [{ "product_id": product["id"], "quantity": 1 }],
    });
    post(&server, "/orders", token, &order, 201).await;
    let broken = json!({ "name": "unseemly-unknown-value", "colour": 7 });
    post(&server, "/products", token, &broken, 422).await;
    let change = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    send(&server, Method::PUT, "/auth/password", token, &change, 204).await;

    let log = server.printed();
    // Of every statement that was run.
    assert!(log.contains("sqlx::query"), "little was logged: {log}");
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
async fn of_a_checkouts_id_only_the_beginning_is_logged_however_much_is() {
    let program = Program::new("development")
        .env("LOG_LEVEL", "trace")
        .env("RUST_LOG", "trace")
        .env("DB_LOGGING", "true")
        .env("SEED_DEMO", "false")
        .env("ADMIN_USERNAME", "root")
        .env("ADMIN_PASSWORD", PASSWORD);
    let server = Server::start(program).await;
    let bearer = log_in(&server, PASSWORD).await;
    let token = Some(bearer.as_str());
    let product = json!({ "name": "Lamp", "price": "5", "stock": 9 });
    let product = post(&server, "/products", token, &product, 201).await;
    let key = json!({ "name": "Window", "kind": "publishable" });
    let key = post(&server, "/api-keys", token, &key, 201).await;
    let key = key["key"].as_str();
    let cart = json!({
        "items": [{ "product_id": product["id"], "quantity": 1 }], "email": "ada@example.com",
    });
    let checkout = post(&server, "/checkouts", key, &cart, 201).await;
    let id = checkout["id"].as_str().unwrap();
    let path = format!("/checkouts/{id}");
    send(&server, Method::GET, &path, key, &Value::Null, 200).await;
    send(
        &server,
        Method::PATCH,
        &path,
        key,
        &json!({ "note": "x" }),
        200,
    )
    .await;
    post(&server, &format!("{path}/hold"), key, &json!({}), 200).await;
    let order = json!({ "expected_total": "5" });
    post(&server, &format!("{path}/complete"), key, &order, 201).await;
    post(&server, &format!("{path}/nothing"), key, &order, 404).await;
    send(
        &server,
        Method::GET,
        &format!("{path}/"),
        key,
        &Value::Null,
        404,
    )
    .await;

    let log = server.printed();
    assert!(log.contains("sqlx::query"), "little was logged: {log}");
    let begun = &id[..8];
    for shown in [
        format!("location=\"/api/v1/checkouts/{begun}…\""),
        format!("path=\"/api/v1/checkouts/{begun}…\""),
        format!("path=\"/api/v1/checkouts/{begun}…/complete\""),
        format!("path=\"/api/v1/checkouts/{begun}…/nothing\""),
    ] {
        assert!(log.contains(&shown), "{shown} is not in the log");
    }
    let whole = log.lines().find(|line| line.contains(&id[..12]));
    assert_eq!(whole, None, "more of the id is in the log");
}

#[tokio::test]
async fn who_did_what_is_logged_with_the_requests_id() {
    let server = production(&[]).await;
    let token = log_in(&server, PASSWORD).await;
    let product = json!({ "name": "Lamp", "price": "5" });
    let path = "/api/v1/products";
    let answer = server
        .request(Method::POST, path, Some(&token), Some(&product))
        .await;
    assert_eq!(answer.status, 201);
    let audits = audited(&server);
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

#[tokio::test]
async fn a_log_for_people_has_a_line_for_each_request_and_no_colours_where_it_is_no_terminal() {
    let program = Program::new("development")
        .env("ADMIN_USERNAME", "root")
        .env("ADMIN_PASSWORD", PASSWORD)
        .env("SEED_DEMO", "false");
    let server = Server::start(program).await;
    log_in(&server, PASSWORD).await;
    let log = server.printed();
    assert!(!log.contains('\u{1b}'), "{log}");
    let line = log.lines().find(|line| line.contains("login succeeded"));
    let (time, line) = line.unwrap().split_once(' ').unwrap();
    chrono::DateTime::parse_from_rfc3339(time).unwrap();
    let start = " INFO request: boxcar::audit: login succeeded account_id=1 username=\"root\" role=\"admin\" ";
    assert!(line.starts_with(start), "{line}");
    let end = " method=\"POST\" path=\"/api/v1/auth/login\"";
    assert!(
        line.contains(" address=127.0.0.1 ") && line.ends_with(end),
        "{line}"
    );
}

#[tokio::test]
async fn a_login_says_who_tried_it_and_what_came_of_it() {
    let server = production(&[("LOGIN_FAILURES", "2")]).await;
    for (username, password, status) in [
        ("root", PASSWORD, 200),
        ("Root", "not it at all, sorry", 401),
        ("my-password-by-mistake", PASSWORD, 401),
        ("root", "not it at all, sorry", 401),
        ("root", PASSWORD, 429),
    ] {
        let credentials = json!({ "username": username, "password": password });
        post(&server, "/auth/login", None, &credentials, status).await;
    }
    let lines = audited(&server);
    let [succeeded, failed, unknown, _, refused] = &lines[..] else {
        panic!("{lines:#?}");
    };
    for (line, outcome, username, id) in [
        (succeeded, "login succeeded", json!("root"), json!(1)),
        (failed, "login failed", json!("root"), json!(1)),
        (unknown, "login failed", Value::Null, Value::Null),
        (refused, "refused", Value::Null, Value::Null),
    ] {
        let fields = &line["fields"];
        assert_eq!(fields["message"], outcome, "{line:#}");
        assert_eq!(fields["username"], username, "{line:#}");
        assert_eq!(fields["account_id"], id, "{line:#}");
        assert_eq!(fields["address"], "127.0.0.1", "{line:#}");
        assert!(fields["username_digest"].is_string(), "{line:#}");
    }
    let digest = |line: &Value| line["fields"]["username_digest"].clone();
    assert_eq!(digest(failed), digest(refused));
    assert_ne!(digest(failed), digest(unknown));
    assert!(!server.printed().contains("my-password-by-mistake"));
}

#[tokio::test]
async fn what_is_refused_is_logged_with_who_asked() {
    let server = production(&[("RATE_LIMIT_REQUESTS", "1")]).await;
    let admin = log_in(&server, PASSWORD).await;
    let admin = Some(admin.as_str());
    let customer = json!({ "name": "Ada", "email": "ada@example.com" });
    let customer = post(&server, "/customers", admin, &customer, 201).await;
    let account =
        json!({ "customer_id": customer["id"], "username": "ada", "password": NEW_PASSWORD });
    post(&server, "/customer-accounts", admin, &account, 201).await;
    let credentials = json!({ "username": "ada", "password": NEW_PASSWORD });
    let ada = post(&server, "/auth/login", None, &credentials, 200).await;
    let ada = ada["token"].as_str();
    let before = audited(&server).len();
    for (token, path, status, username) in [
        (None, "/customers", 401, Value::Null),
        (ada, "/customers", 403, json!("ada")),
        (ada, "/orders/17", 404, json!("ada")),
        (ada, "/orders/18", 429, json!("ada")),
        (None, "/orders", 401, Value::Null),
        (None, "/orders", 429, Value::Null),
    ] {
        let path = format!("/api/v1{path}");
        let answer = server.request(Method::GET, &path, token, None).await;
        assert_eq!(answer.status, status, "{path}");
        let lines = audited(&server);
        let line = lines.last().unwrap();
        let fields = &line["fields"];
        assert_eq!(
            (&fields["message"], &fields["status"], &fields["username"]),
            (&json!("refused"), &json!(status), &username),
            "{line:#}"
        );
        assert_eq!(line["span"]["path"], path, "{line:#}");
    }
    assert_eq!(audited(&server).len(), before + 6);
}

#[tokio::test]
async fn which_fields_of_an_account_changed_is_logged_without_their_values() {
    let server = production(&[]).await;
    let token = log_in(&server, PASSWORD).await;
    let admin = Some(token.as_str());
    let customer = json!({ "name": "Ada", "email": "ada@example.com" });
    let customer = post(&server, "/customers", admin, &customer, 201).await;
    let account =
        json!({ "customer_id": customer["id"], "username": "ada", "password": NEW_PASSWORD });
    let account = post(&server, "/customer-accounts", admin, &account, 201).await;
    let path = format!("/customer-accounts/{}", account["id"]);
    let other = "copper lantern 4 sedge mile";
    for (method, change, changed) in [
        (Method::PATCH, json!({ "role": "admin" }), json!("role")),
        (Method::PATCH, json!({ "role": "admin" }), Value::Null),
        (
            Method::PATCH,
            json!({ "password": other }),
            json!("password"),
        ),
        (
            Method::PATCH,
            json!({ "username": "ada.l" }),
            json!("username"),
        ),
        (
            Method::PUT,
            json!({ "username": "ada", "password": NEW_PASSWORD }),
            json!("username,password"),
        ),
        (Method::PATCH, json!({ "username": "root" }), Value::Null),
    ] {
        let status = if change["username"] == "root" {
            409
        } else {
            200
        };
        send(&server, method, &path, admin, &change, status).await;
        let lines = audited(&server);
        let line = lines.last().unwrap();
        assert_eq!(line["fields"]["changed"], changed, "{change}: {line:#}");
        assert_eq!(line["fields"]["username"], "root", "{line:#}");
    }
    let change = json!({ "current_password": PASSWORD, "new_password": other });
    send(&server, Method::PUT, "/auth/password", admin, &change, 204).await;
    let lines = audited(&server);
    assert_eq!(lines.last().unwrap()["fields"]["changed"], "password");
    assert!(!server.printed().contains("ada.l"));
}

#[tokio::test]
async fn no_query_is_logged_whatever_is_asked() {
    let server = production(&[("LOG_LEVEL", "trace"), ("DB_LOGGING", "true")]).await;
    let token = log_in(&server, PASSWORD).await;
    for (method, path) in [
        (
            Method::POST,
            "/api/v1/auth/login?username=pat&password=S3cretInQuery",
        ),
        (Method::POST, "/api/v1/orders?access_token=S3cretInQuery"),
        (Method::DELETE, "/api/v1/customers/77?reason=S3cretInQuery"),
        (Method::GET, "/api/v1/customers?q=S3cretInQuery"),
        (Method::GET, "/api/v1/products?nonsense=S3cretInQuery"),
        (Method::GET, "/api/v1/nothing?S3cretInQuery"),
        (Method::GET, "/elsewhere?S3cretInQuery"),
        (Method::GET, "/_health?S3cretInQuery"),
    ] {
        let body = (method != Method::GET).then(|| json!({}));
        let answer = server
            .request(method, path, Some(&token), body.as_ref())
            .await;
        assert!(answer.status.as_u16() < 500, "{path}: {}", answer.status);
    }
    let log = server.printed();
    assert!(log.contains("\"path\":\"/api/v1/customers\""), "{log}");
    let line = log.lines().find(|line| line.contains("S3cretInQuery"));
    assert_eq!(line, None);
}

#[tokio::test]
async fn what_a_client_writes_makes_no_field_and_no_line_of_the_log() {
    let program = Program::new("development")
        .env("SEED_DEMO", "false")
        .env("ADMIN_USERNAME", "root")
        .env("ADMIN_PASSWORD", PASSWORD);
    let server = Server::start(program).await;
    let headers = "User-Agent: x account_id=42 status=403\r\nX-Request-Id: y account_id=42\r\n\
                   X-Forwarded-For: z account_id=42\r\n";
    for path in [
        "/api/v1/x\u{a0}account_id=42",
        "/api/v1/x\u{85}account_id=42",
        "/api/v1/x\u{2028}account_id=42",
        "/api/v1/x\"account_id=42",
    ] {
        // Some of them are refused before they are a request.
        let _ = request_at(server.port, Method::GET, path, headers, None).await;
    }
    let log = server.printed();
    assert!(log.contains("refused"), "{log}");
    for line in log.lines() {
        let mut words = line.split(|letter: char| letter.is_whitespace() || letter.is_control());
        assert!(
            !words.any(|word| word.starts_with("account_id=42")),
            "{line}"
        );
    }
}

#[tokio::test]
async fn every_request_to_the_api_ends_with_one_line_with_its_id() {
    let server = production(&[]).await;
    let token = log_in(&server, PASSWORD).await;
    let answer = server
        .request(Method::GET, "/api/v1/products", Some(&token), None)
        .await;
    let id = answer.header("x-request-id").unwrap();
    let log = server.printed();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(id)).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("\"username\":\"root\""), "{lines:#?}");
    // Health checks make none.
    assert_eq!(audited(&server).len(), 2, "{log}");
}

#[tokio::test]
async fn requests_to_which_a_client_gave_one_id_can_be_told_apart() {
    let server = production(&[]).await;
    for _ in 0..2 {
        let headers = "X-Request-Id: checkout-42\r\n";
        let path = "/api/v1/products";
        let answer = request_at(server.port, Method::GET, path, headers, None).await;
        assert_eq!(answer.unwrap().body["request_id"], "checkout-42");
    }
    let lines = audited(&server);
    let [one, other] = &lines[..] else {
        panic!("{lines:#?}");
    };
    assert_eq!(one["span"]["request_id"], "checkout-42");
    assert_ne!(one["span"]["own_id"], other["span"]["own_id"], "{one:#}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_logged_with_its_id() {
    let server = production(&[("REQUEST_TIMEOUT", "300"), ("LOG_LEVEL", "warn")]).await;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    stream.write_all(UNFINISHED).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let id = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-request-id: "));
    let log = server.printed();
    assert!(log.contains(id.unwrap()), "{log}");
}

#[tokio::test]
async fn a_request_whose_client_hangs_up_is_logged_too() {
    let server = production(&[]).await;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    stream.write_all(UNFINISHED).await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(line) = audited(&server).first() {
            assert_eq!(line["span"]["path"], "/api/v1/auth/login", "{line:#}");
            break;
        }
        assert!(Instant::now() < deadline, "{}", server.printed());
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_header_of_a_proxy_that_cannot_be_used_is_said_once() {
    for (trusted, value, what) in [
        ("", "203.0.113.1", "none is trusted"),
        ("X-Forwarded-For", "unknown", "without an address"),
    ] {
        let server = production(&[("TRUSTED_PROXY_HEADER", trusted)]).await;
        for _ in 0..3 {
            let headers = format!("X-Forwarded-For: {value}\r\n");
            let path = "/api/v1/products";
            let answer = request_at(server.port, Method::GET, path, &headers, None).await;
            assert_eq!(answer.unwrap().status, 401);
        }
        let log = server.printed();
        let said = log.lines().filter(|line| line.contains(what));
        assert_eq!(said.count(), 1, "{log}");
        assert!(!log.contains(value), "{log}");
    }
}

#[tokio::test]
async fn an_outage_is_one_error_in_the_log() {
    let (shop, admin) = Shop::open_with_admin().await;
    shop.ctx.db.close_by_ref().await.unwrap();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let answer = admin.get("/customers?q=S3cretInQuery").await;
    drop(guard);
    assert_eq!(answer.status, 503);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let errors = log.lines().filter(|line| line.contains("ERROR"));
    assert_eq!(errors.count(), 1, "{log}");
    assert!(
        log.contains(answer.header("x-request-id").unwrap()),
        "{log}"
    );
    assert!(!log.contains("S3cretInQuery"), "{log}");
}

#[tokio::test]
async fn a_redis_that_is_away_when_the_server_starts_is_said_once() {
    let server = production(&[("REDIS_URL", "redis://:s3cret@127.0.0.1:1")]).await;
    for _ in 0..3 {
        let path = "/api/v1/products";
        assert_eq!(server.ask(Method::GET, path).await.unwrap().status, 401);
    }
    let log = server.printed();
    let said = log.lines().filter(|line| line.contains("Redis is away"));
    assert_eq!(said.count(), 1, "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

#[tokio::test]
async fn a_redis_that_goes_and_comes_back_is_said_once_each_time() {
    if std::env::var("REDIS_URL").is_err() {
        eprintln!("not tried: it takes REDIS_URL");
        return;
    }
    let redis = Service::redis().await;
    let server = production(&[("REDIS_URL", &redis.uri())]).await;
    let says = async |what: &str, times: usize| {
        let deadline = Instant::now() + Duration::from_secs(20);
        let path = "/api/v1/products";
        // Some more requests after it was said: they say it no more.
        let mut more = 5;
        while more > 0 {
            assert_eq!(server.ask(Method::GET, path).await.unwrap().status, 401);
            let log = server.printed();
            let said = log.lines().filter(|line| line.contains(what)).count();
            assert!(said <= times && Instant::now() < deadline, "{what}: {log}");
            if said == times {
                more -= 1;
            } else {
                sleep(Duration::from_millis(50)).await;
            }
        }
    };
    says("\"Redis answers\"", 1).await;
    for outage in 1..=2 {
        redis.stop().await;
        says("Redis is away", outage).await;
        redis.resume().await;
        says("\"Redis answers\"", outage + 1).await;
    }
}

/// A login of which the end never comes.
const UNFINISHED: &[u8] =
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\
    Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{";

/// What is logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn production(variables: &[(&str, &str)]) -> Server {
    let program = Program::production()
        .env("ADMIN_USERNAME", "root")
        .env("ADMIN_PASSWORD", PASSWORD);
    let program = variables
        .iter()
        .fold(program, |program, (name, value)| program.env(name, value));
    Server::start(program).await
}

/// The lines about requests.
fn audited(server: &Server) -> Vec<Value> {
    let log = server.printed();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["target"] == "boxcar::audit")
        .collect()
}

async fn log_in(server: &Server, password: &str) -> String {
    let credentials = json!({ "username": "root", "password": password });
    let login = send(server, Method::POST, "/auth/login", None, &credentials, 200).await;
    login["token"].as_str().unwrap().to_owned()
}

async fn post(
    server: &Server,
    path: &str,
    token: Option<&str>,
    body: &Value,
    status: u16,
) -> Value {
    send(server, Method::POST, path, token, body, status).await
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

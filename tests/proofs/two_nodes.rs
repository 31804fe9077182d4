//! Two servers behave as one.

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::http::{Method, StatusCode};
use boxcar::models::{codes, orders};
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::nodes::Nodes;
use crate::support::{Program, Server, assert_invariants, free_port, request_at};

const SHOPPERS: usize = 6;
const ORDERS_EACH: usize = 25;

#[tokio::test]
async fn what_is_written_through_one_node_is_read_through_the_other() {
    let Some(nodes) = Nodes::two().await else {
        return;
    };
    let [one, other] = pair(&nodes);
    let product = nodes.add_product().await;
    let path = format!("/api/v1/products/{product}");
    for price in 1..=30 {
        let (writer, reader) = if price % 2 == 0 {
            (one, other)
        } else {
            (other, one)
        };
        let body = json!({ "price": format!("{price}.00") });
        let written = nodes.send(writer, Method::PATCH, &path, &body).await;
        assert_eq!(written.status, 200, "{}", written.body);
        for _ in 0..2 {
            let read = nodes.get(reader, &path).await;
            assert_eq!(read.body["price"], format!("{price}.00"));
            let list = nodes.get(reader, "/api/v1/products").await;
            assert_eq!(list.body["items"][0]["price"], format!("{price}.00"));
        }
    }
}

#[tokio::test]
async fn an_account_that_is_revoked_through_one_node_is_refused_by_both() {
    let Some(nodes) = Nodes::two().await else {
        return;
    };
    let [one, other] = pair(&nodes);
    let me = async |node: &Server, token: &str| {
        let path = "/api/v1/auth/me";
        node.request(Method::GET, path, Some(token), None)
            .await
            .status
    };
    let new_password = json!({ "password": "kettle 4 amber fjord salt" });
    let promoted = json!({ "role": "admin" });
    for (name, method, body) in [
        ("ada", Method::DELETE, None),
        ("bob", Method::PATCH, Some(&new_password)),
        ("cleo", Method::PATCH, Some(&promoted)),
    ] {
        let customer = nodes.shop.customer(name).await;
        let token = customer.token.unwrap();
        for node in [one, other, one, other] {
            assert_eq!(me(node, &token).await, StatusCode::OK);
        }
        let path = format!("/api/v1/customer-accounts/{}", customer.account_id);
        let changed = one.request(method, &path, Some(&nodes.admin), body).await;
        assert!(changed.status.is_success(), "{}", changed.body);
        for node in [other, one] {
            assert_eq!(me(node, &token).await, StatusCode::UNAUTHORIZED, "{name}");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_changed_or_deleted_through_one_node_is_so_on_both() {
    let Some(nodes) = Nodes::two().await else {
        return;
    };
    let [one, other] = pair(&nodes);
    let ask = async |node: &Server, key: &str| {
        node.request(Method::GET, "/api/v1/products", Some(key), None)
            .await
    };
    for _ in 0..3 {
        let body = json!({ "name": "Robot", "kind": "secret", "scopes": ["products:read"] });
        let made = nodes
            .send(one, Method::POST, "/api/v1/api-keys", &body)
            .await;
        let key = made.body["key"].as_str().unwrap();
        for node in [one, other, one, other] {
            assert_eq!(ask(node, key).await.status, StatusCode::OK);
        }
        let path = format!("/api/v1/api-keys/{}", made.body["id"]);
        let limit = json!({ "rate_limit": { "requests": 2, "period_seconds": 3600 } });
        let changed = nodes.send(other, Method::PATCH, &path, &limit).await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
        for (node, status) in [(one, 200), (other, 200), (one, 429), (other, 429)] {
            assert_eq!(ask(node, key).await.status, status);
        }
        let deleted = one
            .request(Method::DELETE, &path, Some(&nodes.admin), None)
            .await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        for node in [other, one] {
            assert_eq!(ask(node, key).await.status, StatusCode::UNAUTHORIZED);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_confirm_through_both_nodes_at_once_exactly_one_sets_the_password() {
    let Some(nodes) = Nodes::two().await else {
        return;
    };
    let ada = nodes.shop.customer("ada").await;
    let code = codes::Proof::PasswordReset {
        account_id: ada.account_id,
        email_key: "ada@example.com",
    };
    let code = nodes.shop.code(code).await;
    let visitor = nodes.shop.visitor().await.token.unwrap();
    let mut attempts = JoinSet::new();
    for number in 0..12 {
        let node = Arc::clone(&nodes.servers[number % 2]);
        let password = format!("kettle {number} amber fjord salt");
        let body = json!({ "token": code, "new_password": password });
        let visitor = visitor.clone();
        attempts.spawn(async move {
            let path = "/api/v1/auth/password-reset/confirm";
            let answer = node.request(Method::POST, path, Some(&visitor), Some(&body));
            (answer.await.outcome(), password)
        });
    }
    let mut set = Vec::new();
    for (outcome, password) in attempts.join_all().await {
        match &*outcome {
            "204" => set.push(password),
            refused => assert!(
                ["422 validation-failed /token invalid", "503 unavailable"].contains(&refused),
                "{refused}"
            ),
        }
    }
    let [password] = &*set else {
        panic!("{set:?} were set")
    };
    assert_eq!(nodes.shop.log_in("ada", password).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_nodes_count_one_budget_that_outlives_them() {
    let limited = |program: Program| program.env("RATE_LIMIT_REQUESTS", "20");
    let Some(nodes) = Nodes::two_with(limited).await else {
        return;
    };
    let list = |node: Arc<Server>, token: String| async move {
        let path = "/api/v1/products";
        node.request(Method::GET, path, Some(&token), None)
            .await
            .status
    };
    let mut requests = JoinSet::new();
    for number in 0..30 {
        let node = Arc::clone(&nodes.servers[number % 2]);
        requests.spawn(list(node, nodes.admin.clone()));
    }
    let statuses = requests.join_all().await;
    let answered = statuses.iter().filter(|status| **status == StatusCode::OK);
    assert_eq!(answered.count(), 20, "{statuses:?}");
    let third = nodes.another(limited).await;
    let refused = nodes.get(&third, "/api/v1/products").await;
    refused.assert_problem(429, "rate-limited");
    assert_eq!(
        refused.header("ratelimit-policy"),
        Some("\"default\";q=20;w=86400")
    );
}

#[tokio::test]
async fn failed_logins_count_on_both_nodes_together() {
    let limited = |program: Program| program.env("LOGIN_FAILURES", "4");
    let Some(nodes) = Nodes::two_with(limited).await else {
        return;
    };
    let wrong = json!({ "username": "ada", "password": "not it at all, sorry" });
    let mut statuses = Vec::new();
    for number in 0..6 {
        let node = &nodes.servers[number % 2];
        let path = "/api/v1/auth/login";
        statuses.push(
            node.request(Method::POST, path, None, Some(&wrong))
                .await
                .status
                .as_u16(),
        );
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
}

#[tokio::test]
async fn without_redis_requests_are_let_through_or_refused_as_the_settings_say() {
    for (on_error, status) in [
        ("allow", StatusCode::OK),
        ("deny", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let settings = |program: Program| {
            program
                .env("RATE_LIMIT_REQUESTS", "2")
                .env("RATE_LIMIT_ON_ERROR", on_error)
        };
        let Some(nodes) = Nodes::two_with(settings).await else {
            return;
        };
        assert_eq!(
            nodes
                .get(&nodes.servers[0], "/api/v1/products")
                .await
                .status,
            200
        );
        nodes.redis.as_ref().unwrap().kill().await;
        for _ in 0..4 {
            let answer = nodes.get(&nodes.servers[0], "/api/v1/products").await;
            assert_eq!(answer.status, status, "{on_error}");
        }
    }
}

#[tokio::test]
async fn an_order_that_is_sent_again_through_the_other_node_is_replayed() {
    let Some(nodes) = Nodes::two().await else {
        return;
    };
    let [one, other] = pair(&nodes);
    let product = nodes.add_product().await;
    let token = nodes.shop.customer("ada").await.token.unwrap();
    let order = json!({ "items": [{ "product_id": product, "quantity": 1 }] });
    let placed = one.place(&token, "once", &order).await.unwrap();
    let again = other.place(&token, "once", &order).await.unwrap();
    assert_eq!(
        (placed.status, again.status),
        (StatusCode::CREATED, StatusCode::CREATED)
    );
    assert_eq!(again.body, placed.body);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_clients_that_try_again_lose_nothing_when_a_node_is_killed() {
    let Some(nodes) = Nodes::two().await else {
        return;
    };
    let Some(proxy) = Nginx::before(&nodes).await else {
        return;
    };
    let product = nodes.add_product().await;
    let token: Arc<str> = nodes.shop.customer("ada").await.token.unwrap().into();
    let mut shoppers = JoinSet::new();
    for shopper in 0..SHOPPERS {
        shoppers.spawn(order_whatever_happens(
            proxy.port,
            Arc::clone(&token),
            product,
            shopper,
        ));
    }
    sleep(Duration::from_millis(700)).await;
    nodes.servers[0].kill();
    let mut acknowledged = BTreeSet::new();
    for orders in shoppers.join_all().await {
        acknowledged.extend(orders);
    }
    assert_eq!(acknowledged.len(), SHOPPERS * ORDERS_EACH);
    let placed = orders::Entity::find()
        .all(&nodes.shop.ctx.db)
        .await
        .unwrap();
    let placed: BTreeSet<i64> = placed.iter().map(|order| order.id).collect();
    assert_eq!(placed, acknowledged);
    assert_invariants(&nodes.shop.ctx.db).await;
}

/// Places orders, each under a key of its own, and asks again until it is answered.
async fn order_whatever_happens(
    port: u16,
    token: Arc<str>,
    product: i64,
    shopper: usize,
) -> Vec<i64> {
    let order = json!({ "items": [{ "product_id": product, "quantity": 1 }] });
    let mut placed = Vec::new();
    for number in 0..ORDERS_EACH {
        let headers =
            format!("Authorization: Bearer {token}\r\nIdempotency-Key: {shopper}-{number}\r\n");
        let deadline = Instant::now() + Duration::from_mins(1);
        let id = loop {
            let order: &Value = &order;
            let answer =
                request_at(port, Method::POST, "/api/v1/orders", &headers, Some(order)).await;
            match answer {
                Ok(answer) if answer.status == StatusCode::CREATED => {
                    break answer.body["id"].as_i64().unwrap();
                }
                Ok(answer) => assert!(
                    answer.status.is_server_error() || answer.status == StatusCode::CONFLICT,
                    "{}",
                    answer.body
                ),
                Err(_) => {}
            }
            assert!(Instant::now() < deadline, "no node answers");
            sleep(Duration::from_millis(250)).await;
        };
        placed.push(id);
    }
    placed
}

fn pair(nodes: &Nodes) -> [&Server; 2] {
    [&nodes.servers[0], &nodes.servers[1]]
}

/// An nginx before the nodes, for as long as this is.
struct Nginx {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Nginx {
    /// Starts it, where there is one.
    async fn before(nodes: &Nodes) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let (port, path) = (free_port(), directory.path().display());
        let servers: Vec<_> = nodes
            .servers
            .iter()
            .map(|node| format!("server 127.0.0.1:{};", node.port))
            .collect();
        let servers = servers.concat();
        // What a POST has come to is not known when a node dies: nginx must not send it to the other. The
        // client does, under the same Idempotency-Key.
        let configuration = format!(
            "daemon off; pid {path}/pid; error_log {path}/error.log; events {{}}\n\
             http {{ access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p;\n\
             fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
             upstream boxcar {{ {servers} }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://boxcar; }} }} }}"
        );
        fs::write(directory.path().join("nginx.conf"), configuration).unwrap();
        let started = Command::new("nginx")
            .env(
                "PATH",
                "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin",
            )
            .arg("-p")
            .arg(directory.path())
            .args(["-c", "nginx.conf"])
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            eprintln!("not tried: it takes nginx");
            return None;
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(Instant::now() < deadline, "nginx does not answer");
            sleep(Duration::from_millis(20)).await;
        }
        Some(Self {
            child,
            port,
            _directory: directory,
        })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it.
        let pid = self.child.id().to_string();
        drop(Command::new("kill").args(["-QUIT", &pid]).status());
        drop(self.child.wait());
    }
}

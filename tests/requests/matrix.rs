//! Who may do what: every route for every kind of caller, in one table.

use axum::http::{Method, StatusCode};
use boxcar::app::App;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use loco_rs::app::Hooks;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Shop};

/// One route: what is sent, and what an anonymous caller, the customer whose things these are, another
/// customer and an administrator are answered. Whoever comes with a token that is good no more, because
/// it has expired or its account was deleted or demoted, is answered as if they were anonymous.
///
/// `:product`, `:order`, `:customer` and `:account` are new ones for every caller, and the order and
/// the account are the first customer's where that can be.
#[rustfmt::skip]
const TABLE: [(&str, &str, &str, [u16; 4]); 24] = [
    // method  path                         body           anonymous owner other admin
    ("POST",   "/auth/login",               "login",              [200, 200, 200, 200]),
    ("GET",    "/auth/me",                  "",                   [401, 200, 200, 200]),
    ("POST",   "/auth/logout",              "",                   [401, 204, 204, 204]),
    ("PUT",    "/auth/password",            "wrong password",     [401, 422, 422, 422]),

    ("GET",    "/products",                 "",                   [401, 200, 200, 200]),
    ("POST",   "/products",                 "product",            [401, 403, 403, 201]),
    ("GET",    "/products/:product",        "",                   [401, 200, 200, 200]),
    ("PUT",    "/products/:product",        "product",            [401, 403, 403, 200]),
    ("PATCH",  "/products/:product",        "price",              [401, 403, 403, 200]),
    ("DELETE", "/products/:product",        "",                   [401, 403, 403, 204]),
    ("GET",    "/products/:product/stock",  "",                   [401, 403, 403, 200]),
    ("POST",   "/products/:product/stock",  "stock",              [401, 403, 403, 200]),

    ("GET",    "/orders",                   "",                   [401, 200, 200, 200]),
    ("POST",   "/orders",                   "order",              [401, 201, 201, 422]),
    ("GET",    "/orders/:order",            "",                   [401, 200, 404, 200]),
    ("PATCH",  "/orders/:order",            "paid",               [401, 403, 403, 200]),
    ("POST",   "/orders/:order/cancel",     "",                   [401, 200, 404, 200]),

    ("GET",    "/customers",                "",                   [401, 403, 403, 200]),
    ("POST",   "/customers",                "customer",           [401, 403, 403, 201]),
    ("GET",    "/customers/:customer",      "",                   [401, 403, 403, 200]),
    ("PUT",    "/customers/:customer",      "customer",           [401, 403, 403, 200]),
    ("PATCH",  "/customers/:customer",      "name",               [401, 403, 403, 200]),
    ("DELETE", "/customers/:customer",      "",                   [401, 403, 403, 204]),

    ("GET",    "/customer-accounts",        "",                   [401, 403, 403, 200]),
];

#[rustfmt::skip]
const ACCOUNTS: [(&str, &str, &str, [u16; 4]); 5] = [
    ("POST",   "/customer-accounts",           "account",         [401, 403, 403, 201]),
    ("GET",    "/customer-accounts/:account",  "",                [401, 403, 403, 200]),
    ("PUT",    "/customer-accounts/:account",  "credentials",     [401, 403, 403, 200]),
    ("PATCH",  "/customer-accounts/:account",  "role",            [401, 403, 403, 200]),
    ("DELETE", "/customer-accounts/:account",  "",                [401, 403, 403, 204]),
];

#[tokio::test]
async fn every_caller_is_answered_as_the_table_says() {
    for (method, path, body, [anonymous, owner, other, admin]) in TABLE.into_iter().chain(ACCOUNTS)
    {
        let scene = Scene::open().await;
        let callers = [
            ("anonymous", scene.shop.stranger(), anonymous),
            ("expired", scene.expired(), anonymous),
            ("deleted", scene.deleted().await, anonymous),
            ("demoted", scene.demoted().await, anonymous),
            ("other", scene.other.clone(), other),
            ("owner", scene.owner.clone(), owner),
            ("admin", scene.shop.admin_named("boss").await, admin),
        ];
        for (who, caller, status) in callers {
            let path = scene.fill(path).await;
            let body = scene.body(body).await;
            let method: Method = method.parse().unwrap();
            let answer = caller.send(method.clone(), &path, body).await;
            let expected = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                answer.status, expected,
                "{method} {path} for {who}: {}",
                answer.body
            );
        }
    }
}

#[tokio::test]
async fn the_table_names_every_route() {
    let shop = Shop::open().await;
    let mut routes: Vec<_> = App::routes(&shop.ctx)
        .collect()
        .into_iter()
        .flat_map(|route| {
            route
                .actions
                .into_iter()
                .map(move |method| (method.to_string(), route.uri.clone()))
        })
        .filter_map(|(method, uri)| Some((method, uri.strip_prefix("/api/v1")?.to_owned())))
        .collect();
    let ids = |path: &str| {
        ["product", "order", "customer", "account"]
            .iter()
            .fold(path.to_owned(), |path, name| {
                path.replace(&format!(":{name}"), "{id}")
            })
    };
    let mut table: Vec<_> = TABLE
        .iter()
        .chain(&ACCOUNTS)
        .map(|(method, path, ..)| ((*method).to_owned(), ids(path)))
        .collect();
    routes.sort();
    table.sort();
    assert_eq!(table, routes);
}

/// A shop with an administrator and two customers.
struct Scene {
    shop: Shop,
    admin: Client,
    owner: Client,
    other: Client,
}

impl Scene {
    async fn open() -> Self {
        let (shop, admin) = Shop::open_with_admin().await;
        let (owner, other) = (shop.customer("owner").await, shop.customer("other").await);
        Self {
            shop,
            admin,
            owner,
            other,
        }
    }

    /// Whose token is an administrator's, but over.
    fn expired(&self) -> Client {
        let secret = &self.shop.ctx.config.get_jwt_config().unwrap().secret;
        let token = self.admin.token.as_deref().unwrap();
        let mut claims = claims(token);
        claims["exp"] = json!(chrono::Utc::now().timestamp() - 1);
        let key = EncodingKey::from_base64_secret(secret).unwrap();
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap();
        self.shop.bearing(Some(token))
    }

    /// Who was an administrator until their account was deleted.
    async fn deleted(&self) -> Client {
        let gone = self.shop.admin_named("gone").await;
        let path = format!("/customer-accounts/{}", gone.account_id);
        assert_eq!(
            self.admin.delete(&path).await.status,
            StatusCode::NO_CONTENT
        );
        gone
    }

    /// Who was an administrator when they got their token, and is a customer now.
    async fn demoted(&self) -> Client {
        let customer = self.shop.customer("demoted").await;
        let path = format!("/customer-accounts/{}", customer.account_id);
        let promoted = self.admin.patch(&path, json!({ "role": "admin" })).await;
        assert_eq!(promoted.status, StatusCode::OK);
        let login = self.shop.log_in("demoted", PASSWORD).await;
        let token = login.body["token"].as_str().unwrap().to_owned();
        let demoted = self.admin.patch(&path, json!({ "role": "customer" })).await;
        assert_eq!(demoted.status, StatusCode::OK);
        self.shop.bearing(Some(token))
    }

    /// The path with new things in it.
    async fn fill(&self, path: &str) -> String {
        let mut path = path.to_owned();
        if path.contains(":product") {
            path = path.replace(":product", &self.product().await.to_string());
        }
        if path.contains(":order") {
            let order = self.owner.order(&[(self.product().await, 1)]).await;
            path = path.replace(":order", &order.body["id"].to_string());
        }
        if path.contains(":customer") {
            path = path.replace(":customer", &self.customer().await.to_string());
        }
        if path.contains(":account") {
            let account = self.body("account").await;
            let account = self
                .admin
                .post("/customer-accounts", account.unwrap())
                .await;
            path = path.replace(":account", &account.body["id"].to_string());
        }
        path
    }

    async fn product(&self) -> i64 {
        let lamp = json!({ "name": "Lamp", "price": "5", "stock": 100 });
        self.admin.add_product(lamp).await
    }

    async fn customer(&self) -> i64 {
        let customer = self.body("customer").await.unwrap();
        let added = self.admin.post("/customers", customer).await;
        added.body["id"].as_i64().unwrap()
    }

    async fn body(&self, what: &str) -> Option<Value> {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        Some(match what {
            "login" => json!({ "username": "owner", "password": PASSWORD }),
            "wrong password" => {
                json!({ "current_password": "not it at all", "new_password": PASSWORD })
            }
            "product" => json!({ "name": "Lamp", "price": "5" }),
            "price" => json!({ "price": "6" }),
            "stock" => json!({ "delta": 1, "reason": "found" }),
            "order" => json!({ "items": [{ "product_id": self.product().await, "quantity": 1 }] }),
            "paid" => json!({ "status": "paid" }),
            "customer" => json!({ "name": "Cleo", "email": format!("{unique}@example.com") }),
            "name" => json!({ "name": "Cleopatra" }),
            "account" => json!({
                "customer_id": Box::pin(self.customer()).await, "username": unique, "password": PASSWORD,
            }),
            "credentials" => json!({ "username": unique, "password": PASSWORD }),
            "role" => json!({ "role": "admin" }),
            _ => return None,
        })
    }
}

fn claims(token: &str) -> Value {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

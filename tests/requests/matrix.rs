//! Who may do what: every route for every kind of caller, in one table.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    body::Body,
    http::{Method, Request},
};
use boxcar::{
    app::App,
    models::{
        codes::Proof,
        types::{Email, Scalar},
        webhook_deliveries,
    },
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use loco_rs::app::Hooks;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, Mismatches, PASSWORD, Shop, address};

/// Another password than every account of a test has.
const NEW_PASSWORD: &str = "gravel otter 3 plinth dune";

/// A route, what is sent, and what a stranger, the customer whose things these are, another customer and an
/// administrator are answered. A caller whose token has expired, or whose account was deleted or demoted,
/// is answered as a stranger is.
pub(super) type Row = (&'static str, &'static str, &'static str, [u16; 4]);

/// `:product`, `:order`, `:checkout`, `:customer`, `:address` and `:account` are new ones for every caller; the order and
/// the checkout are the first customer's, and so is an address of `/me`. Logging out comes last, for it ends the tokens.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    // method  path                             body           stranger owner other admin
    ("POST",   "/auth/login",                   "login",             [200, 200, 200, 200]),
    ("GET",    "/auth/me",                      "",                  [401, 200, 200, 200]),
    ("PUT",    "/auth/password",                "wrong password",    [401, 422, 422, 422]),
    ("POST",   "/auth/register",                "registration",      [401, 202, 202, 202]),
    ("POST",   "/auth/verify",                  "verification",      [401, 200, 200, 200]),
    ("POST",   "/auth/password-reset",          "forgotten",         [401, 202, 202, 202]),
    ("POST",   "/auth/password-reset/confirm",  "reset",             [401, 204, 204, 204]),

    ("GET",    "/me",                           "",                  [401, 200, 200, 404]),
    ("PATCH",  "/me",                           "name",              [401, 200, 200, 404]),
    ("POST",   "/me/email",                     "email code",        [401, 200, 422, 404]),
    ("POST",   "/me/erase",                     "wrong farewell",    [401, 422, 422, 404]),
    ("GET",    "/me/export",                    "",                  [401, 200, 200, 404]),

    ("GET",    "/products",                     "",                  [401, 200, 200, 200]),
    ("POST",   "/products",                     "product",           [401, 403, 403, 201]),
    ("GET",    "/products/:product",            "",                  [401, 200, 200, 200]),
    ("PUT",    "/products/:product",            "product",           [401, 403, 403, 200]),
    ("PATCH",  "/products/:product",            "price",             [401, 403, 403, 200]),
    ("DELETE", "/products/:product",            "",                  [401, 403, 403, 204]),
    ("GET",    "/products/:product/stock",      "",                  [401, 403, 403, 200]),
    ("POST",   "/products/:product/stock",      "stock",             [401, 403, 403, 200]),

    ("GET",    "/orders",                       "",                  [401, 200, 200, 200]),
    ("POST",   "/orders",                       "order",             [401, 201, 201, 422]),
    ("GET",    "/orders/:order",                "",                  [401, 200, 404, 200]),
    ("PATCH",  "/orders/:order",                "paid",              [401, 403, 403, 200]),
    ("POST",   "/orders/:order/cancel",         "",                  [401, 200, 404, 200]),

    ("GET",    "/checkouts",                    "",                  [401, 200, 200, 200]),
    ("POST",   "/checkouts",                    "cart",              [401, 201, 201, 201]),
    ("GET",    "/checkouts/:checkout",          "",                  [401, 200, 404, 200]),
    ("PATCH",  "/checkouts/:checkout",          "remark",            [401, 200, 404, 200]),
    ("PUT",    "/checkouts/:checkout/items/:product", "pieces",      [401, 200, 404, 200]),
    ("DELETE", "/checkouts/:checkout/items/:product", "",            [401, 200, 404, 200]),
    ("POST",   "/checkouts/:checkout/hold",     "",                  [401, 200, 404, 200]),
    ("POST",   "/checkouts/:checkout/complete", "total",             [401, 201, 404, 201]),
    ("POST",   "/checkouts/:checkout/cancel",   "",                  [401, 200, 404, 200]),

    ("GET",    "/customers",                    "",                  [401, 403, 403, 200]),
    ("POST",   "/customers",                    "customer",          [401, 403, 403, 201]),
    ("GET",    "/customers/:customer",          "",                  [401, 403, 403, 200]),
    ("PUT",    "/customers/:customer",          "customer",          [401, 403, 403, 200]),
    ("PATCH",  "/customers/:customer",          "name",              [401, 403, 403, 200]),
    ("DELETE", "/customers/:customer",          "",                  [401, 403, 403, 204]),
    ("GET",    "/customers/:customer/export",   "",                  [401, 403, 403, 200]),

    ("GET",    "/me/addresses",                    "",                  [401, 200, 200, 404]),
    ("POST",   "/me/addresses",                    "address",           [401, 201, 201, 404]),
    ("GET",    "/me/addresses/:address",           "",                  [401, 200, 404, 404]),
    ("PUT",    "/me/addresses/:address",           "other address",     [401, 200, 404, 404]),
    ("PATCH",  "/me/addresses/:address",           "city",              [401, 200, 404, 404]),
    ("DELETE", "/me/addresses/:address",           "",                  [401, 204, 404, 404]),

    ("GET",    "/customers/:customer/addresses",   "",                  [401, 403, 403, 200]),
    ("POST",   "/customers/:customer/addresses",   "address",           [401, 403, 403, 201]),
    ("GET",    "/customers/:customer/addresses/:address", "",                  [401, 403, 403, 200]),
    ("PUT",    "/customers/:customer/addresses/:address", "other address",     [401, 403, 403, 200]),
    ("PATCH",  "/customers/:customer/addresses/:address", "city",              [401, 403, 403, 200]),
    ("DELETE", "/customers/:customer/addresses/:address", "",                  [401, 403, 403, 204]),

    ("GET",    "/customer-accounts",            "",                  [401, 403, 403, 200]),
    ("POST",   "/customer-accounts",            "account",           [401, 403, 403, 201]),
    ("GET",    "/customer-accounts/:account",   "",                  [401, 403, 403, 200]),
    ("PUT",    "/customer-accounts/:account",   "credentials",       [401, 403, 403, 200]),
    ("PATCH",  "/customer-accounts/:account",   "role",              [401, 403, 403, 200]),
    ("DELETE", "/customer-accounts/:account",   "",                  [401, 403, 403, 204]),

    ("GET",    "/api-keys",                     "",                  [401, 403, 403, 200]),
    ("POST",   "/api-keys",                     "key",               [401, 403, 403, 201]),
    ("GET",    "/api-keys/:key",                "",                  [401, 403, 403, 200]),
    ("PATCH",  "/api-keys/:key",                "name",              [401, 403, 403, 200]),
    ("DELETE", "/api-keys/:key",                "",                  [401, 403, 403, 204]),

    ("GET",    "/shipping-rates",               "",                  [401, 403, 403, 200]),
    ("POST",   "/shipping-rates",               "shipping_rate",     [401, 403, 403, 201]),
    ("GET",    "/shipping-rates/:shipping_rate", "",                 [401, 403, 403, 200]),
    ("PUT",    "/shipping-rates/:shipping_rate", "shipping_rate",    [401, 403, 403, 200]),
    ("PATCH",  "/shipping-rates/:shipping_rate", "price",            [401, 403, 403, 200]),
    ("DELETE", "/shipping-rates/:shipping_rate", "",                 [401, 403, 403, 204]),

    ("GET",    "/tax-rates",                    "",                  [401, 403, 403, 200]),
    ("POST",   "/tax-rates",                    "tax_rate",          [401, 403, 403, 201]),
    ("GET",    "/tax-rates/:tax_rate",          "",                  [401, 403, 403, 200]),
    ("PUT",    "/tax-rates/:tax_rate",          "tax_rate",          [401, 403, 403, 200]),
    ("PATCH",  "/tax-rates/:tax_rate",          "name",              [401, 403, 403, 200]),
    ("DELETE", "/tax-rates/:tax_rate",          "",                  [401, 403, 403, 204]),

    ("GET",    "/discounts",                    "",                  [401, 403, 403, 200]),
    ("POST",   "/discounts",                    "discount",          [401, 403, 403, 201]),
    ("GET",    "/discounts/:discount",          "",                  [401, 403, 403, 200]),
    ("PUT",    "/discounts/:discount",          "discount",          [401, 403, 403, 200]),
    ("PATCH",  "/discounts/:discount",          "limit",             [401, 403, 403, 200]),
    ("DELETE", "/discounts/:discount",          "",                  [401, 403, 403, 204]),

    ("GET",    "/events",                       "",                  [401, 403, 403, 200]),
    ("GET",    "/events/:event",                "",                  [401, 403, 403, 200]),

    ("GET",    "/webhook-endpoints",            "",                  [401, 403, 403, 200]),
    ("POST",   "/webhook-endpoints",            "endpoint",          [401, 403, 403, 201]),
    ("GET",    "/webhook-endpoints/:endpoint",  "",                  [401, 403, 403, 200]),
    ("PUT",    "/webhook-endpoints/:endpoint",  "other endpoint",    [401, 403, 403, 200]),
    ("PATCH",  "/webhook-endpoints/:endpoint",  "types",             [401, 403, 403, 200]),
    ("DELETE", "/webhook-endpoints/:endpoint",  "",                  [401, 403, 403, 204]),
    ("POST",   "/webhook-endpoints/:endpoint/rotate-secret", "",     [401, 403, 403, 200]),
    ("POST",   "/webhook-endpoints/:endpoint/test", "",              [401, 403, 403, 202]),
    ("GET",    "/webhook-deliveries",           "",                  [401, 403, 403, 200]),
    ("GET",    "/webhook-deliveries/:delivery", "",                  [401, 403, 403, 200]),
    ("POST",   "/webhook-deliveries/:delivery/retry", "",            [401, 403, 403, 200]),

    ("GET",    "/mails",                        "",                  [401, 403, 403, 200]),
    ("GET",    "/mails/:mail",                  "",                  [401, 403, 403, 200]),

    ("POST",   "/auth/logout",                  "",                  [401, 204, 204, 204]),
];

/// The routes beside the API, which answer everybody.
const OPEN: [&str; 5] = [
    "/_ping",
    "/_health",
    "/_readiness",
    "/problems",
    "/problems/{name}",
];

#[tokio::test]
async fn every_caller_is_answered_as_the_table_says() {
    let scene = Scene::open().await;
    let callers = scene.callers().await;
    let mut mismatches = Mismatches::default();
    for (method, path, body, statuses) in TABLE.iter().copied() {
        for (who, caller, column) in &callers {
            let method: Method = method.parse().unwrap();
            let (path, body) = (scene.fill(path).await, scene.body(body).await);
            let answer = caller.send(method.clone(), &path, body).await;
            let expected = match statuses[*column] {
                401 => "401 unauthenticated".to_owned(),
                403 => "403 forbidden".to_owned(),
                404 => "404 not-found".to_owned(),
                status => status.to_string(),
            };
            let found = answer.outcome();
            // Which rules are broken is for other tests to say.
            let found = found.split(" validation-failed").next().unwrap();
            mismatches.compare(
                format!("{method} {path} for {who}"),
                found,
                expected.as_str(),
            );
        }
    }
}

/// What a secret key can be let do.
const SCOPES: [&str; 19] = [
    "products:read",
    "products:write",
    "orders:read",
    "orders:write",
    "customers:read",
    "customers:write",
    "customer_accounts:read",
    "customer_accounts:write",
    "webhooks:read",
    "webhooks:write",
    "checkouts:read",
    "checkouts:write",
    "rates:read",
    "rates:write",
    "discounts:read",
    "discounts:write",
    "events:read",
    "mails:read",
    "visitors",
];

/// The scope that lets a key do something, as the paths say; beside `visitors`.
pub(super) fn scope_of(method: &str, path: &str) -> Option<String> {
    let of = path.split('/').nth(1).unwrap_or_default();
    let of = match of {
        "webhook-endpoints" | "webhook-deliveries" => "webhooks",
        "shipping-rates" | "tax-rates" => "rates",
        "auth" | "me" | "api-keys" => return None,
        _ if path.ends_with("/export") => return None,
        of => of,
    };
    let what = if method == "GET" { "read" } else { "write" };
    let scope = format!("{}:{what}", of.replace('-', "_"));
    // No scope is about what only administrators in person may do.
    SCOPES.contains(&scope.as_str()).then_some(scope)
}

/// Whether a publishable key may do it.
pub(super) fn is_for_visitors(method: &str, path: &str) -> bool {
    match method {
        "GET" => matches!(
            path,
            "/products" | "/products/:product" | "/checkouts/:checkout"
        ),
        _ if path.starts_with("/checkouts") => true,
        "POST" => matches!(
            path,
            "/auth/register"
                | "/auth/verify"
                | "/auth/password-reset"
                | "/auth/password-reset/confirm"
        ),
        _ => false,
    }
}

#[tokio::test]
async fn every_key_is_answered_as_its_scopes_say() {
    let scene = Scene::open().await;
    let mut keys = BTreeMap::new();
    let publishable = scene.admin.publishable_key().await;
    let mut mismatches = Mismatches::default();
    for (method, path, body, statuses) in TABLE.iter().copied() {
        if path == "/auth/login" {
            continue;
        }
        let (scope, visitors) = (scope_of(method, path), is_for_visitors(method, path));
        let enough = |given: &str| {
            let reads = given.replace(":write", ":read");
            scope
                .as_deref()
                .is_some_and(|asked| asked == given || asked == reads)
                || (visitors && given == "visitors")
        };
        let others = SCOPES.into_iter().filter(|given| !enough(given));
        let others: Vec<_> = others.collect();
        let exact = SCOPES
            .into_iter()
            .filter(|given| Some(*given) == scope.as_deref());
        let visitor = visitors.then_some("visitors");
        let mut callers = vec![(
            "a publishable key".to_owned(),
            publishable.clone(),
            visitors,
        )];
        for given in exact.chain(visitor) {
            let key = scene.key(&mut keys, &[given]).await;
            callers.push((format!("a key for {given}"), key, true));
        }
        let key = scene.key(&mut keys, &others).await;
        callers.push(("a key for all else".to_owned(), key, false));
        for (who, key, is_let_in) in callers {
            // No key makes somebody an administrator.
            let expected = if is_let_in && body != "role" {
                statuses[3].to_string()
            } else {
                "403 forbidden".to_owned()
            };
            // A visitor does not see what is a customer's.
            let path = if who == "a publishable key" || who == "a key for visitors" {
                path.replace(":checkout", ":cart")
            } else {
                path.to_owned()
            };
            let (path, body) = (scene.fill(&path).await, scene.body(body).await);
            let answer = key.send(method.parse().unwrap(), &path, body).await;
            let found = answer.outcome();
            let found = found.split(" validation-failed").next().unwrap();
            let what = format!("{method} {path} for {who}");
            mismatches.compare(&*what, found, expected.as_str());
            let asked = scope.as_deref().or(visitor);
            let asked = asked.map(|scope| format!(", scope=\"{scope}\""));
            let asked = asked.filter(|_| !is_let_in).unwrap_or_default();
            let asked = format!("Bearer realm=\"boxcar\", error=\"insufficient_scope\"{asked}");
            let challenge = (answer.status == 403).then_some(asked);
            mismatches.compare(
                what,
                answer.header("www-authenticate"),
                challenge.as_deref(),
            );
        }
    }
}

#[tokio::test]
async fn every_write_is_an_event() {
    let scene = Scene::open().await;
    let mut mismatches = Mismatches::default();
    for (method, path, body, statuses) in TABLE.iter().copied() {
        // Logging in and out changes nothing that is kept, and the other password is wrong. Who is told how often
        // changes nothing either, nor does a cart before it is an order.
        let is_refused = statuses.iter().all(|status| *status >= 400);
        let is_cart = path.starts_with("/checkouts") && !path.ends_with("/complete");
        if method == "GET"
            || path.starts_with("/auth/")
            || path.ends_with("/retry")
            || is_cart
            || is_refused
        {
            continue;
        }
        let who = if statuses[3] < 300 {
            &scene.admin
        } else {
            &scene.owner
        };
        let (filled, body) = (scene.fill(path).await, scene.body(body).await);
        let answer = who.send(method.parse().unwrap(), &filled, body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
        let newest = scene.admin.get("/events?page_size=1").await.body;
        let request = newest["items"][0]["request_id"].as_str();
        let is_said = request == answer.header("x-request-id");
        mismatches.compare(format!("{method} {path} is an event"), is_said, true);
    }
}

#[tokio::test]
async fn every_open_route_answers_strangers() {
    let shop = Shop::open().await;
    let mut mismatches = Mismatches::default();
    for path in OPEN {
        let request = Request::get(path.replace("{name}", "not-found")).body(Body::empty());
        let answer = shop.stranger().request(request.unwrap()).await;
        mismatches.answer(path, &answer, "200");
        if path.starts_with("/_") {
            mismatches.compare(path, &answer.body, &json!({ "ok": true }));
        }
    }
}

#[tokio::test]
async fn the_table_names_every_route() {
    let shop = Shop::open().await;
    let routes: BTreeSet<_> = App::routes(&shop.ctx)
        .collect()
        .into_iter()
        .flat_map(|route| {
            let methods = route.actions.into_iter();
            methods.map(move |method| (method.to_string(), route.uri.clone()))
        })
        .collect();
    let open = OPEN.map(|path| ("GET".to_owned(), path.to_owned()));
    let table: BTreeSet<_> = TABLE
        .iter()
        .map(|(method, path, ..)| ((*method).to_owned(), format!("/api/v1{}", with_id(path))))
        .chain(open)
        .collect();
    let missing: Vec<_> = routes.difference(&table).collect();
    assert!(
        missing.is_empty(),
        "TABLE in matrix.rs has to say who may call these: {missing:?}"
    );
    let gone: Vec<_> = table.difference(&routes).collect();
    assert!(gone.is_empty(), "TABLE names what is no route: {gone:?}");
}

/// The path as the routes have it.
pub(super) fn with_id(path: &str) -> String {
    let mut is_first = true;
    let parts = path.split('/').map(|part| match part.strip_prefix(':') {
        Some(_) if std::mem::take(&mut is_first) => "{id}".to_owned(),
        Some(name) => format!("{{{name}_id}}"),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A shop with an administrator and two customers.
struct Scene {
    shop: Shop,
    admin: Client,
    owner: Client,
    visitor: Client,
    _mails: TempDir,
}

impl Scene {
    async fn open() -> Self {
        let (shop, mails) = Shop::open_with_mails().await;
        let admin = shop.admin().await;
        Self {
            visitor: admin.publishable_key().await,
            admin,
            owner: shop.customer("owner").await,
            shop,
            _mails: mails,
        }
    }

    /// One of each kind, each with their column of the table.
    async fn callers(&self) -> [(&'static str, Client, usize); 7] {
        [
            ("a stranger", self.shop.stranger(), 0),
            ("an expired token", self.expired(), 0),
            ("a deleted account", self.deleted().await, 0),
            ("a demoted account", self.demoted().await, 0),
            ("the owner", self.owner.clone(), 1),
            ("another customer", self.shop.customer("other").await, 2),
            ("an administrator", self.shop.admin_named("boss").await, 3),
        ]
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
        assert_eq!(self.admin.delete(&path).await.outcome(), "204");
        gone
    }

    /// Who was an administrator when they got their token, and is a customer now.
    async fn demoted(&self) -> Client {
        let demoted = self.shop.customer_and_admin("demoted").await;
        let path = format!("/customer-accounts/{}", demoted.account_id);
        let answer = self.admin.patch(&path, json!({ "role": "customer" })).await;
        assert_eq!(answer.outcome(), "200");
        demoted
    }

    /// The path with new things in it.
    async fn fill(&self, path: &str) -> String {
        let Some(name) = path.split('/').find(|part| part.starts_with(':')) else {
            return path.to_owned();
        };
        let new = if name == ":order" {
            self.owner.order(&[(self.product().await, 1)]).await
        } else if name == ":event" || name == ":mail" {
            let (list, _) = path.split_once("/:").unwrap();
            let last = self.admin.get(list).await.body["items"][0]["id"].to_string();
            return path.replace(name, &last);
        } else if name == ":delivery" {
            let endpoint = Box::pin(self.fill("/webhook-endpoints/:endpoint")).await;
            let test = format!("{endpoint}/test");
            let delivery = self.admin.post(&test, json!({})).await.body["id"]
                .as_i64()
                .unwrap();
            self.is_done(delivery).await;
            return path.replace(name, &delivery.to_string());
        } else if name == ":checkout" || name == ":cart" {
            let who = if name == ":checkout" {
                &self.owner
            } else {
                &self.visitor
            };
            let product = self.product().await;
            let items = json!([{ "product_id": product, "quantity": 1 }]);
            let cart = json!({ "items": items, "email": "owner@example.com" });
            let cart = who.post("/checkouts", cart).await;
            let path = path.replace(name, cart.body["id"].as_str().unwrap());
            return path.replace(":product", &product.to_string());
        } else if name == ":address" {
            let (list, _) = path.split_once("/:").unwrap();
            let who = if list == "/me/addresses" {
                self.remove(&self.owner, list).await;
                &self.owner
            } else {
                &self.admin
            };
            who.post(list, address("1 Elm Road")).await
        } else {
            if name == ":endpoint" {
                self.remove(&self.admin, "/webhook-endpoints").await;
            }
            // What its list makes of a body of that name.
            let (list, _) = path.split_once("/:").unwrap();
            let body = self.body(&name[1..]).await.unwrap();
            self.admin.post(list, body).await
        };
        let path = path.replacen(name, &new.id().to_string(), 1);
        Box::pin(self.fill(&path)).await
    }

    /// A client with a key of those scopes, and the same for the same.
    async fn key(&self, keys: &mut BTreeMap<String, Client>, scopes: &[&str]) -> Client {
        let name = scopes.join(" ");
        if let Some(key) = keys.get(&name) {
            return key.clone();
        }
        let key = self.admin.secret_key(scopes).await;
        keys.insert(name, key.clone());
        key
    }

    /// There may not be many.
    async fn remove(&self, who: &Client, list: &str) {
        for item in who.get(list).await.body["items"].as_array().unwrap() {
            let path = format!("{list}/{}", item["id"]);
            assert_eq!(who.delete(&path).await.outcome(), "204");
        }
    }

    /// As if it had been sent.
    async fn is_done(&self, delivery: i64) {
        webhook_deliveries::Entity::update_many()
            .col_expr(webhook_deliveries::Column::Status, Expr::value("delivered"))
            .filter(webhook_deliveries::Column::Id.eq(delivery))
            .exec(&self.shop.ctx.db)
            .await
            .unwrap();
    }

    async fn product(&self) -> i64 {
        let product = Box::pin(self.body("product")).await.unwrap();
        self.admin.add_product(product).await
    }

    async fn customer(&self) -> i64 {
        let customer = self.body("customer").await.unwrap();
        self.admin.post("/customers", customer).await.id()
    }

    async fn body(&self, what: &str) -> Option<Value> {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        Some(match what {
            "login" => json!({ "username": "owner", "password": PASSWORD }),
            "wrong password" => {
                json!({ "current_password": "not it at all", "new_password": PASSWORD })
            }
            "product" => {
                json!({ "name": format!("Lamp {unique}"), "price": "5", "stock": 100 })
            }
            "price" => json!({ "price": "6" }),
            "stock" => json!({ "delta": 1, "reason": "found" }),
            "order" => json!({ "items": [{ "product_id": self.product().await, "quantity": 1 }] }),
            "paid" => json!({ "status": "paid" }),
            "cart" => {
                json!({ "items": [{ "product_id": self.product().await, "quantity": 1 }] })
            }
            "remark" => json!({ "note": "Ring twice" }),
            "pieces" => json!({ "quantity": 2 }),
            "total" => json!({ "expected_total": "5" }),
            "customer" => json!({ "name": "Cleo", "email": format!("{unique}@example.com") }),
            "name" => json!({ "name": "Cleopatra" }),
            "address" => address("1 Elm Road"),
            "other address" => address("2 Oak Street"),
            "city" => json!({ "city": "Bristol" }),
            "account" => json!({
                "customer_id": Box::pin(self.customer()).await, "username": unique, "password": PASSWORD,
            }),
            "registration" => json!({ "email": format!("{unique}@example.com"), "name": "Cleo" }),
            "verification" => {
                let email = format!("{unique}@example.com");
                let code = self.shop.registration_code(&email).await;
                json!({ "token": code, "password": PASSWORD })
            }
            "forgotten" => json!({ "email": format!("{unique}@example.com") }),
            "reset" => {
                let account = Box::pin(self.body("account")).await.unwrap();
                let account = self.admin.post("/customer-accounts", account).await.id();
                let proof = Proof::PasswordReset {
                    account_id: account,
                    email_key: "",
                };
                json!({ "token": self.shop.code(proof).await, "new_password": NEW_PASSWORD })
            }
            "email code" => {
                let email = Email::parse(&format!("{unique}@example.com")).unwrap();
                let account_id = self.owner.account_id;
                let proof = Proof::EmailChange {
                    account_id,
                    email: &email,
                };
                json!({ "token": self.shop.code(proof).await })
            }
            "wrong farewell" => json!({ "current_password": "not it at all" }),
            "credentials" => json!({ "username": unique, "password": PASSWORD }),
            "role" => json!({ "role": "admin" }),
            "endpoint" => json!({ "url": "https://example.com/hooks", "types": ["order.*"] }),
            "other endpoint" => json!({ "url": "https://example.com/other", "types": ["*"] }),
            "types" => json!({ "types": ["product.*"] }),
            "shipping_rate" => json!({ "name": unique, "countries": ["*"], "price": "4.90" }),
            "discount" => json!({ "code": unique, "kind": "percentage", "value": "10" }),
            "limit" => json!({ "usage_limit": 10 }),
            "tax_rate" => json!({ "name": "VAT", "country": "DE", "region": unique, "rate": "19" }),
            "key" => json!({ "name": "Robot", "kind": "publishable" }),
            _ => return None,
        })
    }
}

fn claims(token: &str) -> Value {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

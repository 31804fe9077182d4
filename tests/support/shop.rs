//! A running shop, and clients who talk to it.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header},
};
use boxcar::{
    app::App,
    context::Context,
    models::{
        codes::{self, Proof},
        customer_accounts::{self, NewAccount},
        customers, mails,
        queue::Client as Asker,
        types::{Code, CustomerName, Email, NewPassword, Role, Scalar, Username},
    },
    transaction,
};
use http_body_util::BodyExt;
use insta::internals::Content;
use loco_rs::{
    app::{AppContext, Hooks},
    boot::{BootResult, StartMode},
    config::Config,
    environment::Environment,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::{TestDatabase, configure};

/// The password of every account that a test makes.
pub const PASSWORD: &str = "salt kettle 9 anvil fjord";

/// What the store answers when it has too much to do. Nothing was done, so it may be asked again.
pub const OVERLOADED: &str = "503 unavailable";

/// The headers that belong to the contract.
const SHOWN: [HeaderName; 7] = [
    header::ALLOW,
    header::CACHE_CONTROL,
    header::CONTENT_TYPE,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
];

/// A shop with a database of its own, open as long as this is.
pub struct Shop {
    /// The router with every layer, as the server serves it.
    pub router: Router,
    /// What its handlers see.
    pub ctx: AppContext,
    _database: TestDatabase,
}

/// A client of a shop.
#[derive(Clone)]
pub struct Client {
    router: Router,
    /// The token that goes with every request.
    pub token: Option<String>,
    /// The account behind it.
    pub account_id: i64,
    /// The account's customer, or 0.
    pub customer_id: i64,
}

/// What a shop answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body, if it is JSON; otherwise null.
    pub body: Value,
    /// The body as it came.
    pub bytes: Vec<u8>,
}

impl Shop {
    /// Opens a shop with empty tables.
    pub async fn open() -> Self {
        // What the shop logs as an error is shown when the test fails.
        let log = tracing_subscriber::fmt()
            .with_test_writer()
            .with_max_level(tracing::Level::ERROR);
        let _ = log.try_init();
        let database = TestDatabase::create_for_shop().await;
        let config = database.configuration().await;
        Self::open_on(database, config).await
    }

    /// Opens a shop with empty tables and other settings than tests have: each a section, a key and its
    /// value.
    pub async fn open_with(settings: &[(&str, &str, Value)]) -> Self {
        let database = TestDatabase::create_for_shop().await;
        let mut config = database.configuration().await;
        for (section, key, value) in settings {
            configure(&mut config, section, key, value.clone());
        }
        Self::open_on(database, config).await
    }

    /// Opens a shop with empty tables that writes mails, to files in that directory.
    pub async fn open_with_mails() -> (Self, TempDir) {
        let mails = tempfile::tempdir().unwrap();
        let settings = [("mail", "dir", json!(mails.path()))];
        (Self::open_with(&settings).await, mails)
    }

    /// Another server on the same database, that shares nothing else with this one.
    pub async fn another(&self) -> Router {
        let mut config = self.ctx.config.clone();
        let prefix = uuid::Uuid::new_v4().to_string();
        configure(&mut config, "redis", "prefix", prefix);
        boot(config).await.router.unwrap()
    }

    /// Opens a shop on that database, with that configuration.
    pub async fn open_on(database: TestDatabase, config: Config) -> Self {
        let boot = boot(config).await;
        Self {
            router: boot.router.unwrap(),
            ctx: boot.app_context,
            _database: database,
        }
    }

    /// Opens a shop with empty tables but for its administrator.
    pub async fn open_with_admin() -> (Self, Client) {
        let shop = Self::open().await;
        let admin = shop.admin().await;
        (shop, admin)
    }

    /// Opens a shop with empty tables but for its administrator and a customer of that name.
    pub async fn open_with_customer(username: &str) -> (Self, Client, Client) {
        let (shop, admin) = Self::open_with_admin().await;
        let customer = shop.customer(username).await;
        (shop, admin, customer)
    }

    /// A client without a token.
    pub fn stranger(&self) -> Client {
        self.bearing(None)
    }

    /// The browser of somebody who has not logged in: it may do what visitors may.
    pub async fn visitor(&self) -> Client {
        self.admin_named("shopkeeper").await.publishable_key().await
    }

    /// The code in the last mail to that address which has one.
    pub async fn code_for(&self, email: &str) -> String {
        let mail = mails::Entity::find()
            .filter(mails::Column::Recipient.eq(email))
            .filter(mails::Column::SealedCode.is_not_null())
            .order_by_desc(mails::Column::Id);
        let mail = mail.one(&self.ctx.db).await.unwrap();
        let sealed = mail.and_then(|mail| mail.sealed_code);
        let sealed = sealed.unwrap_or_else(|| panic!("no code was sent to {email}"));
        let sealer = &Context::of(&self.ctx).unwrap().sealer;
        sealer.open_code(&sealed).unwrap().reveal().to_owned()
    }

    /// The mails to that address, oldest first, by what they tell.
    pub async fn mails_to(&self, email: &str) -> Vec<String> {
        let mails = mails::Entity::find()
            .filter(mails::Column::Recipient.eq(email))
            .order_by_asc(mails::Column::Id);
        let mails = mails.all(&self.ctx.db).await.unwrap();
        mails.into_iter().map(|mail| mail.template).collect()
    }

    /// A code that ends a registration of somebody with that address, without a mail.
    pub async fn registration_code(&self, email: &str) -> String {
        let email = Email::parse(email).unwrap();
        let name = CustomerName::parse("Somebody").unwrap();
        self.code(Proof::Registration(&email, &name)).await
    }

    /// A code that proves that, for a day.
    pub async fn code(&self, proof: Proof<'_>) -> String {
        let code = Code::generated();
        transaction!(&self.ctx, |txn| codes::Model::issue(
            txn,
            &code,
            proof,
            Duration::from_hours(24)
        )
        .await)
        .unwrap();
        code.reveal().to_owned()
    }

    /// A client with that token.
    pub fn bearing(&self, token: Option<String>) -> Client {
        Client {
            router: self.router.clone(),
            token,
            account_id: 0,
            customer_id: 0,
        }
    }

    /// What a stranger is answered who logs in.
    pub async fn log_in(&self, username: &str, password: &str) -> Answer {
        let credentials = json!({ "username": username, "password": password });
        self.stranger().post("/auth/login", credentials).await
    }

    /// A client who has logged in.
    pub async fn logged_in(&self, username: &str, password: &str) -> Client {
        let login = self.log_in(username, password).await;
        assert_eq!(login.status, 200, "{}", login.body);
        let account = &login.body["account"];
        Client {
            account_id: account["id"].as_i64().unwrap(),
            customer_id: account["customer_id"].as_i64().unwrap_or_default(),
            ..self.bearing(login.body["token"].as_str().map(str::to_owned))
        }
    }

    /// A new administrator, who is no customer, named `admin`.
    pub async fn admin(&self) -> Client {
        self.admin_named("admin").await
    }

    /// A new administrator of that name, who is no customer.
    pub async fn admin_named(&self, username: &str) -> Client {
        self.account(None, username, Role::Admin).await
    }

    /// A new customer with an account. The email is the name at example.com.
    pub async fn customer(&self, username: &str) -> Client {
        self.customer_with(username, Role::Customer).await
    }

    /// A new customer whose account is an administrator's.
    pub async fn customer_and_admin(&self, username: &str) -> Client {
        self.customer_with(username, Role::Admin).await
    }

    async fn customer_with(&self, username: &str, role: Role) -> Client {
        let details = customers::Details {
            name: CustomerName::parse(username).unwrap(),
            email: Email::parse(&format!("{username}@example.com")).unwrap(),
            phone: None,
        };
        let customer = transaction!(&self.ctx, |txn| customers::Model::create(txn, &details)
            .await)
        .unwrap();
        self.account(Some(customer.id), username, role).await
    }

    async fn account(&self, customer_id: Option<i64>, username: &str, role: Role) -> Client {
        let account = NewAccount {
            customer_id,
            username: Username::parse(username).unwrap(),
            password: NewPassword::parse(PASSWORD).unwrap(),
            role,
        };
        let account = account.hashed(&self.ctx.db, Asker::System).await.unwrap();
        let (account, _) = transaction!(&self.ctx, |txn| customer_accounts::Model::create(
            txn, &account
        )
        .await)
        .unwrap();
        let token = account
            .token(self.ctx.config.get_jwt_config().unwrap())
            .unwrap();
        Client {
            account_id: account.id,
            customer_id: customer_id.unwrap_or_default(),
            ..self.bearing(Some(token))
        }
    }
}

async fn boot(config: Config) -> BootResult {
    App::boot(StartMode::ServerOnly, &Environment::Test, config)
        .await
        .expect("the shop opens")
}

impl Client {
    /// The same client at another server.
    pub fn at(&self, router: Router) -> Self {
        Self {
            router,
            ..self.clone()
        }
    }

    /// `GET` below `/api/v1`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// `DELETE` below `/api/v1`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// `POST` of a JSON body below `/api/v1`.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `POST` of a JSON body below `/api/v1`, under an `Idempotency-Key`.
    pub async fn post_once(&self, key: &str, path: &str, body: &Value) -> Answer {
        let key = Some(("idempotency-key", key));
        self.send_with(key, Method::POST, path, Some(body)).await
    }

    /// `PUT` of a JSON body below `/api/v1`.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// `PATCH` of a JSON body below `/api/v1`.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// `GET` below `/api/v1` with a header.
    pub async fn get_if(&self, path: &str, header: HeaderName, value: &str) -> Answer {
        let header = Some((header.as_str(), value));
        self.send_with(header, Method::GET, path, None).await
    }

    /// Any method with or without a JSON body, if the thing is still as an entity tag says.
    pub async fn send_if_match(
        &self,
        method: Method,
        path: &str,
        etag: &str,
        body: Option<&Value>,
    ) -> Answer {
        self.send_with(Some(("if-match", etag)), method, path, body)
            .await
    }

    /// Any method with or without a JSON body, below `/api/v1`.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send_with(None, method, path, body.as_ref()).await
    }

    async fn send_with(
        &self,
        header: Option<(&str, &str)>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.request(request.body(body).unwrap()).await
    }

    /// Any request at all, with the client's token.
    pub async fn request(&self, mut request: Request<Body>) -> Answer {
        if let Some(token) = &self.token {
            request.headers_mut().insert(
                header::AUTHORIZATION,
                format!("Bearer {token}").parse().unwrap(),
            );
        }
        let host = request.headers_mut().entry(header::HOST);
        host.or_insert_with(|| HeaderValue::from_static("localhost"));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
            bytes,
        }
    }

    /// A client with a new secret key of those scopes, which this administrator makes.
    pub async fn secret_key(&self, scopes: &[&str]) -> Self {
        let body = json!({ "name": "Robot", "kind": "secret", "scopes": scopes });
        self.key(body).await.0
    }

    /// A client with a new publishable key, which this administrator makes.
    pub async fn publishable_key(&self) -> Self {
        let body = json!({ "name": "Window", "kind": "publishable" });
        self.key(body).await.0
    }

    /// A client with a new key, which this administrator makes, and the key's path.
    pub async fn key(&self, body: Value) -> (Self, String) {
        let made = self.post("/api-keys", body).await;
        let path = format!("/api-keys/{}", made.id());
        (self.bearing(made.body["key"].as_str()), path)
    }

    /// A client of the same server with another token.
    pub fn bearing(&self, token: Option<&str>) -> Self {
        Self {
            router: self.router.clone(),
            token: token.map(str::to_owned),
            account_id: 0,
            customer_id: 0,
        }
    }

    /// Adds a product and answers its id.
    pub async fn add_product(&self, body: Value) -> i64 {
        self.post("/products", body).await.id()
    }

    /// Adds a product, of which there are so many pieces if its stock is tracked, and answers its id.
    pub async fn sell(&self, name: &str, price: &str, stock: impl Into<Option<i64>>) -> i64 {
        let stock: Option<i64> = stock.into();
        self.add_product(json!({ "name": name, "price": price, "stock": stock }))
            .await
    }

    /// Orders pieces of products, each line a product's id and a quantity, for oneself.
    pub async fn order(&self, lines: &[(i64, i64)]) -> Answer {
        self.post("/orders", json!({ "items": order_lines(lines) }))
            .await
    }
}

/// The lines of an order, each a product's id and a quantity.
pub fn order_lines(lines: &[(i64, i64)]) -> Value {
    lines
        .iter()
        .map(|(product_id, quantity)| json!({ "product_id": product_id, "quantity": quantity }))
        .collect()
}

/// An address in London with that first line.
pub fn address(line1: &str) -> Value {
    json!({ "name": "Ada Lovelace", "line1": line1, "city": "London", "postal_code": "SE22 9XD", "country": "GB" })
}

/// That address as an order shows it.
pub fn shown_address(line1: &str) -> Value {
    let mut shown = address(line1);
    for field in ["company", "line2", "region", "phone"] {
        shown[field] = Value::Null;
    }
    shown
}

impl Answer {
    /// The last part of the problem's type, such as `not-found`.
    pub fn problem(&self) -> &str {
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            "application/problem+json",
            "{}",
            self.body
        );
        assert_eq!(self.body["status"], self.status.as_u16());
        self.body["type"]
            .as_str()
            .unwrap()
            .strip_prefix("/problems/")
            .unwrap()
    }

    /// The id of what was made.
    #[track_caller]
    pub fn id(&self) -> i64 {
        assert_eq!(self.status, 201, "{}", self.body);
        self.body["id"].as_i64().unwrap()
    }

    /// What the problem says is wrong, as pairs of pointer and code.
    pub fn faults(&self) -> Vec<(&str, &str)> {
        let errors = self.body["errors"]
            .as_array()
            .expect("the problem names errors");
        errors
            .iter()
            .map(|error| {
                (
                    error["pointer"].as_str().unwrap(),
                    error["code"].as_str().unwrap(),
                )
            })
            .collect()
    }

    /// The status, such as `200`; of a problem also its type, and the pointer and code of each error, such as
    /// `422 validation-failed /name length`.
    pub fn outcome(&self) -> String {
        let mut outcome = self.status.as_str().to_owned();
        if self.status.as_u16() >= 400 {
            let errors = self.body["errors"].as_array().into_iter().flatten();
            let errors = errors.flat_map(|error| [&error["pointer"], &error["code"]]);
            let errors = errors.filter_map(Value::as_str);
            for part in std::iter::once(self.problem()).chain(errors) {
                outcome.push(' ');
                outcome.push_str(part);
            }
        }
        outcome
    }

    /// That rules are broken, and which: pairs of pointer and code.
    #[track_caller]
    pub fn assert_invalid(&self, faults: &[(&str, &str)]) {
        self.assert_problem(422, "validation-failed");
        assert_eq!(self.faults(), faults);
    }

    /// That it is a problem of that status and type.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, problem: &str) {
        assert_eq!((self.status.as_u16(), self.problem()), (status, problem));
    }

    /// The field's value has to be unique and is taken.
    pub fn assert_taken(&self, pointer: &str) {
        self.assert_problem(409, "conflict");
        assert_eq!(self.faults(), [(pointer, "taken")]);
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Serialize for Answer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let headers: serde_json::Map<_, _> = SHOWN
            .iter()
            .filter_map(|name| {
                Some((
                    name.to_string(),
                    json!(self.headers.get(name)?.to_str().unwrap()),
                ))
            })
            .collect();
        let body = if self.bytes.is_empty() {
            json!("[none]")
        } else {
            self.body.clone()
        };
        json!({ "status": self.status.as_u16(), "headers": headers, "body": body })
            .serialize(serializer)
    }
}

/// Snapshots show times, request ids and tokens by their form, which is checked.
pub fn snapshot_settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    for time in ["created_at", "updated_at", "placed_at", "occurred_at", "at"] {
        settings.add_dynamic_redaction(&format!(".**.{time}"), |value, path| {
            let text = value
                .as_str()
                .unwrap_or_else(|| panic!("{path} is no text"));
            let time = chrono::DateTime::parse_from_rfc3339(text)
                .unwrap_or_else(|_| panic!("{path} is {text}"));
            assert!(
                text.ends_with('Z') && text.len() <= "2026-01-31T12:00:00.123456Z".len(),
                "{path} is {text}"
            );
            assert!(
                (chrono::Utc::now() - time.to_utc()).num_minutes() < 5,
                "{path} is not now: {text}"
            );
            Content::from("[time]")
        });
    }
    settings.add_dynamic_redaction(".body.request_id", |value, _| {
        assert!(uuid::Uuid::parse_str(value.as_str().unwrap()).is_ok());
        Content::from("[request id]")
    });
    settings.add_dynamic_redaction(".body.token", |value, _| {
        assert_eq!(value.as_str().unwrap().split('.').count(), 3);
        Content::from("[token]")
    });
    settings
}

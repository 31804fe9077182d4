//! What was erased is nowhere: in no column of any table, in no answer, and in none of SQLite's files.

use std::fs;

use axum::http::Method;
use boxcar::models::{idempotency_keys, now};
use chrono::TimeDelta;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, Statement,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep},
};

use crate::support::{Answer, Client, PASSWORD, Program, Server, Shop, order_lines};

/// What is known of the customer, in small letters: a part of each name, number, address and remark.
const CUSTOMER: [&str; 8] = [
    "quillon",
    "zarathrup",
    "erasable",
    "kestrelpost",
    "5551 7788",
    "xylographenweg",
    "parrot",
    "moved to samarkand",
];

/// The account's names: the first and the later one.
const ACCOUNT: [&str; 2] = ["zarquon", "vortigern"];

/// Another password than every account of a test has.
const NEW_PASSWORD: &str = "kettle 4 amber fjord salt";

#[tokio::test]
async fn an_erased_customer_with_orders_is_nowhere() {
    let person = Person::known_everywhere().await;
    person.delete_customer().await;
    person.assert_erased().await;
}

#[tokio::test]
async fn who_has_erased_themselves_is_nowhere() {
    let person = Person::known_everywhere().await;
    for order in person.admin.get("/orders?status=placed").await.body["items"]
        .as_array()
        .unwrap()
    {
        let path = format!("/orders/{}/cancel", order["id"]);
        assert_eq!(person.admin.post(&path, json!({})).await.status, 200);
    }
    let farewell = json!({ "current_password": NEW_PASSWORD });
    let left = person.client.post("/me/erase", farewell).await;
    assert_eq!(left.status, 204, "{}", left.body);
    person.assert_erased().await;
}

#[tokio::test]
async fn a_deleted_customer_without_orders_is_nowhere() {
    let person = Person::without_orders().await;
    person.delete_customer().await;
    person.assert_erased().await;
}

#[tokio::test]
async fn a_customer_whose_account_was_deleted_before_is_nowhere() {
    let person = Person::known_everywhere().await;
    person.delete_account().await;
    person.delete_customer().await;
    person.assert_erased().await;
}

#[tokio::test]
async fn a_deleted_accounts_names_are_nowhere_and_its_customer_stays() {
    let person = Person::known_everywhere().await;
    person.delete_account().await;
    person.assert_nowhere(&ACCOUNT).await;
    let path = format!("/customers/{}", person.client.customer_id);
    assert_eq!(person.admin.get(&path).await.status, 200);
}

#[tokio::test]
async fn an_administrator_who_was_a_customer_is_nowhere() {
    let person = Person::known_everywhere().await;
    let boss = person.promoted().await;
    // Another customer's order, in whose history the administrator stands, and whose answers show it.
    let other = person.shop.customer("ada").await;
    let order = other.order(&[(person.product, 1)]).await.body["id"].clone();
    boss.patch(&format!("/orders/{order}"), json!({ "status": "paid" }))
        .await;
    let cancel = format!("/orders/{order}/cancel");
    let cancelled = other.post_once("cancel", &cancel, &json!({})).await;
    assert!(has(&cancelled.bytes, "vortigern"), "{}", cancelled.body);
    person.delete_account().await;
    person.delete_customer().await;
    person.assert_erased().await;
}

#[tokio::test]
async fn an_administrator_who_made_keys_and_was_a_customer_is_nowhere_and_the_keys_work_on() {
    let person = Person::known_everywhere().await;
    let boss = person.promoted().await;
    let scopes = ["products:write", "orders:write"];
    let body = json!({ "name": "Warehouse", "kind": "secret", "scopes": scopes });
    let made = boss.post_once("key", "/api-keys", &body).await;
    let key = format!("/api-keys/{}", made.id());
    let robot = boss.bearing(made.body["key"].as_str());
    // Their name is also in what others do with the keys that they have made …
    let (_, short_lived) = boss.key(body).await;
    for changed in [&key, &short_lived] {
        let change = json!({ "rate_limit": { "requests": 9, "period_seconds": 1 } });
        let changed = person.admin.patch(changed, change).await;
        assert!(has(&changed.bytes, "vortigern"), "{}", changed.body);
    }
    assert_eq!(person.admin.delete(&short_lived).await.status, 204);
    // … in the ledger, also beside what a program does, and in the history of an order that a program has placed.
    let stock = format!("/products/{}/stock", person.product);
    let delivery = json!({ "delta": 5, "reason": "delivery" });
    let stocked = boss.post_once("stock", &stock, &delivery).await;
    assert_eq!(stocked.status, 200, "{}", stocked.body);
    let ada = person.shop.customer("ada").await;
    let order =
        json!({ "customer_id": ada.customer_id, "items": order_lines(&[(person.product, 1)]) });
    let order = robot.post_once("order", "/orders", &order).await.id();
    let order = format!("/orders/{order}");
    let paid = boss.patch(&order, json!({ "status": "paid" })).await;
    assert_eq!(paid.status, 200, "{}", paid.body);
    let cancel = format!("{order}/cancel");
    let cancelled = robot.post_once("cancel", &cancel, &json!({})).await;
    assert!(has(&cancelled.bytes, "vortigern"), "{}", cancelled.body);

    person.delete_customer().await;
    person.assert_erased().await;
    let expected = json!({ "id": boss.account_id, "username": "erased" });
    assert_eq!(person.admin.get(&key).await.body["created_by"], expected);
    let ledger = person.admin.get(&stock).await;
    assert!(has(&ledger.bytes, "\"by\":\"erased\""), "{}", ledger.body);
    for answer in [
        person.admin.get("/api-keys").await,
        person.admin.get("/events?page_size=100").await,
        person.admin.get("/webhook-deliveries?page_size=100").await,
        person.admin.get(&order).await,
        robot.get(&order).await,
    ] {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!has(&answer.bytes, "vortigern"), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_who_is_erased_while_their_keys_are_made_and_changed_is_nowhere() {
    let (shop, admin) = Shop::open_with_admin().await;
    for round in 0..8 {
        let boss = shop.customer_and_admin(&format!("vortigern{round}")).await;
        let body = json!({ "name": "Robot", "kind": "publishable" });
        let mut keys = Vec::new();
        for _ in 0..3 {
            keys.push(boss.key(body.clone()).await.1);
        }
        let mut requests = JoinSet::new();
        for (at, key) in keys.into_iter().enumerate() {
            let (boss, admin, body) = (boss.clone(), admin.clone(), body.clone());
            requests.spawn(async move {
                let once = format!("{round}-{at}");
                let made = boss.post_once(&once, "/api-keys", &body).await.status;
                let change = json!({ "name": format!("Robot {at}") });
                let changed = admin.patch(&key, change).await.status;
                vec![made, changed, admin.delete(&key).await.status]
            });
        }
        let (eraser, path) = (admin.clone(), format!("/customers/{}", boss.customer_id));
        requests.spawn(async move { vec![eraser.delete(&path).await.status] });
        for status in requests.join_all().await.concat() {
            assert!([200, 201, 204, 401].contains(&status.as_u16()), "{status}");
        }
        assert_nowhere(&shop, &["vortigern"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_erased_while_they_move_and_are_written_to_is_nowhere() {
    let (shop, _mails) = Shop::open_with_mails().await;
    let admin = shop.admin().await;
    let (visitor, robot) = (
        shop.visitor().await,
        admin.secret_key(&["customers:write"]).await,
    );
    for round in 0..6 {
        let client = shop.customer(&format!("quillon{round}")).await;
        let own = format!("/customers/{}", client.customer_id);
        let home = json!({ "name": "Quillon", "line1": "41 Quillon Street", "city": "Ulm", "country": "DE" });
        let email = format!("moved-quillon{round}@example.org");
        let moves = json!({ "email": email, "current_password": PASSWORD });
        let forgotten = json!({ "email": format!("quillon{round}@example.com") });
        let mut requests = JoinSet::new();
        for (who, method, path, body) in [
            (&client, Method::POST, "/me/addresses", home.clone()),
            (&client, Method::PATCH, "/me", moves),
            (&client, Method::PATCH, "/me", json!({ "name": "Quillon" })),
            (&robot, Method::POST, &*format!("{own}/addresses"), home),
            (
                &robot,
                Method::PATCH,
                &*own,
                json!({ "phone": "+49 30 5551 7788" }),
            ),
            (&visitor, Method::POST, "/auth/password-reset", forgotten),
        ] {
            let (who, path) = (who.clone(), path.to_owned());
            requests.spawn(async move { who.send(method, &path, Some(body)).await.status });
        }
        // Between the others: some come before it, and some after it.
        let eraser = admin.clone();
        requests.spawn(async move { eraser.delete(&own).await.status });
        for status in requests.join_all().await {
            let known = [200, 201, 202, 204, 401, 404];
            assert!(known.contains(&status.as_u16()), "{status}");
        }
        assert_nowhere(&shop, &["quillon", "5551 7788"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_erases_themselves_twice_at_once_while_they_are_written_to_is_nowhere() {
    let (shop, _mails) = Shop::open_with_mails().await;
    let admin = shop.admin().await;
    let (visitor, robot) = (
        shop.visitor().await,
        admin.secret_key(&["customers:write"]).await,
    );
    for round in 0..4 {
        let client = shop.customer(&format!("quillon{round}")).await;
        let own = format!("/customers/{}", client.customer_id);
        let home = json!({ "name": "Quillon", "line1": "41 Quillon Street", "city": "Ulm", "country": "DE" });
        let farewell = json!({ "current_password": PASSWORD });
        let phone = json!({ "phone": "+49 30 5551 7788" });
        let forgotten = json!({ "email": format!("quillon{round}@example.com") });
        let mut requests = JoinSet::new();
        for (who, method, path, body) in [
            (&client, Method::POST, "/me/erase", farewell.clone()),
            (&client, Method::POST, "/me/erase", farewell),
            (&client, Method::POST, "/me/addresses", home),
            (&client, Method::PATCH, "/me", phone.clone()),
            (&robot, Method::PATCH, &*own, phone),
            (&visitor, Method::POST, "/auth/password-reset", forgotten),
        ] {
            let (who, path) = (who.clone(), path.to_owned());
            requests.spawn(async move {
                let status = who.send(method, &path, Some(body)).await.status;
                (path, status)
            });
        }
        let answers = requests.join_all().await;
        for (path, status) in &answers {
            let known = [200, 201, 202, 204, 401, 404];
            assert!(known.contains(&status.as_u16()), "{path}: {status}");
        }
        let erased = answers.iter().filter(|(_, status)| *status == 204);
        assert_eq!(erased.count(), 1, "{answers:?}");
        assert_nowhere(&shop, &["quillon", "5551 7788"]).await;
    }
}

#[tokio::test]
async fn a_program_is_not_answered_what_it_was_before_the_erasure() {
    let person = Person::known_everywhere().await;
    let addresses = format!("/customers/{}/addresses", person.client.customer_id);
    let kept = idempotency_keys::Entity::find()
        .filter(idempotency_keys::Column::ApiKeyId.is_not_null())
        .order_by_asc(idempotency_keys::Column::Id);
    let kept = kept.all(&person.shop.ctx.db).await.unwrap();
    let keys: Vec<_> = kept.iter().map(|kept| &*kept.idempotency_key).collect();
    assert_eq!(keys, ["robot-home", "robot-order", "robot-cancel"]);
    person.delete_customer().await;
    person.assert_erased().await;
    let order = person.for_them(json!({}));
    for (key, path, body) in [
        (
            "robot-home",
            &*addresses,
            json!({ "name": "Ada", "line1": "1", "city": "Ulm", "country": "DE" }),
        ),
        ("robot-order", "/orders", order),
    ] {
        let again = person.robot.post_once(key, path, &body).await;
        assert_eq!(again.header("idempotency-replayed"), None, "{path}");
        let refused = [
            "404 not-found",
            "422 validation-failed /customer_id reference",
        ];
        assert!(
            refused.contains(&&*again.outcome()),
            "{path}: {}",
            again.body
        );
    }
}

#[tokio::test]
async fn who_is_erased_through_one_node_is_answered_by_no_other() {
    let person = Person::known_everywhere().await;
    let other = person.shop.another().await;
    let there = person.admin.at(other);
    for (key, path, body) in &person.requests {
        let again = there.post_once(key, path, body).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{path}");
    }
    person.delete_customer().await;
    assert_answers_nothing_of_the_person(&person, &there).await;
}

#[tokio::test]
async fn what_is_sent_again_after_the_erasure_is_answered_anew_or_refused() {
    let person = Person::known_everywhere().await;
    person.delete_customer().await;
    assert_answers_nothing_of_the_person(&person, &person.admin).await;
}

#[tokio::test]
async fn an_order_for_a_customer_is_not_placed_twice_though_their_account_is_deleted() {
    let person = Person::known_everywhere().await;
    person.delete_account().await;
    let (key, path, body) = person.request("admin-order");
    let again = person.admin.post_once(key, path, body).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn who_is_erased_while_their_orders_are_cancelled_is_nowhere() {
    for round in 0..8 {
        let person = Person::known_everywhere().await;
        let order = person
            .place("again", json!({ "note": "The parrot bites" }))
            .await;
        let cancel = format!("/orders/{order}/cancel");
        let reason = json!({ "reason": "moved to Samarkand" });
        let path = format!("/customers/{}", person.client.customer_id);
        let (admin, other) = (person.admin.clone(), person.shop.admin_named("other").await);
        let (cancelled, deleted) = if round % 2 == 0 {
            tokio::join!(
                other.post_once("late", &cancel, &reason),
                admin.delete(&path)
            )
        } else {
            let (deleted, cancelled) = tokio::join!(
                admin.delete(&path),
                other.post_once("late", &cancel, &reason)
            );
            (cancelled, deleted)
        };
        assert_eq!(deleted.status, 204, "{}", deleted.body);
        assert_eq!(cancelled.status, 200, "{}", cancelled.body);
        // Words that are said of an order after the erasure are the administrator's own.
        person
            .assert_nowhere(&[&CUSTOMER[..7], &ACCOUNT].concat())
            .await;
    }
}

#[tokio::test]
async fn a_server_that_runs_deletes_what_is_past_its_time_by_itself() {
    let (shop, admin) = Shop::open_with_admin().await;
    let fresh = admin.post_once("fresh", "/products", &tea()).await;
    assert_eq!(fresh.status, 201);
    let db = &shop.ctx.db;
    let kept = idempotency_keys::Entity::find().one(db).await.unwrap();
    let kept = kept.unwrap();
    // More than are deleted at once.
    let expired = (0..1_200).map(|number| {
        idempotency_keys::Model {
            id: kept.id + 1 + number,
            idempotency_key: format!("expired-{number}"),
            created_at: now() - TimeDelta::days(6),
            ..kept.clone()
        }
        .into_active_model()
        .reset_all()
    });
    idempotency_keys::Entity::insert_many(expired)
        .exec_without_returning(db)
        .await
        .unwrap();
    let _servers = [
        Server::start(Program::new("test").on(&shop.ctx.config.database.uri)).await,
        Server::start(Program::new("test").on(&shop.ctx.config.database.uri)).await,
    ];
    let deadline = Instant::now() + Duration::from_secs(30);
    while idempotency_keys::Entity::find().count(db).await.unwrap() > 1 {
        assert!(Instant::now() < deadline, "they are still there");
        sleep(Duration::from_millis(50)).await;
    }
    let again = admin.post_once("fresh", "/products", &tea()).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}

/// Each request is refused, or does its work: nothing is answered that was kept.
async fn assert_answers_nothing_of_the_person(person: &Person, client: &Client) {
    for (key, path, body) in &person.requests {
        let again = client.post_once(key, path, body).await;
        assert_eq!(again.header("idempotency-replayed"), None, "{path}");
        if path == "/customers" {
            assert_eq!(again.status, 201, "{}", again.body);
            assert_ne!(again.body["id"], person.client.customer_id);
        } else {
            assert!(again.status.is_client_error(), "{path}: {}", again.body);
            for word in CUSTOMER.iter().chain(&ACCOUNT) {
                assert!(!has(&again.bytes, word), "{path}: {}", again.body);
            }
        }
    }
}

/// A customer of a shop, of whom as much is known as can be.
struct Person {
    shop: Shop,
    admin: Client,
    client: Client,
    /// A program that works with orders and addresses.
    robot: Client,
    product: i64,
    /// What an administrator has asked that shows them: a key, a path and a body.
    requests: Vec<(String, String, Value)>,
    _mails: TempDir,
}

impl Person {
    /// With an account that was renamed and has a new password, and orders of every kind.
    async fn known_everywhere() -> Self {
        let mut person = Self::without_orders().await;
        let home = json!({
            "name": "Quillon Zarathrup", "company": "Parrot House", "line1": "41 Xylographenweg", "line2": "Quillon's attic",
            "city": "Kestrelpost", "region": "Samarkand", "postal_code": "Parrot 1", "country": "DE",
            "phone": "+49 30 5551 7788",
        });
        // One that is deleted before they are, one that is theirs to the end, and one that an administrator has added.
        for key in ["home", "home-2"] {
            let added = person.client.post_once(key, "/me/addresses", &home).await;
            let path = format!("/me/addresses/{}", added.id());
            if key == "home" {
                assert_eq!(person.client.delete(&path).await.status, 204);
            } else {
                let moved = json!({ "line1": "43 Xylographenweg" });
                assert_eq!(person.client.patch(&path, moved).await.status, 200);
            }
        }
        let addresses = format!("/customers/{}/addresses", person.client.customer_id);
        person
            .admin_posts("admin-home", &addresses, home.clone())
            .await;
        let own = person.client.get("/me/addresses").await.body["items"][0]["id"].clone();
        let address = json!({ "shipping_address": home, "note": "Mind the parrot" });
        let reason = json!({ "reason": "Moved to Samarkand" });
        // By themselves, cancelled by themselves.
        let order = person.place("own", address.clone()).await;
        let cancel = format!("/orders/{order}/cancel");
        let cancelled = person.client.post_once("own-cancel", &cancel, &reason);
        assert_eq!(cancelled.await.status, 200);
        // By themselves to an address of theirs, cancelled by an administrator.
        let to_own = json!({ "shipping_address_id": own, "note": "Mind the parrot" });
        let order = person.place("own-2", to_own).await;
        let cancel = format!("/orders/{order}/cancel");
        person.admin_posts("admin-cancel", &cancel, reason).await;
        // By an administrator.
        let order = person.for_them(address.clone());
        person.admin_posts("admin-order", "/orders", order).await;
        // By a program, which has an address added for them and cancels what it has ordered.
        person.robot_asks("robot-home", &addresses, &home).await;
        let order = person.for_them(address.clone());
        let ordered = person.robot_asks("robot-order", "/orders", &order).await;
        let cancel = format!("/orders/{}/cancel", ordered.id());
        let reason = json!({ "reason": "Moved to Samarkand" });
        person.robot_asks("robot-cancel", &cancel, &reason).await;
        // What was asked for by mail: before they had another address, to move to yet another, and for a new password.
        let visitor = person.shop.visitor().await;
        let email = "Erasable@KestrelPost.example";
        let own = format!("/customers/{}", person.client.customer_id);
        for moved in ["Erasable@Kestrelpost.example.org", email] {
            let register = json!({ "email": moved, "name": "Quillon Zarathrup" });
            let answer = visitor.post("/auth/register", register).await;
            assert_eq!(answer.status, 202, "{}", answer.body);
            let moved = person.admin.patch(&own, json!({ "email": moved })).await;
            assert_eq!(moved.status, 200, "{}", moved.body);
        }
        let moves =
            json!({ "email": "quillon@kestrelpost.example.net", "current_password": PASSWORD });
        let moves = person.client.patch("/me", moves).await;
        assert_eq!(moves.status, 200, "{}", moves.body);
        visitor
            .post("/auth/password-reset", json!({ "email": email }))
            .await;
        // A registration that was begun before there was an account.
        person.shop.registration_code(email).await;
        // Under a name and a password that are not theirs any more.
        let path = format!("/customer-accounts/{}", person.client.account_id);
        let renamed = person
            .admin
            .patch(&path, json!({ "username": "vortigern-8" }));
        assert_eq!(renamed.await.status, 200);
        let change = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
        let changed = person.client.put("/auth/password", change).await;
        assert_eq!(changed.status, 204, "{}", changed.body);
        person.client = person.log_in().await;
        person.place("own-3", address).await;
        let contents = contents(&person.shop.ctx.db).await;
        for word in CUSTOMER.iter().chain(&ACCOUNT) {
            let mut texts = contents.iter().map(|(_, text)| text);
            assert!(
                texts.any(|text| text.contains(word)),
                "{word} was never there"
            );
        }
        person
    }

    /// With an account, and no orders.
    async fn without_orders() -> Self {
        let (shop, mails) = Shop::open_with_mails().await;
        let admin = shop.admin().await;
        let product = admin.sell("Tea", "2", 99).await;
        // What it would be told waits to be sent.
        let types = ["*", "customer_address.*", "api_key.*"];
        let hooks = json!({ "url": "https://example.com/hooks", "types": types });
        admin.post("/webhook-endpoints", hooks).await.id();
        let mut person = Self {
            client: shop.stranger(),
            robot: admin.secret_key(&["orders:write", "customers:write"]).await,
            shop,
            admin,
            product,
            requests: Vec::new(),
            _mails: mails,
        };
        let customer = json!({
            "name": "Quillon Zarathrup",
            "email": "Erasable@KestrelPost.example",
            "phone": "+49 30 5551 7788",
        });
        let customer = person.admin_posts("customer", "/customers", customer).await;
        let account = json!({
            "customer_id": customer.body["id"], "username": "Zarquon-7", "password": PASSWORD,
        });
        person
            .admin_posts("account", "/customer-accounts", account)
            .await;
        person.client = person.shop.logged_in("zarquon-7", PASSWORD).await;
        person
    }

    /// Asks as an administrator, under a key, and remembers what was asked.
    async fn admin_posts(&mut self, key: &str, path: &str, body: Value) -> Answer {
        let answer = self.admin.post_once(key, path, &body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
        self.requests.push((key.to_owned(), path.to_owned(), body));
        answer
    }

    /// Asks as a program, under a key.
    async fn robot_asks(&self, key: &str, path: &str, body: &Value) -> Answer {
        let answer = self.robot.post_once(key, path, body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
        answer
    }

    /// The body of an order of one piece for them.
    fn for_them(&self, mut order: Value) -> Value {
        order["customer_id"] = self.client.customer_id.into();
        order["items"] = order_lines(&[(self.product, 1)]);
        order
    }

    fn request(&self, key: &str) -> &(String, String, Value) {
        let mut requests = self.requests.iter();
        requests.find(|(other, ..)| other == key).unwrap()
    }

    /// Orders one piece, under a key.
    async fn place(&self, key: &str, mut order: Value) -> i64 {
        order["items"] = order_lines(&[(self.product, 1)]);
        let placed = self.client.post_once(key, "/orders", &order).await;
        placed.id()
    }

    /// Makes them an administrator, who logs in anew.
    async fn promoted(&self) -> Client {
        let path = format!("/customer-accounts/{}", self.client.account_id);
        let promoted = self.admin.patch(&path, json!({ "role": "admin" })).await;
        assert_eq!(promoted.status, 200, "{}", promoted.body);
        self.log_in().await
    }

    async fn log_in(&self) -> Client {
        self.shop.logged_in("vortigern-8", NEW_PASSWORD).await
    }

    async fn delete_customer(&self) {
        self.delete(&format!("/customers/{}", self.client.customer_id))
            .await;
    }

    async fn delete_account(&self) {
        self.delete(&format!("/customer-accounts/{}", self.client.account_id))
            .await;
    }

    async fn delete(&self, path: &str) {
        let deleted = self.admin.send(Method::DELETE, path, None).await;
        assert_eq!(deleted.status, 204, "{}", deleted.body);
    }

    /// That none of the words of the customer or the account is left.
    async fn assert_erased(&self) {
        self.assert_nowhere(&[&CUSTOMER[..], &ACCOUNT].concat())
            .await;
    }

    async fn assert_nowhere(&self, words: &[&str]) {
        assert_nowhere(&self.shop, words).await;
    }
}

/// That those words stand in no column of any table, nor in SQLite's files.
async fn assert_nowhere(shop: &Shop, words: &[&str]) {
    for (column, text) in contents(&shop.ctx.db).await {
        for word in words {
            assert!(!text.contains(word), "{word} is still in {column}: {text}");
        }
    }
    let Some(file) = shop.ctx.config.database.uri.strip_prefix("sqlite://") else {
        return;
    };
    let file = file.split('?').next().unwrap();
    for file in [file.to_owned(), format!("{file}-wal")] {
        // Where there is no log, nothing is in it.
        let bytes = fs::read(&file).unwrap_or_default();
        for word in words {
            assert!(!has(&bytes, word), "{word} is still in {file}");
        }
    }
}

/// Everything that stands in any column of any table: the column, and its text in small letters.
async fn contents(db: &DatabaseConnection) -> Vec<(String, String)> {
    let backend = db.get_database_backend();
    let (columns, quote, text) = match backend {
        DbBackend::Sqlite => (
            "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
             WHERE m.type = 'table'",
            '"',
            "TEXT",
        ),
        DbBackend::MySql => (
            "SELECT table_name, column_name FROM information_schema.columns \
             WHERE table_schema = DATABASE()",
            '`',
            "CHAR",
        ),
        _ => (
            "SELECT table_name::text, column_name::text FROM information_schema.columns \
             WHERE table_schema = 'public'",
            '"',
            "TEXT",
        ),
    };
    let ask = async |query| {
        db.query_all_raw(Statement::from_string(backend, query))
            .await
            .unwrap()
    };
    let columns = ask(columns.to_owned()).await;
    assert!(columns.len() > 50, "the schema has more columns");
    let mut contents = Vec::new();
    for column in columns {
        let table: String = column.try_get_by_index(0).unwrap();
        let column: String = column.try_get_by_index(1).unwrap();
        let values = ask(format!(
            "SELECT CAST({quote}{column}{quote} AS {text}) FROM {quote}{table}{quote} \
             WHERE {quote}{column}{quote} IS NOT NULL"
        ));
        contents.extend(values.await.iter().map(|value| {
            let value: String = value.try_get_by_index(0).unwrap();
            (format!("{table}.{column}"), value.to_lowercase())
        }));
    }
    contents
}

/// Whether a word of small letters stands there, whatever the case.
fn has(bytes: &[u8], word: &str) -> bool {
    let bytes = bytes.to_ascii_lowercase();
    bytes
        .windows(word.len())
        .any(|part| part == word.as_bytes())
}

fn tea() -> Value {
    json!({ "name": "Tea", "price": "4.50" })
}

//! `store:copy`: from whatever `DATABASE_URL` says to SQLite, and back.

use std::{cell::Cell, fmt::Write};

use axum::http::Method;
use boxcar::{
    models::{
        _entities::prelude::{
            ApiKeys, Codes, CustomerAccounts, CustomerAddresses, Customers, Events,
            IdempotencyKeys, Mails, OrderEvents, OrderItems, Orders, Products, StockMovements,
        },
        TABLES, api_keys, codes, idempotency_keys, mails, now, orders,
    },
    tasks::store_copy::StoreCopy,
};
use chrono::TimeDelta;
use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, Database, DatabaseConnection, EntityTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, sea_query::Expr,
};
use serde_json::json;

use super::{import, run};
use crate::models::rows;
use crate::support::{
    Client, PASSWORD, Program, Shop, TestDatabase, address, assert_invariants, free_port,
};

#[tokio::test]
async fn a_copy_and_a_copy_of_the_copy_are_the_same() {
    let shop = filled().await;
    let there = copy(&shop, file().await).await;
    assert_eq!(contents(&there.ctx.db).await, contents(&shop.ctx.db).await);
    assert_invariants(&there.ctx.db).await;
    let back = copy(&there, TestDatabase::create().await).await;
    assert_eq!(contents(&back.ctx.db).await, contents(&shop.ctx.db).await);
    assert_invariants(&back.ctx.db).await;
}

#[tokio::test]
async fn a_copied_store_goes_on_where_the_store_was() {
    let shop = filled().await;
    let (last_order, last_account) = (last_order(&shop).await, deleted_account(&shop).await);
    let there = copy(&shop, file().await).await;
    let back = copy(&there, TestDatabase::create().await).await;
    for copied in [there, back] {
        let ada = copied.logged_in("ada", PASSWORD).await;
        let again = ada.post_once("k-1", "/orders", &one_of(1)).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.body["id"], 1);
        let order = ada.order(&[(1, 1)]).await;
        assert_eq!(order.body["id"], last_order + 1, "{}", order.body);
        // The one before was another's, who is gone.
        let admin = copied.admin_named("another").await;
        assert_eq!(admin.account_id, last_account + 1);
        assert_invariants(&copied.ctx.db).await;
    }
}

#[tokio::test]
async fn keys_codes_and_addresses_are_as_good_in_a_copy() {
    let shop = filled().await;
    let (robot, path) = robot(&shop).await;
    let key = robot.token.clone();
    let placed = robot.post_once("k-1", "/orders", &one_for_ada(1)).await;
    let order = placed.id();
    // One that was limited, and has ended.
    let admin = shop.admin_named("keeper").await;
    let brief = json!({
        "name": "Brief", "kind": "publishable", "rate_limit": { "requests": 5, "period_seconds": 60 },
    });
    let (ended, _) = admin.key(brief).await;
    let ends = Expr::value(now() - TimeDelta::seconds(1));
    ApiKeys::update_many()
        .col_expr(api_keys::Column::ExpiresAt, ends)
        .filter(api_keys::Column::Name.eq("Brief"))
        .exec(&shop.ctx.db)
        .await
        .unwrap();
    let registration = shop.registration_code("rosa@example.com").await;
    let reset = codes::Proof::PasswordReset {
        account_id: shop.logged_in("ada", PASSWORD).await.account_id,
        email_key: "ada@example.com",
    };
    let reset = shop.code(reset).await;
    let shown = admin.get(&path).await.body;

    let there = copy(&shop, file().await).await;
    let back = copy(&there, TestDatabase::create().await).await;
    assert_eq!(contents(&back.ctx.db).await, contents(&shop.ctx.db).await);
    for copied in [there, back] {
        let robot = copied.bearing(key.clone());
        let again = robot.post_once("k-1", "/orders", &one_for_ada(1)).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.id(), order);
        let body = one_for_ada(1);
        let history = robot.post("/orders", body).await.body["history"][0].clone();
        assert_eq!(history["by"], "Robot");
        assert_eq!(robot.get("/customers").await.outcome(), "403 forbidden");
        let ended = copied.bearing(ended.token.clone()).get("/products").await;
        ended.assert_problem(401, "unauthenticated");
        let keeper = copied.logged_in("keeper", PASSWORD).await;
        assert_eq!(keeper.get(&path).await.body, shown);

        let ada = copied.logged_in("ada", PASSWORD).await;
        let addresses = ada.get("/me/addresses").await.body["items"].clone();
        assert_eq!(addresses[0]["line1"], "☂".repeat(200));
        assert_eq!(addresses[0]["default"], true);
        let visitor = copied.visitor().await;
        let verify = json!({ "token": registration, "password": PASSWORD, "username": "rosa" });
        let verified = visitor.post("/auth/verify", verify).await;
        assert_eq!(verified.body["account"]["username"], "rosa");
        let confirm = json!({ "token": reset, "new_password": "gravel otter 3 plinth dune" });
        let path = "/auth/password-reset/confirm";
        assert_eq!(visitor.post(path, confirm).await.outcome(), "204");
        assert_invariants(&copied.ctx.db).await;
    }
}

#[tokio::test]
async fn a_copy_is_of_one_moment_whatever_is_ordered_meanwhile() {
    let shop = filled().await;
    let buyer = shop.customer("buyer").await;
    let to = file().await;
    let copied = Cell::new(false);
    let copy = async {
        run(StoreCopy, &shop, &[("to", &to.uri())]).await.unwrap();
        copied.set(true);
    };
    let orders = async {
        while !copied.get() {
            let answer = buyer.order(&[(1, 1), (2, 1)]).await;
            assert_eq!(answer.status, 201, "{}", answer.body);
        }
    };
    tokio::join!(copy, orders);
    let copied = Database::connect(to.uri()).await.unwrap();
    assert_invariants(&copied).await;
}

#[tokio::test]
async fn answers_that_are_past_their_time_are_not_copied() {
    let shop = filled().await;
    let ada = shop.logged_in("ada", PASSWORD).await;
    ada.post_once("expired", "/orders", &one_of(1)).await;
    idempotency_keys::Entity::update_many()
        .col_expr(
            idempotency_keys::Column::CreatedAt,
            Expr::value(now() - TimeDelta::hours(25)),
        )
        .filter(idempotency_keys::Column::IdempotencyKey.eq("expired"))
        .exec(&shop.ctx.db)
        .await
        .unwrap();
    let there = copy(&shop, file().await).await;
    let keys = IdempotencyKeys::find().all(&there.ctx.db).await.unwrap();
    let keys: Vec<_> = keys.iter().map(|kept| &*kept.idempotency_key).collect();
    assert_eq!(keys, ["k-1"]);
}

#[tokio::test]
async fn mails_that_are_to_be_sent_are_not_copied() {
    let shop = filled().await;
    for (id, status) in [(1, "pending"), (2, "delivered"), (3, "failed")] {
        let mail = mails::Model {
            id,
            status: status.to_owned(),
            ..rows::mail()
        };
        let mail = mail.into_active_model();
        mail.insert(&shop.ctx.db).await.unwrap();
    }
    let there = copy(&shop, file().await).await;
    let copied = Mails::find().order_by_asc(mails::Column::Id);
    let copied = copied.all(&there.ctx.db).await.unwrap();
    let copied: Vec<_> = copied.iter().map(|mail| &*mail.status).collect();
    assert_eq!(copied, ["delivered", "failed"]);
}

#[tokio::test]
async fn each_table_has_a_line() {
    let shop = filled().await;
    let to = file().await;
    let outcome = Program::new("test")
        .on(&shop.ctx.config.database.uri)
        .run(&["task", "store:copy", &format!("to:{}", to.uri())])
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let copied = Database::connect(to.uri()).await.unwrap();
    let tables = tables(&copied).await;
    let mut known = TABLES.to_vec();
    known.sort_unstable();
    assert_eq!(tables, known, "models::TABLES has to name every table");
    let (lines, last) = outcome.stdout.trim_end().rsplit_once('\n').unwrap();
    for table in &tables {
        assert!(
            lines.contains(&format!("{table} ")),
            "{table} is not copied:\n{lines}"
        );
    }
    assert_eq!(lines.lines().count(), tables.len(), "{lines}");
    let products = Products::find().count(&shop.ctx.db).await.unwrap();
    assert!(
        lines.contains(&format!(" {products} rows, SHA-256 ")),
        "{lines}"
    );
    assert!(last.starts_with("The copy is the same: "), "{last}");
    assert!(
        last.ends_with(&format!(" rows in {} tables.", tables.len())),
        "{last}"
    );
}

#[tokio::test]
async fn an_address_may_come_from_standard_input() {
    let (shop, to) = (filled().await, file().await);
    let outcome = Program::new("test")
        .on(&shop.ctx.config.database.uri)
        .input(&format!("{}\n", to.uri()))
        .run(&["task", "store:copy", "to:-"])
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[tokio::test]
async fn an_empty_store_is_copied_too() {
    let shop = Shop::open().await;
    let there = copy(&shop, file().await).await;
    let back = copy(&there, TestDatabase::create().await).await;
    assert_eq!(back.admin().await.account_id, 1);
}

#[tokio::test]
async fn a_target_that_is_not_empty_is_refused_and_untouched() {
    let shop = filled().await;
    for to in [file().await, TestDatabase::create().await] {
        let config = to.configuration().await;
        let other = Shop::open_on(to, config).await;
        other.customer("somebody").await;
        let before = contents(&other.ctx.db).await;
        assert_eq!(
            refused(&shop, &other.ctx.config.database.uri).await,
            "to: the database is not empty, there are customers: nothing was changed"
        );
        assert_eq!(contents(&other.ctx.db).await, before);
    }
}

#[tokio::test]
async fn another_programs_tables_are_refused_and_untouched() {
    let (shop, to) = (filled().await, file().await);
    let db = Database::connect(to.uri()).await.unwrap();
    db.execute_unprepared("CREATE TABLE orders (name TEXT); INSERT INTO orders VALUES ('march')")
        .await
        .unwrap();
    assert_eq!(
        refused(&shop, &to.uri()).await,
        "to: the database is not empty, there are orders: nothing was changed"
    );
    assert_eq!(tables(&db).await, ["orders"]);
}

#[tokio::test]
async fn the_store_itself_is_refused() {
    let shop = filled().await;
    let uri = &shop.ctx.config.database.uri;
    let (address, _) = uri.split_once('?').unwrap_or((uri, ""));
    for to in [uri, address] {
        assert_eq!(refused(&shop, to).await, "to: that is the store itself");
    }
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn what_is_no_address_of_a_database_is_refused() {
    let shop = Shop::open().await;
    for to in ["redis://127.0.0.1", "boxcar.sqlite", "sqlite::memory:", ""] {
        assert_eq!(
            refused(&shop, to).await,
            "to: the address has to begin with sqlite://, mysql://, mariadb:// or postgres://"
        );
    }
    assert_eq!(
        run(StoreCopy, &shop, &[]).await.unwrap_err(),
        "to:URL is required"
    );
}

#[tokio::test]
async fn the_password_of_a_server_that_cannot_be_reached_is_not_shown() {
    let mut shop = Shop::open().await;
    shop.ctx.config.database.connect_timeout = 500;
    let port = free_port();
    for to in [
        format!("mysql://boxcar:kettle9@127.0.0.1:{port}/boxcar"),
        format!("postgres://boxcar:kettle9@127.0.0.1:{port}/boxcar"),
    ] {
        let why = refused(&shop, &to).await;
        assert!(why.starts_with("to: no connection: "), "{why}");
        assert!(!why.contains("kettle9"), "{why}");
    }
}

#[tokio::test]
async fn a_copy_that_turns_out_different_is_not_kept() {
    let why = spoiled("UPDATE products SET name = name || ' ' WHERE id = 2").await;
    let words = "products: the copy is not the same, nothing was copied: the store has ";
    assert!(why.starts_with(words), "{why}");
}

#[tokio::test]
async fn a_row_that_is_lost_is_noticed() {
    let why = spoiled("DELETE FROM idempotency_keys").await;
    let words = "idempotency_keys: the copy is not the same, nothing was copied: the store has ";
    assert!(why.starts_with(words), "{why}");
}

#[tokio::test]
async fn a_copy_that_fails_at_its_last_row_is_not_kept() {
    let why = spoiled("SELECT RAISE(ABORT, 'the disk is full')").await;
    assert!(why.starts_with("idempotency_keys: "), "{why}");
    assert!(why.contains("the disk is full"), "{why}");
}

/// Why the store is not copied to a database that does that once it is given the last row. It is as
/// empty afterwards as it was, and a second attempt finds nothing in its way.
async fn spoiled(statement: &str) -> String {
    let (shop, to) = (filled().await, file().await);
    let db = Database::connect(to.uri()).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    let trigger =
        format!("CREATE TRIGGER spoil AFTER INSERT ON idempotency_keys BEGIN {statement}; END");
    db.execute_unprepared(&trigger).await.unwrap();
    let empty = contents(&db).await;
    let why = refused(&shop, &to.uri()).await;
    assert_eq!(contents(&db).await, empty);
    db.execute_unprepared("DROP TRIGGER spoil").await.unwrap();
    run(StoreCopy, &shop, &[("to", &to.uri())]).await.unwrap();
    why
}

/// A shop with everything in it that there can be.
async fn filled() -> Shop {
    let (shop, admin) = Shop::open_with_admin().await;
    let tea = json!({ "name": "Tea", "price": "0.01", "stock": 1_000_000, "sku": "Ä-☕-1" });
    let tea = admin.add_product(tea).await;
    let longest = admin
        .add_product(json!({
            "name": "😀".repeat(200), "description": "İ\"'\\\n".repeat(1_000), "price": "99999999.99",
        }))
        .await;
    let archived = admin
        .add_product(json!({ "name": "gone", "price": "0", "stock": 0, "description": "" }))
        .await;
    let answer = admin.delete(&format!("/products/{archived}")).await;
    assert_eq!(answer.status, 204);

    let ada = shop.customer("ada").await;
    for line1 in ["☂".repeat(200), "2 Elm Road".to_owned()] {
        let added = ada.post("/me/addresses", address(&line1)).await;
        assert_eq!(added.status, 201, "{}", added.body);
    }
    let answer = ada.post_once("k-1", "/orders", &one_of(tea)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    for status in ["placed", "paid", "shipped", "delivered", "cancelled"] {
        let order = json!({
            "items": [{ "product_id": tea, "quantity": 2 }, { "product_id": longest, "quantity": 1 }],
            "shipping_address": address(&"☂".repeat(200)), "note": status,
        });
        let order = ada.post("/orders", order).await;
        assert_eq!(order.status, 201, "{}", order.body);
        let path = format!("/orders/{}", order.body["id"]);
        let steps: &[_] = match status {
            "paid" => &["paid"],
            "shipped" => &["paid", "shipped"],
            "delivered" => &["paid", "shipped", "delivered"],
            _ => &[],
        };
        for step in steps {
            let answer = admin.patch(&path, json!({ "status": step })).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        if status == "cancelled" {
            let reason = json!({ "reason": "too late" });
            let answer = ada.post(&format!("{path}/cancel"), reason).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    }

    let erased = shop.customer("erased").await;
    erased.order(&[(tea, 1)]).await;
    let path = format!("/customers/{}", erased.customer_id);
    let answer = admin.send(Method::DELETE, &path, None).await;
    assert_eq!(answer.status, 204);

    // More than are read at once, and more bytes than fit into a statement.
    let mut rows = "sku,name,price,description\n".to_owned();
    for row in 0..600 {
        writeln!(rows, "S-{row},Product,{row}.00,{}", "ß".repeat(row * 4)).unwrap();
    }
    import(&shop, rows).await.unwrap();
    shop
}

fn one_of(product: i64) -> serde_json::Value {
    json!({ "items": [{ "product_id": product, "quantity": 1 }] })
}

fn one_for_ada(product: i64) -> serde_json::Value {
    json!({ "customer_id": 1, "items": [{ "product_id": product, "quantity": 1 }] })
}

/// A client with a key that may order, and the key's path.
async fn robot(shop: &Shop) -> (Client, String) {
    let body = json!({ "name": "Robot", "kind": "secret", "scopes": ["orders:write"] });
    shop.admin_named("maker").await.key(body).await
}

async fn last_order(shop: &Shop) -> i64 {
    let last = Orders::find().order_by_desc(orders::Column::Id);
    last.one(&shop.ctx.db).await.unwrap().unwrap().id
}

/// Makes an account and deletes it: its id was given out.
async fn deleted_account(shop: &Shop) -> i64 {
    let (admin, gone) = (shop.admin_named("root").await, shop.customer("gone").await);
    let path = format!("/customer-accounts/{}", gone.account_id);
    assert_eq!(admin.delete(&path).await.status, 204);
    gone.account_id
}

/// A SQLite file, whatever `DATABASE_URL` says.
async fn file() -> TestDatabase {
    TestDatabase::create_on("sqlite:".to_owned()).await
}

/// Copies the shop and opens the copy.
async fn copy(shop: &Shop, to: TestDatabase) -> Shop {
    run(StoreCopy, shop, &[("to", &to.uri())]).await.unwrap();
    let config = to.configuration().await;
    Shop::open_on(to, config).await
}

async fn refused(shop: &Shop, to: &str) -> String {
    run(StoreCopy, shop, &[("to", to)]).await.unwrap_err()
}

/// Every row of every table.
async fn contents(db: &DatabaseConnection) -> Vec<String> {
    async fn rows<E: EntityTrait>(_: E, db: &DatabaseConnection) -> String {
        let rows = E::find().order_by_id_asc().all(db).await.unwrap();
        rows.iter()
            .fold(String::new(), |text, row| format!("{text}{row:?}\n"))
    }
    vec![
        rows(Customers, db).await,
        rows(CustomerAccounts, db).await,
        rows(CustomerAddresses, db).await,
        rows(Products, db).await,
        rows(Orders, db).await,
        rows(OrderItems, db).await,
        rows(OrderEvents, db).await,
        rows(StockMovements, db).await,
        rows(Events, db).await,
        rows(Codes, db).await,
        rows(ApiKeys, db).await,
        rows(IdempotencyKeys, db).await,
    ]
}

/// The tables of a SQLite file in which a store has rows.
async fn tables(db: &DatabaseConnection) -> Vec<String> {
    let query = "SELECT name FROM sqlite_master WHERE type = 'table' \
                 AND name NOT LIKE 'sqlite%' AND name NOT IN ('seaql_migrations', 'write_probes') ORDER BY name";
    let found = sea_orm::Statement::from_string(db.get_database_backend(), query);
    let found = db.query_all_raw(found).await.unwrap();
    found
        .iter()
        .map(|row| row.try_get("", "name").unwrap())
        .collect()
}

//! The schema: the same promises on every database.

use std::sync::Arc;

use boxcar::{
    app::App,
    models::{
        Error, TABLES, api_keys, checkouts, codes, customer_accounts, customer_addresses,
        customers, discount_uses, discounts, events, hold_budgets,
        idempotency_keys::{self, InFlight, Owner, RequestKey},
        listing::{Listing, PageInfo, Paging, Sort},
        mails, order_events, order_items, orders, products, stock_movements,
        types::{Description, ProductName, Scalar},
    },
    transaction,
};
use loco_rs::app::Hooks;
use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait,
    IntoActiveModel, Iterable, ModelTrait, PaginatorTrait, QueryOrder, SqlErr, Statement,
    TransactionTrait, prelude::DateTimeWithTimeZone,
};

use serde_json::{Value, json};

use super::rows::{self, add_product, kettle};
use crate::support::{Mismatches, Shop, schema};

#[tokio::test]
async fn down_leaves_no_table_of_the_store() {
    let shop = Shop::open().await;
    Migrator::down(&shop.ctx.db, None).await.unwrap();
    let mut left = schema(&shop.ctx.db).await;
    left.retain(|line| !line.contains("seaql_migrations"));
    assert_eq!(left, [""; 0]);
}

#[tokio::test]
async fn down_and_up_again_leads_to_the_same_schema() {
    let shop = Shop::open().await;
    let before = schema(&shop.ctx.db).await;
    assert!(before.len() > 30, "{before:?}");
    Migrator::down(&shop.ctx.db, None).await.unwrap();
    Migrator::up(&shop.ctx.db, None).await.unwrap();
    assert_eq!(schema(&shop.ctx.db).await, before);
    fill(&shop.ctx.db).await;
}

#[tokio::test]
async fn a_store_that_is_emptied_keeps_its_administrators() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    fill(db).await;
    insert(db, rows::admin()).await.unwrap();
    App::truncate(&shop.ctx).await.unwrap();
    for table in TABLES {
        let query = format!("SELECT 1 FROM {table}");
        let query = Statement::from_string(db.get_database_backend(), query);
        let left = db.query_all_raw(query).await.unwrap().len();
        let expected = usize::from(*table == "customer_accounts");
        assert_eq!(left, expected, "{table}");
    }
}

#[tokio::test]
async fn what_an_older_version_kept_of_requests_is_emptied_and_its_keys_stay_taken() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    Migrator::down(db, None).await.unwrap();
    Migrator::up(db, Some(8)).await.unwrap();
    insert(db, rows::customer()).await.unwrap();
    insert(db, rows::account()).await.unwrap();
    let old = "INSERT INTO idempotency_keys \
               (account_id, idempotency_key, fingerprint, status, location, body, created_at) \
               VALUES (3, 'k-1', 'a digest', 201, NULL, 'a body', '2999-12-31 12:00:00')";
    db.execute_unprepared(old).await.unwrap();
    Migrator::up(db, None).await.unwrap();
    // Cut off before it was written down that this is done.
    let undone = "DELETE FROM seaql_migrations WHERE version LIKE '%idempotency_subjects'";
    db.execute_unprepared(undone).await.unwrap();
    Migrator::up(db, None).await.unwrap();
    let kept = idempotency_keys::Entity::find().one(db).await.unwrap();
    let kept = kept.unwrap();
    assert_eq!(
        (&*kept.idempotency_key, &*kept.fingerprint, &*kept.body),
        ("k-1", "", "")
    );
    let request = RequestKey {
        owner: Owner::Account(3),
        key: "k-1".to_owned(),
        scope: orders::Scope::All,
        fingerprints: vec!["a fingerprint".to_owned()],
    };
    let claim = Arc::<InFlight>::default().claim(Some(request)).unwrap();
    let replayed = transaction!(db, |txn| claim.replay(txn).await);
    assert!(matches!(replayed, Err(Error::KeyReused)), "{replayed:?}");
}

#[tokio::test]
async fn rows_of_an_older_version_are_found_and_sorted_by_the_keys_of_this_one() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    Migrator::down(db, None).await.unwrap();
    Migrator::up(db, Some(10)).await.unwrap();
    let old = |at: usize, sku: &str| {
        format!(
            "('{sku}-{at}', 'Pâté', 100, 'old', 'old', FALSE, '2026-01-31 12:00:00', '2026-01-31 12:00:00')"
        )
    };
    // More than are read at once.
    let rows: Vec<_> = (0..501).map(|at| old(at, "É")).collect();
    let columns =
        "(sku, name, price_minor, name_key, search_text, archived, created_at, updated_at)";
    let insert = format!("INSERT INTO products {columns} VALUES {}", rows.join(", "));
    db.execute_unprepared(&insert).await.unwrap();
    let twin = format!("INSERT INTO products {columns} VALUES {}", old(7, "é"));
    db.execute_unprepared(&twin).await.unwrap();
    let refusal = Migrator::up(db, None).await.unwrap_err().to_string();
    assert!(refusal.contains("products 8 and 502"), "{refusal}");
    db.execute_unprepared("DELETE FROM products WHERE id = 502")
        .await
        .unwrap();
    Migrator::up(db, None).await.unwrap();
    let last = products::Model::find_by_sku(db, "E\u{301}-500")
        .await
        .unwrap();
    assert_eq!(
        (
            last.id,
            &*last.name_key,
            &*last.search_text,
            last.sku_key.as_deref()
        ),
        (501, "pate", "pate\u{1f}e-500", Some("é-500"))
    );
}

#[tokio::test]
async fn the_text_that_was_an_address_is_one_in_orders_events_and_answers() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    go_back_before(db, "order_addresses").await;
    insert(db, rows::customer()).await.unwrap();
    insert(db, rows::account()).await.unwrap();
    let long = "☂ umbrella ".repeat(90);
    let typed = r#"{"name":null,"line1":"typed"}"#;
    let awkward = [
        (Some("1 Elm Road"), Some(("1 Elm Road", None))),
        (
            Some(" Ada\r\n\r\n1 Elm Road\tback\u{2028}London, \"UK\"\\\n"),
            Some(("Ada", Some("1 Elm Road back, London, \"UK\"\\"))),
        ),
        (Some(&*long), Some((long.trim(), None))),
        (Some(typed), Some((typed, None))),
        (Some("12345"), Some(("12345", None))),
        (Some(" \r\n "), None),
        (Some(""), None),
        (None, None),
    ];
    // More than are read at once.
    let texts: Vec<_> = awkward.iter().cycle().take(510).collect();
    for (id, (text, _)) in (1..).zip(&texts) {
        let order = orders::Model {
            id,
            shipping_address: text.map(str::to_owned),
            note: Some(r#""shipping_address":"a note""#.to_owned()),
            ..rows::order()
        };
        let shown =
            json!({ "id": id, "note": order.note, "shipping_address": text, "total": "39.98" });
        let event = events::Model {
            id,
            subject_id: id,
            data: shown.to_string(),
            ..rows::event()
        };
        let answer = idempotency_keys::Model {
            id,
            idempotency_key: format!("k-{id}"),
            body: shown.to_string(),
            ..rows::idempotency_key()
        };
        insert_as_it_was(db, order).await;
        insert(db, event).await.unwrap();
        insert(db, answer).await.unwrap();
    }
    let product = events::Model {
        id: 600,
        subject_kind: "product".to_owned(),
        data: r#"{"name":"\"shipping_address\":\"x\""}"#.to_owned(),
        ..rows::event()
    };
    insert(db, product.clone()).await.unwrap();
    Migrator::up(db, None).await.unwrap();
    // Cut off before it was written down that this is done.
    for _ in 0..2 {
        for (id, (_, expected)) in (1..).zip(&texts) {
            let order = orders::Entity::find_by_id(id)
                .one(db)
                .await
                .unwrap()
                .unwrap();
            let event = events::Model::find(db, id).await.unwrap();
            let answer = idempotency_keys::Entity::find_by_id(id)
                .one(db)
                .await
                .unwrap()
                .unwrap();
            let address = order
                .shipping_address
                .as_deref()
                .map_or(Value::Null, parsed);
            let expected = expected.map_or(Value::Null, |(line1, line2)| {
                json!({
                    "name": null, "company": null, "line1": line1, "line2": line2, "city": null, "region": null,
                    "postal_code": null, "country": null, "phone": null,
                })
            });
            assert_eq!(address, expected, "order {id}");
            let shown = json!({ "id": id, "note": order.note, "shipping_address": expected, "total": "39.98" });
            assert_eq!(parsed(&event.data), shown);
            assert_eq!(parsed(&answer.body), shown);
        }
        let kept = events::Model::find(db, 600).await.unwrap();
        assert_eq!(kept.data, product.data);
        let undone = "DELETE FROM seaql_migrations WHERE version LIKE '%order_addresses'";
        db.execute_unprepared(undone).await.unwrap();
        Migrator::up(db, None).await.unwrap();
    }
}

#[tokio::test]
async fn a_product_that_an_older_version_has_added_is_taxed_by_the_standard_class() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    go_back_before(db, "tax_classes").await;
    let old = |name: &str| {
        format!(
            "INSERT INTO products (name, price_minor, name_key, search_text, archived, created_at, updated_at) \
             VALUES ('{name}', 100, '{name}', '{name}', FALSE, '2026-01-31 12:00:00', '2026-01-31 12:00:00')"
        )
    };
    db.execute_unprepared(&old("before")).await.unwrap();
    Migrator::up(db, None).await.unwrap();
    // By a node that has not been replaced yet.
    db.execute_unprepared(&old("after")).await.unwrap();
    let products = products::Entity::find().all(db).await.unwrap().into_iter();
    let classes: Vec<_> = products.map(|product| product.tax_class).collect();
    assert_eq!(classes, ["standard", "standard"]);
}

/// Inserts an order into a table that has the first columns of today's alone.
async fn insert_as_it_was(db: &DatabaseConnection, order: orders::Model) {
    use orders::Column;
    let mut order = order.into_active_model();
    for column in Column::iter().skip_while(|column| !matches!(column, Column::DiscountMinor)) {
        order.not_set(column);
    }
    let order = orders::Entity::insert(order);
    order.exec_without_returning(db).await.unwrap();
}

/// Leaves the tables that there were before that migration.
async fn go_back_before(db: &DatabaseConnection, migration: &str) {
    let this = Migrator::migrations()
        .iter()
        .position(|known| known.name().ends_with(migration));
    Migrator::down(db, None).await.unwrap();
    let before = u32::try_from(this.unwrap()).unwrap();
    Migrator::up(db, Some(before)).await.unwrap();
}

#[tokio::test]
async fn the_ledger_of_an_older_version_stays_and_takes_holds_from_now_on() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    go_back_before(db, "_holds").await;
    for product in ["1, 'Kettle', 1999, 8", "2, 'Cup', 500, NULL"] {
        let product = format!(
            "INSERT INTO products (id, name, price_minor, stock, name_key, search_text, archived, created_at, updated_at) \
             VALUES ({product}, 'old', 'old', FALSE, '2026-01-31 12:00:00', '2026-01-31 12:00:00')"
        );
        db.execute_unprepared(&product).await.unwrap();
    }
    let old = "INSERT INTO stock_movements (id, product_id, kind, delta, reason, actor, created_at) VALUES \
               (3, 1, 'initial', 5, NULL, 'ada', '2026-01-31 12:00:00'), \
               (7, 1, 'adjustment', 3, 'counted', 'bob', '2026-01-31 12:00:00')";
    db.execute_unprepared(old).await.unwrap();
    Migrator::up(db, Some(1)).await.unwrap();
    assert_eq!(ledger(db).await, ["3 initial 5", "7 adjustment 3 counted"]);

    let hold = stock_movements::Model {
        id: 8,
        product_id: 1,
        kind: "hold".to_owned(),
        delta: -2,
        order_id: None,
        checkout_id: Some(rows::checkout().token),
        ..rows::movement()
    };
    insert(db, hold).await.unwrap();
    let held = "8 hold -2 chk_0000000000000000000000";
    assert_eq!(
        ledger(db).await,
        ["3 initial 5", "7 adjustment 3 counted", held]
    );

    Migrator::down(db, Some(1)).await.unwrap();
    Migrator::up(db, Some(1)).await.unwrap();
    let adjusted = ["3 initial 5", "7 adjustment 3 counted", "8 adjustment -2"];
    assert_eq!(ledger(db).await, adjusted);
}

/// Every movement of stock, in few words.
async fn ledger(db: &DatabaseConnection) -> Vec<String> {
    let movements = stock_movements::Entity::find().order_by_asc(stock_movements::Column::Id);
    let movements = movements.all(db).await.unwrap();
    let words = movements.into_iter().map(|movement| {
        let (id, kind, delta) = (movement.id, movement.kind, movement.delta);
        let more = movement.reason.into_iter().chain(movement.checkout_id);
        more.fold(format!("{id} {kind} {delta}"), |text, word| {
            format!("{text} {word}")
        })
    });
    words.collect()
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
#[rustfmt::skip]
async fn a_row_that_breaks_a_rule_is_refused() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    let word = || "lost".to_owned();
    let (product, order, item) = (rows::product(), rows::order(), rows::item());
    let mut mismatches = Mismatches::default();
    for (rule, outcome) in [
        ("ck_products_price", insert(db, products::Model { price_minor: -1, ..product.clone() }).await),
        ("ck_products_price", insert(db, products::Model { price_minor: 10_000_000_000, ..product.clone() }).await),
        ("ck_products_stock", insert(db, products::Model { stock: Some(-1), ..product }).await),
        ("ck_customer_accounts_role", insert(db, customer_accounts::Model { role: word(), ..rows::account() }).await),
        ("ck_customer_accounts_customer", insert(db, customer_accounts::Model { customer_id: None, ..rows::account() }).await),
        ("ck_customer_addresses_default_of", insert(db, customer_addresses::Model { default_of: Some(6), ..rows::address() }).await),
        ("ck_orders_status", insert(db, orders::Model { status: word(), ..order.clone() }).await),
        ("ck_orders_total", insert(db, orders::Model { total_minor: -1, ..order }).await),
        // Not its price times its quantity.
        ("ck_order_items_total", insert(db, order_items::Model { line_total_minor: 3_997, ..item.clone() }).await),
        ("ck_order_items_quantity", insert(db, order_items::Model { quantity: 0, line_total_minor: 0, ..item }).await),
        ("ck_order_events_status", insert(db, order_events::Model { status: word(), ..rows::step() }).await),
        ("ck_mails_status", insert(db, mails::Model { status: word(), ..rows::mail() }).await),
        ("ck_codes_kind", insert(db, codes::Model { kind: word(), ..rows::code() }).await),
        ("ck_api_keys_kind", insert(db, api_keys::Model { kind: word(), ..rows::api_key() }).await),
        ("ck_api_keys_place", insert(db, api_keys::Model { place: 1_001, ..rows::api_key() }).await),
        ("ck_api_keys_limit", insert(db, api_keys::Model { limit_requests: Some(1), ..rows::api_key() }).await),
        ("ck_api_keys_limit", insert(db, api_keys::Model { limit_requests: Some(-1), limit_seconds: Some(1), ..rows::api_key() }).await),
        ("ck_discount_uses_number", insert(db, discount_uses::Model { number: 0, ..rows::discount_use() }).await),
        ("ck_checkouts_status", insert(db, checkouts::Model { status: word(), ..rows::checkout() }).await),
        ("ck_hold_budgets_pieces", insert(db, hold_budgets::Model { pieces: -1, ..rows::hold_budget() }).await),
        ("ck_stock_movements_kind", insert(db, stock_movements::Model { kind: word(), ..rows::movement() }).await),
    ] {
        let refusal = outcome.map_err(|error| error.to_string());
        let named = refusal.as_ref().is_err_and(|error| error.contains(rule));
        mismatches.compare(format!("{rule}: {refusal:?}"), named, true);
    }
}

#[tokio::test]
async fn rows_that_refer_to_nothing_are_refused() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    assert_orphan(insert(db, rows::account()).await);
    assert_orphan(insert(db, rows::order()).await);
    assert_orphan(insert(db, rows::item()).await);
    assert_orphan(insert(db, rows::step()).await);
    assert_orphan(insert(db, rows::movement()).await);
    assert_orphan(insert(db, rows::idempotency_key()).await);
    assert_orphan(insert(db, rows::address()).await);
    assert_orphan(insert(db, rows::checkout()).await);
    assert_orphan(insert(db, rows::discount_use()).await);
}

#[tokio::test]
async fn an_item_of_a_product_that_never_was_is_refused() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    insert(db, rows::customer()).await.unwrap();
    insert(db, rows::order()).await.unwrap();
    assert_orphan(insert(db, rows::item()).await);
}

#[tokio::test]
async fn every_connection_refuses_orphans() {
    let shop = Shop::open().await;
    let mut connections = Vec::new();
    for _ in 0..shop.ctx.config.database.max_connections {
        connections.push(shop.ctx.db.begin().await.unwrap());
    }
    for connection in connections {
        assert_orphan(insert(&connection, rows::order()).await);
        // A failed insert has taken SQLite's one write lock.
        connection.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn what_orders_refer_to_cannot_be_deleted() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    fill(db).await;
    customers::Entity::delete_by_id(5)
        .exec(db)
        .await
        .unwrap_err();
    products::Entity::delete_by_id(7)
        .exec(db)
        .await
        .unwrap_err();
    orders::Entity::delete_by_id(9).exec(db).await.unwrap_err();
}

#[tokio::test]
async fn uses_go_with_their_discount_and_checkouts_with_their_customer() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    fill(db).await;
    discounts::Entity::delete_by_id(25).exec(db).await.unwrap();
    let uses = discount_uses::Entity::find().count(db).await.unwrap();
    assert_eq!(uses, 0);

    let grace = customers::Model {
        id: 6,
        email: "grace@example.com".to_owned(),
        email_key: "grace@example.com".to_owned(),
        ..rows::customer()
    };
    insert(db, grace).await.unwrap();
    let hers = checkouts::Model {
        id: 32,
        token: "chk_0000000000000000000001".to_owned(),
        customer_id: Some(6),
        ..rows::checkout()
    };
    insert(db, hers).await.unwrap();
    customers::Entity::delete_by_id(6).exec(db).await.unwrap();
    let left = checkouts::Entity::find().all(db).await.unwrap();
    assert_eq!(left, [rows::checkout()]);
}

#[tokio::test]
async fn an_order_uses_one_discount_and_no_customer_the_same_one_twice_as_the_same_use() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    fill(db).await;
    let twice = |use_: discount_uses::Model| async move {
        let error = insert(db, use_).await.unwrap_err();
        assert!(
            matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))),
            "{error:?}"
        );
    };
    twice(discount_uses::Model {
        id: 28,
        number: 2,
        ..rows::discount_use()
    })
    .await;
    let another = orders::Model {
        id: 10,
        ..rows::order()
    };
    insert(db, another).await.unwrap();
    let second = discount_uses::Model {
        id: 29,
        order_id: 10,
        ..rows::discount_use()
    };
    twice(second.clone()).await;
    insert(
        db,
        discount_uses::Model {
            number: 2,
            ..second
        },
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn times_come_back_to_the_microsecond() {
    let shop = Shop::open().await;
    // Of another zone, and after 2038.
    let times = [
        "2026-01-31T14:00:00.000001+05:30",
        "2999-12-31T23:59:59.999999Z",
    ];
    for (id, time) in (1..).zip(times) {
        let created_at: DateTimeWithTimeZone = chrono::DateTime::parse_from_rfc3339(time).unwrap();
        let product = products::Model {
            id,
            sku: None,
            sku_key: None,
            created_at,
            ..rows::product()
        };
        insert(&shop.ctx.db, product).await.unwrap();
        let product = products::Model::find(&shop.ctx.db, id).await.unwrap();
        assert_eq!(product.created_at, created_at);
    }
}

#[tokio::test]
async fn skus_are_compared_without_case_and_with_accents() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    for sku in ["A", "á", "ss", "ß"] {
        add_product(db, &kettle(Some(sku), None)).await;
    }
    for (asked, sku) in [
        ("a", "A"),
        ("A", "A"),
        ("Á", "á"),
        ("a\u{301}", "á"),
        ("SS", "ss"),
        ("ß", "ß"),
    ] {
        let found = products::Model::find_by_sku(db, asked).await.unwrap();
        assert_eq!(found.sku.as_deref(), Some(sku), "{asked}");
    }
}

#[tokio::test]
async fn text_comes_back_in_any_script() {
    let shop = Shop::open().await;
    let text = "Ärger, 漢字, עברית, 𝔘𝔫𝔦, 👩‍🚀, é, \\ ' \" % _";
    let mut details = kettle(None, None);
    details.name = ProductName::parse(text).unwrap();
    details.description = Some(Description::parse(&format!("{text}\n\t{text}")).unwrap());
    let id = add_product(&shop.ctx.db, &details).await.id;
    let product = products::Model::find(&shop.ctx.db, id).await.unwrap();
    assert_eq!(
        (product.name.as_str(), product.description),
        (text, Some(format!("{text}\n\t{text}")))
    );
}

#[tokio::test]
async fn the_longest_texts_fit_in_any_script() {
    let shop = Shop::open().await;
    // Four bytes; a letter that is 18 where searches fold it; one that becomes two in lower case.
    for letter in ["👩", "\u{fdfa}", "İ"] {
        let mut details = kettle(Some(&letter.repeat(64)), None);
        details.name = ProductName::parse(&letter.repeat(200)).unwrap();
        details.description = Some(Description::parse(&letter.repeat(5_000)).unwrap());
        add_product(&shop.ctx.db, &details).await;
    }
}

#[tokio::test]
async fn names_have_one_order_on_every_database_and_each_is_listed_once() {
    let shop = Shop::open().await;
    for name in ["é", "🚂", "Z", "ß", "漢", "z", "E", "a"] {
        let mut details = kettle(None, None);
        details.name = ProductName::parse(name).unwrap();
        add_product(&shop.ctx.db, &details).await;
    }
    for page_size in [1, 100] {
        let names = names_by_cursor(&shop.ctx.db, page_size).await;
        assert_eq!(names, ["a", "é", "E", "ß", "Z", "z", "漢", "🚂"]);
    }
}

async fn insert<M, A>(db: &impl ConnectionTrait, row: M) -> Result<(), DbErr>
where
    M: ModelTrait + IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = M::Entity> + ActiveModelBehavior + Send,
{
    let row = row.into_active_model().reset_all();
    M::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// One row in each table.
async fn fill(db: &DatabaseConnection) {
    insert(db, rows::customer()).await.unwrap();
    insert(db, rows::product()).await.unwrap();
    insert(db, rows::order()).await.unwrap();
    insert(db, rows::account()).await.unwrap();
    insert(db, rows::item()).await.unwrap();
    insert(db, rows::step()).await.unwrap();
    insert(db, rows::movement()).await.unwrap();
    insert(db, rows::event()).await.unwrap();
    insert(db, rows::mail()).await.unwrap();
    insert(db, rows::code()).await.unwrap();
    insert(db, rows::api_key()).await.unwrap();
    insert(db, rows::idempotency_key()).await.unwrap();
    insert(db, rows::address()).await.unwrap();
    insert(db, rows::discount()).await.unwrap();
    insert(db, rows::discount_use()).await.unwrap();
    insert(db, rows::checkout()).await.unwrap();
    insert(db, rows::hold_budget()).await.unwrap();
}

/// The database would not take a row that refers to nothing.
#[track_caller]
fn assert_orphan<T: std::fmt::Debug>(outcome: Result<T, DbErr>) {
    let error = outcome.unwrap_err();
    assert!(
        matches!(
            error.sql_err(),
            Some(SqlErr::ForeignKeyConstraintViolation(_))
        ),
        "{error:?}"
    );
}

/// The names of all products by name, so many a page.
async fn names_by_cursor(db: &DatabaseConnection, page_size: u64) -> Vec<String> {
    let mut names = Vec::new();
    let mut from = None;
    loop {
        let listing = Listing {
            filter: products::Filter::default(),
            sort: Sort {
                key: products::Key::Name,
                descending: false,
            },
            paging: Paging::After(from),
            page_size,
            total_items: None,
        };
        let page = products::Model::list(db, &listing).await.unwrap();
        names.extend(page.items.into_iter().map(|product| product.name));
        match page.info {
            PageInfo::Cursor { next: Some(next) } => from = Some(next),
            _ => return names,
        }
    }
}

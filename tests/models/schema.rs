//! The schema: the same promises on every database.

use std::sync::Arc;

use boxcar::{
    models::{
        Error, customer_accounts, customers,
        idempotency_keys::{self, RequestKey, Running},
        listing::{Listing, Paging, Place, Sort},
        order_events, order_items, orders, products, stock_movements,
        types::{Description, ProductName, Scalar},
    },
    transaction,
};
use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait,
    IntoActiveModel, ModelTrait, SqlErr, TransactionTrait, prelude::DateTimeWithTimeZone,
};

use super::rows::{self, add_product, kettle};
use crate::support::{Shop, schema};

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
}

#[tokio::test]
async fn a_store_works_after_down_and_up_again() {
    let shop = Shop::open().await;
    Migrator::down(&shop.ctx.db, None).await.unwrap();
    Migrator::up(&shop.ctx.db, None).await.unwrap();
    fill(&shop.ctx.db).await;
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
        account_id: 3,
        key: "k-1".to_owned(),
        scope: orders::Scope::All,
        fingerprints: vec!["a fingerprint".to_owned()],
    };
    let claim = Arc::<Running>::default().claim(Some(request)).unwrap();
    let replayed = transaction!(db, |txn| claim.replay(txn).await);
    assert!(matches!(replayed, Err(Error::KeyReused)), "{replayed:?}");
}

#[tokio::test]
async fn a_price_below_zero_is_refused() {
    let price_minor = -1;
    let product = rows::product();
    assert_refused(
        "ck_products_price",
        products::Model {
            price_minor,
            ..product
        },
    )
    .await;
}

#[tokio::test]
async fn a_price_above_the_highest_is_refused() {
    let price_minor = 10_000_000_000;
    let product = rows::product();
    assert_refused(
        "ck_products_price",
        products::Model {
            price_minor,
            ..product
        },
    )
    .await;
}

#[tokio::test]
async fn a_stock_below_zero_is_refused() {
    let stock = Some(-1);
    let product = rows::product();
    assert_refused("ck_products_stock", products::Model { stock, ..product }).await;
}

#[tokio::test]
async fn an_unknown_role_is_refused() {
    let role = "owner".to_owned();
    let account = rows::account();
    assert_refused(
        "ck_customer_accounts_role",
        customer_accounts::Model { role, ..account },
    )
    .await;
}

#[tokio::test]
async fn a_customer_s_account_without_a_customer_is_refused() {
    let customer_id = None;
    let account = rows::account();
    assert_refused(
        "ck_customer_accounts_customer",
        customer_accounts::Model {
            customer_id,
            ..account
        },
    )
    .await;
}

#[tokio::test]
async fn an_order_of_an_unknown_status_is_refused() {
    let status = "lost".to_owned();
    let order = rows::order();
    assert_refused("ck_orders_status", orders::Model { status, ..order }).await;
}

#[tokio::test]
async fn an_order_with_a_total_below_zero_is_refused() {
    let total_minor = -1;
    let order = rows::order();
    assert_refused(
        "ck_orders_total",
        orders::Model {
            total_minor,
            ..order
        },
    )
    .await;
}

#[tokio::test]
async fn an_item_whose_total_is_not_its_price_times_its_quantity_is_refused() {
    let line_total_minor = 3_997;
    let item = rows::item();
    assert_refused(
        "ck_order_items_total",
        order_items::Model {
            line_total_minor,
            ..item
        },
    )
    .await;
}

#[tokio::test]
async fn an_item_of_no_pieces_is_refused() {
    let (quantity, line_total_minor) = (0, 0);
    let item = rows::item();
    assert_refused(
        "ck_order_items_quantity",
        order_items::Model {
            quantity,
            line_total_minor,
            ..item
        },
    )
    .await;
}

#[tokio::test]
async fn an_event_of_an_unknown_status_is_refused() {
    let status = "lost".to_owned();
    let event = rows::event();
    assert_refused(
        "ck_order_events_status",
        order_events::Model { status, ..event },
    )
    .await;
}

#[tokio::test]
async fn a_movement_of_an_unknown_kind_is_refused() {
    let kind = "theft".to_owned();
    let movement = rows::movement();
    assert_refused(
        "ck_stock_movements_kind",
        stock_movements::Model { kind, ..movement },
    )
    .await;
}

#[tokio::test]
async fn rows_that_refer_to_nothing_are_refused() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    assert_orphan(insert(db, rows::account()).await);
    assert_orphan(insert(db, rows::order()).await);
    assert_orphan(insert(db, rows::item()).await);
    assert_orphan(insert(db, rows::event()).await);
    assert_orphan(insert(db, rows::movement()).await);
    assert_orphan(insert(db, rows::idempotency_key()).await);
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
async fn times_come_back_to_the_microsecond() {
    let shop = Shop::open().await;
    insert(&shop.ctx.db, rows::product()).await.unwrap();
    let product = products::Model::find(&shop.ctx.db, 7).await.unwrap();
    assert_eq!(product.created_at, rows::moment());
}

#[tokio::test]
async fn times_after_2038_come_back() {
    let shop = Shop::open().await;
    assert_kept(&shop, "2999-12-31T23:59:59.999999Z").await;
}

#[tokio::test]
async fn a_time_of_another_zone_comes_back_as_the_same_moment() {
    let shop = Shop::open().await;
    assert_kept(&shop, "2026-01-31T14:00:00.000001+05:30").await;
}

#[tokio::test]
async fn skus_are_compared_byte_by_byte() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    for sku in ["a", "A", "á", "ss", "ß"] {
        add_product(db, &kettle(Some(sku), None)).await;
    }
    for sku in ["a", "A", "á", "ss", "ß"] {
        let found = products::Model::find_by_sku(db, sku).await.unwrap();
        assert_eq!(found.sku.as_deref(), Some(sku));
    }
}

#[tokio::test]
async fn text_comes_back_in_any_script() {
    let shop = Shop::open().await;
    let text = "Ärger, 漢字, עברית, 𝔘𝔫𝔦, 👩‍🚀, e\u{301}, \\ ' \" % _";
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
    // Four bytes; a letter that becomes three when it is composed; one that becomes two in lower case.
    for letter in ["👩", "\u{fb2c}", "İ"] {
        let mut details = kettle(Some(&letter.repeat(64)), None);
        details.name = ProductName::parse(&letter.repeat(200)).unwrap();
        details.description = Some(Description::parse(&letter.repeat(5_000)).unwrap());
        add_product(&shop.ctx.db, &details).await;
    }
}

#[tokio::test]
async fn names_have_one_order_on_every_database() {
    let shop = Shop::open().await;
    add_named(&shop.ctx.db, &["é", "🚂", "Z", "ß", "漢", "z", "E", "a"]).await;
    let names: Vec<_> = walk(&shop.ctx.db, 100).await;
    assert_eq!(names, ["a", "E", "Z", "z", "ß", "é", "漢", "🚂"]);
}

#[tokio::test]
async fn a_walk_sees_names_of_any_script_once_each() {
    let shop = Shop::open().await;
    add_named(&shop.ctx.db, &["é", "🚂", "Z", "ß", "漢", "z", "E", "a"]).await;
    let one_by_one: Vec<_> = walk(&shop.ctx.db, 1).await;
    assert_eq!(one_by_one, walk(&shop.ctx.db, 100).await);
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
    insert(db, rows::event()).await.unwrap();
    insert(db, rows::movement()).await.unwrap();
    insert(db, rows::idempotency_key()).await.unwrap();
}

/// The row breaks that rule and is refused for it, before anybody looks at what it refers to.
async fn assert_refused<M, A>(rule: &str, row: M)
where
    M: ModelTrait + IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = M::Entity> + ActiveModelBehavior + Send,
{
    let shop = Shop::open().await;
    let refusal = insert(&shop.ctx.db, row).await.unwrap_err().to_string();
    assert!(refusal.contains(rule), "{refusal}");
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

/// A product that was added at that time says so.
async fn assert_kept(shop: &Shop, time: &str) {
    let created_at: DateTimeWithTimeZone = chrono::DateTime::parse_from_rfc3339(time).unwrap();
    let product = products::Model {
        created_at,
        ..rows::product()
    };
    insert(&shop.ctx.db, product).await.unwrap();
    let product = products::Model::find(&shop.ctx.db, 7).await.unwrap();
    assert_eq!(product.created_at, created_at);
}

async fn add_named(db: &DatabaseConnection, names: &[&str]) {
    for name in names {
        let mut details = kettle(None, None);
        details.name = ProductName::parse(name).unwrap();
        add_product(db, &details).await;
    }
}

/// The names of all products by name, fetched so many at a time.
async fn walk(db: &DatabaseConnection, page_size: u64) -> Vec<String> {
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
        match page.place {
            Place::Walk { next: Some(next) } => from = Some(next),
            _ => return names,
        }
    }
}

//! The disk of a SQLite shop is full, and has space again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};

use axum::http::{Method, StatusCode};
use boxcar::{models::transaction::writer, tasks::products_import::ProductsImport};
use loco_rs::task::{Task, Vars};
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, Statement,
    sqlx::{self, AssertSqlSafe},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    Client, Program, Server, Shop, SmallDisk, TestDatabase, address, assert_invariants, order_lines,
};

/// How long an answer may take.
const IN_TIME: Duration = Duration::from_secs(8);

/// How long it may take until everything is well again.
const PATIENCE: Duration = Duration::from_secs(20);

/// More writes than fit into what is left of a full database.
const MANY: u32 = 120;

#[tokio::test]
async fn orders_that_are_acknowledged_after_a_full_disk_are_there() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.assert_all_or_nothing(Ask::Order { key: false }).await;
}

#[tokio::test]
async fn products_that_are_acknowledged_after_a_full_disk_are_there() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.assert_all_or_nothing(Ask::Product).await;
}

#[tokio::test]
async fn answers_that_are_kept_after_a_full_disk_are_there() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.assert_all_or_nothing(Ask::Order { key: true }).await;
}

#[tokio::test]
async fn products_that_are_imported_after_a_full_disk_are_there() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    scene.assert_all_or_nothing(Ask::Import).await;
}

#[tokio::test]
async fn what_is_acknowledged_after_a_full_disk_is_there_after_the_next_start() {
    let Some(place) = Place::open().await else {
        return;
    };
    let server = place.start().await;
    let mut acknowledged = BTreeSet::new();
    for number in 0..6 {
        acknowledged.extend(place.order(&server, &format!("before-{number}")).await);
    }
    place.disk.fill();
    acknowledged.extend(place.order_until_refused(&server).await);
    place.disk.free();
    place.until_ready(&server).await;
    for number in 0..6 {
        acknowledged.extend(place.order(&server, &format!("after-{number}")).await);
    }
    assert!(acknowledged.len() >= 12, "{acknowledged:?}");
    for _ in 0..10 {
        assert_eq!(place.orders(&server).await, acknowledged);
    }
    server.terminate();
    assert_eq!(server.ended().await.code, Some(0));
    let server = place.start().await;
    assert_eq!(place.orders(&server).await, acknowledged, "after the start");
    let db = Database::connect(&place.shop.ctx.config.database.uri)
        .await
        .unwrap();
    assert_invariants(&db).await;
    db.close().await.unwrap();
}

#[tokio::test]
async fn while_the_disk_is_full_the_shop_is_not_ready() {
    let Some(place) = Place::open().await else {
        return;
    };
    let server = place.start().await;
    place.disk.fill();
    place.order_until_refused(&server).await;
    let readiness = status(&server, "/_readiness").await;
    assert_eq!(readiness, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status(&server, "/_ping").await, StatusCode::OK);
    place.disk.free();
    place.until_ready(&server).await;
    assert!(place.order(&server, "after").await.is_some());
}

/// What fills the database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Order { key: bool },
    Product,
    Import,
}

/// A shop in this process, whose database may be forbidden to grow: SQLite then says that the disk is full.
struct Scene {
    shop: Shop,
    admin: Client,
    customer: Client,
    product: i64,
}

impl Scene {
    async fn open() -> Option<Self> {
        let database = TestDatabase::create().await;
        let config = database.configuration().await;
        if !config.database.uri.starts_with("sqlite:") {
            eprintln!("not tried: it is about SQLite");
            return None;
        }
        let shop = Shop::open_on(database, config).await;
        let (admin, customer) = (shop.admin().await, shop.customer("ada").await);
        let product = admin.sell("Lamp", "9.00", 1_000_000).await;
        Some(Self {
            shop,
            admin,
            customer,
            product,
        })
    }

    /// Writes until the disk is full and beyond, and again when there is space; then asks a connection that
    /// has seen nothing of it what is there.
    async fn assert_all_or_nothing(&self, ask: Ask) {
        let mut acknowledged = BTreeMap::new();
        // The smallest limit that SQLite takes is the size that the database has.
        let full = self.limit_pages(1).await;
        for number in 0..MANY {
            // A page more now and then: each table and index has its turn to find none left.
            self.limit_pages(full + number / 12).await;
            let tag = format!("full-{number}");
            let done = self.write(ask, &tag, number as usize * 97 % 990).await;
            acknowledged.insert(tag, done);
            // Takes back what it began, on a connection that may have seen the end of the disk.
            let refused = self.customer.order(&[(self.product + 1_000, 1)]).await;
            assert_eq!(refused.status, 422);
        }
        let refused = acknowledged.values().filter(|done| !**done).count();
        assert!(refused > 0, "the disk was never full");
        self.limit_pages(u32::MAX - 1).await;
        for number in 0..MANY {
            let tag = format!("space-{number}");
            assert!(self.write(ask, &tag, 0).await, "{tag} is refused");
            acknowledged.insert(tag, true);
        }

        let db = Database::connect(&self.shop.ctx.config.database.uri)
            .await
            .unwrap();
        let there = tags(&db).await;
        for (tag, acknowledged) in acknowledged {
            let found = there.iter().filter(|there| **there == tag).count();
            assert_eq!(found, usize::from(acknowledged), "{tag}");
        }
        assert_invariants(&db).await;
        db.close().await.unwrap();
    }

    /// Whether it was acknowledged. How long it is decides which of its rows does not fit any more.
    async fn write(&self, ask: Ask, tag: &str, length: usize) -> bool {
        let filler = "x".repeat(length);
        let answer = match ask {
            Ask::Order { key } => {
                let items = order_lines(&[(self.product, 1)]);
                let note = format!("{tag} {filler}");
                let order =
                    json!({ "items": items, "note": note, "shipping_address": address(tag) });
                if key {
                    in_time(self.customer.post_once(tag, "/orders", &order)).await
                } else {
                    in_time(self.customer.post("/orders", order)).await
                }
            }
            Ask::Product => {
                let product = json!({ "sku": tag, "name": "Tea", "price": "4.50", "stock": 1, "description": filler });
                in_time(self.admin.post("/products", product)).await
            }
            Ask::Import => return self.import(tag, &filler).await,
        };
        if answer.status != StatusCode::CREATED {
            answer.assert_problem(503, "unavailable");
        }
        answer.status == StatusCode::CREATED
    }

    async fn import(&self, tag: &str, filler: &str) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("products.csv");
        let mut file = "sku,name,price,stock,description\n".to_owned();
        writeln!(file, "{tag},Tea,4.50,1,{filler}").unwrap();
        std::fs::write(&path, file).unwrap();
        let file = ("file".to_owned(), path.to_str().unwrap().to_owned());
        let arguments = Vars::from_cli_args(vec![file]);
        let import = ProductsImport.run(&self.shop.ctx, &arguments);
        in_time(import).await.is_ok()
    }

    /// Lets no connection of the pool make the database larger than that; answers how large it may be then.
    async fn limit_pages(&self, pages: u32) -> u32 {
        let writer = writer(&self.shop.ctx.db).unwrap();
        let mut connections = Vec::new();
        for pool in [&self.shop.ctx.db, &*writer] {
            let pool = pool.get_sqlite_connection_pool();
            for _ in 0..pool.options().get_max_connections() {
                connections.push(pool.acquire().await.unwrap());
            }
        }
        let mut limit = 0;
        for connection in &mut connections {
            let pragma = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
            let answer = sqlx::query_scalar(pragma).fetch_one(&mut **connection);
            limit = answer.await.unwrap();
        }
        limit
    }
}

/// A shop on a disk that can be filled.
struct Place {
    customer: Client,
    product: i64,
    shop: Shop,
    // The last to go: the others stand on it.
    disk: SmallDisk,
}

impl Place {
    async fn open() -> Option<Self> {
        if std::env::var("DATABASE_URL").is_ok_and(|url| !url.starts_with("sqlite:")) {
            eprintln!("not tried: it is about SQLite");
            return None;
        }
        let disk = SmallDisk::mount(6)?;
        let database = TestDatabase::File {
            directory: tempfile::tempdir_in(disk.path()).unwrap(),
        };
        let config = database.configuration().await;
        let shop = Shop::open_on(database, config).await;
        let admin = shop.admin().await;
        let product = admin.sell("Lamp", "9.00", 1_000_000).await;
        let customer = shop.customer("ada").await;
        // The server has the database for itself.
        shop.ctx.db.clone().close().await.unwrap();
        Some(Self {
            customer,
            product,
            shop,
            disk,
        })
    }

    async fn start(&self) -> Server {
        Server::start(Program::new("test").on(&self.shop.ctx.config.database.uri)).await
    }

    /// Places an order, whose note is answered if it was acknowledged.
    async fn order(&self, server: &Server, note: &str) -> Option<String> {
        let items = order_lines(&[(self.product, 1)]);
        let order = json!({ "items": items, "note": note });
        let (path, token) = ("/api/v1/orders", self.customer.token.as_deref());
        let answer = in_time(server.request(Method::POST, path, token, Some(&order))).await;
        if answer.status != StatusCode::CREATED {
            answer.assert_problem(503, "unavailable");
            return None;
        }
        Some(note.to_owned())
    }

    /// Places more orders than there is space for. The notes of those that were acknowledged.
    async fn order_until_refused(&self, server: &Server) -> Vec<String> {
        let mut acknowledged = Vec::new();
        for number in 0..60 {
            acknowledged.extend(self.order(server, &format!("full-{number}")).await);
        }
        assert!(acknowledged.len() < 60, "the disk is not full");
        acknowledged
    }

    async fn until_ready(&self, server: &Server) {
        let deadline = Instant::now() + PATIENCE;
        while status(server, "/_readiness").await != StatusCode::OK {
            assert!(Instant::now() < deadline, "it is not ready again");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The notes of all orders.
    async fn orders(&self, server: &Server) -> BTreeSet<String> {
        let path = "/api/v1/orders?page_size=100";
        let token = self.customer.token.as_deref();
        let list = in_time(server.request(Method::GET, path, token, None)).await;
        let items = list.body["items"].as_array().unwrap();
        let note = |order: &Value| order["note"].as_str().unwrap().to_owned();
        items.iter().map(note).collect()
    }
}

async fn status(server: &Server, path: &str) -> StatusCode {
    in_time(server.request(Method::GET, path, None, None))
        .await
        .status
}

/// The notes of all orders and the SKUs of all products.
async fn tags(db: &DatabaseConnection) -> Vec<String> {
    let query =
        "SELECT note AS tag FROM orders UNION ALL SELECT sku FROM products WHERE sku IS NOT NULL";
    let query = Statement::from_string(db.get_database_backend(), query);
    let rows = db.query_all_raw(query).await.unwrap();
    rows.iter()
        .map(|row| {
            let text: String = row.try_get("", "tag").unwrap();
            text.split(' ').next().unwrap_or_default().to_owned()
        })
        .collect()
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(IN_TIME, work).await.expect("the answer is in time")
}

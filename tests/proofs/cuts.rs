//! The connection to the database breaks, at each packet of a write.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use boxcar::models::products;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{
    Answer, Client, Cut, Lost, Proxy, Shop, TestDatabase, assert_invariants, commits, order_lines,
};

/// How long an answer may take.
const IN_TIME: Duration = Duration::from_secs(8);

#[tokio::test]
async fn an_order_whose_connection_breaks_is_refused_and_not_there_or_unknown() {
    let order = |scene: &Scene, tag: &str| {
        let items = order_lines(&[(scene.product, 1)]);
        let body = json!({ "items": items, "note": tag });
        (scene.customer.clone(), "/orders".to_owned(), body)
    };
    let Some(scene) = Scene::open().await else {
        return;
    };
    let there = "SELECT COUNT(*) AS n FROM orders WHERE note = ";
    scene.cut_everywhere(Method::POST, order, there).await;
}

#[tokio::test]
async fn a_cancellation_whose_connection_breaks_is_refused_and_not_there_or_unknown() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    // One to cancel before each cut, and one at the cut.
    for _ in 0..2 * Lost::ALL.len() * MOST {
        let placed = scene.customer.order(&[(scene.product, 1)]).await;
        assert_eq!(placed.status, 201);
    }
    let order = AtomicUsize::new(0);
    let cancel = |scene: &Scene, tag: &str| {
        let path = format!(
            "/orders/{}/cancel",
            order.fetch_add(1, Ordering::SeqCst) + 1
        );
        (scene.customer.clone(), path, json!({ "reason": tag }))
    };
    let there = "SELECT COUNT(*) AS n FROM order_events WHERE status = 'cancelled' AND reason = ";
    scene.cut_everywhere(Method::POST, cancel, there).await;
}

#[tokio::test]
async fn a_new_product_whose_connection_breaks_is_refused_and_not_there_or_unknown() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    let add = |scene: &Scene, tag: &str| {
        let body = json!({ "sku": tag, "name": "Tea", "price": "4.50", "stock": 1 });
        (scene.admin.clone(), "/products".to_owned(), body)
    };
    let there = "SELECT COUNT(*) AS n FROM products WHERE sku = ";
    scene.cut_everywhere(Method::POST, add, there).await;
}

#[tokio::test]
async fn a_new_name_whose_connection_breaks_is_refused_and_not_there_or_unknown() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    let rename = |scene: &Scene, tag: &str| {
        let path = format!("/products/{}", scene.product);
        (scene.admin.clone(), path, json!({ "name": tag }))
    };
    let there = "SELECT COUNT(*) AS n FROM products WHERE name = ";
    scene.cut_everywhere(Method::PATCH, rename, there).await;
}

#[tokio::test]
async fn an_adjustment_whose_connection_breaks_is_refused_and_not_there_or_unknown() {
    let Some(scene) = Scene::open().await else {
        return;
    };
    let adjust = |scene: &Scene, tag: &str| {
        let path = format!("/products/{}/stock", scene.product);
        let body = json!({ "delta": 1, "reason": tag });
        (scene.admin.clone(), path, body)
    };
    let there = "SELECT COUNT(*) AS n FROM stock_movements WHERE reason = ";
    scene.cut_everywhere(Method::POST, adjust, there).await;
}

/// More packets than one request sends.
const MOST: usize = 30;

/// Who sends what where.
type Sent = (Client, String, Value);

/// A shop whose connections to the database can be cut.
struct Scene {
    shop: Shop,
    admin: Client,
    customer: Client,
    product: i64,
    proxy: Proxy,
    /// Goes around the proxy.
    db: DatabaseConnection,
}

impl Scene {
    /// Nothing, where no connection goes over a network.
    async fn open() -> Option<Self> {
        let database = TestDatabase::create().await;
        let mut config = database.configuration().await;
        if config.database.uri.starts_with("sqlite:") {
            eprintln!("not tried: it takes a database server in DATABASE_URL");
            return None;
        }
        let db = sea_orm::Database::connect(&config.database.uri)
            .await
            .unwrap();
        let proxy = Proxy::before(&config.database.uri).await;
        proxy.uri().clone_into(&mut config.database.uri);
        // What was prepared on one connection would be prepared again on another.
        config.database.max_connections = 1;
        let shop = Shop::open_on(database, config).await;
        let (admin, customer) = (shop.admin().await, shop.customer("ada").await);
        let product = admin.sell("Lamp", "9.00", 1_000_000).await;
        Some(Self {
            shop,
            admin,
            customer,
            product,
            proxy,
            db,
        })
    }

    /// Makes the write again and again, under a new tag each time, and cuts the connection at its first
    /// packet, its second, until there are no more, and at its commit; in each way.
    async fn cut_everywhere(
        self,
        method: Method,
        write: impl Fn(&Self, &str) -> Sent + Sync,
        there: &str,
    ) {
        for lost in Lost::ALL {
            let mut packet = 1;
            while self
                .cut_at(Cut::Packet(packet, lost), &method, &write, there)
                .await
            {
                packet += 1;
                assert!(packet < MOST, "there is always one more packet");
            }
            assert!(packet > 4, "{packet} packets are no transaction");
            let commit = self.cut_at(Cut::Commit(lost), &method, &write, there);
            assert!(commit.await, "there was no commit");
        }
        assert_invariants(&self.db).await;
        self.db.close().await.unwrap();
        drop(self.shop);
    }

    /// Whether the write has come to the cut.
    async fn cut_at(
        &self,
        cut: Cut,
        method: &Method,
        write: &(impl Fn(&Self, &str) -> Sent + Sync),
        there: &str,
    ) -> bool {
        // On the same connection, whose statements are prepared then.
        let tag = format!("{cut:?}").replace(' ', "");
        let key = format!("{tag}-before");
        let before = self.send(method, &key, &write(self, &key)).await;
        assert!(before.status.is_success(), "{key}: {}", before.body);

        let sent = write(self, &tag);
        self.proxy.cut(cut);
        let answer = self.send(method, &tag, &sent).await;
        let packet = self.proxy.mend();
        let done = self.count(there, &tag).await;
        let (status, problem) = (answer.status, &answer.body["type"]);
        let seen = format!("{tag}: {status} {problem}, {done} of it there");
        match status {
            StatusCode::SERVICE_UNAVAILABLE => assert_eq!(done, 0, "{seen}"),
            StatusCode::GATEWAY_TIMEOUT => {
                assert_eq!(problem, "/problems/outcome-unknown");
                assert!(commits(packet.as_ref().unwrap()), "{seen}, and no commit");
            }
            // A connection that rested was tested first.
            _ => assert!(status.is_success() && done == 1, "{seen}"),
        }
        self.assert_shown(&seen).await;

        let again = self.send(method, &tag, &sent).await;
        assert!(again.status.is_success(), "{seen}, again: {}", again.body);
        assert_eq!(self.count(there, &tag).await, 1, "{seen}, again");
        if *method == Method::POST {
            let replayed = again.header("idempotency-replayed").is_some();
            assert_eq!(replayed, done == 1, "{seen}, again");
        }
        self.assert_shown(&seen).await;
        packet.is_some()
    }

    async fn send(&self, method: &Method, key: &str, (client, path, body): &Sent) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", format!("\"{key}\""));
        let request = request.body(Body::from(body.to_string())).unwrap();
        in_time(client.request(request)).await
    }

    async fn count(&self, query: &str, tag: &str) -> i64 {
        let query = format!("{query}'{tag}'");
        let query = Statement::from_string(self.db.get_database_backend(), query);
        let row = self.db.query_one_raw(query).await.unwrap().unwrap();
        row.try_get("", "n").unwrap()
    }

    /// Readers see what is in the database.
    async fn assert_shown(&self, seen: &str) {
        let path = format!("/products/{}", self.product);
        let shown = in_time(self.admin.get(&path)).await.body;
        let product = products::Model::find(&self.db, self.product).await.unwrap();
        let (name, stock) = (json!(product.name), json!(product.stock));
        assert_eq!((&shown["name"], &shown["stock"]), (&name, &stock), "{seen}");
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(IN_TIME, work).await.expect("the answer is in time")
}

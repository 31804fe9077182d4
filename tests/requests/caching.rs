//! Answers to GET that are kept: always current, never another account's, and not sent twice.

use std::time::Duration;

use axum::http::{Method, StatusCode, header};
use boxcar::{
    context::Context,
    controllers::{BASE, endpoints, extract::cached::tags},
    models::{
        CacheTag, customer_accounts, customers, now,
        orders::{self, Scope},
        products, stock_movements,
    },
    shared::metrics::Metrics,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, sea_query::Expr,
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::support::{Answer, Client, PASSWORD, Shop, address};

#[test]
fn every_get_of_the_api_names_what_its_answer_depends_on() {
    let gets = endpoints()
        .into_iter()
        .flat_map(|(_, paths, _)| paths.paths)
        .filter(|(_, methods)| methods.get.is_some())
        .map(|(path, _)| format!("{BASE}{path}"));
    // What each write outdates is not kept, nor what changes without one, nor files.
    let changing = [
        "api-keys",
        "checkouts",
        "events",
        "webhook-endpoints",
        "webhook-deliveries",
        "mails",
    ];
    let kept = gets.filter(|route| {
        let resource = route.trim_start_matches(BASE).split('/').nth(1);
        !changing.contains(&resource.unwrap_or_default()) && !route.ends_with("/export")
    });
    let own = Some(Scope::Customer(7));
    let unnamed: Vec<_> = kept
        .filter(|route| tags(route, &route.replace("{id}", "7"), own).is_none())
        .collect();
    assert!(
        unnamed.is_empty(),
        "`tags` in extract/cached.rs has to say what these depend on: {unnamed:?}"
    );
}

#[test]
fn an_answer_of_which_nothing_is_known_is_not_kept() {
    for (route, path) in [
        ("/products/{id}/reviews", "/products/7/reviews"),
        ("/products/{id}", "/products/%37"),
    ] {
        let (route, path) = (format!("{BASE}{route}"), format!("{BASE}{path}"));
        assert_eq!(tags(&route, &path, None), None, "{path}");
    }
}

#[tokio::test]
async fn whatever_is_written_every_later_get_shows_it() {
    let scene = Scene::open().await;
    scene.assert_fresh("opening").await;
    for (what, who, method, path, body) in scene.writes() {
        let answer = who.send(method.clone(), &path, body).await;
        assert!(answer.status.is_success(), "{what}: {}", answer.body);
        scene.assert_fresh(what).await;
    }
}

#[tokio::test]
async fn what_is_current_is_answered_from_the_cache() {
    let scene = Scene::open().await;
    scene.read_all(&scene.admin).await;
    let metrics = metrics(&scene.shop);
    let (hits, misses) = (metrics.hits.get(), metrics.misses.get());
    scene.read_all(&scene.admin).await;
    assert_eq!(metrics.misses.get(), misses);
    assert_eq!(metrics.hits.get(), hits + scene.paths().len() as u64);
}

#[tokio::test]
async fn an_order_leaves_what_it_does_not_concern_in_the_cache() {
    let scene = Scene::open().await;
    let Scene {
        admin,
        ada,
        bob,
        shop,
        ..
    } = &scene;
    let other = admin.sell("Rug", "9", None).await;
    let spared = [
        (ada, format!("/products/{other}")),
        (bob, "/orders".to_owned()),
        (admin, "/customers".to_owned()),
        (admin, format!("/customers/{}", ada.customer_id)),
    ];
    for (who, path) in spared.iter().chain(&spared) {
        who.get(path).await;
    }
    let metrics = metrics(shop);
    assert_eq!(ada.order(&[(scene.lamp, 1)]).await.status, 201);
    let misses = metrics.misses.get();
    for (who, path) in &spared {
        who.get(path).await;
    }
    assert_eq!(metrics.misses.get(), misses);
}

#[tokio::test]
async fn products_are_counted_again_when_there_may_be_others_and_not_with_every_order() {
    let scene = Scene::open().await;
    let Scene {
        admin, ada, shop, ..
    } = &scene;
    let rug = admin.sell("Rug", "9", None).await;
    assert_eq!(totals(admin).await, [2, 2]);
    // The caches are not told: what is counted again shows it.
    products::Entity::update_many()
        .col_expr(products::Column::Archived, Expr::value(true))
        .filter(products::Column::Id.eq(rug))
        .exec(&shop.ctx.db)
        .await
        .unwrap();
    assert!(ada.order(&[(scene.lamp, 1)]).await.status.is_success());
    // An order may leave less that is available, but no fewer products.
    assert_eq!(totals(admin).await, [2, 1]);
    admin.sell("Mat", "5", None).await;
    assert_eq!(totals(admin).await, [2, 2]);
    let lamp = format!("/products/{}", scene.lamp);
    assert!(admin.delete(&lamp).await.status.is_success());
    assert_eq!(totals(admin).await, [1, 1]);
}

#[tokio::test]
async fn customers_and_accounts_are_counted_again_when_there_may_be_others_and_not_with_every_edit()
{
    let scene = Scene::open().await;
    let Scene {
        admin, ada, shop, ..
    } = &scene;
    let lists = ["/customers", "/customer-accounts"];
    assert_eq!(total(admin, lists[0]).await, 3);
    assert_eq!(total(admin, lists[1]).await, 3);
    assert_eq!(total(admin, "/customer-accounts?role=admin").await, 1);
    // The caches are not told: what is counted again shows it.
    hide_guest_and_bobs_account(&scene).await;
    let (customer, account) = (
        format!("/customers/{}", ada.customer_id),
        format!("/customer-accounts/{}", ada.account_id),
    );
    for (path, edit) in [
        (&customer, json!({ "name": "Ada L." })),
        (&account, json!({ "username": "lovelace" })),
    ] {
        assert_eq!(admin.patch(path, edit).await.status, 200);
    }
    assert_eq!(total(admin, lists[0]).await, 3);
    assert_eq!(total(admin, lists[1]).await, 3);
    assert_eq!(total(admin, "/customers?q=ada").await, 1, "a search is");
    shop.customer("cleo").await;
    assert_eq!(total(admin, lists[0]).await, 3);
    assert_eq!(total(admin, lists[1]).await, 3);
    let promoted = json!({ "role": "admin" });
    assert_eq!(admin.patch(&account, promoted).await.status, 200);
    assert_eq!(total(admin, "/customer-accounts?role=admin").await, 2);
    assert!(admin.delete(&account).await.status.is_success());
    assert_eq!(total(admin, lists[1]).await, 2);
    assert!(admin.delete(&customer).await.status.is_success());
    assert_eq!(total(admin, lists[0]).await, 2);
}

#[tokio::test]
async fn of_long_lists_that_only_grow_no_row_is_counted_twice() {
    let scene = Scene::open().await;
    let Scene {
        admin, ada, shop, ..
    } = &scene;
    add_history(&scene, 1_200).await;
    let ledger = format!("/products/{}/stock", scene.lamp);
    let lists = [
        (admin, "/orders"),
        (ada, "/orders"),
        (admin, "/orders?placed_from=2001-01-01T00:00:00Z"),
        (admin, &ledger),
    ];
    let placed = "/orders?status=placed";
    for page_size in 1..=2 {
        // Each page is another answer. With Redis the first base of a list is not kept.
        for ((who, list), total) in lists.iter().zip([1_201, 1_201, 1_201, 1_202]) {
            assert_eq!(counted(who, list, page_size).await, total, "{list}");
        }
    }
    // The caches are not told: what is counted again shows it.
    let db = &shop.ctx.db;
    let (orders, movements) = (
        orders::Entity::delete_many().filter(orders::Column::Id.eq(scene.order + 1)),
        stock_movements::Entity::delete_many()
            .filter(stock_movements::Column::Kind.eq("adjustment"))
            .filter(stock_movements::Column::Reason.eq("0")),
    );
    assert_eq!(orders.exec(db).await.unwrap().rows_affected, 1);
    assert_eq!(movements.exec(db).await.unwrap().rows_affected, 1);
    assert_eq!(ada.order(&[(scene.lamp, 1)]).await.status, 201);
    for ((who, list), total) in lists.iter().zip([1_202, 1_202, 1_202, 1_203]) {
        assert_eq!(counted(who, list, 3).await, total, "{list}");
    }
    assert_eq!(counted(admin, placed, 3).await, 1_201, "this one is");
    let everything = [CacheTag::Everything].into();
    Context::of(&shop.ctx).unwrap().invalidate(everything).await;
    for ((who, list), total) in lists.iter().zip([1_201, 1_201, 1_201, 1_202]) {
        assert_eq!(counted(who, list, 3).await, total, "{list}");
    }
}

#[tokio::test]
async fn what_is_kept_for_one_account_is_never_shown_to_another() {
    let scene = Scene::open().await;
    let Scene {
        admin, ada, bob, ..
    } = &scene;
    let order = format!("/orders/{}", scene.order);
    for _ in 0..2 {
        for who in [admin, ada, bob] {
            assert_eq!(who.get("/auth/me").await.body["id"], who.account_id);
        }
        assert_eq!(admin.get(&order).await.status, 200);
        assert_eq!(ada.get(&order).await.status, 200);
        bob.get(&order).await.assert_problem(404, "not-found");
        assert_eq!(admin.get("/orders").await.body["total_items"], 1);
        assert_eq!(ada.get("/orders").await.body["total_items"], 1);
        assert_eq!(bob.get("/orders").await.body["total_items"], 0);
        for path in ["/customers", "/customer-accounts"] {
            assert_eq!(admin.get(path).await.status, 200);
            ada.get(path).await.assert_problem(403, "forbidden");
        }
        let stranger = scene.shop.stranger();
        assert_eq!(stranger.get("/products").await.status, 401);
    }
}

// Writes that no client waits for go on while the test waits for its database to be dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_finished_and_shown_though_the_client_hangs_up() {
    let scene = Scene::open().await;
    let Scene { ada, .. } = &scene;
    let order = json!({ "items": [{ "product_id": scene.lamp, "quantity": 1 }] });
    for moment in 0..20 {
        ada.get("/orders").await;
        // Somewhere between its first step and its last.
        let hung_up = timeout(
            Duration::from_millis(moment),
            ada.post("/orders", order.clone()),
        );
        drop(hung_up.await);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let there = orders::Entity::find()
            .count(&scene.shop.ctx.db)
            .await
            .unwrap();
        let shown = ada.get("/orders").await.body["total_items"]
            .as_u64()
            .unwrap();
        if there > 1 && there == shown {
            break;
        }
        assert!(Instant::now() < deadline, "{there} orders, {shown} shown");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn every_get_has_an_entity_tag_and_is_not_sent_again_to_who_has_it() {
    let scene = Scene::open().await;
    for path in scene.paths() {
        let first = scene.admin.get(&path).await;
        let etag = first.header("etag").expect("GET has an ETag").to_owned();
        assert!(etag.starts_with('"') && etag.len() > 20, "{path}: {etag}");
        assert_eq!(
            first.header("cache-control"),
            Some("private, no-cache"),
            "{path}"
        );
        assert_eq!(first.header("vary"), Some("authorization"), "{path}");
        let weak = format!("\"other\", W/{etag}");
        for known in [etag.as_str(), &weak, "*"] {
            let again = scene
                .admin
                .get_if(&path, header::IF_NONE_MATCH, known)
                .await;
            assert_eq!(again.status, 304, "{path} {known}");
            assert!(again.bytes.is_empty() && again.header("content-type").is_none());
            for name in ["etag", "cache-control", "vary", "link"] {
                assert_eq!(again.header(name), first.header(name), "{path} {name}");
            }
        }
        let changed = scene
            .admin
            .get_if(&path, header::IF_NONE_MATCH, "\"other\"")
            .await;
        assert_eq!(
            (changed.status, changed.bytes),
            (StatusCode::OK, first.bytes),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_get_that_has_to_match_and_does_not_fails() {
    let scene = Scene::open().await;
    let path = format!("/products/{}", scene.lamp);
    let answer = scene
        .admin
        .get_if(&path, header::IF_MATCH, "\"other\"")
        .await;
    answer.assert_problem(412, "precondition-failed");
    let etag = scene
        .admin
        .get(&path)
        .await
        .header("etag")
        .unwrap()
        .to_owned();
    let answer = scene.admin.get_if(&path, header::IF_MATCH, &etag).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_write_to_what_has_changed_fails_and_changes_nothing() {
    let scene = Scene::open().await;
    for (method, path, body) in scene.conditional_writes() {
        let before = scene.admin.get(&path).await;
        for stale in [
            "\"other\"",
            &format!("W/{}", before.header("etag").unwrap()),
            "",
        ] {
            let answer = scene
                .admin
                .send_if_match(method.clone(), &path, stale, body.as_ref())
                .await;
            answer.assert_problem(412, "precondition-failed");
            assert_eq!(
                scene.admin.get(&path).await.bytes,
                before.bytes,
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_write_to_what_has_not_changed_succeeds() {
    let scene = Scene::open().await;
    for (method, path, body) in scene.conditional_writes() {
        let before = scene.admin.get(&path).await;
        let tags = format!("\"other\", {}", before.header("etag").unwrap());
        let answer = scene
            .admin
            .send_if_match(method.clone(), &path, &tags, body.as_ref())
            .await;
        assert!(
            answer.status.is_success(),
            "{method} {path}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn what_a_change_answers_has_the_entity_tag_that_a_get_then_has() {
    let scene = Scene::open().await;
    for (what, writer, method, path, body) in scene.writes() {
        let answer = writer.send(method, &path, body).await;
        if answer.status == StatusCode::NO_CONTENT {
            continue;
        }
        let shown = match answer.header("location") {
            Some(location) => location.trim_start_matches("/api/v1"),
            None => path.trim_end_matches("/stock").trim_end_matches("/cancel"),
        };
        let get = scene.admin.get(shown).await;
        assert_eq!(answer.header("etag"), get.header("etag"), "{what}");
        assert_eq!(answer.bytes, get.bytes, "{what}");
    }
}

#[tokio::test]
async fn a_star_matches_whatever_is_there_and_nothing_that_is_not() {
    let scene = Scene::open().await;
    let rename = json!({ "name": "Lamp 2" });
    let path = format!("/products/{}", scene.lamp);
    let answer = scene
        .admin
        .send_if_match(Method::PATCH, &path, "*", Some(&rename))
        .await;
    assert_eq!(answer.status, 200);
    let answer = scene
        .admin
        .send_if_match(Method::PATCH, "/products/999", "*", Some(&rename))
        .await;
    answer.assert_problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_have_seen_the_same_one_may_change_it() {
    let scene = Scene::open().await;
    let path = format!("/products/{}", scene.lamp);
    let etag = scene
        .admin
        .get(&path)
        .await
        .header("etag")
        .unwrap()
        .to_owned();
    let mut writers = JoinSet::new();
    for number in 0..32 {
        let (admin, path, etag) = (scene.admin.clone(), path.clone(), etag.clone());
        writers.spawn(async move {
            let rename = json!({ "name": format!("Lamp {number}") });
            admin
                .send_if_match(Method::PATCH, &path, &etag, Some(&rename))
                .await
        });
    }
    let answers = writers.join_all().await;
    let (won, lost): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::OK);
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.assert_problem(412, "precondition-failed");
    }
    assert_eq!(
        scene.admin.get(&path).await.body["name"],
        won[0].body["name"]
    );
}

#[tokio::test]
async fn what_a_login_or_a_change_answers_and_every_problem_is_not_to_be_kept() {
    let scene = Scene::open().await;
    let lamp = json!({ "name": "Lamp", "price": "9" });
    let made = scene.admin.post("/products", lamp.clone()).await;
    let path = made.header("location").unwrap().replace("/api/v1", "");
    let stranger = scene.shop.stranger();
    for (answer, what) in [
        (scene.shop.log_in("ada", PASSWORD).await, "a login"),
        (made, "a POST"),
        (scene.admin.put(&path, lamp).await, "a PUT"),
        (
            scene.admin.patch(&path, json!({ "price": "8" })).await,
            "a PATCH",
        ),
        (scene.admin.delete(&path).await, "a DELETE"),
        (scene.admin.get(&path).await, "a 404"),
        (scene.admin.get("/nothing").await, "a 404 of no route"),
        (scene.admin.get("/products?page=x").await, "a 422"),
        (stranger.get("/products").await, "a 401"),
        (stranger.post("/products", json!({})).await, "another 401"),
    ] {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        assert_eq!(answer.header("vary"), Some("authorization"), "{what}");
    }
}

#[tokio::test]
async fn what_is_true_for_a_moment_is_not_to_be_kept() {
    let shop = Shop::open_with(&[("metrics", "enable", json!(true))]).await;
    for path in ["/_ping", "/_health", "/_readiness", "/metrics", "/"] {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty());
        let answer = shop.stranger().request(request.unwrap()).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
}

#[tokio::test]
async fn a_condition_that_is_no_entity_tag_is_malformed_and_changes_nothing() {
    let scene = Scene::open().await;
    let lamp = format!("/products/{}", scene.lamp);
    let answer = scene.admin.get_if(&lamp, header::IF_MATCH, "abc").await;
    answer.assert_problem(400, "malformed-request");
    for (method, path, body) in scene.conditional_writes() {
        let before = scene.admin.get(&path).await;
        let answer = scene
            .admin
            .send_if_match(method, &path, "abc", body.as_ref())
            .await;
        answer.assert_problem(400, "malformed-request");
        assert_eq!(scene.admin.get(&path).await.bytes, before.bytes, "{path}");
    }
}

#[tokio::test]
async fn a_cache_without_room_keeps_nothing_and_answers_all_the_same() {
    let shop = Shop::open_with(&[("cache", "max_bytes", json!(0))]).await;
    let admin = shop.admin().await;
    let lamp = admin.sell("Lamp", "9", None).await;
    for _ in 0..3 {
        assert_eq!(
            admin.get(&format!("/products/{lamp}")).await.body["name"],
            "Lamp"
        );
    }
    assert_eq!(metrics(&shop).hits.get(), 0);
}

#[tokio::test]
async fn how_often_the_cache_was_right_can_be_read() {
    let scene = Scene::open().await;
    for _ in 0..3 {
        scene.ada.get("/products").await;
    }
    let request = axum::http::Request::get("/metrics").body(axum::body::Body::empty());
    let answer = scene.shop.stranger().request(request.unwrap()).await;
    let text = String::from_utf8(answer.bytes).unwrap();
    for figure in [
        "boxcar_cache_hits_total 2",
        "boxcar_cache_misses_total 1",
        "boxcar_cache_fills_total 1",
    ] {
        assert!(text.lines().any(|line| line == figure), "{text}");
    }
}

#[tokio::test]
async fn figures_are_not_shown_where_they_are_turned_off() {
    let shop = Shop::open_with(&[("metrics", "enable", json!(false))]).await;
    let request = axum::http::Request::get("/metrics").body(axum::body::Body::empty());
    let answer = shop.stranger().request(request.unwrap()).await;
    answer.assert_problem(404, "not-found");
}

fn metrics(shop: &Shop) -> Metrics {
    Context::of(&shop.ctx).unwrap().shared.metrics.clone()
}

/// A shop with an administrator, two customers with accounts, one without, a lamp and an order.
struct Scene {
    shop: Shop,
    admin: Client,
    ada: Client,
    bob: Client,
    lamp: i64,
    order: i64,
    guest: i64,
    address: i64,
}

type Write<'a> = (&'static str, &'a Client, Method, String, Option<Value>);

/// How many products there are, and how many of them are available.
async fn totals(who: &Client) -> [i64; 2] {
    [
        total(who, "/products").await,
        total(who, "/products?available=true").await,
    ]
}

/// How many there are in a list, as it says itself.
async fn total(who: &Client, path: &str) -> i64 {
    who.get(path).await.body["total_items"].as_i64().unwrap()
}

/// The same, as its page of that size says.
async fn counted(who: &Client, list: &str, page_size: u64) -> i64 {
    let sign = if list.contains('?') { '&' } else { '?' };
    total(who, &format!("{list}{sign}page_size={page_size}")).await
}

/// Adds orders of Ada's and as many movements of the lamp, of which the caches are not told.
async fn add_history(scene: &Scene, count: usize) {
    let orders = (0..count).map(|_| orders::ActiveModel {
        customer_id: Set(scene.ada.customer_id),
        status: Set("placed".to_owned()),
        currency: Set("USD".to_owned()),
        total_minor: Set(0),
        placed_at: Set(now()),
        updated_at: Set(now()),
        ..Default::default()
    });
    let movements = (0..count).map(|number| stock_movements::ActiveModel {
        product_id: Set(scene.lamp),
        kind: Set("adjustment".to_owned()),
        delta: Set(0),
        reason: Set(Some(number.to_string())),
        actor: Set("system".to_owned()),
        created_at: Set(now()),
        ..Default::default()
    });
    let db = &scene.shop.ctx.db;
    let orders = orders::Entity::insert_many(orders);
    orders.exec_without_returning(db).await.unwrap();
    let movements = stock_movements::Entity::insert_many(movements);
    movements.exec_without_returning(db).await.unwrap();
}

/// Takes a customer and an account out of the database, of which the caches are not told.
async fn hide_guest_and_bobs_account(scene: &Scene) {
    let db = &scene.shop.ctx.db;
    let guest = customers::Entity::delete_by_id(scene.guest).exec(db).await;
    assert_eq!(guest.unwrap().rows_affected, 1);
    let account = customer_accounts::Entity::delete_by_id(scene.bob.account_id);
    assert_eq!(account.exec(db).await.unwrap().rows_affected, 1);
}

fn with_default(mut address: Value) -> Value {
    address["default"] = true.into();
    address
}

impl Scene {
    async fn open() -> Self {
        let (shop, admin) = Shop::open_with_admin().await;
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        let lamp = json!({ "name": "Lamp", "price": "19.99", "stock": 50, "sku": "LAMP" });
        let lamp = admin.add_product(lamp).await;
        let order = ada.order(&[(lamp, 2)]).await.id();
        let guest = json!({ "name": "Guest", "email": "guest@example.com" });
        let guest = admin.post("/customers", guest).await.id();
        let address = ada.post("/me/addresses", address("1 Elm Road")).await.id();
        Self {
            shop,
            admin,
            ada,
            bob,
            lamp,
            order,
            guest,
            address,
        }
    }

    /// Every kind of thing and list there is.
    fn paths(&self) -> Vec<String> {
        let Self {
            lamp,
            order,
            guest,
            ada,
            address,
            ..
        } = self;
        vec![
            "/auth/me".to_owned(),
            "/products".to_owned(),
            "/products?cursor=&page_size=1".to_owned(),
            "/products?available=true&sort=-price&q=lamp".to_owned(),
            "/products?max_price=18.50&page_size=1".to_owned(),
            "/products?available=false".to_owned(),
            format!("/products/{lamp}"),
            format!("/products/{lamp}/stock"),
            "/customers".to_owned(),
            "/customers?q=ada".to_owned(),
            format!("/customers/{}", ada.customer_id),
            format!("/customers/{guest}"),
            format!("/customers/{}/addresses", ada.customer_id),
            format!("/customers/{}/addresses/{address}", ada.customer_id),
            "/customer-accounts".to_owned(),
            format!("/customer-accounts/{}", ada.account_id),
            "/orders".to_owned(),
            "/orders?status=placed".to_owned(),
            format!("/orders/{order}"),
        ]
    }

    /// Every kind of write there is, each possible after those before it.
    #[rustfmt::skip]
    fn writes(&self) -> Vec<Write<'_>> {
        let Self { admin, ada, bob, lamp, order, guest, address: first, .. } = self;
        let addresses = format!("/customers/{}/addresses", ada.customer_id);
        let (customer, account) = (ada.customer_id, ada.account_id);
        let one_lamp = json!([{ "product_id": lamp, "quantity": 1 }]);
        let new_account = json!({ "customer_id": guest, "username": "guest", "password": PASSWORD });
        let post = |what, who, path: &str, body| (what, who, Method::POST, path.to_owned(), Some(body));
        let put = |what, path, body| (what, admin, Method::PUT, path, Some(body));
        let patch = |what, path, body| (what, admin, Method::PATCH, path, Some(body));
        let delete = |what, path| (what, admin, Method::DELETE, path, None);
        vec![
            post("a new product", admin, "/products", json!({ "name": "Rug", "price": "5" })),
            patch("another price", format!("/products/{lamp}"), json!({ "price": "18" })),
            patch("another description", format!("/products/{lamp}"), json!({ "description": "Bright" })),
            put("a replaced product", format!("/products/{lamp}"), json!({ "name": "Big lamp", "price": "21", "stock": 40 })),
            post("more stock", admin, &format!("/products/{lamp}/stock"), json!({ "delta": 5, "reason": "found" })),
            post("an order", ada, "/orders", json!({ "items": one_lamp })),
            post("an order for a customer", admin, "/orders", json!({ "items": one_lamp, "customer_id": bob.customer_id })),
            patch("a payment", format!("/orders/{order}"), json!({ "status": "paid" })),
            post("a cancellation", ada, &format!("/orders/{order}/cancel"), json!({ "reason": "too bright" })),
            post("a new customer", admin, "/customers", json!({ "name": "Cleo", "email": "cleo@example.com" })),
            patch("another name", format!("/customers/{customer}"), json!({ "name": "Ada L." })),
            put("a replaced customer", format!("/customers/{customer}"), json!({ "name": "Ada Lovelace", "email": "al@example.com" })),
            post("another address", admin, &addresses, address("2 Oak Street")),
            patch("another city", format!("{addresses}/{first}"), json!({ "city": "Bristol" })),
            put("a replaced address", format!("{addresses}/{first}"), address("3 Elm Road")),
            post("another default", admin, &addresses, with_default(address("4 Oak Street"))),
            post("a new account", admin, "/customer-accounts", new_account),
            patch("another username", format!("/customer-accounts/{account}"), json!({ "username": "lovelace" })),
            delete("a deleted address", format!("{addresses}/{first}")),
            delete("a deleted account", format!("/customer-accounts/{}", bob.account_id)),
            delete("a deleted customer", format!("/customers/{guest}")),
            delete("an erased customer", format!("/customers/{customer}")),
            delete("an archived product", format!("/products/{lamp}")),
        ]
    }

    /// Writes that may depend on what is there, of things that can be read under the same path.
    #[rustfmt::skip]
    fn conditional_writes(&self) -> Vec<(Method, String, Option<Value>)> {
        let Self { lamp, order, guest, bob, ada, address: first, .. } = self;
        let own = format!("/customers/{}/addresses/{first}", ada.customer_id);
        let (product, customer) = (format!("/products/{lamp}"), format!("/customers/{guest}"));
        let account = format!("/customer-accounts/{}", bob.account_id);
        vec![
            (Method::PUT, product.clone(), Some(json!({ "name": "Lamp", "price": "5" }))),
            (Method::PATCH, product.clone(), Some(json!({ "price": "6" }))),
            (Method::PUT, customer.clone(), Some(json!({ "name": "G", "email": "g@example.com" }))),
            (Method::PATCH, customer.clone(), Some(json!({ "name": "Guest" }))),
            (Method::PUT, account.clone(), Some(json!({ "username": "bob2", "password": PASSWORD }))),
            (Method::PATCH, account.clone(), Some(json!({ "username": "bob3" }))),
            (Method::PUT, own.clone(), Some(address("5 Elm Road"))),
            (Method::PATCH, own.clone(), Some(json!({ "region": "Avon" }))),
            (Method::DELETE, own, None),
            (Method::PATCH, format!("/orders/{order}"), Some(json!({ "status": "paid" }))),
            (Method::DELETE, account, None),
            (Method::DELETE, customer, None),
            (Method::DELETE, product, None),
        ]
    }

    async fn read_all(&self, who: &Client) -> Vec<Answer> {
        let mut answers = Vec::new();
        for path in self.paths() {
            answers.push(who.get(&path).await);
        }
        answers
    }

    /// Everybody is answered as by a server that has kept nothing, twice: from the database at first, and
    /// then perhaps not.
    async fn assert_fresh(&self, after: &str) {
        let cold = self.shop.another().await;
        for who in [&self.admin, &self.ada, &self.bob] {
            let expected = self.read_all(&who.at(cold.clone())).await;
            for _ in 0..2 {
                let answers = self.read_all(who).await;
                for ((path, answer), expected) in self.paths().iter().zip(answers).zip(&expected) {
                    let (mut body, mut expected_body) = (answer.body, expected.body.clone());
                    // Problems have an id of their own.
                    for body in [&mut body, &mut expected_body] {
                        if let Some(body) = body.as_object_mut() {
                            body.remove("request_id");
                        }
                    }
                    assert_eq!(answer.status, expected.status, "{path} after {after}");
                    assert_eq!(body, expected_body, "{path} after {after}");
                }
            }
        }
    }
}

//! Mails: which are written, to whom, and what is left of them.

use std::path::Path;

use boxcar::{
    app::App,
    models::{events, mails, now},
};
use chrono::TimeDelta;
use loco_rs::app::Hooks;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    sea_query::Expr,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    assert_answer,
    support::{Client, PASSWORD, Shop},
};

/// A shop that writes mails, none of which is sent, with a customer and a product.
struct Scene {
    shop: Shop,
    admin: Client,
    ada: Client,
    lamp: i64,
    _mails: TempDir,
}

impl Scene {
    async fn open() -> Self {
        let (shop, mails) = Shop::open_with_mails().await;
        let admin = shop.admin().await;
        let ada = shop.customer("ada").await;
        let lamp = admin.sell("Lamp", "9.00", 10).await;
        Self {
            shop,
            admin,
            ada,
            lamp,
            _mails: mails,
        }
    }

    async fn order(&self) -> i64 {
        self.ada.order(&[(self.lamp, 1)]).await.id()
    }

    async fn rows(&self) -> Vec<mails::Model> {
        let rows = mails::Entity::find().order_by_asc(mails::Column::Id);
        rows.all(&self.shop.ctx.db).await.unwrap()
    }

    /// The templates of the mails that were written, oldest first.
    async fn templates(&self) -> Vec<String> {
        let rows = self.rows().await.into_iter();
        rows.map(|mail| mail.template).collect()
    }

    async fn set(&self, mail: mails::ActiveModel) {
        let mail = mails::Entity::update(mail);
        mail.exec(&self.shop.ctx.db).await.unwrap();
    }
}

#[tokio::test]
async fn a_customer_is_told_that_an_order_was_placed_shipped_or_cancelled() {
    let scene = Scene::open().await;
    let order = scene.order().await;
    assert_eq!(scene.templates().await, ["order_placed"]);
    for (status, expected) in [("paid", 1), ("shipped", 2), ("delivered", 2)] {
        let step = json!({ "status": status });
        scene.admin.patch(&format!("/orders/{order}"), step).await;
        assert_eq!(scene.templates().await.len(), expected, "{status}");
    }
    let cancel = format!("/orders/{}/cancel", scene.order().await);
    scene.ada.post(&cancel, json!({})).await;
    let expected = [
        "order_placed",
        "order_shipped",
        "order_placed",
        "order_cancelled",
    ];
    assert_eq!(scene.templates().await, expected);

    let events = events::Entity::find().order_by_asc(events::Column::Id);
    let events = events.all(&scene.shop.ctx.db).await.unwrap();
    for mail in scene.rows().await {
        let event = events.iter().find(|event| Some(event.id) == mail.event_id);
        let happened = event.unwrap().r#type.replace('.', "_");
        assert_eq!(mail.template, happened);
        assert_eq!(mail.recipient, "ada@example.com");
        assert_eq!(mail.customer_id, Some(scene.ada.customer_id));
        assert_eq!(mail.status, "pending");
        assert!(mail.next_attempt_at <= Some(now()));
    }
    let ids = scene.rows().await.into_iter().map(|mail| mail.message_id);
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn an_order_that_is_refused_or_repeated_writes_no_mail() {
    let scene = Scene::open().await;
    let short = scene.ada.order(&[(scene.lamp, 11)]).await;
    assert_eq!(short.status, 409);
    let invalid = scene.ada.order(&[(404, 1)]).await;
    assert_eq!(invalid.status, 422);
    assert_eq!(scene.templates().await, [""; 0]);
    let body = json!({ "items": [{ "product_id": scene.lamp, "quantity": 1 }] });
    for _ in 0..2 {
        let placed = scene.ada.post_once("once", "/orders", &body).await;
        assert_eq!(placed.status, 201);
    }
    assert_eq!(scene.templates().await, ["order_placed"]);
    let order = scene.rows().await[0]
        .subject
        .rsplit(' ')
        .next()
        .unwrap()
        .to_owned();
    let cancel = format!("/orders/{order}/cancel");
    for status in [200, 409] {
        assert_eq!(scene.ada.post(&cancel, json!({})).await.status, status);
    }
    assert_eq!(scene.templates().await, ["order_placed", "order_cancelled"]);
}

#[tokio::test]
async fn a_mail_goes_to_the_address_that_the_customer_has_then() {
    let scene = Scene::open().await;
    let order = scene.order().await;
    let customer = format!("/customers/{}", scene.ada.customer_id);
    let moved = json!({ "email": "Ada@Example.org" });
    assert_eq!(scene.admin.patch(&customer, moved).await.status, 200);
    scene
        .ada
        .post(&format!("/orders/{order}/cancel"), json!({}))
        .await;
    let rows = scene.rows().await.into_iter();
    let recipients: Vec<_> = rows.map(|mail| mail.recipient).collect();
    assert_eq!(recipients, ["ada@example.com", "Ada@Example.org"]);
}

#[tokio::test]
async fn where_mails_are_off_none_is_written() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let lamp = admin.sell("Lamp", "9.00", None).await;
    ada.order(&[(lamp, 1)]).await;
    assert_eq!(mails::Entity::find().one(&shop.ctx.db).await.unwrap(), None);
    assert_eq!(admin.get("/mails").await.body["items"], json!([]));
}

#[tokio::test]
async fn the_customers_of_the_demo_are_not_written_to() {
    let (shop, _mails) = Shop::open_with_mails().await;
    App::seed(&shop.ctx, Path::new("")).await.unwrap();
    assert_eq!(mails::Entity::find().one(&shop.ctx.db).await.unwrap(), None);
    let shipped = events::Column::Type.eq("order.shipped");
    let shipped = events::Entity::find().filter(shipped);
    assert!(shipped.one(&shop.ctx.db).await.unwrap().is_some());
}

#[tokio::test]
async fn administrators_see_each_mail_and_how_far_it_has_come() {
    let scene = Scene::open().await;
    let order = scene.order().await;
    scene
        .ada
        .post(&format!("/orders/{order}/cancel"), json!({}))
        .await;
    let [first, second] = scene.rows().await.try_into().unwrap();
    let attempts = json!([
        { "at": now(), "status_code": 451, "duration_ms": 212, "error": "try again" },
        { "at": now(), "status_code": 250, "duration_ms": 187, "error": null },
    ]);
    scene
        .set(mails::ActiveModel {
            status: Set("delivered".to_owned()),
            attempts: Set(attempts.to_string()),
            next_attempt_at: Set(None),
            ..first.clone().into_active_model()
        })
        .await;
    let path = format!("/mails/{}", first.id);
    assert_answer!(scene.admin.get(&path).await);
    assert_answer!(scene.admin.get("/mails").await);

    let event = second.event_id.unwrap();
    for (query, expected) in [
        (String::new(), vec![second.id, first.id]),
        ("?sort=id".to_owned(), vec![first.id, second.id]),
        ("?status=delivered".to_owned(), vec![first.id]),
        ("?status=pending".to_owned(), vec![second.id]),
        ("?status=failed".to_owned(), vec![]),
        (format!("?event_id={event}"), vec![second.id]),
        ("?event_id=404".to_owned(), vec![]),
        ("?to=ada@example.com".to_owned(), vec![second.id, first.id]),
        ("?to=eve@example.com".to_owned(), vec![]),
        (
            format!("?to=ada@example.com&event_id={event}&status=pending"),
            vec![second.id],
        ),
    ] {
        let listed = scene.admin.get(&format!("/mails{query}")).await;
        assert_eq!(listed.status, 200, "{query}: {}", listed.body);
        assert_eq!(ids(&listed.body), expected, "{query}");
    }
    let page = scene.admin.get("/mails?page_size=1").await.body;
    assert_eq!(ids(&page), [second.id]);
    let next = page["next_cursor"].as_str().unwrap();
    let page = scene
        .admin
        .get(&format!("/mails?page_size=1&cursor={next}"))
        .await
        .body;
    assert_eq!(ids(&page), [first.id]);
    assert_eq!(page["next_cursor"], Value::Null);

    let bad = scene.admin.get("/mails?status=sent").await;
    bad.assert_invalid(&[("/status", "choice")]);
    let bad = scene.admin.get("/mails?to=ada").await;
    bad.assert_invalid(&[("/to", "format")]);
    assert_eq!(scene.admin.get("/mails?page=1").await.status, 422);
    assert_eq!(scene.admin.get("/mails/404").await.status, 404);
}

#[tokio::test]
async fn nothing_of_an_erased_customer_remains_and_what_is_not_sent_is_cancelled() {
    let scene = Scene::open().await;
    let bob = scene.shop.customer("bob").await;
    bob.order(&[(scene.lamp, 1)]).await;
    for _ in 0..3 {
        scene.order().await;
    }
    let [of_bob, sent, failed, running] = scene.rows().await.try_into().unwrap();
    let error = "550 <ada@example.com>: no such user";
    let attempt = |error: Option<&str>| {
        json!([{ "at": now(), "status_code": null, "duration_ms": 7, "error": error }]).to_string()
    };
    for (mail, status, error) in [
        (&of_bob, "failed", Some("450 full")),
        (&sent, "delivered", None),
        (&failed, "failed", Some(error)),
        (&running, "pending", Some(error)),
    ] {
        scene
            .set(mails::ActiveModel {
                status: Set(status.to_owned()),
                attempts: Set(attempt(error)),
                lease: Set(Some("a lease".to_owned())),
                leased_until: Set(Some(now() + TimeDelta::seconds(30))),
                ..mail.clone().into_active_model()
            })
            .await;
    }
    let path = format!("/customers/{}", scene.ada.customer_id);
    assert_eq!(scene.admin.delete(&path).await.status, 204);

    let rows = scene.rows().await;
    let statuses: Vec<_> = rows.iter().map(|mail| mail.status.as_str()).collect();
    assert_eq!(statuses, ["failed", "delivered", "failed", "cancelled"]);
    assert_eq!(rows[0].recipient, "bob@example.com");
    assert!(rows[0].attempts.contains("450 full"));
    for mail in &rows[1..] {
        let erased = format!("erased-{}@erased.invalid", scene.ada.customer_id);
        assert_eq!((&*mail.recipient, &*mail.subject), (&*erased, "erased"));
        // Which is random, and may have these letters, too.
        let message_id = String::new();
        let others = format!(
            "{:?}",
            mails::Model {
                message_id,
                ..mail.clone()
            }
        );
        assert!(!others.contains("ada"), "{others}");
        assert!(mail.attempts.contains("\"duration_ms\":7"), "{mail:?}");
    }
    assert_eq!(rows[3].next_attempt_at, None);
    let listed = scene.admin.get("/mails?to=ada@example.com").await.body;
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn nobody_is_written_to_who_was_erased() {
    let scene = Scene::open().await;
    let order = scene.order().await;
    let path = format!("/customers/{}", scene.ada.customer_id);
    assert_eq!(scene.admin.delete(&path).await.status, 204);
    let cancel = format!("/orders/{order}/cancel");
    assert_eq!(scene.admin.post(&cancel, json!({})).await.status, 200);
    assert_eq!(scene.templates().await, ["order_placed"]);
}

#[tokio::test]
async fn a_customer_who_is_erased_while_an_order_is_shipped_is_not_written_to() {
    let scene = Scene::open().await;
    for round in 0..6 {
        let name = format!("eve{round}");
        let eve = scene.shop.customer(&name).await;
        let lamp = scene.admin.sell("Lamp", "1.00", None).await;
        let path = format!("/orders/{}", eve.order(&[(lamp, 1)]).await.id());
        scene.admin.patch(&path, json!({ "status": "paid" })).await;
        let customer = format!("/customers/{}", eve.customer_id);
        let ship = scene.admin.patch(&path, json!({ "status": "shipped" }));
        let (shipped, deleted) = tokio::join!(ship, scene.admin.delete(&customer));
        assert_eq!(
            (shipped.status.as_u16(), deleted.status.as_u16()),
            (200, 204)
        );
        for mail in scene.rows().await {
            assert!(!mail.recipient.contains(&name), "{mail:?}");
            let of_eve = mail.customer_id == Some(eve.customer_id);
            assert!(!of_eve || mail.status == "cancelled", "{mail:?}");
        }
    }
    assert_eq!(scene.shop.log_in("ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_event_that_a_mail_waits_for_is_not_pruned() {
    let scene = Scene::open().await;
    for _ in 0..2 {
        scene.order().await;
    }
    let [sent, waits] = scene.rows().await.try_into().unwrap();
    scene
        .set(mails::ActiveModel {
            status: Set("delivered".to_owned()),
            ..sent.into_active_model()
        })
        .await;
    events::Entity::update_many()
        .col_expr(
            events::Column::OccurredAt,
            Expr::value(now() - TimeDelta::days(3)),
        )
        .exec(&scene.shop.ctx.db)
        .await
        .unwrap();
    events::Model::prune(&scene.shop.ctx, 1).await.unwrap();
    let left = events::Entity::find()
        .all(&scene.shop.ctx.db)
        .await
        .unwrap();
    let left: Vec<_> = left.iter().map(|event| Some(event.id)).collect();
    assert_eq!(left, [waits.event_id]);
}

fn ids(page: &Value) -> Vec<i64> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|mail| mail["id"].as_i64().unwrap()).collect()
}

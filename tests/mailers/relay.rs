//! From the row to the server that takes the mail: what is tried, how often, and what is written down of it.

use boxcar::{
    models::{mails, now},
    workers::{mails::Mails, relay::send_all},
};
use chrono::TimeDelta;
use sea_orm::{EntityTrait, QueryOrder, sea_query::Expr};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{
    Client, Letter, Shop,
    SmtpReply::{After, Say},
    SmtpServer,
};

/// A shop whose mails go to a server, with a customer and something to order.
struct Scene {
    shop: Shop,
    admin: Client,
    ada: Client,
    lamp: i64,
}

impl Scene {
    async fn open(server: &SmtpServer) -> Self {
        let url = format!("smtp://127.0.0.1:{}", server.port);
        let shop = Shop::open_with(&[
            ("mail", "smtp_url", json!(url)),
            ("mail", "from", json!("Shop <shop@example.com>")),
        ])
        .await;
        let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
        let lamp = admin.sell("Lamp", "9.00", None).await;
        Self {
            shop,
            admin,
            ada,
            lamp,
        }
    }

    /// Sends what is due.
    async fn send(&self) {
        let mails = Mails::of(&self.shop.ctx).unwrap();
        send_all(&mails).await.unwrap();
    }

    /// Lets the time come for the next attempts.
    async fn wait(&self) {
        mails::Entity::update_many()
            .col_expr(mails::Column::NextAttemptAt, Expr::value(now()))
            .exec(&self.shop.ctx.db)
            .await
            .unwrap();
    }

    async fn row(&self) -> mails::Model {
        let row = mails::Entity::find().order_by_desc(mails::Column::Id);
        row.one(&self.shop.ctx.db).await.unwrap().unwrap()
    }

    /// The last mail, as administrators see it.
    async fn shown(&self) -> Value {
        self.admin.get("/mails").await.body["items"][0].clone()
    }
}

#[tokio::test]
async fn a_mail_is_sent_once_and_what_was_answered_is_shown() {
    let server = SmtpServer::start(&[]).await;
    let scene = Scene::open(&server).await;
    scene.ada.order(&[(scene.lamp, 1)]).await;
    assert_eq!(scene.shown().await["attempts"], json!([]));
    for _ in 0..2 {
        scene.send().await;
    }
    let [mail] = server.mails().try_into().unwrap();
    let letter = Letter::read(&mail);
    assert_eq!(letter.header("To"), Some("ada@example.com"));
    let shown = scene.shown().await;
    assert_eq!(shown["status"], "delivered");
    assert_eq!(shown["attempts"][0]["status_code"], 250);
    assert_eq!(shown["attempts"][0]["error"], Value::Null);
    let row = scene.row().await;
    assert_eq!(letter.header("Message-ID"), Some(&*row.message_id));
    assert_eq!(letter.header("Subject"), Some(&*row.subject));
    assert_eq!((row.next_attempt_at, row.lease, row.tries), (None, None, 0));
}

#[tokio::test]
async fn a_mail_that_is_not_taken_is_tried_for_17_hours_and_is_the_same_each_time() {
    let server = SmtpServer::start(&[(".", Say("451 4.3.0 Later"))]).await;
    let scene = Scene::open(&server).await;
    scene.ada.order(&[(scene.lamp, 1)]).await;
    for wait in mails::RETRY_WAITS {
        scene.send().await;
        let row = scene.row().await;
        assert_eq!(row.status, "pending");
        let (wait, until) = (TimeDelta::from_std(wait).unwrap(), row.next_attempt_at);
        let late = until.unwrap() - now() - wait;
        assert!(late.abs() < wait / 10 + TimeDelta::seconds(10), "{late}");
        scene.wait().await;
    }
    for _ in 0..2 {
        scene.send().await;
        scene.wait().await;
    }
    let shown = scene.shown().await;
    assert_eq!(shown["status"], "failed");
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 8);
    for attempt in attempts {
        assert_eq!(attempt["status_code"], 451);
        let error = attempt["error"].as_str().unwrap();
        assert!(error.contains("Later"), "{error}");
    }
    let ids = server.mails().into_iter().map(|mail| {
        let letter = Letter::read(&mail);
        letter.header("Message-ID").unwrap().to_owned()
    });
    let mut ids: Vec<_> = ids.collect();
    assert_eq!(ids.len(), 8);
    ids.dedup();
    assert_eq!(ids, [scene.row().await.message_id]);
}

#[tokio::test]
async fn a_mail_that_is_refused_is_given_up_at_once() {
    let server = SmtpServer::start(&[("RCPT", Say("550 5.1.1 No such user"))]).await;
    let scene = Scene::open(&server).await;
    scene.ada.order(&[(scene.lamp, 1)]).await;
    scene.send().await;
    let shown = scene.shown().await;
    assert_eq!(shown["status"], "failed");
    assert_eq!(shown["attempts"][0]["status_code"], 550);
    assert_eq!(scene.row().await.next_attempt_at, None);
}

#[tokio::test]
async fn a_customer_who_is_erased_while_a_mail_is_sent_leaves_nothing_behind() {
    let go: &Notify = Box::leak(Box::default());
    let reply = After(go, "550 ada@example.com: no such user");
    let server = SmtpServer::start(&[(".", reply)]).await;
    let scene = Scene::open(&server).await;
    scene.ada.order(&[(scene.lamp, 1)]).await;
    let erase = async {
        while server.mails().is_empty() {
            tokio::task::yield_now().await;
        }
        let path = format!("/customers/{}", scene.ada.customer_id);
        assert_eq!(scene.admin.delete(&path).await.status, 204);
        go.notify_one();
    };
    tokio::join!(scene.send(), erase);
    let mut row = scene.row().await;
    assert_eq!((&*row.status, &*row.attempts), ("cancelled", "[]"));
    // At random, and these may have the letters of the name.
    row.message_id.clear();
    row.lease = None;
    assert!(!format!("{row:?}").contains("ada"), "{row:?}");
}

#[tokio::test]
async fn two_nodes_send_each_mail_once() {
    let server = SmtpServer::start(&[]).await;
    let scene = Scene::open(&server).await;
    for _ in 0..12 {
        scene.ada.order(&[(scene.lamp, 1)]).await;
    }
    tokio::join!(scene.send(), scene.send());
    let mails = server.mails();
    assert_eq!(mails.len(), 12);
    let ids = mails.iter().map(|mail| {
        let letter = Letter::read(mail);
        letter.header("Message-ID").unwrap().to_owned()
    });
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 12);
}

//! What mails say: in plain text, in HTML, and of whom.

use boxcar::{
    context::Context,
    mailers::{ShopMailer, post::Outcome},
    models::mails,
    workers::{relay, webhooks::Webhooks, wire::Wire},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, Letter, PASSWORD, Receiver, Reply, Shop};

/// Names that would do something, were they not escaped.
const NASTY: &str = "<b>Ada</b> & \"Sons\" 'n' {{ shop }} https://eve.example";

/// A shop whose mails are files.
struct Scene {
    shop: Shop,
    admin: Client,
    mails: TempDir,
}

impl Scene {
    async fn open(settings: &[(&str, &str, Value)]) -> Self {
        let mails = tempfile::tempdir().unwrap();
        let mut all = vec![("mail", "dir", json!(mails.path()))];
        all.extend_from_slice(settings);
        let shop = Shop::open_with(&all).await;
        let admin = shop.admin().await;
        Self { shop, admin, mails }
    }

    /// A customer of that name, for whom administrators order.
    async fn customer(&self, name: &str) -> i64 {
        let body = json!({ "name": name, "email": "ada@example.com" });
        self.admin.post("/customers", body).await.id()
    }

    /// The mail that was written last, as it is sent.
    async fn last(&self) -> (mails::Model, Letter) {
        let mail = mails::Entity::find().order_by_desc(mails::Column::Id);
        let mail = mail.one(&self.shop.ctx.db).await.unwrap().unwrap();
        self.sent(mail).await
    }

    /// Compares the last mail of a template with its snapshots, in which the code and the end of its time are always the
    /// same.
    async fn show(&self, template: &str) {
        let mail = mails::Entity::find()
            .filter(mails::Column::Template.eq(template))
            .order_by_desc(mails::Column::Id);
        let mail = mail.one(&self.shop.ctx.db).await.unwrap().unwrap();
        let sealed = mail.sealed_code.clone();
        let sealer = &Context::of(&self.shop.ctx).unwrap().sealer;
        let code = sealed.and_then(|sealed| sealer.open_code(&sealed));
        let (mail, letter) = self.sent(mail).await;
        let plain = |text: &str| {
            let text = match &code {
                Some(code) => text.replace(code.reveal(), "THE-CODE"),
                None => text.to_owned(),
            };
            let Some((before, after)) = text.split_once("good until ") else {
                return text;
            };
            let (_, after) = after.split_once(" UTC").unwrap();
            format!("{before}good until 31 January 2026, 12:00 UTC{after}")
        };
        let text = format!("{}\n\n{}", mail.subject, plain(&letter.text));
        insta::assert_snapshot!(format!("{template}.text"), text);
        insta::assert_snapshot!(format!("{template}.html"), plain(&letter.html));
    }

    async fn sent(&self, mail: mails::Model) -> (mails::Model, Letter) {
        let outcome = ShopMailer::attempt(&self.shop.ctx, &mail).await;
        assert_eq!(outcome, Outcome::Sent(None));
        let mut files: Vec<_> = std::fs::read_dir(self.mails.path())
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1);
        let file = files.pop().unwrap();
        let letter = Letter::read(&std::fs::read_to_string(&file).unwrap());
        std::fs::remove_file(file).unwrap();
        (mail, letter)
    }
}

#[tokio::test]
async fn a_customer_reads_what_has_become_of_the_order() {
    let scene = Scene::open(&[
        ("store", "currency", json!("EUR")),
        ("mail", "shop_name", json!("Bücher & Tee")),
        ("mail", "shop_url", json!("https://shop.example/de/")),
        ("mail", "from", json!("Bücher & Tee <post@shop.example>")),
    ])
    .await;
    let admin = &scene.admin;
    let customer_id = scene.customer("Ada Lovelace").await;
    let long = "Rosenblütentee aus kontrolliert biologischem Anbau, lose, im nachfüllbaren Blechdöschen mit Löffel";
    let tea = json!({ "name": long, "price": "7.40", "sku": "TEE-ROSE-100" });
    let tea = admin.add_product(tea).await;
    let book = admin
        .sell("The Sketch of the Analytical Engine", "1250.00", 3)
        .await;
    let place = json!({
        "customer_id": customer_id,
        "items": [{ "product_id": tea, "quantity": 2 }, { "product_id": book, "quantity": 1 }],
        "shipping_address": {
            "name": "Ada Lovelace", "company": "Analytical Engines", "line1": "12 St James's Square", "line2": "Top floor",
            "city": "London", "region": "Westminster", "postal_code": "SW1Y 4JH", "country": "GB", "phone": "020 7946 0018",
        },
    });
    let order = admin.post("/orders", place.clone()).await;
    let path = format!("/orders/{}", order.id());
    let (mail, letter) = scene.last().await;
    assert_eq!(letter.header("To"), Some("ada@example.com"));
    assert_eq!(letter.header("Message-ID"), Some(&*mail.message_id));
    assert!(
        mail.message_id.ends_with("@shop.example>"),
        "{}",
        mail.message_id
    );
    show("order_placed", &mail, &letter, &order.body);

    for status in ["paid", "shipped"] {
        admin.patch(&path, json!({ "status": status })).await;
    }
    let (mail, letter) = scene.last().await;
    show("order_shipped", &mail, &letter, &order.body);

    let order = admin.post("/orders", place).await;
    let cancel = format!("/orders/{}/cancel", order.id());
    let reason = json!({ "reason": "Sold out\nSorry!" });
    assert_eq!(admin.post(&cancel, reason).await.status, 200);
    let (mail, letter) = scene.last().await;
    show("order_cancelled", &mail, &letter, &order.body);
}

/// Compares a mail with its snapshots, in which the day is always the same.
fn show(name: &str, mail: &mails::Model, letter: &Letter, order: &Value) {
    let placed_at = order["placed_at"].as_str().unwrap();
    let day = chrono::DateTime::parse_from_rfc3339(placed_at)
        .unwrap()
        .to_utc();
    let day = day.format("%-d %B %Y").to_string();
    let text = letter.text.replace(&day, "31 January 2026");
    let html = letter.html.replace(&day, "31 January 2026");
    insta::assert_snapshot!(
        format!("{name}.text"),
        format!("{}\n\n{text}", mail.subject)
    );
    insta::assert_snapshot!(format!("{name}.html"), html);
}

#[tokio::test]
async fn who_helps_themselves_reads_what_to_do_and_what_has_happened() {
    let scene = Scene::open(&[
        ("mail", "shop_name", json!("Bücher & Tee")),
        ("mail", "shop_url", json!("https://shop.example/de/")),
    ])
    .await;
    let visitor = scene.shop.visitor().await;
    let ada = scene.shop.customer("ada").await;
    scene.shop.customer("bob").await;
    let register = |email: &str| json!({ "email": email, "name": NASTY });
    let moves = |email: &str| json!({ "email": email, "current_password": PASSWORD });
    visitor
        .post("/auth/register", register("rosa@example.com"))
        .await;
    scene.show("registration").await;
    visitor
        .post("/auth/register", register("ada@example.com"))
        .await;
    scene.show("already_registered").await;
    let forgotten = json!({ "email": "ada@example.com" });
    visitor.post("/auth/password-reset", forgotten).await;
    scene.show("password_reset").await;
    ada.patch("/me", moves("ada@example.org")).await;
    scene.show("email_change").await;
    scene.show("email_change_requested").await;
    ada.patch("/me", moves("bob@example.com")).await;
    scene.show("email_taken").await;
    let change =
        json!({ "current_password": PASSWORD, "new_password": "gravel otter 3 plinth dune" });
    assert_eq!(ada.put("/auth/password", change).await.status, 204);
    scene.show("password_changed").await;
}

#[tokio::test]
async fn nothing_that_somebody_has_typed_is_html() {
    let scene = Scene::open(&[("mail", "shop_name", json!(NASTY))]).await;
    let admin = &scene.admin;
    let customer_id = scene.customer(NASTY).await;
    let product =
        json!({ "name": format!("Lamp {NASTY}"), "price": "1", "sku": "<i>&\"'{{ shop }}" });
    let product = admin.add_product(product).await;
    let order = json!({
        "customer_id": customer_id,
        "items": [{ "product_id": product, "quantity": 1 }],
        "shipping_address": {
            "name": NASTY, "line1": "<script>alert(1)</script>", "city": "<i>London", "country": "GB",
        },
        "note": NASTY,
    });
    let order = admin.post("/orders", order).await.id();
    let (_, placed) = scene.last().await;
    let cancel = format!("/orders/{order}/cancel");
    let reason = json!({ "reason": format!("{NASTY}\n<img src=x onerror=alert(1)>") });
    assert_eq!(admin.post(&cancel, reason).await.status, 200);
    let (_, cancelled) = scene.last().await;
    for letter in [placed, cancelled] {
        for tag in ["<b>Ada", "<i>", "<script", "<img", "\"Sons\"", "'n'"] {
            assert!(!letter.html.contains(tag), "{tag}: {}", letter.html);
        }
        let shown = "&lt;b&gt;Ada&lt;/b&gt; &amp; &quot;Sons&quot; &#39;n&#39; {{ shop }}";
        // The title, the shop, the customer, the product, and the address or the reason.
        assert_eq!(letter.html.matches(shown).count(), 5, "{}", letter.html);
        // The shop, the customer, the product, and the address or the reason.
        assert_eq!(letter.text.matches(NASTY).count(), 4, "{}", letter.text);
        assert!(!letter.text.contains("&amp;"), "{}", letter.text);
        assert!(
            !letter.html.contains("<a "),
            "there is no SHOP_URL: {}",
            letter.html
        );
    }
}

#[tokio::test]
async fn what_an_order_does_not_have_leaves_no_trace() {
    let scene = Scene::open(&[]).await;
    let admin = &scene.admin;
    let customer_id = scene.customer("Ada").await;
    let lamp = admin.sell("Lamp", "9.00", None).await;
    let order = json!({
        "customer_id": customer_id,
        "items": [{ "product_id": lamp, "quantity": 1 }],
    });
    let order = admin.post("/orders", order).await.id();
    let (_, placed) = scene.last().await;
    admin
        .post(&format!("/orders/{order}/cancel"), json!({}))
        .await;
    let (_, cancelled) = scene.last().await;
    for letter in [placed, cancelled] {
        for body in [&letter.text, &letter.html] {
            for trace in [
                "null",
                "()",
                "Why",
                "Ships to",
                "Your order:",
                "See your order",
                "undefined",
            ] {
                assert!(!body.contains(trace), "{trace}: {body}");
            }
        }
        let text = letter.text.trim_end();
        assert!(!text.contains("\n\n\n"), "{text}");
    }
}

#[tokio::test]
async fn administrators_are_told_of_an_endpoint_that_is_lost_and_once_a_day_of_deliveries() {
    let waits = [
        ("webhooks", "retry_seconds", json!("")),
        ("mail", "shop_name", json!(NASTY)),
    ];
    let scene = Scene::open(&waits).await;
    let pat = scene.shop.customer_and_admin("pat").await;
    let ctx = Context::of(&scene.shop.ctx).unwrap();
    let webhooks = Webhooks::over(Wire::new(true).unwrap(), &ctx);
    let receiver = Receiver::start(|nth| Reply::status(if nth < 2 { 500 } else { 410 })).await;
    let endpoint =
        json!({ "url": receiver.url(), "types": ["product.created"], "description": NASTY });
    let endpoint = scene.admin.post("/webhook-endpoints", endpoint).await.id();
    let mut texts = Vec::new();
    for name in ["Lamp", "Chair", "Rug"] {
        let before = mails(&scene).await.len();
        scene.admin.sell(name, "9.00", 5).await;
        relay::send_all(&webhooks).await.unwrap();
        if mails(&scene).await.len() > before {
            let (mail, letter) = scene.last().await;
            assert_eq!(mail.recipient, "pat@example.com");
            assert_eq!(mail.customer_id, Some(pat.customer_id));
            assert!(!letter.html.contains("<b>Ada"), "{}", letter.html);
            texts.push(letter.text);
        }
    }
    assert_eq!(texts.len(), 2, "{texts:#?}");
    let told = format!(
        "A delivery to the webhook endpoint {endpoint} was given up after 1 attempts: the event"
    );
    assert!(texts[0].starts_with(&told), "{}", texts[0]);
    assert!(texts[0].contains("(product.created). The last time: The receiver answered 500."));
    let told = format!(
        "The webhook endpoint {endpoint} is disabled ({NASTY}): it has answered that it is gone (410)."
    );
    assert!(texts[1].starts_with(&told), "{}", texts[1]);
    let enabled = json!({ "enabled": true });
    let path = format!("/webhook-endpoints/{endpoint}");
    for change in [enabled, json!({ "enabled": false })] {
        assert_eq!(scene.admin.patch(&path, change).await.outcome(), "200");
    }
    assert_eq!(mails(&scene).await.len(), 2, "who disables it knows");
}

async fn mails(scene: &Scene) -> Vec<mails::Model> {
    mails::Entity::find().all(&scene.shop.ctx.db).await.unwrap()
}

#[tokio::test]
async fn a_mail_whose_event_is_gone_is_given_up() {
    let scene = Scene::open(&[]).await;
    let mail = mails::Model {
        event_id: Some(404),
        ..crate::models::rows::mail()
    };
    let outcome = ShopMailer::attempt(&scene.shop.ctx, &mail).await;
    assert_eq!(outcome, Outcome::refused("the event is gone"));
}

#[tokio::test]
async fn where_mails_are_off_a_mail_that_was_written_before_waits() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let lamp = admin.sell("Lamp", "9.00", None).await;
    ada.order(&[(lamp, 1)]).await;
    let event = admin.get("/events?type=order.placed").await.body["items"][0]["id"].as_i64();
    let mail = mails::Model {
        event_id: event,
        ..crate::models::rows::mail()
    };
    let outcome = ShopMailer::attempt(&shop.ctx, &mail).await;
    assert_eq!(outcome, Outcome::failed("mails are turned off"));
}

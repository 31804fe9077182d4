//! People who help themselves, and those who would help themselves to what is others'.

use axum::{
    body::Body,
    http::{Request, header},
};
use boxcar::{
    context::Context,
    mailers::{ShopMailer, post::Outcome},
    models::{
        codes, mails, now,
        types::{Code, CodeKind, CustomerName, Email, Scalar},
    },
    transaction,
    workers::{mails::Mails, relay},
};
use chrono::TimeDelta;
use futures_util::future::join_all;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, sea_query::Expr};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{Answer, Client, PASSWORD, Shop};

const OTHER_PASSWORD: &str = "gravel otter 3 plinth dune";

const ROSA: &str = "rosa@example.com";

/// A shop that writes mails, with an administrator, a visitor and Ada, who has an account.
struct Scene {
    shop: Shop,
    admin: Client,
    visitor: Client,
    ada: Client,
    mails: TempDir,
}

impl Scene {
    async fn open() -> Self {
        let mails = tempfile::tempdir().unwrap();
        let settings = [
            ("mail", "dir", json!(mails.path())),
            (
                "connections",
                "trusted_proxy_header",
                json!("X-Forwarded-For"),
            ),
        ];
        let shop = Shop::open_with(&settings).await;
        Self {
            admin: shop.admin().await,
            visitor: shop.visitor().await,
            ada: shop.customer("ada").await,
            shop,
            mails,
        }
    }

    async fn register(&self, email: &str) -> Answer {
        let body = json!({ "email": email, "name": "Rosa" });
        self.visitor.post("/auth/register", body).await
    }

    async fn verify(&self, token: &str, username: &str) -> Answer {
        let body = json!({ "token": token, "password": PASSWORD, "username": username });
        self.post_from_afar("/auth/verify", &body).await
    }

    /// From an address of its own: what has to be hashed for it keeps no other test waiting.
    async fn post_from_afar(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(format!("/api/v1{path}"))
            .header("content-type", "application/json")
            .header("x-forwarded-for", "203.0.113.7")
            .body(Body::from(body.to_string()));
        self.visitor.request(request.unwrap()).await
    }

    async fn forget(&self, email: &str) -> Answer {
        let body = json!({ "email": email });
        self.visitor.post("/auth/password-reset", body).await
    }

    async fn reset(&self, token: &str) -> Answer {
        let body = json!({ "token": token, "new_password": OTHER_PASSWORD });
        self.post_from_afar("/auth/password-reset/confirm", &body)
            .await
    }

    /// Ada asks to move to that address.
    async fn move_to(&self, email: &str) -> Answer {
        let body = json!({ "email": email, "current_password": PASSWORD });
        self.ada.patch("/me", body).await
    }

    async fn is_ada_with(&self, password: &str) -> bool {
        self.shop.log_in("ada", password).await.status == 200
    }

    /// Adds a customer without an account.
    async fn acquaint(&self, email: &str) -> i64 {
        let body = json!({ "name": "Known", "email": email });
        self.admin.post("/customers", body).await.id()
    }
}

#[track_caller]
fn assert_refused(answer: &Answer) {
    answer.assert_invalid(&[("/token", "invalid")]);
}

/// How many succeeded; the others were told that the code does not work, or that there is too much to do.
fn successes(answers: &[Answer], status: u16) -> usize {
    for answer in answers {
        let outcome = answer.outcome();
        let refused = ["422 validation-failed /token invalid", "503 unavailable"];
        let expected = status.to_string();
        assert!(
            outcome == expected || refused.contains(&&*outcome),
            "{outcome}"
        );
    }
    answers.iter().filter(|it| it.status == status).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_who_confirm_at_once_exactly_one_sets_the_password() {
    let scene = Scene::open().await;
    scene.forget("ada@example.com").await;
    let token = scene.shop.code_for("ada@example.com").await;
    let answers = join_all((0..200).map(|_| scene.reset(&token))).await;
    assert_eq!(successes(&answers, 204), 1);
    assert!(scene.is_ada_with(OTHER_PASSWORD).await);
    let changed = scene
        .admin
        .get("/events?type=customer_account.password_changed")
        .await;
    assert_eq!(changed.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_who_use_a_code_of_any_kind_at_once_exactly_one_does() {
    let scene = Scene::open().await;
    let email = Email::parse(ROSA).unwrap();
    let name = CustomerName::parse("Rosa").unwrap();
    let account_id = scene.ada.account_id;
    for (kind, proof) in [
        (
            CodeKind::Registration,
            codes::Proof::Registration(&email, &name),
        ),
        (
            CodeKind::PasswordReset,
            codes::Proof::PasswordReset {
                account_id,
                email_key: "ada@example.com",
            },
        ),
        (
            CodeKind::EmailChange,
            codes::Proof::EmailChange {
                account_id,
                email: &email,
            },
        ),
    ] {
        let code = Code::from_text(scene.shop.code(proof).await);
        let mut attempts = JoinSet::new();
        for _ in 0..200 {
            let (ctx, code) = (scene.shop.ctx.clone(), code.clone());
            attempts.spawn(async move {
                transaction!(&ctx, |txn| codes::Model::redeem(txn, kind, &code).await)
            });
        }
        let outcomes = attempts.join_all().await;
        let used = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(used, 1, "{kind}: {outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_who_move_to_an_address_at_once_exactly_one_does() {
    let scene = Scene::open().await;
    scene.move_to("ada@example.org").await;
    let token = scene.shop.code_for("ada@example.org").await;
    let mut moves = JoinSet::new();
    for _ in 0..200 {
        let (ada, proof) = (scene.ada.clone(), json!({ "token": token }));
        moves.spawn(async move { ada.post("/me/email", proof).await });
    }
    assert_eq!(successes(&moves.join_all().await, 200), 1);
    assert_eq!(scene.ada.get("/me").await.body["email"], "ada@example.org");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_verify_at_once_exactly_one_has_an_account() {
    let scene = Scene::open().await;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(scene.shop.registration_code(ROSA).await);
    }
    // Each of several codes, several times.
    let names: Vec<_> = (0..24).map(|at| format!("rosa{at}")).collect();
    let verifications = names.iter().zip(tokens.iter().cycle());
    let answers = join_all(verifications.map(|(name, token)| scene.verify(token, name))).await;
    assert_eq!(successes(&answers, 200), 1);
    let left = codes::Entity::find()
        .count(&scene.shop.ctx.db)
        .await
        .unwrap();
    assert_eq!(left, 0, "what else was asked for is over");
    let found = scene.admin.get("/customers?q=rosa@").await;
    assert_eq!(found.body["total_items"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_verifies_while_an_administrator_makes_the_account_has_it_or_is_refused() {
    let scene = Scene::open().await;
    for round in 0..8 {
        let email = format!("rosa{round}@example.com");
        let token = scene.shop.registration_code(&email).await;
        let create = json!({ "name": "By hand", "email": email });
        let name = format!("rosa{round}");
        let (verified, created) = tokio::join!(
            scene.verify(&token, &name),
            scene.admin.post("/customers", create)
        );
        match created.status.as_u16() {
            // The account is that customer's, or the code is refused and works again.
            201 => assert_eq!(
                scene.admin.get(&format!("/customers?q={email}")).await.body["total_items"],
                1
            ),
            status => assert_eq!((status, verified.status.as_u16()), (409, 200)),
        }
        if verified.status != 200 {
            assert_refused(&verified);
            assert_eq!(scene.verify(&token, &name).await.status, 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_one_name_at_many_addresses_each_get_a_username() {
    let scene = Scene::open().await;
    let mut tokens = Vec::new();
    for at in 0..8 {
        let email = format!("kim@example{at}.com");
        tokens.push(scene.shop.registration_code(&email).await);
    }
    let verify = |token: &String| {
        let body = json!({ "token": token, "password": PASSWORD });
        let visitor = scene.visitor.clone();
        async move { visitor.post("/auth/verify", body).await }
    };
    let answers = join_all(tokens.iter().map(verify)).await;
    let mut names: Vec<_> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{}", answer.body);
            answer.body["account"]["username"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 8);
    assert!(
        names.iter().all(|name| name.starts_with("kim")),
        "{names:?}"
    );
}

#[tokio::test]
async fn an_address_that_is_known_is_answered_as_one_that_is_not() {
    let scene = Scene::open().await;
    scene.acquaint("known@example.com").await;
    let bare = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        headers.remove("x-request-id");
        headers.remove(header::DATE);
        (answer.status, headers, answer.bytes.clone())
    };
    let unknown = bare(&scene.register("nobody@example.com").await);
    assert_eq!((unknown.0.as_u16(), &*unknown.2), (202, &b"{}"[..]));
    assert_eq!(unknown.1[header::CACHE_CONTROL], "no-store");
    for email in ["ada@example.com", "ADA@example.com", "known@example.com"] {
        assert_eq!(bare(&scene.register(email).await), unknown, "{email}");
    }
    for email in ["nobody@example.com", "ada@example.com", "known@example.com"] {
        assert_eq!(bare(&scene.forget(email).await), unknown, "{email}");
    }
    let told = |email| scene.shop.mails_to(email);
    assert_eq!(told("nobody@example.com").await, ["registration"]);
    let ada = ["already_registered", "already_registered", "password_reset"];
    assert_eq!(told("ada@example.com").await, ada);
    assert_eq!(told("known@example.com").await, ["registration"]);
    // As many rows, whoever it was.
    let codes = codes::Entity::find().all(&scene.shop.ctx.db).await.unwrap();
    let of = |kind: &str| codes.iter().filter(|code| code.kind == kind).count();
    assert_eq!((of("registration"), of("password_reset")), (4, 3));
}

#[tokio::test]
async fn over_the_budget_the_answer_is_the_same_and_nothing_is_sent() {
    let scene = Scene::open().await;
    for _ in 0..2 {
        assert_eq!(scene.register("ada@example.com").await.status, 202);
        assert_eq!(scene.forget("Ada@example.com").await.status, 202);
    }
    let moved = json!({ "email": "ADA@example.com", "current_password": PASSWORD });
    let bob = scene.shop.customer("bob").await;
    let answer = bob.patch("/me", moved).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["email"]),
        (200, &json!("bob@example.com"))
    );
    let told = scene.shop.mails_to("ada@example.com").await;
    assert_eq!(
        told,
        ["already_registered", "password_reset", "already_registered"]
    );
    assert_eq!(scene.shop.mails_to("bob@example.com").await, [""; 0]);
    // The client has asked for three.
    for at in 0..30 {
        let answer = scene.register(&format!("nobody{at}@example.com")).await;
        assert_eq!(answer.outcome(), "202");
    }
    let sent = mails::Entity::find()
        .count(&scene.shop.ctx.db)
        .await
        .unwrap();
    assert_eq!(sent, 20);
}

#[tokio::test]
async fn where_mails_cannot_be_sent_everybody_is_told_so_and_nothing_is_kept() {
    let shop = Shop::open().await;
    let (visitor, ada) = (shop.visitor().await, shop.customer("ada").await);
    for email in ["ada@example.com", "nobody@example.com"] {
        let body = json!({ "email": email, "name": "Rosa" });
        let answer = visitor.post("/auth/register", body).await;
        answer.assert_problem(503, "unavailable");
        let answer = visitor
            .post("/auth/password-reset", json!({ "email": email }))
            .await;
        answer.assert_problem(503, "unavailable");
    }
    let body = json!({ "email": "ada@example.org", "current_password": PASSWORD });
    ada.patch("/me", body)
        .await
        .assert_problem(503, "unavailable");
    let linkless = [
        ("mail", "smtp_url", json!("smtp://localhost:9")),
        ("mail", "from", json!("shop@example.com")),
    ];
    let shop = Shop::open_with(&linkless).await;
    let body = json!({ "email": ROSA, "name": "Rosa" });
    let answer = shop.visitor().await.post("/auth/register", body).await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(codes::Entity::find().count(&shop.ctx.db).await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_for_mails_that_fails_changes_no_answer() {
    let settings = [
        ("mail", "smtp_url", json!("smtp://127.0.0.1:9")),
        ("mail", "from", json!("shop@example.com")),
        ("mail", "shop_url", json!("https://shop.example")),
    ];
    let shop = Shop::open_with(&settings).await;
    shop.customer("ada").await;
    let visitor = shop.visitor().await;
    for email in ["ada@example.com", ROSA] {
        let body = json!({ "email": email, "name": "Rosa" });
        assert_eq!(visitor.post("/auth/register", body).await.outcome(), "202");
    }
    relay::send_all(&Mails::of(&shop.ctx).unwrap())
        .await
        .unwrap();
    let waiting = mails::Entity::find().filter(mails::Column::Status.eq("pending"));
    assert_eq!(waiting.count(&shop.ctx.db).await.unwrap(), 2);
    assert_eq!(shop.code_for(ROSA).await.len(), 43);
}

#[tokio::test]
async fn a_code_of_one_kind_is_good_for_no_other_and_for_nobody_else() {
    let scene = Scene::open().await;
    scene.register(ROSA).await;
    scene.forget("ada@example.com").await;
    scene.move_to("ada@example.org").await;
    let registration = scene.shop.code_for(ROSA).await;
    let reset = scene.shop.code_for("ada@example.com").await;
    let email = scene.shop.code_for("ada@example.org").await;
    let bob = scene.shop.customer("bob").await;
    for token in [&reset, &email] {
        assert_refused(&scene.verify(token, "mallory").await);
    }
    for token in [&registration, &email] {
        assert_refused(&scene.reset(token).await);
    }
    for token in [&registration, &reset] {
        assert_refused(&scene.ada.post("/me/email", json!({ "token": token })).await);
    }
    assert_refused(&bob.post("/me/email", json!({ "token": email })).await);
    for token in ["", "x", "ada@example.com", &"x".repeat(10_000)] {
        assert_refused(&scene.verify(token, "mallory").await);
        assert_refused(&scene.reset(token).await);
    }
    assert_eq!(scene.verify(&registration, "rosa").await.status, 200);
    let moved = scene.ada.post("/me/email", json!({ "token": email })).await;
    assert_eq!(moved.body["email"], "ada@example.org");
    assert_refused(&scene.reset(&reset).await);
}

#[tokio::test]
async fn a_code_is_good_for_its_time_alone_and_is_swept_then() {
    let scene = Scene::open().await;
    scene.register(ROSA).await;
    let token = scene.shop.code_for(ROSA).await;
    let mail = mails::Entity::find().filter(mails::Column::Recipient.eq(ROSA));
    let mail = mail.one(&scene.shop.ctx.db).await.unwrap().unwrap();
    codes::Entity::update_many()
        .col_expr(
            codes::Column::ExpiresAt,
            Expr::value(now() - TimeDelta::seconds(1)),
        )
        .exec(&scene.shop.ctx.db)
        .await
        .unwrap();
    assert_refused(&scene.verify(&token, "rosa").await);
    let outcome = ShopMailer::attempt(&scene.shop.ctx, &mail).await;
    let why = "the code was used, or is not good any more";
    assert_eq!(outcome, Outcome::refused(why));
    assert_eq!(codes::Model::prune(&scene.shop.ctx).await.unwrap(), 1);
    assert_eq!(
        codes::Entity::find()
            .count(&scene.shop.ctx.db)
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn a_refusal_leaves_the_code_as_it_was_and_a_success_uses_it() {
    let scene = Scene::open().await;
    scene.register(ROSA).await;
    scene.register(ROSA).await;
    let token = scene.shop.code_for(ROSA).await;
    let weak = json!({ "token": token, "password": "rosa@example.com" });
    let weak = scene.visitor.post("/auth/verify", weak).await;
    weak.assert_invalid(&[("/password", "guessable")]);
    let short = json!({ "token": token, "password": "short" });
    let short = scene.visitor.post("/auth/verify", short).await;
    short.assert_invalid(&[("/password", "length")]);
    scene.verify(&token, "ada").await.assert_taken("/username");
    let verified = scene.verify(&token, "rosa").await;
    assert_eq!(verified.status, 200, "{}", verified.body);
    assert_eq!(verified.headers[header::CACHE_CONTROL], "no-store");
    let rosa = scene
        .shop
        .bearing(verified.body["token"].as_str().map(str::to_owned));
    assert_eq!(rosa.get("/me").await.body["email"], ROSA);
    assert_refused(&scene.verify(&token, "rosa2").await);
    // The actor of both is the account itself.
    for happened in ["customer.created", "customer_account.created"] {
        let events = scene
            .admin
            .get(&format!("/events?type={happened}&page_size=1"))
            .await;
        let actor = &events.body["items"][0]["actor"];
        let expected =
            json!({ "kind": "account", "id": verified.body["account"]["id"], "name": "rosa" });
        assert_eq!(*actor, expected, "{happened}");
    }
}

#[tokio::test]
async fn a_customer_without_an_account_gets_it_with_their_orders() {
    let scene = Scene::open().await;
    let known = scene.acquaint("Known@example.com").await;
    let lamp = scene.admin.sell("Lamp", "5", None).await;
    let order = json!({ "customer_id": known, "items": [{ "product_id": lamp, "quantity": 1 }] });
    let order = scene.admin.post("/orders", order).await.id();
    scene.register("known@example.com").await;
    let token = scene.shop.code_for("Known@example.com").await;
    let verified = scene.verify(&token, "known").await;
    assert_eq!(verified.body["account"]["customer_id"], known);
    let client = scene.shop.logged_in("KNOWN@example.com", PASSWORD).await;
    assert_eq!(client.get(&format!("/orders/{order}")).await.status, 200);
    assert_eq!(
        client.get("/me").await.body["name"],
        "Known",
        "not what was typed"
    );
}

#[tokio::test]
async fn nobody_takes_an_account_over_by_registering_its_address() {
    let scene = Scene::open().await;
    let token = scene.shop.registration_code("ADA@example.com").await;
    assert_refused(&scene.verify(&token, "mallory").await);
    assert!(scene.is_ada_with(PASSWORD).await);
}

#[tokio::test]
async fn what_somebody_else_has_prepared_is_its_readers_alone() {
    let scene = Scene::open().await;
    let mut prepared = json!({ "email": ROSA, "name": "Mallory", "password": OTHER_PASSWORD });
    let with_password = scene.visitor.post("/auth/register", prepared.clone()).await;
    with_password.assert_invalid(&[("/password", "unknown")]);
    prepared.as_object_mut().unwrap().remove("password");
    let begun = scene.visitor.post("/auth/register", prepared).await;
    assert_eq!(begun.outcome(), "202");
    let token = scene.shop.code_for(ROSA).await;
    // Whoever has prepared it can do nothing before it is clicked, and nothing after it.
    let login = scene.shop.log_in(ROSA, OTHER_PASSWORD).await;
    login.assert_problem(401, "invalid-credentials");
    assert_eq!(scene.verify(&token, "rosa").await.status, 200);
    let login = scene.shop.log_in(ROSA, OTHER_PASSWORD).await;
    login.assert_problem(401, "invalid-credentials");
    assert_refused(&scene.verify(&token, "mallory").await);
    scene.register(ROSA).await;
    let told = scene.shop.mails_to(ROSA).await;
    assert_eq!(told, ["registration", "already_registered"]);
    assert_eq!(scene.shop.log_in(ROSA, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn who_verifies_after_the_owner_has_moved_gets_none_of_their_things() {
    let scene = Scene::open().await;
    let known = scene.acquaint("known@example.com").await;
    scene.register("known@example.com").await;
    let token = scene.shop.code_for("known@example.com").await;
    let path = format!("/customers/{known}");
    let moved = scene
        .admin
        .patch(&path, json!({ "email": "known@example.org" }))
        .await;
    assert_eq!(moved.status, 200);
    let verified = scene.verify(&token, "known").await;
    assert_eq!(verified.status, 200);
    assert_ne!(verified.body["account"]["customer_id"], known);
}

#[tokio::test]
async fn what_was_sent_before_ends_with_the_password_the_address_or_the_account() {
    let moved = json!({ "email": "ada@example.net" });
    let password = json!({ "password": OTHER_PASSWORD });
    let own = json!({ "current_password": PASSWORD, "new_password": OTHER_PASSWORD });
    for what in [
        "address",
        "password",
        "own password",
        "account",
        "own address",
        "reset",
    ] {
        let scene = Scene::open().await;
        scene.forget("ada@example.com").await;
        scene.move_to("ada@example.org").await;
        let reset = scene.shop.code_for("ada@example.com").await;
        let email = scene.shop.code_for("ada@example.org").await;
        let customer = format!("/customers/{}", scene.ada.customer_id);
        let account = format!("/customer-accounts/{}", scene.ada.account_id);
        let done = match what {
            "address" => scene.admin.patch(&customer, moved.clone()).await,
            "password" => scene.admin.patch(&account, password.clone()).await,
            "own password" => scene.ada.put("/auth/password", own.clone()).await,
            "account" => scene.admin.delete(&account).await,
            "own address" => scene.ada.post("/me/email", json!({ "token": email })).await,
            _ => {
                let other = scene.shop.code(codes::Proof::PasswordReset {
                    account_id: scene.ada.account_id,
                    email_key: "ada@example.com",
                });
                scene.reset(&other.await).await
            }
        };
        assert!(done.status.is_success(), "{what}: {}", done.body);
        assert_refused(&scene.reset(&reset).await);
        if !["account", "address", "own address"].contains(&what) {
            let ada = scene.shop.logged_in("ada", OTHER_PASSWORD).await;
            assert_refused(&ada.post("/me/email", json!({ "token": email })).await);
        }
        let left = codes::Entity::find()
            .count(&scene.shop.ctx.db)
            .await
            .unwrap();
        assert_eq!(left, 0, "{what}");
    }
}

#[tokio::test]
async fn a_reset_ends_every_session_and_the_owner_is_told_of_each_new_password() {
    let scene = Scene::open().await;
    scene.forget("ADA@example.com").await;
    let token = scene.shop.code_for("ada@example.com").await;
    assert_eq!(scene.reset(&token).await.outcome(), "204");
    scene
        .ada
        .get("/me")
        .await
        .assert_problem(401, "unauthenticated");
    let events = scene
        .admin
        .get("/events?type=customer_account.password_changed")
        .await;
    assert_eq!(events.body["items"][0]["actor"]["name"], "ada");
    let ada = scene.shop.logged_in("ada", OTHER_PASSWORD).await;
    let own = json!({ "current_password": OTHER_PASSWORD, "new_password": PASSWORD });
    assert_eq!(ada.put("/auth/password", own).await.status, 204);
    let path = format!("/customer-accounts/{}", ada.account_id);
    scene
        .admin
        .patch(&path, json!({ "password": OTHER_PASSWORD }))
        .await;
    let told = scene.shop.mails_to("ada@example.com").await;
    let changed = "password_changed";
    assert_eq!(told, ["password_reset", changed, changed, changed]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_that_races_a_moved_address_comes_before_it_or_is_refused() {
    let scene = Scene::open().await;
    let path = format!("/customers/{}", scene.ada.customer_id);
    for round in 0..6 {
        let email = format!("moved{round}@example.com");
        let answer = reset_during(&scene, async |admin: Client| {
            admin.patch(&path, json!({ "email": email })).await
        });
        let was_reset = answer.await;
        let events = scene.admin.get("/events?page_size=2").await;
        let types: Vec<_> = events.body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        // Nothing was done with the old address's code after the move.
        assert_eq!(types[0], "customer.updated");
        let is_before = types[1] == "customer_account.password_changed";
        assert_eq!(is_before, was_reset, "{types:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_that_races_an_administrators_never_replaces_that() {
    let scene = Scene::open().await;
    let path = format!("/customer-accounts/{}", scene.ada.account_id);
    for round in 0..4 {
        let password = format!("gravel otter {round} plinth moor");
        reset_during(&scene, async |admin: Client| {
            admin.patch(&path, json!({ "password": password })).await
        })
        .await;
        assert!(scene.is_ada_with(&password).await, "round {round}");
    }
}

/// Whether Ada's password was reset by a code of hers, while an administrator did something to her.
async fn reset_during(scene: &Scene, change: impl AsyncFnOnce(Client) -> Answer) -> bool {
    let customer = scene.ada.customer_id;
    let customer = scene.admin.get(&format!("/customers/{customer}")).await;
    let token = scene.shop.code(codes::Proof::PasswordReset {
        account_id: scene.ada.account_id,
        email_key: customer.body["email"].as_str().unwrap(),
    });
    let token = token.await;
    let (reset, changed) = tokio::join!(scene.reset(&token), change(scene.admin.clone()));
    assert_eq!(changed.status, 200, "{}", changed.body);
    successes(&[reset], 204) == 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_that_races_a_moved_address_leaves_no_code_for_the_old_one() {
    let scene = Scene::open().await;
    let path = format!("/customers/{}", scene.ada.customer_id);
    for round in 0..6 {
        let (from, to) = (
            format!("ada{round}@example.com"),
            format!("moved{round}@example.com"),
        );
        scene.admin.patch(&path, json!({ "email": from })).await;
        let (moved, asked) = tokio::join!(
            scene.admin.patch(&path, json!({ "email": to })),
            scene.forget(&from)
        );
        assert_eq!((moved.status.as_u16(), asked.status.as_u16()), (200, 202));
        let left = codes::Entity::find().filter(codes::Column::AccountId.is_not_null());
        assert_eq!(left.count(&scene.shop.ctx.db).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_code_is_nowhere_to_be_read_and_gone_when_its_mail_is_sent() {
    let scene = Scene::open().await;
    scene.register(ROSA).await;
    let token = scene.shop.code_for(ROSA).await;
    let list = scene.admin.get("/mails").await;
    let text = String::from_utf8(list.bytes).unwrap();
    assert!(!text.contains(&token) && !text.contains("sealed"), "{text}");
    assert!(!text.contains("Rosa"), "{text}");
    let row = mails::Entity::find().order_by_desc(mails::Column::Id);
    let row = row.one(&scene.shop.ctx.db).await.unwrap().unwrap();
    assert!(!format!("{row:?}").contains(&token));
    relay::send_all(&Mails::of(&scene.shop.ctx).unwrap())
        .await
        .unwrap();
    let sent = mails::Entity::find_by_id(row.id)
        .one(&scene.shop.ctx.db)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&*sent.status, sent.sealed_code), ("delivered", None));
    // Only its mail has it, without anything that was typed.
    let file = std::fs::read_dir(scene.mails.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let letter = crate::support::Letter::read(&std::fs::read_to_string(file.path()).unwrap());
    for body in [&letter.text, &letter.html] {
        assert!(body.contains(&format!("/verify?token={token}")), "{body}");
        assert!(!body.contains("Rosa"), "{body}");
    }
    assert_eq!(scene.verify(&token, "rosa").await.status, 200);
}

#[tokio::test]
async fn one_logs_in_by_email_too_and_both_names_have_one_budget() {
    let settings = [("security", "login_failures", json!(3))];
    let shop = Shop::open_with(&settings).await;
    shop.customer("ada").await;
    let by_email = shop.log_in("ADA@example.com", PASSWORD).await;
    assert_eq!(by_email.body["account"]["username"], "ada");
    for (name, status) in [
        ("ada", 401),
        ("ada@example.com", 401),
        (" Ada@Example.com ", 401),
        ("ada", 429),
        ("ada@example.com", 429),
        ("nobody@example.com", 401),
        (" Nobody@Example.com ", 401),
        ("nobody@example.com", 401),
        (" NOBODY@example.com", 429),
    ] {
        let answer = shop.log_in(name, "not the right one").await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
    }
    // That the account is locked out is written beside the answers: before the database goes.
    let writes = &Context::of(&shop.ctx).unwrap().draining.writes;
    writes.close();
    writes.wait().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_placed_while_its_customer_leaves_is_never_without_one() {
    let scene = Scene::open().await;
    let lamp = scene.admin.sell("Lamp", "5", None).await;
    for round in 0..8 {
        let eve = scene.shop.customer(&format!("eve{round}")).await;
        let farewell = json!({ "current_password": PASSWORD });
        let lines = [(lamp, 1)];
        let (left, placed) = tokio::join!(eve.post("/me/erase", farewell), eve.order(&lines));
        if left.status == 204 {
            assert!(placed.status.is_client_error(), "{}", placed.body);
        } else {
            left.assert_problem(409, "open-orders");
            assert_eq!(placed.status, 201, "{}", placed.body);
        }
    }
}

#[tokio::test]
async fn settings_say_for_how_long_codes_are_good() {
    let (shop, _mails) = {
        let mails = tempfile::tempdir().unwrap();
        let settings = [
            ("mail", "dir", json!(mails.path())),
            ("security", "verify_hours", json!(0.5)),
        ];
        (Shop::open_with(&settings).await, mails)
    };
    let body: Value = json!({ "email": ROSA, "name": "Rosa" });
    shop.visitor().await.post("/auth/register", body).await;
    let code = codes::Entity::find()
        .one(&shop.ctx.db)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(code.expires_at - code.created_at, TimeDelta::minutes(30));
    let settings = &Context::of(&shop.ctx).unwrap().settings.security;
    assert_eq!(settings.reset_within().as_secs(), 3_600);
}

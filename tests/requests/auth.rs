//! Logging in, and the tokens that come of it.

use std::fmt::Display;

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, StatusCode, header},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{
    assert_answer,
    support::{Answer, Mismatches, PASSWORD, Shop},
};

const NEW_PASSWORD: &str = "gravel otter 3 plinth dune";

const INVALID_TOKEN: &str = "Bearer realm=\"boxcar\", error=\"invalid_token\"";

#[tokio::test]
async fn a_login_answers_a_token_that_is_not_to_be_kept() {
    let shop = Shop::open().await;
    shop.customer("ada").await;
    let answer = shop.log_in("ada", PASSWORD).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_failed_login_says_no_more_than_that() {
    let shop = Shop::open().await;
    let answer = shop.log_in("nobody", PASSWORD).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_look_the_same() {
    let shop = Shop::open().await;
    shop.customer("ada").await;
    let unknown = without_id(&shop.log_in("nobody", PASSWORD).await);
    for (username, password) in [
        ("ada", NEW_PASSWORD),
        ("ada", &PASSWORD.to_uppercase()),
        // A name that no account can have.
        ("n/a' OR 1=1 --", PASSWORD),
    ] {
        let wrong = shop.log_in(username, password).await;
        wrong.assert_problem(401, "invalid-credentials");
        assert_eq!(without_id(&wrong), unknown);
    }
}

#[tokio::test]
async fn the_name_to_log_in_with_is_taken_in_any_case() {
    let shop = Shop::open().await;
    shop.customer("ada").await;
    let answer = shop.log_in("ADA", PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["account"]["username"], "ada");
}

#[tokio::test]
async fn a_login_needs_a_name_and_a_password_and_nothing_else() {
    let shop = Shop::open().await;
    let answer = shop
        .stranger()
        .post("/auth/login", json!({ "username": 7, "remember": true }))
        .await;
    answer.assert_problem(422, "validation-failed");
    assert_eq!(
        answer.faults(),
        [
            ("/username", "type"),
            ("/password", "required"),
            ("/remember", "unknown")
        ]
    );
}

#[tokio::test]
async fn an_old_token_does_not_stand_in_the_way_of_a_login() {
    let shop = Shop::open().await;
    shop.customer("ada").await;
    let answer = shop
        .bearing(Some("stale".to_owned()))
        .post(
            "/auth/login",
            json!({ "username": "ada", "password": PASSWORD }),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn an_administrator_who_is_no_customer_sees_their_account() {
    let shop = Shop::open().await;
    let answer = shop.admin().await.get("/auth/me").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_customer_sees_their_account_and_who_they_are() {
    let shop = Shop::open().await;
    let answer = shop.customer("ada").await.get("/auth/me").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn without_a_token_the_answer_asks_for_one() {
    let shop = Shop::open().await;
    let answer = shop.stranger().get("/auth/me").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_header_that_does_not_bear_one_token_is_refused() {
    let (shop, admin) = Shop::open_with_admin().await;
    let token = admin.token.unwrap();
    let bearer = format!("Bearer {token}");
    let mut mismatches = Mismatches::default();
    for credentials in [
        "",
        "Bearer",
        "Bearer ",
        &token,
        &format!("Bearer{token}"),
        &format!("Bearer {token} {token}"),
        &format!("Bearer \"{token}\""),
        &format!("Bearer {}", "x".repeat(100_000)),
        &format!("Bearer {}", ".".repeat(100_000)),
        &format!("Bearer {}", "a.b.".repeat(25_000)),
        &format!("Basic {token}"),
        &format!("Digest {token}"),
        &format!("Token {token}"),
        &format!("JWT {token}"),
    ] {
        mismatches.refused(credentials, &show_me_with(&shop, &[credentials]).await);
    }
    mismatches.refused(
        "two headers",
        &show_me_with(&shop, &[&bearer, &bearer]).await,
    );
    let latin_1 = HeaderValue::from_bytes(b"Bearer \xff").unwrap();
    mismatches.refused("no text", &show_me_with(&shop, &[latin_1]).await);
    for credentials in [bearer, format!("bEARER {token}")] {
        mismatches.answer(
            &credentials,
            &show_me_with(&shop, &[&credentials]).await,
            "200",
        );
    }
}

#[tokio::test]
async fn a_token_whose_signature_is_not_the_stores_is_refused() {
    let (shop, admin) = Shop::open_with_admin().await;
    let token = admin.token.as_ref().unwrap();
    let [header, payload, signature] = parts_of(token);
    let (claims, secret) = (claims_of(token), secret_of(&shop));
    let encoded_secret = BASE64_STANDARD.encode(&secret);
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let mut promoted = claims.clone();
    promoted["role"] = json!("owner");
    let mut mismatches = Mismatches::default();
    for (what, token) in [
        (
            "another signature",
            format!("{header}.{payload}.{first}{}", &signature[1..]),
        ),
        (
            "other claims",
            format!("{header}.{}.{signature}", encoded(&promoted)),
        ),
        (
            "another secret",
            hand_signed(header, payload, b"another secret"),
        ),
        ("no secret", hand_signed(header, payload, b"")),
        ("HS256", signed(&claims, Algorithm::HS256, &encoded_secret)),
        ("HS384", signed(&claims, Algorithm::HS384, &encoded_secret)),
    ] {
        mismatches.refused(what, &show_me_as(&shop, token).await);
    }
    for algorithm in ["none", "NONE", "RS256", "ES512", "EdDSA", "HS384", "hs512"] {
        let header = encoded(&json!({ "alg": algorithm, "typ": "JWT" }));
        for token in [
            format!("{header}.{payload}."),
            format!("{header}.{payload}.{signature}"),
            hand_signed(&header, payload, &secret),
        ] {
            mismatches.refused(algorithm, &show_me_as(&shop, token).await);
        }
    }
    // Otherwise they may all be refused for another reason.
    let forgery = signed(&claims, Algorithm::HS512, &encoded_secret);
    mismatches.answer("the same again", &show_me_as(&shop, forgery).await, "200");
}

#[tokio::test]
async fn a_token_does_not_say_with_which_key_it_is_to_be_verified() {
    let (shop, admin) = Shop::open_with_admin().await;
    let [_, claims, _] = parts_of(admin.token.as_ref().unwrap());
    let key = BASE64_URL_SAFE_NO_PAD.encode("forged");
    let mut mismatches = Mismatches::default();
    for header in [
        json!({ "alg": "HS512", "kid": "../../../../dev/null" }),
        json!({ "alg": "HS512", "kid": "x' UNION SELECT 'forged" }),
        json!({ "alg": "HS512", "jku": "http://127.0.0.1:1/keys.json" }),
        json!({ "alg": "HS512", "x5u": "http://127.0.0.1:1/key.pem" }),
        json!({ "alg": "HS512", "jwk": { "kty": "oct", "k": key } }),
    ] {
        for secret in [&b"forged"[..], &[]] {
            let token = hand_signed(&encoded(&header), claims, secret);
            mismatches.refused(&header, &show_me_as(&shop, token).await);
        }
    }
}

#[tokio::test]
async fn a_token_whose_header_asks_for_more_is_refused() {
    let (shop, admin) = Shop::open_with_admin().await;
    let [_, claims, _] = parts_of(admin.token.as_ref().unwrap());
    let show_me = async |header: &Value| {
        let token = hand_signed(&encoded(header), claims, &secret_of(&shop));
        show_me_as(&shop, token).await
    };
    let plain = json!({ "typ": "JWT", "alg": "HS512" });
    let mut mismatches = Mismatches::default();
    for (name, value) in [
        ("typ", json!("at+jwt")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!("")),
        ("typ", json!(7)),
        ("cty", json!("JWT")),
        ("zip", json!("DEF")),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
    ] {
        let mut header = plain.clone();
        header[name] = value;
        mismatches.refused(&header, &show_me(&header).await);
    }
    for header in [plain, json!({ "alg": "HS512" })] {
        mismatches.answer(&header, &show_me(&header).await, "200");
    }
}

#[tokio::test]
async fn a_token_whose_claims_are_wrong_or_missing_is_refused() {
    let (shop, admin) = Shop::open_with_admin().await;
    let claims = claims_of(admin.token.as_ref().unwrap());
    let secret = BASE64_STANDARD.encode(secret_of(&shop));
    let now = chrono::Utc::now().timestamp();
    let mut mismatches = Mismatches::default();
    for (name, value) in [
        ("exp", Some(json!(now - 1))),
        ("exp", None),
        ("iat", Some(json!(now + 300))),
        ("iat", None),
        ("nbf", Some(json!(now + 60))),
        ("iss", Some(json!("elsewhere"))),
        ("iss", None),
        ("aud", Some(json!("elsewhere"))),
        ("aud", None),
        ("pid", Some(json!("nobody"))),
        ("version", None),
    ] {
        let mut claims = claims.clone();
        let row = format!("{name}: {value:?}");
        match value {
            Some(value) => claims[name] = value,
            None => drop(claims.as_object_mut().unwrap().remove(name).unwrap()),
        }
        let token = signed(&claims, Algorithm::HS512, &secret);
        mismatches.refused(row, &show_me_as(&shop, token).await);
    }
}

#[tokio::test]
async fn a_role_in_a_token_does_not_make_an_administrator() {
    let shop = Shop::open().await;
    let ada = shop.customer("ada").await;
    let mut claims = claims_of(ada.token.as_ref().unwrap());
    claims["role"] = json!("admin");
    let secret = BASE64_STANDARD.encode(secret_of(&shop));
    let token = signed(&claims, Algorithm::HS512, &secret);
    let answer = shop.bearing(Some(token)).get("/customers").await;
    answer.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn what_the_previous_secret_signed_is_good_and_no_more_is_signed_with_it() {
    let [previous, other] = [0, 1].map(|_| BASE64_STANDARD.encode(rand::random::<[u8; 64]>()));
    let shop = Shop::open_with(&[("security", "previous_jwt_secret", json!(previous))]).await;
    let token = shop.admin().await.token.unwrap();
    let claims = claims_of(&token);
    for (secret, outcome) in [(&previous, "200"), (&other, "401 unauthenticated")] {
        let answer = show_me_as(&shop, signed(&claims, Algorithm::HS512, secret)).await;
        assert_eq!(answer.outcome(), outcome);
    }
    let [header, payload, _] = parts_of(&token);
    assert_eq!(token, hand_signed(header, payload, &secret_of(&shop)));
}

#[tokio::test]
async fn logging_out_ends_every_token_of_the_account_and_of_no_other() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
    let other = shop.logged_in("ada", PASSWORD).await;
    assert_eq!(other.get("/auth/me").await.status, 200);
    let answer = ada.send(Method::POST, "/auth/logout", None).await;
    assert_eq!(
        (answer.status, answer.bytes.len()),
        (StatusCode::NO_CONTENT, 0)
    );
    for client in [&ada, &other] {
        assert_refused(&client.get("/auth/me").await, "logged out");
    }
    assert_eq!(bob.get("/auth/me").await.status, 200);
    let again = shop.logged_in("ada", PASSWORD).await;
    assert_eq!(again.get("/auth/me").await.status, 200);
}

#[tokio::test]
async fn logging_out_takes_nothing_but_a_token() {
    let shop = Shop::open().await;
    let ada = shop.customer("ada").await;
    let answer = ada
        .post("/auth/logout", json!({ "everywhere": true }))
        .await;
    answer.assert_invalid(&[("/everywhere", "unknown")]);
    let stranger = shop
        .stranger()
        .send(Method::POST, "/auth/logout", None)
        .await;
    assert_eq!(stranger.problem(), "unauthenticated");
    assert_eq!(ada.get("/auth/me").await.status, 200);
}

#[tokio::test]
async fn a_new_password_of_ones_own_ends_the_tokens_that_are_out() {
    let shop = Shop::open().await;
    let ada = shop.customer("ada").await;
    assert_eq!(ada.get("/auth/me").await.status, 200);
    let change = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    let answer = ada.put("/auth/password", change).await;
    assert_eq!(
        (answer.status, answer.bytes.len()),
        (StatusCode::NO_CONTENT, 0)
    );
    assert_refused(&ada.get("/auth/me").await, "older password");
    assert_eq!(
        shop.log_in("ada", PASSWORD).await.problem(),
        "invalid-credentials"
    );
    assert_eq!(shop.log_in("ada", NEW_PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_new_password_of_ones_own_takes_the_current_one_and_a_good_one() {
    let shop = Shop::open().await;
    let ada = shop.customer("ada").await;
    let (wrong, guessable) = ("not it at all, sorry", "ada ada ada ada");
    let mut mismatches = Mismatches::default();
    for (change, errors) in [
        ((wrong, NEW_PASSWORD), "/current_password mismatch"),
        ((PASSWORD, "short"), "/new_password length"),
        ((PASSWORD, guessable), "/new_password guessable"),
        ((PASSWORD, PASSWORD), "/new_password unchanged"),
        ((wrong, guessable), "/current_password mismatch"),
    ] {
        let body = json!({ "current_password": change.0, "new_password": change.1 });
        let answer = ada.put("/auth/password", body).await;
        mismatches.answer(change.1, &answer, format!("422 validation-failed {errors}"));
    }
    let other = json!({ "password": NEW_PASSWORD });
    ada.put("/auth/password", other).await.assert_invalid(&[
        ("/current_password", "required"),
        ("/new_password", "required"),
        ("/password", "unknown"),
    ]);
    assert_eq!(shop.log_in("ada", PASSWORD).await.outcome(), "200");
    assert_eq!(ada.get("/auth/me").await.outcome(), "200");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_not_undone_by_a_change_that_was_under_way() {
    let (shop, admin) = Shop::open_with_admin().await;
    for number in 0..6 {
        let name = format!("ada{number}");
        let thief = shop.customer(&name).await;
        let path = format!("/customer-accounts/{}", thief.account_id);
        let change =
            json!({ "current_password": PASSWORD, "new_password": "stolen goods 7 lantern mire" });
        let (change, reset) = tokio::join!(
            thief.put("/auth/password", change),
            admin.patch(&path, json!({ "password": NEW_PASSWORD })),
        );
        assert_eq!(reset.status, 200, "{}", reset.body);
        let login = shop.log_in(&name, NEW_PASSWORD).await;
        assert_eq!(login.status, 200, "the change: {}", change.status);
    }
}

#[tokio::test]
async fn a_token_does_not_help_to_guess_its_password() {
    let shop = Shop::open_with(&[("security", "login_failures", json!(3))]).await;
    let ada = shop.customer("ada").await;
    let guess = json!({ "current_password": "not it at all, sorry", "new_password": NEW_PASSWORD });
    for _ in 0..3 {
        let answer = ada.put("/auth/password", guess.clone()).await;
        answer.assert_invalid(&[("/current_password", "mismatch")]);
    }
    let answer = ada.put("/auth/password", guess).await;
    answer.assert_problem(429, "rate-limited");
}

/// The body's text but for the id of the request.
fn without_id(answer: &Answer) -> String {
    let id = answer.body["request_id"].as_str().unwrap();
    String::from_utf8(answer.bytes.clone())
        .unwrap()
        .replace(id, "")
}

async fn show_me_as(shop: &Shop, token: String) -> Answer {
    shop.bearing(Some(token)).get("/auth/me").await
}

/// `GET /auth/me` with these `Authorization` headers.
async fn show_me_with<H>(shop: &Shop, headers: &[H]) -> Answer
where
    H: Clone + Sync + TryInto<HeaderValue>,
    H::Error: Into<axum::http::Error>,
{
    let mut request = Request::get("/api/v1/auth/me");
    for credentials in headers {
        request = request.header(header::AUTHORIZATION, credentials.clone());
    }
    let request = request.body(Body::empty()).unwrap();
    shop.stranger().request(request).await
}

fn assert_refused(answer: &Answer, what: &str) {
    Mismatches::default().refused(what, answer);
}

impl Mismatches {
    /// The answer has to say that its token is not good.
    fn refused(&mut self, row: impl Display, answer: &Answer) {
        let found = (answer.outcome(), answer.header("www-authenticate"));
        self.compare(
            row,
            found,
            ("401 unauthenticated".to_owned(), Some(INVALID_TOKEN)),
        );
    }
}

fn signed(claims: &Value, algorithm: Algorithm, secret: &str) -> String {
    let key = EncodingKey::from_base64_secret(secret).unwrap();
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

fn secret_of(shop: &Shop) -> Vec<u8> {
    let secret = &shop.ctx.config.get_jwt_config().unwrap().secret;
    BASE64_STANDARD.decode(secret).unwrap()
}

/// A token with that header, signed with HMAC and SHA-512 whatever the header says.
fn hand_signed(header: &str, claims: &str, secret: &[u8]) -> String {
    let signed = format!("{header}.{claims}");
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS512);
    format!("{signed}.{}", signature.unwrap())
}

fn parts_of(token: &str) -> [&str; 3] {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().unwrap()
}

fn claims_of(token: &str) -> Value {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(parts_of(token)[1]).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

fn encoded(part: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part.to_string())
}

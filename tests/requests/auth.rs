//! Logging in, and the tokens that come of it.

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
    support::{Answer, Client, PASSWORD, Shop},
};

const NEW_PASSWORD: &str = "gravel otter 3 plinth dune";

const INVALID_TOKEN: &str = "Bearer realm=\"boxcar\", error=\"invalid_token\"";

#[tokio::test]
async fn a_login_answers_a_token_that_nobody_may_keep() {
    let shop = Shop::open().await;
    shop.customer("ada").await;
    let answer = shop.log_in("ada", PASSWORD).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn the_token_of_a_login_opens_the_store() {
    let shop = Shop::open().await;
    shop.customer("ada").await;
    let login = shop.log_in("ada", PASSWORD).await;
    let token = login.body["token"].as_str().unwrap().to_owned();
    let answer = shop.bearing(Some(token)).get("/auth/me").await;
    assert_eq!(answer.status, StatusCode::OK);
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
    let unknown = shop.log_in("nobody", PASSWORD).await;
    let wrong = shop.log_in("ada", "gravel otter 3 plinth dune").await;
    assert_eq!(unknown.problem(), "invalid-credentials");
    assert_eq!(without_id(&unknown), without_id(&wrong));
}

#[tokio::test]
async fn a_name_that_nobody_can_have_looks_like_an_unknown_one() {
    let shop = Shop::open().await;
    let unknown = shop.log_in("nobody", PASSWORD).await;
    let impossible = shop.log_in("n/a' OR 1=1 --", PASSWORD).await;
    assert_eq!(without_id(&unknown), without_id(&impossible));
}

#[tokio::test]
async fn the_name_to_log_in_with_is_taken_in_any_case() {
    let shop = Shop::open().await;
    shop.customer("ada").await;
    let answer = shop.log_in("ADA", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.body["account"]["username"], "ada");
}

#[tokio::test]
async fn a_password_is_not_taken_in_any_case() {
    let shop = Shop::open().await;
    shop.customer("ada").await;
    let answer = shop.log_in("ada", &PASSWORD.to_uppercase()).await;
    assert_eq!(answer.problem(), "invalid-credentials");
}

#[tokio::test]
async fn a_login_needs_a_name_and_a_password_and_nothing_else() {
    let shop = Shop::open().await;
    let answer = shop
        .stranger()
        .post("/auth/login", json!({ "username": 7, "remember": true }))
        .await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::UNPROCESSABLE_ENTITY, "validation-failed")
    );
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
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
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
async fn a_header_that_bears_no_token_is_refused() {
    let shop = Shop::open().await;
    let token = shop.admin().await.token.unwrap();
    for credentials in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer{token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer \"{token}\""),
        token,
    ] {
        let answer = show_me_with(&shop, &[&credentials]).await;
        assert_refused(&answer, &credentials);
    }
}

#[tokio::test]
async fn a_header_that_is_no_text_is_refused() {
    let shop = Shop::open().await;
    let answer = show_me_with(&shop, &[HeaderValue::from_bytes(b"Bearer \xff").unwrap()]).await;
    assert_refused(&answer, "not ASCII");
}

#[tokio::test]
async fn a_token_under_another_scheme_is_refused() {
    let shop = Shop::open().await;
    let token = shop.admin().await.token.unwrap();
    for scheme in ["Basic", "Digest", "Token", "JWT"] {
        let answer = show_me_with(&shop, &[format!("{scheme} {token}")]).await;
        assert_refused(&answer, scheme);
    }
}

#[tokio::test]
async fn the_scheme_may_be_written_in_any_case() {
    let shop = Shop::open().await;
    let token = shop.admin().await.token.unwrap();
    let answer = show_me_with(&shop, &[format!("bEARER {token}")]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test]
async fn two_tokens_at_once_are_refused() {
    let shop = Shop::open().await;
    let bearer = format!("Bearer {}", shop.admin().await.token.unwrap());
    let answer = show_me_with(&shop, &[&bearer, &bearer]).await;
    assert_refused(&answer, "two Authorization headers");
}

/// If this fails, the forgeries below may be refused for another reason than the one they name.
#[tokio::test]
async fn a_token_made_as_the_store_makes_them_is_taken() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let answer = show_me_as(&shop, forged(&shop, &admin, Algorithm::HS512, |_| {})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test]
async fn a_token_with_an_altered_signature_is_refused() {
    let shop = Shop::open().await;
    let token = shop.admin().await.token.unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let answer = show_me_as(&shop, format!("{signed}.{first}{}", &signature[1..])).await;
    assert_refused(&answer, "altered signature");
}

#[tokio::test]
async fn a_token_with_altered_claims_is_refused() {
    let shop = Shop::open().await;
    let token = shop.customer("ada").await.token.unwrap();
    let mut claims = claims_of(&token);
    claims["role"] = json!("admin");
    let [header, _, signature] = parts_of(&token);
    let answer = show_me_as(&shop, format!("{header}.{}.{signature}", encoded(&claims))).await;
    assert_refused(&answer, "altered claims");
}

#[tokio::test]
async fn a_token_that_is_not_signed_is_refused() {
    let shop = Shop::open().await;
    let token = shop.admin().await.token.unwrap();
    let header = encoded(&json!({ "alg": "none", "typ": "JWT" }));
    let [_, claims, signature] = parts_of(&token);
    for signature in ["", signature] {
        let answer = show_me_as(&shop, format!("{header}.{claims}.{signature}")).await;
        assert_refused(&answer, "alg none");
    }
}

#[tokio::test]
async fn a_token_signed_by_another_algorithm_is_refused() {
    for algorithm in [Algorithm::HS256, Algorithm::HS384] {
        assert_forgery_is_refused(algorithm, |_| {}).await;
    }
}

#[tokio::test]
async fn a_token_signed_with_another_secret_is_refused() {
    let shop = Shop::open().await;
    let token = shop.admin().await.token.unwrap();
    let token = signed(&claims_of(&token), Algorithm::HS512, "YW5vdGhlciBzZWNyZXQ=");
    assert_refused(&show_me_as(&shop, token).await, "another secret");
}

#[tokio::test]
async fn a_token_that_says_it_is_signed_otherwise_is_refused() {
    let shop = Shop::open().await;
    let token = shop.admin().await.token.unwrap();
    let [_, claims, signature] = parts_of(&token);
    for algorithm in ["RS256", "ES512", "EdDSA", "HS384", "hs512", "NONE"] {
        let header = encoded(&json!({ "alg": algorithm, "typ": "JWT" }));
        for token in [
            format!("{header}.{claims}.{signature}"),
            hand_signed(&header, claims, &secret_of(&shop)),
        ] {
            assert_refused(&show_me_as(&shop, token).await, algorithm);
        }
    }
}

#[tokio::test]
async fn a_token_does_not_say_with_which_key_it_is_to_be_verified() {
    let shop = Shop::open().await;
    let token = shop.admin().await.token.unwrap();
    let [_, claims, _] = parts_of(&token);
    let key = BASE64_URL_SAFE_NO_PAD.encode("forged");
    for header in [
        json!({ "alg": "HS512", "kid": "../../../../dev/null" }),
        json!({ "alg": "HS512", "kid": "x' UNION SELECT 'forged" }),
        json!({ "alg": "HS512", "jku": "http://127.0.0.1:1/keys.json" }),
        json!({ "alg": "HS512", "x5u": "http://127.0.0.1:1/key.pem" }),
        json!({ "alg": "HS512", "jwk": { "kty": "oct", "k": key } }),
    ] {
        let header = encoded(&header);
        for secret in [&b"forged"[..], &[]] {
            let token = hand_signed(&header, claims, secret);
            assert_refused(&show_me_as(&shop, token).await, &header);
        }
    }
}

#[tokio::test]
async fn a_token_of_any_length_is_only_refused() {
    let shop = Shop::open().await;
    for token in [
        "x".repeat(100_000),
        ".".repeat(100_000),
        "a.b.".repeat(25_000),
    ] {
        assert_refused(&show_me_as(&shop, token).await, "oversized");
    }
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let a_second_ago = chrono::Utc::now().timestamp() - 1;
    assert_forgery_is_refused(Algorithm::HS512, |claims| {
        claims["exp"] = json!(a_second_ago);
    })
    .await;
}

#[tokio::test]
async fn a_token_that_never_expires_is_refused() {
    assert_forgery_is_refused(Algorithm::HS512, |claims| without(claims, "exp")).await;
}

#[tokio::test]
async fn a_token_from_the_future_is_refused() {
    let in_five_minutes = chrono::Utc::now().timestamp() + 300;
    assert_forgery_is_refused(Algorithm::HS512, |claims| {
        claims["iat"] = json!(in_five_minutes);
    })
    .await;
}

#[tokio::test]
async fn a_token_that_is_not_good_yet_is_refused() {
    let in_a_minute = chrono::Utc::now().timestamp() + 60;
    assert_forgery_is_refused(Algorithm::HS512, |claims| {
        claims["nbf"] = json!(in_a_minute);
    })
    .await;
}

#[tokio::test]
async fn a_token_whose_header_asks_for_more_is_refused() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let [_, claims, _] = parts_of(admin.token.as_ref().unwrap());
    let plain = json!({ "typ": "JWT", "alg": "HS512" });
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
        let token = hand_signed(&encoded(&header), claims, &secret_of(&shop));
        assert_refused(&show_me_as(&shop, token).await, &header.to_string());
    }
    for header in [plain, json!({ "alg": "HS512" })] {
        let token = hand_signed(&encoded(&header), claims, &secret_of(&shop));
        let answer = show_me_as(&shop, token).await;
        assert_eq!(answer.status, StatusCode::OK, "{header}");
    }
}

#[tokio::test]
async fn what_the_previous_secret_signed_is_good_and_no_more_is_signed_with_it() {
    let [previous, other] = [0, 1].map(|_| BASE64_STANDARD.encode(rand::random::<[u8; 64]>()));
    let shop = Shop::open_with(&[("security", "previous_jwt_secret", json!(previous))]).await;
    let admin = shop.admin().await;
    let token = admin.token.clone().unwrap();
    let claims = claims_of(&token);
    for (secret, status) in [
        (&previous, StatusCode::OK),
        (&other, StatusCode::UNAUTHORIZED),
    ] {
        let answer = show_me_as(&shop, signed(&claims, Algorithm::HS512, secret)).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let [header, payload, _] = parts_of(&token);
    assert_eq!(token, hand_signed(header, payload, &secret_of(&shop)));
}

#[tokio::test]
async fn a_token_that_does_not_say_when_it_was_made_is_refused() {
    assert_forgery_is_refused(Algorithm::HS512, |claims| without(claims, "iat")).await;
}

#[tokio::test]
async fn a_token_of_another_issuer_is_refused() {
    assert_forgery_is_refused(Algorithm::HS512, |claims| {
        claims["iss"] = json!("elsewhere");
    })
    .await;
}

#[tokio::test]
async fn a_token_of_no_issuer_is_refused() {
    assert_forgery_is_refused(Algorithm::HS512, |claims| without(claims, "iss")).await;
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    assert_forgery_is_refused(Algorithm::HS512, |claims| {
        claims["aud"] = json!("elsewhere");
    })
    .await;
}

#[tokio::test]
async fn a_token_for_no_audience_is_refused() {
    assert_forgery_is_refused(Algorithm::HS512, |claims| without(claims, "aud")).await;
}

#[tokio::test]
async fn a_token_for_nobody_is_refused() {
    assert_forgery_is_refused(Algorithm::HS512, |claims| claims["pid"] = json!("nobody")).await;
}

#[tokio::test]
async fn a_token_without_a_version_is_refused() {
    assert_forgery_is_refused(Algorithm::HS512, |claims| without(claims, "version")).await;
}

#[tokio::test]
async fn a_role_in_a_token_makes_nobody_an_administrator() {
    let shop = Shop::open().await;
    let ada = shop.customer("ada").await;
    let token = forged(&shop, &ada, Algorithm::HS512, |claims| {
        claims["role"] = json!("admin");
    });
    let answer = shop.bearing(Some(token)).get("/customers").await;
    assert_eq!(answer.problem(), "forbidden");
}

#[tokio::test]
async fn the_token_of_an_older_password_is_refused() {
    let shop = Shop::open().await;
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    let path = format!("/customer-accounts/{}", ada.account_id);
    let change = json!({ "password": "gravel otter 3 plinth dune" });
    assert_eq!(admin.patch(&path, change).await.status, StatusCode::OK);
    assert_refused(&ada.get("/auth/me").await, "older password");
}

#[tokio::test]
async fn the_token_of_a_deleted_account_is_refused() {
    let shop = Shop::open().await;
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    let path = format!("/customer-accounts/{}", ada.account_id);
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_refused(&ada.get("/auth/me").await, "deleted account");
}

#[tokio::test]
async fn the_token_of_an_older_role_is_refused() {
    let shop = Shop::open().await;
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    let path = format!("/customer-accounts/{}", ada.account_id);
    let answer = admin.patch(&path, json!({ "role": "admin" })).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_refused(&ada.get("/auth/me").await, "older role");
}

#[tokio::test]
async fn what_administrators_do_is_forbidden_to_customers() {
    let shop = Shop::open().await;
    let ada = shop.customer("ada").await;
    for (method, path) in [
        (Method::GET, "/customers"),
        (Method::POST, "/customers"),
        (Method::GET, "/customers/1"),
        (Method::PUT, "/customers/1"),
        (Method::PATCH, "/customers/1"),
        (Method::DELETE, "/customers/1"),
        (Method::GET, "/customer-accounts"),
        (Method::POST, "/customer-accounts"),
        (Method::GET, "/customer-accounts/1"),
        (Method::PUT, "/customer-accounts/1"),
        (Method::PATCH, "/customer-accounts/1"),
        (Method::DELETE, "/customer-accounts/1"),
        (Method::POST, "/products"),
        (Method::PUT, "/products/1"),
        (Method::PATCH, "/products/1"),
        (Method::DELETE, "/products/1"),
    ] {
        let answer = ada.send(method.clone(), path, Some(json!({}))).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::FORBIDDEN, "forbidden"),
            "{method} {path}"
        );
    }
}

/// The body's text but for the id of the request.
#[tokio::test]
async fn logging_out_ends_every_token_of_the_account_and_of_no_other() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
    let other = shop.log_in("ada", PASSWORD).await;
    let other = shop.bearing(Some(other.body["token"].as_str().unwrap().to_owned()));
    assert_eq!(other.get("/auth/me").await.status, StatusCode::OK);
    let answer = ada.send(Method::POST, "/auth/logout", None).await;
    assert_eq!(
        (answer.status, answer.bytes.len()),
        (StatusCode::NO_CONTENT, 0)
    );
    for client in [&ada, &other] {
        assert_refused(&client.get("/auth/me").await, "logged out");
    }
    assert_eq!(bob.get("/auth/me").await.status, StatusCode::OK);
    let again = shop.log_in("ada", PASSWORD).await;
    let again = shop.bearing(Some(again.body["token"].as_str().unwrap().to_owned()));
    assert_eq!(again.get("/auth/me").await.status, StatusCode::OK);
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
    assert_eq!(ada.get("/auth/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_new_password_of_ones_own_ends_the_tokens_that_are_out() {
    let shop = Shop::open().await;
    let ada = shop.customer("ada").await;
    assert_eq!(ada.get("/auth/me").await.status, StatusCode::OK);
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
    assert_eq!(
        shop.log_in("ada", NEW_PASSWORD).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_new_password_of_ones_own_takes_the_current_one_and_a_good_one() {
    let shop = Shop::open().await;
    let ada = shop.customer("ada").await;
    for (current, new, faults) in [
        (
            "not it at all, sorry",
            NEW_PASSWORD,
            vec![("/current_password", "mismatch")],
        ),
        (PASSWORD, "short", vec![("/new_password", "length")]),
        (
            PASSWORD,
            "ada ada ada ada",
            vec![("/new_password", "guessable")],
        ),
        (PASSWORD, PASSWORD, vec![("/new_password", "unchanged")]),
        (
            "not it at all, sorry",
            "ada ada ada ada",
            vec![("/current_password", "mismatch")],
        ),
    ] {
        let change = json!({ "current_password": current, "new_password": new });
        let answer = ada.put("/auth/password", change).await;
        answer.assert_invalid(&faults);
    }
    let answer = ada
        .put("/auth/password", json!({ "password": NEW_PASSWORD }))
        .await;
    answer.assert_invalid(&[
        ("/current_password", "required"),
        ("/new_password", "required"),
        ("/password", "unknown"),
    ]);
    assert_eq!(shop.log_in("ada", PASSWORD).await.status, StatusCode::OK);
    assert_eq!(ada.get("/auth/me").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_not_undone_by_a_change_that_was_under_way() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
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
        assert_eq!(reset.status, StatusCode::OK, "{}", reset.body);
        let login = shop.log_in(&name, NEW_PASSWORD).await;
        assert_eq!(
            login.status,
            StatusCode::OK,
            "the change: {}",
            change.status
        );
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
    answer.assert_problem(StatusCode::TOO_MANY_REQUESTS, "rate-limited");
}

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
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::UNAUTHORIZED, "unauthenticated"),
        "{what}"
    );
    assert_eq!(
        answer.header("www-authenticate"),
        Some(INVALID_TOKEN),
        "{what}"
    );
}

async fn assert_forgery_is_refused(algorithm: Algorithm, change: impl FnOnce(&mut Value)) {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let token = forged(&shop, &admin, algorithm, change);
    assert_refused(&show_me_as(&shop, token).await, &format!("{algorithm:?}"));
}

/// A client's token with other claims, signed with the store's secret.
fn forged(
    shop: &Shop,
    client: &Client,
    algorithm: Algorithm,
    change: impl FnOnce(&mut Value),
) -> String {
    let mut claims = claims_of(client.token.as_ref().unwrap());
    change(&mut claims);
    let secret = &shop.ctx.config.get_jwt_config().unwrap().secret;
    signed(&claims, algorithm, secret)
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

fn without(claims: &mut Value, name: &str) {
    claims.as_object_mut().unwrap().remove(name).unwrap();
}

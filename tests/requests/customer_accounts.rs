//! Customer accounts: R2.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    assert_answer,
    support::{Answer, Client, Mismatches, PASSWORD, Shop},
};

const OTHER_PASSWORD: &str = "gravel otter 3 plinth dune";

const GUESSABLE: &str = "422 validation-failed /password guessable";

/// How often a race is run: one lost update in so many would be seen.
const ROUNDS: usize = 15;

#[tokio::test]
async fn an_account_is_made_for_a_customer() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let customer = add_customer(&admin, "Ada Lovelace").await;
    let answer = admin
        .post("/customer-accounts", registration(customer))
        .await;
    assert_answer!(answer);
}

#[tokio::test]
async fn an_account_is_found_where_its_location_says() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let customer = add_customer(&admin, "Ada Lovelace").await;
    let made = admin
        .post("/customer-accounts", registration(customer))
        .await;
    let location = made.header("location").unwrap();
    let found = admin.get(location.strip_prefix("/api/v1").unwrap()).await;
    assert_eq!((found.status, found.body), (StatusCode::OK, made.body));
}

#[tokio::test]
async fn a_new_account_can_log_in() {
    let (shop, admin) = Shop::open_with_admin().await;
    let customer = add_customer(&admin, "Ada Lovelace").await;
    admin
        .post("/customer-accounts", registration(customer))
        .await;
    assert_eq!(shop.log_in("ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_account_is_a_customers_unless_it_is_said_to_be_an_administrators() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let customer = add_customer(&admin, "Ada Lovelace").await;
    let body = with(registration(customer), "role", json!("admin"));
    let answer = admin.post("/customer-accounts", body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.body["role"], "admin");
}

#[tokio::test]
async fn an_account_is_shown_with_its_customer() {
    let shop = Shop::open().await;
    let ada = shop.customer("ada").await;
    let answer = shop.admin().await.get(&path_of(&ada)).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn accounts_are_listed_with_their_customers() {
    let (shop, admin) = Shop::open_with_admin().await;
    shop.customer("ada").await;
    let answer = admin.get("/customer-accounts").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn put_replaces_name_and_password() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let credentials = json!({ "username": "countess", "password": OTHER_PASSWORD });
    let answer = admin.put(&path_of(&ada), credentials).await;
    assert_answer!(answer);
    let login = shop.log_in("countess", OTHER_PASSWORD).await;
    assert_eq!(login.status, 200, "{}", login.body);
}

#[tokio::test]
async fn put_needs_both_and_takes_no_more() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let answer = admin.put(&path_of(&ada), json!({ "role": "admin" })).await;
    answer.assert_invalid(&[
        ("/username", "required"),
        ("/password", "required"),
        ("/role", "unknown"),
    ]);
}

#[tokio::test]
async fn patch_changes_what_is_sent_and_nothing_else() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let change = json!({ "username": "countess" });
    let answer = admin.patch(&path_of(&ada), change).await;
    assert_answer!(answer);
    let login = shop.log_in("countess", PASSWORD).await;
    assert_eq!(login.status, 200, "{}", login.body);
}

#[tokio::test]
async fn patch_clears_nothing() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let change = json!({ "username": null, "password": null, "role": null });
    let answer = admin.patch(&path_of(&ada), change).await;
    answer.assert_invalid(&[
        ("/username", "required"),
        ("/password", "required"),
        ("/role", "required"),
    ]);
}

#[tokio::test]
async fn an_account_does_not_move_to_another_customer() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let customer = add_customer(&admin, "Bob").await;
    let change = json!({ "customer_id": customer });
    let answer = admin.patch(&path_of(&ada), change).await;
    answer.assert_invalid(&[("/customer_id", "unknown")]);
}

#[tokio::test]
async fn a_deleted_account_is_gone() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let answer = admin.delete(&path_of(&ada)).await;
    assert_eq!((answer.outcome().as_str(), answer.bytes.len()), ("204", 0));
    assert_eq!(admin.get(&path_of(&ada)).await.problem(), "not-found");
    let login = shop.log_in("ada", PASSWORD).await;
    assert_eq!(login.problem(), "invalid-credentials");
}

#[tokio::test]
async fn a_deleted_account_leaves_its_customer_who_can_have_another() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    admin.delete(&path_of(&ada)).await;
    let customer = admin.get(&format!("/customers/{}", ada.customer_id)).await;
    assert_eq!(customer.status, 200);
    let answer = admin
        .post("/customer-accounts", registration(ada.customer_id))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.body);
}

#[tokio::test]
async fn an_account_that_is_not_there_is_not_found() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let credentials = json!({ "username": "countess", "password": OTHER_PASSWORD });
    let path = "/customer-accounts/99";
    for answer in [
        admin.get(path).await,
        admin.put(path, credentials).await,
        admin.patch(path, json!({ "username": "countess" })).await,
        admin.patch(path, json!({ "role": "customer" })).await,
        admin.delete(path).await,
    ] {
        answer.assert_problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_customer_has_one_account() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let body = with(registration(ada.customer_id), "username", json!("other"));
    let answer = admin.post("/customer-accounts", body).await;
    answer.assert_taken("/customer_id");
}

#[tokio::test]
async fn an_account_needs_a_customer_that_there_is() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = admin.post("/customer-accounts", registration(99)).await;
    answer.assert_invalid(&[("/customer_id", "reference")]);
}

#[tokio::test]
async fn an_administrators_account_needs_a_customer_too() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let body = json!({ "username": "ada", "password": PASSWORD, "role": "admin" });
    let answer = admin.post("/customer-accounts", body).await;
    answer.assert_invalid(&[("/customer_id", "required")]);
}

#[tokio::test]
async fn a_username_belongs_to_one_account_whatever_its_case() {
    let (shop, admin, bob) = Shop::open_with_customer("bob").await;
    shop.customer("ada").await;
    let customer = add_customer(&admin, "Ada Lovelace").await;
    let created = with(registration(customer), "username", json!("ADA"));
    let replaced = json!({ "username": "Ada", "password": OTHER_PASSWORD });
    for answer in [
        admin.post("/customer-accounts", created).await,
        admin.put(&path_of(&bob), replaced).await,
        admin
            .patch(&path_of(&bob), json!({ "username": "adA" }))
            .await,
    ] {
        answer.assert_taken("/username");
    }
}

#[tokio::test]
async fn an_account_may_be_given_the_name_that_it_has() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let answer = admin
        .patch(&path_of(&ada), json!({ "username": "ADA" }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_username_is_kept_in_small_letters() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let change = json!({ "username": "Ada.Byron_1815-X" });
    let answer = admin.patch(&path_of(&ada), change).await;
    assert_eq!(answer.body["username"], "ada.byron_1815-x");
}

#[tokio::test]
async fn a_username_keeps_the_rules() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let mut mismatches = Mismatches::default();
    for (username, code) in [
        (json!(""), "length"),
        (json!("ab"), "length"),
        (json!("a".repeat(65)), "length"),
        (json!("ada lovelace"), "format"),
        (json!(" ada"), "format"),
        (json!("adä"), "format"),
        // The Kelvin sign, whose small letter is an ordinary k.
        (json!("\u{212a}elvin"), "format"),
        (json!("ada@example.com"), "format"),
        (json!("ada\n"), "format"),
        (json!(123), "type"),
    ] {
        let change = json!({ "username": username });
        let answer = admin.patch(&path_of(&ada), change).await;
        let expected = format!("422 validation-failed /username {code}");
        mismatches.answer(username, &answer, expected);
    }
}

#[tokio::test]
async fn a_role_is_one_of_two() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    for role in ["root", "Admin", ""] {
        let answer = admin.patch(&path_of(&ada), json!({ "role": role })).await;
        answer.assert_invalid(&[("/role", "choice")]);
    }
}

#[tokio::test]
async fn a_password_has_12_to_128_characters() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let long = "Ωκεανός ☂ 7 ".repeat(11);
    let cut = |length: usize| long.chars().take(length).collect::<String>();
    for (password, status) in [
        (cut(11), StatusCode::UNPROCESSABLE_ENTITY),
        (cut(12), StatusCode::OK),
        (cut(128), StatusCode::OK),
        (cut(129), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = change_password(&admin, &ada, &password).await;
        assert_eq!(answer.status, status, "{password}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_password_may_be_all_in_small_letters() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let answer = change_password(&admin, &ada, "gravelotterplinthdune").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_password_is_the_same_composed_or_not() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    change_password(&admin, &ada, "caf\u{e9} otter 3 plinth dune").await;
    let login = shop.log_in("ada", "cafe\u{301} otter 3 plinth dune").await;
    assert_eq!(login.status, 200, "{}", login.body);
}

#[tokio::test]
async fn a_password_counts_to_its_last_character() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    let password = "Ωκεανός ☂ 7 gravel plinth ".repeat(4);
    assert_eq!(change_password(&admin, &ada, &password).await.status, 200);
    let login = shop.log_in("ada", password.trim_end()).await;
    assert_eq!(login.problem(), "invalid-credentials");
}

#[tokio::test]
async fn a_password_that_is_easily_guessed_is_refused_with_the_reason() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let answer = change_password(&admin, &ada, "password1234").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn every_way_to_set_a_password_refuses_those_easily_guessed() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let customer = add_customer(&admin, "Bob").await;
    let guessable = json!("qwertyuiop123");
    let created = with(registration(customer), "password", guessable.clone());
    let replaced = json!({ "username": "ada", "password": guessable });
    for answer in [
        admin.post("/customer-accounts", created).await,
        admin.put(&path_of(&ada), replaced).await,
        admin
            .patch(&path_of(&ada), json!({ "password": guessable }))
            .await,
    ] {
        answer.assert_invalid(&[("/password", "guessable")]);
    }
}

#[tokio::test]
async fn a_password_made_of_its_owners_names_is_refused() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let customer = add_customer(&admin, "Ottoline Featherstonehaugh").await;
    let email = json!({ "email": "vexingquizzaciously@example.com" });
    admin.patch(&format!("/customers/{customer}"), email).await;
    let mut mismatches = Mismatches::default();
    for password in [
        "xylographer.77",
        "Xylographer.77!",
        "Ottoline Featherstonehaugh",
        "Featherstonehaugh",
        "featherstonehaugh1",
        "vexingquizzaciously@example.com",
        "vexingquizzaciously",
    ] {
        let body =
            json!({ "customer_id": customer, "username": "xylographer.77", "password": password });
        let answer = admin.post("/customer-accounts", body).await;
        mismatches.answer(password, &answer, GUESSABLE);
    }
}

#[tokio::test]
async fn a_password_made_of_the_stores_name_or_that_many_people_had_is_refused() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let mut mismatches = Mismatches::default();
    for password in [
        "boxcar-shop-2026!",
        "Boxcar Store 2026",
        "ada@boxcar-2026!",
        "nEMvXyHeqDd5OQxyXYZI",
        "nemvxyheqdd5oqxyxyzi",
    ] {
        let answer = change_password(&admin, &ada, password).await;
        mismatches.answer(password, &answer, GUESSABLE);
    }
}

#[tokio::test]
async fn a_password_is_not_the_name_that_comes_with_it() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let change = json!({ "username": "xylographer.77", "password": "xylographer.77" });
    let answer = admin.patch(&path_of(&ada), change).await;
    answer.assert_invalid(&[("/password", "guessable")]);
}

#[tokio::test]
async fn no_answer_shows_a_password() {
    let (shop, admin) = Shop::open_with_admin().await;
    let customer = add_customer(&admin, "Ada Lovelace").await;
    let credentials = json!({ "username": "ada", "password": OTHER_PASSWORD });
    let weak = json!({ "password": "Hunter2 hunter2" });
    let path = "/customer-accounts/2";
    for answer in [
        admin
            .post("/customer-accounts", registration(customer))
            .await,
        admin.put(path, credentials).await,
        admin.patch(path, json!({ "password": PASSWORD })).await,
        admin.patch(path, weak).await,
        admin.get(path).await,
        admin.get("/customer-accounts").await,
        admin.get("/auth/me").await,
        shop.log_in("ada", PASSWORD).await,
        shop.log_in("ada", OTHER_PASSWORD).await,
    ] {
        let text = String::from_utf8(answer.bytes).unwrap();
        for secret in [PASSWORD, OTHER_PASSWORD, "unter2", "$argon2", "hash"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn a_new_password_ends_the_old_one_and_its_tokens() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    change_password(&admin, &ada, OTHER_PASSWORD).await;
    assert_eq!(ada.get("/auth/me").await.problem(), "unauthenticated");
    let old = shop.log_in("ada", PASSWORD).await;
    assert_eq!(old.problem(), "invalid-credentials");
    let new = shop.log_in("ada", OTHER_PASSWORD).await;
    assert_eq!(new.status, 200, "{}", new.body);
}

#[tokio::test]
async fn put_ends_the_tokens_even_with_the_same_password() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let credentials = json!({ "username": "ada", "password": PASSWORD });
    admin.put(&path_of(&ada), credentials).await;
    assert_eq!(ada.get("/auth/me").await.problem(), "unauthenticated");
}

#[tokio::test]
async fn a_new_role_ends_the_tokens_of_the_old_one() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let answer = set_role(&admin, &ada, "admin").await;
    assert_eq!(answer.body["role"], "admin");
    assert_eq!(ada.get("/auth/me").await.problem(), "unauthenticated");
}

#[tokio::test]
async fn a_new_role_counts_from_the_next_login() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    set_role(&admin, &ada, "admin").await;
    let ada = shop.logged_in("ada", PASSWORD).await;
    assert_eq!(ada.get("/customers").await.status, 200);
    set_role(&admin, &ada, "customer").await;
    let ada = shop.logged_in("ada", PASSWORD).await;
    assert_eq!(ada.get("/customers").await.problem(), "forbidden");
}

#[tokio::test]
async fn a_new_name_or_the_same_role_ends_no_tokens() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let change = json!({ "username": "countess", "role": "customer" });
    admin.patch(&path_of(&ada), change).await;
    let me = ada.get("/auth/me").await;
    assert_eq!(me.status, 200, "{}", me.body);
    assert_eq!(me.body["username"], "countess");
}

#[tokio::test]
async fn a_refused_change_ends_no_tokens() {
    let (_shop, admin, ada) = Shop::open_with_customer("ada").await;
    let change = json!({ "username": "admin", "password": OTHER_PASSWORD });
    admin
        .patch(&path_of(&ada), change)
        .await
        .assert_taken("/username");
    assert_eq!(ada.get("/auth/me").await.status, 200);
}

#[tokio::test]
async fn the_last_administrator_is_not_deleted() {
    let (shop, admin) = Shop::open_with_admin().await;
    shop.customer("ada").await;
    let answer = admin.delete(&path_of(&admin)).await;
    assert_answer!(answer);
    assert_eq!(admin.get("/auth/me").await.status, 200);
}

#[tokio::test]
async fn the_last_administrator_is_not_demoted() {
    let shop = Shop::open().await;
    let ada = sole_administrator(&shop).await;
    let answer = set_role(&ada, &ada, "customer").await;
    answer.assert_problem(409, "conflict");
    assert_eq!(ada.get("/auth/me").await.body["role"], "admin");
}

#[tokio::test]
async fn the_last_administrator_does_not_go_with_their_customer() {
    let shop = Shop::open().await;
    let ada = sole_administrator(&shop).await;
    let path = format!("/customers/{}", ada.customer_id);
    assert_eq!(ada.delete(&path).await.problem(), "conflict");
    assert_eq!(ada.get(&path).await.status, 200);
}

#[tokio::test]
async fn the_last_administrator_may_change_name_and_password() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let change = json!({ "username": "boss", "password": OTHER_PASSWORD, "role": "admin" });
    let answer = admin.patch(&path_of(&admin), change).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn one_of_two_administrators_can_go() {
    let shop = Shop::open().await;
    let (admin, other) = (shop.admin().await, shop.admin_named("other").await);
    let answer = admin.delete(&path_of(&other)).await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn an_account_without_a_customer_stays_an_administrators() {
    let shop = Shop::open().await;
    let (admin, other) = (shop.admin().await, shop.admin_named("other").await);
    let answer = set_role(&admin, &other, "customer").await;
    answer.assert_invalid(&[("/role", "choice")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_administrators_who_demote_each_other_leave_one() {
    let shop = Shop::open().await;
    let mut ada = sole_administrator(&shop).await;
    let mut bob = shop.customer("bob").await;
    for round in 0..ROUNDS {
        for (winner, loser) in [(&ada, &bob), (&bob, &ada)] {
            set_role(winner, loser, "admin").await;
        }
        ada = shop.logged_in("ada", PASSWORD).await;
        bob = shop.logged_in("bob", PASSWORD).await;
        let answers = tokio::join!(
            set_role(&ada, &bob, "customer"),
            set_role(&bob, &ada, "customer")
        );
        assert_one_administrator(&[&ada, &bob], round, &answers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_administrators_who_delete_each_other_leave_one() {
    let shop = Shop::open().await;
    let mut survivor = shop.admin().await;
    for round in 0..ROUNDS {
        let rival = shop.admin_named(&format!("rival-{round}")).await;
        let (to_rival, to_survivor) = (path_of(&rival), path_of(&survivor));
        let answers = tokio::join!(survivor.delete(&to_rival), rival.delete(&to_survivor));
        assert_one_administrator(&[&survivor, &rival], round, &answers).await;
        if survivor.get("/auth/me").await.status != StatusCode::OK {
            survivor = rival;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_is_given_two_accounts_at_once_gets_one() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let customer = add_customer(&admin, "Ada Lovelace").await;
    let other = with(registration(customer), "username", json!("other"));
    let (first, second) = tokio::join!(
        admin.post("/customer-accounts", registration(customer)),
        admin.post("/customer-accounts", other)
    );
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [StatusCode::CREATED, StatusCode::CONFLICT]);
}

#[tokio::test]
async fn q_finds_text_anywhere_in_the_username_whatever_its_case() {
    let (shop, admin) = Shop::open_with_admin().await;
    shop.customer("ada.lovelace").await;
    shop.customer("bob").await;
    assert_eq!(listed(&admin, "q=LOVE").await, ["ada.lovelace"]);
}

#[tokio::test]
async fn an_underscore_in_q_is_an_ordinary_character() {
    let (shop, admin) = Shop::open_with_admin().await;
    shop.customer("a_b").await;
    shop.customer("axb").await;
    assert_eq!(listed(&admin, "q=a_b").await, ["a_b"]);
    assert_eq!(listed(&admin, "q=%25").await, [""; 0]);
}

#[tokio::test]
async fn accounts_are_listed_by_role() {
    let (shop, admin) = Shop::open_with_admin().await;
    shop.customer("ada").await;
    assert_eq!(listed(&admin, "role=admin").await, ["admin"]);
    assert_eq!(listed(&admin, "role=customer").await, ["ada"]);
}

#[tokio::test]
async fn filters_narrow_each_other() {
    let (shop, admin) = Shop::open_with_admin().await;
    shop.customer("minda").await;
    shop.customer("bob").await;
    assert_eq!(listed(&admin, "q=min").await, ["admin", "minda"]);
    assert_eq!(listed(&admin, "q=min&role=customer").await, ["minda"]);
}

#[tokio::test]
async fn a_role_to_list_is_one_of_two() {
    let shop = Shop::open().await;
    let answer = shop.admin().await.get("/customer-accounts?role=root").await;
    answer.assert_invalid(&[("/role", "choice")]);
}

#[tokio::test]
async fn accounts_are_sorted_by_name_either_way() {
    let (shop, admin) = Shop::open_with_admin().await;
    for username in ["carl", "ada", "bob"] {
        shop.customer(username).await;
    }
    let ascending = listed(&admin, "role=customer&sort=username").await;
    assert_eq!(ascending, ["ada", "bob", "carl"]);
    let descending = listed(&admin, "role=customer&sort=-username").await;
    assert_eq!(descending, ["carl", "bob", "ada"]);
}

/// Adds a customer and answers their id.
async fn add_customer(admin: &Client, name: &str) -> i64 {
    let email = format!("{}@example.com", name.replace(' ', ".").to_lowercase());
    let body = json!({ "name": name, "email": email });
    admin.post("/customers", body).await.id()
}

/// An account `ada` for that customer.
fn registration(customer_id: i64) -> Value {
    json!({ "customer_id": customer_id, "username": "ada", "password": PASSWORD })
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn path_of(client: &Client) -> String {
    format!("/customer-accounts/{}", client.account_id)
}

async fn set_role(admin: &Client, client: &Client, role: &str) -> Answer {
    admin.patch(&path_of(client), json!({ "role": role })).await
}

async fn change_password(admin: &Client, client: &Client, password: &str) -> Answer {
    let change = json!({ "password": password });
    admin.patch(&path_of(client), change).await
}

/// A customer named `ada` who is the only administrator.
async fn sole_administrator(shop: &Shop) -> Client {
    shop.customer_and_admin("ada").await
}

/// After two administrators turned on each other, one of them is left to ask.
async fn assert_one_administrator(rivals: &[&Client; 2], round: usize, answers: &(Answer, Answer)) {
    let mut left = Vec::new();
    for rival in rivals {
        let list = rival.get("/customer-accounts?role=admin").await;
        left.extend(list.body["total_items"].as_u64());
    }
    assert_eq!(left, [1], "round {round}: {answers:?}");
}

/// The usernames of the accounts that a query finds.
async fn listed(admin: &Client, query: &str) -> Vec<String> {
    let answer = admin.get(&format!("/customer-accounts?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let items = answer.body["items"].as_array().unwrap();
    items
        .iter()
        .map(|account| account["username"].as_str().unwrap().to_owned())
        .collect()
}

//! Customers: R1.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    assert_answer,
    support::{Client, Mismatches, PASSWORD, Shop, address},
};

#[tokio::test]
async fn a_customer_is_created_with_its_location() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut ada = ada();
    ada["email"] = json!("Ada@Example.com");
    assert_answer!(admin.post("/customers", ada).await);
}

#[tokio::test]
async fn a_customer_is_found_where_its_location_says() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let created = admin.post("/customers", ada()).await;
    let location = created.header("location").unwrap();
    let found = admin.get(location.strip_prefix("/api/v1").unwrap()).await;
    assert_eq!((found.status, found.body), (StatusCode::OK, created.body));
}

#[tokio::test]
async fn a_customer_needs_no_phone() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for body in [
        json!({ "name": "Ada", "email": "a@b.example" }),
        json!({ "name": "Ada", "email": "c@d.example", "phone": null }),
    ] {
        let answer = admin.post("/customers", body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.body["phone"], Value::Null);
    }
}

#[tokio::test]
async fn a_name_keeps_its_letters_and_loses_the_blanks_around_it() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let body = json!({ "name": "  Zoë 'O''Neil' 王芳 👩‍🚀 ", "email": "zoe@example.com" });
    let answer = admin.post("/customers", body).await;
    assert_eq!(answer.body["name"], "Zoë 'O''Neil' 王芳 👩‍🚀");
}

#[tokio::test]
async fn an_email_belongs_to_one_customer_whatever_its_case() {
    let (shop, admin) = Shop::open_with_admin().await;
    admin.post("/customers", ada()).await;
    let bob = path_of(&shop.customer("bob").await);
    let other = json!({ "name": "Other", "email": "ADA@example.com" });
    let changed = json!({ "email": "Ada@Example.com" });
    admin
        .post("/customers", other.clone())
        .await
        .assert_taken("/email");
    admin.put(&bob, other).await.assert_taken("/email");
    admin.patch(&bob, changed).await.assert_taken("/email");
}

#[tokio::test]
async fn a_customer_may_be_given_the_email_that_they_have() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/customers", ada()).await;
    let change = json!({ "email": "ADA@example.com" });
    let answer = admin.patch("/customers/1", change).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["email"], "ADA@example.com");
}

#[tokio::test]
async fn a_customers_fields_keep_the_rules() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    for (field, value, code) in [
        ("name", json!(""), "length"),
        ("name", json!("   "), "length"),
        ("name", json!("ü".repeat(121)), "length"),
        ("name", json!("Ada\nLovelace"), "format"),
        ("name", json!("Ada\0"), "format"),
        ("name", json!(["Ada"]), "type"),
        ("name", json!(null), "required"),
        ("email", json!("ada"), "format"),
        ("email", json!("ada@"), "format"),
        ("email", json!("a b@example.com"), "format"),
        (
            "email",
            json!(format!("{}@example.com", "a".repeat(250))),
            "length",
        ),
        ("email", json!(null), "required"),
        ("phone", json!("1234"), "format"),
        ("phone", json!("123456789012345678901"), "format"),
        ("phone", json!("12+345"), "format"),
        ("phone", json!("call me"), "format"),
        ("phone", json!(""), "format"),
        ("phone", json!(12345), "type"),
    ] {
        let mut body = ada();
        body[field] = value;
        let answer = admin.post("/customers", body.clone()).await;
        let expected = format!("422 validation-failed /{field} {code}");
        mismatches.answer(&body[field], &answer, expected);
    }
}

#[tokio::test]
async fn the_longest_and_shortest_fields_are_taken() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for (at, (name, phone)) in [
        ("王".repeat(120), "+(12) 34.56-78 901234567890"),
        ("X".to_owned(), "12345"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({ "name": name, "email": format!("{at}@example.com"), "phone": phone });
        let answer = admin.post("/customers", body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.body["name"], name);
        assert_eq!(answer.body["phone"], phone);
    }
}

#[tokio::test]
async fn customers_are_listed_a_page_at_a_time() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for name in ["Ada", "Bob", "Carl"] {
        add(&admin, name).await;
    }
    let answer = admin.get("/customers?page=2&page_size=1").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn a_store_without_customers_lists_none() {
    let shop = Shop::open().await;
    let answer = shop.admin().await.get("/customers").await;
    assert_answer!(answer);
}

#[tokio::test]
async fn q_finds_text_anywhere_in_name_email_and_phone() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin
        .post("/customers", json!({ "name": "Ada Lovelace", "email": "countess@example.com", "phone": "+44 20 7946" }))
        .await;
    add(&admin, "Bob").await;
    for q in ["lovel", "COUNTESS", "20%207946", "da%20LO"] {
        assert_eq!(found(&admin, q).await, ["Ada Lovelace"], "{q}");
    }
}

#[tokio::test]
async fn q_finds_nothing_that_stands_in_two_fields() {
    let (_shop, admin) = Shop::open_with_admin().await;
    add(&admin, "Ada").await;
    for q in ["adaada", "ada%20ada@", "lovelace"] {
        assert_eq!(found(&admin, q).await, [""; 0], "{q}");
    }
}

#[tokio::test]
async fn q_does_not_regard_the_case_of_any_letter() {
    let (_shop, admin) = Shop::open_with_admin().await;
    add_as(&admin, "Éloïse ÅNGSTRÖM", "first@example.com").await;
    add_as(&admin, "Σωκράτης ЖУК", "second@example.com").await;
    // é, É, ångström, and ж as they stand in an address.
    for q in ["%C3%A9lo", "%C3%89LO", "%C3%A5ngstr%C3%B6m"] {
        assert_eq!(found(&admin, q).await, ["Éloïse ÅNGSTRÖM"], "{q}");
    }
    assert_eq!(found(&admin, "%D0%B6%D1%83%D0%BA").await, ["Σωκράτης ЖУК"]);
}

#[tokio::test]
async fn q_finds_a_letter_composed_or_not() {
    let (_shop, admin) = Shop::open_with_admin().await;
    add_as(&admin, "Rene\u{301}", "rene@example.com").await;
    assert_eq!(found(&admin, "ren%C3%A9").await.len(), 1);
}

#[tokio::test]
async fn q_takes_wildcards_and_quotes_for_ordinary_characters() {
    let (_shop, admin) = Shop::open_with_admin().await;
    for (at, name) in ["100% Ada", "A_da", "A!da", "A\\da", "A'da", "Ada"]
        .iter()
        .enumerate()
    {
        add_as(&admin, name, &format!("{at}@example.com")).await;
    }
    for (q, name) in [
        ("%25", "100% Ada"),
        ("_", "A_da"),
        ("!", "A!da"),
        ("%5C", "A\\da"),
        ("%27", "A'da"),
    ] {
        assert_eq!(found(&admin, q).await, [name], "{q}");
    }
}

#[tokio::test]
async fn q_finds_what_a_customer_is_called_now() {
    let (_shop, admin) = Shop::open_with_admin().await;
    add(&admin, "Ada").await;
    let change = json!({ "name": "Augusta", "email": "augusta@example.com" });
    admin.patch("/customers/1", change).await;
    assert_eq!(found(&admin, "augusta").await, ["Augusta"]);
    assert_eq!(found(&admin, "ada").await, [""; 0]);
}

#[tokio::test]
async fn put_replaces_every_field_and_clears_what_is_missing() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/customers", ada()).await;
    let body = json!({ "name": "Augusta King", "email": "king@example.com" });
    let answer = admin.put("/customers/1", body).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn put_needs_what_a_customer_cannot_be_without() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/customers", ada()).await;
    let answer = admin.put("/customers/1", json!({ "phone": "12345" })).await;
    answer.assert_invalid(&[("/name", "required"), ("/email", "required")]);
}

#[tokio::test]
async fn patch_changes_what_is_sent_and_keeps_the_rest() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/customers", ada()).await;
    let answer = admin
        .patch("/customers/1", json!({ "name": "Augusta King" }))
        .await;
    assert_answer!(answer);
}

#[tokio::test]
async fn patch_with_null_clears_the_phone() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/customers", ada()).await;
    let answer = admin.patch("/customers/1", json!({ "phone": null })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["phone"], Value::Null);
    assert_eq!(answer.body["name"], "Ada Lovelace");
}

#[tokio::test]
async fn patch_with_null_does_not_clear_name_or_email() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/customers", ada()).await;
    let nothing = json!({ "name": null, "email": null });
    let answer = admin.patch("/customers/1", nothing).await;
    answer.assert_invalid(&[("/name", "required"), ("/email", "required")]);
}

#[tokio::test]
async fn patch_with_nothing_changes_nothing() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/customers", ada()).await;
    let answer = admin.patch("/customers/1", json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["phone"], "+44 20 7946 0018");
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let before = admin.post("/customers", ada()).await.body;
    let change = json!({ "name": "Augusta King", "phone": "no" });
    admin
        .patch("/customers/1", change)
        .await
        .assert_invalid(&[("/phone", "format")]);
    assert_eq!(admin.get("/customers/1").await.body, before);
}

#[tokio::test]
async fn the_id_and_times_of_a_customer_are_not_for_clients_to_set() {
    let (_shop, admin) = Shop::open_with_admin().await;
    admin.post("/customers", ada()).await;
    let change = json!({ "id": 7, "created_at": "2020-01-01T00:00:00Z" });
    let answer = admin.patch("/customers/1", change).await;
    answer.assert_invalid(&[("/created_at", "unknown"), ("/id", "unknown")]);
}

#[tokio::test]
async fn a_deleted_customer_is_gone() {
    let (_shop, admin) = Shop::open_with_admin().await;
    add(&admin, "Ada").await;
    let answer = admin.delete("/customers/1").await;
    assert_eq!((answer.outcome().as_str(), answer.bytes.len()), ("204", 0));
    admin
        .get("/customers/1")
        .await
        .assert_problem(404, "not-found");
    assert_eq!(found(&admin, "").await, [""; 0]);
}

#[tokio::test]
async fn the_account_of_a_deleted_customer_goes_too() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    admin.delete(&path_of(&ada)).await;
    let account = format!("/customer-accounts/{}", ada.account_id);
    admin.get(&account).await.assert_problem(404, "not-found");
    assert_eq!(ada.get("/auth/me").await.problem(), "unauthenticated");
    let login = shop.log_in("ada", PASSWORD).await;
    assert_eq!(login.problem(), "invalid-credentials");
}

#[tokio::test]
async fn the_email_and_username_of_a_deleted_customer_are_free() {
    let (shop, admin, ada) = Shop::open_with_customer("ada").await;
    admin.delete(&path_of(&ada)).await;
    let again = shop.customer("ada").await;
    assert_eq!(again.get("/auth/me").await.status, 200);
}

#[tokio::test]
async fn a_customer_who_is_deleted_or_never_was_is_not_found_by_any_verb() {
    let shop = Shop::open().await;
    let (admin, ada, _) = ordered(&shop).await;
    let path = path_of(&ada);
    assert_eq!(admin.delete(&path).await.status, 204);
    for path in [path.as_str(), "/customers/99"] {
        for answer in [
            admin.get(path).await,
            admin.put(path, self::ada()).await,
            admin.patch(path, json!({ "phone": null })).await,
            admin.delete(path).await,
        ] {
            answer.assert_problem(404, "not-found");
        }
    }
}

#[tokio::test]
async fn a_customer_with_orders_leaves_the_list_once_deleted() {
    let shop = Shop::open().await;
    let (admin, ada, _) = ordered(&shop).await;
    add(&admin, "Bob").await;
    admin.delete(&path_of(&ada)).await;
    assert_eq!(found(&admin, "").await, ["Bob"]);
    assert_eq!(found(&admin, "erased").await, [""; 0]);
}

#[tokio::test]
async fn the_orders_of_a_deleted_customer_stay_without_personal_data() {
    let shop = Shop::open().await;
    let (admin, ada, order) = ordered(&shop).await;
    admin.delete(&path_of(&ada)).await;
    let answer = admin.get(&order).await;
    assert_answer!(answer);
}

#[tokio::test]
async fn no_answer_names_an_erased_customer() {
    let shop = Shop::open().await;
    let (admin, ada, order) = ordered(&shop).await;
    admin.delete(&path_of(&ada)).await;
    assert_nowhere(&admin, &order).await;
}

#[tokio::test]
async fn the_email_of_an_erased_customer_is_free() {
    let shop = Shop::open().await;
    let (admin, ada, _) = ordered(&shop).await;
    admin.delete(&path_of(&ada)).await;
    let again = shop.customer("rosalind").await;
    assert_ne!(again.customer_id, ada.customer_id);
    assert_eq!(again.get("/orders").await.body["total_items"], 0);
}

#[tokio::test]
async fn an_order_for_an_erased_customer_is_refused() {
    let shop = Shop::open().await;
    let (admin, ada, _) = ordered(&shop).await;
    admin.delete(&path_of(&ada)).await;
    let order =
        json!({ "customer_id": ada.customer_id, "items": [{ "product_id": 1, "quantity": 1 }] });
    admin
        .post("/orders", order)
        .await
        .assert_invalid(&[("/customer_id", "reference")]);
}

#[tokio::test]
async fn an_account_for_an_erased_customer_is_refused() {
    let shop = Shop::open().await;
    let (admin, ada, _) = ordered(&shop).await;
    admin.delete(&path_of(&ada)).await;
    let account =
        json!({ "customer_id": ada.customer_id, "username": "ghost", "password": PASSWORD });
    let answer = admin.post("/customer-accounts", account).await;
    answer.assert_invalid(&[("/customer_id", "reference")]);
}

fn ada() -> Value {
    json!({ "name": "Ada Lovelace", "email": "ada@example.com", "phone": "+44 20 7946 0018" })
}

/// Adds a customer of that name, whose email is the name at example.com.
async fn add(admin: &Client, name: &str) {
    add_as(admin, name, &format!("{name}@example.com")).await;
}

async fn add_as(admin: &Client, name: &str, email: &str) {
    let body = json!({ "name": name, "email": email });
    let answer = admin.post("/customers", body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
}

fn path_of(client: &Client) -> String {
    format!("/customers/{}", client.customer_id)
}

/// The names of the customers whom a search finds.
async fn found(admin: &Client, q: &str) -> Vec<String> {
    let answer = admin.get(&format!("/customers?q={q}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let items = answer.body["items"].as_array().unwrap();
    items
        .iter()
        .map(|customer| customer["name"].as_str().unwrap().to_owned())
        .collect()
}

/// An administrator, the customer `rosalind`, and the path of an order that she placed.
async fn ordered(shop: &Shop) -> (Client, Client, String) {
    let (rosalind, admin) = (shop.customer("rosalind").await, shop.admin().await);
    let lamp = json!({ "name": "Lamp", "price": "19.99", "stock": 5 });
    let order = json!({
        "items": [{ "product_id": admin.add_product(lamp).await, "quantity": 2 }],
        "shipping_address": address("Rosalind Franklin, 22 Donovan Court"),
        "note": "Ring at Rosalind's door",
    });
    let answer = rosalind.post("/orders", order).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    (admin, rosalind, format!("/orders/{}", answer.body["id"]))
}

/// Nothing that an administrator can see names the customer `rosalind`.
async fn assert_nowhere(admin: &Client, order: &str) {
    for path in [order, "/orders", "/customers", "/customer-accounts"] {
        let answer = admin.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let text = String::from_utf8(answer.bytes).unwrap().to_lowercase();
        for trace in ["rosalind", "franklin", "donovan"] {
            assert!(!text.contains(trace), "{path}: {text}");
        }
    }
}

//! The API's document: that it is what the server does, and that it is whole.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Mutex,
};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use boxcar::{
    app::App,
    controllers::BASE,
    initializers::swagger::{self, document},
    models::{
        products,
        types::{Description, TaxClass},
    },
    views::{csv::Rows, problem::Kind},
};
use jsonschema::Validator;
use loco_rs::app::Hooks;
use serde_json::{Value, json};

use super::matrix;
use crate::support::{Answer, Client, Mismatches, PASSWORD, Shop, address, order_lines};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[test]
fn swagger_yaml_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("swagger.yaml");
    let file = fs::read_to_string(path).unwrap_or_default();
    assert!(
        file == document().unwrap().yaml,
        "swagger.yaml is stale: cargo loco task openapi:write"
    );
}

#[tokio::test]
async fn both_documents_are_served_and_say_the_same() {
    let shop = Shop::open().await;
    let yaml = get(&shop, swagger::YAML).await;
    assert_eq!(yaml.header("content-type"), Some("application/yaml"));
    assert_eq!(yaml.bytes, document().unwrap().yaml.as_bytes());
    let json = get(&shop, swagger::DOCUMENT).await;
    assert_eq!(json.header("content-type"), Some("application/json"));
    let same: Value = yaml_serde::from_slice(&yaml.bytes).unwrap();
    assert_eq!(json.body, same);
    assert_eq!(same["openapi"], "3.1.0");
    // Readers of YAML 1.1 would make a date of it.
    let text = String::from_utf8(yaml.bytes).unwrap();
    assert!(text.contains("created_at: '2026-01-31T08:00:00Z'"));
}

#[tokio::test]
async fn every_route_is_documented_and_every_documented_one_is_there() {
    let shop = Shop::open().await;
    let routes: BTreeSet<_> = App::routes(&shop.ctx)
        .collect()
        .into_iter()
        .filter_map(|route| Some((route.uri.strip_prefix(BASE)?.to_owned(), route.actions)))
        .flat_map(|(path, methods)| {
            methods
                .into_iter()
                .map(move |method| (path.clone(), method.as_str().to_lowercase()))
        })
        .collect();
    let documented: BTreeSet<_> = operations(&json_document())
        .into_iter()
        .map(|(path, method, _)| (path, method.to_owned()))
        .collect();
    assert_eq!(documented, routes);
}

#[test]
fn every_operation_says_what_it_is() {
    let document = json_document();
    let tags: BTreeSet<_> = strings(&document["tags"], "name").into_iter().collect();
    let (mut ids, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (path, method, operation) in operations(&document) {
        let which = format!("{method} {path}");
        assert!(operation["summary"].is_string(), "{which}");
        assert!(operation["description"].is_string(), "{which}");
        let id = operation["operationId"].as_str().expect(&which);
        assert!(
            ids.insert(id.to_owned()),
            "{which}: {id} stands there twice"
        );
        let tag = operation["tags"][0].as_str().expect(&which);
        assert!(tags.contains(tag), "{which}: shared.yaml has no tag {tag}");
        used.insert(tag.to_owned());
        // Everything but the login asks for a token: by the document's own rule, or by one of its own.
        let security = operation
            .get("security")
            .unwrap_or_else(|| &document["security"]);
        let open = security == &json!([]);
        assert_eq!(open, id == "login", "{which}");
        for response in responses(&document, operation).values() {
            assert!(response["description"].is_string(), "{which}");
        }
    }
    assert_eq!(tags, used);
}

#[test]
fn what_is_referred_to_is_there_and_what_is_there_is_referred_to() {
    let document = json_document();
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    let mut there = BTreeSet::new();
    for (room, components) in document["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys() {
            there.insert(format!("#/components/{room}/{name}"));
        }
    }
    // Named by the requirement, not by a reference; and a wrong method belongs to no operation.
    for scheme in ["bearer", "publishable_key", "secret_key"] {
        there.remove(&format!("#/components/securitySchemes/{scheme}"));
    }
    there.remove("#/components/examples/MethodNotAllowed");
    assert_eq!(references, there);
}

#[test]
fn every_example_fits_its_schema() {
    let document = json_document();
    let mut checked = 0;
    let mut check = |schema: &Value, example: &Value, which: &str| {
        let faults = faults(&document, schema, example);
        assert!(faults.is_empty(), "{which}: {example}\n{faults:#?}");
        checked += 1;
    };
    for (path, method, operation) in operations(&document) {
        let which = format!("{method} {path}");
        let answers = responses(&document, operation);
        let bodies = answers
            .values()
            .map(|response| &response["content"])
            .chain([&operation["requestBody"]["content"]]);
        for content in bodies
            .filter_map(Value::as_object)
            .flat_map(|all| all.values())
        {
            let examples = content["examples"].as_object();
            let examples = examples.unwrap_or_else(|| panic!("{which} shows no example"));
            for example in examples.values() {
                let value = &resolved(&document, example)["value"];
                assert!(!value.is_null(), "{which}: {example}");
                check(&content["schema"], value, &which);
            }
        }
    }
    for room in ["headers", "parameters"] {
        for (name, part) in document["components"][room].as_object().unwrap() {
            if let Some(example) = part.get("example") {
                check(&part["schema"], example, name);
            }
        }
    }
    assert!(checked > 200, "{checked}");
}

#[test]
fn the_examples_of_a_body_show_all_of_its_fields() {
    let document = json_document();
    let mut mismatches = Mismatches::default();
    for (path, method, operation) in operations(&document) {
        let bodies = operation["requestBody"]["content"].as_object();
        // A patch sends what changes.
        let whole = bodies.into_iter().flatten().filter(|_| method != "patch");
        for (_, content) in whole {
            let examples: Vec<_> = content["examples"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, example)| &resolved(&document, example)["value"])
                .collect();
            let mut properties = BTreeMap::new();
            collect_properties(&document, &content["schema"], &mut properties);
            for name in properties.keys() {
                let is_shown = examples.iter().any(|example| example.get(name).is_some());
                mismatches.compare(format!("{method} {path}: {name}"), is_shown, true);
            }
        }
    }
}

#[tokio::test]
async fn what_an_example_sends_is_kept() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let document = json_document();
    for (path, example) in [("/products", "ProductBody"), ("/customers", "CustomerBody")] {
        let body = &document["components"]["examples"][example]["value"];
        let created = admin.post(path, body.clone()).await;
        let shown = admin.get(&format!("{path}/{}", created.id())).await.body;
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{path}: {name}");
        }
    }
}

#[tokio::test]
async fn the_first_example_of_every_operation_succeeds_for_an_administrator() {
    let (shop, _) = Shop::open_with_admin().await;
    App::seed(&shop.ctx, Path::new("")).await.unwrap();
    // Who has addresses of their own, too.
    let admin = shop.customer_and_admin("boss").await;
    let document = json_document();
    // A password of the demo store cannot be written down, nor a code; and the administrator is no customer.
    let is_open = |path: &str| {
        let is_plain = ["/auth/me", "/auth/logout"].contains(&path);
        path.starts_with("/me") || (path.starts_with("/auth/") && !is_plain)
    };
    let mut operations = operations(&document);
    operations.retain(|(path, ..)| !is_open(path));
    operations.sort_by_key(|(path, method, _)| {
        let order = ["get", "patch", "post", "put", "delete"];
        let rank = order.iter().position(|known| known == method);
        // What is in something goes before it does, and a checkout before what it costs changes.
        (
            path == "/auth/logout",
            !path.starts_with("/checkouts"),
            rank,
            Reverse(path.matches('/').count()),
        )
    });
    let mut mismatches = Mismatches::default();
    for (path, method, operation) in operations {
        let mut tried = path.clone();
        if tried.starts_with("/checkouts/{id}") {
            // The demo store has none, and what one comes to is said by an example too.
            let cart = &document["components"]["examples"]["CheckoutBody"]["value"];
            let cart = admin.post("/checkouts", cart.clone()).await.body;
            tried = tried.replace("{id}", cart["id"].as_str().unwrap());
        } else if let Some((list, _)) = path.split_once("/{id}")
            && admin.get(list).await.body["items"] == json!([])
        {
            // The demo store has none.
            continue;
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(&document, parameter);
            if let Some(example) = parameter.get("example") {
                let name = format!("{{{}}}", parameter["name"].as_str().unwrap());
                tried = tried.replace(&name, &example.to_string());
            }
        }
        let content = operation["requestBody"]["content"].as_object();
        let body = content
            .and_then(|content| content.values().next())
            .map(|body| {
                let example = body["examples"].as_object().unwrap().values().next();
                resolved(&document, example.unwrap())["value"].clone()
            });
        let answer = admin
            .send(method.to_uppercase().parse().unwrap(), &tried, body)
            .await;
        mismatches.compare(
            format!("{method} {path}: {}", answer.body),
            answer.status.is_success(),
            true,
        );
        // Each is tried by itself: another may take the same name.
        if let Some(made) = answer.header("location") {
            admin.delete(made.strip_prefix("/api/v1").unwrap()).await;
        }
    }
}

#[test]
fn examples_are_of_the_demo_store() {
    let catalogue = include_str!("../../src/fixtures/products.csv");
    let products: BTreeMap<String, _> = Rows::<_, products::Row>::new(catalogue.as_bytes())
        .unwrap()
        .map(|row| row.unwrap().1.changes)
        .map(|product| (product.sku.clone().flatten().unwrap().into(), product))
        .collect();
    let document = json_document();
    let mut found = 0;
    visit(&document["components"]["examples"], &mut |value| {
        let (Some(sku), Some(name)) = (value["sku"].as_str(), value["name"].as_str()) else {
            return;
        };
        // What is to be added is not there yet.
        let Some(product) = products.get(sku) else {
            assert!(value.get("id").is_none(), "{sku}");
            return;
        };
        assert_eq!(name, product.name.as_ref().unwrap().as_str());
        let price = value.get("price").unwrap_or_else(|| &value["unit_price"]);
        assert_eq!(price, &product.price.unwrap().to_string(), "{sku}");
        if let Some(tax_class) = value["tax_class"].as_str() {
            let expected = product.tax_class.as_ref().unwrap().as_ref();
            assert_eq!(tax_class, expected.map_or("standard", TaxClass::as_str));
        }
        if let Some(description) = value["description"].as_str() {
            assert_eq!(
                Some(description),
                product
                    .description
                    .as_ref()
                    .unwrap()
                    .as_ref()
                    .map(Description::as_str)
            );
        }
        found += 1;
    });
    assert!(found >= 8, "{found}");
}

#[test]
fn every_documented_problem_is_one_that_the_server_knows() {
    let document = json_document();
    let mut named = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        for (status, response) in responses(&document, operation) {
            if !status.starts_with(['4', '5']) {
                continue;
            }
            for problem in problems(&document, response) {
                let kind =
                    Kind::named(&problem).unwrap_or_else(|| panic!("{method} {path}: {problem}"));
                assert_eq!(kind.status.as_str(), status, "{method} {path}: {problem}");
                named.insert(problem);
            }
        }
    }
    named.insert(Kind::METHOD_NOT_ALLOWED.name().to_owned());
    let known: BTreeSet<_> = Kind::ALL.map(|kind| kind.name().to_owned()).into();
    assert_eq!(named, known);
}

#[test]
fn who_is_documented_to_be_let_in_is_as_the_table_says() {
    let document = json_document();
    let mut mismatches = Mismatches::default();
    for (method, path, _, [stranger, owner, ..]) in matrix::TABLE.iter().copied() {
        let operation = &document["paths"][matrix::with_id(path)][method.to_lowercase()];
        let mut security = Vec::new();
        let visitors = matrix::is_for_visitors(method, path);
        if stranger != 200 {
            let roles = if owner == 403 {
                json!(["admin"])
            } else {
                json!([])
            };
            security.push(json!({ "bearer": roles }));
            security.extend(visitors.then(|| json!({ "publishable_key": [] })));
            let scopes = matrix::scope_of(method, path);
            let scopes = scopes
                .into_iter()
                .chain(visitors.then(|| "visitors".to_owned()));
            security.extend(scopes.map(|scope| json!({ "secret_key": [scope] })));
        }
        mismatches.compare(
            format!("{method} {path}"),
            &operation["security"],
            &json!(security),
        );
    }
}

#[tokio::test]
async fn real_answers_are_as_documented() {
    let (shop, _mails) = Shop::open_with_mails().await;
    let admin = shop.admin().await;
    let session = Session::new();
    session.log_in(&shop).await;
    session.sell(&admin).await;
    session.order(&shop, &admin).await;
    session.keep_customers(&admin).await;
    session.keep_addresses(&shop, &admin).await;
    session.look_back(&admin).await;
    session.tell_others(&admin).await;
    session.help_themselves(&shop, &admin).await;
    session.hand_out_keys(&admin).await;
    session.keep_shipping_rates(&admin).await;
    session.keep_tax_rates(&admin).await;
    session.keep_discounts(&admin).await;
    session.check_out(&shop, &admin).await;
    session.go_wrong(&shop, &admin).await;
    session.assert_complete();
}

/// What is sent to an operation, by its name: the ids of its path or its query, a body, and the status to come.
type Step<'a> = (&'a Client, &'a str, &'a str, Value, u16);

/// Compares every answer with the document.
struct Session {
    document: Value,
    seen: Mutex<BTreeSet<String>>,
}

#[rustfmt::skip]
impl Session {
    fn new() -> Self {
        Self { document: json_document(), seen: Mutex::default() }
    }

    async fn log_in(&self, shop: &Shop) {
        let (stranger, ada, bob) = (&shop.stranger(), &shop.customer("ada").await, &shop.customer("bob").await);
        let login = |password| json!({ "username": "ada", "password": password });
        let change = |password| json!({ "current_password": password, "new_password": "gravel otter 3 plinth dune" });
        self.expect_all([
            (stranger, "login", "", login(PASSWORD), 200),
            (stranger, "login", "", login("x"), 401),
            (stranger, "login", "", json!([]), 422),
            (stranger, "show_me", "", Value::Null, 401),
            (ada, "change_password", "", change("x"), 422),
            (ada, "log_out", "", Value::Null, 204),
            (ada, "log_out", "", Value::Null, 401),
            (bob, "change_password", "", change(PASSWORD), 204),
        ]).await;
    }

    async fn sell(&self, admin: &Client) {
        let full = json!({ "name": "Tea", "price": 4.5, "sku": "T-1", "stock": 3, "description": "Black" });
        let bare = json!({ "name": "Download", "price": "6.5" });
        let adjustment = |delta| json!({ "delta": delta, "reason": "Broken" });
        self.expect_all([
            (admin, "create_product", "", full.clone(), 201),
            (admin, "create_product", "", bare, 201),
            (admin, "create_product", "", full.clone(), 409),
            (admin, "list_products", "", Value::Null, 200),
            (admin, "list_products", "?cursor=&page_size=1&sort=-price", Value::Null, 200),
            (admin, "list_products", "?cursor=&page_size=9", Value::Null, 200),
            (admin, "list_products", "?cursor=x", Value::Null, 400),
            (admin, "list_products", "?colour=red", Value::Null, 422),
            (admin, "show_product", "1", Value::Null, 200),
            (admin, "replace_product", "1", full, 200),
            (admin, "change_product", "1", json!({ "stock": 9 }), 200),
            (admin, "adjust_stock", "1", adjustment(-2), 200),
            (admin, "adjust_stock", "1", adjustment(-100), 409),
            (admin, "list_stock_movements", "1", Value::Null, 200),
        ]).await;
    }

    async fn order(&self, shop: &Shop, admin: &Client) {
        let customer = &shop.customer("orders").await;
        let order = |pieces| json!({ "items": order_lines(&[(1, pieces), (2, 1)]), "note": "Ring twice" });
        let paid = json!({ "status": "paid" });
        let reason = json!({ "reason": "Too late" });
        self.expect_all([
            (customer, "place_order", "", order(2), 201),
            (customer, "place_order", "", order(1_000), 409),
            (customer, "place_order", "", json!({}), 422),
            (customer, "list_orders", "", Value::Null, 200),
            (customer, "list_orders", "?cursor=", Value::Null, 200),
            (customer, "show_order", "1", Value::Null, 200),
            (customer, "change_order_status", "1", paid.clone(), 403),
            (admin, "change_order_status", "1", paid, 200),
            (customer, "cancel_order", "1", reason.clone(), 200),
            (customer, "cancel_order", "1", reason, 409),
            (admin, "list_stock_movements", "1", Value::Null, 200),
        ]).await;
    }

    async fn keep_customers(&self, admin: &Client) {
        let details = json!({ "name": "Ada", "email": "ada@example.net", "phone": "+44 20 7946 0318" });
        let made = self.expect(&(admin, "create_customer", "", details.clone(), 201)).await;
        let id = &made.body["id"].to_string();
        let account = json!({ "customer_id": made.body["id"], "username": "Ada.L", "password": PASSWORD });
        let made = self.expect(&(admin, "create_customer_account", "", account, 201)).await;
        let account = &made.body["id"].to_string();
        let credentials = json!({ "username": "ada.lovelace", "password": PASSWORD });
        self.expect_all([
            (admin, "replace_customer", id, details, 200),
            (admin, "change_customer", id, json!({ "phone": null }), 200),
            (admin, "show_customer", id, Value::Null, 200),
            (admin, "list_customers", "", Value::Null, 200),
            (admin, "replace_customer_account", account, credentials, 200),
            (admin, "change_customer_account", account, json!({ "role": "admin" }), 200),
            (admin, "show_customer_account", account, Value::Null, 200),
            (admin, "list_customer_accounts", "", Value::Null, 200),
            (admin, "show_me", "", Value::Null, 200),
            (admin, "delete_customer_account", account, Value::Null, 204),
            (admin, "delete_customer", id, Value::Null, 204),
            (admin, "show_customer", id, Value::Null, 404),
        ]).await;
    }

    async fn keep_addresses(&self, shop: &Shop, admin: &Client) {
        let customer = &shop.customer("addresses").await;
        let address = address("1 Elm Road");
        let made = self.expect(&(customer, "create_own_address", "", address.clone(), 201)).await;
        let own = &made.body["id"].to_string();
        let of = &customer.customer_id.to_string();
        let made = self.expect(&(admin, "create_customer_address", of, address.clone(), 201)).await;
        let theirs = &format!("{of}/{}", made.body["id"]);
        let order = json!({ "items": order_lines(&[(2, 1)]), "shipping_address_id": made.body["id"] });
        let city = json!({ "city": "Bristol", "default": true });
        self.expect_all([
            (customer, "place_order", "", order, 201),
            (customer, "create_own_address", "", json!({ "country": "ZZ" }), 422),
            (customer, "list_own_addresses", "", Value::Null, 200),
            (customer, "show_own_address", own, Value::Null, 200),
            (customer, "replace_own_address", own, address.clone(), 200),
            (customer, "change_own_address", own, city.clone(), 200),
            (admin, "list_own_addresses", "", Value::Null, 404),
            (admin, "create_own_address", "", address.clone(), 404),
            (admin, "list_customer_addresses", of, Value::Null, 200),
            (admin, "list_customer_addresses", "0", Value::Null, 404),
            (admin, "show_customer_address", theirs, Value::Null, 200),
            (admin, "show_customer_address", "0/x", Value::Null, 400),
            (admin, "replace_customer_address", theirs, address, 200),
            (admin, "change_customer_address", theirs, city, 200),
            (admin, "list_events", "?type=customer_address.*", Value::Null, 200),
            (customer, "delete_own_address", own, Value::Null, 204),
            (admin, "delete_customer_address", theirs, Value::Null, 204),
            (admin, "delete_customer_address", theirs, Value::Null, 404),
        ]).await;
    }

    async fn look_back(&self, admin: &Client) {
        self.expect_all([
            (admin, "list_events", "", Value::Null, 200),
            (admin, "show_event", "1", Value::Null, 200),
            (admin, "show_event", "0", Value::Null, 404),
            (admin, "list_mails", "", Value::Null, 200),
            (admin, "show_mail", "1", Value::Null, 200),
            (admin, "show_mail", "0", Value::Null, 404),
        ]).await;
    }

    async fn help_themselves(&self, shop: &Shop, admin: &Client) {
        let (visitor, max) = (&admin.publishable_key().await, &shop.customer("max").await);
        let rosa = json!({ "email": "rosa@example.com", "name": "Rosa" });
        let nobody = json!({ "email": "nobody@example.com" });
        self.expect_all([
            (visitor, "register", "", rosa.clone(), 202),
            (visitor, "register", "", json!({ "email": "rosa" }), 422),
            (&shop.stranger(), "register", "", rosa, 401),
            (visitor, "request_password_reset", "", nobody, 202),
            (visitor, "request_password_reset", "", json!({ "email": "max@example.com" }), 202),
        ]).await;
        let verify = |username| json!({ "password": PASSWORD, "username": username });
        let with = |mut body: Value, token: String| { body["token"] = json!(token); body };
        let token = shop.code_for("rosa@example.com").await;
        let reset = json!({ "new_password": "gravel otter 3 plinth dune" });
        let email = json!({ "email": "max@example.org", "current_password": PASSWORD });
        self.expect_all([
            (visitor, "verify", "", with(verify("max"), token.clone()), 409),
            (visitor, "verify", "", with(verify("rosa"), token.clone()), 200),
            (visitor, "verify", "", with(verify("rosa"), token), 422),
            (max, "show_own_data", "", Value::Null, 200),
            (admin, "show_own_data", "", Value::Null, 404),
            (max, "change_own_data", "", json!({ "phone": "+44 20 7946 0318" }), 200),
            (max, "change_own_data", "", email, 200),
        ]).await;
        let code = shop.code_for("max@example.org").await;
        let lamp = admin.sell("Lamp", "5", None).await;
        max.order(&[(lamp, 1)]).await;
        let farewell = json!({ "current_password": PASSWORD });
        let id = &max.customer_id.to_string();
        self.expect_all([
            (max, "move_email", "", json!({ "token": code }), 200),
            (max, "move_email", "", json!({ "token": code }), 422),
            (max, "export_own_data", "", Value::Null, 200),
            (admin, "export_customer", id, Value::Null, 200),
            (max, "erase_oneself", "", farewell, 409),
            (max, "erase_oneself", "", json!({ "current_password": "x" }), 422),
        ]).await;
        visitor.post("/auth/password-reset", json!({ "email": "max@example.org" })).await;
        let token = shop.code_for("max@example.org").await;
        self.expect_all([
            (visitor, "reset_password", "", with(reset.clone(), token.clone()), 204),
            (visitor, "reset_password", "", with(reset, token), 422),
        ]).await;
        let rosa = &shop.logged_in("rosa@example.com", PASSWORD).await;
        self.expect(&(rosa, "erase_oneself", "", json!({ "current_password": PASSWORD }), 204)).await;
    }

    async fn tell_others(&self, admin: &Client) {
        let endpoint = json!({ "url": "https://example.com/hooks", "types": ["*"], "description": "All" });
        self.expect_all([
            (admin, "create_webhook_endpoint", "", endpoint.clone(), 201),
            (admin, "create_webhook_endpoint", "", json!({ "types": ["all"] }), 422),
            (admin, "list_webhook_endpoints", "", Value::Null, 200),
            (admin, "show_webhook_endpoint", "1", Value::Null, 200),
            (admin, "replace_webhook_endpoint", "1", endpoint, 200),
            (admin, "change_webhook_endpoint", "1", json!({ "types": ["order.*"] }), 200),
            (admin, "rotate_webhook_secret", "1", Value::Null, 200),
            (admin, "test_webhook_endpoint", "1", Value::Null, 202),
            (admin, "list_webhook_deliveries", "", Value::Null, 200),
            (admin, "show_webhook_delivery", "1", Value::Null, 200),
            (admin, "retry_webhook_delivery", "1", Value::Null, 409),
            (admin, "delete_webhook_endpoint", "1", Value::Null, 204),
            (admin, "test_webhook_endpoint", "1", Value::Null, 404),
        ]).await;
    }

    async fn hand_out_keys(&self, admin: &Client) {
        let key = json!({
            "name": "Robot", "kind": "secret", "scopes": ["orders:read"],
            "rate_limit": { "requests": 100, "period_seconds": 60 }, "expires_at": "2999-01-31T00:00:00Z",
        });
        let made = self.expect(&(admin, "create_api_key", "", key, 201)).await;
        let (robot, id) = (admin.bearing(made.body["key"].as_str()), &made.body["id"].to_string());
        self.expect_all([
            (admin, "create_api_key", "", json!({ "name": "Robot", "kind": "secret" }), 422),
            (admin, "list_api_keys", "", Value::Null, 200),
            (admin, "show_api_key", id, Value::Null, 200),
            (&robot, "list_orders", "", Value::Null, 200),
            (&robot, "list_products", "", Value::Null, 403),
            (admin, "change_api_key", id, json!({ "rate_limit": null, "expires_at": null }), 200),
            (admin, "delete_api_key", id, Value::Null, 204),
            (admin, "delete_api_key", id, Value::Null, 404),
            (&robot, "list_orders", "", Value::Null, 401),
        ]).await;
    }

    async fn keep_shipping_rates(&self, admin: &Client) {
        let shipping_rate = json!({ "name": "Parcel", "countries": ["DE", "*"], "price": "4.90", "free_from": "50.00", "tax_class": "standard", "position": 1 });
        self.expect_all([
            (admin, "create_shipping_rate", "", shipping_rate.clone(), 201),
            (admin, "replace_shipping_rate", "1", shipping_rate, 200),
            (admin, "change_shipping_rate", "1", json!({ "name": "Another name" }), 200),
            (admin, "show_shipping_rate", "1", Value::Null, 200),
            (admin, "list_shipping_rates", "", Value::Null, 200),
            (admin, "delete_shipping_rate", "1", Value::Null, 204),
        ]).await;
    }

    async fn keep_tax_rates(&self, admin: &Client) {
        let tax_rate = json!({ "name": "Sales tax", "country": "US", "region": "New York", "tax_class": "standard", "rate": "8.875" });
        self.expect_all([
            (admin, "create_tax_rate", "", tax_rate.clone(), 201),
            (admin, "replace_tax_rate", "1", tax_rate, 200),
            (admin, "change_tax_rate", "1", json!({ "name": "Another name" }), 200),
            (admin, "show_tax_rate", "1", Value::Null, 200),
            (admin, "list_tax_rates", "", Value::Null, 200),
            (admin, "delete_tax_rate", "1", Value::Null, 204),
        ]).await;
    }

    async fn keep_discounts(&self, admin: &Client) {
        let discount = json!({ "code": "SPRING", "kind": "percentage", "value": "10", "starts_at": "2026-03-01T00:00:00Z", "ends_at": "2026-06-01T00:00:00Z", "min_subtotal": "19.90", "usage_limit": 100, "per_customer_limit": 1, "enabled": true });
        self.expect_all([
            (admin, "create_discount", "", discount.clone(), 201),
            (admin, "replace_discount", "1", discount, 200),
            (admin, "change_discount", "1", json!({ "value": "15" }), 200),
            (admin, "show_discount", "1", Value::Null, 200),
            (admin, "list_discounts", "", Value::Null, 200),
            (admin, "delete_discount", "1", Value::Null, 204),
        ]).await;
    }

    async fn check_out(&self, shop: &Shop, admin: &Client) {
        let (visitor, customer) = (&admin.publishable_key().await, &shop.customer("checkouts").await);
        let lamp = admin.sell("Lamp", "9", 5).await;
        let cart = json!({ "items": order_lines(&[(lamp, 2), (2, 1)]), "email": "rosa@example.org", "note": "Ring twice" });
        let made = self.expect(&(visitor, "open_checkout", "", cart.clone(), 201)).await;
        let id = made.body["id"].as_str().unwrap();
        let item = &format!("{id}/{lamp}");
        let total = |amount: &str| json!({ "expected_total": amount });
        let change = json!({ "shipping_address": { "country": "DE" }, "discount_code": "SPRING" });
        let whole = json!({ "shipping_address": address("1 Elm Road"), "discount_code": null });
        self.expect_all([
            (visitor, "open_checkout", "", json!({ "items": [{}] }), 422),
            (visitor, "list_checkouts", "", Value::Null, 403),
            (customer, "list_checkouts", "", Value::Null, 200),
            (admin, "list_checkouts", "", Value::Null, 200),
            (admin, "list_checkouts", "?status=open&email=rosa@example.org&cursor=", Value::Null, 200),
            (visitor, "show_checkout", id, Value::Null, 200),
            (visitor, "show_checkout", "1", Value::Null, 404),
            (visitor, "change_checkout", id, change, 200),
            (visitor, "complete_checkout", id, total("24.50"), 422),
            (visitor, "change_checkout", id, whole, 200),
            (visitor, "set_checkout_item", item, json!({ "quantity": 9 }), 200),
            (visitor, "show_checkout", id, Value::Null, 200),
            (visitor, "hold_checkout", id, Value::Null, 409),
            (visitor, "complete_checkout", id, total("87.50"), 409),
            (visitor, "remove_checkout_item", item, Value::Null, 200),
            (visitor, "remove_checkout_item", item, Value::Null, 404),
            (visitor, "set_checkout_item", item, json!({ "quantity": 1 }), 200),
            (visitor, "hold_checkout", id, Value::Null, 200),
            (visitor, "set_checkout_item", item, json!({ "quantity": 6 }), 409),
            (visitor, "complete_checkout", id, total("1"), 409),
            (visitor, "complete_checkout", id, total("15.50"), 201),
            (visitor, "complete_checkout", id, total("15.50"), 200),
            (visitor, "show_checkout", id, Value::Null, 200),
            (visitor, "change_checkout", id, cart.clone(), 409),
            (visitor, "cancel_checkout", id, Value::Null, 409),
            (admin, "list_stock_movements", &lamp.to_string(), Value::Null, 200),
            (admin, "list_events", "?type=checkout.*", Value::Null, 200),
        ]).await;
        let made = self.expect(&(customer, "open_checkout", "", cart, 201)).await;
        let id = made.body["id"].as_str().unwrap();
        self.expect_all([
            (visitor, "cancel_checkout", id, Value::Null, 404),
            (customer, "cancel_checkout", id, Value::Null, 200),
        ]).await;
    }

    async fn go_wrong(&self, shop: &Shop, admin: &Client) {
        let last = &admin.account_id.to_string();
        self.expect_all([
            (admin, "show_product", "one", Value::Null, 400),
            (admin, "delete_product", "1", Value::Null, 204),
            (admin, "delete_product", "1", Value::Null, 404),
            (admin, "delete_customer_account", last, Value::Null, 409),
            (&shop.bearing(Some("forged".to_owned())), "list_orders", "", Value::Null, 401),
        ]).await;
        let untyped = Request::post("/api/v1/products").body(Body::empty());
        self.compare("create_product", &admin.request(untyped.unwrap()).await, 415);
        let large = json!({ "name": "x".repeat(2_000_000), "price": "1" });
        self.compare("create_product", &admin.post("/products", large).await, 413);
        let changed = admin.send_if_match(Method::DELETE, "/products/2", "\"old\"", None).await;
        self.compare("delete_product", &changed, 412);
        let known = admin.get("/products/2").await;
        let same = admin.get_if("/products/2", header::IF_NONE_MATCH, known.header("etag").unwrap()).await;
        self.compare("show_product", &same, 304);
        for (body, status) in [("A", 201), ("A", 201), ("B", 422)] {
            let body = json!({ "name": body, "price": "1" });
            let answer = admin.post_once("key", "/products", &body).await;
            self.compare("create_product", &answer, status);
        }
    }
}

impl Session {
    async fn expect_all<const STEPS: usize>(&self, steps: [Step<'_>; STEPS]) {
        for step in &steps {
            self.expect(step).await;
        }
    }

    /// Sends what the operation takes, and compares the answer.
    async fn expect(&self, (client, name, rest, body, status): &Step<'_>) -> Answer {
        let (path, method, _) = self.operation(name);
        let path = if path.contains('{') {
            let mut ids = rest.split('/');
            let parts = path.split('/').map(|part| match part.strip_prefix('{') {
                Some(_) => ids.next().unwrap_or_default(),
                None => part,
            });
            parts.collect::<Vec<_>>().join("/")
        } else {
            format!("{path}{rest}")
        };
        let method = method.to_uppercase().parse().unwrap();
        let body = (!body.is_null()).then(|| body.clone());
        let answer = client.send(method, &path, body).await;
        self.compare(name, &answer, *status);
        answer
    }

    fn compare(&self, id: &str, answer: &Answer, status: u16) {
        let which = format!("{id} {status}");
        assert_eq!(answer.status, status, "{which}: {}", answer.body);
        let (_, _, operation) = self.operation(id);
        let answers = responses(&self.document, &operation);
        let Some(&response) = answers.get(&status.to_string()) else {
            panic!("{which} is not documented");
        };
        if let Some((media_type, content)) = response["content"]
            .as_object()
            .and_then(|content| content.iter().next())
        {
            assert_eq!(
                answer.header("content-type"),
                Some(media_type.as_str()),
                "{which}"
            );
            let faults = faults(&self.document, &content["schema"], &answer.body);
            assert!(faults.is_empty(), "{which}: {}\n{faults:#?}", answer.body);
            let extra = undocumented(&self.document, &content["schema"], &answer.body);
            assert!(extra.is_empty(), "{which}: {extra:?} are not documented");
        } else {
            assert!(answer.bytes.is_empty(), "{which}");
        }
        if status >= 400 {
            let documented = problems(&self.document, response);
            assert!(
                documented.contains(answer.problem()),
                "{which}: {}",
                answer.problem()
            );
        }
        self.compare_headers(&which, answer, response);
        self.seen.lock().unwrap().insert(id.to_owned());
    }

    fn compare_headers(&self, which: &str, answer: &Answer, response: &Value) {
        let documented = response["headers"].as_object().expect(which);
        let for_keys =
            |name: &str| which.ends_with(" 403") && name.eq_ignore_ascii_case("www-authenticate");
        for (name, header) in documented {
            let header = resolved(&self.document, header);
            let Some(value) = answer.header(name) else {
                // Without a limit there is no budget, only a retry is told to be one, and only a key its scope.
                let optional = name.starts_with("RateLimit")
                    || name == "Idempotency-Replayed"
                    || for_keys(name);
                assert!(optional, "{which}: {name} is missing");
                continue;
            };
            let value = match header["schema"]["type"].as_str() {
                Some("integer") => json!(value.parse::<i64>().unwrap()),
                _ => json!(value),
            };
            let faults = faults(&self.document, &header["schema"], &value);
            assert!(faults.is_empty(), "{which}: {name}: {value}\n{faults:#?}");
        }
        for name in [
            "etag",
            "link",
            "location",
            "vary",
            "cache-control",
            "retry-after",
            "www-authenticate",
        ] {
            let is_documented = documented
                .keys()
                .any(|known| known.eq_ignore_ascii_case(name));
            assert_eq!(
                answer.headers.contains_key(name) || for_keys(name),
                is_documented,
                "{which}: {name}"
            );
        }
    }

    fn operation(&self, id: &str) -> (String, &'static str, Value) {
        let found = operations(&self.document)
            .into_iter()
            .find(|(_, _, operation)| operation["operationId"] == id);
        let (path, method, operation) = found.unwrap_or_else(|| panic!("there is no {id}"));
        (path, method, operation.clone())
    }

    fn assert_complete(self) {
        let all: BTreeSet<_> = operations(&self.document)
            .into_iter()
            .map(|(_, _, operation)| operation["operationId"].as_str().unwrap().to_owned())
            .collect();
        let seen = self.seen.into_inner().unwrap();
        let missing: Vec<_> = all.difference(&seen).collect();
        assert!(
            missing.is_empty(),
            "no real answer of these was compared: {missing:?}"
        );
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let shop = Shop::open().await;
    let answer = get(&shop, swagger::PAGE).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, Some("/swagger/"))
    );
    let page = get(&shop, "/swagger/").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    let html = String::from_utf8(page.bytes).unwrap();
    assert!(!html.contains("://"), "{html}");
    let sources = html.split(['"']).filter(|part| part.starts_with("./"));
    for source in sources {
        let asset = get(&shop, &format!("/swagger/{}", &source[2..])).await;
        assert_eq!(asset.status, 200, "{source}");
        assert!(!asset.bytes.is_empty(), "{source}");
    }
    let settings = get(&shop, "/swagger/swagger-initializer.js").await;
    let settings = String::from_utf8(settings.bytes).unwrap();
    for setting in [
        "\"url\": \"/api-docs/openapi.json\"",
        "\"validatorUrl\": \"none\"",
        "\"persistAuthorization\": true",
    ] {
        assert!(settings.contains(setting), "{settings}");
    }
}

#[tokio::test]
async fn every_text_of_the_page_names_its_character_set() {
    let shop = Shop::open().await;
    for (path, kind) in [
        ("/swagger/", "text/html; charset=utf-8"),
        ("/swagger/index.html", "text/html; charset=utf-8"),
        (
            "/swagger/swagger-initializer.js",
            "text/javascript; charset=utf-8",
        ),
        (
            "/swagger/swagger-ui-bundle.js",
            "text/javascript; charset=utf-8",
        ),
        ("/swagger/swagger-ui.css", "text/css; charset=utf-8"),
        ("/swagger/favicon-32x32.png", "image/png"),
    ] {
        let answer = get(&shop, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
    }
}

#[tokio::test]
async fn pages_and_documents_are_sent_compressed_and_once() {
    let shop = Shop::open().await;
    let mut mismatches = Mismatches::default();
    for path in [
        "/swagger/",
        "/swagger/swagger-ui-bundle.js",
        swagger::DOCUMENT,
        swagger::YAML,
        "/problems",
        "/problems/not-found",
    ] {
        let ask = |name: &'static str, value: String| {
            let request = Request::get(path).header(name, value).body(Body::empty());
            let client = shop.stranger();
            async move { client.request(request.unwrap()).await }
        };
        let plain = get(&shop, path).await;
        mismatches.compare(path, plain.header("cache-control"), Some("no-cache"));
        let packed = ask("accept-encoding", "gzip".to_owned()).await;
        mismatches.compare(path, packed.header("content-encoding"), Some("gzip"));
        mismatches.compare(path, packed.bytes.len() < plain.bytes.len(), true);
        mismatches.compare(path, packed.header("etag"), plain.header("etag"));
        let etag = plain.header("etag").unwrap_or_default().to_owned();
        let again = ask("if-none-match", etag).await;
        mismatches.compare(path, (again.status.as_u16(), again.bytes.len()), (304, 0));
    }
}

#[tokio::test]
async fn answers_of_the_api_are_not_compressed() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let request = Request::get("/api/v1/products").header("accept-encoding", "gzip");
    let answer = admin.request(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header("content-encoding"), None);
    assert!(answer.header("etag").unwrap().starts_with('"'));
}

#[tokio::test]
async fn answers_of_the_api_may_load_nothing_at_all() {
    let shop = Shop::open().await;
    for path in ["/api/v1/products", "/nothing", "/_ping", swagger::DOCUMENT] {
        let answer = get(&shop, path).await;
        assert_eq!(
            answer.header("content-security-policy"),
            Some("default-src 'none'; frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
    }
}

fn json_document() -> Value {
    serde_json::from_str(&document().unwrap().json).unwrap()
}

async fn get(shop: &Shop, path: &str) -> Answer {
    let request = Request::get(path).body(Body::empty()).unwrap();
    shop.stranger().request(request).await
}

/// Path, method and operation.
fn operations(document: &Value) -> Vec<(String, &'static str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            METHODS
                .iter()
                .filter_map(move |method| Some((path.clone(), *method, item.get(method)?)))
        })
        .collect()
}

/// The answers of an operation by status, whether they are its own or shared.
fn responses<'a>(document: &'a Value, operation: &'a Value) -> BTreeMap<String, &'a Value> {
    let responses = operation["responses"].as_object().unwrap();
    responses
        .iter()
        .map(|(status, response)| (status.clone(), resolved(document, response)))
        .collect()
}

fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    part["$ref"].as_str().map_or(part, |reference| {
        let pointer = reference.strip_prefix('#').unwrap();
        document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{reference} is not there"))
    })
}

/// The problems that an answer shows, by their names.
fn problems(document: &Value, response: &Value) -> BTreeSet<String> {
    let examples = response["content"]["application/problem+json"]["examples"].as_object();
    examples
        .expect("a problem shows examples")
        .values()
        .map(|example| &resolved(document, example)["value"])
        .map(|problem| {
            assert_eq!(
                problem["status"].as_u64(),
                Kind::named(name_of(problem)).map(|kind| kind.status.as_u16().into())
            );
            name_of(problem).to_owned()
        })
        .collect()
}

fn name_of(problem: &Value) -> &str {
    problem["type"]
        .as_str()
        .unwrap()
        .trim_start_matches("/problems/")
}

/// What of a value does not fit a schema of the document.
fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut schema = schema.clone();
    // References lead into the document, and so the schema takes it along.
    schema["components"] = document["components"].clone();
    let validator: Validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    validator
        .iter_errors(value)
        .map(|error| format!("{} {error}", error.instance_path()))
        .collect()
}

/// The members of a value that its schema does not name.
fn undocumented(document: &Value, schema: &Value, value: &Value) -> BTreeSet<String> {
    let schema = resolved(document, schema);
    if let Some(items) = schema.get("items") {
        let elements = value.as_array().unwrap().iter();
        return elements
            .flat_map(|element| undocumented(document, items, element))
            .collect();
    }
    if let Some(kinds) = schema["oneOf"].as_array() {
        // Of several kinds it is the one that names the most of it.
        let kinds = kinds.iter().map(|kind| undocumented(document, kind, value));
        return kinds.min_by_key(BTreeSet::len).unwrap_or_default();
    }
    let Some(members) = value.as_object() else {
        return BTreeSet::new();
    };
    let mut properties = BTreeMap::new();
    collect_properties(document, schema, &mut properties);
    members
        .iter()
        .flat_map(|(name, value)| match properties.get(name) {
            None => BTreeSet::from([name.clone()]),
            Some(schema) => undocumented(document, schema, value),
        })
        .collect()
}

fn collect_properties<'a>(
    document: &'a Value,
    schema: &'a Value,
    properties: &mut BTreeMap<String, &'a Value>,
) {
    let schema = resolved(document, schema);
    if let Some(own) = schema["properties"].as_object() {
        properties.extend(own.iter().map(|(name, schema)| (name.clone(), schema)));
    }
    for part in ["allOf", "oneOf"] {
        for part in schema[part].as_array().into_iter().flatten() {
            collect_properties(document, part, properties);
        }
    }
}

fn collect_references(value: &Value, references: &mut BTreeSet<String>) {
    visit(value, &mut |value| {
        if let Some(reference) = value["$ref"].as_str() {
            references.insert(reference.to_owned());
        }
    });
}

/// Every value within, and itself.
fn visit(value: &Value, see: &mut impl FnMut(&Value)) {
    see(value);
    match value {
        Value::Object(members) => members.values().for_each(|value| visit(value, see)),
        Value::Array(elements) => elements.iter().for_each(|value| visit(value, see)),
        _ => {}
    }
}

fn strings(list: &Value, member: &str) -> Vec<String> {
    let elements = list.as_array().unwrap().iter();
    elements
        .map(|element| element[member].as_str().unwrap().to_owned())
        .collect()
}

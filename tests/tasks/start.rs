//! Settings, and what a start makes of them.

use std::{net::TcpListener, time::Duration};

use axum::http::Method;
use boxcar::{
    app::App,
    models::{customer_accounts, customers, orders, products},
};
use loco_rs::{app::Hooks, boot::StartMode, environment::Environment};
use sea_orm::{Database, DatabaseConnection, EntityTrait, PaginatorTrait};
use serde_json::{Value, json};

use tokio::time::sleep;

use crate::support::{
    Outcome, PASSWORD, Program, Server, TestDatabase, assert_invariants, free_port, request_at,
};

/// What signs the tokens of development and tests.
const PUBLIC_SECRET: &str =
    "Ym94Y2FyLWRldmVsb3BtZW50LW9ubHkta2V5LW5vdC1mb3ItcHJvZHVjdGlvbi1hdC1hbGwtMDEyMzQ1Njc4OQ==";

#[tokio::test]
async fn a_setting_that_is_not_known_is_refused() {
    let why = refusal(|settings| settings["store"]["curency"] = json!("EUR")).await;
    assert!(why.contains("unknown field `curency`"), "{why}");
}

#[tokio::test]
async fn a_section_that_is_not_known_is_refused() {
    let why = refusal(|settings| settings["shop"] = json!({})).await;
    assert!(why.contains("unknown field `shop`"), "{why}");
}

#[tokio::test]
async fn a_setting_that_is_missing_is_named() {
    let why = refusal(|settings| settings["store"] = json!({})).await;
    assert!(why.contains("missing field `currency`"), "{why}");
}

#[tokio::test]
async fn a_currency_is_three_capital_letters() {
    for currency in ["usd", "EURO", "", "€"] {
        let why = refusal(|settings| settings["store"]["currency"] = json!(currency)).await;
        assert_eq!(
            why,
            format!("STORE_CURRENCY (settings.store.currency): {currency} is not an ISO 4217 code")
        );
    }
}

#[tokio::test]
async fn passwords_of_less_than_eight_characters_cannot_be_allowed() {
    let why = refusal(|settings| settings["security"]["password_min_length"] = json!(7)).await;
    assert_eq!(
        why,
        "settings.security.password_min_length: must be between 8 and 64"
    );
}

#[tokio::test]
async fn an_address_that_is_not_understood_is_refused_without_its_password() {
    for address in [
        "oracle://shop:s3cret@localhost/shop",
        "mysql://shop:s3cret@localhost:99999/shop",
        "postgres://shop:s3cret@local host/shop",
        "postgres://shop:s3cret@localhost:port/shop",
        "mysql:shop:s3cret@localhost/shop",
        "shop:s3cret@localhost/shop",
    ] {
        let outcome = refused(Program::production().on(address), "DATABASE_URL").await;
        assert!(!format!("{outcome:?}").contains("s3cret"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_pool_of_no_connections_is_refused() {
    let program = Program::production().env("DB_MAX_CONNECTIONS", "0");
    refused(program, "DB_MAX_CONNECTIONS").await;
}

#[tokio::test]
async fn every_environment_has_a_configuration_that_is_accepted() {
    for program in [
        Program::new("development"),
        Program::new("test"),
        Program::production(),
    ] {
        let outcome = program.run(&["routes"]).await;
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
}

#[tokio::test]
async fn production_does_not_start_without_a_secret() {
    refused(Program::new("production"), "JWT_SECRET").await;
}

#[tokio::test]
async fn a_secret_that_is_empty_short_or_not_base64_is_refused() {
    let long = "not base64".repeat(20);
    for (secret, why) in [
        ("", "is missing"),
        ("QUJD", "is shorter than 64 bytes"),
        (&long, "is not base64"),
        (PUBLIC_SECRET, "is the public one"),
    ] {
        let program = Program::new("production").env("JWT_SECRET", secret);
        refused(program, &format!("JWT_SECRET (auth.jwt.secret): {why}")).await;
    }
}

#[test]
fn the_secret_of_development_is_known_to_be_public() {
    let config = include_str!("../../config/development.yaml");
    assert!(config.contains(&format!(
        "get_env(name=\"JWT_SECRET\", default=\"{PUBLIC_SECRET}\")"
    )));
    assert!(boxcar::settings::is_public_secret(PUBLIC_SECRET));
}

#[tokio::test]
async fn the_doctor_names_every_setting_that_is_not_safe_in_production() {
    let unsafe_settings = [
        ("RATE_LIMIT_REQUESTS", "0"),
        ("LOGIN_FAILURES", "0"),
        ("METRICS", "true"),
        ("SEED_DEMO", "true"),
        ("DB_LOGGING", "true"),
        ("ADMIN_PASSWORD", PASSWORD),
        ("JWT_EXPIRATION", "604800"),
    ];
    let program = unsafe_settings
        .iter()
        .fold(Program::production(), |program, (name, value)| {
            program.env(name, value)
        });
    let outcome = program.run(&["doctor", "--production"]).await;
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    for (name, _) in unsafe_settings {
        assert!(outcome.stdout.contains(name), "{name}: {outcome:?}");
    }
    assert!(!outcome.stdout.contains(PASSWORD), "{outcome:?}");
}

#[tokio::test]
async fn the_doctor_finds_nothing_unsafe_in_production_as_it_is() {
    for (variable, value) in [
        ("BINDING", "0.0.0.0"),
        ("TRUSTED_PROXY_HEADER", "X-Forwarded-For"),
    ] {
        let program = Program::production().env(variable, value);
        let outcome = program.run(&["doctor"]).await;
        assert_eq!(outcome.code, Some(0), "{variable}: {outcome:?}");
        let said = "every setting is safe";
        assert!(outcome.stdout.contains(said), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_doctor_says_that_the_proxy_on_this_machine_is_not_trusted() {
    for binding in ["localhost", "127.0.0.1", "127.8.0.1", "::1", "[::1]"] {
        let program = Program::production().env("BINDING", binding);
        let outcome = program.run(&["doctor"]).await;
        assert_eq!(outcome.code, Some(1), "{binding}: {outcome:?}");
        let said = "TRUSTED_PROXY_HEADER is not set";
        assert!(outcome.stdout.contains(said), "{binding}: {outcome:?}");
    }
}

#[tokio::test]
async fn the_doctor_of_development_needs_no_checkout() {
    for arguments in [&["doctor"][..], &["doctor", "-e", "development"]] {
        let outcome = Program::new("development").run(arguments).await;
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let said = "safe for development only";
        assert!(outcome.stdout.contains(said), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_doctor_says_whether_the_database_has_its_tables() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store.sqlite");
    let program = || Program::new("test").on(&format!("sqlite://{}?mode=rwc", file.display()));
    let doctor = async |said: &str, code| {
        let program = program().env("DB_AUTO_MIGRATE", "false");
        let outcome = program.run(&["doctor"]).await;
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert!(outcome.stdout.contains(said), "{outcome:?}");
    };
    doctor("`boxcar-cli db migrate` runs them", 1).await;
    let outcome = program().run(&["doctor"]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("the next start runs them"));
    program().run(&["db", "migrate"]).await;
    doctor("the database has all of them", 0).await;
}

#[tokio::test]
async fn the_program_gives_its_name_and_version() {
    let name = concat!("Boxcar ", env!("CARGO_PKG_VERSION"), "\n");
    for option in ["--version", "-V", "--help", "-h", "help"] {
        let outcome = Program::new("test").run(&[option]).await;
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(outcome.stdout.starts_with(name), "{option}: {outcome:?}");
    }
}

#[tokio::test]
async fn the_doctor_says_that_redis_does_not_answer() {
    let program = Program::production().env("REDIS_URL", "redis://127.0.0.1:1");
    let outcome = program.run(&["doctor", "--production"]).await;
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("Redis: fails"), "{outcome:?}");
}

#[tokio::test]
async fn the_first_administrator_is_made_from_the_environment() {
    let program = Program::production()
        .env("ADMIN_USERNAME", "root")
        .env("ADMIN_PASSWORD", PASSWORD);
    let server = Server::start(program).await;
    let answer = login(&server, "root", PASSWORD).await;
    assert_eq!(answer["account"]["role"], "admin");
    assert!(!server.printed().contains(PASSWORD));
}

#[tokio::test]
async fn the_first_administrators_password_may_hold_any_character() {
    let password = "kettle's \"9\" {anvil} \\fjord# : ü";
    let program = Program::production()
        .env("ADMIN_USERNAME", "root")
        .env("ADMIN_PASSWORD", password);
    let server = Server::start(program).await;
    let answer = login(&server, "root", password).await;
    assert_eq!(answer["account"]["role"], "admin");
}

#[tokio::test]
async fn a_name_without_a_password_or_a_password_without_a_name_is_refused() {
    for (variable, value) in [("ADMIN_USERNAME", "root"), ("ADMIN_PASSWORD", PASSWORD)] {
        let program = Program::production().env(variable, value);
        refused(
            program,
            "ADMIN_USERNAME and ADMIN_PASSWORD have to be set together",
        )
        .await;
    }
}

#[tokio::test]
async fn a_first_administrator_with_a_weak_password_is_refused() {
    let program = Program::production()
        .env("ADMIN_USERNAME", "root")
        .env("ADMIN_PASSWORD", "password1234");
    refused(program, "ADMIN_PASSWORD is easily guessed").await;
}

#[tokio::test]
async fn a_first_administrator_with_a_bad_name_is_refused() {
    let program = Program::production()
        .env("ADMIN_USERNAME", "the boss")
        .env("ADMIN_PASSWORD", PASSWORD);
    refused(program, "ADMIN_USERNAME must ").await;
}

#[tokio::test]
async fn production_begins_with_an_empty_store_and_prints_no_password() {
    let database = TestDatabase::create().await;
    let server = Server::start(Program::production().on(&database.uri())).await;
    assert_eq!(counts(&connected(&database).await).await, [0; 4]);
    assert!(!server.printed().contains("shown by this start only"));
}

#[tokio::test]
async fn a_development_start_says_where_the_api_is_and_how_to_log_in() {
    let server = Server::start(Program::new("development")).await;
    let printed = server.printed();
    let api = format!("API      http://localhost:{}/api/v1\n", server.port);
    assert!(printed.contains(&api), "{printed}");
    let answer = login(&server, "admin", printed_password(&printed)).await;
    assert_eq!(answer["account"]["role"], "admin");
}

#[tokio::test]
async fn a_port_of_the_command_line_is_listened_on_and_printed() {
    for option in ["-p", "--port"] {
        let port = free_port();
        let program = Program::new("development").env("SEED_DEMO", "false");
        let mut running = program.start(&["start", option, &port.to_string()]);
        let path = "/_readiness";
        while request_at(port, Method::GET, path, "", None).await.is_err() {
            assert!(running.ended().is_none(), "{}", running.stdout());
            sleep(Duration::from_millis(20)).await;
        }
        let printed = running.stdout();
        let api = format!("API      http://localhost:{port}/api/v1\n");
        assert!(printed.contains(&api), "{printed}");
        assert!(!printed.contains(":5150"), "{printed}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_listen_does_not_say_that_it_does() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let program = Program::new("development").env("BINDING", "127.0.0.1");
    let outcome = program.run(&["start", "-p", &port]).await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains(&port), "{outcome:?}");
    assert!(!outcome.stdout.contains("listening"), "{outcome:?}");
    assert!(!outcome.stdout.contains("http://"), "{outcome:?}");
}

#[tokio::test]
async fn in_production_every_line_is_json() {
    for arguments in [&["start"][..], &["start", "--all"], &["s"]] {
        let port = free_port();
        let program = Program::production().env("PORT", &port.to_string());
        let program = program.env("SHUTDOWN_DELAY_SECONDS", "0");
        let mut running = program.start(arguments);
        while request_at(port, Method::GET, "/api/v1/orders", "", None)
            .await
            .is_err()
        {
            assert!(running.ended().is_none(), "{}", running.stdout());
            sleep(Duration::from_millis(20)).await;
        }
        running.terminate();
        let outcome = running.end().await;
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert_eq!(outcome.stderr, "");
        let lines = outcome.stdout.lines().map(serde_json::from_str::<Value>);
        let messages: Vec<_> = lines
            .map(|line| {
                line.unwrap_or_else(|why| panic!("{arguments:?}: {why}: {}", outcome.stdout))
            })
            .map(|line| line["fields"]["message"].clone())
            .collect();
        assert!(messages.contains(&json!("listening")), "{messages:?}");
        assert_eq!(messages.last(), Some(&json!("shutting down")));
    }
}

#[tokio::test]
async fn a_development_start_fills_an_empty_store_with_the_demo() {
    let database = TestDatabase::create().await;
    let _server = Server::start(Program::new("development").on(&database.uri())).await;
    let db = connected(&database).await;
    let [products, customers, ..] = counts(&db).await;
    assert!(products >= 200, "{products} products");
    assert!(customers >= 10, "{customers} customers");
    assert_invariants(&db).await;
}

#[tokio::test]
async fn the_demo_has_orders_in_every_status() {
    let server = Server::start(Program::new("development")).await;
    let password = printed_password(&server.printed()).to_owned();
    let token = login(&server, "admin", &password).await["token"].clone();
    for status in ["placed", "paid", "shipped", "delivered", "cancelled"] {
        let path = format!("/api/v1/orders?status={status}");
        let answer = server
            .request(Method::GET, &path, token.as_str(), None)
            .await;
        assert!(answer.body["total_items"].as_i64() > Some(0), "{status}");
    }
}

#[tokio::test]
async fn the_demo_has_rates_products_of_several_classes_and_a_code() {
    let server = Server::start(Program::new("development")).await;
    let password = printed_password(&server.printed()).to_owned();
    let token = login(&server, "admin", &password).await["token"].clone();
    for (list, field, expected) in [
        (
            "tax-rates?country=DE&tax_class=standard",
            "rate",
            json!("19"),
        ),
        ("tax-rates?country=DE&tax_class=reduced", "rate", json!("7")),
        ("shipping-rates?sort=position", "countries", json!(["DE"])),
        ("shipping-rates?sort=-position", "countries", json!(["*"])),
        ("products?q=coffee", "tax_class", json!("reduced")),
        ("products?q=gift+card", "tax_class", json!("zero")),
        ("products?q=hammer", "tax_class", json!("standard")),
        ("discounts?code=welcome10", "value", json!("10")),
    ] {
        let path = format!("/api/v1/{list}");
        let answer = server
            .request(Method::GET, &path, token.as_str(), None)
            .await;
        assert_eq!(answer.body["items"][0][field], expected, "{list}");
    }
}

#[tokio::test]
async fn only_in_development_a_quota_that_is_used_up_names_its_variable() {
    for (program, names) in [
        (Program::new("development"), true),
        (Program::production(), false),
    ] {
        let program = program.env("SEED_DEMO", "false");
        let server = Server::start(program.env("RATE_LIMIT_REQUESTS", "1")).await;
        let path = "/api/v1/products";
        server.ask(Method::GET, path).await.unwrap();
        let answer = server.ask(Method::GET, path).await.unwrap();
        answer.assert_problem(429, "rate-limited");
        let detail = answer.body["detail"].as_str().unwrap();
        assert_eq!(detail.contains("RATE_LIMIT_REQUESTS"), names, "{detail}");
    }
}

#[tokio::test]
async fn a_second_start_adds_nothing_and_prints_no_password() {
    let database = TestDatabase::create().await;
    let program = || Program::new("development").on(&database.uri());
    drop(Server::start(program()).await);
    let before = counts(&connected(&database).await).await;
    let server = Server::start(program()).await;
    assert_eq!(counts(&connected(&database).await).await, before);
    assert!(!server.printed().contains("shown by this start only"));
}

/// Why a shop with changed settings does not open.
async fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let database = TestDatabase::create().await;
    let mut config = database.configuration().await;
    change(config.settings.as_mut().unwrap());
    App::boot(StartMode::ServerOnly, &Environment::Test, config)
        .await
        .err()
        .expect("the shop does not open")
        .to_string()
}

/// Starts a server that must end by itself, for that reason.
async fn refused(program: Program, why: &str) -> Outcome {
    let outcome = Server::refused(program).await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains(why), "{outcome:?}");
    outcome
}

async fn login(server: &Server, username: &str, password: &str) -> Value {
    let body = json!({ "username": username, "password": password });
    let answer = server
        .request(Method::POST, "/api/v1/auth/login", None, Some(&body))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn printed_password(printed: &str) -> &str {
    let (_, rest) = printed
        .split_once("\"admin\", with the password \"")
        .unwrap();
    rest.split('"').next().unwrap()
}

async fn connected(database: &TestDatabase) -> DatabaseConnection {
    Database::connect(database.uri()).await.unwrap()
}

/// How many products, customers, accounts of customers and administrators, and orders there are.
async fn counts(db: &DatabaseConnection) -> [u64; 4] {
    [
        products::Entity::find().count(db).await.unwrap(),
        customers::Entity::find().count(db).await.unwrap(),
        customer_accounts::Entity::find().count(db).await.unwrap(),
        orders::Entity::find().count(db).await.unwrap(),
    ]
}

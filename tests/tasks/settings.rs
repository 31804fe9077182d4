//! What a start says of settings that cannot be, or are not safe.

use std::{io::Read, net::TcpListener, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use boxcar::initializers::config_audit::ConfigAudit;
use loco_rs::app::Initializer;

use crate::support::{Outcome, Program, Server, Shop, SmtpServer, TestDatabase, free_port};

/// What no output may show.
const SECRET: &str = "dbS3cret";

/// Addresses that a password, or a slip, has broken, each with what is said of it.
const BROKEN: [(&str, &str); 13] = [
    ("postgres://boxcar:dbS3cret/1@h/x", "invalid port number"),
    ("postgres://boxcar:dbS3cret#1@h/x", "invalid port number"),
    ("mysql://boxcar:dbS3cret?1@h/x", "invalid port number"),
    ("mysql://boxcar:12/dbS3cret@h/x", "the host ends too early"),
    ("mysql://boxcar:12#dbS3cret@h/x", "the host ends too early"),
    ("mysql://boxcar:12?dbS3cret@h/x", "the host ends too early"),
    ("postgres://boxcar:dbS3cret@h:port/x", "invalid port number"),
    (
        "postgres://boxcar:dbS3cret@h:99999/x",
        "invalid port number",
    ),
    ("postgres://boxcar:dbS3cret@/x", "empty host"),
    ("mysql://boxcar:dbS3cret@[::1/x", "invalid IPv6 address"),
    ("mysql://boxcar:dbS3cret%ff@h/x", "invalid utf-8"),
    ("oracle://boxcar:dbS3cret@h/x", ""),
    (" postgres://boxcar:dbS3cret @h/x", ""),
];

#[test]
fn every_environment_has_the_settings_of_development() {
    fn keys(file: &str) -> Vec<&str> {
        let lines = file.lines().filter_map(|line| line.split_once(':'));
        let keys = lines.map(|(key, _)| key);
        keys.filter(|key| !key.contains('#')).collect()
    }
    let development = keys(include_str!("../../config/development.yaml"));
    for other in [
        include_str!("../../config/test.yaml"),
        include_str!("../../config/production.yaml"),
    ] {
        assert_eq!(keys(other), development);
    }
}

#[tokio::test]
async fn no_address_of_a_database_is_repeated_when_a_start_fails() {
    let own = [
        ("boxcar:dbS3cret@h/x", "has to begin with"),
        ("MYSQL://boxcar:dbS3cret@h/x", "has to begin with"),
        ("postgres:boxcar:dbS3cret@h/x", "has to begin with"),
        ("mysql://boxcar:dbS3cret@h/x?ssl-mode=SURE", "ssl"),
        ("sqlite://boxcar:dbS3cret@h/x", "names a file"),
        ("dbS3cret", "has to begin with"),
        ("", "has to begin with"),
    ];
    for (address, why) in BROKEN.into_iter().chain(own) {
        let outcome = refused(Program::new("test").on(address)).await;
        assert_named(&outcome, address, "DATABASE_URL (database.uri): ", why);
    }
}

#[tokio::test]
async fn no_address_of_a_redis_is_repeated_when_a_start_fails() {
    let of_redis = |address: &str| {
        let address = address.replace("postgres:", "redis:");
        address.replace("mysql:", "rediss:")
    };
    let own = [
        ("redis://:dbS3cret@h/first", "database number"),
        ("redis:dbS3cret@h", "://"),
        ("dbS3cret", "relative URL"),
    ];
    for (address, why) in BROKEN.into_iter().chain(own) {
        if address.starts_with(' ') {
            continue;
        }
        let address = of_redis(address);
        let program = Program::new("test").env("REDIS_URL", &address);
        let outcome = refused(program).await;
        // The two libraries say some things in their own words.
        let why = if why.contains("utf-8") { "" } else { why };
        assert_named(&outcome, &address, "REDIS_URL (settings.redis.url): ", why);
    }
}

#[tokio::test]
async fn no_address_of_a_server_for_mails_is_repeated_when_a_start_fails() {
    let own = [
        ("smtp://boxcar:dbS3cret@h/box", "nothing may follow"),
        ("smtp://:dbS3cret@h", "a user and a password go together"),
        ("http://boxcar:dbS3cret@h", "smtp:// or smtps://"),
        ("dbS3cret", "relative URL"),
    ];
    for (address, why) in own {
        let program = Program::new("test").env("SMTP_URL", address);
        let outcome = refused(program).await;
        assert_named(
            &outcome,
            address,
            "SMTP_URL (settings.mail.smtp_url): ",
            why,
        );
    }
}

#[tokio::test]
async fn mails_that_are_sent_need_an_address_to_come_from() {
    let program = Program::production().env("SMTP_URL", "smtps://boxcar:dbS3cret@h");
    let outcome = refused(program).await;
    let why = "is required with SMTP_URL";
    assert_named(&outcome, "", "MAIL_FROM (settings.mail.from): ", why);
}

#[tokio::test]
async fn the_doctor_says_whether_mails_are_sent() {
    let outcome = Program::production().run(&["doctor"]).await;
    let why = "no mails are sent: SMTP_URL is not set";
    assert!(outcome.stdout.contains(why), "{outcome:?}");
    let program = Program::new("development").run(&["doctor"]).await;
    let why = "mails are written to files in mails";
    assert!(program.stdout.contains(why), "{program:?}");
    let server = SmtpServer::start(&[]).await;
    for (port, said) in [
        (server.port, "the server for mails works"),
        (free_port(), "the server for mails does not work"),
    ] {
        let outcome = Program::production()
            .env("SMTP_URL", &format!("smtp://127.0.0.1:{port}"))
            .env("MAIL_FROM", "shop@example.com")
            .run(&["doctor"])
            .await;
        assert!(outcome.stdout.contains(said), "{outcome:?}");
    }
}

#[tokio::test]
async fn no_address_of_a_copy_is_repeated_when_it_fails() {
    for (address, why) in BROKEN {
        let to = format!("to:{address}");
        let outcome = Program::new("test").run(&["task", "store:copy", &to]).await;
        assert_eq!(outcome.code, Some(1), "{address}: {outcome:?}");
        assert_named(&outcome, address, "to: ", why);
    }
}

#[tokio::test]
async fn mariadb_may_be_called_by_its_name() {
    let program = Program::new("test")
        .on("mariadb://boxcar:dbS3cret@127.0.0.1:1/x")
        .env("DB_CONNECT_TIMEOUT", "200");
    let outcome = refused(program).await;
    // There is no such server: the driver has taken the address.
    assert!(outcome.stderr.contains("pool timed out"), "{outcome:?}");
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_with_host_and_port() {
    for scheme in ["mysql", "mariadb", "postgres"] {
        for command in ["start", "doctor"] {
            let program = Program::new("test")
                .on(&format!("{scheme}://boxcar:dbS3cret@127.0.0.1:1/x"))
                .env("DB_CONNECT_TIMEOUT", "200");
            let outcome = program.run(&[command]).await;
            assert_eq!(outcome.code, Some(1), "{outcome:?}");
            let why =
                "DATABASE_URL (database.uri): the database at 127.0.0.1, port 1, cannot be reached";
            assert!(outcome.stderr.contains(why), "{scheme}: {outcome:?}");
            assert!(!format!("{outcome:?}").contains(SECRET), "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn the_program_holds_the_configuration_of_every_environment() {
    for environment in ["development", "test", "production"] {
        let program = anywhere(environment);
        let outcome = program.run(&["routes"]).await;
        assert_eq!(outcome.code, Some(0), "{environment}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_value_of_the_configuration_in_the_program_is_named_with_its_variable() {
    for (variable, value) in [("PORT", "many"), ("STORE_CURRENCY", "usd")] {
        let program = anywhere("production").env(variable, value);
        let outcome = program.run(&["routes"]).await;
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(variable), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_file_in_a_folder_takes_the_place_of_that_in_the_program() {
    let file = include_str!("../../config/production.yaml").replace("USD", "no currency");
    for (folder, variable) in [("config", None), ("conf", Some("conf"))] {
        let program = anywhere("production").file(&format!("{folder}/production.yaml"), &file);
        let program = match variable {
            Some(folder) => program.env("LOCO_CONFIG_FOLDER", folder),
            None => program,
        };
        let outcome = program.run(&["routes"]).await;
        assert!(outcome.stderr.contains("no currency"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_local_file_changes_single_keys_of_the_configuration_in_the_program() {
    for (local, why) in [
        ("server: { port: 70000 }", "server.port"),
        (
            "settings: { store: { currency: eur } }",
            "settings.store.currency",
        ),
        (
            "settings: { store: { curency: EUR } }",
            "unknown field `curency`",
        ),
        ("server: { port: many }", "config/production.local.yaml: "),
        ("server: [", "config/production.local.yaml: "),
    ] {
        let program = anywhere("production").file("config/production.local.yaml", local);
        let outcome = program.run(&["routes"]).await;
        assert!(outcome.stderr.contains(why), "{local}: {outcome:?}");
    }
    let secret = BASE64_STANDARD.encode(rand::random::<[u8; 64]>());
    let local = format!("auth: {{ jwt: {{ secret: {secret} }} }}");
    let program = anywhere("production").without("JWT_SECRET");
    let program = program.file("conf/production.local.yaml", &local);
    let outcome = program
        .env("LOCO_CONFIG_FOLDER", "conf")
        .run(&["routes"])
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[tokio::test]
async fn a_folder_of_other_files_does_not_hide_the_configuration_in_the_program() {
    let program = anywhere("production").file("config/nginx.yaml", "a: 1");
    let outcome = program.run(&["routes"]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[tokio::test]
async fn a_configuration_that_is_not_found_is_named_with_the_environments_there_are() {
    for (environment, folder, file) in [
        ("prod", "", "config/prod.yaml"),
        ("Production", "", "config/Production.yaml"),
        (
            "production",
            "/no/such/folder",
            "/no/such/folder/production.yaml",
        ),
        ("staging", "/no/such/folder", "/no/such/folder/staging.yaml"),
    ] {
        let program = anywhere(environment).env("LOCO_CONFIG_FOLDER", folder);
        let outcome = program.run(&["routes"]).await;
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        for said in [file, "development, test or production"] {
            assert!(outcome.stderr.contains(said), "{outcome:?}");
        }
    }
}

/// The program in that environment, with no file but itself.
fn anywhere(environment: &str) -> Program {
    let secret = BASE64_STANDARD.encode(rand::random::<[u8; 64]>());
    let program = Program::new(environment).without("LOCO_CONFIG_FOLDER");
    program.env("JWT_SECRET", &secret)
}

#[tokio::test]
async fn a_directory_that_is_missing_is_named() {
    let program = Program::new("test").on("sqlite:///no/such/place/store.sqlite?mode=rwc");
    let outcome = refused(program).await;
    let why = "DATABASE_URL (database.uri): there is no directory /no/such/place";
    assert!(outcome.stderr.contains(why), "{outcome:?}");
}

#[tokio::test]
async fn a_value_that_cannot_be_is_named_with_its_variable() {
    for (variable, key, values) in wrong_values() {
        for value in values {
            let program = Program::new("development").env(variable, value);
            let outcome = program.run(&["routes"]).await;
            let stderr = outcome.stderr;
            assert_eq!(outcome.code, Some(1), "{variable}={value}: {stderr}");
            for name in [variable, key] {
                assert!(stderr.contains(name), "{variable}={value}: {stderr}");
            }
        }
    }
}

/// Variables, the settings that they are for, and values that these cannot have.
#[rustfmt::skip]
fn wrong_values() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let (empty, word, most) = ("", "many", "18446744073709551615");
    let long = "999999999999999999999999999999";
    vec![
        ("PORT", "server.port", vec![empty, word, "70000", "-1", "0", "1.5"]),
        ("REQUEST_TIMEOUT", "server.middlewares.timeout_request.timeout", vec![empty, word, "0", "-1", most]),
        ("DB_LOGGING", "database.enable_logging", vec![empty, "yes"]),
        ("DB_AUTO_MIGRATE", "database.auto_migrate", vec![empty, "1"]),
        ("DB_CONNECT_TIMEOUT", "database.connect_timeout", vec![empty, word, "0", most]),
        ("DB_IDLE_TIMEOUT", "database.idle_timeout", vec![empty, word, "0", most]),
        ("DB_MIN_CONNECTIONS", "database.min_connections", vec![empty, word, "-1", "17"]),
        ("DB_MAX_CONNECTIONS", "database.max_connections", vec![empty, word, "0", "-1", "4294967296"]),
        ("JWT_EXPIRATION", "auth.jwt.expiration", vec![empty, word, "0", most]),
        ("LOG_LEVEL", "logger.level", vec!["loud"]),
        ("BINDING", "server.binding", vec![empty]),
        ("JWT_SECRET", "auth.jwt.secret", vec!["it's short"]),
        ("JWT_SECRET_PREVIOUS", "settings.security.previous_jwt_secret", vec!["QUJD"]),
        ("STORE_CURRENCY", "settings.store.currency", vec![empty, "usd", "it's"]),
        ("LOGIN_FAILURES", "settings.security.login_failures", vec![empty, word, "-1", long]),
        ("VERIFY_HOURS", "settings.security.verify_hours", vec![word, "0", "-1", "8761", "NaN"]),
        ("RESET_HOURS", "settings.security.reset_hours", vec![word, "0", "-1", "8761"]),
        ("LOGIN_FAILURES_PERIOD_SECONDS", "settings.security.login_failures_period_seconds", vec![empty, word, "0", most]),
        ("RATE_LIMIT_REQUESTS", "settings.rate_limit.requests", vec![empty, word, "1.5"]),
        ("RATE_LIMIT_PERIOD_SECONDS", "settings.rate_limit.period_seconds", vec![empty, "0", most]),
        ("RATE_LIMIT_ON_ERROR", "settings.rate_limit.on_error", vec![empty, "maybe"]),
        ("CACHE_MAX_BYTES", "settings.cache.max_bytes", vec![empty, "64M", most]),
        ("CACHE_TTL_SECONDS", "settings.cache.ttl_seconds", vec![empty, "0", most]),
        ("RELAY", "settings.deliveries.relay", vec![empty, "yes"]),
        ("DELIVERIES_KEEP_DAYS", "settings.deliveries.keep_days", vec![empty, word, "0", most]),
        ("EVENTS_KEEP_DAYS", "settings.events.keep_days", vec![empty, word, "-1", most]),
        ("WEBHOOK_ALLOW_PRIVATE", "settings.webhooks.allow_private", vec![empty, "1"]),
        ("WEBHOOK_RETRY_SECONDS", "settings.webhooks.retry_seconds", vec![word, "5,,6", "5;6", "-1", most]),
        ("WEBHOOK_SECRET_OVERLAP_SECONDS", "settings.webhooks.secret_overlap_seconds", vec![empty, word, "-1", most]),
        ("WEBHOOK_DISABLE_AFTER_SECONDS", "settings.webhooks.disable_after_seconds", vec![empty, word, "0", most]),
        ("SEED_DEMO", "settings.demo.seed", vec![empty, "perhaps"]),
        ("SMTP_URL", "settings.mail.smtp_url", vec!["localhost", "http://localhost", "smtp://ada@localhost", "smtp://localhost/box"]),
        ("MAIL_FROM", "settings.mail.from", vec!["Shop", "a@example.com, b@example.com", "bücher@example.com"]),
        ("SHOP_NAME", "settings.mail.shop_name", vec![empty, " ", " Shop"]),
        ("SHOP_URL", "settings.mail.shop_url", vec!["shop.example", "ftp://shop.example", "https://a:b@shop.example", "https://shop.example?a=b"]),
        ("METRICS", "settings.metrics.enable", vec![empty, "0"]),
        ("MAX_CONNECTIONS", "settings.connections.max", vec![empty, "0", most]),
        ("MAX_CONNECTIONS_PER_ADDRESS", "settings.connections.max_per_address", vec![empty, "-1", most]),
        ("CONNECTION_TIMEOUT_SECONDS", "settings.connections.timeout_seconds", vec![empty, "0", most]),
        ("SHUTDOWN_DELAY_SECONDS", "settings.shutdown.delay_seconds", vec![empty, "soon", most]),
    ]
}

#[tokio::test]
async fn an_address_that_cannot_be_listened_on_is_named() {
    let program = Program::new("test").env("BINDING", "no such host");
    let outcome = refused(program).await;
    assert!(outcome.stderr.contains("BINDING and PORT"), "{outcome:?}");
}

#[tokio::test]
async fn a_server_may_listen_to_ipv6() {
    for binding in ["::1", "::", "[::1]"] {
        let program = Program::new("test").env("BINDING", binding);
        let server = Server::start_at(program, "::1".parse().unwrap()).await;
        drop(server);
    }
}

#[tokio::test]
async fn production_does_not_start_with_a_secret_that_can_be_guessed() {
    let public = BASE64_STANDARD
        .decode("Ym94Y2FyLWRldmVsb3BtZW50LW9ubHkta2V5LW5vdC1mb3ItcHJvZHVjdGlvbi1hdC1hbGwtMDEyMzQ1Njc4OQ==")
        .unwrap();
    let other_end = [&public[..public.len() - 10], b"9876543210"].concat();
    for key in [vec![0; 64], b"password".repeat(8), other_end] {
        let secret = BASE64_STANDARD.encode(key);
        for variable in ["JWT_SECRET", "JWT_SECRET_PREVIOUS"] {
            let program = Program::production().env(variable, &secret);
            let outcome = refused(program).await;
            let why = format!("{variable} (");
            assert!(outcome.stderr.contains(&why), "{outcome:?}");
            assert!(outcome.stderr.contains("easily guessed"), "{outcome:?}");
            assert!(!outcome.stderr.contains(&secret), "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn the_doctor_says_that_a_secret_can_be_guessed() {
    let database = TestDatabase::create().await;
    let mut config = database.configuration().await;
    let jwt = config.auth.as_mut().unwrap().jwt.as_mut().unwrap();
    jwt.secret = BASE64_STANDARD.encode([0; 64]);
    let shop = Shop::open_on(database, config).await;
    let check = ConfigAudit.check(&shop.ctx).await.unwrap().unwrap();
    let said = check.description.unwrap();
    assert!(said.contains("JWT_SECRET is easily guessed"), "{said}");
}

#[tokio::test]
async fn a_start_warns_when_others_can_reach_a_server_whose_secret_is_public() {
    for (binding, warns) in [("0.0.0.0", true), ("::", true), ("127.0.0.1", false)] {
        let program = Program::new("development")
            .env("SEED_DEMO", "false")
            .env("BINDING", binding);
        let server = Server::start_at(program, "127.0.0.1".parse().unwrap()).await;
        let printed = server.printed();
        let warned = printed.contains("anyone who reaches it can become an administrator");
        assert_eq!(warned, warns, "{binding}: {printed}");
    }
}

#[tokio::test]
async fn a_password_does_not_go_through_the_network_in_clear() {
    // A database that has no TLS. 0.0.0.0 is this machine, but nothing says so.
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 8];
        stream.read_exact(&mut request).unwrap();
        std::io::Write::write_all(&mut stream, b"N").unwrap();
        let mut rest = Vec::new();
        // The client hangs up, or sends what it must not.
        let _ = stream.read_to_end(&mut rest);
        rest
    });
    let program = Program::new("test")
        .on(&format!("postgres://boxcar:{SECRET}@0.0.0.0:{port}/x"))
        .env("DB_CONNECT_TIMEOUT", "2000");
    let outcome = refused(program).await;
    assert_eq!(heard.join().unwrap(), b"", "{outcome:?}");
    assert!(outcome.stderr.contains("TLS"), "{outcome:?}");
}

#[tokio::test]
async fn the_doctor_says_what_goes_through_the_network_in_clear() {
    let program = Program::production().env("REDIS_URL", "redis://192.0.2.1:6379");
    let outcome = program.run(&["doctor"]).await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let why = "REDIS_URL: what is said to Redis goes through the network in clear";
    assert!(outcome.stdout.contains(why), "{outcome:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_of_a_store_are_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store.sqlite");
    let address = format!("sqlite://{}?mode=rwc", file.display());
    let server = Server::start(Program::production().on(&address)).await;
    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        assert_eq!(mode(&directory.path().join(name)), 0o600, "{name}");
    }
    drop(server);
    let copy = directory.path().join("copy.sqlite");
    let to = format!("to:sqlite://{}?mode=rwc", copy.display());
    let program = Program::production().on(&address);
    let outcome = program.run(&["task", "store:copy", &to]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(mode(&copy), 0o600);
}

#[cfg(unix)]
#[tokio::test]
async fn the_doctor_says_that_others_can_read_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store.sqlite");
    std::fs::write(&file, b"").unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let address = format!("sqlite://{}", file.display());
    let program = Program::production().on(&address);
    let outcome = program.run(&["doctor"]).await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let why = "other users of this machine can read the SQLite file";
    assert!(outcome.stdout.contains(why), "{outcome:?}");
    assert_eq!(mode(&file), 0o644, "it is not the doctor's to change");
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn refused(program: Program) -> Outcome {
    let outcome = Server::refused(program).await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    outcome
}

/// The setting and the reason are there, and the password is not.
fn assert_named(outcome: &Outcome, address: &str, setting: &str, why: &str) {
    let stderr = &outcome.stderr;
    for said in [setting, why] {
        assert!(stderr.contains(said), "{address}: {stderr}");
    }
    for output in [stderr, &outcome.stdout] {
        assert!(!output.contains(SECRET), "{address}: {output}");
    }
}

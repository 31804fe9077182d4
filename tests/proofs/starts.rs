//! How the program begins and ends: killed, asked to end, refused, and started by three nodes at once.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    net::TcpListener,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::http::Method;
use boxcar::models::{customer_accounts, customers, orders, products};
use migration::{Migrator, MigratorTrait};
use rand::Rng;
use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, EntityTrait,
    PaginatorTrait, QueryFilter, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait, sqlx::sqlite::SqliteJournalMode,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::support::{
    Outcome, Program, Server, TestDatabase, assert_invariants, free_port, request_at, schema,
};

/// How many first starts are killed, unless `KILLS` says how many.
const KILLS: usize = 8;

/// How often three nodes start at once.
const ROUNDS: usize = 10;

const PRODUCT: &str = "/api/v1/products";

#[tokio::test]
async fn a_migration_is_finished_wherever_it_was_cut() {
    let (clean, database) = (TestDatabase::create().await, TestDatabase::create().await);
    let steps = steps_of_the_migrations(&clean).await;
    let db = connected(&database).await;
    for steps in steps {
        Migrator::up(&db, Some(1)).await.unwrap();
        let whole = schema(&db).await;
        for cut in 1..=steps.len() {
            Migrator::down(&db, Some(1)).await.unwrap();
            for step in &steps[..cut] {
                db.execute_raw(step.clone()).await.unwrap();
            }
            let last = &steps[cut - 1].sql;
            let went_on = Migrator::up(&db, Some(1)).await;
            went_on.unwrap_or_else(|error| panic!("{error}, cut after {last}"));
            assert_eq!(schema(&db).await, whole, "cut after {last}");
        }
    }
    assert_eq!(schema(&db).await, schema(&connected(&clean).await).await);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_that_reason() {
    let database = TestDatabase::create().await;
    let db = connected(&database).await;
    Migrator::up(&db, None).await.unwrap();
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_newer', 0)";
    db.execute_unprepared(newer).await.unwrap();
    let refusal = Migrator::up(&db, None).await.unwrap_err().to_string();
    assert!(refusal.contains("a newer version"), "{refusal}");
    assert!(refusal.contains("m29990101_newer"), "{refusal}");
}

#[tokio::test]
async fn a_server_is_ready_once_its_database_has_every_migration() {
    let all = u32::try_from(Migrator::migrations().len()).unwrap();
    for (environment, applied) in [
        ("production", 0),
        ("development", 0),
        ("production", all - 1),
    ] {
        let database = TestDatabase::create().await;
        let db = connected(&database).await;
        if applied > 0 {
            Migrator::up(&db, Some(applied)).await.unwrap();
        }
        let program = || match environment {
            "production" => Program::production().on(&database.uri()),
            _ => Program::new(environment).on(&database.uri()),
        };
        let server = Server::start(program().env("DB_AUTO_MIGRATE", "false")).await;
        let readiness = async || server.ask(Method::GET, "/_readiness").await.unwrap().status;
        assert_eq!(
            readiness().await,
            503,
            "{environment}, {applied} migrations"
        );
        assert!(server.printed().contains("the database lacks migrations"));
        let migrated = program().run(&["db", "migrate"]).await;
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
        let deadline = Instant::now() + Duration::from_secs(10);
        while readiness().await != 200 {
            assert!(Instant::now() < deadline, "{}", server.printed());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test]
async fn a_server_stays_ready_when_a_newer_version_has_migrated_its_database() {
    let database = TestDatabase::create().await;
    let server = Server::start(Program::production().on(&database.uri())).await;
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_newer', 0)";
    let db = connected(&database).await;
    db.execute_unprepared(newer).await.unwrap();
    let answer = server.ask(Method::GET, "/_readiness").await.unwrap();
    assert_eq!(answer.status, 200, "{}", server.printed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_killed_is_finished_by_the_next() {
    let clean = TestDatabase::create().await;
    let begun = Instant::now();
    drop(Server::start(node(&clean)).await);
    let length = begun.elapsed();
    let db = connected(&clean).await;
    let (whole, demo) = (schema(&db).await, counts(&db).await);
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut halves = 0;
    for _ in 0..kills {
        let database = TestDatabase::create().await;
        let port = free_port().to_string();
        let first = node(&database).env("PORT", &port).start(&["start"]);
        let moment = rand::rng().random_range(Duration::ZERO..length);
        sleep(moment).await;
        first.kill();
        let first = first.end().await;
        let db = connected(&database).await;
        halves += usize::from(schema(&db).await != whole);
        let server = Server::start(node(&database)).await;
        assert_eq!(schema(&db).await, whole, "killed after {moment:?}");
        assert_eq!(counts(&db).await, demo, "killed after {moment:?}");
        assert_invariants(&db).await;
        let printed = first.stdout + &server.printed();
        log_in(&server, passwords(&printed).last().unwrap()).await;
    }
    println!(
        "{kills} first starts killed within {length:?}, {halves} of them before the schema was whole"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_wait_for_each_other() {
    let mut demo = None;
    for _ in 0..ROUNDS {
        let database = TestDatabase::create().await;
        let start = || Server::start(node(&database));
        let nodes: [Server; 3] = tokio::join!(start(), start(), start()).into();
        let db = connected(&database).await;
        let counts = counts(&db).await;
        assert_eq!(*demo.get_or_insert(counts), counts);
        assert_invariants(&db).await;
        let printed: String = nodes.iter().map(Server::printed).collect();
        let distinct: BTreeSet<_> = passwords(&printed).into_iter().collect();
        let [password] = Vec::from_iter(distinct)[..] else {
            panic!("not one password: {printed}");
        };
        for node in &nodes {
            log_in(node, password).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_signal_the_one_file_holds_everything_that_was_acknowledged() {
    let store = File::new();
    let server = Arc::new(Server::start(store.program().env("RATE_LIMIT_REQUESTS", "0")).await);
    let printed = server.printed();
    let token = log_in(&server, passwords(&printed)[0]).await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let mut sellers = JoinSet::new();
    for _ in 0..4 {
        let (port, acknowledged) = (server.port, Arc::clone(&acknowledged));
        let bearer = format!("Authorization: Bearer {token}\r\n");
        let product = json!({ "name": "Lamp", "price": "9", "stock": 1 });
        sellers.spawn(async move {
            while let Ok(answer) =
                request_at(port, Method::POST, PRODUCT, &bearer, Some(&product)).await
            {
                assert_eq!(answer.status, 201, "{}", answer.body);
                let id = answer.body["id"].as_i64().unwrap();
                acknowledged.lock().unwrap().push(id);
            }
        });
    }
    while acknowledged.lock().unwrap().len() < 20 {
        sleep(Duration::from_millis(10)).await;
    }
    server.terminate();
    sellers.join_all().await;
    let outcome = Arc::into_inner(server).unwrap().ended().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let (_copy, db) = store.copied_alone().await;
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    for id in acknowledged {
        let found = products::Entity::find_by_id(id).one(&db).await.unwrap();
        assert!(found.is_some(), "product {id}");
    }
    assert_invariants(&db).await;
}

#[tokio::test]
async fn after_every_command_the_store_is_one_file() {
    let store = File::new();
    let list = store.directory.path().join("list.csv");
    fs::write(&list, "sku,name,price,stock\nL-1,Lamp,9,3\n").unwrap();
    let import = format!("file:{}", list.display());
    for command in [
        &["db", "migrate"][..],
        &["db", "seed"],
        &["db", "status"],
        &["routes"],
        &["task", "admin:create", "username:boss"],
        &["task", "products:import", &import],
        &["task", "products:import", "file:missing.csv"],
        &["task", "products:export"],
        &["task", "idempotency:prune"],
    ] {
        let outcome = store.program().run(command).await;
        assert_eq!(store.files(), ["list.csv", "store.sqlite"], "{outcome:?}");
    }
    let (_copy, db) = store.copied_alone().await;
    let lamp = products::Entity::find().filter(products::Column::Sku.eq("L-1"));
    assert_eq!(lamp.count(&db).await.unwrap(), 1);
    let boss = customer_accounts::Entity::find();
    let boss = boss.filter(customer_accounts::Column::Username.eq("boss"));
    assert_eq!(boss.count(&db).await.unwrap(), 1);
}

#[tokio::test]
async fn the_doctor_leaves_nothing_beside_the_one_file() {
    let store = File::new();
    store.program().run(&["db", "migrate"]).await;
    store.program().run(&["doctor"]).await;
    // Loco's own connection, which it does not close, may leave a file in which nothing was written.
    let beside = fs::metadata(store.path().with_extension("sqlite-wal"));
    assert_eq!(beside.map_or(0, |file| file.len()), 0);
}

#[tokio::test]
async fn a_copied_store_is_one_file() {
    let (store, copy) = (File::new(), File::new());
    store.program().run(&["db", "migrate"]).await;
    store.program().run(&["db", "seed"]).await;
    let to = format!("to:{}", copy.uri());
    let outcome = store.program().run(&["task", "store:copy", &to]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(copy.files(), ["store.sqlite"]);
    let (_alone, db) = copy.copied_alone().await;
    assert!(products::Entity::find().count(&db).await.unwrap() >= 200);
}

#[tokio::test]
async fn after_a_start_that_fails_the_store_is_one_file() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let free = free_port().to_string();
    for (variable, value) in [
        ("PORT", taken.as_str()),
        ("ADMIN_PASSWORD", "without a name"),
    ] {
        let store = File::new();
        let program = store.program().env("BINDING", "127.0.0.1");
        let program = program.env("PORT", &free).env(variable, value);
        let outcome = program.run(&["start"]).await;
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert_eq!(store.files(), ["store.sqlite"], "{variable}");
        if variable == "PORT" {
            let (_copy, db) = store.copied_alone().await;
            assert!(orders::Entity::find().count(&db).await.unwrap() > 0);
            assert_invariants(&db).await;
        }
    }
}

#[tokio::test]
async fn a_task_that_a_signal_stops_rolls_back_and_says_so() {
    let store = File::new();
    store.program().run(&["db", "migrate"]).await;
    let mut list = "sku,name,price,stock\n".to_owned();
    for row in 0..50_000 {
        writeln!(list, "L-{row},Lamp,9,3").unwrap();
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("list.csv");
    fs::write(&path, list).unwrap();
    let import = format!("file:{}", path.display());
    let importing = store
        .program()
        .start(&["task", "products:import", &import, "atomic:true"]);
    let db = store.impatient().await;
    while is_free(&db).await {}
    db.close().await.unwrap();
    importing.terminate();
    let outcome = importing.end().await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains("the import was interrupted"),
        "{outcome:?}"
    );
    let (_copy, db) = store.copied_alone().await;
    assert_eq!(products::Entity::find().count(&db).await.unwrap(), 0);
}

#[tokio::test]
async fn a_task_that_waits_for_its_operator_is_stopped_by_a_signal() {
    let store = File::new();
    let asking = store.program().silent_input();
    let asking = asking.start(&["task", "admin:create", "username:boss", "password:-"]);
    let db = store.impatient().await;
    while !has_schema(&db).await {
        sleep(Duration::from_millis(10)).await;
    }
    db.close().await.unwrap();
    asking.terminate();
    assert_stopped(&asking.end().await);
    store.copied_alone().await;
}

#[tokio::test]
async fn a_start_that_waits_for_the_database_is_stopped_by_a_signal() {
    let store = File::new();
    let db = store.impatient().await;
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let lock = db.begin_with_options(options).await.unwrap();
    let port = free_port().to_string();
    let mut starting = store.program().env("PORT", &port).start(&["start"]);
    while !starting.stdout().contains("auto migrating") {
        let ended = starting.ended();
        assert!(ended.is_none(), "{ended:?}");
        sleep(Duration::from_millis(10)).await;
    }
    starting.terminate();
    assert_stopped(&starting.end().await);
    lock.rollback().await.unwrap();
    db.close().await.unwrap();
    assert_eq!(store.files(), ["store.sqlite"]);
}

/// A store in one file, whatever `DATABASE_URL` says.
struct File {
    directory: TempDir,
}

impl File {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("store.sqlite")
    }

    fn uri(&self) -> String {
        format!("sqlite://{}?mode=rwc", self.path().display())
    }

    fn program(&self) -> Program {
        Program::new("development").on(&self.uri())
    }

    /// The files in its directory.
    fn files(&self) -> Vec<String> {
        let mut files: Vec<_> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        files
    }

    /// A copy of the one file, opened, as a careful operator would try out a backup.
    async fn copied_alone(&self) -> (Self, DatabaseConnection) {
        assert!(!self.path().with_extension("sqlite-wal").exists());
        let copy = Self::new();
        fs::copy(self.path(), copy.path()).unwrap();
        let db = Database::connect(copy.uri()).await.unwrap();
        (copy, db)
    }

    /// A connection that waits for no lock.
    async fn impatient(&self) -> DatabaseConnection {
        let mut options = ConnectOptions::new(self.uri());
        options.max_connections(1).map_sqlx_sqlite_opts(|sqlite| {
            // As the program's own connections: another journal could not be chosen under a lock.
            sqlite
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(Duration::ZERO)
        });
        Database::connect(options).await.unwrap()
    }
}

/// Whether no other process writes to the store just now.
async fn is_free(db: &DatabaseConnection) -> bool {
    let begun = db.execute_unprepared("BEGIN IMMEDIATE; ROLLBACK").await;
    begun.is_ok()
}

/// Whether all migrations have run. It may be about to be made by another process.
async fn has_schema(db: &DatabaseConnection) -> bool {
    let pending = Migrator::get_pending_migrations_read_only(db).await;
    pending.is_ok_and(|pending| pending.is_empty())
}

#[track_caller]
fn assert_stopped(outcome: &Outcome) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("a signal has stopped the command before its end"),
        "{outcome:?}"
    );
}

/// What creates the schema, a statement each, by migrations.
async fn steps_of_the_migrations(database: &TestDatabase) -> Vec<Vec<Statement>> {
    let seen = Arc::new(Mutex::new(vec![Vec::new()]));
    let mut db = connected(database).await;
    let log = Arc::clone(&seen);
    db.set_metric_callback(move |query| {
        let (sql, mut seen) = (&query.statement.sql, log.lock().unwrap());
        match (sql.split(' ').next(), sql.contains("seaql_migrations")) {
            (Some("CREATE" | "ALTER" | "DROP" | "INSERT"), false) => {
                seen.last_mut().unwrap().push(query.statement.clone());
            }
            (Some("INSERT"), true) => seen.push(Vec::new()),
            _ => {}
        }
    });
    Migrator::up(&db, None).await.unwrap();
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(seen.pop().map(|steps| steps.len()), Some(0));
    assert_eq!(seen.len(), Migrator::migrations().len());
    // One that changes rows alone has no step.
    assert!(seen.iter().flatten().count() > seen.len());
    seen
}

fn node(database: &TestDatabase) -> Program {
    Program::new("development").on(&database.uri())
}

async fn connected(database: &TestDatabase) -> DatabaseConnection {
    Database::connect(database.uri()).await.unwrap()
}

/// How many products, customers, accounts and orders there are.
async fn counts(db: &DatabaseConnection) -> [u64; 4] {
    [
        products::Entity::find().count(db).await.unwrap(),
        customers::Entity::find().count(db).await.unwrap(),
        customer_accounts::Entity::find().count(db).await.unwrap(),
        orders::Entity::find().count(db).await.unwrap(),
    ]
}

/// The first administrator's passwords, as they were printed.
fn passwords(printed: &str) -> Vec<&str> {
    let parts = printed.split("\"admin\", with the password \"").skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

/// The token of the first administrator.
async fn log_in(server: &Server, password: &str) -> String {
    let body = json!({ "username": "admin", "password": password });
    let answer = server
        .request(Method::POST, "/api/v1/auth/login", None, Some(&body))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["token"].as_str().unwrap().to_owned()
}

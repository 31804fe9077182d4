//! A database for one test. Loco's test kit makes them on SQLite and PostgreSQL only.

use std::sync::{Arc, Weak};

use loco_rs::{app::Hooks, config::Config, environment::Environment};
use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use tempfile::TempDir;
use tokio::sync::{Mutex, OnceCell};
use uuid::Uuid;

use boxcar::app::App;

/// What the migrations have made on MySQL: each table, and each row.
static MADE: OnceCell<Vec<String>> = OnceCell::const_new();

/// What the migrations have made on PostgreSQL: a database that is there as long as one of its copies is.
static TEMPLATE: Mutex<Weak<TestDatabase>> = Mutex::const_new(Weak::new());

/// A database that is there as long as this is.
pub enum TestDatabase {
    /// A file in a directory of its own.
    File { directory: TempDir },
    /// A database on the server behind `server`.
    Server {
        server: String,
        name: String,
        _template: Option<Arc<Self>>,
    },
}

impl TestDatabase {
    /// A new, empty database on whatever `DATABASE_URL` says.
    pub async fn create() -> Self {
        Self::create_on(configuration().await.database.uri).await
    }

    /// A new database for a shop. On a server what the migrations make is there already: step by step they take longer
    /// than most tests.
    pub async fn create_for_shop() -> Self {
        let server = configuration().await.database.uri;
        if server.starts_with("postgres") {
            let template = Box::pin(template()).await;
            return Self::create_like(Some(template), server).await;
        }
        let database = Self::create_on(server).await;
        if database.uri().starts_with("mysql:") {
            let connection = Database::connect(database.uri()).await.unwrap();
            let made = MADE.get_or_init(|| Box::pin(made_by_migrations())).await;
            connection
                .execute_unprepared(&made.join(";"))
                .await
                .unwrap();
            connection.close().await.unwrap();
        }
        database
    }

    /// A new, empty database beside the one at `server`.
    pub async fn create_on(server: String) -> Self {
        Self::create_like(None, server).await
    }

    async fn create_like(template: Option<Arc<Self>>, server: String) -> Self {
        if server.starts_with("sqlite:") {
            return Self::File {
                directory: tempfile::tempdir().unwrap(),
            };
        }
        let name = format!("boxcar_test_{}", Uuid::new_v4().simple());
        let like = match template.as_deref() {
            Some(Self::Server { name, .. }) => format!(" TEMPLATE {name}"),
            _ => String::new(),
        };
        let connection = Database::connect(&server)
            .await
            .expect("the server answers");
        connection
            .execute_unprepared(&format!("CREATE DATABASE {name}{like}"))
            .await
            .unwrap();
        connection.close().await.unwrap();
        Self::Server {
            server,
            name,
            _template: template,
        }
    }

    /// Where it is.
    pub fn uri(&self) -> String {
        match self {
            Self::File { directory } => format!(
                "sqlite://{}/boxcar.sqlite?mode=rwc",
                directory.path().display()
            ),
            Self::Server { server, name, .. } => {
                let (server, _) = server
                    .rsplit_once('/')
                    .expect("DATABASE_URL ends with a database's name");
                format!("{server}/{name}")
            }
        }
    }

    /// The configuration of a shop that uses it.
    pub async fn configuration(&self) -> Config {
        let mut config = configuration().await;
        config.database.uri = self.uri();
        // Where there is a Redis all tests share it, and none the others' keys.
        configure(&mut config, "redis", "prefix", Uuid::new_v4().to_string());
        config
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Self::Server { server, name, .. } = self else {
            return;
        };
        let force = if server.starts_with("postgres") {
            " WITH (FORCE)"
        } else {
            ""
        };
        let (server, name) = (server.clone(), name.clone());
        let statement = format!("DROP DATABASE IF EXISTS {name}{force}");
        // Drop cannot wait for a future on the runtime that it is called from.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let connection = Database::connect(&server).await.unwrap();
                end_connections(&connection, &name).await;
                connection.execute_unprepared(&statement).await.unwrap();
                connection.close().await.unwrap();
            });
        });
        if dropped.join().is_err() {
            eprintln!("a test database was left behind");
        }
    }
}

/// The database on PostgreSQL that those of shops are copies of.
async fn template() -> Arc<TestDatabase> {
    let mut known = TEMPLATE.lock().await;
    if let Some(template) = known.upgrade() {
        return template;
    }
    let (database, db) = migrated().await;
    // Nothing is copied while somebody is connected to it.
    db.close().await.unwrap();
    let template = Arc::new(database);
    *known = Arc::downgrade(&template);
    template
}

/// A new database on which the migrations have run.
async fn migrated() -> (TestDatabase, DatabaseConnection) {
    let database = TestDatabase::create().await;
    let db = Database::connect(database.uri()).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    (database, db)
}

/// The statements that make on MySQL what the migrations make.
async fn made_by_migrations() -> Vec<String> {
    let (_database, db) = migrated().await;
    // A table may refer to one that comes later.
    let mut made = vec!["SET foreign_key_checks = 0".to_owned()];
    for table in texts(&db, 0, "SHOW TABLES").await {
        made.extend(texts(&db, 1, &format!("SHOW CREATE TABLE {table}")).await);
        let values = format!(
            "SELECT GROUP_CONCAT('QUOTE(', column_name, ')' ORDER BY ordinal_position)
             FROM information_schema.columns
             WHERE table_schema = DATABASE() AND table_name = '{table}'"
        );
        let values = texts(&db, 0, &values).await.concat();
        let rows = format!(
            "SELECT CONCAT('INSERT INTO {table} VALUES (', CONCAT_WS(',', {values}), ')') FROM {table}"
        );
        made.extend(texts(&db, 0, &rows).await);
    }
    db.close().await.unwrap();
    made
}

/// That column of the rows that a question is answered with.
async fn texts(db: &DatabaseConnection, column: usize, question: &str) -> Vec<String> {
    let question = Statement::from_string(DbBackend::MySql, question);
    let rows = db.query_all_raw(question).await.unwrap();
    rows.iter()
        .map(|row| row.try_get_by_index(column).unwrap())
        .collect()
}

/// Ends the connections to a database of MySQL, which has no FORCE. One on which something is still written beside a
/// response, on the runtime that waits here, would keep the database for ever.
async fn end_connections(connection: &DatabaseConnection, name: &str) {
    if connection.get_database_backend() != DbBackend::MySql {
        return;
    }
    let theirs = format!(
        "SELECT CAST(id AS CHAR) AS id FROM information_schema.processlist WHERE db = '{name}'"
    );
    let theirs = Statement::from_string(DbBackend::MySql, theirs);
    for row in connection.query_all_raw(theirs).await.unwrap() {
        // As text: MySQL and MariaDB differ in whether it has a sign.
        let id: String = row.try_get("", "id").unwrap();
        // It may have ended by itself.
        connection
            .execute_unprepared(&format!("KILL {id}"))
            .await
            .ok();
    }
}

/// Sets one of the store's own settings.
pub fn configure(
    config: &mut Config,
    section: &str,
    key: &str,
    value: impl Into<serde_json::Value>,
) {
    config.settings.as_mut().expect("the store has settings")[section][key] = value.into();
}

async fn configuration() -> Config {
    App::load_config(&Environment::Test)
        .await
        .expect("config/test.yaml can be read")
}

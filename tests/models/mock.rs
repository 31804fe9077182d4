//! A database that answers what it was told to, and remembers what it was asked.

use std::{borrow::Cow, collections::BTreeMap, error::Error as StdError, fmt, sync::Arc};

use axum::Router;
use boxcar::{app::App, context::Context, middleware::Outside};
use loco_rs::{
    app::{AppContext, Hooks, Initializer},
    environment::Environment,
};
use sea_orm::{
    DatabaseConnection, DbBackend, DbErr, IntoMockRow, MockDatabase, MockExecResult, MockRow,
    RuntimeErr, Value,
    sqlx::{
        self,
        error::{DatabaseError, ErrorKind},
    },
};

use super::rows;

/// A PostgreSQL without answers yet.
pub fn postgres() -> MockDatabase {
    MockDatabase::new(DbBackend::Postgres)
}

/// A database that answers its one query with that row.
pub fn knowing(row: impl IntoMockRow) -> DatabaseConnection {
    postgres().append_query_results([[row]]).into_connection()
}

/// A database that has no row for its one query.
pub fn knowing_nothing() -> DatabaseConnection {
    postgres().append_query_results([none()]).into_connection()
}

/// A database whose connection is lost at its one query.
pub fn unreachable() -> DatabaseConnection {
    postgres().append_query_errors([lost()]).into_connection()
}

/// No rows.
pub const fn none() -> [MockRow; 0] {
    []
}

/// A row whose values are read by their places.
pub fn by_place(values: impl IntoIterator<Item = Value>) -> BTreeMap<String, Value> {
    // A mock has its columns in the order of their names.
    let values = values.into_iter().enumerate();
    values
        .map(|(place, value)| (format!("{place:02}"), value))
        .collect()
}

/// The row that a count answers.
pub fn counted(rows: i64) -> [BTreeMap<&'static str, Value>; 1] {
    [BTreeMap::from([("num_items", rows.into())])]
}

/// What a statement answers that changed so many rows.
pub fn changed(rows: u64) -> MockExecResult {
    MockExecResult {
        rows_affected: rows,
        ..MockExecResult::default()
    }
}

/// What was asked, with the values in their places.
pub fn asked(db: DatabaseConnection) -> Vec<String> {
    db.into_transaction_log()
        .iter()
        .flat_map(|transaction| transaction.statements().to_vec())
        .map(|statement| statement.to_string())
        .filter(|sql| !matches!(sql.as_str(), "BEGIN" | "COMMIT" | "ROLLBACK"))
        .collect()
}

/// How each transaction ended.
pub fn ended(db: DatabaseConnection) -> Vec<String> {
    db.into_transaction_log()
        .iter()
        .filter_map(|transaction| Some(transaction.statements().last()?.to_string()))
        .collect()
}

/// The connection was lost.
pub fn lost() -> DbErr {
    let cause = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Io(cause))))
}

/// PostgreSQL refused, with that SQLSTATE.
pub fn refused(sqlstate: &'static str) -> DbErr {
    let cause = sqlx::Error::Database(Box::new(Refusal(sqlstate)));
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(cause)))
}

#[derive(Debug)]
struct Refusal(&'static str);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused with {}", self.0)
    }
}

impl StdError for Refusal {}

impl DatabaseError for Refusal {
    fn message(&self) -> &str {
        self.0
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.0.into())
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// The store's routes on top of `db`, with problems rendered, and Ada's token.
pub async fn routes_on(db: &DatabaseConnection) -> (Router, String) {
    let config = App::load_config(&Environment::Test).await.unwrap();
    let ctx = AppContext::builder(Environment::Test, db.clone(), config).build();
    Context::install(&ctx).unwrap();
    let router = App::routes(&ctx)
        .to_router::<App>(ctx.clone(), Router::new())
        .unwrap();
    let router = Outside.after_routes(router, &ctx).await.unwrap();
    let token = rows::account()
        .token(ctx.config.get_jwt_config().unwrap())
        .unwrap();
    (router, token)
}

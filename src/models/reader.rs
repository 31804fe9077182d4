//! The pool, as finders ask it, and as transactions begin in it.

use std::ops::Deref;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection,
    DatabaseConnectionType::{
        SqlxMySqlPoolConnection, SqlxPostgresPoolConnection, SqlxSqlitePoolConnection,
    },
    DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, SqliteTransactionMode,
    Statement, TransactionTrait,
};

/// A pool whose statements cost less to ask than [`DatabaseConnection`]'s: the future of a statement there has room for
/// the drivers of all databases, some 18 kB, and is moved twice before it begins.
#[derive(Clone, Debug)]
pub struct Reader(DatabaseConnection);

impl Reader {
    /// The same pool.
    pub const fn of(pool: DatabaseConnection) -> Self {
        Self(pool)
    }
}

impl Deref for Reader {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        &self.0
    }
}

/// Asks the driver of the database at hand, or else the pool itself.
macro_rules! asked {
    ($pool:expr, $ask:ident($statement:expr), $or:ident) => {
        match &$pool.inner {
            SqlxSqlitePoolConnection(driver) => Box::pin(driver.$ask($statement)).await,
            SqlxMySqlPoolConnection(driver) => Box::pin(driver.$ask($statement)).await,
            SqlxPostgresPoolConnection(driver) => Box::pin(driver.$ask($statement)).await,
            _ => $pool.$or($statement).await,
        }
    };
}

/// Begins a transaction that writes, which on SQLite takes the file at once: one that reads first and writes later
/// would fail at its first write.
pub(super) async fn begin(pool: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    match &pool.inner {
        SqlxSqlitePoolConnection(driver) => {
            let mode = Some(SqliteTransactionMode::Immediate);
            Box::pin(driver.begin(None, None, mode)).await
        }
        SqlxMySqlPoolConnection(driver) => Box::pin(driver.begin(None, None)).await,
        SqlxPostgresPoolConnection(driver) => Box::pin(driver.begin(None, None)).await,
        _ => pool.begin().await,
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.0.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        asked!(self.0, query_one(statement), query_one_raw)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        asked!(self.0, query_all(statement), query_all_raw)
    }
}

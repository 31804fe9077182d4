//! The turn to migrate: processes that start together on one database take it one after the other.

use std::time::{Duration, Instant};

use sea_orm_migration::{
    prelude::*,
    sea_orm::{
        ConnectionTrait, DatabaseTransaction, DbBackend, RuntimeErr, SqliteTransactionMode,
        Statement, TransactionOptions, TransactionTrait,
    },
};

/// How long one process waits for another to be done.
const PATIENCE: Duration = Duration::from_mins(1);

/// MariaDB and MySQL: a lock has a name on the whole server, of at most 64 characters.
const NAME: &str = "SHA1(CONCAT('migrations of ', DATABASE()))";

/// The turn of this process: one connection, which holds the lock, and a transaction on it. A process that
/// dies loses its connection, and with it the lock.
pub struct Turn(DatabaseTransaction);

impl Turn {
    /// Waits for the turn.
    pub async fn take(db: &SchemaManagerConnection<'_>) -> Result<Self, DbErr> {
        let deadline = Instant::now() + PATIENCE;
        let options = TransactionOptions {
            // It is the lock too.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let transaction = loop {
            match db.begin_with_options(options).await {
                // After the connection's own busy_timeout, which may be shorter.
                Err(error) if is_busy(&error) && Instant::now() < deadline => {}
                Err(error) if is_busy(&error) => return Err(too_long()),
                begun => break begun?,
            }
        };
        match transaction.get_database_backend() {
            DbBackend::MySql => lock_mysql(&transaction).await?,
            DbBackend::Postgres => lock_postgres(&transaction).await?,
            _ => {}
        }
        Ok(Self(transaction))
    }

    /// Where to migrate.
    pub const fn transaction(&self) -> &DatabaseTransaction {
        &self.0
    }

    /// Lets the next process have its turn. What failed is taken back, where the database can do that.
    pub async fn end(self, outcome: Result<(), DbErr>) -> Result<(), DbErr> {
        let Self(transaction) = self;
        if transaction.get_database_backend() == DbBackend::MySql {
            // The lock is the connection's, not the transaction's; and the connection stays in its pool.
            let release = format!("DO RELEASE_LOCK({NAME})");
            let released = transaction.execute_unprepared(&release).await;
            outcome?;
            released?;
            return transaction.commit().await;
        }
        match outcome {
            Ok(()) => transaction.commit().await,
            Err(error) => {
                transaction.rollback().await?;
                Err(error)
            }
        }
    }
}

async fn lock_mysql(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    let lock = format!("SELECT GET_LOCK({NAME}, {}) AS locked", PATIENCE.as_secs());
    let lock = Statement::from_string(DbBackend::MySql, lock);
    let row = transaction.query_one_raw(lock).await?;
    let locked: Option<i64> = row.map_or(Ok(None), |row| row.try_get("", "locked"))?;
    match locked {
        Some(1) => Ok(()),
        _ => Err(too_long()),
    }
}

async fn lock_postgres(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    // Until the transaction is over; the lock too, whose number means something in this database only.
    let patience = format!("SET LOCAL lock_timeout = '{}s'", PATIENCE.as_secs());
    transaction.execute_unprepared(&patience).await?;
    let locked = transaction
        .execute_unprepared("SELECT pg_advisory_xact_lock(hashtext('migrations'))")
        .await;
    match locked {
        Err(error) if has_code(&error, &["55P03"]) => Err(too_long()),
        locked => locked.map(|_| ()),
    }
}

fn too_long() -> DbErr {
    DbErr::Migration(format!(
        "the database has been locked for {} seconds by another process, which migrates it or writes to it: \
         start again when that one is done",
        PATIENCE.as_secs()
    ))
}

/// Whether it is SQLite's SQLITE_BUSY or SQLITE_BUSY_RECOVERY.
fn is_busy(error: &DbErr) -> bool {
    has_code(error, &["5", "261"])
}

fn has_code(error: &DbErr, codes: &[&str]) -> bool {
    let (DbErr::Conn(RuntimeErr::SqlxError(cause))
    | DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))) = error
    else {
        return false;
    };
    let code = cause
        .as_database_error()
        .and_then(sea_orm_migration::sea_orm::sqlx::error::DatabaseError::code);
    code.is_some_and(|code| codes.contains(&&*code))
}

//! Connections to the database, each set up the same.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};
use loco_rs::config;
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbBackend, DbErr,
    sqlx::{
        self, ConnectOptions as _, Connection, Executor, Row,
        pool::PoolConnectionMetadata,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    error::is_transient,
    transaction::{close_writer, turn_to_write},
};

/// For how long a locked file is tried again.
const OPENED_WITHIN: Duration = Duration::from_secs(5);

/// How long a pool may take to close: a connection in use is waited for.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// For how long others wait, at most, while SQLite's log is emptied.
const LOG_PATIENCE: Duration = Duration::from_millis(250);

/// How long a connection may have been idle before it is tested ahead of its next use.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// The pools that the command at hand has opened.
    static OPENED: Arc<Mutex<Vec<DatabaseConnection>>>;
}

/// Runs a command, and closes every pool that [`connect`] has opened for it, whatever has come of it.
///
/// SQLite moves what is in its `-wal` file to the database's own file when the last connection is closed:
/// a process that ends before leaves a database of two files.
pub async fn closing<T>(command: impl Future<Output = T>) -> T {
    let opened = Arc::default();
    let outcome = OPENED.scope(Arc::clone(&opened), command).await;
    let opened = std::mem::take(&mut *opened.lock().unwrap_or_else(PoisonError::into_inner));
    for pool in opened {
        let closed = async {
            close_writer(&pool).await;
            pool.clone().close().await
        };
        match timeout(CLOSED_WITHIN, closed).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the database was not closed"),
            Err(_) => tracing::warn!("the database is still in use: it was not closed"),
        }
    }
    outcome
}

/// Takes what was erased out of SQLite's write-ahead log too, where the pages stand as they were. That is
/// given up when a read takes long, and made up for by the next erasure or within the hour.
pub async fn erased(db: &DatabaseConnection) {
    // SQLite alone has turns, and this log.
    let Some(_turn) = turn_to_write(db).await else {
        return;
    };
    match empty_log(db).await {
        Ok(true) => {}
        Ok(false) => tracing::debug!("the write-ahead log is in use, and not emptied"),
        Err(error) => tracing::warn!(%error, "the write-ahead log cannot be emptied"),
    }
}

/// Empties the log, on a connection that waits less than others do, and answers whether no reader was in the way.
async fn empty_log(db: &DatabaseConnection) -> sqlx::Result<bool> {
    let options = db.get_sqlite_connection_pool().connect_options();
    let options = options.as_ref().clone().busy_timeout(LOG_PATIENCE);
    let mut connection = options.connect().await?;
    let outcome = connection
        .fetch_one("PRAGMA wal_checkpoint(TRUNCATE)")
        .await?;
    connection.close().await?;
    Ok(outcome.try_get::<i64, _>("busy")? == 0)
}

/// How many connections a pool has.
#[derive(Clone, Copy, Debug)]
pub struct PoolSize {
    /// The open ones.
    pub open: u32,
    /// Those of them that are not in use.
    pub idle: usize,
    /// The most that there may be.
    pub max: u32,
}

impl PoolSize {
    /// What the pool has at this moment.
    pub fn of(db: &DatabaseConnection) -> Self {
        match db.get_database_backend() {
            DbBackend::Sqlite => Self::of_pool(db.get_sqlite_connection_pool()),
            DbBackend::MySql => Self::of_pool(db.get_mysql_connection_pool()),
            _ => Self::of_pool(db.get_postgres_connection_pool()),
        }
    }

    fn of_pool<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> Self {
        Self {
            open: pool.size(),
            idle: pool.num_idle(),
            max: pool.options().get_max_connections(),
        }
    }
}

/// Opens the pool that the server uses. Loco's own pool runs its PRAGMAs on one of the connections
/// only, and leaves MySQL at REPEATABLE READ, whose gap locks make orders wait for each other.
///
/// # Errors
/// When the database cannot be reached.
pub async fn connect(config: &config::Database) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(&config.uri);
    options
        .max_connections(config.max_connections)
        .min_connections(config.min_connections)
        .connect_timeout(Duration::from_millis(config.connect_timeout))
        .acquire_timeout(Duration::from_millis(
            config.acquire_timeout.unwrap_or(config.connect_timeout),
        ))
        .idle_timeout(Duration::from_millis(config.idle_timeout))
        .sqlx_logging(config.enable_logging)
        // A restarted database leaves dead connections in the pool: those that rested are tested.
        .test_before_acquire_if_idle_for(TRUSTED_FOR)
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .journal_mode(SqliteJournalMode::Wal)
                // An acknowledged order survives a power cut.
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(5))
                // Kibibytes, when negative.
                .pragma("cache_size", "-16384")
                .pragma("journal_size_limit", "67108864")
                // Pages, 16 MiB: the later they are moved to the database's own file, the more changes of one page are
                // moved at once. From 4,063 on SQLite has two tables of them to search.
                .pragma("wal_autocheckpoint", "4000")
                // What is deleted is overwritten, not only forgotten.
                .pragma("secure_delete", "ON")
        })
        .map_sqlx_sqlite_before_acquire(outside_a_transaction)
        .map_sqlx_mysql_before_acquire(outside_a_transaction)
        .map_sqlx_postgres_before_acquire(outside_a_transaction)
        .map_sqlx_sqlite_pool_opts(|pool| pool.after_release(has_ended_its_transaction))
        .map_sqlx_postgres_pool_opts(|pool| {
            pool.after_release(has_ended_its_transaction)
                .after_connect(|connection, _| {
                    // As long as MySQL waits. Without it a lock is waited for without end.
                    let set = connection.execute("SET lock_timeout = '5s'");
                    set.map_ok(drop).boxed()
                })
        })
        .map_sqlx_mysql_pool_opts(|pool| {
            pool.after_release(has_ended_its_transaction)
                .after_connect(|connection, _| {
                    Box::pin(async move {
                        connection
                            .execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                            .await?;
                        connection
                            .execute("SET SESSION innodb_lock_wait_timeout = 5")
                            .await?;
                        Ok(())
                    })
                })
        });
    let pool = open(options).await?;
    // Tests open pools without a command, and drop them.
    let _ = OPENED.try_with(|opened| {
        let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.push(pool.clone());
    });
    Ok(pool)
}

/// Opens a pool. When several connections switch a new SQLite file to the write-ahead log at once, SQLite refuses all
/// but one, without the wait that a lock has elsewhere. Those try again.
async fn open(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let refused_until = Instant::now() + OPENED_WITHIN;
    loop {
        match Database::connect(options.clone()).await {
            Err(error) if is_transient(&error) && Instant::now() < refused_until => {
                sleep(Duration::from_millis(10)).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether a connection may be used: never while it is in a transaction, which would take in what the
/// next one writes, and never commit it.
fn outside_a_transaction<C: Connection>(
    connection: &mut C,
    _: PoolConnectionMetadata,
) -> BoxFuture<'_, Result<bool, sqlx::Error>> {
    std::future::ready(Ok(!connection.is_in_transaction())).boxed()
}

/// Whether a connection may go back into the pool: not when its rollback has failed. SQLite rolls back
/// by itself when the disk is full, and refuses the rollback that follows.
fn has_ended_its_transaction<C: Connection>(
    connection: &mut C,
    _: PoolConnectionMetadata,
) -> BoxFuture<'_, Result<bool, sqlx::Error>> {
    async move {
        if connection.is_in_transaction() {
            // A transaction that was dropped has its rollback waiting: this lets it happen.
            connection.ping().await?;
        }
        Ok(!connection.is_in_transaction())
    }
    .boxed()
}

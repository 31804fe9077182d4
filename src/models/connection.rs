//! Connections to the database, each set up the same.

use std::time::Duration;

use futures_util::{FutureExt, future::BoxFuture};
use loco_rs::config;
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbErr,
    sqlx::{
        self, Connection, Executor,
        pool::PoolConnectionMetadata,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};

/// How long a connection may have been idle before it is tested ahead of its next use.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

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
        })
        .map_sqlx_sqlite_before_acquire(outside_a_transaction)
        .map_sqlx_mysql_before_acquire(outside_a_transaction)
        .map_sqlx_postgres_before_acquire(outside_a_transaction)
        .map_sqlx_sqlite_pool_opts(|pool| pool.after_release(has_ended_its_transaction))
        .map_sqlx_postgres_pool_opts(|pool| {
            pool.after_release(has_ended_its_transaction)
                .after_connect(|connection, _| {
                    // As long as MySQL waits. Without it a lock is waited for without end.
                    async move {
                        connection.execute("SET lock_timeout = '5s'").await?;
                        Ok(())
                    }
                    .boxed()
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
    Database::connect(options).await
}

/// Whether a connection may be used: never while it is in a transaction, which would take in what the
/// next one writes, and commit it for nobody.
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

//! Connections: every one in the pool is set up the same.

use std::future::pending;

use boxcar::models::{connection, products, transaction::writer};
use futures_util::future::join_all;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, Statement, TransactionTrait,
    TryGetable,
};
use tokio::sync::oneshot;

use crate::support::Shop;

#[tokio::test]
async fn every_connection_to_sqlite_writes_ahead() {
    assert_all(DbBackend::Sqlite, "PRAGMA journal_mode", "wal".to_owned()).await;
}

#[tokio::test]
async fn every_connection_to_sqlite_waits_for_the_disk() {
    const FULL: i64 = 2;
    assert_all(DbBackend::Sqlite, "PRAGMA synchronous", FULL).await;
}

#[tokio::test]
async fn every_connection_to_sqlite_minds_foreign_keys() {
    assert_all(DbBackend::Sqlite, "PRAGMA foreign_keys", 1_i64).await;
}

#[tokio::test]
async fn every_connection_to_sqlite_waits_five_seconds_for_a_writer() {
    assert_all(DbBackend::Sqlite, "PRAGMA busy_timeout", 5_000_i64).await;
}

#[tokio::test]
async fn every_connection_to_sqlite_moves_the_log_at_sixteen_mebibytes() {
    const PAGES: i64 = 4_000;
    assert_all(DbBackend::Sqlite, "PRAGMA wal_autocheckpoint", PAGES).await;
}

#[tokio::test]
async fn what_a_writer_of_sqlite_may_take_back_is_kept_in_memory() {
    const MEMORY: i64 = 2;
    let shop = Shop::open().await;
    let Some(writer) = writer(&shop.ctx.db) else {
        println!("the tests do not run on SQLite");
        return;
    };
    let question = Statement::from_string(DbBackend::Sqlite, "PRAGMA temp_store");
    let row = writer.query_one_raw(question).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), MEMORY);
}

#[tokio::test]
async fn sqlite_plans_a_statement_once() {
    let question = "SELECT sqlite_compileoption_used('ENABLE_QPSG')";
    assert_all(DbBackend::Sqlite, question, 1_i64).await;
}

#[tokio::test]
async fn every_connection_to_mariadb_reads_what_is_committed() {
    let question = "SELECT variable_value FROM information_schema.session_variables \
                    WHERE variable_name IN ('tx_isolation', 'transaction_isolation') LIMIT 1";
    assert_all(DbBackend::MySql, question, "READ-COMMITTED".to_owned()).await;
}

#[tokio::test]
async fn every_connection_to_mariadb_waits_five_seconds_for_a_row() {
    let question = "SELECT CAST(@@SESSION.innodb_lock_wait_timeout AS SIGNED)";
    assert_all(DbBackend::MySql, question, 5_i64).await;
}

#[tokio::test]
async fn every_connection_to_postgresql_reads_what_is_committed() {
    let isolation = "read committed".to_owned();
    assert_all(DbBackend::Postgres, "SHOW transaction_isolation", isolation).await;
}

/// The tasks of a test rest while its database is dropped, on its only thread.
#[tokio::test]
async fn a_transaction_that_is_open_when_a_test_ends_does_not_keep_its_database() {
    let shop = Shop::open().await;
    let db = shop.ctx.db.clone();
    let (begun, has_begun) = oneshot::channel();
    tokio::spawn(async move {
        let txn = db.begin().await.unwrap();
        products::Entity::find().all(&txn).await.unwrap();
        begun.send(()).unwrap();
        pending::<()>().await;
    });
    has_begun.await.unwrap();
    drop(shop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pools_that_open_a_new_sqlite_file_at_once_all_get_it() {
    let mut config = Shop::open().await.ctx.config.database.clone();
    let folder = tempfile::tempdir().unwrap();
    for round in 0..50 {
        let file = folder.path().join(format!("{round}.sqlite"));
        config.uri = format!("sqlite://{}?mode=rwc", file.display());
        let pools = join_all((0..4).map(|_| {
            let config = config.clone();
            tokio::spawn(async move { connection::connect(&config).await })
        }));
        for pool in pools.await {
            pool.unwrap().unwrap().close().await.unwrap();
        }
    }
}

/// Asks every connection that the pool can have at once, if they are connections to `backend`.
async fn assert_all<T>(backend: DbBackend, question: &str, answer: T)
where
    T: TryGetable + PartialEq + std::fmt::Debug,
{
    let shop = Shop::open().await;
    if shop.ctx.db.get_database_backend() != backend {
        println!("the tests do not run on {backend:?}");
        return;
    }
    for connection in whole_pool(&shop).await {
        let row = connection
            .query_one_raw(Statement::from_string(backend, question))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.try_get_by_index::<T>(0).unwrap(), answer);
    }
}

/// A transaction on each connection that the pool can have.
async fn whole_pool(shop: &Shop) -> Vec<DatabaseTransaction> {
    let mut connections = Vec::new();
    for _ in 0..shop.ctx.config.database.max_connections {
        connections.push(shop.ctx.db.begin().await.unwrap());
    }
    connections
}

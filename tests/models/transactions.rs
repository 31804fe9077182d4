//! The write path: all or nothing, and again when the database says so.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use boxcar::{
    models::{
        Actor, Error, connection,
        error::{is_outage, is_transient, surely_not_committed},
        products::{self, Changes, Model, Purpose},
        stock_movements,
        transaction::{Attempts, writer},
        types::{ProductName, Scalar, Stock},
    },
    transaction,
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, QueryOrder,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use tokio::{
    sync::{Barrier, Notify},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{
    mock::{ended, knowing, lost, postgres, refused},
    rows::{self, add_product, kettle},
};
use crate::support::Shop;

/// PostgreSQL's code for a deadlock.
const DEADLOCK: &str = "40P01";

#[tokio::test]
async fn what_succeeds_is_kept() {
    let shop = Shop::open().await;
    let product = add_product(&shop.ctx.db, &kettle(None, Some(10))).await;
    assert_eq!(stock(&shop.ctx.db, product.id).await, 10);
}

#[tokio::test]
async fn what_fails_leaves_nothing_behind() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    let outcome: Result<Model, _> = transaction!(db, |txn| {
        Model::create(txn, &kettle(Some("KET-1"), Some(10)), &Actor::system()).await?;
        Err(Error::NotFound)
    });
    assert!(matches!(outcome, Err(Error::NotFound)), "{outcome:?}");
    assert!(Model::find_by_sku(db, "KET-1").await.is_err());
    assert_eq!(pieces_in_the_ledger(db).await, 0);
}

#[tokio::test]
async fn what_is_abandoned_half_way_leaves_nothing_behind() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    let half_way = Notify::new();
    let abandoned = async {
        transaction!(db, |txn| {
            Model::create(txn, &kettle(Some("KET-1"), None), &Actor::system()).await?;
            half_way.notify_one();
            pending::<Result<(), Error>>().await
        })
    };
    tokio::select! {
        outcome = abandoned => panic!("{outcome:?}"),
        () = half_way.notified() => {}
    }
    add_product(db, &kettle(Some("KET-1"), None)).await;
}

#[tokio::test]
async fn success_is_committed() {
    let db = knowing(rows::product());
    find_in_a_transaction(&db).await.unwrap();
    assert_eq!(ended(db), ["COMMIT"]);
}

#[tokio::test]
async fn a_deadlock_is_rolled_back_and_tried_again() {
    let db = postgres()
        .append_query_errors([refused(DEADLOCK), refused("40001")])
        .append_query_results([[rows::product()]])
        .into_connection();
    find_in_a_transaction(&db).await.unwrap();
    assert_eq!(ended(db), ["ROLLBACK", "ROLLBACK", "COMMIT"]);
}

#[tokio::test]
async fn a_deadlock_without_end_is_given_up_after_six_attempts() {
    let deadlocks = (0..10).map(|_| refused(DEADLOCK));
    let db = postgres().append_query_errors(deadlocks).into_connection();
    let outcome = find_in_a_transaction(&db).await;
    assert!(
        matches!(&outcome, Err(Error::Db(error)) if is_transient(error)),
        "{outcome:?}"
    );
    assert_eq!(ended(db), ["ROLLBACK"; 6]);
}

#[tokio::test]
async fn what_would_fail_again_is_tried_once() {
    for error in [refused("42703"), lost(), DbErr::Custom("no".to_owned())] {
        let db = postgres().append_query_errors([error]).into_connection();
        find_in_a_transaction(&db).await.unwrap_err();
        assert_eq!(ended(db), ["ROLLBACK"]);
    }
}

#[tokio::test]
async fn an_attempt_that_failed_leaves_nothing_for_the_next() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    let failed = AtomicBool::new(false);
    transaction!(db, |txn| {
        Model::create(txn, &kettle(Some("KET-1"), Some(10)), &Actor::system()).await?;
        if failed.swap(true, Ordering::Relaxed) {
            Ok(())
        } else {
            Err(Error::Db(refused(DEADLOCK)))
        }
    })
    .unwrap();
    assert_eq!(pieces_in_the_ledger(db).await, 10);
}

#[tokio::test]
async fn a_statement_that_fails_ends_its_transaction() {
    let db = postgres()
        .append_query_errors([refused("23505")])
        .append_query_results([[rows::product()], [rows::product()]])
        .into_connection();
    let outcome: Result<(), Error> = transaction!(&db, |txn| {
        Model::find(txn, 7).await.unwrap_err();
        Model::find(txn, 7).await.unwrap_err();
        Ok(())
    });
    outcome.unwrap_err();
    assert_eq!(ended(db), ["ROLLBACK"]);
}

#[tokio::test]
async fn a_connection_that_could_not_roll_back_is_not_used_again() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    if db.get_database_backend() != DbBackend::Sqlite {
        println!("it is SQLite that rolls back by itself when the disk is full");
        return;
    }
    add_product(db, &kettle(None, None)).await;
    // SQLite takes as many pages as there are when there are more.
    let limit = "PRAGMA max_page_count = 1";
    let writer = writer(db).unwrap();
    writer.execute_unprepared(limit).await.unwrap();
    let mut full = 0;
    for _ in 0..8 {
        let before = products_seen_from_outside(&shop).await;
        let large = "x".repeat(5_000);
        let added: Result<Model, Error> = transaction!(db, |txn| {
            let product = Model::create(txn, &kettle(None, None), &Actor::system()).await?;
            let update = format!(
                "UPDATE products SET description = '{large}' WHERE id = {}",
                product.id
            );
            txn.execute_unprepared(&update).await?;
            Ok(product)
        });
        match added {
            Ok(_) => assert_eq!(products_seen_from_outside(&shop).await, before + 1),
            Err(Error::Db(error)) => {
                assert!(is_outage(&error), "{error}");
                assert_eq!(products_seen_from_outside(&shop).await, before);
                full += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(full > 0, "no connection was full");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begin_that_is_abandoned_leaves_no_connection_in_a_transaction() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    let mut abandoned = 0;
    for round in 0..300 {
        let mut attempts = Attempts::on(db);
        let begun = after_steps(1 + round % 6, attempts.begin()).await;
        abandoned += usize::from(begun.is_none());
    }
    assert!(abandoned > 0, "none was abandoned");
    for _ in 0..4 * shop.ctx.config.database.max_connections {
        assert_eq!(open_transactions(db).await, 0);
    }
}

/// What comes of work that is abandoned when it still waits after so many steps. A clock would not do: its
/// shortest time is a millisecond, in which a transaction has begun.
async fn after_steps<F: Future>(mut steps: u32, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        steps -= 1;
        match work.as_mut().poll(cx) {
            Poll::Pending if steps == 0 => Poll::Ready(None),
            outcome => outcome.map(Some),
        }
    })
    .await
}

/// How many transactions are open on the connection that comes next out of the pool, or, where the server
/// tells, on all of them. Those that are about to be taken back have a moment to go.
async fn open_transactions(db: &DatabaseConnection) -> i64 {
    let question = match db.get_database_backend() {
        DbBackend::MySql => "SELECT CAST(@@in_transaction AS SIGNED) AS open",
        DbBackend::Postgres => {
            "SELECT COUNT(*) AS open FROM pg_stat_activity \
             WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        }
        _ => {
            // Refused within a transaction.
            let begun = db.begin_with_options(at_once()).await.unwrap();
            begun.rollback().await.unwrap();
            return 0;
        }
    };
    let mut open = 1;
    for _ in 0..100 {
        let question = Statement::from_string(db.get_database_backend(), question);
        let row = db.query_one_raw(question).await.unwrap().unwrap();
        open = row.try_get("", "open").unwrap();
        if open == 0 {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    open
}

#[tokio::test]
async fn a_transaction_that_cannot_begin_is_an_outage() {
    let shop = Shop::open().await;
    let db = shop.ctx.db.clone();
    db.clone().close().await.unwrap();
    let outcome = find_in_a_transaction(&db).await;
    assert!(
        matches!(&outcome, Err(Error::Db(error)) if is_outage(error)),
        "{outcome:?}"
    );
}

#[test]
fn a_commit_that_was_refused_is_known_not_to_be_done() {
    for code in ["40001", "40P01", "23505", "25P02"] {
        assert!(surely_not_committed(&refused(code)), "{code}");
    }
}

#[test]
fn a_commit_whose_connection_broke_is_not_known() {
    assert!(!surely_not_committed(&lost()));
    // Completion unknown, resolution unknown, shutting down, out of disk, I/O error.
    for code in ["40003", "08007", "57P01", "53100", "58030"] {
        assert!(!surely_not_committed(&refused(code)), "{code}");
    }
}

#[test]
fn a_database_that_cannot_work_just_now_is_an_outage() {
    for code in [
        "08006", "25006", "53100", "53300", "57014", "57P01", "58030",
    ] {
        assert!(is_outage(&refused(code)), "{code}");
    }
}

#[tokio::test]
async fn two_who_wait_for_each_other_both_succeed() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    if db.get_database_backend() == DbBackend::Sqlite {
        println!("SQLite has one writer at a time, who waits for no other");
        return;
    }
    let one = add_product(db, &kettle(None, Some(0))).await.id;
    let other = add_product(db, &kettle(None, Some(0))).await.id;
    let (meeting, attempts) = (Barrier::new(2), AtomicU32::new(0));
    let (there, back) = tokio::join!(
        add_to_both(db, one, other, &meeting, &attempts),
        add_to_both(db, other, one, &meeting, &attempts)
    );
    there.and(back).unwrap();
    assert_eq!((stock(db, one).await, stock(db, other).await), (2, 2));
    assert!(attempts.into_inner() > 2, "they did not meet");
}

#[tokio::test]
async fn a_writer_waits_for_one_in_another_process() {
    let shop = Shop::open().await;
    let db = shop.ctx.db.clone();
    let id = add_product(&db, &kettle(None, Some(0))).await.id;
    // A pool of its own knows nothing of this process's queue of writers, as another process does not.
    let outside = connection::connect(&shop.ctx.config.database)
        .await
        .unwrap();
    let holding = outside.begin_with_options(at_once()).await.unwrap();
    let put_back = format!("UPDATE products SET stock = stock + 1 WHERE id = {id}");
    holding.execute_unprepared(&put_back).await.unwrap();
    let mut waiting = tokio::spawn(async move { add_one(&db, id).await });
    assert!(
        timeout(Duration::from_millis(100), &mut waiting)
            .await
            .is_err(),
        "it did not wait"
    );
    holding.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(stock(&shop.ctx.db, id).await, 2);
    outside.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_writers_of_one_row_all_have_their_turn() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    let id = add_product(db, &kettle(None, Some(0))).await.id;
    let start = Arc::new(Barrier::new(32));
    let mut writers = JoinSet::new();
    for _ in 0..32 {
        let (db, start) = (db.clone(), Arc::clone(&start));
        writers.spawn(async move {
            start.wait().await;
            add_one(&db, id).await
        });
    }
    for outcome in writers.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(
        (stock(db, id).await, pieces_in_the_ledger(db).await),
        (32, 32)
    );
}

#[tokio::test]
async fn a_writer_for_whom_others_wait_is_answered_when_the_last_of_them_has_committed() {
    let (shop, [first, second]) = group_of_two().await;
    let Some(db) = shares_commits(&shop) else {
        return;
    };
    first.writes.notify_one();
    second.works.notified().await;
    assert!(!first.is_answered(), "it was answered before its commit");
    assert_eq!(products_seen_from_outside(&shop).await, 0);
    second.writes.notify_one();
    first.outcome().await.unwrap();
    second.outcome().await.unwrap();
    assert_eq!(products(db).await, ["first", "second"]);
}

#[tokio::test]
async fn a_writer_whose_work_fails_takes_back_no_one_elses() {
    let (shop, [first, second]) = group_of_two().await;
    let Some(db) = shares_commits(&shop) else {
        return;
    };
    first.writes.notify_one();
    second.works.notified().await;
    second.fails.notify_one();
    first.outcome().await.unwrap();
    let refusal = second.outcome().await;
    assert!(matches!(refusal, Err(Error::NotFound)), "{refusal:?}");
    assert_eq!(products(db).await, ["first"]);
}

#[tokio::test]
async fn a_writer_who_leaves_half_way_takes_back_no_one_elses() {
    let (shop, [first, second]) = group_of_two().await;
    let Some(db) = shares_commits(&shop) else {
        return;
    };
    first.writes.notify_one();
    second.works.notified().await;
    second.task.abort();
    first.outcome().await.unwrap();
    assert_eq!(products(db).await, ["first"]);
}

#[tokio::test]
async fn a_writer_who_leaves_the_queue_leaves_no_one_waiting() {
    let (shop, [first, second]) = group_of_two().await;
    let Some(db) = shares_commits(&shop) else {
        return;
    };
    // Both happen before either task runs again.
    first.writes.notify_one();
    second.task.abort();
    first.outcome().await.unwrap();
    assert_eq!(products(db).await, ["first"]);
}

#[tokio::test]
async fn writers_whose_transaction_was_rolled_back_by_the_database_try_again() {
    let (shop, [first, second]) = group_of_two().await;
    let Some(db) = shares_commits(&shop) else {
        return;
    };
    first.writes.notify_one();
    second.works.notified().await;
    second.loses.notify_one();
    // Their second attempts.
    first.writes.notify_one();
    second.works.notified().await;
    second.writes.notify_one();
    first.outcome().await.unwrap();
    second.outcome().await.unwrap();
    assert_eq!(products(db).await, ["first", "second"]);
}

/// A writer that works when it is told to, and what has become of it.
struct Writer {
    /// It works.
    works: Arc<Notify>,
    /// Tells it to write, and to succeed.
    writes: Arc<Notify>,
    /// Tells it to write, and to fail.
    fails: Arc<Notify>,
    /// Tells it to write, and to lose its transaction, as on a full disk.
    loses: Arc<Notify>,
    task: JoinHandle<Result<(), Error>>,
}

impl Writer {
    fn begin(db: &DatabaseConnection, name: &'static str) -> Self {
        let [works, writes, fails, loses] = [(); 4].map(|()| Arc::<Notify>::default());
        let told = [&works, &writes, &fails, &loses].map(Arc::clone);
        let db = db.clone();
        let task = tokio::spawn(async move {
            let [works, writes, fails, loses] = told;
            transaction!(&db, |txn| {
                works.notify_one();
                let succeeds = tokio::select! {
                    () = writes.notified() => true,
                    () = fails.notified() => false,
                    () = loses.notified() => {
                        txn.execute_unprepared("ROLLBACK").await?;
                        return Err(Error::WriteConflict);
                    }
                };
                Model::create(txn, &named(name), &Actor::system()).await?;
                if succeeds {
                    Ok(())
                } else {
                    Err(Error::NotFound)
                }
            })
        });
        Self {
            works,
            writes,
            fails,
            loses,
            task,
        }
    }

    fn is_answered(&self) -> bool {
        self.task.is_finished()
    }

    async fn outcome(self) -> Result<(), Error> {
        let soon = timeout(Duration::from_secs(20), self.task).await;
        soon.expect("no answer").unwrap()
    }
}

/// A writer that works, and one that waits for its turn.
async fn group_of_two() -> (Shop, [Writer; 2]) {
    let shop = Shop::open().await;
    let first = Writer::begin(&shop.ctx.db, "first");
    first.works.notified().await;
    let second = Writer::begin(&shop.ctx.db, "second");
    // It runs until it waits.
    tokio::task::yield_now().await;
    (shop, [first, second])
}

/// The database, if its writers share commits.
fn shares_commits(shop: &Shop) -> Option<&DatabaseConnection> {
    let db = &shop.ctx.db;
    if db.get_database_backend() == DbBackend::Sqlite {
        return Some(db);
    }
    println!("only SQLite has one writer at a time");
    None
}

fn named(name: &str) -> products::Details {
    products::Details {
        name: ProductName::parse(name).unwrap(),
        ..kettle(None, None)
    }
}

async fn products(db: &DatabaseConnection) -> Vec<String> {
    let products = products::Entity::find().order_by_asc(products::Column::Name);
    let products = products.all(db).await.unwrap().into_iter();
    products.map(|product| product.name).collect()
}

async fn find_in_a_transaction(db: &DatabaseConnection) -> Result<Model, Error> {
    transaction!(db, |txn| Model::find(txn, 7).await)
}

/// Reads the stock and writes one more, with the row locked in between.
async fn add_one(db: &DatabaseConnection, id: i64) -> Result<Model, Error> {
    transaction!(db, |txn| {
        let product = Model::find_locked(txn, id).await?;
        let changes = Changes {
            stock: Some(product.stock.and_then(|stock| Stock::new(stock + 1))),
            ..Changes::default()
        };
        product.change(txn, &changes, &Actor::system()).await
    })
}

/// Adds a piece to one product and then to the other, having met the other task in between the first time.
async fn add_to_both(
    db: &DatabaseConnection,
    first: i64,
    second: i64,
    meeting: &Barrier,
    attempts: &AtomicU32,
) -> Result<(), Error> {
    let met = AtomicBool::new(false);
    transaction!(db, |txn| {
        attempts.fetch_add(1, Ordering::Relaxed);
        Model::put_back(txn, &[(first, 1)].into(), Purpose::Sale).await?;
        if !met.swap(true, Ordering::Relaxed) {
            meeting.wait().await;
        }
        Model::put_back(txn, &[(second, 1)].into(), Purpose::Sale).await?;
        Ok(())
    })
}

fn at_once() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    }
}

async fn stock(db: &DatabaseConnection, id: i64) -> i64 {
    Model::find(db, id).await.unwrap().stock.unwrap()
}

/// How many products another process finds.
async fn products_seen_from_outside(shop: &Shop) -> usize {
    let outside = connection::connect(&shop.ctx.config.database)
        .await
        .unwrap();
    let seen = products::Entity::find().all(&outside).await.unwrap().len();
    outside.close().await.unwrap();
    seen
}

async fn pieces_in_the_ledger(db: &DatabaseConnection) -> i64 {
    let movements = stock_movements::Entity::find().all(db).await.unwrap();
    movements.iter().map(|movement| movement.delta).sum()
}

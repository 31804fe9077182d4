//! The write path: every change to the store happens in a [`Transaction`] that is opened here, by
//! [`transaction!`](crate::transaction). When it is over, the caches are told what has changed.

mod turn;

use std::{
    collections::BTreeSet,
    future::ready,
    pin::Pin,
    sync::{
        Arc, Mutex as SyncMutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use rand::Rng;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, Statement,
};
use tokio::{runtime::Handle, time::sleep};

pub use self::turn::writer;
use self::turn::{NotCommitted, Outcome, Turn, commit, roll_back};
pub(super) use self::turn::{close_writer, turn_to_write};
use super::{
    cache_tag::CacheTag,
    deadline::Deadline,
    error::{Error, Result, is_transient, surely_not_committed},
    events::{Event, Subject},
    reader,
    types::EventType,
};

/// How often a transaction is tried before its deadlock becomes the caller's problem.
const ATTEMPTS: u32 = 6;

/// Does something to the store in one transaction: all of it happens, or nothing.
///
/// On a deadlock or a serialization failure it is done again from the start, a few times. It holds
/// locks while it runs: no password hashing and no network calls in there.
///
/// ```text
/// let ctx = ctx.on_behalf_of(&admin);
/// let customer = transaction!(&ctx, |txn| customers::Model::create(txn, &details).await)?;
/// ```
///
/// A macro, because no function can say yet that the futures of the closure it is given are `Send`.
#[macro_export]
macro_rules! transaction {
    ($database:expr, |$txn:ident| $work:expr) => {
        // A `match`, so that a database that is made on the spot lives as long as the work.
        match $database {
            database => {
                let mut attempts = $crate::models::transaction::Attempts::on(database);
                loop {
                    let outcome = match attempts.begin().await {
                        Ok(open) => {
                            let $txn = open.transaction();
                            let outcome: $crate::models::Result<_> = async {
                                $crate::models::transaction::Database::admit(database, $txn)
                                    .await?;
                                $work
                            }
                            .await;
                            attempts.end(open, outcome).await
                        }
                        Err(error) => Err(error),
                    };
                    if let Some(outcome) = attempts.retry_or_return(outcome).await {
                        break outcome;
                    }
                }
            }
        }
    };
}

/// Where transactions happen, and who is told when one is over.
pub trait Database: Sync {
    /// The database.
    fn db(&self) -> &DatabaseConnection;

    /// Whatever was made of these before is out of date.
    fn changed(&self, tags: BTreeSet<CacheTag>) -> impl Future<Output = ()> + Send;

    /// Writes down what has happened in a transaction, as part of it. Done last in every transaction, and earlier in
    /// a long one, so that not all of it has to be remembered.
    fn record(&self, txn: &Transaction) -> impl Future<Output = Result<()>> + Send;

    /// Refuses the work when the one who asks for it may not have it done any more. Asked first in every
    /// transaction, and true until its end: what takes a right away waits for those who use it.
    ///
    /// # Errors
    /// [`Error::Revoked`].
    fn admit(&self, _: &Transaction) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }

    /// The clock of the request that asks for the work, if one does.
    fn deadline(&self) -> Option<&Deadline> {
        None
    }
}

impl<D: Database + Send> Database for Arc<D> {
    fn db(&self) -> &DatabaseConnection {
        self.as_ref().db()
    }

    async fn changed(&self, tags: BTreeSet<CacheTag>) {
        self.as_ref().changed(tags).await;
    }

    async fn record(&self, txn: &Transaction) -> Result<()> {
        self.as_ref().record(txn).await
    }

    async fn admit(&self, txn: &Transaction) -> Result<()> {
        self.as_ref().admit(txn).await
    }

    fn deadline(&self) -> Option<&Deadline> {
        self.as_ref().deadline()
    }
}

/// A database alone: no cache depends on it, and nobody asks what has happened to it.
impl Database for DatabaseConnection {
    fn db(&self) -> &DatabaseConnection {
        self
    }

    async fn changed(&self, _: BTreeSet<CacheTag>) {}

    async fn record(&self, _: &Transaction) -> Result<()> {
        Ok(())
    }
}

/// A transaction in which verbs work. They say what they change.
///
/// A statement that fails is its end: PostgreSQL takes no further one, and SQLite may have rolled back
/// by itself, so that the next one would be a transaction of its own.
#[derive(Debug)]
pub struct Transaction {
    inner: Arc<DatabaseTransaction>,
    changed: SyncMutex<BTreeSet<CacheTag>>,
    happened: SyncMutex<Vec<Event>>,
    /// What is carried out with the next statements, or at the end.
    later: SyncMutex<Vec<Statement>>,
    failed: AtomicBool,
}

impl Transaction {
    /// Says what has happened, to what, as that is now: for the events, and for those who keep copies.
    pub fn happened(&self, event_type: EventType, to: impl Into<Subject>) {
        let event = Event::new(event_type, to);
        self.touch(event.touches());
        let mut happened = self.happened.lock().unwrap_or_else(PoisonError::into_inner);
        happened.push(event);
    }

    /// What has happened and was not taken yet, in its order.
    pub(super) fn take_events(&self) -> Vec<Event> {
        let mut happened = self.happened.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *happened)
    }

    /// Says what has changed beside what [`happened`](Self::happened), for those who keep copies.
    pub fn touch(&self, tags: impl IntoIterator<Item = CacheTag>) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.extend(tags);
    }

    /// Carries out statements, one after the other, and answers how many rows they have changed. On SQLite that is one
    /// trip to the thread of the connection, which costs more than a short statement.
    ///
    /// # Errors
    /// Those of the first statement that fails.
    pub async fn execute_all(&self, statements: Vec<Statement>) -> Result<u64, DbErr> {
        if self.get_database_backend() == DbBackend::Sqlite {
            let all = one_after_another(statements);
            return Ok(self.execute_raw(all).await?.rows_affected());
        }
        let mut changed = 0;
        for statement in statements {
            changed += self.execute_raw(statement).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Carries out statements whose outcome nobody waits for. SQLite has one writer, whom nothing can surprise: there
    /// they go with the last trip of the transaction, or before the next statement.
    ///
    /// # Errors
    /// Elsewhere those of the first statement that fails.
    pub async fn execute_later(&self, statements: Vec<Statement>) -> Result<(), DbErr> {
        if self.get_database_backend() != DbBackend::Sqlite {
            return self.execute_all(statements).await.map(drop);
        }
        self.later().extend(statements);
        Ok(())
    }

    /// Carries out what was left for later.
    pub(super) async fn catch_up(&self) -> Result<(), DbErr> {
        let later = self.take_later();
        if later.is_empty() {
            return Ok(());
        }
        let later = one_after_another(later);
        self.run(self.inner.execute_raw(later)).await.map(drop)
    }

    /// The first row that statements of SQLite answer, which go in one trip with what was left for later.
    pub(super) async fn query_all_of(
        &self,
        statements: Vec<Statement>,
    ) -> Result<Option<QueryResult>, DbErr> {
        let mut all = self.take_later();
        all.extend(statements);
        let all = one_after_another(all);
        self.run(self.inner.query_one_raw(all)).await
    }

    fn take_later(&self) -> Vec<Statement> {
        std::mem::take(&mut *self.later())
    }

    fn later(&self) -> MutexGuard<'_, Vec<Statement>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run<T>(
        &self,
        statement: impl Future<Output = Result<T, DbErr>> + Send,
    ) -> Result<T, DbErr> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(DbErr::Custom(
                "the transaction has ended with an earlier statement that failed".to_owned(),
            ));
        }
        let outcome = statement.await;
        if outcome.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.catch_up().await?;
        self.run(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.catch_up().await?;
        self.run(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.catch_up().await?;
        self.run(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.catch_up().await?;
        self.run(self.inner.query_all_raw(statement)).await
    }
}

/// The attempts at one transaction.
#[derive(Debug)]
pub struct Attempts<'a, D> {
    database: &'a D,
    made: u32,
}

/// A transaction that has begun, and its turn to write.
#[derive(Debug)]
pub struct Open {
    // Dropped first: whoever has the turn next has the transaction to themselves.
    transaction: Transaction,
    turn: Option<Turn>,
}

impl<'a, D: Database> Attempts<'a, D> {
    /// No attempts yet.
    pub const fn on(database: &'a D) -> Self {
        Self { database, made: 0 }
    }

    /// Begins the next one.
    pub async fn begin(&mut self) -> Result<Open> {
        self.made += 1;
        let db = self.database.db();
        let turn = Turn::of(db).await;
        let db = db.clone();
        let begin = ToItsEnd::new(async move {
            match turn {
                Some(mut turn) => Ok((turn.begin(&db).await?, Some(turn))),
                None => Ok((Arc::new(reader::begin(&db).await?), None)),
            }
        });
        let (inner, turn) = begin.await.map_err(|error: DbErr| Error::Db(error))?;
        let transaction = Transaction {
            inner,
            changed: SyncMutex::default(),
            happened: SyncMutex::default(),
            later: SyncMutex::default(),
            failed: AtomicBool::new(false),
        };
        Ok(Open { transaction, turn })
    }

    /// Commits what succeeded, and takes back what did not.
    ///
    /// # Errors
    /// The outcome's own; [`Error::OutOfTime`] when the request's time is over;
    /// [`Error::WriteConflict`] when the transaction was shared, and is lost;
    /// [`Error::OutcomeUnknown`] when the database went away while it committed; and the database's own
    /// when it refused to commit.
    pub async fn end<T>(&self, open: Open, outcome: Result<T>) -> Result<T> {
        let outcome = match outcome {
            Ok(value) => self.finish(open.transaction()).await.map(|()| value),
            refusal => refusal,
        };
        let Open { transaction, turn } = open;
        let Transaction {
            inner,
            changed,
            failed,
            ..
        } = transaction;
        let outcome = outcome.and_then(|value| self.may_commit(&failed).map(|()| value));
        let ended = ToItsEnd::new(end(inner, turn, outcome.is_ok())).await;
        if outcome.is_err() {
            // What it was refused for is not there.
            return ended.map_or(Err(Error::WriteConflict), |()| outcome);
        }
        // Also when the commit has failed: the connection may have broken after the database had done it.
        let changed = changed.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !changed.is_empty() {
            self.database.changed(changed).await;
        }
        let refusal = match ended {
            Ok(()) => return outcome,
            Err(NotCommitted::Lost) => Error::WriteConflict,
            Err(NotCommitted::Failed(error)) if surely_not_committed(&error) => error.into(),
            Err(NotCommitted::Failed(error)) => return Err(Error::OutcomeUnknown(error)),
        };
        let in_time = self.database.deadline().is_none_or(Deadline::reopen);
        Err(if in_time { refusal } else { Error::OutOfTime })
    }

    /// Writes down what has happened, and whatever was left for later.
    async fn finish(&self, txn: &Transaction) -> Result<()> {
        self.database.record(txn).await?;
        Ok(txn.catch_up().await?)
    }

    fn may_commit(&self, failed: &AtomicBool) -> Result<()> {
        if failed.load(Ordering::Relaxed) {
            let swallowed = "a statement has failed, and nothing was made of it";
            return Err(DbErr::Custom(swallowed.to_owned()).into());
        }
        match self.database.deadline() {
            Some(deadline) if !deadline.begin_commit() => Err(Error::OutOfTime),
            _ => Ok(()),
        }
    }

    /// The outcome, or `None` after a pause when it is worth another attempt.
    pub async fn retry_or_return<T>(&self, outcome: Result<T>) -> Option<Result<T>> {
        match &outcome {
            Err(error) if is_worth_another(error) && self.made < ATTEMPTS => {
                tracing::debug!(%error, attempt = self.made, "transaction is tried again");
            }
            _ => return Some(outcome),
        }
        let pause = rand::rng().random_range(1..=5 << self.made);
        sleep(Duration::from_millis(pause)).await;
        None
    }
}

/// Commits a transaction, or rolls it back.
async fn end(inner: Arc<DatabaseTransaction>, turn: Option<Turn>, keep: bool) -> Outcome {
    match turn {
        Some(turn) => turn.end(inner, keep).await,
        None if keep => commit(inner).await,
        None => {
            roll_back(inner).await;
            Ok(())
        }
    }
}

/// Several statements of SQLite as one text: each takes its values from where the one before has stopped.
fn one_after_another(statements: Vec<Statement>) -> Statement {
    let mut texts = Vec::new();
    let mut values = Vec::new();
    for statement in statements {
        texts.push(statement.sql);
        values.extend(statement.values.into_iter().flatten());
    }
    Statement::from_sql_and_values(DbBackend::Sqlite, texts.join("; "), values)
}

fn is_worth_another(error: &Error) -> bool {
    match error {
        Error::WriteConflict => true,
        Error::Db(error) => is_transient(error),
        _ => false,
    }
}

/// A future that goes on when the one that waits for it is dropped. A `BEGIN` of which only the database
/// knows would give the pool a connection with an open transaction, which the pool takes for closed.
struct ToItsEnd<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> ToItsEnd<T> {
    fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<T: Send + 'static> Future for ToItsEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.0 else {
            return Poll::Pending;
        };
        let outcome = work.as_mut().poll(cx);
        if outcome.is_ready() {
            self.0 = None;
        }
        outcome
    }
}

impl<T: Send + 'static> Drop for ToItsEnd<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

impl Open {
    /// The transaction to work in.
    pub const fn transaction(&self) -> &Transaction {
        &self.transaction
    }
}

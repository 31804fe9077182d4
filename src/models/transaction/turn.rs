//! Turns to write on SQLite, which has one writer at a time, and the commit that writers share who queue for it.
//!
//! Left to themselves, SQLite's writers poll. Here they queue, first come first served, and the next one's turn comes
//! the moment that one is done.
//!
//! A commit waits for the disk, which takes longer than the work. So a writer that is done while others wait does not
//! commit: it hands its open transaction on with its turn, and waits. The next one works in a savepoint of that
//! transaction, which is rolled back alone if its work fails. The last one commits for all of them, and each
//! is answered after that. A writer whose work fails waits too: what it was refused for may be the work of
//! one before it.
//!
//! All of them write on one connection. A connection forgets the pages that it has read as soon as another one writes,
//! and would read some forty of them again for each order.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex as SyncMutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqlxSqliteConnector,
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMutexGuard, oneshot},
};

use super::{super::reader, ToItsEnd};

/// How many writers share a commit at most.
const LARGEST_GROUP: usize = 64;

/// For how long a transaction is handed on: the first writer waits for all of them.
const OPEN_FOR: Duration = Duration::from_millis(50);

/// The queue of writers of each SQLite file.
static QUEUES: LazyLock<SyncMutex<HashMap<PathBuf, Arc<Queue>>>> =
    LazyLock::new(SyncMutex::default);

/// The writers of a file.
#[derive(Debug, Default)]
struct Queue {
    /// Whose turn it is, and the transaction that is handed on.
    turn: Arc<Mutex<Option<Group>>>,
    /// How many wait.
    waiting: AtomicUsize,
    /// The connection that they share. A task keeps it open until the pool is closed.
    writer: SyncMutex<Weak<DatabaseConnection>>,
}

/// The turn to write.
#[derive(Debug)]
pub struct Turn {
    group: OwnedMutexGuard<Option<Group>>,
    queue: Arc<Queue>,
    /// Whether its work is over. A turn that is dropped before leaves half of its work behind.
    over: bool,
}

/// Writers who are done, and whose transaction is still open.
#[derive(Debug)]
struct Group {
    transaction: Arc<DatabaseTransaction>,
    /// Those who wait for the commit.
    waiting: Vec<oneshot::Sender<Outcome>>,
    since: Instant,
    savepoint: Savepoint,
    /// The number of the last savepoint. Each has its own name, so that none is ever taken for another.
    number: u32,
}

/// What is to become of what was written since the last savepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Savepoint {
    /// There is no savepoint: all of it stays.
    None,
    /// It stays.
    Kept,
    /// It is rolled back.
    TakenBack,
}

/// What has become of a transaction.
pub(super) type Outcome = Result<(), NotCommitted>;

/// Why a transaction was not committed.
#[derive(Clone, Debug)]
pub(super) enum NotCommitted {
    /// The commit failed.
    Failed(DbErr),
    /// The work of another writer took the whole transaction with it: SQLite itself rolls all of it back, for instance
    /// when the disk is full.
    Lost,
}

/// A place in the queue.
struct Place<'a> {
    queue: &'a Arc<Queue>,
    /// Whether its turn has come.
    is_first: bool,
}

/// Waits for the turn to write where a database has one writer at a time. What others have written is
/// committed by then.
pub async fn turn_to_write(db: &DatabaseConnection) -> Option<Turn> {
    let mut turn = Turn::of(db).await?;
    let committed = ToItsEnd::new(async move {
        turn.over = true;
        // Those who wait for it are told.
        let _ = turn.commit().await;
        turn
    });
    Some(committed.await)
}

/// The connection that writes for a pool, if the database has one writer at a time.
pub fn writer(pool: &DatabaseConnection) -> Option<Arc<DatabaseConnection>> {
    let is_sqlite = pool.get_database_backend() == DbBackend::Sqlite;
    is_sqlite.then(|| Queue::of(pool).writer(pool))
}

/// Closes the connection that writes for a pool, after the last write is done.
pub async fn close_writer(pool: &DatabaseConnection) {
    if let Some(turn) = turn_to_write(pool).await {
        let writer = turn
            .queue
            .writer
            .lock()
            .map_or(None, |writer| writer.upgrade());
        if let Some(writer) = writer {
            writer.get_sqlite_connection_pool().close().await;
        }
    }
}

impl Turn {
    /// Waits for the turn, in which others may have left their transaction.
    pub(super) async fn of(db: &DatabaseConnection) -> Option<Self> {
        if db.get_database_backend() != DbBackend::Sqlite {
            return None;
        }
        let queue = Queue::of(db);
        let group = {
            let mut place = Place::in_line(&queue);
            let group = Arc::clone(&queue.turn).lock_owned().await;
            place.is_first = true;
            group
        };
        Some(Self {
            group,
            queue,
            over: false,
        })
    }

    /// Begins to work: in a transaction of its own, or in the one that was handed on.
    pub(super) async fn begin(
        &mut self,
        db: &DatabaseConnection,
    ) -> Result<Arc<DatabaseTransaction>, DbErr> {
        let Some(group) = self.group.as_mut() else {
            if is_closed(db) {
                return Ok(Arc::new(reader::begin(db).await?));
            }
            let writer = self.queue.writer(db);
            let begun = match reader::begin(&writer).await {
                // Another pool of this process has ended, and has taken it along.
                Err(_) if is_closed(&writer) => reader::begin(&self.queue.writer(db)).await,
                begun => begun,
            };
            return Ok(Arc::new(begun?));
        };
        let statement = group.next_savepoint();
        let transaction = Arc::clone(&group.transaction);
        if let Err(error) = transaction.execute_unprepared(&statement).await {
            drop(transaction);
            self.give_up().await;
            return Err(error);
        }
        Ok(transaction)
    }

    /// Ends the work, which is kept or taken back, and waits until what it was built on is committed.
    pub(super) async fn end(
        mut self,
        transaction: Arc<DatabaseTransaction>,
        keep: bool,
    ) -> Outcome {
        self.over = true;
        let savepoint = if keep {
            Savepoint::Kept
        } else {
            Savepoint::TakenBack
        };
        match self.group.as_mut() {
            None if !keep => {
                roll_back(transaction).await;
                return Ok(());
            }
            None => *self.group = Some(Group::of(transaction)),
            Some(group) => {
                drop(transaction);
                group.savepoint = savepoint;
            }
        }
        if let Some(waiting) = self.hand_on() {
            drop(self);
            let gone = || DbErr::Custom("the server ended before the commit".to_owned());
            return waiting
                .await
                .unwrap_or_else(|_| Err(NotCommitted::Failed(gone())));
        }
        self.commit().await
    }

    /// Leaves the transaction to the next in line, if there is one and the transaction is not too old.
    fn hand_on(&mut self) -> Option<oneshot::Receiver<Outcome>> {
        let next = self.queue.has_waiting();
        let group = self
            .group
            .as_mut()
            .filter(|group| next && group.is_open())?;
        let (sender, receiver) = oneshot::channel();
        group.waiting.push(sender);
        Some(receiver)
    }

    /// Commits what was handed on, and tells those who wait for it.
    async fn commit(&mut self) -> Outcome {
        let Some(group) = self.group.take() else {
            return Ok(());
        };
        let (outcome, waiting) = group.commit().await;
        tell(waiting, &outcome);
        outcome
    }

    /// Gives up what was handed on.
    async fn give_up(&mut self) {
        if let Some(group) = self.group.take() {
            roll_back(group.transaction).await;
            tell(group.waiting, &Err(NotCommitted::Lost));
        }
    }
}

impl Drop for Turn {
    /// A turn that was dropped half way leaves what was handed on to it to the next one, or to a task.
    fn drop(&mut self) {
        let Some(group) = self.group.as_mut() else {
            return;
        };
        if !self.over {
            group.savepoint = Savepoint::TakenBack;
        }
        if !self.queue.has_waiting() {
            self.queue.commit_later();
        }
    }
}

impl Group {
    fn of(transaction: Arc<DatabaseTransaction>) -> Self {
        Self {
            transaction,
            waiting: Vec::new(),
            since: Instant::now(),
            savepoint: Savepoint::None,
            number: 0,
        }
    }

    /// What sets a savepoint for the next one to work in. Until its work is over it is to be taken back.
    fn next_savepoint(&mut self) -> String {
        let last = self.number;
        let before = std::mem::replace(&mut self.savepoint, Savepoint::TakenBack);
        if before == Savepoint::TakenBack {
            return format!("ROLLBACK TO turn_{last}");
        }
        self.number += 1;
        let next = self.number;
        if before == Savepoint::Kept {
            format!("RELEASE turn_{last}; SAVEPOINT turn_{next}")
        } else {
            format!("SAVEPOINT turn_{next}")
        }
    }

    fn is_open(&self) -> bool {
        self.waiting.len() + 1 < LARGEST_GROUP && self.since.elapsed() < OPEN_FOR
    }

    async fn commit(self) -> (Outcome, Vec<oneshot::Sender<Outcome>>) {
        let Self {
            transaction,
            waiting,
            savepoint,
            number,
            ..
        } = self;
        if savepoint == Savepoint::TakenBack {
            let rollback = format!("ROLLBACK TO turn_{number}");
            if let Err(error) = transaction.execute_unprepared(&rollback).await {
                tracing::debug!(%error, "the transaction is lost, and those who wrote in it try again");
                roll_back(transaction).await;
                return (Err(NotCommitted::Lost), waiting);
            }
        }
        (commit(transaction).await, waiting)
    }
}

impl Queue {
    fn of(db: &DatabaseConnection) -> Arc<Self> {
        let options = db.get_sqlite_connection_pool().connect_options();
        let file = options.get_filename();
        let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked for first, so that a write does not copy the path.
        match queues.get(file) {
            Some(queue) => Arc::clone(queue),
            None => Arc::clone(queues.entry(file.to_owned()).or_default()),
        }
    }

    /// The connection on which all write.
    fn writer(&self, pool: &DatabaseConnection) -> Arc<DatabaseConnection> {
        let mut known = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let open = known.upgrade().filter(|writer| !is_closed(writer));
        let writer = open.unwrap_or_else(|| open_writer(pool));
        *known = Arc::downgrade(&writer);
        drop(known);
        writer
    }

    fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Commits what was handed on, unless the next in line does.
    async fn commit_unless_taken(self: Arc<Self>) {
        let mut turn = Arc::clone(&self.turn).lock_owned().await;
        let group = turn.take_if(|_| !self.has_waiting());
        if let Some(group) = group {
            let (outcome, waiting) = group.commit().await;
            tell(waiting, &outcome);
        }
        drop(turn);
    }

    /// Commits what was handed on when nobody takes it.
    fn commit_later(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let queue = Arc::clone(self);
        runtime.spawn(queue.commit_unless_taken());
    }
}

impl<'a> Place<'a> {
    fn in_line(queue: &'a Arc<Queue>) -> Self {
        queue.waiting.fetch_add(1, Ordering::SeqCst);
        let is_first = false;
        Self { queue, is_first }
    }
}

impl Drop for Place<'_> {
    /// One who leaves the queue may be the one to whom a transaction is being handed on.
    fn drop(&mut self) {
        self.queue.waiting.fetch_sub(1, Ordering::SeqCst);
        if !self.is_first {
            self.queue.commit_later();
        }
    }
}

/// Commits a transaction in which nobody works any more.
pub(super) async fn commit(transaction: Arc<DatabaseTransaction>) -> Outcome {
    let Some(transaction) = Arc::into_inner(transaction) else {
        let message = "the transaction is in use, and is rolled back";
        return Err(NotCommitted::Failed(DbErr::Custom(message.to_owned())));
    };
    transaction.commit().await.map_err(NotCommitted::Failed)
}

/// Rolls a transaction back. One that cannot be leaves a connection that the pool will not take back.
pub(super) async fn roll_back(transaction: Arc<DatabaseTransaction>) {
    let Some(transaction) = Arc::into_inner(transaction) else {
        return;
    };
    if let Err(error) = transaction.rollback().await {
        tracing::debug!(%error, "no rollback: the connection is closed, which ends the transaction");
    }
}

/// One more connection like those of the pool, which is closed when the pool is.
fn open_writer(pool: &DatabaseConnection) -> Arc<DatabaseConnection> {
    let pool = pool.get_sqlite_connection_pool();
    let one = pool.options().clone().min_connections(0).max_connections(1);
    let one = one.idle_timeout(None).max_lifetime(None);
    // A savepoint keeps the old content of the pages that are changed. An order changes more than SQLite keeps in memory
    // by itself: the rest would be written to a temporary file, with customers in it.
    let options = pool.connect_options().as_ref().clone();
    let options = options.pragma("temp_store", "MEMORY");
    let writer = one.connect_lazy_with(options);
    let writer = Arc::new(SqlxSqliteConnector::from_sqlx_sqlite_pool(writer));
    if let Ok(runtime) = Handle::try_current() {
        let (end, kept) = (pool.close_event(), Arc::clone(&writer));
        runtime.spawn(async move {
            end.await;
            kept.get_sqlite_connection_pool().close().await;
        });
    }
    writer
}

fn is_closed(pool: &DatabaseConnection) -> bool {
    pool.get_sqlite_connection_pool().is_closed()
}

fn tell(waiting: Vec<oneshot::Sender<Outcome>>, outcome: &Outcome) {
    for one in waiting {
        // One who has left needs no answer.
        let _ = one.send(outcome.clone());
    }
}

//! The write path: every change to the store happens in a transaction that is opened here, by
//! [`transaction!`].

use std::time::Duration;

use rand::Rng;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbBackend, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::sleep,
};

use super::error::{Error, Result, is_transient};

/// How often a transaction is tried before its deadlock becomes the caller's problem.
const ATTEMPTS: u32 = 6;

/// SQLite lets one writer in at a time and makes the others poll. In here they queue instead, first
/// come first served, and the others' turn comes the moment that one is done.
static SQLITE_TURN: Mutex<()> = Mutex::const_new(());

/// Does something to the store in one transaction: all of it happens, or nothing.
///
/// On a deadlock or a serialization failure it is done again from the start, a few times. It holds
/// locks while it runs: no password hashing and no network calls in there.
///
/// ```text
/// let customer = transaction!(&ctx.db, |txn| customers::Model::create(txn, &details).await)?;
/// ```
///
/// A macro, because no function can say yet that the futures of the closure it is given are `Send`.
#[macro_export]
macro_rules! transaction {
    ($db:expr, |$txn:ident| $work:expr) => {{
        let mut attempts = $crate::models::transaction::Attempts::on($db);
        loop {
            let outcome = match attempts.begin().await {
                Ok(open) => {
                    let $txn = open.transaction();
                    let outcome: $crate::models::Result<_> = async { $work }.await;
                    open.end(outcome).await
                }
                Err(error) => Err(error),
            };
            if let Some(outcome) = attempts.settle(outcome).await {
                break outcome;
            }
        }
    }};
}

/// Answers a POST: the same as before when it is the retry of a request whose answer was kept,
/// otherwise with what is done now, which is kept in the same transaction.
#[macro_export]
macro_rules! once {
    ($db:expr, $claim:expr, |$txn:ident| $work:expr) => {
        $crate::transaction!($db, |$txn| match $claim.replay($txn).await? {
            Some(answer) => Ok(answer),
            None => $claim.keep($txn, $work?).await,
        })
    };
}

/// The attempts at one transaction.
#[derive(Debug)]
pub struct Attempts<'a> {
    db: &'a DatabaseConnection,
    made: u32,
}

/// A transaction that has begun, and its turn to write.
#[derive(Debug)]
pub struct Open {
    transaction: DatabaseTransaction,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl<'a> Attempts<'a> {
    /// No attempts yet.
    #[must_use]
    pub const fn on(db: &'a DatabaseConnection) -> Self {
        Self { db, made: 0 }
    }

    /// Begins the next one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin(&mut self) -> Result<Open> {
        self.made += 1;
        let turn = match self.db.get_database_backend() {
            DbBackend::Sqlite => Some(SQLITE_TURN.lock().await),
            _ => None,
        };
        let options = TransactionOptions {
            // A transaction that reads first and writes later would fail at its first write.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Open {
            transaction: self.db.begin_with_options(options).await?,
            _turn: turn,
        })
    }

    /// What has come of it; or nothing when it is worth another attempt.
    pub async fn settle<T>(&self, outcome: Result<T>) -> Option<Result<T>> {
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

fn is_worth_another(error: &Error) -> bool {
    match error {
        Error::Overtaken => true,
        Error::Db(error) => is_transient(error),
        _ => false,
    }
}

impl Open {
    /// The transaction to work in.
    #[must_use]
    pub const fn transaction(&self) -> &DatabaseTransaction {
        &self.transaction
    }

    /// Commits what succeeded, and takes back what did not.
    ///
    /// # Errors
    /// The outcome's own; and the database's, when it would not commit.
    pub async fn end<T>(self, outcome: Result<T>) -> Result<T> {
        if outcome.is_ok() {
            self.transaction.commit().await?;
        } else if let Err(error) = self.transaction.rollback().await {
            tracing::debug!(%error, "no rollback: the connection is gone, and the transaction with it");
        }
        outcome
    }
}

//! What can go wrong in the store, in the store's own words.

use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};
use serde::Serialize;
use utoipa::ToSchema;

use super::types::{OrderStatus, RuleViolation};

/// Why a verb was not carried out. Nothing has changed when one of these comes back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing, or the caller may not know of it.
    #[error("not found")]
    NotFound,
    /// What was sent cannot be understood.
    #[error("{0}")]
    Malformed(String),
    /// What was sent breaks rules.
    #[error("{}", sentences(.0))]
    Invalid(Vec<FieldError>),
    /// A value that has to be unique is taken.
    #[error("{}", sentences(std::slice::from_ref(.0)))]
    NotUnique(FieldError),
    /// The store would be left without an administrator.
    #[error("this is the last administrator, who can be neither deleted nor demoted")]
    LastAdministrator,
    /// There are not enough pieces. Every short line is named.
    #[error("{} lines exceed the stock", .0.len())]
    InsufficientStock(Vec<Shortage>),
    /// The order's state does not allow it.
    #[error("an order that is {from} cannot become {to}")]
    InvalidTransition {
        /// What the order is.
        from: OrderStatus,
        /// What it should have become.
        to: OrderStatus,
    },
    /// The idempotency key stands for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The stock cannot be changed by an amount, because it is not tracked.
    #[error("the stock of this product is not tracked")]
    NotTracked,
    /// What is there is not what the caller has seen.
    #[error("it has changed since you read it")]
    PreconditionFailed,
    /// What was read has changed before it could be acted on. The transaction is tried again.
    #[error("another request was faster")]
    WriteConflict,
    /// The caller's account, password, role or login has changed since the request began.
    #[error("the caller may not do this any more")]
    Revoked,
    /// The time for the request was over before its transaction could commit. Nothing was done.
    #[error("the time was over before the work was done")]
    OutOfTime,
    /// The database went away while it committed: the work is done, or it is not.
    #[error("the database did not say whether it committed: {0}")]
    OutcomeUnknown(DbErr),
    /// The password that was sent as the current one is wrong.
    #[error("the current password is wrong")]
    WrongPassword,
    /// There is too much work of that kind before it. It would be done after that long.
    #[error("there is too much to do already")]
    Busy(Duration),
    /// The database refused for another reason, or could not be reached.
    #[error(transparent)]
    Db(#[from] DbErr),
    /// Something that should not happen.
    #[error(transparent)]
    Internal(#[from] loco_rs::Error),
}

impl From<Error> for loco_rs::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Db(error) => error.into(),
            Error::Internal(error) => error,
            refusal => Self::Message(refusal.to_string()),
        }
    }
}

/// What is wrong, field by field, in words for people.
fn sentences(errors: &[FieldError]) -> String {
    let sentences: Vec<_> = errors
        .iter()
        .map(|error| {
            format!(
                "{} {}",
                error.pointer.trim_start_matches('/'),
                error.message
            )
        })
        .collect();
    sentences.join("; ")
}

/// The outcome of a verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with one field or parameter of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) to the field, or `/` and the parameter's name.
    pub pointer: String,
    /// A stable word for the broken rule.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// The product that is short.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<i64>,
    /// How many pieces were asked for.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested: Option<i64>,
    /// How many pieces there are.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<i64>,
}

impl FieldError {
    /// The value at `pointer` breaks a rule.
    pub fn at(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(pointer, RuleViolation::new(code, message))
    }

    /// The value at `pointer` breaks that rule.
    pub fn new(pointer: impl Into<String>, violation: RuleViolation) -> Self {
        Self {
            pointer: pointer.into(),
            code: violation.code,
            message: violation.message,
            ..Self::default()
        }
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl From<Shortage> for FieldError {
    fn from(shortage: Shortage) -> Self {
        let Shortage {
            line,
            product_id,
            requested,
            available,
        } = shortage;
        let pointer = line.map_or_else(|| "/delta".to_owned(), |line| format!("/items/{line}"));
        let message = format!("{requested} requested, {available} available");
        Self {
            product_id: Some(product_id),
            requested: Some(requested),
            available: Some(available),
            ..Self::at(pointer, "insufficient_stock", message)
        }
    }
}

/// An order line that asks for more than there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The line's place in the order as it was sent, from 0; nothing when it is no order.
    pub line: Option<usize>,
    /// The product.
    pub product_id: i64,
    /// How many pieces were asked for, in all lines together.
    pub requested: i64,
    /// How many there are.
    pub available: i64,
}

/// Translates the refusal of a unique index into [`Error::NotUnique`], and passes on every other error.
/// `pointer` is the field that the client sent for it.
pub fn taken(
    index: &'static str,
    pointer: &'static str,
    message: &'static str,
) -> impl Fn(DbErr) -> Error {
    move |error| {
        if violates(&error, index) {
            Error::NotUnique(FieldError::at(pointer, "taken", message))
        } else {
            error.into()
        }
    }
}

/// Whether `error` is the refusal of the unique index `uq_<table>_<columns>`. MySQL quotes the value,
/// which a client chose, before the index: only the end of the message counts.
#[must_use]
pub fn violates(error: &DbErr, index: &str) -> bool {
    let Some(SqlErr::UniqueConstraintViolation(message)) = error.sql_err() else {
        return false;
    };
    let message = message.trim_end_matches(['\'', '"']);
    // MariaDB and PostgreSQL name the index, MySQL 8 puts its table before it, SQLite lists
    // `table.column, table.column`, which is the index's name in other punctuation.
    message.ends_with(index)
        || message.split(": ").last().is_some_and(|columns| {
            let mut named = columns
                .split(", ")
                .map(|column| column.split_once('.').unwrap_or(("", column)));
            let table = columns.split('.').next().unwrap_or_default();
            let columns: Vec<_> = named.by_ref().map(|(_, column)| column).collect();
            format!("uq_{table}_{}", columns.join("_")) == index
        })
}

/// Whether the same transaction may well succeed when it is tried again: a deadlock, a
/// serialization failure, a lock that was waited for too long.
#[must_use]
pub fn is_transient(error: &DbErr) -> bool {
    matches!(
        database_code(error).as_deref(),
        // MySQL: lock wait timeout, deadlock, record changed. PostgreSQL: serialization failure,
        // deadlock, lock not available. SQLite: busy and locked, with their extended codes.
        Some(
            "1205"
                | "1213"
                | "1020"
                | "40001"
                | "40P01"
                | "55P03"
                | "5"
                | "6"
                | "261"
                | "262"
                | "517"
                | "773"
        )
    )
}

/// Whether the database cannot be reached or cannot work just now, through no fault of the request.
#[must_use]
pub fn is_outage(error: &DbErr) -> bool {
    use sqlx::Error as Sqlx;

    if is_transient(error) {
        return true;
    }
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => match &**cause {
            Sqlx::Io(_)
            | Sqlx::Tls(_)
            | Sqlx::Protocol(_)
            | Sqlx::PoolTimedOut
            | Sqlx::PoolClosed
            | Sqlx::WorkerCrashed => true,
            Sqlx::Database(_) => database_code(error).is_some_and(|code| {
                // PostgreSQL: connection exceptions, read only, out of resources, cancelled, shutting down,
                // I/O errors.
                (code.len() == 5
                    && ["08", "25006", "53", "57", "58"]
                        .iter()
                        .any(|class| code.starts_with(class)))
                    // MySQL: disk full, write error, storage error, table full; too many connections (of
                    // all, of the user), blocked; shutting down, killed, too slow; read only; server gone.
                    || matches!(
                        code.as_str(),
                        "1021" | "1026" | "1030" | "1114" | "1040" | "1203" | "1226" | "1129" | "1053" | "1317"
                            | "1927" | "1969" | "3024" | "1290" | "1792" | "1836" | "2006" | "2013"
                    )
                    // SQLite: out of memory, read-only, I/O error, disk full, cannot open, locking protocol.
                    || is_sqlite(cause)
                        && code.parse().is_ok_and(|code: u32| matches!(code & 0xff, 7 | 8 | 10 | 13 | 14 | 15))
            }),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a commit that failed with `error` has surely left nothing behind: the database has answered,
/// and said no. Where the connection broke, or the database was about to end, it may have committed.
#[must_use]
pub fn surely_not_committed(error: &DbErr) -> bool {
    let Some(code) = database_code(error) else {
        return false;
    };
    is_transient(error)
        // PostgreSQL: a constraint that is checked at the end, a transaction that had failed before or was
        // rolled back; but not "statement completion unknown".
        || (code.len() == 5
            && ["23", "25", "40"].iter().any(|class| code.starts_with(class))
            && code != "40003")
        // SQLite: a constraint, a full disk, a file that cannot be written. What an I/O error leaves in
        // the write-ahead log may be found there after a crash.
        || is_sqlite_error(error) && code.parse().is_ok_and(|code: u32| matches!(code & 0xff, 8 | 13 | 19))
}

fn is_sqlite_error(error: &DbErr) -> bool {
    matches!(
        error,
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) if is_sqlite(cause)
    )
}

fn is_sqlite(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|e| e.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some())
}

/// The database's own code for an error: a number for MySQL and SQLite, a SQLSTATE for PostgreSQL.
fn database_code(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))
    | DbErr::Conn(RuntimeErr::SqlxError(cause))) = error
    else {
        return None;
    };
    let cause = cause.as_database_error()?;
    cause
        .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
        .map(|mysql| mysql.number().to_string())
        .or_else(|| cause.code().map(std::borrow::Cow::into_owned))
}

//! What can go wrong in the store, in the store's own words.

use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    checkouts::Checkout,
    types::{CheckoutStatus, OrderStatus, RuleViolation},
};

/// Why a verb was not carried out. Nothing has changed when one of these comes back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not exist, or the caller may not know of it.
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
    InsufficientStock(Vec<FieldError>),
    /// The order's state does not allow it.
    #[error("an order that is {from} cannot become {to}")]
    InvalidTransition {
        /// What the order is.
        from: OrderStatus,
        /// What it should have become.
        to: OrderStatus,
    },
    /// The checkout has ended.
    #[error("the checkout is {0}, and only an open one can be changed")]
    NotOpen(CheckoutStatus),
    /// No stock is held.
    #[error("{0}")]
    HoldDisabled(&'static str),
    /// The checkout costs something else than expected. This is how it stands now.
    #[error("the checkout costs {} now", .0.standing.totals.total)]
    TotalsChanged(Box<Checkout>),
    /// An order of the customer is under way.
    #[error("an order is placed or paid, and not shipped yet")]
    OpenOrders,
    /// Something has the tax class, which would have no rate any more.
    #[error("the tax class is in use, and this is its last rate")]
    ClassInUse,
    /// There are as many as there may be.
    #[error("{0}")]
    LimitReached(&'static str),
    /// The webhook endpoint is sent nothing.
    #[error("the webhook endpoint is disabled or deleted")]
    Disabled,
    /// It cannot be sent once more.
    #[error("{0}")]
    NotRepeatable(&'static str),
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
    /// Only an administrator in person may do it, and no key.
    #[error("no key may do this: it takes an administrator in person")]
    OutOfReach,
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
    let sentence = |error: &FieldError| {
        let field = error.pointer.trim_start_matches('/');
        format!("{field} {}", error.message)
    };
    let sentences: Vec<_> = errors.iter().map(sentence).collect();
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

    /// More pieces of a product are asked for at `pointer` than there are.
    pub fn shortage(pointer: &str, product_id: i64, requested: i64, available: i64) -> Self {
        let message = format!("{requested} requested, {available} available");
        Self {
            product_id: Some(product_id),
            requested: Some(requested),
            available: Some(available),
            ..Self::at(pointer, "insufficient_stock", message)
        }
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
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
pub fn violates(error: &DbErr, index: &str) -> bool {
    let Some(SqlErr::UniqueConstraintViolation(message)) = error.sql_err() else {
        return false;
    };
    let message = message.trim_end_matches(['\'', '"']);
    // MariaDB and PostgreSQL name the index, MySQL 8 puts its table before it, SQLite lists
    // `table.column, table.column`, which is the index's name in other punctuation.
    message.ends_with(index)
        || message.split(": ").last().is_some_and(|columns| {
            let table = columns.split('.').next().unwrap_or_default();
            let columns = columns.replace(&format!("{table}."), "").replace(", ", "_");
            format!("uq_{table}_{columns}") == index
        })
}

/// Whether the same transaction may well succeed when it is tried again: a deadlock, a
/// serialization failure, a lock that was waited for too long.
pub fn is_transient(error: &DbErr) -> bool {
    match Code::of(error) {
        // Lock wait timeout, deadlock, record changed.
        Some(Code::MySql(code)) => matches!(code, 1205 | 1213 | 1020),
        // Serialization failure, deadlock, lock not available.
        Some(Code::Postgres(code)) => matches!(code.as_str(), "40001" | "40P01" | "55P03"),
        // Busy, locked.
        Some(Code::Sqlite(code)) => matches!(code, 5 | 6),
        None => false,
    }
}

/// Whether the database cannot be reached or cannot work just now, through no fault of the request.
pub fn is_outage(error: &DbErr) -> bool {
    use sqlx::Error as Sqlx;

    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) || is_transient(error) {
        return true;
    }
    match (Code::of(error), sqlx_error(error)) {
        // Disk full, write error, storage error, table full; too many connections (of all, of the user),
        // blocked; shutting down, killed, too slow; read only; server gone.
        (Some(Code::MySql(code)), _) => matches!(
            code,
            1021 | 1026
                | 1030
                | 1114
                | 1040
                | 1203
                | 1226
                | 1129
                | 1053
                | 1317
                | 1927
                | 1969
                | 3024
                | 1290
                | 1792
                | 1836
                | 2006
                | 2013
        ),
        // Connection exceptions, read only, out of resources, cancelled, shutting down, I/O errors.
        (Some(Code::Postgres(code)), _) => {
            starts_with_one(&code, &["08", "25006", "53", "57", "58"])
        }
        // Out of memory, read-only, I/O error, disk full, cannot open, locking protocol.
        (Some(Code::Sqlite(code)), _) => matches!(code, 7 | 8 | 10 | 13 | 14 | 15),
        (None, Some(cause)) => matches!(
            cause,
            Sqlx::Io(_)
                | Sqlx::Tls(_)
                | Sqlx::Protocol(_)
                | Sqlx::PoolTimedOut
                | Sqlx::PoolClosed
                | Sqlx::WorkerCrashed
        ),
        (None, None) => false,
    }
}

/// Whether a commit that failed with `error` has surely left nothing behind: the database has answered,
/// and said no. Where the connection broke, or the database was about to end, it may have committed.
pub fn surely_not_committed(error: &DbErr) -> bool {
    match Code::of(error) {
        _ if is_transient(error) => true,
        // A constraint that is checked at the end, a transaction that had failed before or was rolled back;
        // but not "statement completion unknown".
        Some(Code::Postgres(code)) => {
            starts_with_one(&code, &["23", "25", "40"]) && code != "40003"
        }
        // A constraint, a full disk, a file that cannot be written. What an I/O error leaves in the
        // write-ahead log may be found there after a crash.
        Some(Code::Sqlite(code)) => matches!(code, 8 | 13 | 19),
        Some(Code::MySql(_)) | None => false,
    }
}

/// The database's own code for an error.
enum Code {
    MySql(u16),
    /// A SQLSTATE, whose first two letters are its class.
    Postgres(String),
    /// Without what extends it.
    Sqlite(u32),
}

impl Code {
    fn of(error: &DbErr) -> Option<Self> {
        let cause = sqlx_error(error)?.as_database_error()?;
        if let Some(error) = cause.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            return Some(Self::MySql(error.number()));
        }
        let code = cause.code()?;
        match cause.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
            Some(_) => Some(Self::Sqlite(code.parse::<u32>().ok()? & 0xff)),
            None => Some(Self::Postgres(code.into_owned())),
        }
    }
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause))
        | DbErr::Conn(RuntimeErr::SqlxError(cause)) => Some(cause),
        _ => None,
    }
}

fn starts_with_one(code: &str, classes: &[&str]) -> bool {
    classes.iter().any(|class| code.starts_with(class))
}

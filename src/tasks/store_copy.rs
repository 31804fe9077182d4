//! `store:copy`: copies the whole store to another database, of the same kind or another, and proves
//! that the copy is the same.

use std::iter::zip;

use async_trait::async_trait;
use indicatif::{ProgressBar, ProgressStyle};
use loco_rs::{
    Error, Result,
    app::AppContext,
    config,
    task::{Task, TaskInfo, Vars},
};
use migration::{Migrator, MigratorTrait, SchemaManager};
use sea_orm::{
    AccessMode, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, EntityName, EntityTrait, IdenStatic, IntoActiveModel, IsolationLevel, Iterable,
    ModelTrait, PaginatorTrait, QueryFilter, Select, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait, Value, prelude::DateTimeWithTimeZone, sea_query::Query,
};
use sha2::{Digest, Sha256};

use super::{begin, counted, read_secret};
use crate::{
    models::{
        _entities::{
            api_keys, checkouts, codes, customer_accounts, customer_addresses, customers,
            discount_uses, discounts, events, hold_budgets, idempotency_keys, mails, order_events,
            order_items, orders, products, shipping_rates, stock_movements, tax_rates,
            webhook_deliveries, webhook_endpoints,
        },
        connection::connect,
        idempotency_keys::expiry,
        types::DeliveryStatus,
    },
    settings::address,
};

/// How many rows are read at once.
const BATCH: u64 = 500;

/// How many bytes go to the database in one statement: MySQL 5.7 takes 4 MiB unless told otherwise.
const STATEMENT_BYTES: usize = 1 << 20;

/// Every table, those first that others refer to.
static TABLES: &[&dyn Table] = &[
    &shipping_rates::Entity,
    &tax_rates::Entity,
    &discounts::Entity,
    &customers::Entity,
    &customer_accounts::Entity,
    &customer_addresses::Entity,
    &products::Entity,
    &orders::Entity,
    &order_items::Entity,
    &order_events::Entity,
    &discount_uses::Entity,
    &stock_movements::Entity,
    &checkouts::Entity,
    &hold_budgets::Entity,
    &events::Entity,
    &webhook_endpoints::Entity,
    &webhook_deliveries::Entity,
    &mails::Entity,
    &codes::Entity,
    &api_keys::Entity,
    &idempotency_keys::Entity,
];

/// Copies the store to another database.
#[derive(Clone, Copy, Debug)]
pub struct StoreCopy;

#[async_trait]
impl Task for StoreCopy {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "store:copy".to_owned(),
            detail: "Copies the whole store to another, empty database, and compares every row. \
                     to:URL, that is sqlite://FILE?mode=rwc, mysql://USER:PASSWORD@HOST/DATABASE or \
                     postgres://… [to:- to read it from standard input]. What servers write after it \
                     has begun is not copied: stop them first."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["to"]).await?;
        let to = match vars.cli.get("to").map(String::as_str) {
            None => return Err(Error::string("to:URL is required")),
            Some("-") => read_secret("Copy to: ").await?,
            Some(to) => to.to_owned(),
        };
        let target = open(ctx, &to).await?;
        let copied = match prepare(&target).await {
            Ok(()) => copy(&ctx.db, &target).await,
            Err(error) => Err(error),
        };
        // What was not committed is gone when this is done.
        target.close().await?;
        let rows = copied?;
        let rows = counted(rows, "row");
        println!("The copy is the same: {rows} in {} tables.", TABLES.len());
        Ok(())
    }
}

/// Connects to where the copy goes.
async fn open(ctx: &AppContext, to: &str) -> Result<DatabaseConnection> {
    if !to.contains("://") {
        let why =
            "to: the address has to begin with sqlite://, mysql://, mariadb:// or postgres://";
        return Err(Error::string(why));
    }
    let to = address::of_database(to).map_err(|why| Error::Message(format!("to: {why}")))?;
    // Where it is spelled in another way, the target will turn out not to be empty.
    if without_options(&to) == without_options(&ctx.config.database.uri) {
        return Err(Error::string("to: that is the store itself"));
    }
    let config = config::Database {
        uri: to,
        ..ctx.config.database.clone()
    };
    let connected = connect(&config).await;
    connected.map_err(|error| Error::Message(format!("to: no connection: {error}")))
}

fn without_options(address: &str) -> &str {
    address.split('?').next().unwrap_or_default()
}

/// Brings the target's tables up to date, unless there is something in one of them.
async fn prepare(target: &DatabaseConnection) -> Result<()> {
    for &table in TABLES {
        let name = table.name();
        if SchemaManager::new(target).has_table(name).await? && !table.is_empty(target).await? {
            let why = format!("the database is not empty, there are {name}: nothing was changed");
            return Err(Error::Message(format!("to: {why}")));
        }
    }
    Ok(Migrator::up(target, None).await?)
}

/// Copies every table and answers how many rows there are. It is one transaction, compared before it
/// ends: when anything fails or differs the target is as empty as it was.
async fn copy(source: &DatabaseConnection, target: &DatabaseConnection) -> Result<u64> {
    let source = snapshot(source).await?;
    // One moment for all of it: what expires meanwhile is counted, copied and compared alike.
    let expiry = expiry();
    let mut rows = 0;
    for &table in TABLES {
        rows += table.count(&source, expiry).await?;
        // Before the copy, because in MySQL it would end the transaction.
        continue_ids(table.name(), &source, target).await?;
    }
    let immediate = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let target = target.begin_with_options(immediate).await?;
    // It draws on a terminal only. Each row is written once and read again once.
    let style = ProgressStyle::with_template("{bar:40} {percent}% {msg}, {eta} left");
    let progress = ProgressBar::new(2 * rows).with_style(style.map_err(Error::wrap)?);
    let mut copied = Vec::new();
    for &table in TABLES {
        progress.set_message(format!("copying {}", table.name()));
        let contents = table.read(&source, expiry, Some(&target), &progress);
        copied.push(contents.await?);
    }
    for (&table, copied) in zip(TABLES, &copied) {
        let name = table.name();
        progress.set_message(format!("comparing {name}"));
        let found = table.read(&target, expiry, None, &progress).await?;
        if found != *copied {
            return Err(Error::Message(format!(
                "{name}: the copy is not the same, nothing was copied: the store has {copied}, the copy {found}"
            )));
        }
        progress.suspend(|| println!("{name:<17} {found}"));
    }
    target.commit().await?;
    progress.finish_and_clear();
    Ok(rows)
}

/// The store as it is at one moment, although others change it meanwhile.
async fn snapshot(source: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let mut options = TransactionOptions::default();
    // Every transaction of SQLite is one.
    if source.get_database_backend() != DbBackend::Sqlite {
        options.isolation_level = Some(IsolationLevel::RepeatableRead);
        options.access_mode = Some(AccessMode::ReadOnly);
    }
    source.begin_with_options(options).await
}

/// Lets the target go on after the last id that the store has given out, though its row may be gone:
/// ids are never used twice. (MySQL 8 may say a number that is a day old: the rows count too.)
async fn continue_ids(
    table: &str,
    source: &DatabaseTransaction,
    target: &DatabaseConnection,
) -> Result<(), DbErr> {
    let given_out = match source.get_database_backend() {
        DbBackend::Sqlite => {
            format!("SELECT seq AS id FROM sqlite_sequence WHERE name = '{table}'")
        }
        DbBackend::MySql => format!(
            "SELECT CAST(auto_increment AS SIGNED) - 1 AS id FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name = '{table}'"
        ),
        _ => format!(
            "SELECT pg_sequence_last_value(pg_get_serial_sequence('{table}', 'id')::regclass) AS id"
        ),
    };
    let mut last = 0;
    for query in [given_out, format!("SELECT MAX(id) AS id FROM {table}")] {
        let query = Statement::from_string(source.get_database_backend(), query);
        let found = source.query_one_raw(query).await?;
        let id: Option<i64> = found.map_or(Ok(None), |row| row.try_get("", "id"))?;
        last = last.max(id.unwrap_or(0));
    }
    if last == 0 {
        return Ok(());
    }
    let go_on = match target.get_database_backend() {
        DbBackend::Sqlite => format!(
            "DELETE FROM sqlite_sequence WHERE name = '{table}'; \
             INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', {last})"
        ),
        DbBackend::MySql => {
            format!(
                "ALTER TABLE {table} AUTO_INCREMENT = {}",
                last.saturating_add(1)
            )
        }
        _ => format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), {last})"),
    };
    target.execute_unprepared(&go_on).await?;
    Ok(())
}

/// What is in a table: how many rows, and the digest of every value in the order of their ids.
#[derive(Debug, PartialEq, Eq)]
struct Contents {
    rows: u64,
    digest: String,
}

impl std::fmt::Display for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = counted(self.rows, "row");
        write!(f, "{rows:>14}, SHA-256 {}", self.digest)
    }
}

/// A table whose rows can be copied.
#[async_trait]
trait Table: Send + Sync {
    fn name(&self) -> &'static str;

    async fn is_empty(&self, db: &DatabaseConnection) -> Result<bool, DbErr>;

    async fn count(
        &self,
        db: &DatabaseTransaction,
        expiry: DateTimeWithTimeZone,
    ) -> Result<u64, DbErr>;

    /// Reads all rows, and copies them.
    async fn read(
        &self,
        from: &DatabaseTransaction,
        expiry: DateTimeWithTimeZone,
        to: Option<&DatabaseTransaction>,
        progress: &ProgressBar,
    ) -> Result<Contents>;
}

#[async_trait]
impl<E> Table for E
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel> + Sync,
    E::ActiveModel: Send,
{
    fn name(&self) -> &'static str {
        self.table_name()
    }

    /// Asks for no column: the table may be another program's.
    async fn is_empty(&self, db: &DatabaseConnection) -> Result<bool, DbErr> {
        let any = Query::select().expr(1).from(self.name()).limit(1).take();
        Ok(db.query_one(&any).await?.is_none())
    }

    async fn count(
        &self,
        db: &DatabaseTransaction,
        expiry: DateTimeWithTimeZone,
    ) -> Result<u64, DbErr> {
        current::<E>(expiry).count(db).await
    }

    async fn read(
        &self,
        from: &DatabaseTransaction,
        expiry: DateTimeWithTimeZone,
        to: Option<&DatabaseTransaction>,
        progress: &ProgressBar,
    ) -> Result<Contents> {
        let refused = |error| Error::Message(format!("{}: {error}", self.name()));
        let mut rows = 0;
        let mut digest = Sha256::new();
        let mut last = None;
        loop {
            let mut cursor = current::<E>(expiry).cursor_by("id");
            if let Some(last) = last {
                cursor.after(last);
            }
            let batch = cursor.first(BATCH).all(from).await.map_err(refused)?;
            let Some(row) = batch.last() else { break };
            last = Some(row.get_primary_key_value());
            rows += batch.len() as u64;
            progress.inc(batch.len() as u64);
            let (mut statement, mut bytes) = (Vec::new(), 0);
            for row in batch {
                let encoded = encoded::<E>(&row)?;
                digest.update(&encoded);
                bytes += encoded.len();
                statement.push(row.into_active_model());
                if bytes > STATEMENT_BYTES {
                    let full = std::mem::take(&mut statement);
                    insert::<E>(full, to).await.map_err(refused)?;
                    bytes = 0;
                }
            }
            insert::<E>(statement, to).await.map_err(refused)?;
        }
        let digest = format!("{:x}", digest.finalize());
        Ok(Contents { rows, digest })
    }
}

/// A table's rows, without the answers that are past their time, and without what is still to be sent: both stores would
/// send it.
fn current<E: EntityTrait>(expiry: DateTimeWithTimeZone) -> Select<E> {
    let (rows, table) = (E::find(), E::default().table_name());
    let pending = DeliveryStatus::Pending.as_str();
    if table == idempotency_keys::Entity.table_name() {
        rows.filter(idempotency_keys::Column::CreatedAt.gte(expiry))
    } else if table == webhook_deliveries::Entity.table_name() {
        rows.filter(webhook_deliveries::Column::Status.ne(pending))
    } else if table == mails::Entity.table_name() {
        rows.filter(mails::Column::Status.ne(pending))
    } else {
        rows
    }
}

async fn insert<E: EntityTrait>(
    rows: Vec<E::ActiveModel>,
    to: Option<&DatabaseTransaction>,
) -> Result<(), DbErr> {
    if let Some(to) = to {
        E::insert_many(rows).exec_without_returning(to).await?;
    }
    Ok(())
}

/// A row's values in the order of their columns, written alike whichever database they come from.
fn encoded<E: EntityTrait>(row: &E::Model) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for column in E::Column::iter() {
        let value = match row.get(column) {
            Value::Bool(value) => value.map(|value| vec![u8::from(value)]),
            Value::BigInt(value) => value.map(|value| value.to_be_bytes().to_vec()),
            Value::String(value) => value.map(String::into_bytes),
            // The moment, in whichever time zone it comes.
            Value::ChronoDateTimeWithTimeZone(value) => value.map(|value| {
                let (seconds, nanoseconds) = (value.timestamp(), value.timestamp_subsec_nanos());
                [&seconds.to_be_bytes()[..], &nanoseconds.to_be_bytes()].concat()
            }),
            _ => {
                let why = format!("{}: no digest is known of its type", column.as_str());
                return Err(Error::Message(why));
            }
        };
        // With its length, so that no two rows are written alike.
        bytes.push(u8::from(value.is_some()));
        let value = value.unwrap_or_default();
        bytes.extend((value.len() as u64).to_be_bytes());
        bytes.extend(value);
    }
    Ok(bytes)
}

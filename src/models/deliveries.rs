//! Deliveries: what is sent after the commit, to a webhook endpoint or as a mail. Each is a row that is written in the
//! transaction of the event that it tells of.
//!
//! A row waits until an attempt is due. A node leases it, makes the attempt, and writes down what came of it. No lock
//! is held meanwhile: a lease ends by itself, so the row of a node that has crashed is due again.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng;
use sea_orm::{
    Condition, ConnectionTrait, ExprTrait, PaginatorTrait, QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::{Expr, LockBehavior, LockType, SimpleExpr},
};
use serde::{Deserialize, Serialize};

use super::{Result, Transaction, now, transaction::Database, types::DeliveryStatus};
use crate::transaction;

/// For how long a node may have a row to itself: longer than an attempt takes.
pub const LEASE: TimeDelta = TimeDelta::seconds(25);

/// How many attempts are remembered: only those that are asked for by hand have no end.
const REMEMBERED: usize = 50;

/// How many are looked at in one transaction that deletes what is past its time: few enough that no other request waits for it.
const PRUNED_AT_ONCE: u64 = 500;

/// An attempt that has come to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: DateTime<Utc>,
    /// The status that was answered, if there was an answer.
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Why it has failed; `null` when it has not.
    pub error: Option<String>,
}

/// What has to be done after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it has arrived.
    Arrived,
    /// Another attempt, but not before that moment.
    Again(Option<DateTime<Utc>>),
    /// Nothing: no attempt can succeed.
    Hopeless,
}

/// How long to wait after each failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

impl Schedule {
    /// A schedule of those waits.
    pub const fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }

    /// When the next attempt is made after so many that have failed, if one is.
    fn next(&self, failures: i64, ended: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let before = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = *self.0.get(before)?;
        // So that what has failed together is not tried together. The rest of the tenth is for being late.
        let wait = wait.mul_f64(rand::rng().random_range(0.92..1.05));
        ended.checked_add_signed(TimeDelta::from_std(wait).ok()?)
    }
}

/// The columns that every table of deliveries has.
#[derive(Debug)]
pub struct Columns<C> {
    /// The id.
    pub id: C,
    /// A [`DeliveryStatus`].
    pub status: C,
    /// How many attempts have failed since it was made, or was last asked for by hand.
    pub tries: C,
    /// The attempts, as JSON.
    pub attempts: C,
    /// When the next one is due.
    pub next_attempt_at: C,
    /// Whose turn it is.
    pub lease: C,
    /// Until when.
    pub leased_until: C,
    /// When it was written.
    pub created_at: C,
    /// When the row last changed.
    pub updated_at: C,
}

/// A table of deliveries.
pub trait Delivery: EntityTrait<Model: Send + Sync> {
    /// Its columns.
    const COLUMNS: Columns<Self::Column>;

    /// The id of a row.
    fn id(row: &Self::Model) -> i64;

    /// How many attempts have failed.
    fn tries(row: &Self::Model) -> i64;

    /// The attempts, as JSON.
    fn attempts(row: &Self::Model) -> &str;
}

/// Says that the table of a module is one of deliveries.
macro_rules! delivery {
    () => {
        impl $crate::models::deliveries::Delivery for Entity {
            const COLUMNS: $crate::models::deliveries::Columns<Column> =
                $crate::models::deliveries::Columns {
                    id: Column::Id,
                    status: Column::Status,
                    tries: Column::Tries,
                    attempts: Column::Attempts,
                    next_attempt_at: Column::NextAttemptAt,
                    lease: Column::Lease,
                    leased_until: Column::LeasedUntil,
                    created_at: Column::CreatedAt,
                    updated_at: Column::UpdatedAt,
                };

            fn id(row: &Model) -> i64 {
                row.id
            }

            fn tries(row: &Model) -> i64 {
                row.tries
            }

            fn attempts(row: &Model) -> &str {
                &row.attempts
            }
        }
    };
}
pub(super) use delivery;

/// That an attempt is due at this moment, and no node makes it.
pub fn is_due<E: Delivery>() -> Condition {
    let (columns, now) = (&E::COLUMNS, now());
    let free = columns.leased_until.is_null();
    Condition::all()
        .add(columns.status.eq(DeliveryStatus::Pending.as_str()))
        .add(columns.next_attempt_at.lte(now))
        .add(free.or(columns.leased_until.lte(now)))
}

/// Takes some rows that are due, for an attempt each. What other nodes take meanwhile is left to them.
pub async fn lease<E: Delivery>(
    txn: &Transaction,
    which: Condition,
    lease: &str,
    count: u64,
) -> Result<Vec<E::Model>> {
    let columns = &E::COLUMNS;
    let rows = E::find()
        .filter(which)
        .filter(is_due::<E>())
        .order_by_asc(columns.next_attempt_at)
        .order_by_asc(columns.id)
        .limit(count)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(txn)
        .await?;
    if rows.is_empty() {
        return Ok(rows);
    }
    E::update_many()
        .col_expr(columns.lease, Expr::value(lease))
        .col_expr(columns.leased_until, Expr::value(now() + LEASE))
        .filter(columns.id.is_in(rows.iter().map(E::id)))
        .exec(txn)
        .await?;
    Ok(rows)
}

/// What has become of a row after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Its status.
    pub status: DeliveryStatus,
    /// When the next attempt is due, if one is made.
    pub next: Option<DateTime<Utc>>,
}

/// Writes down what came of an attempt, and says what has become of the row: nothing, when it was cancelled meanwhile,
/// or the lease is over and the row is another node's.
pub async fn settle<E: Delivery>(
    txn: &Transaction,
    row: &E::Model,
    lease: &str,
    attempt: &Attempt,
    verdict: Verdict,
    schedule: &Schedule,
) -> Result<Option<Settled>> {
    let columns = &E::COLUMNS;
    let took = TimeDelta::milliseconds(i64::try_from(attempt.duration_ms).unwrap_or_default());
    let ended = attempt.at + took;
    let failures = E::tries(row) + i64::from(verdict != Verdict::Arrived);
    let (status, next) = match verdict {
        Verdict::Arrived => (DeliveryStatus::Delivered, None),
        Verdict::Hopeless => (DeliveryStatus::Failed, None),
        Verdict::Again(not_before) => match schedule.next(failures, ended) {
            Some(next) => (
                DeliveryStatus::Pending,
                Some(not_before.map_or(next, |earliest| Ord::max(next, earliest))),
            ),
            None => (DeliveryStatus::Failed, None),
        },
    };
    let mut attempts: Vec<Attempt> = attempts::<E>(row);
    attempts.push(attempt.clone());
    let surplus = attempts.len().saturating_sub(REMEMBERED);
    let attempts = serde_json::to_string(&attempts[surplus..]).map_err(loco_rs::Error::from)?;
    let none: Option<String> = None;
    let settled = E::update_many()
        .col_expr(columns.status, Expr::value(status.as_str()))
        .col_expr(columns.tries, Expr::value(failures))
        .col_expr(columns.attempts, Expr::value(attempts))
        .col_expr(
            columns.next_attempt_at,
            Expr::value(next.map(|next| next.fixed_offset())),
        )
        .col_expr(columns.lease, Expr::value(none))
        .col_expr(columns.leased_until, nothing())
        .col_expr(columns.updated_at, Expr::value(now()))
        .filter(columns.id.eq(E::id(row)))
        .filter(columns.lease.eq(lease))
        .filter(columns.status.eq(DeliveryStatus::Pending.as_str()))
        .exec(txn)
        .await?;
    Ok((settled.rows_affected > 0).then_some(Settled { status, next }))
}

/// Gives rows back, by their ids and leases, whose attempts were not made, or not to their end: they are due at once.
pub async fn release<E: Delivery>(txn: &Transaction, leased: &BTreeMap<i64, String>) -> Result<()> {
    let (columns, none) = (&E::COLUMNS, None::<String>);
    E::update_many()
        .col_expr(columns.lease, Expr::value(none))
        .col_expr(columns.leased_until, nothing())
        .filter(columns.id.is_in(leased.keys().copied()))
        .filter(columns.lease.is_in(leased.values()))
        .exec(txn)
        .await?;
    Ok(())
}

/// How many deliveries wait, and when the event of the oldest happened.
pub async fn waiting<E: Delivery>(
    db: &impl ConnectionTrait,
) -> Result<(u64, Option<DateTime<Utc>>)> {
    let columns = &E::COLUMNS;
    let pending = E::find().filter(columns.status.eq(DeliveryStatus::Pending.as_str()));
    // Not the first in the order of the ids: before it there may be millions that are done.
    let oldest = pending
        .clone()
        .select_only()
        .column_as(columns.id.min(), "id");
    let oldest: Option<Option<i64>> = oldest.into_tuple().one(db).await?;
    let oldest = E::find()
        .select_only()
        .column(columns.created_at)
        .filter(columns.id.eq(oldest.flatten().unwrap_or_default()));
    let oldest: Option<DateTimeWithTimeZone> = oldest.into_tuple().one(db).await?;
    Ok((pending.count(db).await?, oldest.map(|at| at.to_utc())))
}

/// How many deliveries are done, by what has become of them.
pub async fn finished<E: Delivery>(
    db: &impl ConnectionTrait,
) -> Result<Vec<(DeliveryStatus, u64)>> {
    let columns = &E::COLUMNS;
    let mut counts = Vec::new();
    for status in [
        DeliveryStatus::Delivered,
        DeliveryStatus::Failed,
        DeliveryStatus::Cancelled,
    ] {
        let rows = E::find().filter(columns.status.eq(status.as_str()));
        counts.push((status, rows.count(db).await?));
    }
    Ok(counts)
}

/// Takes back what has not been sent yet.
pub async fn cancel<E: Delivery>(txn: &Transaction, which: Condition) -> Result<()> {
    let columns = &E::COLUMNS;
    let cancelled = DeliveryStatus::Cancelled.as_str();
    E::update_many()
        .col_expr(columns.status, Expr::value(cancelled))
        .col_expr(columns.next_attempt_at, nothing())
        .col_expr(columns.updated_at, Expr::value(now()))
        .filter(columns.status.eq(DeliveryStatus::Pending.as_str()))
        .filter(which)
        .exec(txn)
        .await?;
    Ok(())
}

/// Deletes those that were finished more than so many days ago, some at a time, and says how many there were.
pub async fn prune<E: Delivery>(database: &impl Database, keep_days: u32) -> Result<u64> {
    let expiry = now() - TimeDelta::days(keep_days.into());
    let (mut pruned, mut last) = (0, Some(0));
    while let Some(after) = last {
        let (count, next) =
            transaction!(database, |txn| prune_some::<E>(txn, expiry, after).await)?;
        pruned += count;
        last = next;
    }
    Ok(pruned)
}

/// Looks at some of the oldest after that one, deletes those that are done, and says how many, and where to go on. They
/// were written in the order of their ids, more or less: where one is young, those after it are.
async fn prune_some<E: Delivery>(
    txn: &Transaction,
    expiry: DateTimeWithTimeZone,
    after: i64,
) -> Result<(u64, Option<i64>)> {
    let columns = &E::COLUMNS;
    let rows: Vec<(i64, String, DateTimeWithTimeZone, DateTimeWithTimeZone)> = E::find()
        .select_only()
        .columns([
            columns.id,
            columns.status,
            columns.created_at,
            columns.updated_at,
        ])
        .filter(columns.id.gt(after))
        .order_by_asc(columns.id)
        .limit(PRUNED_AT_ONCE)
        .into_tuple()
        .all(txn)
        .await?;
    let next = rows.last().filter(|row| row.2 < expiry).map(|row| row.0);
    let pending = DeliveryStatus::Pending.as_str();
    let expired = rows
        .into_iter()
        .filter(|(_, status, _, updated_at)| status != pending && *updated_at < expiry);
    let expired: Vec<_> = expired.map(|row| row.0).collect();
    let count = expired.len() as u64;
    if count > 0 {
        E::delete_many()
            .filter(columns.id.is_in(expired))
            .exec(txn)
            .await?;
    }
    Ok((count, next))
}

/// The attempts that were made so far.
pub fn attempts<E: Delivery>(row: &E::Model) -> Vec<Attempt> {
    serde_json::from_str(E::attempts(row)).unwrap_or_default()
}

fn nothing() -> SimpleExpr {
    Expr::value(None::<DateTimeWithTimeZone>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_follow_one_another_within_a_tenth_and_come_to_an_end() {
        let schedule = Schedule::new([5, 300].map(Duration::from_secs).to_vec());
        let ended = Utc::now();
        for (failures, seconds) in [(1, 5), (2, 300)] {
            for _ in 0..100 {
                let wait = schedule.next(failures, ended).unwrap() - ended;
                let tenth = TimeDelta::seconds(seconds) / 10;
                assert!((wait - TimeDelta::seconds(seconds)).abs() <= tenth);
            }
        }
        assert_eq!(schedule.next(3, ended), None);
    }
}

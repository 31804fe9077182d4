//! Webhook deliveries: one for each event and endpoint that wants to hear of it.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    Condition, ConnectionTrait, DbBackend, ExprTrait, QueryOrder, QuerySelect, QueryTrait,
    Statement,
    entity::prelude::*,
    sea_query::{Expr, Query},
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::webhook_deliveries::{ActiveModel, Column, Entity, Model};
use super::{
    CacheTag, Error, Result, Transaction,
    deliveries::{self, Attempt, Schedule, Settled, Verdict, delivery},
    events, found,
    input::Input,
    listing::{self, ByCursor, Page, Sort, SortKey},
    now,
    transaction::Database,
    types::{DeliveryStatus, EventType},
    webhook_endpoints::{self, DisabledReason},
};
use crate::transaction;

impl ActiveModelBehavior for ActiveModel {}

delivery!();

/// How many are sent once more in one transaction.
const BATCH: u64 = 1_000;

/// Which deliveries are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Input)]
pub struct Filter {
    /// To that endpoint.
    pub endpoint_id: Option<i64>,
    /// Of that event.
    pub event_id: Option<i64>,
    /// With that status.
    pub status: Option<DeliveryStatus>,
}

impl listing::Filter for Filter {
    fn condition(&self) -> Condition {
        let status = self.status.map(|status| Column::Status.eq(status.as_str()));
        Condition::all()
            .add_option(self.endpoint_id.map(|id| Column::EndpointId.eq(id)))
            .add_option(self.event_id.map(|id| Column::EventId.eq(id)))
            .add_option(status)
    }
}

/// What deliveries are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::descending(Self::Id);

    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
        }
    }
}

/// When attempts are made, and when an endpoint is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long to wait after each failure.
    pub schedule: Schedule,
    /// After how long of nothing but failures an endpoint is disabled.
    pub disable_after: Duration,
}

/// A delivery that this node has leased, with all that its attempt needs.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The delivery.
    pub delivery: Model,
    /// The lease.
    pub lease: String,
    /// Where it goes.
    pub endpoint: webhook_endpoints::Model,
    /// What it tells of.
    pub event: events::Model,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The delivery, as it was leased.
    pub delivery: Model,
    /// The lease.
    pub lease: String,
    /// The attempt.
    pub attempt: Attempt,
    /// What has to be done now.
    pub verdict: Verdict,
    /// Whether the endpoint has said that it is gone.
    pub is_gone: bool,
}

/// Which events are told of.
#[derive(Clone, Debug)]
pub enum News<'a> {
    /// The last ones, with what they say: on SQLite, where nobody else writes. They are not read again, because it looks
    /// at all that there are when its statistics are from a time when there was one.
    Last(&'a [events::ActiveModel]),
    /// Those with these ids.
    Ids(Vec<i64>),
}

impl News<'_> {
    /// Writes a delivery for each of these events and each endpoint that is told of it. `except` is the endpoint of the
    /// delivery that they are about: were it told that one has failed, that would be the cause of the next.
    ///
    /// An endpoint is told nothing about itself either, but for a test, of which no other is told. What happens to
    /// endpoints and deliveries has to be asked for by its name, because urls hold secrets, and so has what happens to
    /// keys: `*` leaves it out.
    pub fn tell(&self, backend: DbBackend, except: Option<i64>) -> Statement {
        let mut values = Vec::new();
        let mut value = |value: Value| {
            values.push(value);
            match backend {
                DbBackend::Postgres => format!("${}", values.len()),
                _ => "?".to_owned(),
            }
        };
        let (told, which) = match self {
            Self::Last(events) => {
                let mut told = Vec::with_capacity(events.len());
                for (later, event) in (0_i64..).zip(events.iter().rev()) {
                    value(later.into());
                    for column in [
                        events::Column::Type,
                        events::Column::SubjectKind,
                        events::Column::SubjectId,
                        events::Column::OccurredAt,
                    ] {
                        value(event.get(column).into_value().unwrap_or(Value::Bool(None)));
                    }
                    told.push(
                        "SELECT (SELECT MAX(id) FROM events) - ? AS id, ? AS type, ? AS subject_kind, \
                         ? AS subject_id, ? AS occurred_at",
                    );
                }
                (format!("({})", told.join(" UNION ALL ")), "TRUE".to_owned())
            }
            Self::Ids(ids) => {
                let ids: Vec<_> = ids.iter().map(|id| value((*id).into())).collect();
                ("events".to_owned(), format!("e.id IN ({})", ids.join(", ")))
            }
        };
        let except = except.map_or_else(String::new, |id| {
            format!(" AND w.id <> {}", value(id.into()))
        });
        let wants = |word: &str| match backend {
            DbBackend::MySql => format!("INSTR(w.types, CONCAT('\"', {word}, '\"')) > 0"),
            DbBackend::Postgres => format!("strpos(w.types, '\"' || {word} || '\"') > 0"),
            _ => format!("instr(w.types, '\"' || {word} || '\"') > 0"),
        };
        let all_of = match backend {
            DbBackend::MySql => "CONCAT(e.subject_kind, '.*')",
            _ => "e.subject_kind || '.*'",
        };
        let sql = format!(
            "INSERT INTO webhook_deliveries (endpoint_id, event_id, event_type, status, tries, attempts, \
             next_attempt_at, created_at, updated_at) \
             SELECT w.id, e.id, e.type, 'pending', 0, '[]', e.occurred_at, e.occurred_at, e.occurred_at \
             FROM {told} e JOIN webhook_endpoints w ON w.enabled WHERE {which}{except} \
             AND CASE WHEN e.type = 'webhook_endpoint.test' THEN w.id = e.subject_id \
             WHEN e.subject_kind = 'webhook_endpoint' AND w.id = e.subject_id THEN FALSE \
             WHEN {only} OR {all} THEN TRUE \
             ELSE {everything} AND e.subject_kind <> 'webhook_endpoint' AND e.subject_kind <> 'webhook_delivery' \
             AND e.subject_kind <> 'api_key' END",
            only = wants("e.type"),
            all = wants(all_of),
            everything = wants("'*'"),
        );
        Statement::from_sql_and_values(backend, sql, values)
    }
}

impl Model {
    /// The delivery with that id.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        found(db, Entity::find_by_id(id)).await
    }

    /// The delivery with that id, locked until the transaction ends.
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<Self> {
        found(txn, Entity::find_by_id(id).lock_exclusive()).await
    }

    /// The newest delivery to an endpoint.
    pub async fn last_to(txn: &Transaction, endpoint_id: i64) -> Result<Self> {
        let theirs = Entity::find().filter(Column::EndpointId.eq(endpoint_id));
        found(txn, theirs.order_by_desc(Column::Id)).await
    }

    /// A page of deliveries.
    pub async fn list(
        db: &impl ConnectionTrait,
        ByCursor(listing): &ByCursor<Filter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, Entity::find(), listing).await
    }

    /// Sends a delivery, which has to be locked, once more: at once, and on the schedule from its beginning.
    ///
    /// # Errors
    /// [`Error::NotRepeatable`] unless it has arrived or was given up; [`Error::Disabled`] when its endpoint is.
    pub async fn retry(self, txn: &Transaction) -> Result<Self> {
        let finished = [DeliveryStatus::Failed, DeliveryStatus::Delivered];
        if !finished.iter().any(|status| status.as_str() == self.status) {
            return Err(Error::NotRepeatable(
                "a delivery can be repeated when it is delivered or failed",
            ));
        }
        match webhook_endpoints::Model::find(txn, self.endpoint_id).await {
            Ok(endpoint) if endpoint.enabled => {}
            Ok(_) | Err(Error::NotFound) => return Err(Error::Disabled),
            Err(error) => return Err(error),
        }
        match events::Model::find(txn, self.event_id).await {
            Ok(_) => {}
            Err(Error::NotFound) => {
                return Err(Error::NotRepeatable(
                    "the event of the delivery is not kept any more",
                ));
            }
            Err(error) => return Err(error),
        }
        let again = Self {
            status: DeliveryStatus::Pending.as_str().to_owned(),
            tries: 0,
            next_attempt_at: Some(now()),
            updated_at: now(),
            ..self
        };
        let row = ActiveModel {
            id: Set(again.id),
            status: Set(again.status.clone()),
            tries: Set(again.tries),
            next_attempt_at: Set(again.next_attempt_at),
            updated_at: Set(again.updated_at),
            ..Default::default()
        };
        row.update_without_returning(txn).await?;
        txn.touch([CacheTag::Deliveries]);
        Ok(again)
    }

    /// The endpoints to which something is due.
    pub async fn due(db: &impl ConnectionTrait) -> Result<Vec<webhook_endpoints::Model>> {
        let due = Query::select()
            .expr(Expr::val(1))
            .from(Entity)
            .and_where(
                Expr::col((Entity, Column::EndpointId))
                    .equals((webhook_endpoints::Entity, webhook_endpoints::Column::Id)),
            )
            .cond_where(deliveries::is_due::<Entity>())
            .to_owned();
        let endpoints = webhook_endpoints::Entity::find()
            .filter(webhook_endpoints::Column::Enabled.eq(true))
            .filter(Expr::exists(due));
        Ok(endpoints.all(db).await?)
    }

    /// Takes as many deliveries of each endpoint as it is given room for, for an attempt each.
    pub async fn lease(
        txn: &Transaction,
        room: Vec<(i64, u64)>,
        lease: String,
    ) -> Result<Vec<Leased>> {
        let mut leased = Vec::new();
        for (endpoint_id, count) in room {
            // As it is now: nothing is sent where it was disabled meanwhile.
            let endpoint = match webhook_endpoints::Model::find(txn, endpoint_id).await {
                Ok(endpoint) if endpoint.enabled => endpoint,
                Ok(_) | Err(Error::NotFound) => continue,
                Err(error) => return Err(error),
            };
            let theirs = Condition::all().add(Column::EndpointId.eq(endpoint_id));
            let rows = deliveries::lease::<Entity>(txn, theirs, &lease, count).await?;
            let events = rows.iter().map(|row| row.event_id);
            let events = events::Entity::find()
                .filter(events::Column::Id.is_in(events))
                .all(txn)
                .await?;
            for delivery in rows {
                let event = events.iter().find(|event| event.id == delivery.event_id);
                if let Some(event) = event {
                    leased.push(Leased {
                        delivery,
                        lease: lease.clone(),
                        endpoint: endpoint.clone(),
                        event: event.clone(),
                    });
                }
            }
        }
        Ok(leased)
    }

    /// Writes down what came of attempts, for the deliveries and for their endpoints. Says when the next of them are
    /// due.
    pub async fn settle(
        txn: &Transaction,
        outcomes: &[Outcome],
        policy: &Policy,
    ) -> Result<Vec<DateTime<Utc>>> {
        let mut heard = BTreeMap::<i64, Vec<&Outcome>>::new();
        let mut due = Vec::new();
        for outcome in outcomes {
            if let Some(settled) = outcome.settle(txn, policy).await? {
                let endpoint_id = outcome.delivery.endpoint_id;
                heard.entry(endpoint_id).or_default().push(outcome);
                due.extend(settled.next);
            }
        }
        for (endpoint_id, outcomes) in heard {
            Self::judge(txn, endpoint_id, outcomes, policy).await?;
        }
        Ok(due)
    }

    /// Notes whether anything has arrived at an endpoint, and disables one that is gone or has failed for too long.
    async fn judge(
        txn: &Transaction,
        endpoint_id: i64,
        outcomes: Vec<&Outcome>,
        policy: &Policy,
    ) -> Result<()> {
        let endpoint = match webhook_endpoints::Model::find(txn, endpoint_id).await {
            Ok(endpoint) if endpoint.enabled => endpoint,
            Ok(_) | Err(Error::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        };
        let has_arrived = |outcome: &&Outcome| outcome.verdict == Verdict::Arrived;
        let is_gone = outcomes.iter().any(|outcome| outcome.is_gone);
        if !is_gone && outcomes.iter().any(has_arrived) {
            return endpoint.arrived(txn).await;
        }
        let Some(first) = outcomes.iter().map(|outcome| outcome.attempt.at).min() else {
            return Ok(());
        };
        let since = endpoint.failed(txn, first).await?;
        let disable_after = TimeDelta::from_std(policy.disable_after).unwrap_or(TimeDelta::MAX);
        let reason = if is_gone {
            DisabledReason::Gone
        } else if Utc::now() - since >= disable_after {
            DisabledReason::Failing
        } else {
            return Ok(());
        };
        let endpoint = webhook_endpoints::Model::find_locked(txn, endpoint_id).await?;
        if endpoint.enabled {
            endpoint.disable(txn, reason).await?;
        }
        Ok(())
    }

    /// Gives back what was leased and not sent.
    pub async fn release(txn: &Transaction, leased: &BTreeMap<i64, String>) -> Result<()> {
        deliveries::release::<Entity>(txn, leased).await
    }

    /// Sends everything once more that was given up for an endpoint, and says how many there were.
    ///
    /// # Errors
    /// [`Error::Disabled`]; [`Error::NotFound`] when there is no such endpoint.
    pub async fn retry_all(database: &impl Database, endpoint_id: i64) -> Result<u64> {
        let mut count = 0;
        let mut after = 0;
        loop {
            let ids = transaction!(database, |txn| Self::retry_some(txn, endpoint_id, after)
                .await)?;
            let Some(last) = ids.last() else {
                return Ok(count);
            };
            after = *last;
            count += ids.len() as u64;
        }
    }

    async fn retry_some(txn: &Transaction, endpoint_id: i64, after: i64) -> Result<Vec<i64>> {
        let endpoint = webhook_endpoints::Model::find_locked(txn, endpoint_id).await?;
        if !endpoint.enabled {
            return Err(Error::Disabled);
        }
        let kept = Query::select()
            .column(events::Column::Id)
            .from(events::Entity)
            .to_owned();
        let ids: Vec<i64> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::EndpointId.eq(endpoint_id))
            .filter(Column::Status.eq(DeliveryStatus::Failed.as_str()))
            .filter(Column::Id.gt(after))
            .filter(Column::EventId.in_subquery(kept))
            .order_by_asc(Column::Id)
            .limit(BATCH)
            .into_tuple()
            .all(txn)
            .await?;
        if !ids.is_empty() {
            Entity::update_many()
                .col_expr(
                    Column::Status,
                    Expr::value(DeliveryStatus::Pending.as_str()),
                )
                .col_expr(Column::Tries, Expr::value(0))
                .col_expr(Column::NextAttemptAt, Expr::value(now()))
                .col_expr(Column::UpdatedAt, Expr::value(now()))
                .filter(Column::Id.is_in(ids.iter().copied()))
                .filter(Column::Status.eq(DeliveryStatus::Failed.as_str()))
                .exec(txn)
                .await?;
            txn.touch([CacheTag::Deliveries]);
        }
        Ok(ids)
    }

    /// Takes back what waits for an endpoint that is gone or disabled: written by those who did not see that yet.
    async fn cancel_stray(txn: &Transaction) -> Result<()> {
        let enabled = webhook_endpoints::Entity::find()
            .select_only()
            .column(webhook_endpoints::Column::Id)
            .filter(webhook_endpoints::Column::Enabled.eq(true))
            .into_query();
        let stray = Condition::all().add(Column::EndpointId.not_in_subquery(enabled));
        deliveries::cancel::<Entity>(txn, stray).await
    }

    /// Deletes those that were finished more than so many days ago, and says how many there were. Cancels those that
    /// nobody would send.
    pub async fn prune(database: &impl Database, keep_days: u32) -> Result<u64> {
        transaction!(database, |txn| Self::cancel_stray(txn).await)?;
        deliveries::prune::<Entity>(database, keep_days).await
    }
}

impl Outcome {
    /// What has become of the delivery, unless it was not leased for this attempt any more.
    async fn settle(&self, txn: &Transaction, policy: &Policy) -> Result<Option<Settled>> {
        let settled = deliveries::settle::<Entity>(
            txn,
            &self.delivery,
            &self.lease,
            &self.attempt,
            self.verdict,
            &policy.schedule,
        );
        let settled = settled.await?;
        if settled.is_some_and(|settled| settled.status == DeliveryStatus::Failed) {
            let delivery = Model::find(txn, self.delivery.id).await?;
            txn.happened(EventType::WebhookDeliveryFailed, &delivery);
        }
        Ok(settled)
    }
}

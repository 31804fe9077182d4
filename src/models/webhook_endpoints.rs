//! Webhook endpoints: where other systems want to be told what happens.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, DbBackend, IntoActiveModel, QuerySelect,
    TryIntoModel, entity::prelude::*,
};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::webhook_endpoints::{ActiveModel, Column, Entity, Model};
use super::{
    Error, Result, Transaction, deliveries,
    error::violates,
    found,
    input::Input,
    listing::{self, Listing, NoFilter, Page, Sort, SortKey},
    now,
    types::{EventType, Purpose, Scalar, Subscription, WebhookUrl},
    update, webhook_deliveries,
};

impl ActiveModelBehavior for ActiveModel {}

/// How many endpoints there may be.
const MOST: i64 = 32;

/// How many secrets of an endpoint can be in force at once: each makes the signature longer.
const MOST_SECRETS: usize = 8;

/// What an endpoint is created from, or replaced with.
#[derive(Clone, Debug, Input)]
#[input(schema = WebhookEndpointBody, patch = Changes as WebhookEndpointPatch)]
pub struct Details {
    /// Where events are sent: an https URL on the public internet, with neither user nor fragment.
    pub url: WebhookUrl,
    /// What is sent: types of events, all of one subject, such as `order.*`, or `*`: everything but what happens to
    /// webhooks and keys.
    #[input(values = 1..=50)]
    pub types: Vec<Subscription>,
    /// What it is for.
    pub description: Option<Purpose>,
    /// Whether events are sent. What happens while it is `false` is not sent later.
    #[input(change)]
    pub enabled: Option<bool>,
}

/// What endpoints are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
    /// When they were added.
    CreatedAt,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::ascending(Self::Id);

    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::CreatedAt => Some(Column::CreatedAt),
        }
    }
}

/// Why an endpoint is sent nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum DisabledReason {
    /// An administrator wanted it so.
    ByHand,
    /// It has said that it is gone (410).
    Gone,
    /// Nothing has arrived there for too long.
    Failing,
}

/// A secret with which deliveries are signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptSecret {
    /// As it is stored.
    sealed: String,
    /// Until when it signs, when there is a newer one.
    until: Option<DateTime<Utc>>,
}

impl Model {
    /// The endpoint with that id.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        found(db, Entity::find_by_id(id)).await
    }

    /// The endpoint with that id, locked until the transaction ends.
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<Self> {
        found(txn, Entity::find_by_id(id).lock_exclusive()).await
    }

    /// A page of endpoints.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<NoFilter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, Entity::find(), listing).await
    }

    /// How many endpoints there are.
    pub async fn count(db: &impl ConnectionTrait) -> Result<u64> {
        listing::count(db, Entity::find(), &NoFilter {}).await
    }

    /// Adds an endpoint with that secret, as it is stored.
    ///
    /// # Errors
    /// [`Error::LimitReached`].
    pub async fn create(txn: &Transaction, details: &Details, sealed: &str) -> Result<Self> {
        let place = free_place(txn).await?;
        let created_at = now();
        let endpoint = ActiveModel {
            place: Set(place),
            description: Set(None),
            enabled: Set(true),
            disabled_reason: Set(None),
            secrets: Set(kept(&[KeptSecret::new(sealed)])?),
            failing_since: Set(None),
            created_at: Set(created_at),
            ..Default::default()
        };
        let endpoint = endpoint.assign(&details.clone().into(), created_at);
        let endpoint = match endpoint.insert(txn).await {
            // Another one has taken the place.
            Err(error) if violates(&error, "uq_webhook_endpoints_place") => {
                return Err(Error::WriteConflict);
            }
            inserted => inserted?,
        };
        txn.happened(EventType::WebhookEndpointCreated, &endpoint);
        Ok(endpoint)
    }

    /// Changes some of the endpoint, which has to be locked. Where nothing differs it stays as it is.
    pub async fn change(self, txn: &Transaction, changes: &Changes) -> Result<Self> {
        let changed = self.clone().into_active_model().assign(changes, now());
        let unchanged = Self {
            updated_at: *changed.updated_at.as_ref(),
            ..self.clone()
        };
        if changed.clone().try_into_model()? == unchanged {
            return Ok(self);
        }
        let was_enabled = self.enabled;
        let endpoint: Self = update(txn, changed).await?;
        txn.happened(EventType::WebhookEndpointUpdated, &endpoint);
        if was_enabled != endpoint.enabled {
            // Also when it is enabled again: what was written by those who did not see yet that it was disabled.
            endpoint.cancel_deliveries(txn).await?;
        }
        if was_enabled && !endpoint.enabled {
            txn.happened(EventType::WebhookEndpointDisabled, &endpoint);
        }
        Ok(endpoint)
    }

    /// Sends the endpoint, which has to be locked, nothing any more.
    pub async fn disable(self, txn: &Transaction, reason: DisabledReason) -> Result<Self> {
        let mut endpoint = self.into_active_model();
        endpoint.enabled = Set(false);
        endpoint.disabled_reason = Set(Some(<&str>::from(reason).to_owned()));
        endpoint.updated_at = Set(now());
        let endpoint: Self = update(txn, endpoint).await?;
        endpoint.cancel_deliveries(txn).await?;
        txn.happened(EventType::WebhookEndpointDisabled, &endpoint);
        Ok(endpoint)
    }

    /// Deletes the endpoint, which has to be locked. What was sent to it is still shown.
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        self.cancel_deliveries(txn).await?;
        Entity::delete_by_id(self.id).exec(txn).await?;
        txn.happened(EventType::WebhookEndpointDeleted, &self);
        Ok(())
    }

    /// Gives the endpoint, which has to be locked, another secret, as it is stored. The one before signs beside it for
    /// so long.
    pub async fn rotate_secret(
        self,
        txn: &Transaction,
        sealed: &str,
        overlap: Duration,
    ) -> Result<Self> {
        let overlap = TimeDelta::from_std(overlap).map_err(loco_rs::Error::wrap)?;
        let mut secrets = self.secrets_in_force()?;
        if let Some(current) = secrets.first_mut() {
            current.until = Some(Utc::now() + overlap);
        }
        secrets.insert(0, KeptSecret::new(sealed));
        secrets.truncate(MOST_SECRETS);
        let mut endpoint = self.into_active_model();
        endpoint.secrets = Set(kept(&secrets)?);
        endpoint.updated_at = Set(now());
        let endpoint: Self = update(txn, endpoint).await?;
        txn.happened(EventType::WebhookEndpointSecretRotated, &endpoint);
        Ok(endpoint)
    }

    /// Sends the endpoint an event that says nothing else.
    ///
    /// # Errors
    /// [`Error::Disabled`].
    pub fn test(&self, txn: &Transaction) -> Result<()> {
        if !self.enabled {
            return Err(Error::Disabled);
        }
        txn.happened(EventType::WebhookEndpointTest, self);
        Ok(())
    }

    /// The secrets that sign at this moment, as they are stored. The newest is the first.
    pub fn sealed_secrets(&self) -> Result<Vec<String>> {
        let secrets = self.secrets_in_force()?.into_iter();
        Ok(secrets.map(|secret| secret.sealed).collect())
    }

    /// Stores secrets anew that have to be sealed anew, and says nothing of it.
    pub async fn reseal(
        txn: &Transaction,
        reseal: impl Fn(&str) -> loco_rs::Result<Option<String>> + Send + Sync,
    ) -> Result<()> {
        let endpoints = Entity::find().lock_exclusive().all(txn).await?;
        for endpoint in endpoints {
            let mut secrets = endpoint.secrets_in_force()?;
            let mut is_new = false;
            for secret in &mut secrets {
                if let Some(sealed) = reseal(&secret.sealed)? {
                    secret.sealed = sealed;
                    is_new = true;
                }
            }
            if is_new {
                let mut endpoint = endpoint.into_active_model();
                endpoint.secrets = Set(kept(&secrets)?);
                update::<Self, _>(txn, endpoint).await?;
            }
        }
        Ok(())
    }

    /// What it is told of.
    pub fn subscriptions(&self) -> impl Iterator<Item = Subscription> {
        subscriptions(&self.types)
    }

    /// Notes that an attempt has failed, unless the one before it has, too. Says since when all have failed.
    pub async fn failed(&self, txn: &Transaction, at: DateTime<Utc>) -> Result<DateTime<Utc>> {
        if let Some(since) = self.failing_since {
            return Ok(since.to_utc());
        }
        self.set_failing_since(txn, Some(at)).await?;
        Ok(at)
    }

    /// Notes that something has arrived.
    pub async fn arrived(&self, txn: &Transaction) -> Result<()> {
        if self.failing_since.is_some() {
            self.set_failing_since(txn, None).await?;
        }
        Ok(())
    }

    async fn set_failing_since(&self, txn: &Transaction, at: Option<DateTime<Utc>>) -> Result<()> {
        let at = at.map(|at| at.fixed_offset());
        Entity::update_many()
            .col_expr(Column::FailingSince, Expr::value(at))
            .filter(Column::Id.eq(self.id))
            .exec(txn)
            .await?;
        Ok(())
    }

    async fn cancel_deliveries(&self, txn: &Transaction) -> Result<()> {
        let theirs = webhook_deliveries::Column::EndpointId.eq(self.id);
        let theirs = Condition::all().add(theirs);
        deliveries::cancel::<webhook_deliveries::Entity>(txn, theirs).await
    }

    fn secrets_in_force(&self) -> Result<Vec<KeptSecret>> {
        let secrets: Vec<KeptSecret> =
            serde_json::from_str(&self.secrets).map_err(loco_rs::Error::from)?;
        let now = Utc::now();
        let in_force = secrets.into_iter();
        Ok(in_force
            .filter(|secret| secret.until.is_none_or(|until| until > now))
            .collect())
    }
}

impl ActiveModel {
    fn assign(mut self, changes: &Changes, at: DateTimeWithTimeZone) -> Self {
        if let Some(url) = &changes.url {
            self.url = Set(url.as_str().to_owned());
        }
        if let Some(types) = &changes.types {
            let types: Vec<_> = types.iter().map(ToString::to_string).collect();
            self.types = Set(serde_json::json!(types).to_string());
        }
        if let Some(description) = &changes.description {
            self.description = Set(description.clone().map(String::from));
        }
        if let Some(enabled) = changes.enabled
            && enabled != *self.enabled.as_ref()
        {
            let reason: &str = DisabledReason::ByHand.into();
            self.enabled = Set(enabled);
            self.disabled_reason = Set((!enabled).then(|| reason.to_owned()));
            self.failing_since = Set(None);
        }
        self.updated_at = Set(at);
        self
    }
}

impl KeptSecret {
    fn new(sealed: &str) -> Self {
        Self {
            sealed: sealed.to_owned(),
            until: None,
        }
    }
}

fn kept(secrets: &[KeptSecret]) -> Result<String> {
    Ok(serde_json::to_string(secrets).map_err(loco_rs::Error::from)?)
}

fn subscriptions(types: &str) -> impl Iterator<Item = Subscription> + use<> {
    let words: Vec<String> = serde_json::from_str(types).unwrap_or_default();
    words
        .into_iter()
        .filter_map(|word| Subscription::parse(&word).ok())
}

/// A place that no endpoint has. Those who add one wait for each other, and the index refuses whom that does not stop.
async fn free_place(txn: &Transaction) -> Result<i64> {
    // Rows that another transaction has added meanwhile are seen by none that waits for rows in PostgreSQL.
    if txn.get_database_backend() == DbBackend::Postgres {
        txn.execute_unprepared("LOCK TABLE webhook_endpoints IN SHARE ROW EXCLUSIVE MODE")
            .await?;
    }
    let taken: Vec<i64> = Entity::find()
        .select_only()
        .column(Column::Place)
        .lock_exclusive()
        .into_tuple()
        .all(txn)
        .await?;
    let free = (1..=MOST).find(|place| !taken.contains(place));
    free.ok_or(Error::LimitReached(
        "there are 32 webhook endpoints already, which is the most",
    ))
}

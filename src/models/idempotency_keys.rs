//! Idempotency keys: what was answered to a POST, so that its retry is answered the same.
//!
//! The answer is kept in the transaction that does the work: either both are there or neither is,
//! whatever crashes. A request that is still running is known to its own node only; on another node
//! its retry finds, in the end, that the unique index has the key already, and replays.

mod fingerprints;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::TimeDelta;
use sea_orm::{
    ActiveValue::Set, Condition, ExprTrait, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*,
};

pub use self::fingerprints::Fingerprints;
pub use super::_entities::idempotency_keys::{ActiveModel, Column, Entity, Model};
use super::{
    CacheTag, Error, Result, Transaction,
    error::violates,
    now,
    orders::{self, Scope},
    transaction::Database,
};
use crate::transaction;

impl ActiveModelBehavior for ActiveModel {}

/// For how many hours an answer is kept.
pub const KEPT_HOURS: i64 = 24;

/// How many rows are deleted in one transaction: few enough that no other request waits for it.
const BATCH: u64 = 500;

/// Whose requests are meant: keys of different owners have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The account with that id.
    Account(i64),
    /// The API key with that id.
    ApiKey(i64),
}

/// What stands for a request: the client's key, and what was asked under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Whose request it is.
    pub owner: Owner,
    /// The client's key.
    pub key: String,
    /// What the owner may be shown now. It may have been more when the answer was given.
    pub scope: Scope,
    /// What was asked, as it is stored; then the same under an earlier secret, if that is still good.
    pub fingerprints: Vec<String>,
}

/// An answer, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// Its HTTP status.
    pub status: u16,
    /// Where the new thing is.
    pub location: Option<String>,
    /// Its body.
    pub body: String,
    /// The customer whom it shows: themselves, an order of theirs or their account.
    pub customer_id: Option<i64>,
    /// Whether it was given before.
    pub replayed: bool,
}

/// The requests with a key that are running on this node.
#[derive(Debug, Default)]
pub struct InFlight(Mutex<HashSet<(Owner, String)>>);

/// The right to be the one request with a key that runs on this node.
#[derive(Debug)]
pub struct KeyGuard {
    request: Option<RequestKey>,
    in_flight: Arc<InFlight>,
}

impl InFlight {
    /// Claims the request's key, unless the first request with it is still running. A request
    /// without a key claims nothing and may always run.
    #[must_use]
    pub fn claim(self: &Arc<Self>, request: Option<RequestKey>) -> Option<KeyGuard> {
        let free = request.as_ref().is_none_or(|request| {
            let request = (request.owner, request.key.clone());
            self.running().insert(request)
        });
        free.then(|| KeyGuard {
            request,
            in_flight: Arc::clone(self),
        })
    }

    fn running(&self) -> MutexGuard<'_, HashSet<(Owner, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            let request = (request.owner, request.key);
            self.in_flight.running().remove(&request);
        }
    }
}

impl KeyGuard {
    /// What was answered to the same request before, if it was made.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when the key stands for another request; [`Error::NotFound`] when the answer
    /// shows a customer whom the owner may not see any more.
    pub async fn replay(&self, txn: &Transaction) -> Result<Option<StoredResponse>> {
        let Some(request) = &self.request else {
            return Ok(None);
        };
        let kept = Entity::find()
            .filter(request.owner.condition())
            .filter(Column::IdempotencyKey.eq(&request.key))
            .one(txn)
            .await?;
        match kept {
            None => Ok(None),
            Some(kept) if kept.created_at < expiry() => {
                kept.delete(txn).await?;
                Ok(None)
            }
            Some(kept) if !request.fingerprints.contains(&kept.fingerprint) => {
                Err(Error::KeyReused)
            }
            Some(kept) if !request.scope.includes(kept.customer_id) => Err(Error::NotFound),
            Some(kept) => {
                // Whoever did the work may have crashed before it could say what had changed.
                txn.touch([CacheTag::Everything]);
                Ok(Some(StoredResponse {
                    status: u16::try_from(kept.status).unwrap_or_default(),
                    location: kept.location,
                    body: kept.body,
                    customer_id: kept.customer_id,
                    replayed: true,
                }))
            }
        }
    }

    /// Whether the work may have been refused because the same request has been carried out meanwhile,
    /// on another node.
    pub const fn may_have_a_twin(&self, refusal: &Error) -> bool {
        self.request.is_some()
            && !matches!(
                refusal,
                Error::KeyReused
                    | Error::Revoked
                    | Error::OutOfTime
                    | Error::OutcomeUnknown(_)
                    | Error::Db(_)
                    | Error::Internal(_)
            )
    }

    /// Stores the response for the request's retries.
    ///
    /// # Errors
    /// [`Error::WriteConflict`] when the same request on another node was faster.
    pub async fn store(&self, txn: &Transaction, answer: StoredResponse) -> Result<StoredResponse> {
        let Some(request) = &self.request else {
            return Ok(answer);
        };
        let kept = ActiveModel {
            account_id: Set(request.owner.account_id()),
            api_key_id: Set(request.owner.api_key_id()),
            idempotency_key: Set(request.key.clone()),
            fingerprint: Set(request.fingerprints.first().cloned().unwrap_or_default()),
            status: Set(answer.status.into()),
            location: Set(answer.location.clone()),
            body: Set(answer.body.clone()),
            created_at: Set(now()),
            customer_id: Set(answer.customer_id),
            ..Default::default()
        };
        match Entity::insert(kept).exec_without_returning(txn).await {
            Ok(_) => Ok(answer),
            Err(error) if is_twin(&error) => Err(Error::WriteConflict),
            Err(error) => Err(error.into()),
        }
    }
}

impl Model {
    /// Deletes every answer that shows a customer, under whichever account's keys. Their orders have to be
    /// locked, so that none of them is answered meanwhile.
    pub async fn delete_of_customer(txn: &Transaction, customer_id: i64) -> Result<()> {
        Entity::delete_many()
            .filter(Column::CustomerId.eq(customer_id))
            .exec(txn)
            .await?;
        Ok(())
    }

    /// Deletes every answer that shows a checkout.
    pub async fn delete_of_checkout(txn: &Transaction, token: &str) -> Result<()> {
        let opened = Column::Location.ends_with(format!("/checkouts/{token}"));
        let changed = Column::IdempotencyKey.starts_with(token);
        Entity::delete_many()
            .filter(opened.or(changed))
            .exec(txn)
            .await?;
        Ok(())
    }

    /// Deletes the answers that show the name of a customer's account: the one that made it, and those that
    /// show a changed order in whose history it stands. The answer to a new order names only the account
    /// that placed it, whose keys go with it: that of another account stays, and its retry orders nothing
    /// twice. The orders have to be locked.
    pub async fn delete_of_account(
        txn: &Transaction,
        account_id: i64,
        customer_id: i64,
    ) -> Result<()> {
        let made = Column::CustomerId
            .eq(customer_id)
            .and(Column::Location.ends_with(format!("/customer-accounts/{account_id}")));
        let customers = orders::Model::acted_on_by(account_id)
            .select_only()
            .column(orders::Column::CustomerId)
            .into_query();
        let changed = Column::Location
            .is_null()
            .and(Column::CustomerId.in_subquery(customers));
        Entity::delete_many()
            .filter(Condition::any().add(made).add(changed))
            .exec(txn)
            .await?;
        Ok(())
    }

    /// Deletes the answers that are past their time, some at a time so that no other request waits for long, and
    /// says how many there were. Several nodes may do it at once.
    pub async fn prune(database: &impl Database) -> Result<u64> {
        let mut pruned = 0;
        loop {
            let batch = transaction!(database, |txn| Self::prune_some(txn).await)?;
            pruned += batch;
            if batch < BATCH {
                return Ok(pruned);
            }
        }
    }

    /// How many there were, also when another node has just deleted them.
    async fn prune_some(txn: &Transaction) -> Result<u64> {
        // Not one statement: MySQL deletes from no table that its condition reads.
        let expired: Vec<i64> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::CreatedAt.lt(expiry()))
            .order_by_asc(Column::CreatedAt)
            .limit(BATCH)
            .into_tuple()
            .all(txn)
            .await?;
        let count = expired.len() as u64;
        if count > 0 {
            Entity::delete_many()
                .filter(Column::Id.is_in(expired))
                .exec(txn)
                .await?;
        }
        Ok(count)
    }
}

impl Owner {
    fn condition(self) -> Expr {
        match self {
            Self::Account(id) => Column::AccountId.eq(id),
            Self::ApiKey(id) => Column::ApiKeyId.eq(id),
        }
    }

    const fn account_id(self) -> Option<i64> {
        match self {
            Self::Account(id) => Some(id),
            Self::ApiKey(_) => None,
        }
    }

    const fn api_key_id(self) -> Option<i64> {
        match self {
            Self::Account(_) => None,
            Self::ApiKey(id) => Some(id),
        }
    }
}

/// Whether the same request was kept by another node.
fn is_twin(error: &DbErr) -> bool {
    let indexes = [
        "uq_idempotency_keys_account_id_idempotency_key",
        "uq_idempotency_keys_api_key_id_idempotency_key",
    ];
    indexes.iter().any(|index| violates(error, index))
}

/// Answers that were given before this moment are past their time.
pub fn expiry() -> DateTimeWithTimeZone {
    now() - TimeDelta::hours(KEPT_HOURS)
}

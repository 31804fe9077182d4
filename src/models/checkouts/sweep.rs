//! The end of holds and of checkouts.
//!
//! [`Model::sweep`] is done by every node now and then: it releases holds that have ended, ends checkouts that were not
//! changed for too long, and forgets those of visitors some time after their end. [`Model::release_ended`] is done by whoever
//! finds too little stock, so that no sale waits for a sweep.

use sea_orm::{ConnectionTrait, ExprTrait, QueryOrder, QuerySelect, entity::prelude::*};

use super::{Checkout, Column, Entity, Model, Rules, hold::ids_of_ended, is_of};
use crate::{
    models::{
        Result, Transaction, customers, events, found, hold_budgets, idempotency_keys, now,
        transaction::Database,
        types::{CheckoutStatus, EventType},
    },
    transaction,
};

/// How many are read at once. Each is ended in a transaction of its own, so that nobody waits for many.
const BATCH: u64 = 100;

/// What a sweep has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many holds were released.
    pub released: u64,
    /// How many checkouts have expired.
    pub expired: u64,
    /// How many checkouts were forgotten.
    pub forgotten: u64,
}

impl Model {
    /// Ends what is past its time. Several nodes may do it at once.
    pub async fn sweep(database: &impl Database, rules: &Rules<'_>) -> Result<Swept> {
        let mut swept = Swept::default();
        loop {
            let ids = ids_of_ended(database.db(), None, BATCH).await?;
            swept.released += release_all(database, &ids, rules).await?;
            if (ids.len() as u64) < BATCH {
                break;
            }
        }
        let expired = |status| Column::Status.eq(status).and(Column::ExpiresAt.lte(now()));
        loop {
            let open = CheckoutStatus::Open.as_str();
            let ids = some(database.db(), expired(open)).await?;
            for id in &ids {
                let ended = transaction!(database, |txn| expire(txn, *id, rules).await)?;
                swept.expired += u64::from(ended);
            }
            if (ids.len() as u64) < BATCH {
                break;
            }
        }
        for status in [
            CheckoutStatus::Completed,
            CheckoutStatus::Cancelled,
            CheckoutStatus::Expired,
        ] {
            loop {
                let nobodys = expired(status.as_str()).and(Column::CustomerId.is_null());
                let ids = some(database.db(), nobodys).await?;
                for id in &ids {
                    let gone = transaction!(database, |txn| forget(txn, *id).await)?;
                    swept.forgotten += u64::from(gone);
                }
                if (ids.len() as u64) < BATCH {
                    break;
                }
            }
        }
        transaction!(database, |txn| hold_budgets::Model::delete_unused(txn)
            .await)?;
        Ok(swept)
    }

    /// Releases what of these products is held by holds that have ended, and says whether there was any.
    pub async fn release_ended(
        database: &impl Database,
        products: &[i64],
        rules: &Rules<'_>,
    ) -> Result<bool> {
        let ids = ids_of_ended(database.db(), Some(products), BATCH).await?;
        release_all(database, &ids, rules).await?;
        // Another one may have been faster: that helps as well.
        Ok(!ids.is_empty())
    }

    /// Takes a customer out of the checkouts: theirs, and those with their email that are nobody's, are forgotten. The
    /// customer has to be locked.
    pub async fn forget_customer(txn: &Transaction, customer: &customers::Model) -> Result<()> {
        let theirs = Entity::find()
            .filter(is_of(customer))
            .order_by_asc(Column::Id)
            .lock_exclusive();
        for mut checkout in theirs.all(txn).await? {
            checkout
                .release(txn, &super::super::Actor::system())
                .await?;
            checkout.forget(txn).await?;
        }
        Ok(())
    }

    async fn forget(self, txn: &Transaction) -> Result<()> {
        events::Model::forget_checkout(txn, self.id, &self.token).await?;
        idempotency_keys::Model::delete_of_checkout(txn, &self.token).await?;
        Entity::delete_by_id(self.id).exec(txn).await?;
        Ok(())
    }
}

async fn release_all(database: &impl Database, ids: &[i64], rules: &Rules<'_>) -> Result<u64> {
    let mut released = 0;
    for id in ids {
        let did = transaction!(database, |txn| release(txn, *id, rules).await)?;
        released += u64::from(did);
    }
    Ok(released)
}

/// The ids of some checkouts.
async fn some(db: &impl ConnectionTrait, meant: sea_orm::sea_query::Expr) -> Result<Vec<i64>> {
    let ids = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(meant)
        .order_by_asc(Column::ExpiresAt)
        .limit(BATCH)
        .into_tuple();
    Ok(ids.all(db).await?)
}

/// The checkout, locked; none where another one has done what was to be done.
async fn locked(txn: &Transaction, id: i64) -> Result<Option<Model>> {
    match found(txn, Entity::find_by_id(id).lock_exclusive()).await {
        Err(crate::models::Error::NotFound) => Ok(None),
        found => found.map(Some),
    }
}

async fn release(txn: &Transaction, id: i64, rules: &Rules<'_>) -> Result<bool> {
    let Some(mut checkout) = locked(txn, id).await? else {
        return Ok(false);
    };
    if checkout.held_until.is_none_or(|until| until > now()) {
        return Ok(false);
    }
    checkout.release(txn, rules.sale.actor).await?;
    checkout.write(txn).await?;
    Ok(true)
}

async fn expire(txn: &Transaction, id: i64, rules: &Rules<'_>) -> Result<bool> {
    let Some(mut checkout) = locked(txn, id).await? else {
        return Ok(false);
    };
    if checkout.status != CheckoutStatus::Open.as_str() || checkout.expires_at > now() {
        return Ok(false);
    }
    checkout.end(txn, CheckoutStatus::Expired, rules).await?;
    let expired: Checkout = checkout.shown(txn, rules).await?;
    txn.happened(EventType::CheckoutExpired, &expired);
    Ok(true)
}

async fn forget(txn: &Transaction, id: i64) -> Result<bool> {
    let Some(checkout) = locked(txn, id).await? else {
        return Ok(false);
    };
    if checkout.status == CheckoutStatus::Open.as_str() || checkout.expires_at > now() {
        return Ok(false);
    }
    checkout.forget(txn).await?;
    Ok(true)
}

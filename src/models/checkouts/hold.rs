//! Holds: stock that is kept for a checkout for a while. What is held is gone from the stock, and stands in the ledger.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use sea_orm::{
    Condition, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*, sea_query::LockType,
};

use super::{Checkout, Column, Entity, Model, Rules};
use crate::models::{
    Actor, Error, Result, Transaction,
    error::FieldError,
    hold_budgets, now,
    orders::{Line, shortage},
    products::{self, Offer, Purpose},
    stock_movements::{self, Movement},
    types::{CheckoutId, CheckoutStatus, MovementKind},
};

/// For how long a checkout can hold stock in all, after it first did.
const LONGEST: TimeDelta = TimeDelta::minutes(60);

/// How many times as many pieces an address may hold as one checkout.
const CHECKOUTS_OF_ADDRESS: i64 = 3;

impl Model {
    /// Holds the stock of all lines, or of none, from now on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotOpen`]; [`Error::HoldDisabled`] also when it has been held for long enough;
    /// [`Error::Invalid`] without items, and for more pieces than a visitor may hold; [`Error::InsufficientStock`].
    pub async fn hold(txn: &Transaction, id: &CheckoutId, rules: &Rules<'_>) -> Result<Checkout> {
        let mut checkout = Self::locked(txn, rules.buyer, id, None, None).await?;
        if rules.hold <= TimeDelta::zero() {
            return Err(Error::HoldDisabled("the store holds no stock"));
        }
        if checkout.items()?.is_empty() {
            let message = "must not be empty: there is nothing to be held";
            return Err(FieldError::at("/items", "items-missing", message).into());
        }
        let now = now();
        let first = checkout.first_held_at.unwrap_or(now);
        let until = (now + rules.hold).min(first + LONGEST);
        if until <= now {
            let why = "this checkout has held stock for as long as it can";
            return Err(Error::HoldDisabled(why));
        }
        checkout.first_held_at = Some(first);
        checkout.held_until = Some(until);
        checkout.follow(txn, rules).await?;
        let standing = checkout.quoted(txn, rules).await?;
        checkout.write(txn).await?;
        Ok(checkout.with(standing, rules))
    }

    /// The pieces that are held for it, by product.
    pub(super) fn held(&self) -> Result<BTreeMap<i64, i64>> {
        let held = self.held.as_deref().map(serde_json::from_str).transpose();
        Ok(held.map_err(loco_rs::Error::from)?.unwrap_or_default())
    }

    /// Holds what the lines are now: what is missing is taken, and what is too much given back.
    ///
    /// # Errors
    /// [`Error::InsufficientStock`]; [`Error::Invalid`] for more pieces than a visitor may hold.
    pub(super) async fn follow(&mut self, txn: &Transaction, rules: &Rules<'_>) -> Result<()> {
        let (items, held) = (self.items()?, self.held()?);
        let lines: Vec<_> = (0..)
            .zip(&items)
            .map(|(line, item)| Line {
                product_id: item.product_id,
                quantity: item.quantity,
                line,
            })
            .collect();
        let ids: BTreeSet<_> = lines.iter().map(|line| line.product_id).collect();
        let ids: BTreeSet<_> = ids
            .union(&held.keys().copied().collect())
            .copied()
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        lock(txn, &ids).await?;
        let offers = products::Model::offers(txn, ids).await?;
        let gone = |line: &&Line| !offers.contains_key(&line.product_id);
        let gone: Vec<_> = lines.iter().filter(gone).copied().collect();
        if !gone.is_empty() {
            return Err(shortage(txn, gone, &held).await?);
        }
        let is_tracked = |id: &i64| offers.get(id).is_some_and(|offer| offer.stock.is_some());
        let wanted: BTreeMap<_, _> = lines
            .iter()
            .filter(|line| is_tracked(&line.product_id))
            .map(|line| (line.product_id, line.quantity.get()))
            .collect();
        let less = difference(&held, &wanted);
        let more = difference(&wanted, &held);
        self.give_back(txn, &less, rules.sale.actor).await?;
        self.take(txn, &more, (&lines, &held), &offers, rules)
            .await?;
        self.charge(txn, &wanted, &held, rules).await?;
        let json = serde_json::to_string(&wanted).map_err(loco_rs::Error::from)?;
        self.held = Some(json);
        Ok(())
    }

    async fn take(
        &self,
        txn: &Transaction,
        more: &BTreeMap<i64, i64>,
        (lines, held): (&[Line], &BTreeMap<i64, i64>),
        offers: &BTreeMap<i64, Offer>,
        rules: &Rules<'_>,
    ) -> Result<()> {
        if more.is_empty() {
            return Ok(());
        }
        let left = products::Model::take(txn, more, offers, Purpose::Hold).await?;
        if left.len() < more.len() {
            let is_short = |line: &&Line| {
                more.contains_key(&line.product_id) && !left.contains_key(&line.product_id)
            };
            let short = lines.iter().filter(is_short).copied().collect();
            return Err(shortage(txn, short, held).await?);
        }
        let taken = more.iter().map(|(id, pieces)| self.movement(*id, -pieces));
        stock_movements::Model::record(txn, taken, rules.sale.actor).await
    }

    async fn give_back(
        &self,
        txn: &Transaction,
        less: &BTreeMap<i64, i64>,
        actor: &Actor,
    ) -> Result<()> {
        if less.is_empty() {
            return Ok(());
        }
        let tracked = products::Model::put_back(txn, less, Purpose::Hold).await?;
        let less = less.iter().filter(|(id, _)| tracked.contains(id));
        let released = less.map(|(id, pieces)| self.movement(*id, *pieces));
        stock_movements::Model::record(txn, released, actor).await
    }

    /// Counts the pieces against what a visitor may hold.
    async fn charge(
        &mut self,
        txn: &Transaction,
        wanted: &BTreeMap<i64, i64>,
        held: &BTreeMap<i64, i64>,
        rules: &Rules<'_>,
    ) -> Result<()> {
        // What was not counted yet was held by somebody who has no budget.
        let counted = self.budget.as_ref().map_or(0, |_| held.values().sum());
        let wanted: i64 = wanted.values().sum();
        let is_bound = rules.budget.is_some() && wanted > counted;
        if is_bound && wanted > rules.hold_pieces {
            let most = rules.hold_pieces;
            return Err(too_many(format!(
                "must be at most {most} pieces, to be held"
            )));
        }
        if self.budget.is_none() {
            self.budget = rules.budget.map(str::to_owned);
        }
        let Some(budget) = &self.budget else {
            return Ok(());
        };
        if wanted <= counted {
            return hold_budgets::Model::give_back(txn, budget, counted - wanted).await;
        }
        let most = if is_bound {
            rules.hold_pieces.saturating_mul(CHECKOUTS_OF_ADDRESS)
        } else {
            i64::MAX
        };
        if hold_budgets::Model::take(txn, budget, wanted - counted, most).await? {
            return Ok(());
        }
        let message = format!("must be fewer pieces: {most} can be held from one address at once");
        Err(too_many(message))
    }

    /// Gives back all that is held.
    pub(super) async fn release(&mut self, txn: &Transaction, actor: &Actor) -> Result<()> {
        let held = self.held()?;
        self.give_back(txn, &held, actor).await?;
        self.forget_hold(txn, &held).await
    }

    /// It holds nothing any more: the pieces were given back, or are sold.
    pub(super) async fn forget_hold(
        &mut self,
        txn: &Transaction,
        held: &BTreeMap<i64, i64>,
    ) -> Result<()> {
        if let Some(budget) = self.budget.take() {
            hold_budgets::Model::give_back(txn, &budget, held.values().sum()).await?;
        }
        (self.held, self.held_until) = (None, None);
        Ok(())
    }

    fn movement(&self, product_id: i64, delta: i64) -> Movement {
        Movement {
            product_id,
            kind: if delta < 0 {
                MovementKind::Hold
            } else {
                MovementKind::Release
            },
            delta,
            reason: None,
            order_id: None,
            checkout_id: Some(self.token.clone()),
        }
    }
}

/// Those whose hold has ended, and that are not released yet.
pub(super) fn ended() -> Condition {
    Condition::all()
        .add(Column::Status.eq(CheckoutStatus::Open.as_str()))
        .add(Column::HeldUntil.lte(now()))
}

/// The ids of checkouts whose hold has ended; with products, of those that hold one of them.
pub(super) async fn ids_of_ended(
    db: &impl ConnectionTrait,
    products: Option<&[i64]>,
    limit: u64,
) -> Result<Vec<i64>> {
    let mut one_of_them = Condition::any();
    for id in products.unwrap_or_default() {
        // As it is written: every id is a name in quotes.
        one_of_them = one_of_them.add(Column::Held.contains(format!("\"{id}\":")));
    }
    let ids = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(ended())
        .apply_if(products, |query, _| query.filter(one_of_them))
        .order_by_asc(Column::HeldUntil)
        .limit(limit)
        .into_tuple();
    Ok(ids.all(db).await?)
}

/// Locks products in the order of their ids, where some are taken of one and given back of another.
async fn lock(txn: &Transaction, ids: &BTreeSet<i64>) -> Result<()> {
    if ids.len() < 2 {
        return Ok(());
    }
    products::Entity::find()
        .select_only()
        .column(products::Column::Id)
        .filter(products::Column::Id.is_in(ids.iter().copied()))
        .order_by_asc(products::Column::Id)
        .lock(LockType::Update)
        .into_tuple::<i64>()
        .all(txn)
        .await?;
    Ok(())
}

/// How many more of each there are in one than in the other.
fn difference(one: &BTreeMap<i64, i64>, other: &BTreeMap<i64, i64>) -> BTreeMap<i64, i64> {
    let more = one.iter().map(|(id, pieces)| {
        let others = other.get(id).copied().unwrap_or_default();
        (*id, pieces - others)
    });
    more.filter(|(_, pieces)| *pieces > 0).collect()
}

fn too_many(message: String) -> Error {
    FieldError::at("/items", "range", message).into()
}

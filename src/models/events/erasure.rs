//! Taking a person out of what has happened: the rest of each event stays as it was, in its form too.

use sea_orm::{
    QueryOrder, QuerySelect, QueryTrait, Select,
    entity::prelude::*,
    sea_query::{CaseStatement, Expr},
};
use serde_json::{Value as Json, json};

use super::{Column, Entity, Model};
use crate::models::{
    Actor, Result, Transaction, customers, order_events, orders,
    types::{ActorKind, SubjectKind},
};

/// How many events are read and written by one statement.
const BATCH: usize = 100;

impl Model {
    /// Takes an account's name out of all that it did, of what happened to it, and of the histories of orders; it
    /// is called `name` from now on. The account and the orders have to be locked.
    pub async fn anonymize_actor(txn: &Transaction, account_id: i64, name: &str) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::ActorName, Expr::value(name))
            .filter(Column::ActorKind.eq(ActorKind::Account.as_str()))
            .filter(Column::ActorId.eq(account_id))
            .exec(txn)
            .await?;
        let of_account =
            about(SubjectKind::CustomerAccount).filter(Column::SubjectId.eq(account_id));
        rewrite(txn, of_account, |_, data| set(data, "username", name)).await?;
        // The name was another one, perhaps, when an order was shown: which steps were theirs is known.
        let steps = order_events::Entity::find()
            .filter(order_events::Column::AccountId.eq(account_id))
            .order_by_asc(order_events::Column::OrderId)
            .all(txn)
            .await?;
        for steps in steps.chunks(BATCH) {
            let ids = steps.iter().map(|step| step.order_id);
            let of_orders = about(SubjectKind::Order).filter(Column::SubjectId.is_in(ids));
            rewrite(txn, of_orders, |event, data| {
                for shown in history(data) {
                    let is_theirs = |step: &order_events::Model| {
                        step.order_id == event.subject_id && shown["status"] == *step.status
                    };
                    if steps.iter().any(is_theirs) {
                        set(shown, "by", name);
                    }
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Takes an account's name out of what has happened to the API keys that it has made, also to those that are gone;
    /// it is called `name` from now on.
    pub async fn anonymize_key_creator(
        txn: &Transaction,
        account_id: i64,
        name: &str,
    ) -> Result<()> {
        // As it is written: the id comes first, and no name can look like that.
        let made_by = format!("\"created_by\":{{\"id\":{account_id},");
        let of_keys = about(SubjectKind::ApiKey).filter(Column::Data.contains(made_by));
        rewrite(txn, of_keys, |_, data| {
            if let Some(maker) = data.get_mut("created_by") {
                set(maker, "username", name);
            }
        })
        .await
    }

    /// Takes a customer's personal data out of all that has happened to them, their accounts, their addresses and their
    /// orders, which have to be locked.
    pub async fn anonymize_customer(txn: &Transaction, customer_id: i64) -> Result<()> {
        let orders = orders::Entity::find()
            .select_only()
            .column(orders::Column::Id)
            .filter(orders::Column::CustomerId.eq(customer_id))
            .into_query();
        let overwrite = |event: &Self, data: &mut Json| {
            let email = customers::erased_email(customer_id);
            let contact = if event.subject_kind == SubjectKind::Customer.as_str() {
                data
            } else {
                for text in ["email", "shipping_address", "billing_address", "note"] {
                    set(data, text, Json::Null);
                }
                for step in history(data) {
                    step.as_object_mut().map(|step| step.remove("reason"));
                }
                // An event of a deletion shows nobody.
                let Some(customer) = data.get_mut("customer") else {
                    return;
                };
                customer
            };
            set(contact, "name", Actor::ERASED);
            set(contact, "email", email);
            set(contact, "phone", Json::Null);
        };
        for theirs in [
            about(SubjectKind::Customer).filter(Column::SubjectId.eq(customer_id)),
            about(SubjectKind::Order).filter(Column::SubjectId.in_subquery(orders)),
            // Also of accounts that are gone.
            about(SubjectKind::CustomerAccount).filter(Column::CustomerId.eq(customer_id)),
        ] {
            rewrite(txn, theirs, overwrite).await?;
        }
        // Nothing of an address says nothing of the person.
        let addresses = about(SubjectKind::CustomerAddress);
        let theirs = addresses.filter(Column::CustomerId.eq(customer_id));
        rewrite(txn, theirs, |event, data| {
            *data = json!({ "id": event.subject_id });
        })
        .await
    }

    /// Takes all out of what has happened to a checkout but its id. It has to be locked.
    pub async fn forget_checkout(txn: &Transaction, id: i64, token: &str) -> Result<()> {
        let its = about(SubjectKind::Checkout).filter(Column::SubjectId.eq(id));
        rewrite(txn, its, |_, data| *data = json!({ "id": token })).await
    }
}

fn about(kind: SubjectKind) -> Select<Entity> {
    Entity::find().filter(Column::SubjectKind.eq(kind.as_str()))
}

/// The steps that an order shows.
fn history(order: &mut Json) -> impl Iterator<Item = &mut Json> {
    let steps = order.get_mut("history").and_then(Json::as_array_mut);
    steps.into_iter().flatten()
}

/// Writes another value where there is one.
fn set(object: &mut Json, field: &str, value: impl Into<Json>) {
    if let Some(there) = object.get_mut(field) {
        *there = value.into();
    }
}

/// Changes the data of those events, some at a time.
async fn rewrite(
    txn: &Transaction,
    events: Select<Entity>,
    change: impl Fn(&Model, &mut Json) + Send + Sync,
) -> Result<()> {
    let mut last = 0;
    loop {
        let some = events.clone().filter(Column::Id.gt(last));
        let some = some
            .order_by_asc(Column::Id)
            .limit(BATCH as u64)
            .all(txn)
            .await?;
        let Some(end) = some.last() else {
            return Ok(());
        };
        last = end.id;
        let (mut ids, mut written) = (Vec::new(), CaseStatement::new());
        for event in &some {
            let mut data = serde_json::from_str(&event.data).map_err(loco_rs::Error::from)?;
            change(event, &mut data);
            written = written.case(Column::Id.eq(event.id), data.to_string());
            ids.push(event.id);
        }
        Entity::update_many()
            .col_expr(Column::Data, written.into())
            .filter(Column::Id.is_in(ids))
            .exec(txn)
            .await?;
    }
}

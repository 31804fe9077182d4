//! Codes: what proves that somebody reads the mails to an address. Each is sent in a mail, and kept as a digest. It works
//! once, and for some hours.
//!
//! How many there are for an address is limited by how often it is written to.

use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{
    ActiveValue::Set, Condition, QueryOrder, QuerySelect, entity::prelude::*,
    sea_query::SelectStatement,
};

pub use super::_entities::codes::{ActiveModel, Column, Entity, Model};
use super::{
    Result, Transaction, customer_accounts, now,
    transaction::Database,
    types::{Code, CodeKind, CustomerName, Email, case_fold},
};
use crate::transaction;

impl ActiveModelBehavior for ActiveModel {}

/// How many are deleted in one transaction: few enough that no other request waits for it.
const PRUNED_AT_ONCE: u64 = 500;

/// What a code proves, to whom.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// That somebody of that name, who registers, reads the mails to that address.
    Registration(&'a Email, &'a CustomerName),
    /// That the owner of that account reads the mails to their address.
    PasswordReset {
        /// The account.
        account_id: i64,
        /// Their address, folded.
        email_key: &'a str,
    },
    /// That the owner of that account reads the mails to their new address.
    EmailChange {
        /// The account.
        account_id: i64,
        /// The new address.
        email: &'a Email,
    },
    /// Nothing. It is written all the same, so that nobody learns from how long that takes whether an address is
    /// known.
    Nothing(CodeKind),
}

impl Proof<'_> {
    const fn kind(self) -> CodeKind {
        match self {
            Self::Registration(..) => CodeKind::Registration,
            Self::PasswordReset { .. } => CodeKind::PasswordReset,
            Self::EmailChange { .. } => CodeKind::EmailChange,
            Self::Nothing(kind) => kind,
        }
    }
}

impl Model {
    /// Makes a code good for so long. A newer one ends no older one.
    pub async fn issue(
        txn: &Transaction,
        code: &Code,
        proof: Proof<'_>,
        good_for: Duration,
    ) -> Result<()> {
        let created_at = now();
        let good_for = TimeDelta::from_std(good_for).map_err(loco_rs::Error::wrap)?;
        let mut row = ActiveModel {
            digest: Set(code.digest()),
            kind: Set(proof.kind().as_str().to_owned()),
            account_id: Set(None),
            email: Set(None),
            email_key: Set(None),
            name: Set(None),
            expires_at: Set(created_at + good_for),
            created_at: Set(created_at),
            ..Default::default()
        };
        match proof {
            Proof::Registration(email, name) => {
                row.email = Set(Some(email.as_str().to_owned()));
                row.email_key = Set(Some(case_fold(email.as_str())));
                row.name = Set(Some(name.as_str().to_owned()));
            }
            Proof::PasswordReset {
                account_id,
                email_key,
            } => {
                row.account_id = Set(Some(account_id));
                row.email_key = Set(Some(email_key.to_owned()));
            }
            Proof::EmailChange { account_id, email } => {
                row.account_id = Set(Some(account_id));
                row.email = Set(Some(email.as_str().to_owned()));
                row.email_key = Set(Some(case_fold(email.as_str())));
            }
            Proof::Nothing(_) => row.expires_at = Set(created_at),
        }
        Entity::insert(row).exec_without_returning(txn).await?;
        Ok(())
    }

    /// What a code of that kind proves, which is still good. It is not used by that.
    ///
    /// # Errors
    /// [`Code::refused`].
    pub async fn find(db: &impl ConnectionTrait, kind: CodeKind, code: &Code) -> Result<Self> {
        let found = Entity::find().filter(is_good(kind, code)).one(db).await?;
        found.ok_or_else(Code::refused)
    }

    /// Uses a code: of all who try at the same time one succeeds. Should what it is used for be refused, it can be used
    /// again.
    ///
    /// # Errors
    /// [`Code::refused`].
    pub async fn redeem(txn: &Transaction, kind: CodeKind, code: &Code) -> Result<()> {
        let used = Entity::delete_many().filter(is_good(kind, code));
        match used.exec(txn).await?.rows_affected {
            0 => Err(Code::refused()),
            _ => Ok(()),
        }
    }

    /// Locks every code that proves an address, folded as it is, until the transaction ends. Those who use several of
    /// them at the same time come one after the other: each ends the others' codes, so they would stop one another.
    pub async fn lock_of_email(txn: &Transaction, email_key: &str) -> Result<()> {
        let codes = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::EmailKey.eq(email_key))
            .order_by_asc(Column::Id)
            .lock_exclusive();
        codes.into_tuple::<i64>().all(txn).await?;
        Ok(())
    }

    /// Ends every code of an account.
    pub async fn end_of_account(txn: &Transaction, account_id: i64) -> Result<()> {
        delete(txn, Column::AccountId.eq(account_id)).await
    }

    /// Ends every code of the account of a customer, who has to be locked.
    pub async fn end_of_customer(txn: &Transaction, customer_id: i64) -> Result<()> {
        // Not one statement: MySQL locks what the condition of a deletion reads.
        match customer_accounts::Model::id_of_customer(txn, customer_id).await? {
            Some(id) => Self::end_of_account(txn, id).await,
            None => Ok(()),
        }
    }

    /// Ends every code that proves an address, folded as it is: registrations, and whoever wants to move there.
    pub async fn end_of_email(txn: &Transaction, email_key: &str) -> Result<()> {
        delete(txn, Column::EmailKey.eq(email_key)).await
    }

    /// The same of all addresses that a query finds.
    pub async fn end_of_emails(txn: &Transaction, email_keys: SelectStatement) -> Result<()> {
        delete(txn, Column::EmailKey.in_subquery(email_keys)).await
    }

    /// Deletes those that are not good any more, some at a time, and says how many there were. Several nodes may do it
    /// at once.
    pub async fn prune(database: &impl Database) -> Result<u64> {
        let mut pruned = 0;
        loop {
            let batch = transaction!(database, |txn| Self::prune_some(txn).await)?;
            pruned += batch;
            if batch < PRUNED_AT_ONCE {
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
            .filter(Column::ExpiresAt.lte(now()))
            .order_by_asc(Column::ExpiresAt)
            .limit(PRUNED_AT_ONCE)
            .into_tuple()
            .all(txn)
            .await?;
        let count = expired.len() as u64;
        if count > 0 {
            delete(txn, Column::Id.is_in(expired)).await?;
        }
        Ok(count)
    }
}

fn is_good(kind: CodeKind, code: &Code) -> Condition {
    Condition::all()
        .add(Column::Digest.eq(code.digest()))
        .add(Column::Kind.eq(kind.as_str()))
        .add(Column::ExpiresAt.gt(now()))
}

async fn delete(txn: &Transaction, which: Expr) -> Result<()> {
    Entity::delete_many().filter(which).exec(txn).await?;
    Ok(())
}

//! Mails: what customers are told.
//!
//! Each is written in the transaction of its event, or of what somebody has asked for, and sent afterwards. The text is
//! made then, from the event or the code, so that none is kept.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    Condition, ExprTrait, QueryOrder, QuerySelect, QueryTrait, Select,
    entity::prelude::*,
    sea_query::{Expr, Query},
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::mails::{ActiveModel, Column, Entity, Model};
use super::{
    CacheTag, Result, Transaction, codes, customer_accounts, customers,
    deliveries::{self, Attempt, Schedule, Verdict},
    events::{Event, Subject},
    found,
    input::Input,
    listing::{self, ByCursor, Page, Sort, SortKey},
    now,
    transaction::Database,
    types::{ActorKind, DeliveryStatus, Email, MailTemplate, case_fold},
};

impl ActiveModelBehavior for ActiveModel {}

deliveries::delivery!();

/// How long to wait after each failed attempt: the last one is made 17.6 hours after the first.
///
/// Servers that ask to be tried again (greylisting) let a mail in after some minutes, and a night without a server is survived.
pub const RETRY_WAITS: [Duration; 7] = [
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(4),
    Duration::from_hours(10),
];

/// What stands in an error that was said of somebody who was erased: servers repeat addresses.
const ERASED: &str = "erased";

/// In whose name mails are sent.
#[derive(Clone, Debug)]
pub struct Letterhead {
    /// The name of the shop.
    pub shop_name: String,
    /// The domain of its address, which stands in the `Message-ID` of each mail.
    pub domain: String,
}

/// A mail that an event asks for.
#[derive(Clone, Copy, Debug)]
pub struct Letter {
    template: MailTemplate,
    /// The order, the webhook endpoint or the account.
    about: i64,
    to: Addressee,
}

/// A mail that no event asks for.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// What it tells.
    pub template: MailTemplate,
    /// The address that it goes to.
    pub to: &'a str,
    /// Whose address that is, if it is a customer's. They have to be locked: whoever erases them then comes before, or
    /// finds the mail.
    pub customer_id: Option<i64>,
    /// The code that it shows, sealed.
    pub sealed_code: Option<&'a str>,
}

/// Who is written to.
#[derive(Clone, Copy, Debug)]
enum Addressee {
    /// A customer.
    Customer(i64),
    /// The administrators who have an address: those who are customers too.
    Administrators,
}

/// How often administrators are told that deliveries to an endpoint are given up: there may be thousands.
const FAILURES_TOLD_EVERY: TimeDelta = TimeDelta::days(1);

/// What came of an attempt to send a mail.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The mail, as it was before.
    pub mail: Model,
    /// The lease under which it was sent.
    pub lease: String,
    /// The attempt.
    pub attempt: Attempt,
    /// What has to be done now.
    pub verdict: Verdict,
}

/// Which mails are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Input)]
pub struct Filter {
    /// How far they have come.
    pub status: Option<DeliveryStatus>,
    /// The event that they tell of.
    pub event_id: Option<i64>,
    /// The address that they go to, as the mail shows it.
    pub to: Option<Email>,
}

impl listing::Filter for Filter {
    fn condition(&self) -> Condition {
        let status = self.status.map(|status| Column::Status.eq(status.as_str()));
        let to = self.to.as_ref();
        Condition::all()
            .add_option(status)
            .add_option(self.event_id.map(|id| Column::EventId.eq(id)))
            .add_option(to.map(|to| Column::Recipient.eq(to.as_str())))
    }
}

/// What mails are sorted by.
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

impl Letter {
    /// The mail that an event asks for, if it does. What the system does by itself to orders is the demo, whose
    /// customers are invented; and what an administrator does to an endpoint they know.
    pub fn about(event: &Event, by: ActorKind) -> Option<Self> {
        let template = MailTemplate::after(event.event_type)?;
        let (is_known, about, to) = match &event.subject {
            Subject::Order(order) => (
                by == ActorKind::System,
                order.order.id,
                Addressee::Customer(order.order.customer_id),
            ),
            Subject::WebhookEndpoint(endpoint) => (
                by != ActorKind::System,
                endpoint.id,
                Addressee::Administrators,
            ),
            Subject::WebhookDelivery(delivery) => {
                (false, delivery.endpoint_id, Addressee::Administrators)
            }
            Subject::CustomerAccount(account) => (
                false,
                account.0.id,
                Addressee::Customer(account.0.customer_id?),
            ),
            _ => return None,
        };
        (!is_known).then_some(Self {
            template,
            about,
            to,
        })
    }

    fn subject(self, letterhead: &Letterhead) -> String {
        self.template.subject(&letterhead.shop_name, self.about)
    }
}

impl Model {
    /// The mail with that id.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        found(db, Entity::find_by_id(id)).await
    }

    /// A page of mails.
    pub async fn list(
        db: &impl ConnectionTrait,
        ByCursor(listing): &ByCursor<Filter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, Entity::find(), listing).await
    }

    /// A page of the mails to a customer, in the order of their ids, after that one.
    pub async fn of_customer(
        db: &impl ConnectionTrait,
        customer: &customers::Model,
        after: i64,
        count: u64,
    ) -> Result<Vec<Self>> {
        let theirs = Entity::find().filter(to_customer(customer));
        let some = theirs.filter(Column::Id.gt(after)).order_by_asc(Column::Id);
        Ok(some.limit(count).all(db).await?)
    }

    /// Writes a mail that no event asks for.
    pub async fn write(
        txn: &Transaction,
        letterhead: &Letterhead,
        notice: Notice<'_>,
    ) -> Result<()> {
        let (at, message_id) = (now(), Uuid::new_v4());
        let mail = ActiveModel {
            event_id: Set(None),
            template: Set(notice.template.as_str().to_owned()),
            recipient: Set(notice.to.to_owned()),
            subject: Set(notice.template.subject(&letterhead.shop_name, 0)),
            customer_id: Set(notice.customer_id),
            message_id: Set(format!("<{message_id}@{}>", letterhead.domain)),
            status: Set(DeliveryStatus::Pending.as_str().to_owned()),
            tries: Set(0),
            attempts: Set("[]".to_owned()),
            next_attempt_at: Set(Some(at)),
            created_at: Set(at),
            updated_at: Set(at),
            recipient_key: Set(Some(case_fold(notice.to))),
            sealed_code: Set(notice.sealed_code.map(str::to_owned)),
            ..Default::default()
        };
        Entity::insert(mail).exec_without_returning(txn).await?;
        txn.touch([CacheTag::Mails]);
        Ok(())
    }

    /// Writes the mails that events ask for, each with the id of its event.
    pub async fn queue(
        txn: &Transaction,
        letterhead: &Letterhead,
        letters: Vec<(i64, Letter)>,
    ) -> Result<()> {
        for (event_id, letter) in letters {
            match letter.to {
                Addressee::Customer(id) => {
                    Self::write_to(txn, letterhead, event_id, letter, id).await?;
                }
                Addressee::Administrators => {
                    Self::write_to_administrators(txn, letterhead, event_id, letter).await?;
                }
            }
        }
        Ok(())
    }

    async fn write_to_administrators(
        txn: &Transaction,
        letterhead: &Letterhead,
        event_id: i64,
        letter: Letter,
    ) -> Result<()> {
        for id in customer_accounts::Model::customers_of_administrators(txn).await? {
            let last = Entity::find()
                .filter(Column::CustomerId.eq(id))
                .filter(Column::CreatedAt.gt(now() - FAILURES_TOLD_EVERY))
                .filter(Column::Subject.eq(letter.subject(letterhead)));
            let is_told =
                letter.template == MailTemplate::WebhookFailed && last.one(txn).await?.is_some();
            if is_told {
                continue;
            }
            Self::write_to(txn, letterhead, event_id, letter, id).await?;
        }
        Ok(())
    }

    /// Writes to the address that a customer has now; where they were erased there is nobody to write to. Their order
    /// has to be locked, or new: whoever erases them then comes before, or finds the mail.
    async fn write_to(
        txn: &Transaction,
        letterhead: &Letterhead,
        event_id: i64,
        letter: Letter,
        customer_id: i64,
    ) -> Result<()> {
        let (at, message_id) = (now(), Uuid::new_v4());
        // One statement reads the address and writes the row: it is on the way of every order.
        let mut row = Query::select();
        row.from(customers::Entity)
            .expr(Expr::val(event_id))
            .expr(Expr::val(letter.template.as_str()))
            .column(customers::Column::Email)
            .expr(Expr::val(letter.subject(letterhead)))
            .column(customers::Column::Id)
            .expr(Expr::val(format!("<{message_id}@{}>", letterhead.domain)))
            .expr(Expr::val(DeliveryStatus::Pending.as_str()))
            .expr(Expr::val(0_i64))
            .expr(Expr::val("[]"))
            .expr(Expr::val(at))
            .expr(Expr::val(at))
            .expr(Expr::val(at))
            .and_where(customers::Column::Id.eq(customer_id))
            .and_where(customers::Column::Erased.eq(false));
        let mut insert = Query::insert();
        insert.into_table(Entity).columns([
            Column::EventId,
            Column::Template,
            Column::Recipient,
            Column::Subject,
            Column::CustomerId,
            Column::MessageId,
            Column::Status,
            Column::Tries,
            Column::Attempts,
            Column::NextAttemptAt,
            Column::CreatedAt,
            Column::UpdatedAt,
        ]);
        insert.select_from(row).map_err(loco_rs::Error::wrap)?;
        txn.execute(&insert).await?;
        txn.touch([CacheTag::Mails]);
        Ok(())
    }

    /// The events that mails wait for, whose text is still to be made.
    pub(super) fn awaited_events() -> Select<Entity> {
        Entity::find()
            .select_only()
            .column(Column::EventId)
            .filter(Column::Status.eq(DeliveryStatus::Pending.as_str()))
            .filter(Column::EventId.is_not_null())
    }

    /// Whether an attempt is due.
    pub async fn is_any_due(db: &impl ConnectionTrait) -> Result<bool> {
        let due = Entity::find().filter(deliveries::is_due::<Entity>());
        let due = due.select_only().column(Column::Id).limit(1);
        Ok(due.into_tuple::<i64>().one(db).await?.is_some())
    }

    /// Takes some that are due, for an attempt each.
    pub async fn lease(txn: &Transaction, lease: &str, count: u64) -> Result<Vec<Self>> {
        deliveries::lease::<Entity>(txn, Condition::all(), lease, count).await
    }

    /// Writes down what came of attempts, and says when the next ones are due.
    pub async fn settle(txn: &Transaction, outcomes: &[Outcome]) -> Result<Vec<DateTime<Utc>>> {
        let schedule = Schedule::new(RETRY_WAITS.to_vec());
        let mut due = Vec::new();
        // Somebody may be erased meanwhile to whom several of them went.
        let mut outcomes: Vec<_> = outcomes.iter().collect();
        outcomes.sort_unstable_by_key(|outcome| outcome.mail.id);
        for outcome in outcomes {
            let Outcome {
                mail,
                lease,
                attempt,
                verdict,
            } = outcome;
            let settled =
                deliveries::settle::<Entity>(txn, mail, lease, attempt, *verdict, &schedule);
            let settled = settled.await?;
            if mail.sealed_code.is_some()
                && settled.is_some_and(|settled| settled.status != DeliveryStatus::Pending)
            {
                forget_codes(txn, Condition::all().add(Column::Id.eq(mail.id))).await?;
            }
            due.extend(settled.and_then(|settled| settled.next));
        }
        Ok(due)
    }

    /// Gives back what was leased and not sent.
    pub async fn release(txn: &Transaction, leased: &BTreeMap<i64, String>) -> Result<()> {
        deliveries::release::<Entity>(txn, leased).await
    }

    /// Deletes those that were finished more than so many days ago, some at a time, and says how many there were.
    pub async fn prune(database: &impl Database, keep_days: u32) -> Result<u64> {
        deliveries::prune::<Entity>(database, keep_days).await
    }

    /// Takes a customer out of all mails to them, and cancels those that are not sent. One that is being sent may
    /// arrive still, and is cancelled here. They and their orders have to be locked.
    pub async fn anonymize_customer(txn: &Transaction, customer: &customers::Model) -> Result<()> {
        // In the order of their ids, as those who have sent some write that down.
        let theirs = Entity::find().filter(to_customer(customer));
        let ids = theirs.select_only().column(Column::Id);
        let ids = ids.order_by_asc(Column::Id).lock_exclusive();
        ids.into_tuple::<i64>().all(txn).await?;
        Self::belong_to(txn, customer).await?;
        let theirs = Condition::all().add(Column::CustomerId.eq(customer.id));
        // Also to the addresses that they had before.
        let addresses = Entity::find()
            .select_only()
            .column(Column::RecipientKey)
            .filter(theirs.clone())
            .filter(Column::RecipientKey.is_not_null())
            .into_query();
        codes::Model::end_of_emails(txn, addresses).await?;
        deliveries::cancel::<Entity>(txn, theirs.clone()).await?;
        forget_codes(txn, theirs.clone()).await?;
        Entity::update_many()
            .col_expr(
                Column::Recipient,
                customers::erased_email(customer.id).into(),
            )
            .col_expr(Column::RecipientKey, Expr::value(None::<String>))
            .col_expr(Column::Subject, ERASED.into())
            .col_expr(Column::UpdatedAt, Expr::value(now()))
            .filter(theirs.clone())
            .exec(txn)
            .await?;
        // They are locked now: whoever has just sent one has written that down, or never will.
        let tried = Entity::find().filter(theirs);
        let tried = tried.filter(Column::Attempts.ne("[]"));
        for mail in tried.all(txn).await? {
            let mut attempts = deliveries::attempts::<Entity>(&mail);
            for error in attempts.iter_mut().filter_map(|it| it.error.as_mut()) {
                ERASED.clone_into(error);
            }
            let attempts = serde_json::to_string(&attempts).map_err(loco_rs::Error::from)?;
            Entity::update_many()
                .col_expr(Column::Attempts, attempts.into())
                .filter(Column::Id.eq(mail.id))
                .exec(txn)
                .await?;
        }
        Ok(())
    }

    /// Counts the mails that went to a customer's address before that was theirs among those to them. Asked before they
    /// have another address, or none.
    pub async fn belong_to(txn: &Transaction, customer: &customers::Model) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::CustomerId, Expr::value(customer.id))
            .filter(Column::CustomerId.is_null())
            .filter(Column::RecipientKey.eq(&customer.email_key))
            .exec(txn)
            .await?;
        Ok(())
    }
}

/// The mails to a customer, also those of the time when their address was nobody's yet.
fn to_customer(customer: &customers::Model) -> Condition {
    let before = Column::CustomerId
        .is_null()
        .and(Column::RecipientKey.eq(&customer.email_key));
    Condition::any()
        .add(Column::CustomerId.eq(customer.id))
        .add(before)
}

/// Takes the codes out of mails that are not sent any more.
async fn forget_codes(txn: &Transaction, mails: Condition) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::SealedCode, Expr::value(None::<String>))
        .filter(Column::SealedCode.is_not_null())
        .filter(mails)
        .exec(txn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_try_is_made_after_17_6_hours() {
        assert_eq!(
            RETRY_WAITS.iter().sum::<Duration>(),
            Duration::from_mins(1_056)
        );
    }
}

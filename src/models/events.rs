//! Events: what has happened to the store, to what, when and by whom. Each is written in the transaction of its
//! change: both are there, or neither is.

mod erasure;
mod feed;

use chrono::TimeDelta;
use sea_orm::{
    ActiveValue::Set, Condition, DbBackend, QueryOrder, QuerySelect, QueryTrait, Statement,
    entity::prelude::*,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use self::feed::Feed;
pub use super::_entities::events::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, CacheTag, Result, Transaction, api_keys, checkouts, customer_accounts,
    customer_addresses, customers, found,
    input::{Fields, Input},
    listing::{self, ByCursor, Page, Sort, SortKey},
    mails::{self, Letter, Letterhead},
    now, orders, products,
    statement::inserting,
    transaction::Database,
    types::{ActorKind, DeliveryStatus, EventType, EventTypes, SubjectKind, Timestamp},
    webhook_deliveries::{self, News},
    webhook_endpoints,
};
use crate::transaction;

impl ActiveModelBehavior for ActiveModel {}

/// How many are written by one statement.
const BATCH: usize = 500;

/// Something that has happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// What has happened.
    pub event_type: EventType,
    /// When.
    pub occurred_at: DateTimeWithTimeZone,
    /// To what, as it is now.
    pub subject: Subject,
}

/// What something has happened to.
#[derive(Clone, Debug)]
pub enum Subject {
    /// An order.
    Order(Box<orders::Order>),
    /// A checkout.
    Checkout(Box<checkouts::Checkout>),
    /// A product.
    Product(Box<products::Model>),
    /// A shipping rate.
    ShippingRate(Box<super::shipping_rates::Model>),
    /// A tax rate.
    TaxRate(Box<super::tax_rates::Model>),
    /// A discount.
    Discount(Box<super::discounts::Model>),
    /// A customer.
    Customer(Box<customers::Model>),
    /// A customer account.
    CustomerAccount(Box<customer_accounts::WithCustomer>),
    /// An address of a customer.
    CustomerAddress(Box<customer_addresses::Model>),
    /// A customer account that is gone.
    FormerAccount(Box<customer_accounts::Former>),
    /// A webhook endpoint.
    WebhookEndpoint(Box<webhook_endpoints::Model>),
    /// A webhook delivery.
    WebhookDelivery(Box<webhook_deliveries::Model>),
    /// An API key.
    ApiKey(Box<api_keys::Model>),
}

/// Who has made something happen, and by which request.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Who.
    pub actor: Actor,
    /// The request's id, if there was a request.
    pub request_id: Option<String>,
}

/// Which events are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Input)]
#[input(check = ids_have_kinds)]
pub struct Filter {
    /// What has happened: one type, or all of one subject, such as `order.*`.
    pub r#type: Option<EventTypes>,
    /// To a thing of that kind.
    pub subject_kind: Option<SubjectKind>,
    /// To the one with that id, of the kind that `subject_kind` says.
    pub subject_id: Option<i64>,
    /// By one of that kind.
    pub actor_kind: Option<ActorKind>,
    /// By the one with that id, of the kind that `actor_kind` says.
    pub actor_id: Option<i64>,
    /// Happened then or later (RFC 3339).
    pub occurred_from: Option<Timestamp>,
    /// Happened before then (RFC 3339).
    pub occurred_to: Option<Timestamp>,
}

fn ids_have_kinds(fields: &mut Fields<'_>) {
    for (id, kind) in [("subject_id", "subject_kind"), ("actor_id", "actor_kind")] {
        if fields.has(id) && !fields.has(kind) {
            fields.refuse(kind, "required", format!("is required with {id}"));
        }
    }
}

impl listing::Filter for Filter {
    fn condition(&self) -> Condition {
        let happened = self.r#type.map(|types| match types {
            EventTypes::One(only) => Column::Type.eq(only.as_str()),
            EventTypes::AllOf(kind) => Column::SubjectKind.eq(kind.as_str()),
        });
        let (subject, actor) = (self.subject_kind, self.actor_kind);
        Condition::all()
            .add_option(happened)
            .add_option(subject.map(|kind| Column::SubjectKind.eq(kind.as_str())))
            .add_option(self.subject_id.map(|id| Column::SubjectId.eq(id)))
            .add_option(actor.map(|kind| Column::ActorKind.eq(kind.as_str())))
            .add_option(self.actor_id.map(|id| Column::ActorId.eq(id)))
            .add_option(
                self.occurred_from
                    .map(|from| Column::OccurredAt.gte(from.0)),
            )
            .add_option(self.occurred_to.map(|to| Column::OccurredAt.lt(to.0)))
    }
}

/// What events are sorted by.
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

impl Model {
    /// The event with that id.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        found(db, Entity::find_by_id(id)).await
    }

    /// A page of events, whether or not there can be earlier ones still.
    async fn list(
        db: &impl ConnectionTrait,
        ByCursor(listing): &ByCursor<Filter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, Entity::find(), listing).await
    }

    /// Whether something has happened to one thing since then.
    pub async fn has_happened(
        db: &impl ConnectionTrait,
        what: EventType,
        subject_id: i64,
        since: DateTimeWithTimeZone,
    ) -> Result<bool> {
        let (kind, _) = what.as_str().split_once('.').unwrap_or_default();
        let last = Entity::find()
            .filter(Column::SubjectKind.eq(kind))
            .filter(Column::SubjectId.eq(subject_id))
            .filter(Column::Type.eq(what.as_str()))
            .filter(Column::OccurredAt.gte(since));
        Ok(last.one(db).await?.is_some())
    }

    /// Writes down what has happened in a transaction and is not written yet. `data` shows a subject as a GET
    /// would, were it asked now. With a letterhead, people are written to.
    pub async fn record(
        txn: &Transaction,
        cause: &Cause,
        letterhead: Option<&Letterhead>,
        data: impl Fn(EventType, Subject) -> Result<String> + Send + Sync,
    ) -> Result<()> {
        let events = txn.take_events();
        if events.is_empty() {
            return Ok(());
        }
        let are_heard = feed::enter_lane(txn).await?;
        let leaves = events.iter().any(|event| event.ends(&cause.actor));
        let actor_name = if leaves {
            Actor::ERASED
        } else {
            &cause.actor.name
        };
        let mut batch = Batch::default();
        for event in events {
            let except = match &event.subject {
                Subject::WebhookDelivery(delivery) => Some(delivery.endpoint_id),
                _ => None,
            };
            if batch.rows.len() == BATCH || except != batch.except {
                batch.write(txn, are_heard, letterhead).await?;
                batch = Batch::default();
            }
            batch.except = except;
            let letter = letterhead.and_then(|_| Letter::about(&event, cause.actor.kind));
            let at = batch.rows.len();
            batch.letters.extend(letter.map(|letter| (at, letter)));
            let Event {
                event_type,
                occurred_at,
                subject,
            } = event;
            batch.rows.push(ActiveModel {
                r#type: Set(event_type.as_str().to_owned()),
                occurred_at: Set(occurred_at),
                subject_kind: Set(subject.kind().as_str().to_owned()),
                subject_id: Set(subject.id()),
                customer_id: Set(subject.customer_id()),
                actor_kind: Set(cause.actor.kind.as_str().to_owned()),
                actor_id: Set(cause.actor.id),
                actor_name: Set(actor_name.to_owned()),
                request_id: Set(cause.request_id.clone()),
                data: Set(data(event_type, subject)?),
                ..Default::default()
            });
        }
        batch.write(txn, are_heard, letterhead).await
    }
}

/// Events that are written together, with what is sent of them.
#[derive(Default)]
struct Batch {
    rows: Vec<ActiveModel>,
    letters: Vec<(usize, Letter)>,
    /// The endpoint that is not told.
    except: Option<i64>,
}

impl Batch {
    async fn write(
        self,
        txn: &Transaction,
        are_heard: bool,
        letterhead: Option<&Letterhead>,
    ) -> Result<()> {
        let Self {
            rows,
            letters,
            except,
        } = self;
        let (backend, count) = (txn.get_database_backend(), rows.len());
        if count == 0 {
            return Ok(());
        }
        if letters.is_empty() && backend == DbBackend::Sqlite {
            let tell = News::Last(&rows).tell(backend, except);
            let rows = inserting(backend, rows);
            let told = Statement::from_string(backend, "SELECT changes() AS told");
            let told = txn.query_all_of(vec![rows, tell, told]).await?;
            let told: i64 = told.map_or(Ok(0), |row| row.try_get("", "told"))?;
            if told > 0 {
                txn.touch([CacheTag::Deliveries]);
            }
            return Ok(());
        }
        if letters.is_empty() && !are_heard {
            txn.execute_raw(inserting(backend, rows)).await?;
            return Ok(());
        }
        let ids = insert(txn, rows).await?;
        if are_heard {
            let tell = News::Ids(ids.clone()).tell(backend, except);
            if txn.execute_raw(tell).await?.rows_affected() > 0 {
                txn.touch([CacheTag::Deliveries]);
            }
        }
        let letters = letters.into_iter();
        let letters = letters.filter_map(|(at, letter)| Some((*ids.get(at)?, letter)));
        if let Some(letterhead) = letterhead {
            mails::Model::queue(txn, letterhead, letters.collect()).await?;
        }
        Ok(())
    }
}

/// Inserts events, and says which ids they were given, in their order.
async fn insert(txn: &Transaction, rows: Vec<ActiveModel>) -> Result<Vec<i64>> {
    let count = rows.len();
    let insert = inserting(txn.get_database_backend(), rows);
    let number = |id: u64| i64::try_from(id).unwrap_or(i64::MAX);
    Ok(match txn.get_database_backend() {
        // The last one's: nobody else writes, so they follow one another.
        DbBackend::Sqlite => {
            let last = number(txn.execute_raw(insert).await?.last_insert_id());
            let before = i64::try_from(count).unwrap_or_default();
            (last - before + 1..=last).collect()
        }
        // The first one's. The others have greater ids, and nothing of others lies between, but they do not follow one
        // another everywhere (auto_increment_increment).
        DbBackend::MySql => {
            let first = number(txn.execute_raw(insert).await?.last_insert_id());
            if count == 1 {
                return Ok(vec![first]);
            }
            let ids = Entity::find().select_only().column(Column::Id);
            ids.filter(Column::Id.gte(first))
                .order_by_asc(Column::Id)
                .limit(count as u64)
                .into_tuple()
                .all(txn)
                .await?
        }
        _ => {
            let mut returning = insert;
            returning.sql.push_str(" RETURNING id");
            let rows = txn.query_all_raw(returning).await?;
            let ids = rows.iter().map(|row| row.try_get("", "id"));
            let mut ids = ids.collect::<Result<Vec<i64>, _>>()?;
            ids.sort_unstable();
            ids
        }
    })
}

/// How many are deleted in one transaction: few enough that no other request waits for it.
const PRUNED_AT_ONCE: u64 = 500;

impl Model {
    /// Deletes the events of more than so many days ago, some at a time, and says how many there were; with 0 they
    /// are kept for ever. One that a mail waits for is kept, too. Several nodes may do it at once.
    pub async fn prune(database: &impl Database, keep_days: u32) -> Result<u64> {
        if keep_days == 0 {
            return Ok(0);
        }
        let expiry = now() - TimeDelta::days(keep_days.into());
        let mut pruned = 0;
        loop {
            let batch = transaction!(database, |txn| Self::prune_some(txn, expiry).await)?;
            pruned += batch;
            if batch < PRUNED_AT_ONCE {
                return Ok(pruned);
            }
        }
    }

    /// How many there were, also when another node has just deleted them.
    async fn prune_some(txn: &Transaction, expiry: DateTimeWithTimeZone) -> Result<u64> {
        let undelivered = webhook_deliveries::Entity::find()
            .select_only()
            .column(webhook_deliveries::Column::EventId)
            .filter(webhook_deliveries::Column::Status.eq(DeliveryStatus::Pending.as_str()))
            .into_query();
        // Not one statement: MySQL deletes from no table that its condition reads.
        let expired: Vec<i64> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::OccurredAt.lt(expiry))
            .filter(Column::Id.not_in_subquery(undelivered))
            .filter(Column::Id.not_in_subquery(mails::Model::awaited_events().into_query()))
            .order_by_asc(Column::OccurredAt)
            .limit(PRUNED_AT_ONCE)
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

impl Event {
    /// Has happened just now.
    pub fn new(event_type: EventType, subject: impl Into<Subject>) -> Self {
        Self {
            event_type,
            occurred_at: now(),
            subject: subject.into(),
        }
    }

    /// Whether it is the end of a customer's account, and they have done it themselves: then they are not named.
    fn ends(&self, actor: &Actor) -> bool {
        self.event_type == EventType::CustomerAccountDeleted
            && Some(self.subject.id()) == actor.account_id()
            && self.subject.customer_id().is_some()
    }

    /// What is out of date by it.
    pub(super) fn touches(&self) -> Vec<CacheTag> {
        use EventType::{
            CustomerAccountCreated, CustomerAccountLockedOut, CustomerCreated, CustomerDeleted,
            OrderPlaced, ProductCreated, ProductDeleted, ProductUpdated,
        };
        let id = self.subject.id();
        match (&self.subject, self.event_type) {
            (Subject::Order(order), happened) => {
                let mut tags = vec![
                    CacheTag::Orders,
                    CacheTag::OrdersOf(order.order.customer_id),
                ];
                tags.push(if happened == OrderPlaced {
                    CacheTag::NewOrder(id)
                } else {
                    CacheTag::Order(id)
                });
                tags
            }
            (Subject::Product(_), ProductCreated) => {
                vec![CacheTag::Products, CacheTag::Assortment]
            }
            (Subject::Product(_), happened) => {
                let mut tags = vec![CacheTag::Products, CacheTag::Product(id)];
                if matches!(happened, ProductUpdated | ProductDeleted) {
                    tags.push(CacheTag::Assortment);
                }
                if happened == ProductDeleted {
                    // Its ledger is not shown any more either.
                    tags.push(CacheTag::Stock(id));
                }
                tags
            }
            (Subject::ShippingRate(_), EventType::ShippingRateCreated) => {
                vec![CacheTag::ShippingRates]
            }
            (Subject::ShippingRate(_), _) => {
                vec![CacheTag::ShippingRates, CacheTag::ShippingRate(id)]
            }
            (Subject::TaxRate(_), EventType::TaxRateCreated) => vec![CacheTag::TaxRates],
            (Subject::TaxRate(_), _) => vec![CacheTag::TaxRates, CacheTag::TaxRate(id)],
            (Subject::Discount(_), EventType::DiscountCreated) => vec![CacheTag::Discounts],
            (Subject::Discount(_), _) => vec![CacheTag::Discounts, CacheTag::Discount(id)],
            (Subject::Customer(_), CustomerCreated) => {
                vec![CacheTag::Customers, CacheTag::Clientele]
            }
            // Accounts show their customers, orders the names of theirs.
            (Subject::Customer(_), happened) => {
                let mut tags = vec![
                    CacheTag::Customers,
                    CacheTag::Customer(id),
                    CacheTag::Accounts,
                    CacheTag::People,
                ];
                if happened == CustomerDeleted {
                    tags.extend([CacheTag::Clientele, CacheTag::Addresses(id)]);
                }
                tags
            }
            (Subject::CustomerAddress(address), _) => {
                vec![CacheTag::Addresses(address.customer_id)]
            }
            (Subject::CustomerAccount(_), CustomerAccountCreated) => {
                vec![CacheTag::Accounts, CacheTag::Membership]
            }
            (Subject::CustomerAccount(_), CustomerAccountLockedOut)
            | (
                Subject::Checkout(_) | Subject::WebhookEndpoint(_) | Subject::WebhookDelivery(_),
                _,
            ) => Vec::new(),
            (Subject::CustomerAccount(of), _) => {
                vec![CacheTag::Accounts, CacheTag::Login(of.0.pid.clone())]
            }
            (Subject::FormerAccount(former), _) => vec![
                CacheTag::Accounts,
                CacheTag::Login(former.account.pid.clone()),
                CacheTag::Membership,
            ],
            (Subject::ApiKey(key), _) => vec![CacheTag::ApiKey(key.digest.clone())],
        }
    }
}

impl Subject {
    /// What it is.
    pub const fn kind(&self) -> SubjectKind {
        match self {
            Self::Order(_) => SubjectKind::Order,
            Self::Checkout(_) => SubjectKind::Checkout,
            Self::Product(_) => SubjectKind::Product,
            Self::ShippingRate(_) => SubjectKind::ShippingRate,
            Self::TaxRate(_) => SubjectKind::TaxRate,
            Self::Discount(_) => SubjectKind::Discount,
            Self::Customer(_) => SubjectKind::Customer,
            Self::CustomerAccount(_) | Self::FormerAccount(_) => SubjectKind::CustomerAccount,
            Self::CustomerAddress(_) => SubjectKind::CustomerAddress,
            Self::WebhookEndpoint(_) => SubjectKind::WebhookEndpoint,
            Self::WebhookDelivery(_) => SubjectKind::WebhookDelivery,
            Self::ApiKey(_) => SubjectKind::ApiKey,
        }
    }

    /// Its id.
    pub const fn id(&self) -> i64 {
        match self {
            Self::Order(order) => order.order.id,
            Self::Checkout(checkout) => checkout.checkout.id,
            Self::Product(product) => product.id,
            Self::ShippingRate(shipping_rate) => shipping_rate.id,
            Self::TaxRate(tax_rate) => tax_rate.id,
            Self::Discount(discount) => discount.id,
            Self::Customer(customer) => customer.id,
            Self::CustomerAccount(account) => account.0.id,
            Self::CustomerAddress(address) => address.id,
            Self::FormerAccount(former) => former.account.id,
            Self::WebhookEndpoint(endpoint) => endpoint.id,
            Self::WebhookDelivery(delivery) => delivery.id,
            Self::ApiKey(key) => key.id,
        }
    }

    /// The customer whom it shows, if it shows one.
    const fn customer_id(&self) -> Option<i64> {
        match self {
            Self::Order(order) => Some(order.order.customer_id),
            Self::Checkout(checkout) => checkout.checkout.customer_id,
            Self::Customer(customer) => Some(customer.id),
            Self::CustomerAccount(account) => account.0.customer_id,
            Self::CustomerAddress(address) => Some(address.customer_id),
            Self::FormerAccount(former) => former.account.customer_id,
            _ => None,
        }
    }
}

impl From<&orders::Order> for Subject {
    fn from(order: &orders::Order) -> Self {
        Self::Order(Box::new(order.clone()))
    }
}

impl From<&checkouts::Checkout> for Subject {
    fn from(checkout: &checkouts::Checkout) -> Self {
        Self::Checkout(Box::new(checkout.clone()))
    }
}

impl From<&products::Model> for Subject {
    fn from(product: &products::Model) -> Self {
        Self::Product(Box::new(product.clone()))
    }
}

impl From<&super::shipping_rates::Model> for Subject {
    fn from(shipping_rate: &super::shipping_rates::Model) -> Self {
        Self::ShippingRate(Box::new(shipping_rate.clone()))
    }
}

impl From<&super::tax_rates::Model> for Subject {
    fn from(tax_rate: &super::tax_rates::Model) -> Self {
        Self::TaxRate(Box::new(tax_rate.clone()))
    }
}

impl From<&super::discounts::Model> for Subject {
    fn from(discount: &super::discounts::Model) -> Self {
        Self::Discount(Box::new(discount.clone()))
    }
}

impl From<&customers::Model> for Subject {
    fn from(customer: &customers::Model) -> Self {
        Self::Customer(Box::new(customer.clone()))
    }
}

impl From<&customer_accounts::Former> for Subject {
    fn from(former: &customer_accounts::Former) -> Self {
        Self::FormerAccount(Box::new(former.clone()))
    }
}

impl From<&customer_accounts::WithCustomer> for Subject {
    fn from(account: &customer_accounts::WithCustomer) -> Self {
        Self::CustomerAccount(Box::new(account.clone()))
    }
}

impl From<&customer_addresses::Model> for Subject {
    fn from(address: &customer_addresses::Model) -> Self {
        Self::CustomerAddress(Box::new(address.clone()))
    }
}

impl From<&webhook_endpoints::Model> for Subject {
    fn from(endpoint: &webhook_endpoints::Model) -> Self {
        Self::WebhookEndpoint(Box::new(endpoint.clone()))
    }
}

impl From<&webhook_deliveries::Model> for Subject {
    fn from(delivery: &webhook_deliveries::Model) -> Self {
        Self::WebhookDelivery(Box::new(delivery.clone()))
    }
}

impl From<&api_keys::Model> for Subject {
    fn from(key: &api_keys::Model) -> Self {
        Self::ApiKey(Box::new(key.clone()))
    }
}

impl From<Actor> for Cause {
    fn from(actor: Actor) -> Self {
        Self {
            actor,
            request_id: None,
        }
    }
}

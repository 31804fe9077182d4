//! All that is kept of a person, part by part, so that it need not be in memory at once.

use std::mem;

use sea_orm::{Condition, QueryOrder, QuerySelect, Select, entity::prelude::*};

use super::{
    Result,
    checkouts::{self, Checkout, Rules},
    customer_accounts, customer_addresses, customers, events,
    listing::{Listing, PageInfo, Paging, Position, Sort},
    mails, orders,
    orders::{Order, Scope},
    types::SubjectKind,
};

/// How many orders, events or mails are read at once.
const BATCH: u64 = 100;

/// A part of it.
#[derive(Clone, Debug)]
pub enum Part {
    /// Who they are, with their account, if they have one, and their addresses.
    Person(
        Box<customers::Model>,
        Option<Box<customer_accounts::Model>>,
        Vec<customer_addresses::Model>,
    ),
    /// Some of their orders.
    Orders(Vec<Order>),
    /// Their checkouts.
    Checkouts(Vec<Checkout>),
    /// Some of what has happened to them, their account and their orders.
    Events(Vec<events::Model>),
    /// Some of the mails to them.
    Mails(Vec<mails::Model>),
}

/// What comes next.
#[derive(Clone, Debug)]
enum Next {
    Person,
    Orders(Option<Position>),
    Checkouts,
    /// Of that kind of subject, after that event.
    Events(usize, i64),
    /// Of the orders after that one.
    OrderEvents(i64),
    Mails(i64),
    Nothing,
}

/// The kinds of subjects whose events are found by the customer whom they show.
const SUBJECTS: [SubjectKind; 3] = [
    SubjectKind::Customer,
    SubjectKind::CustomerAccount,
    SubjectKind::CustomerAddress,
];

/// What is kept of a person, from its beginning to its end.
#[derive(Clone, Debug)]
pub struct PersonalData {
    customer: customers::Model,
    account: Option<customer_accounts::Model>,
    next: Next,
}

impl PersonalData {
    /// That of the customer with that id.
    pub async fn of(db: &impl ConnectionTrait, customer_id: i64) -> Result<Self> {
        let customer = customers::Model::find(db, customer_id).await?;
        let account = customer_accounts::Entity::find();
        let account = account.filter(customer_accounts::Column::CustomerId.eq(customer_id));
        Ok(Self {
            account: account.one(db).await?,
            customer,
            next: Next::Person,
        })
    }

    /// Their account.
    pub fn account_id(&self) -> Option<i64> {
        self.account.as_ref().map(|account| account.id)
    }

    /// Reads the next part, until there is none.
    pub async fn read(
        &mut self,
        db: &impl ConnectionTrait,
        rules: &Rules<'_>,
    ) -> Result<Option<Part>> {
        let id = self.customer.id;
        Ok(Some(match mem::replace(&mut self.next, Next::Nothing) {
            Next::Person => {
                self.next = Next::Orders(None);
                Part::Person(
                    Box::new(self.customer.clone()),
                    self.account.clone().map(Box::new),
                    customer_addresses::Model::of_customer(db, id).await?,
                )
            }
            Next::Orders(after) => {
                let mut listing =
                    Listing::new(orders::Filter::default(), Sort::ascending(orders::Key::Id));
                listing.paging = Paging::After(after);
                listing.page_size = BATCH;
                let page = orders::Model::list_for(db, Scope::Customer(id), &listing).await?;
                self.next = match page.info {
                    PageInfo::Cursor { next: Some(next) } => Next::Orders(Some(next)),
                    _ => Next::Checkouts,
                };
                Part::Orders(page.items)
            }
            Next::Checkouts => {
                self.next = Next::Events(0, 0);
                Part::Checkouts(checkouts::Model::of_customer(db, &self.customer, rules).await?)
            }
            Next::Events(at, after) => {
                let Some(kind) = SUBJECTS.get(at) else {
                    self.next = Next::OrderEvents(0);
                    return Ok(Some(Part::Events(Vec::new())));
                };
                let theirs = if *kind == SubjectKind::Customer {
                    events::Column::SubjectId.eq(id)
                } else {
                    events::Column::CustomerId.eq(id)
                };
                let events = about(*kind).filter(theirs);
                let events = events.filter(events::Column::Id.gt(after)).limit(BATCH);
                let events = events.all(db).await?;
                self.next = match events.last() {
                    Some(last) => Next::Events(at, last.id),
                    None => Next::Events(at + 1, 0),
                };
                Part::Events(events)
            }
            Next::OrderEvents(after) => {
                let orders: Vec<i64> = orders::Entity::find()
                    .select_only()
                    .column(orders::Column::Id)
                    .filter(orders::Column::CustomerId.eq(id))
                    .filter(orders::Column::Id.gt(after))
                    .order_by_asc(orders::Column::Id)
                    .limit(BATCH)
                    .into_tuple()
                    .all(db)
                    .await?;
                self.next = orders
                    .last()
                    .map_or(Next::Mails(0), |last| Next::OrderEvents(*last));
                // Each order has a handful.
                let events = about(SubjectKind::Order);
                let events = events.filter(events::Column::SubjectId.is_in(orders));
                Part::Events(events.all(db).await?)
            }
            Next::Mails(after) => {
                let mails = mails::Model::of_customer(db, &self.customer, after, BATCH).await?;
                if let Some(last) = mails.last() {
                    self.next = Next::Mails(last.id);
                }
                Part::Mails(mails)
            }
            Next::Nothing => return Ok(None),
        }))
    }
}

fn about(kind: SubjectKind) -> Select<events::Entity> {
    let events = events::Entity::find().order_by_asc(events::Column::Id);
    events.filter(Condition::all().add(events::Column::SubjectKind.eq(kind.as_str())))
}

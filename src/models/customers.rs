//! Customers: the people who order.

use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, DbBackend, IntoActiveModel, PaginatorTrait,
    QuerySelect, Select, TryIntoModel, entity::prelude::*,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::customers::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, CacheTag, Error, Result, Transaction, api_keys, checkouts, codes, customer_accounts,
    customer_addresses,
    error::{FieldError, taken},
    events, found, idempotency_keys,
    input::Input,
    listing::{self, Listing, Page, Sort, SortKey},
    mails, now, order_events, orders,
    statement::statement,
    stock_movements,
    types::{
        ActorKind, CustomerName, Email, EventType, Phone, Search, case_fold, search_text, sort_fold,
    },
    update,
};

impl ActiveModelBehavior for ActiveModel {}

/// What a customer is created from, or replaced with.
#[derive(Clone, Debug, Input)]
#[input(schema = CustomerBody, patch = Changes as CustomerPatch)]
pub struct Details {
    /// The full name.
    pub name: CustomerName,
    /// The email address, which no other customer has, whatever the case of its letters.
    pub email: Email,
    /// The telephone number: 5 to 20 digits, which may begin with + and contain blanks and ().-
    pub phone: Option<Phone>,
}

/// Which customers are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Input)]
pub struct Filter {
    /// Text anywhere in name, email or phone, without regard to case and accents.
    pub q: Option<Search>,
}

impl listing::Filter for Filter {
    fn condition(&self) -> Condition {
        let found = listing::contains(Column::SearchText, self.q.as_ref());
        Condition::all().add_option(found)
    }

    fn search(&self) -> Option<&str> {
        self.q.as_ref().map(Search::as_str)
    }

    fn counted_by(&self) -> Option<CacheTag> {
        self.q.is_none().then_some(CacheTag::Clientele)
    }
}

/// What customers are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
    /// The name, without regard to case and accents.
    Name,
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
            Self::Name => Some(Column::NameKey),
            Self::CreatedAt => Some(Column::CreatedAt),
        }
    }
}

/// The customers, without those who were erased.
fn active() -> Select<Entity> {
    Entity::find().filter(Column::Erased.eq(false))
}

impl Model {
    /// The customer with that id.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        found(db, active().filter(Column::Id.eq(id))).await
    }

    /// The customer with that id, locked until the transaction ends.
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<Self> {
        found(txn, active().filter(Column::Id.eq(id)).lock_exclusive()).await
    }

    /// The same, for somebody who is going to change or delete them.
    ///
    /// # Errors
    /// [`Error::OutOfReach`] when they are an administrator, and somebody has come with a key.
    pub async fn find_locked_for(txn: &Transaction, id: i64, actor: &Actor) -> Result<Self> {
        let customer = Self::find_locked(txn, id).await?;
        // Asked of keys alone, so that the account of nobody else is locked.
        if actor.kind == ActorKind::ApiKey
            && let Some(account) = customer_accounts::Model::find_of_customer(txn, id).await?
        {
            account.assert_within_reach_of(actor)?;
        }
        Ok(customer)
    }

    /// The name and the email of the customer with that id, who is locked until the transaction ends.
    pub async fn contact_locked(txn: &Transaction, id: i64) -> Result<(String, String)> {
        let backend = txn.get_database_backend();
        let lock = match backend {
            DbBackend::Sqlite => "",
            _ => " FOR UPDATE",
        };
        let contact =
            format!("SELECT name, email FROM customers WHERE id = ? AND NOT erased{lock}");
        let contact = txn
            .query_one_raw(statement(backend, &contact, [id.into()]))
            .await?;
        let contact = contact.ok_or(Error::NotFound)?;
        Ok((contact.try_get_by_index(0)?, contact.try_get_by_index(1)?))
    }

    /// The customer who has that address, folded as it is, locked until the transaction ends.
    pub async fn find_by_email_locked(txn: &Transaction, email_key: &str) -> Result<Option<Self>> {
        let customer = active().filter(Column::EmailKey.eq(email_key));
        Ok(customer.lock_exclusive().one(txn).await?)
    }

    /// A page of customers.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, active(), listing).await
    }

    /// How many customers a list has.
    pub async fn count(db: &impl ConnectionTrait, filter: &Filter) -> Result<u64> {
        listing::count(db, active(), filter).await
    }

    /// Adds a customer.
    ///
    /// # Errors
    /// [`Error::NotUnique`] for the email.
    pub async fn create(txn: &Transaction, details: &Details) -> Result<Self> {
        let customer = ActiveModel::new_customer(details).insert(txn).await;
        let customer = customer.map_err(email_taken())?;
        txn.happened(EventType::CustomerCreated, &customer);
        Ok(customer)
    }

    /// Changes some of the customer, who has to be locked. Where nothing differs they stay as they are. Another email ends
    /// every code of their account: those were sent to the one before, or asked for by who had it.
    ///
    /// # Errors
    /// [`Error::NotUnique`] for the email.
    pub async fn change(self, txn: &Transaction, changes: &Changes) -> Result<Self> {
        let customer = self.clone().into_active_model().assign(changes);
        let unchanged = Self {
            updated_at: *customer.updated_at.as_ref(),
            ..self.clone()
        };
        if customer.clone().try_into_model()? == unchanged {
            return Ok(self);
        }
        let moves = customer.email.as_ref() != &self.email;
        if moves {
            codes::Model::end_of_customer(txn, self.id).await?;
            mails::Model::belong_to(txn, &self).await?;
        }
        let customer = update(txn, customer).await.map_err(email_taken())?;
        txn.happened(EventType::CustomerUpdated, &customer);
        Ok(customer)
    }

    /// Deletes the customer, their account and their addresses. Where there are orders the customer is erased instead:
    /// the personal data goes, the orders and their totals stay. The customer has to be locked.
    ///
    /// # Errors
    /// [`Error::LastAdministrator`] when the account is that.
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        let id = self.id;
        codes::Model::end_of_email(txn, &self.email_key).await?;
        if let Some(account) = customer_accounts::Model::find_of_customer(txn, id).await? {
            let account_id = account.id;
            account.delete(txn).await?;
            order_events::Model::anonymize_actor(txn, account_id, Actor::ERASED).await?;
            events::Model::anonymize_actor(txn, account_id, Actor::ERASED).await?;
            stock_movements::Model::anonymize_actor(txn, account_id, Actor::ERASED).await?;
            api_keys::Model::anonymize_creator(txn, account_id, Actor::ERASED).await?;
        }
        customer_addresses::Model::delete_of_customer(txn, id).await?;
        checkouts::Model::forget_customer(txn, &self).await?;
        txn.happened(EventType::CustomerDeleted, &self);
        let has_orders = orders::Entity::find()
            .filter(orders::Column::CustomerId.eq(id))
            .count(txn)
            .await?
            > 0;
        if has_orders {
            orders::Model::anonymize_customer(txn, id).await?;
            update(txn, self.clone().into_active_model().erase()).await?;
        } else {
            Entity::delete_by_id(id).exec(txn).await?;
        }
        events::Model::anonymize_customer(txn, id).await?;
        mails::Model::anonymize_customer(txn, &self).await?;
        idempotency_keys::Model::delete_of_customer(txn, id).await
    }
}

impl ActiveModel {
    fn new_customer(details: &Details) -> Self {
        let customer = Self {
            phone: Set(None),
            erased: Set(false),
            ..Default::default()
        };
        let customer = customer.assign(&details.clone().into());
        Self {
            created_at: customer.updated_at.clone(),
            ..customer
        }
    }

    /// Sets what is to change, with the folded forms by which lists are sorted and searched.
    fn assign(mut self, changes: &Changes) -> Self {
        if let Some(name) = &changes.name {
            self.name = Set(name.clone().into());
        }
        if let Some(email) = &changes.email {
            self.email = Set(email.clone().into());
        }
        if let Some(phone) = &changes.phone {
            self.phone = Set(phone.clone().map(String::from));
        }
        let (name, email) = (self.name.as_ref(), self.email.as_ref());
        let phone = self.phone.as_ref().as_deref().unwrap_or_default();
        let search_text = search_text(&[name, email, phone]);
        (self.name_key, self.email_key) = (Set(sort_fold(name, 360)), Set(case_fold(email)));
        self.search_text = Set(search_text);
        self.updated_at = Set(now());
        self
    }

    /// Overwrites the personal data.
    fn erase(self) -> Self {
        let email = erased_email(*self.id.as_ref());
        Self {
            name: Set(Actor::ERASED.to_owned()),
            name_key: Set(String::new()),
            email: Set(email.clone()),
            email_key: Set(email),
            phone: Set(None),
            search_text: Set(String::new()),
            erased: Set(true),
            updated_at: Set(now()),
            ..self
        }
    }
}

/// What the email of an erased customer is: it stays unique, and can be no one's address (RFC 2606).
pub(super) fn erased_email(id: i64) -> String {
    format!("erased-{id}@erased.invalid")
}

/// A customer who is not found where an input names one.
pub(super) fn unknown(error: Error) -> Error {
    match error {
        Error::NotFound => {
            FieldError::at("/customer_id", "reference", "must be an existing customer").into()
        }
        error => error,
    }
}

fn email_taken() -> impl Fn(DbErr) -> Error {
    let message = "belongs to another customer";
    taken("uq_customers_email_key", "/email", message)
}

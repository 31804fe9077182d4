//! Customers: the people who order.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, ExprTrait, IntoActiveModel, PaginatorTrait, QuerySelect,
    Select, entity::prelude::*, sea_query::Expr,
};

pub use super::_entities::customers::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, Error, Result, Topic, Transaction, customer_accounts,
    error::taken,
    idempotency_keys,
    listing::{self, Listing, Mark, Page, Position, SortKey},
    now, order_events, orders, stock_movements,
    types::{CustomerName, Email, Phone, fold},
};

impl ActiveModelBehavior for ActiveModel {}

/// What is known of a customer.
#[derive(Clone, Debug)]
pub struct Details {
    /// The full name.
    pub name: CustomerName,
    /// Unique among customers, without regard to case.
    pub email: Email,
    /// How to call them.
    pub phone: Option<Phone>,
}

/// What is to change of a customer: what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The full name.
    pub name: Option<CustomerName>,
    /// The email address.
    pub email: Option<Email>,
    /// The telephone number, or that there is none.
    pub phone: Option<Option<Phone>>,
}

/// Which customers are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Text that stands anywhere in name, email or phone.
    pub q: Option<String>,
}

/// What customers are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The id.
    Id,
    /// The name, without regard to case.
    Name,
    /// When they were added.
    CreatedAt,
}

impl SortKey<Entity> for Key {
    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::Name => Some(Column::NameKey),
            Self::CreatedAt => Some(Column::CreatedAt),
        }
    }

    fn id() -> Column {
        Column::Id
    }

    fn position(self, row: &Model) -> Position {
        let mark = match self {
            Self::Id => Mark::Id,
            Self::Name => Mark::Text(row.name_key.clone()),
            Self::CreatedAt => Mark::Time(row.created_at),
        };
        Position { mark, id: row.id }
    }
}

/// The customers that there are: an erased one is not there any more.
fn present() -> Select<Entity> {
    Entity::find().filter(Column::Erased.eq(false))
}

impl Model {
    /// The customer with that id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        present()
            .filter(Column::Id.eq(id))
            .one(db)
            .await?
            .ok_or(Error::NotFound)
    }

    /// The customer with that id, locked until the transaction ends.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<Self> {
        present()
            .filter(Column::Id.eq(id))
            .lock_exclusive()
            .one(txn)
            .await?
            .ok_or(Error::NotFound)
    }

    /// A page of customers.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<Self>> {
        let mut select = present();
        if let Some(q) = &listing.filter.q {
            select =
                select.filter(Expr::col(Column::SearchText).like(listing::containing(&fold(q))));
        }
        Ok(listing::fetch(db, select, listing).await?)
    }

    /// The names of those customers, erased ones too.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn names(
        db: &impl ConnectionTrait,
        ids: impl IntoIterator<Item = i64>,
    ) -> Result<HashMap<i64, String>> {
        let ids: BTreeSet<_> = ids.into_iter().collect();
        let names = Entity::find()
            .select_only()
            .columns([Column::Id, Column::Name])
            .filter(Column::Id.is_in(ids))
            .into_tuple::<(i64, String)>()
            .all(db)
            .await?;
        Ok(names.into_iter().collect())
    }

    /// Adds a customer.
    ///
    /// # Errors
    /// [`Error::Taken`] for the email.
    pub async fn create(txn: &Transaction, details: &Details) -> Result<Self> {
        let mut customer = ActiveModel {
            erased: Set(false),
            ..Default::default()
        };
        customer.describe(
            details.name.as_str(),
            details.email.as_str(),
            details.phone.as_ref().map(Phone::as_str),
        );
        customer.created_at = customer.updated_at.clone();
        txn.touch([Topic::Customers]);
        customer.insert(txn).await.map_err(email_taken())
    }

    /// Replaces what is known of the customer.
    ///
    /// # Errors
    /// [`Error::Taken`] for the email.
    pub async fn replace(self, txn: &Transaction, details: &Details) -> Result<Self> {
        self.touch(txn);
        let mut customer = self.into_active_model();
        customer.describe(
            details.name.as_str(),
            details.email.as_str(),
            details.phone.as_ref().map(Phone::as_str),
        );
        customer.update(txn).await.map_err(email_taken())
    }

    /// Changes some of what is known of the customer, who has to be locked.
    ///
    /// # Errors
    /// [`Error::Taken`] for the email.
    pub async fn change(self, txn: &Transaction, changes: &Changes) -> Result<Self> {
        self.touch(txn);
        let Self {
            name, email, phone, ..
        } = self.clone();
        let mut customer = self.into_active_model();
        customer.describe(
            changes.name.as_ref().map_or(&name, CustomerName::as_str),
            changes.email.as_ref().map_or(&email, Email::as_str),
            changes
                .phone
                .as_ref()
                .map_or(phone.as_deref(), |phone| phone.as_ref().map(Phone::as_str)),
        );
        customer.update(txn).await.map_err(email_taken())
    }

    /// Deletes the customer and their account. Where there are orders the customer is erased instead:
    /// the personal data goes, the orders and their totals stay. The customer has to be locked.
    ///
    /// # Errors
    /// [`Error::LastAdministrator`] when the account is that.
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        self.touch(txn);
        let id = self.id;
        if let Some(account) = customer_accounts::Model::find_of_customer(txn, id).await? {
            let account_id = account.id;
            account.delete(txn).await?;
            order_events::Model::forget_actor(txn, account_id, Actor::ERASED).await?;
            stock_movements::Model::forget_actor(txn, account_id, Actor::ERASED).await?;
        }
        let has_orders = orders::Entity::find()
            .filter(orders::Column::CustomerId.eq(id))
            .count(txn)
            .await?
            > 0;
        if has_orders {
            orders::Model::forget_customer(txn, id).await?;
            self.into_active_model().erase().update(txn).await?;
        } else {
            Entity::delete_by_id(id).exec(txn).await?;
        }
        idempotency_keys::Model::forget_customer(txn, id).await
    }

    /// Accounts show their customers, orders the names of theirs.
    fn touch(&self, txn: &Transaction) {
        txn.touch([
            Topic::Customers,
            Topic::Customer(self.id),
            Topic::Accounts,
            Topic::People,
        ]);
    }
}

impl ActiveModel {
    fn describe(&mut self, name: &str, email: &str, phone: Option<&str>) {
        self.name = Set(name.to_owned());
        self.name_key = Set(fold(name));
        self.email = Set(email.to_owned());
        self.email_key = Set(fold(email));
        self.phone = Set(phone.map(str::to_owned));
        self.search_text = Set(fold(
            &[name, email, phone.unwrap_or_default()].join("\u{1f}"),
        ));
        self.updated_at = Set(now());
    }

    /// Overwrites the personal data. The email stays unique, and can belong to nobody (RFC 2606).
    fn erase(mut self) -> Self {
        let nobody = format!("erased-{}@erased.invalid", self.id.as_ref());
        self.name = Set(Actor::ERASED.to_owned());
        self.name_key = Set(String::new());
        self.email = Set(nobody.clone());
        self.email_key = Set(nobody);
        self.phone = Set(None);
        self.search_text = Set(String::new());
        self.erased = Set(true);
        self.updated_at = Set(now());
        self
    }
}

fn email_taken() -> impl Fn(DbErr) -> Error {
    taken(
        "uq_customers_email_key",
        "/email",
        "belongs to another customer",
    )
}

//! The addresses of customers. One of them is the default, as long as there are any.
//!
//! Whoever writes one has locked the customer: the addresses of one customer are written one after the other.

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, IntoActiveModel, QueryOrder, Select, TryIntoModel,
    entity::prelude::*,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::customer_addresses::{ActiveModel, Column, Entity, Model};
use super::{
    Error, Result, Transaction, customers, found,
    input::Input,
    listing::{self, Listing, NoFilter, Page, Sort, SortKey},
    types::{Address, AddressChanges, CheckoutAddress, EventType, ShippingAddress},
    update,
};

impl ActiveModelBehavior for ActiveModel {}

/// How many addresses a customer may have.
const MOST: usize = 20;

/// What an address is created from, or replaced with.
#[derive(Clone, Debug, Input)]
#[input(schema = CustomerAddressBody)]
pub struct Details {
    /// The address itself.
    #[input(flatten)]
    pub address: Address,
    /// Whether it becomes the default. The first one always does. `false` changes nothing: another one takes its place.
    #[input(change)]
    pub default: Option<bool>,
}

/// What is to change. A field that is missing stays as it is.
#[derive(Clone, Debug, Default, Input)]
#[input(schema = CustomerAddressPatch)]
pub struct Changes {
    /// The address itself.
    #[input(flatten)]
    pub address: AddressChanges,
    /// Whether it becomes the default. `false` changes nothing: another one takes its place.
    #[input(change)]
    pub default: Option<bool>,
}

impl From<Details> for Changes {
    fn from(whole: Details) -> Self {
        Self {
            address: whole.address.into(),
            default: whole.default,
        }
    }
}

/// What addresses are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::ascending(Self::Id);

    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
        }
    }
}

/// The addresses of one customer.
fn of(customer_id: i64) -> Select<Entity> {
    Entity::find().filter(Column::CustomerId.eq(customer_id))
}

impl Model {
    /// The customer's address with that id. One of another customer is not found.
    pub async fn find(db: &impl ConnectionTrait, customer_id: i64, id: i64) -> Result<Self> {
        found(db, of(customer_id).filter(Column::Id.eq(id))).await
    }

    /// Every address of a customer, the oldest first.
    pub async fn of_customer(db: &impl ConnectionTrait, customer_id: i64) -> Result<Vec<Self>> {
        Ok(of(customer_id).order_by_asc(Column::Id).all(db).await?)
    }

    /// A page of a customer's addresses.
    pub async fn list(
        db: &impl ConnectionTrait,
        customer_id: i64,
        listing: &Listing<NoFilter, Key>,
    ) -> Result<Page<Self>> {
        customers::Model::find(db, customer_id).await?;
        listing::fetch(db, of(customer_id), listing).await
    }

    /// How many addresses a customer has.
    pub async fn count(db: &impl ConnectionTrait, customer_id: i64) -> Result<u64> {
        listing::count(db, of(customer_id), &NoFilter {}).await
    }

    /// Whether it is the customer's default.
    pub const fn is_default(&self) -> bool {
        self.default_of.is_some()
    }

    /// Adds an address. The first one is the default.
    ///
    /// # Errors
    /// [`Error::LimitReached`].
    pub async fn create(txn: &Transaction, customer_id: i64, details: &Details) -> Result<Self> {
        customers::Model::find_locked(txn, customer_id).await?;
        let others = Self::of_customer(txn, customer_id).await?;
        if others.len() >= MOST {
            return Err(Error::LimitReached(
                "the customer has 20 addresses already, which is the most",
            ));
        }
        let is_default = others.is_empty() || details.default == Some(true);
        if is_default {
            take_default_from(txn, others).await?;
        }
        let address = ActiveModel {
            customer_id: Set(customer_id),
            default_of: Set(is_default.then_some(customer_id)),
            ..Default::default()
        };
        let address = address.assign(&details.address.clone().into());
        let address = address.insert(txn).await?;
        txn.happened(EventType::CustomerAddressCreated, &address);
        Ok(address)
    }

    /// Changes some of the address, whose customer has to be locked. Where nothing differs it stays as it is.
    pub async fn change(self, txn: &Transaction, changes: &Changes) -> Result<Self> {
        let mut changed = self.clone().into_active_model().assign(&changes.address);
        if changes.default == Some(true) {
            changed.default_of = Set(Some(self.customer_id));
        }
        let address = changed.clone().try_into_model()?;
        if address == self {
            return Ok(self);
        }
        if address.is_default() && !self.is_default() {
            let others = Self::of_customer(txn, self.customer_id).await?;
            take_default_from(txn, others).await?;
        }
        let address = update(txn, changed).await?;
        txn.happened(EventType::CustomerAddressUpdated, &address);
        Ok(address)
    }

    /// Deletes the address, whose customer has to be locked. After the default the oldest one left is that.
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        Entity::delete_by_id(self.id).exec(txn).await?;
        txn.happened(EventType::CustomerAddressDeleted, &self);
        if self.is_default() {
            let left = Self::of_customer(txn, self.customer_id).await?;
            if let Some(oldest) = left.into_iter().next() {
                oldest.set_default(txn, true).await?;
            }
        }
        Ok(())
    }

    /// Deletes every address of a customer, who has to be locked.
    pub async fn delete_of_customer(txn: &Transaction, customer_id: i64) -> Result<()> {
        for address in Self::of_customer(txn, customer_id).await? {
            txn.happened(EventType::CustomerAddressDeleted, &address);
        }
        Entity::delete_many()
            .filter(Column::CustomerId.eq(customer_id))
            .exec(txn)
            .await?;
        Ok(())
    }

    async fn set_default(self, txn: &Transaction, is_default: bool) -> Result<()> {
        let default_of = is_default.then_some(self.customer_id);
        let mut address = self.into_active_model();
        address.default_of = Set(default_of);
        let address: Self = update(txn, address).await?;
        txn.happened(EventType::CustomerAddressUpdated, &address);
        Ok(())
    }
}

/// The one that is the default is not any more. First of all: the index refuses two.
async fn take_default_from(txn: &Transaction, addresses: Vec<Model>) -> Result<()> {
    match addresses.into_iter().find(Model::is_default) {
        Some(default) => default.set_default(txn, false).await,
        None => Ok(()),
    }
}

impl ActiveModel {
    fn assign(mut self, changes: &AddressChanges) -> Self {
        if let Some(name) = &changes.name {
            self.name = Set(name.clone().into());
        }
        if let Some(company) = &changes.company {
            self.company = Set(company.clone().map(String::from));
        }
        if let Some(line1) = &changes.line1 {
            self.line1 = Set(line1.clone().into());
        }
        if let Some(line2) = &changes.line2 {
            self.line2 = Set(line2.clone().map(String::from));
        }
        if let Some(city) = &changes.city {
            self.city = Set(city.clone().into());
        }
        if let Some(region) = &changes.region {
            self.region = Set(region.clone().map(String::from));
        }
        if let Some(postal_code) = &changes.postal_code {
            self.postal_code = Set(postal_code.clone().map(String::from));
        }
        if let Some(country) = &changes.country {
            self.country = Set(country.clone().into());
        }
        if let Some(phone) = &changes.phone {
            self.phone = Set(phone.clone().map(String::from));
        }
        self
    }
}

impl From<Model> for ShippingAddress {
    fn from(address: Model) -> Self {
        Self {
            name: Some(address.name),
            company: address.company,
            line1: address.line1,
            line2: address.line2,
            city: Some(address.city),
            region: address.region,
            postal_code: address.postal_code,
            country: Some(address.country),
            phone: address.phone,
        }
    }
}

impl From<Model> for CheckoutAddress {
    fn from(address: Model) -> Self {
        Self {
            name: Some(address.name),
            company: address.company,
            line1: Some(address.line1),
            line2: address.line2,
            city: Some(address.city),
            region: address.region,
            postal_code: address.postal_code,
            country: address.country,
            phone: address.phone,
        }
    }
}

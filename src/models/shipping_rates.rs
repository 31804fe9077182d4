//! Shipping rates: what it costs to send an order, and where to.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, IntoActiveModel, QueryOrder, QuerySelect, TryIntoModel,
    entity::prelude::*,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::shipping_rates::{ActiveModel, Column, Entity, Model};
use super::{
    Error, Result, Transaction,
    error::FieldError,
    found,
    imported::{Became, Imported, missing},
    input::Input,
    listing::{self, Listing, NoFilter, Page, Sort, SortKey},
    now, tax_rates,
    types::{Destination, EventType, Money, Position, RateName, TaxClass},
    update,
};

impl ActiveModelBehavior for ActiveModel {}

/// What a shipping rate is created from, or replaced with.
#[derive(Clone, Debug, Input)]
#[input(schema = ShippingRateBody, patch = Changes as ShippingRatePatch)]
pub struct Details {
    /// The name, as customers read it.
    pub name: RateName,
    /// Where it is sent to: codes of countries, each once, or `*` for every country.
    #[input(values = 1..=251)]
    pub countries: Vec<Destination>,
    /// What it costs: a decimal with at most two places, as a string or a number.
    pub price: Money,
    /// The discounted subtotal from which on it costs nothing.
    pub free_from: Option<Money>,
    /// The class that it is taxed by: `standard`, `zero`, or that of a tax rate. Without one it is `standard`.
    pub tax_class: Option<TaxClass>,
    /// At which place it is offered, the lowest first. A new rate's is 0 where it is missing.
    #[input(change)]
    pub position: Option<Position>,
}

/// What shipping rates are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
    /// The place at which they are offered.
    Position,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::ascending(Self::Id);

    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::Position => Some(Column::Position),
        }
    }
}

impl Model {
    /// The shipping rate with that id.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        found(db, Entity::find_by_id(id)).await
    }

    /// The shipping rate with that id, locked until the transaction ends.
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<Self> {
        found(txn, Entity::find_by_id(id).lock_exclusive()).await
    }

    /// A page of shipping rates.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<NoFilter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, Entity::find(), listing).await
    }

    /// How many shipping rates a list has.
    pub async fn count(db: &impl ConnectionTrait, filter: &NoFilter) -> Result<u64> {
        listing::count(db, Entity::find(), filter).await
    }

    /// Where it is sent to: codes of countries, or `*`.
    pub fn destinations(&self) -> Vec<String> {
        serde_json::from_str(&self.countries).unwrap_or_default()
    }

    /// Adds a shipping rate.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a country that is named twice, and a tax class without a rate.
    pub async fn create(txn: &Transaction, details: &Details) -> Result<Self> {
        let class = details.tax_class.as_ref();
        Self::check(txn, Some(&details.countries), class).await?;
        let shipping_rate = ActiveModel::new_shipping_rate(details).insert(txn).await;
        let shipping_rate = shipping_rate?;
        txn.happened(EventType::ShippingRateCreated, &shipping_rate);
        Ok(shipping_rate)
    }

    /// Changes some of the shipping rate, which has to be locked. Where nothing differs it stays as it is.
    ///
    /// # Errors
    /// Those of [`create`](Self::create).
    pub async fn change(self, txn: &Transaction, changes: &Changes) -> Result<Self> {
        let class = changes.tax_class.as_ref().and_then(Option::as_ref);
        Self::check(txn, changes.countries.as_deref(), class).await?;
        let shipping_rate = self.clone().into_active_model().assign(changes);
        let unchanged = Self {
            updated_at: *shipping_rate.updated_at.as_ref(),
            ..self.clone()
        };
        if shipping_rate.clone().try_into_model()? == unchanged {
            return Ok(self);
        }
        let shipping_rate = update::<Self, _>(txn, shipping_rate).await?;
        txn.happened(EventType::ShippingRateUpdated, &shipping_rate);
        Ok(shipping_rate)
    }

    /// Deletes the shipping rate, which has to be locked.
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        txn.happened(EventType::ShippingRateDeleted, &self);
        Entity::delete_by_id(self.id).exec(txn).await?;
        Ok(())
    }

    /// Adds the shipping rates that are not known, and changes the others. One is known by its name; what a row says
    /// nothing of stays.
    pub async fn import(txn: &Transaction, rows: &[Changes]) -> Result<Imported> {
        let (mut imported, mut seen) = (Imported::default(), BTreeSet::new());
        for (at, row) in rows.iter().enumerate() {
            let outcome = Self::import_row(txn, row, &mut seen).await;
            imported.note(at, outcome)?;
        }
        Ok(imported)
    }

    async fn import_row<'a>(
        txn: &Transaction,
        row: &'a Changes,
        seen: &mut BTreeSet<&'a str>,
    ) -> Result<Became> {
        let refused = |code, message| Err(FieldError::at("/name", code, message).into());
        let Some(name) = row.name.as_ref().map(RateName::as_str) else {
            let why = "is required: it says which shipping rate the row is";
            return refused("required", why);
        };
        if !seen.insert(name) {
            return refused("duplicate", "stands in an earlier row already");
        }
        let known = Entity::find().filter(Column::Name.eq(name));
        let known = known.order_by_asc(Column::Id).lock_exclusive();
        match known.all(txn).await?.as_slice() {
            [] => {
                let details = Details::try_from(row.clone());
                let details =
                    details.map_err(|names| Error::Invalid(missing("shipping rate", names)))?;
                Self::create(txn, &details).await?;
                Ok(Became::Added)
            }
            [known] => {
                let after = known.clone().change(txn, row).await?;
                Ok(Became::of(known, &after))
            }
            _ => refused("duplicate", "is that of several shipping rates"),
        }
    }

    /// Whether one is taxed by that class.
    pub async fn have_class(txn: &Transaction, class: &str) -> Result<bool> {
        let one = Entity::find()
            .filter(Column::TaxClass.eq(class))
            .lock_shared();
        Ok(one.one(txn).await?.is_some())
    }

    async fn check(
        txn: &Transaction,
        countries: Option<&[Destination]>,
        class: Option<&TaxClass>,
    ) -> Result<()> {
        let mut broken = Vec::new();
        let countries = countries.unwrap_or_default();
        for (at, country) in countries.iter().enumerate() {
            if countries[..at].contains(country) {
                let pointer = format!("/countries/{at}");
                broken.push(FieldError::at(pointer, "duplicate", "is named twice"));
            }
        }
        if let Some(class) = class {
            broken.extend(tax_rates::Model::refusal_of_class(txn, class.as_str()).await?);
        }
        if broken.is_empty() {
            return Ok(());
        }
        Err(Error::Invalid(broken))
    }
}

impl ActiveModel {
    fn new_shipping_rate(details: &Details) -> Self {
        let new = Self {
            position: Set(0),
            ..Default::default()
        };
        let mut shipping_rate = new.assign(&details.clone().into());
        shipping_rate.created_at = shipping_rate.updated_at.clone();
        shipping_rate
    }

    /// Sets what is to change.
    fn assign(mut self, changes: &Changes) -> Self {
        if let Some(name) = &changes.name {
            self.name = Set(name.clone().into());
        }
        if let Some(countries) = &changes.countries {
            let countries: Vec<_> = countries.iter().map(Destination::as_str).collect();
            self.countries = Set(serde_json::json!(countries).to_string());
        }
        if let Some(price) = changes.price {
            self.price_minor = Set(price.minor());
        }
        if let Some(free_from) = changes.free_from {
            self.free_from_minor = Set(free_from.map(Money::minor));
        }
        if let Some(tax_class) = &changes.tax_class {
            self.tax_class = Set(tax_rates::class_or_standard(tax_class.as_ref()).to_owned());
        }
        if let Some(position) = changes.position {
            self.position = Set(position.get());
        }
        self.updated_at = Set(now());
        self
    }
}

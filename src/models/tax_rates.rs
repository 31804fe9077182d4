//! Tax rates: how many percent of tax what is sold bears, by its class and where it is sent.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, IntoActiveModel, QueryOrder, QuerySelect,
    TryIntoModel, entity::prelude::*, sea_query::LockType,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::tax_rates::{ActiveModel, Column, Entity, Model};
use super::{
    Error, Result, Transaction,
    error::{FieldError, taken},
    found,
    imported::{Became, Imported, missing},
    input::Input,
    listing::{self, Listing, Page, Sort, SortKey},
    now, products, shipping_rates,
    types::{CountryCode, EventType, Percentage, RateName, Region, TaxClass, case_fold},
    update,
};

impl ActiveModelBehavior for ActiveModel {}

/// The class of what has no other. It needs no rate.
pub const STANDARD: &str = "standard";

/// The class of what bears no tax. It needs no rate.
pub const ZERO: &str = "zero";

/// What a tax rate is created from, or replaced with.
#[derive(Clone, Debug, Input)]
#[input(schema = TaxRateBody, patch = Changes as TaxRatePatch)]
pub struct Details {
    /// The name.
    pub name: RateName,
    /// Where it holds: the country of the shipping address.
    pub country: CountryCode,
    /// A part of the country, without regard to case. There it holds instead of that of the whole country.
    pub region: Option<Region>,
    /// The class of what bears it. Without one it is `standard`.
    pub tax_class: Option<TaxClass>,
    /// A percentage from 0 to 100 with at most three decimals, as a string or a number.
    pub rate: Percentage,
}

/// Which tax rates are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Input)]
pub struct Filter {
    /// Where they hold.
    pub country: Option<CountryCode>,
    /// The class of what bears them.
    pub tax_class: Option<TaxClass>,
}

impl listing::Filter for Filter {
    fn condition(&self) -> Condition {
        let country = self.country.as_ref();
        let class = self.tax_class.as_ref();
        Condition::all()
            .add_option(country.map(|country| Column::Country.eq(country.as_str())))
            .add_option(class.map(|class| Column::TaxClass.eq(class.as_str())))
    }
}

/// What tax rates are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
    /// The country.
    Country,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::ascending(Self::Id);

    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::Country => Some(Column::Country),
        }
    }
}

impl Model {
    /// The tax rate with that id.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        found(db, Entity::find_by_id(id)).await
    }

    /// The tax rate with that id, locked until the transaction ends.
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<Self> {
        found(txn, Entity::find_by_id(id).lock_exclusive()).await
    }

    /// A page of tax rates.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, Entity::find(), listing).await
    }

    /// How many tax rates a list has.
    pub async fn count(db: &impl ConnectionTrait, filter: &Filter) -> Result<u64> {
        listing::count(db, Entity::find(), filter).await
    }

    /// Adds a tax rate.
    ///
    /// # Errors
    /// [`Error::NotUnique`] when there is one for the same.
    pub async fn create(txn: &Transaction, details: &Details) -> Result<Self> {
        let tax_rate = ActiveModel::new_tax_rate(details).insert(txn).await;
        let tax_rate = tax_rate.map_err(taken_here())?;
        txn.happened(EventType::TaxRateCreated, &tax_rate);
        Ok(tax_rate)
    }

    /// Changes some of the tax rate, which has to be locked. Where nothing differs it stays as it is.
    ///
    /// # Errors
    /// [`Error::NotUnique`] when there is one for the same; [`Error::ClassInUse`] when it leaves a class that something
    /// has and no other rate.
    pub async fn change(self, txn: &Transaction, changes: &Changes) -> Result<Self> {
        let tax_rate = self.clone().into_active_model().assign(changes);
        let unchanged = Self {
            updated_at: *tax_rate.updated_at.as_ref(),
            ..self.clone()
        };
        if tax_rate.clone().try_into_model()? == unchanged {
            return Ok(self);
        }
        let tax_rate = update::<Self, _>(txn, tax_rate).await;
        let tax_rate = tax_rate.map_err(taken_here())?;
        if tax_rate.tax_class != self.tax_class {
            Self::keep_class(txn, &self.tax_class).await?;
        }
        txn.happened(EventType::TaxRateUpdated, &tax_rate);
        Ok(tax_rate)
    }

    /// Deletes the tax rate, which has to be locked.
    ///
    /// # Errors
    /// [`Error::ClassInUse`] when something has its class, and no other rate does.
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        txn.happened(EventType::TaxRateDeleted, &self);
        Entity::delete_by_id(self.id).exec(txn).await?;
        Self::keep_class(txn, &self.tax_class).await
    }

    /// Adds the tax rates that are not known, and changes the others. One is known by its country, region and class;
    /// what a row says nothing of stays.
    pub async fn import(txn: &Transaction, rows: &[Changes]) -> Result<Imported> {
        let (mut imported, mut seen) = (Imported::default(), BTreeSet::new());
        for (at, row) in rows.iter().enumerate() {
            let outcome = Self::import_row(txn, row, &mut seen).await;
            imported.note(at, outcome)?;
        }
        Ok(imported)
    }

    async fn import_row(
        txn: &Transaction,
        row: &Changes,
        seen: &mut BTreeSet<[String; 3]>,
    ) -> Result<Became> {
        let Some(country) = &row.country else {
            let message = "is required: it says which tax rate the row is";
            return Err(FieldError::at("/country", "required", message).into());
        };
        let class = class_or_standard(row.tax_class.as_ref().and_then(Option::as_ref));
        let region = region_key(row.region.as_ref().and_then(Option::as_ref));
        let same = Entity::find()
            .filter(Column::Country.eq(country.as_str()))
            .filter(Column::TaxClass.eq(class))
            .filter(Column::RegionKey.eq(&region));
        if !seen.insert([country.as_str().to_owned(), class.to_owned(), region]) {
            let message = "has that region and class in an earlier row already";
            return Err(FieldError::at("/country", "duplicate", message).into());
        }
        let Some(known) = same.lock_exclusive().one(txn).await? else {
            let details = Details::try_from(row.clone());
            let details = details.map_err(|names| Error::Invalid(missing("tax rate", names)))?;
            Self::create(txn, &details).await?;
            return Ok(Became::Added);
        };
        let after = known.clone().change(txn, row).await?;
        Ok(Became::of(&known, &after))
    }

    /// What is wrong with a class that has no rate: a slip of the pen would go untaxed. The rates of another stay what
    /// they are until the transaction ends.
    pub async fn refusal_of_class(txn: &Transaction, class: &str) -> Result<Option<FieldError>> {
        if needs_no_rate(class) || has_rate(txn, class, LockType::Share).await? {
            return Ok(None);
        }
        let message = "must be `standard`, `zero`, or the class of a tax rate";
        Ok(Some(FieldError::at("/tax_class", "reference", message)))
    }

    /// Refuses that a class in use has lost its last rate.
    async fn keep_class(txn: &Transaction, class: &str) -> Result<()> {
        // Locked: of two that go at the same time, the second sees that the first is gone.
        if needs_no_rate(class) || has_rate(txn, class, LockType::Update).await? {
            return Ok(());
        }
        // Who is about to give something this class waits for the rate that goes, and does not find it then. So products
        // need not be locked, of which every one would be read.
        let in_use = shipping_rates::Model::have_class(txn, class).await?
            || products::Model::have_class(txn, class).await?;
        if in_use {
            return Err(Error::ClassInUse);
        }
        Ok(())
    }
}

/// The class that is meant where one may be said.
pub fn class_or_standard(class: Option<&TaxClass>) -> &str {
    class.map_or(STANDARD, TaxClass::as_str)
}

/// The region without regard to case; empty for the whole country.
fn region_key(region: Option<&Region>) -> String {
    region
        .map(|region| case_fold(region.as_str()))
        .unwrap_or_default()
}

fn needs_no_rate(class: &str) -> bool {
    [STANDARD, ZERO].contains(&class)
}

async fn has_rate(txn: &Transaction, class: &str, lock: LockType) -> Result<bool> {
    let rates = Entity::find()
        .filter(Column::TaxClass.eq(class))
        .order_by_asc(Column::Id)
        .lock(lock);
    Ok(!rates.all(txn).await?.is_empty())
}

fn taken_here() -> impl Fn(DbErr) -> Error {
    taken(
        "uq_tax_rates_country_tax_class_region_key",
        "/tax_class",
        "has another rate for the same country and region",
    )
}

impl ActiveModel {
    fn new_tax_rate(details: &Details) -> Self {
        let mut tax_rate = <Self as Default>::default().assign(&details.clone().into());
        tax_rate.created_at = tax_rate.updated_at.clone();
        tax_rate
    }

    /// Sets what is to change.
    fn assign(mut self, changes: &Changes) -> Self {
        if let Some(name) = &changes.name {
            self.name = Set(name.clone().into());
        }
        if let Some(country) = &changes.country {
            self.country = Set(country.clone().into());
        }
        if let Some(region) = &changes.region {
            self.region_key = Set(region_key(region.as_ref()));
            self.region = Set(region.clone().map(String::from));
        }
        if let Some(tax_class) = &changes.tax_class {
            self.tax_class = Set(class_or_standard(tax_class.as_ref()).to_owned());
        }
        if let Some(rate) = &changes.rate {
            self.rate_thousandths = Set(rate.thousandths());
        }
        self.updated_at = Set(now());
        self
    }
}

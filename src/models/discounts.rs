//! Discounts: codes that take something off an order.

use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, IntoActiveModel, QuerySelect, TryIntoModel,
    entity::prelude::*,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::discounts::{ActiveModel, Column, Entity, Model};
use super::{
    Error, Result, Transaction,
    error::{FieldError, taken},
    found,
    input::Input,
    listing::{self, Listing, Page, Sort, SortKey},
    now, pricing,
    types::{
        DiscountCode, DiscountKind, DiscountValue, EventType, Money, Percentage, Scalar, Timestamp,
        UsageLimit, case_fold,
    },
    update,
};

impl ActiveModelBehavior for ActiveModel {}

/// What a discount is created from, or replaced with.
#[derive(Clone, Debug, Input)]
#[input(schema = DiscountBody, patch = Changes as DiscountPatch)]
pub struct Details {
    /// What a customer enters, without regard to case. No other discount has it.
    pub code: DiscountCode,
    /// What it takes off.
    pub kind: DiscountKind,
    /// How much: a percentage above 0 with at most three decimals, or an amount above 0 with at most two, as a string or
    /// a number. Free shipping has none.
    pub value: Option<DiscountValue>,
    /// From when on it can be used. `null`: from now on.
    pub starts_at: Option<Timestamp>,
    /// Until when it can be used: at that moment it cannot any more.
    pub ends_at: Option<Timestamp>,
    /// The subtotal, before the discount, from which on it can be used.
    pub min_subtotal: Option<Money>,
    /// How many orders can use it.
    pub usage_limit: Option<UsageLimit>,
    /// How many orders of one customer can use it.
    pub per_customer_limit: Option<UsageLimit>,
    /// Whether it can be used. A new one can where it is missing.
    #[input(change)]
    pub enabled: Option<bool>,
}

/// Why a code takes nothing off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inapplicable {
    /// There is none, or it is disabled: nobody is told which.
    #[error("is not known")]
    Unknown,
    /// Its time has not begun.
    #[error("cannot be used yet")]
    NotYet,
    /// Its time is over.
    #[error("has expired")]
    Expired,
    /// As many orders have used it as may.
    #[error("has been used as often as it can be")]
    UsedUp,
    /// As many orders of the customer have used it as may.
    #[error("has been used by this customer as often as it can be")]
    UsedByCustomer,
    /// The goods do not cost enough.
    #[error("needs goods for at least {0}")]
    TooLittle(Money),
}

/// Which discounts are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Input)]
pub struct Filter {
    /// What a customer enters, without regard to case.
    pub code: Option<DiscountCode>,
    /// Whether they can be used.
    pub enabled: Option<bool>,
}

impl listing::Filter for Filter {
    fn condition(&self) -> Condition {
        let code = self.code.as_ref().map(|code| case_fold(code.as_str()));
        Condition::all()
            .add_option(code.map(|code| Column::CodeKey.eq(code)))
            .add_option(self.enabled.map(|enabled| Column::Enabled.eq(enabled)))
    }
}

/// What discounts are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
    /// The code, without regard to case.
    Code,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::ascending(Self::Id);

    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::Code => Some(Column::CodeKey),
        }
    }
}

impl Model {
    /// How much it takes off, as it is shown: a percentage without noughts at the end, or an amount of money.
    pub fn value(&self) -> Option<String> {
        let thousandths = self.value_thousandths?;
        if self.kind == DiscountKind::Amount.as_str() {
            return Some(Money::from_minor(thousandths / 10).to_string());
        }
        Percentage::new(thousandths).map(|percentage| percentage.to_string())
    }

    /// The discount that somebody means by a code, in whatever case, if it can be used at all.
    ///
    /// # Errors
    /// [`Inapplicable::Unknown`], within.
    pub async fn find_by_code(
        db: &impl ConnectionTrait,
        code: &str,
    ) -> Result<Result<Self, Inapplicable>> {
        let code = Entity::find().filter(Column::CodeKey.eq(case_fold(code)));
        let discount = code.filter(Column::Enabled.eq(true)).one(db).await?;
        Ok(discount.ok_or(Inapplicable::Unknown))
    }

    /// What it takes off goods of that subtotal at that moment, for somebody who has used it so often.
    ///
    /// # Errors
    /// Why it takes off nothing.
    pub fn applied(
        &self,
        subtotal: Money,
        at: DateTimeWithTimeZone,
        used_by_customer: u64,
    ) -> Result<pricing::Discount, Inapplicable> {
        let used_by_customer = i64::try_from(used_by_customer).unwrap_or(i64::MAX);
        let has_reached = |used: i64, limit: Option<i64>| limit.is_some_and(|limit| used >= limit);
        if self.starts_at.is_some_and(|start| at < start) {
            return Err(Inapplicable::NotYet);
        }
        if self.ends_at.is_some_and(|end| at >= end) {
            return Err(Inapplicable::Expired);
        }
        if has_reached(self.used, self.usage_limit) {
            return Err(Inapplicable::UsedUp);
        }
        if has_reached(used_by_customer, self.per_customer_limit) {
            return Err(Inapplicable::UsedByCustomer);
        }
        let least = self.min_subtotal_minor.map(Money::from_minor);
        if !pricing::reaches(subtotal, least) {
            return Err(Inapplicable::TooLittle(least.unwrap_or_default()));
        }
        let thousandths = self.value_thousandths.unwrap_or_default();
        Ok(match DiscountKind::parse(&self.kind) {
            Ok(DiscountKind::Percentage) => {
                let percentage = Percentage::new(thousandths).unwrap_or_default();
                pricing::Discount::Percentage(percentage)
            }
            Ok(DiscountKind::Amount) => {
                pricing::Discount::Amount(Money::from_minor(thousandths / 10))
            }
            Ok(DiscountKind::FreeShipping) | Err(_) => pricing::Discount::FreeShipping,
        })
    }

    /// The discount with that id.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        found(db, Entity::find_by_id(id)).await
    }

    /// The discount with that id, locked until the transaction ends.
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<Self> {
        found(txn, Entity::find_by_id(id).lock_exclusive()).await
    }

    /// A page of discounts.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, Entity::find(), listing).await
    }

    /// How many discounts a list has.
    pub async fn count(db: &impl ConnectionTrait, filter: &Filter) -> Result<u64> {
        listing::count(db, Entity::find(), filter).await
    }

    /// Adds a discount.
    ///
    /// # Errors
    /// [`Error::NotUnique`] for the code; [`Error::Invalid`] when its fields do not go together.
    pub async fn create(txn: &Transaction, details: &Details) -> Result<Self> {
        let discount = ActiveModel::new_discount(details);
        fits(&discount)?;
        let discount = discount.insert(txn).await;
        let discount = discount.map_err(code_taken())?;
        txn.happened(EventType::DiscountCreated, &discount);
        Ok(discount)
    }

    /// Changes some of the discount, which has to be locked. Where nothing differs it stays as it is.
    ///
    /// # Errors
    /// Those of [`create`](Self::create).
    pub async fn change(self, txn: &Transaction, changes: &Changes) -> Result<Self> {
        let discount = self.clone().into_active_model().assign(changes);
        let unchanged = Self {
            updated_at: *discount.updated_at.as_ref(),
            ..self.clone()
        };
        if discount.clone().try_into_model()? == unchanged {
            return Ok(self);
        }
        fits(&discount)?;
        let discount = update::<Self, _>(txn, discount).await;
        let discount = discount.map_err(code_taken())?;
        txn.happened(EventType::DiscountUpdated, &discount);
        Ok(discount)
    }

    /// Deletes the discount, which has to be locked.
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        txn.happened(EventType::DiscountDeleted, &self);
        Entity::delete_by_id(self.id).exec(txn).await?;
        Ok(())
    }
}

impl ActiveModel {
    fn new_discount(details: &Details) -> Self {
        let new = Self {
            value_thousandths: Set(None),
            starts_at: Set(None),
            ends_at: Set(None),
            usage_limit: Set(None),
            used: Set(0),
            enabled: Set(true),
            ..Default::default()
        };
        let mut discount = new.assign(&details.clone().into());
        discount.created_at = discount.updated_at.clone();
        discount
    }

    /// Sets what is to change.
    fn assign(mut self, changes: &Changes) -> Self {
        if let Some(code) = &changes.code {
            self.code_key = Set(case_fold(code.as_str()));
            self.code = Set(code.clone().into());
        }
        if let Some(kind) = changes.kind {
            self.kind = Set(kind.as_str().to_owned());
        }
        if let Some(value) = changes.value {
            self.value_thousandths = Set(value.map(DiscountValue::thousandths));
        }
        if let Some(starts_at) = changes.starts_at {
            self.starts_at = Set(starts_at.map(|moment| moment.0));
        }
        if let Some(ends_at) = changes.ends_at {
            self.ends_at = Set(ends_at.map(|moment| moment.0));
        }
        if let Some(min_subtotal) = changes.min_subtotal {
            self.min_subtotal_minor = Set(min_subtotal.map(Money::minor));
        }
        if let Some(usage_limit) = changes.usage_limit {
            self.usage_limit = Set(usage_limit.map(UsageLimit::get));
        }
        if let Some(per_customer_limit) = changes.per_customer_limit {
            self.per_customer_limit = Set(per_customer_limit.map(UsageLimit::get));
        }
        if let Some(enabled) = changes.enabled {
            self.enabled = Set(enabled);
        }
        self.updated_at = Set(now());
        self
    }
}

/// Refuses fields that do not go together.
fn fits(discount: &ActiveModel) -> Result<()> {
    let kind = DiscountKind::parse(discount.kind.as_ref());
    let kind = kind.map_err(|violation| FieldError::new("/kind", violation))?;
    let mut broken = Vec::new();
    let value = match (kind, discount.value_thousandths.as_ref()) {
        (DiscountKind::FreeShipping, None) => None,
        (DiscountKind::FreeShipping, Some(_)) => {
            Some(("forbidden", "must be missing: free shipping has no value"))
        }
        (_, None) => Some(("required", "is required for a percentage or an amount")),
        (_, Some(0)) => Some(("range", "must be above 0")),
        (DiscountKind::Percentage, Some(100_001..)) => {
            Some(("range", "must be at most 100 for a percentage"))
        }
        (DiscountKind::Amount, Some(value)) if value % 10 != 0 => {
            Some(("precision", "must have at most two decimals for an amount"))
        }
        _ => None,
    };
    broken.extend(value.map(|(code, message)| FieldError::at("/value", code, message)));
    if let (Some(start), Some(end)) = (discount.starts_at.as_ref(), discount.ends_at.as_ref())
        && end <= start
    {
        broken.push(FieldError::at(
            "/ends_at",
            "range",
            "must be after the start",
        ));
    }
    let used = *discount.used.as_ref();
    if discount
        .usage_limit
        .as_ref()
        .is_some_and(|limit| limit < used)
    {
        let message = format!("must not be below {used}: so often it was used");
        broken.push(FieldError::at("/usage_limit", "range", message));
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(broken))
}

fn code_taken() -> impl Fn(DbErr) -> Error {
    taken(
        "uq_discounts_code_key",
        "/code",
        "belongs to another discount",
    )
}

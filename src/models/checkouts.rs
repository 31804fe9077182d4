//! Checkouts: carts while they are open, orders once they are completed.
//!
//! - Who: a [`Buyer`] sees what is theirs. [`Rules`]: what the store says.
//! - [`Model::open`], [`Model::change`], [`Model::set_item`], [`Model::remove_item`], [`Model::cancel`]: the verbs.
//! - [`standing`]: how a checkout stands now: what it comes to, and what is missing.
//! - [`hold`]: stock that is kept for a while. [`completion`]: how a checkout becomes an order. [`sweep`]: their end.
//!
//! Who changes one locks, in this order: the customer, the checkout, its order, products by their ids, the discount, the
//! budget of held pieces. An open checkout is one row.

mod completion;
mod hold;
mod standing;
mod sweep;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use sea_orm::{
    ActiveValue::NotSet, Condition, ConnectionTrait, ExprTrait, IntoActiveModel, QuerySelect,
    Select, entity::prelude::*, sea_query::Expr,
};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use self::{
    completion::Completion,
    standing::{Message, ShippingOption, Standing, StandingLine, Totals},
    sweep::Swept,
};
pub use super::_entities::checkouts::{ActiveModel, Column, Entity, Model};
use super::{
    Error, Result, Transaction, customer_addresses, customers,
    error::FieldError,
    found,
    input::{Fields, Input},
    listing::{self, Listing, Page, Sort, SortKey},
    now,
    orders::{self, OrderLine, Sale, merge, not_on_sale},
    products,
    types::{
        CheckoutAddress, CheckoutId, CheckoutStatus, CustomerName, DiscountCode, Email, Money,
        Note, PartialAddress, Phone, Quantity, Scalar, case_fold,
    },
};

impl ActiveModelBehavior for ActiveModel {}

/// How many products a checkout has at most.
const MOST_ITEMS: usize = 100;

/// Who buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buyer {
    /// A visitor: somebody who knows the id.
    Visitor,
    /// A customer in person.
    Customer(i64),
    /// Who runs the store.
    Staff,
}

/// What the store says to a buyer.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Who buys.
    pub buyer: Buyer,
    /// Who sells, and on which terms.
    pub sale: Sale<'a>,
    /// For how long stock is held; zero: not at all.
    pub hold: TimeDelta,
    /// For how long a checkout is open after its last change, and is shown to a visitor after its end.
    pub lasts: TimeDelta,
    /// How many pieces a visitor may hold in one checkout; three times as many in all that come from one address.
    pub hold_pieces: i64,
    /// Where a visitor comes from: whose pieces are counted together.
    pub budget: Option<&'a str>,
}

/// What a checkout is opened with, and what is to change of it. A field that is missing stays as it is.
#[derive(Clone, Debug, Default, Input)]
#[input(schema = CheckoutBody, check = goes_to_one_address, may_be_missing)]
pub struct Changes {
    /// What is bought, in place of all that was there. Lines of the same product are merged.
    #[input(items = 0..=100)]
    pub items: Option<Vec<OrderLine>>,
    /// The email address of the buyer. The order belongs to the customer who has it.
    #[input(clearable)]
    pub email: Option<Option<Email>>,
    /// The name of the buyer. Without one, that of the address is taken.
    #[input(clearable)]
    pub name: Option<Option<CustomerName>>,
    /// The telephone number of the buyer: 5 to 20 digits, which may begin with + and contain blanks and ().-
    #[input(clearable)]
    pub phone: Option<Option<Phone>>,
    /// Where it goes. It replaces the whole address.
    #[input(nested)]
    pub shipping_address: Option<Option<PartialAddress>>,
    /// One of the customer's own addresses, of which the checkout keeps a copy. Excludes `shipping_address`.
    pub shipping_address_id: Option<i64>,
    /// Where the invoice goes. `null`: to the shipping address.
    #[input(nested)]
    pub billing_address: Option<Option<PartialAddress>>,
    /// How it is shipped: the id of a shipping option.
    #[input(clearable)]
    pub shipping_option_id: Option<Option<i64>>,
    /// A code that takes something off, without regard to case.
    #[input(clearable)]
    pub discount_code: Option<Option<DiscountCode>>,
    /// A remark.
    #[input(clearable)]
    pub note: Option<Option<Note>>,
    /// The customer it is for. Only administrators and secret keys name one.
    pub customer_id: Option<i64>,
}

fn goes_to_one_address(fields: &mut Fields<'_>) {
    if fields.has("shipping_address") && fields.has("shipping_address_id") {
        let message = "excludes shipping_address";
        fields.refuse("shipping_address_id", "exclusive", message);
    }
}

/// How many pieces of a product there are to be.
#[derive(Clone, Copy, Debug, Input)]
#[input(schema = CheckoutItemBody)]
pub struct NewQuantity {
    /// How many pieces.
    pub quantity: Quantity,
}

/// A line, as the row keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    /// The product.
    pub product_id: i64,
    /// How many pieces.
    pub quantity: Quantity,
    /// What one piece cost when the line was set.
    pub unit_price_minor: i64,
    /// Its stock keeping unit then.
    pub sku: Option<String>,
    /// What it was called then.
    pub name: String,
}

/// A checkout and how it stands.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// The checkout itself.
    pub checkout: Model,
    /// The store's currency (ISO 4217).
    pub currency: String,
    /// How it stands.
    pub standing: Standing,
    /// The order that it has become.
    pub order: Option<orders::Model>,
}

/// Which checkouts are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Input)]
pub struct Filter {
    /// How far they have come.
    pub status: Option<CheckoutStatus>,
    /// The customer they are for; only administrators and keys name one.
    pub customer_id: Option<i64>,
    /// The email address, without regard to case; only administrators and keys name one.
    pub email: Option<Email>,
}

impl listing::Filter for Filter {
    fn condition(&self) -> Condition {
        let email = self.email.as_ref().map(|email| case_fold(email.as_str()));
        Condition::all()
            .add_option(self.status.map(is))
            .add_option(self.customer_id.map(|id| Column::CustomerId.eq(id)))
            .add_option(email.map(|email| Column::EmailKey.eq(email)))
    }
}

impl Filter {
    /// Refuses to those who see their own only that they name somebody.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check_for(&self, buyer: Buyer) -> Result<()> {
        let mut broken = Vec::new();
        if buyer != Buyer::Staff {
            let named = [
                ("/customer_id", self.customer_id.is_some()),
                ("/email", self.email.is_some()),
            ];
            for (pointer, _) in named.into_iter().filter(|(_, is_named)| *is_named) {
                let message = "may be set by administrators only";
                broken.push(FieldError::at(pointer, "forbidden", message));
            }
        }
        if broken.is_empty() {
            return Ok(());
        }
        Err(Error::Invalid(broken))
    }
}

/// Which are of that status now. One that is open too long is expired, whether or not somebody has said so.
fn is(status: CheckoutStatus) -> Expr {
    let open = CheckoutStatus::Open.as_str();
    let same = Column::Status.eq(status.as_str());
    match status {
        CheckoutStatus::Open => same.and(Column::ExpiresAt.gt(now())),
        CheckoutStatus::Expired => {
            same.or(Column::Status.eq(open).and(Column::ExpiresAt.lte(now())))
        }
        CheckoutStatus::Completed | CheckoutStatus::Cancelled => same,
    }
}

/// What checkouts are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// When they were opened.
    CreatedAt,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::descending(Self::CreatedAt);

    fn column(self) -> Option<Column> {
        match self {
            // They are numbered in that order.
            Self::CreatedAt => None,
        }
    }
}

impl Changes {
    /// The code that it names.
    pub fn code(&self) -> Option<&DiscountCode> {
        self.discount_code.as_ref()?.as_ref()
    }
}

impl Buyer {
    /// The checkouts that they may see, if they know them.
    fn sees(self) -> Condition {
        let anybody = Column::CustomerId.is_null();
        Condition::any()
            .add_option(match self {
                Self::Staff => None,
                Self::Visitor => Some(anybody),
                Self::Customer(id) => Some(anybody.or(Column::CustomerId.eq(id))),
            })
            .add_option((self == Self::Staff).then(|| Expr::cust("1 = 1")))
    }

    /// Those that a list shows them.
    fn listed(self) -> Select<Entity> {
        match self {
            Self::Staff => Entity::find(),
            Self::Customer(id) => Entity::find().filter(Column::CustomerId.eq(id)),
            Self::Visitor => Entity::find().filter(Expr::cust("1 = 0")),
        }
    }

    fn find(self, id: &CheckoutId) -> Select<Entity> {
        let known = Entity::find().filter(Column::Token.eq(id.as_str()));
        known.filter(self.sees())
    }
}

impl Model {
    /// The checkout with that id, if the buyer may see it.
    pub async fn find(
        db: &impl ConnectionTrait,
        id: &CheckoutId,
        rules: &Rules<'_>,
    ) -> Result<Checkout> {
        let checkout = found(db, rules.buyer.find(id)).await?;
        // A visitor's is forgotten some time after its end.
        if checkout.customer_id.is_none()
            && checkout.status != CheckoutStatus::Open.as_str()
            && checkout.expires_at <= now()
        {
            return Err(Error::NotFound);
        }
        checkout.shown(db, rules).await
    }

    /// A page of the checkouts that the buyer may see.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<Filter, Key>,
        rules: &Rules<'_>,
    ) -> Result<Page<Checkout>> {
        let listed = rules.buyer.listed();
        let page: Page<Self> = listing::fetch(db, listed, listing).await?;
        let mut shown = Vec::with_capacity(page.items.len());
        for checkout in page.items {
            shown.push(checkout.shown(db, rules).await?);
        }
        Ok(Page {
            items: shown,
            info: page.info,
            page_size: page.page_size,
        })
    }

    /// How many checkouts a list has.
    pub async fn count(db: &impl ConnectionTrait, buyer: Buyer, filter: &Filter) -> Result<u64> {
        listing::count(db, buyer.listed(), filter).await
    }

    /// Those of a customer, and those with their email that are nobody's, the oldest first.
    pub async fn of_customer(
        db: &impl ConnectionTrait,
        customer: &customers::Model,
        rules: &Rules<'_>,
    ) -> Result<Vec<Checkout>> {
        use sea_orm::QueryOrder;
        let theirs = Entity::find().filter(is_of(customer));
        let mut shown = Vec::new();
        for checkout in theirs.order_by_asc(Column::Id).all(db).await? {
            shown.push(checkout.shown(db, rules).await?);
        }
        Ok(shown)
    }

    /// Opens a checkout. Everything may come later.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it names what is not there.
    pub async fn open(txn: &Transaction, changes: &Changes, rules: &Rules<'_>) -> Result<Checkout> {
        let now = now();
        let mut checkout = Self {
            id: 0,
            token: CheckoutId::generate().as_str().to_owned(),
            status: CheckoutStatus::Open.as_str().to_owned(),
            customer_id: None,
            email: None,
            email_key: None,
            name: None,
            phone: None,
            items: "[]".to_owned(),
            shipping_address: None,
            billing_address: None,
            note: None,
            shipping_option_id: None,
            discount_code: None,
            quoted_total_minor: 0,
            held: None,
            held_until: None,
            first_held_at: None,
            budget: None,
            created_at: now,
            updated_at: now,
            expires_at: now,
        };
        if let Buyer::Customer(customer_id) = rules.buyer {
            let (_, email) = customers::Model::contact_locked(txn, customer_id).await?;
            checkout.belong_to(customer_id, email);
        }
        checkout.assign(txn, rules.buyer, changes).await?;
        let standing = checkout.quoted(txn, rules).await?;
        let mut row = checkout.clone().into_active_model();
        row.id = NotSet;
        checkout.id = super::statement::insert(txn, row).await?;
        Ok(checkout.with(standing, rules))
    }

    /// Changes some of a checkout, which becomes the buyer's if it was nobody's. Its hold follows its items.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotOpen`]; [`Error::Invalid`]; [`Error::InsufficientStock`] when the hold cannot
    /// follow; [`Error::WriteConflict`] when it has changed since it was `seen`.
    pub async fn change(
        txn: &Transaction,
        id: &CheckoutId,
        changes: &Changes,
        rules: &Rules<'_>,
        seen: Option<DateTimeWithTimeZone>,
    ) -> Result<Checkout> {
        let mut checkout = Self::locked(txn, rules.buyer, id, changes.customer_id, seen).await?;
        checkout.assign(txn, rules.buyer, changes).await?;
        checkout.save(txn, rules).await
    }

    /// Sets how many pieces of a product there are to be, or adds the product as the last line.
    ///
    /// # Errors
    /// Those of [`change`](Self::change).
    pub async fn set_item(
        txn: &Transaction,
        id: &CheckoutId,
        set: OrderLine,
        rules: &Rules<'_>,
        seen: Option<DateTimeWithTimeZone>,
    ) -> Result<Checkout> {
        let mut checkout = Self::locked(txn, rules.buyer, id, None, seen).await?;
        let mut items = checkout.items()?;
        let offers = products::Model::offers(txn, [set.product_id]).await?;
        let Some(offer) = offers.get(&set.product_id) else {
            let message = "must be a product on sale";
            return Err(FieldError::at("/product_id", "reference", message).into());
        };
        let item = Item::of(offer, set.quantity);
        let is_full = items.len() >= MOST_ITEMS;
        match items
            .iter_mut()
            .find(|line| line.product_id == set.product_id)
        {
            Some(line) => *line = item,
            None if is_full => {
                let message = "must be at most 100 products";
                return Err(FieldError::at("/items", "length", message).into());
            }
            None => items.push(item),
        }
        checkout.set_items(&items)?;
        checkout.save(txn, rules).await
    }

    /// Takes a product out.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when the product is not in it; those of [`change`](Self::change).
    pub async fn remove_item(
        txn: &Transaction,
        id: &CheckoutId,
        product_id: i64,
        rules: &Rules<'_>,
        seen: Option<DateTimeWithTimeZone>,
    ) -> Result<Checkout> {
        let mut checkout = Self::locked(txn, rules.buyer, id, None, seen).await?;
        let mut items = checkout.items()?;
        let before = items.len();
        items.retain(|line| line.product_id != product_id);
        if items.len() == before {
            return Err(Error::NotFound);
        }
        checkout.set_items(&items)?;
        checkout.save(txn, rules).await
    }

    /// Cancels a checkout: what is held is given back.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotOpen`].
    pub async fn cancel(txn: &Transaction, id: &CheckoutId, rules: &Rules<'_>) -> Result<Checkout> {
        let mut checkout = Self::locked(txn, rules.buyer, id, None, None).await?;
        checkout.end(txn, CheckoutStatus::Cancelled, rules).await?;
        checkout.shown(txn, rules).await
    }

    /// How far it has come: one that is open too long is expired, whether or not somebody has said so.
    pub fn status(&self) -> Result<CheckoutStatus> {
        let status = CheckoutStatus::parse(&self.status).map_err(|_| {
            let id = self.id;
            loco_rs::Error::Message(format!("checkout {id} is {}", self.status))
        })?;
        if status == CheckoutStatus::Open && self.expires_at <= now() {
            return Ok(CheckoutStatus::Expired);
        }
        Ok(status)
    }

    /// What it showed last, in answer to a change.
    pub const fn quoted_total(&self) -> Money {
        Money::from_minor(self.quoted_total_minor)
    }

    /// The checkout with that id, to be changed: locked, open, and the buyer's if they are a customer. `owner` is locked
    /// too: a customer whose it is to become. What it was when it was `seen` it has to be still.
    async fn locked(
        txn: &Transaction,
        buyer: Buyer,
        id: &CheckoutId,
        owner: Option<i64>,
        seen: Option<DateTimeWithTimeZone>,
    ) -> Result<Self> {
        match (buyer, owner) {
            (Buyer::Customer(customer_id), _) => {
                let before = found(txn, buyer.find(id)).await?;
                if before.customer_id.is_none() && before.status()? == CheckoutStatus::Open {
                    before.claim(txn, customer_id).await?;
                }
            }
            (Buyer::Staff, Some(owner)) => {
                found(txn, buyer.find(id)).await?;
                customers::Model::contact_locked(txn, owner)
                    .await
                    .map_err(customers::unknown)?;
            }
            // No customer has to be locked before the checkout.
            _ => {}
        }
        let checkout = found(txn, buyer.find(id).lock_exclusive()).await?;
        match checkout.status()? {
            CheckoutStatus::Open if seen.is_none_or(|seen| seen == checkout.updated_at) => {
                Ok(checkout)
            }
            CheckoutStatus::Open => Err(Error::WriteConflict),
            ended => Err(Error::NotOpen(ended)),
        }
    }

    /// Makes the customer the owner of the checkout, unless it has another owner by now. Locks the customer first.
    async fn claim(&self, txn: &Transaction, customer_id: i64) -> Result<()> {
        let (_, email) = customers::Model::contact_locked(txn, customer_id).await?;
        Entity::update_many()
            .col_expr(Column::CustomerId, Expr::value(customer_id))
            .col_expr(Column::EmailKey, Expr::value(case_fold(&email)))
            .col_expr(Column::Email, Expr::value(email))
            .filter(Column::Id.eq(self.id))
            .filter(Column::CustomerId.is_null())
            .filter(is(CheckoutStatus::Open))
            .exec(txn)
            .await?;
        Ok(())
    }

    fn belong_to(&mut self, customer_id: i64, email: String) {
        self.customer_id = Some(customer_id);
        self.email_key = Some(case_fold(&email));
        self.email = Some(email);
    }

    /// Sets what is to change. Every broken rule is named.
    async fn assign(&mut self, txn: &Transaction, buyer: Buyer, changes: &Changes) -> Result<()> {
        let mut broken = Vec::new();
        self.assign_owner(txn, buyer, changes, &mut broken).await?;
        if let Some(lines) = &changes.items {
            match merge(lines) {
                Ok(merged) => {
                    let ids = merged.iter().map(|line| line.product_id);
                    let offers = match merged.len() {
                        0 => BTreeMap::new(),
                        _ => products::Model::offers(txn, ids).await?,
                    };
                    broken.extend(not_on_sale(lines, &offers));
                    let items = merged.iter().filter_map(|line| {
                        let offer = offers.get(&line.product_id)?;
                        Some(Item::of(offer, line.quantity))
                    });
                    self.set_items(&items.collect::<Vec<_>>())?;
                }
                Err(Error::Invalid(errors)) => broken.extend(errors),
                Err(error) => return Err(error),
            }
        }
        if let Some(email) = &changes.email {
            self.email = email.clone().map(String::from);
            self.email_key = self.email.as_deref().map(case_fold);
        }
        if let Some(name) = &changes.name {
            self.name = name.clone().map(String::from);
        }
        if let Some(phone) = &changes.phone {
            self.phone = phone.clone().map(String::from);
        }
        if let Some(address) = &changes.shipping_address {
            self.shipping_address = json_of(address.as_ref())?;
        }
        if let Some(id) = changes.shipping_address_id {
            match self.own_address(txn, id).await? {
                Ok(address) => self.shipping_address = Some(address),
                Err(refusal) => broken.push(refusal),
            }
        }
        if let Some(address) = &changes.billing_address {
            self.billing_address = json_of(address.as_ref())?;
        }
        if let Some(option) = changes.shipping_option_id {
            self.shipping_option_id = option;
        }
        if let Some(code) = &changes.discount_code {
            self.discount_code = code.clone().map(String::from);
        }
        if let Some(note) = &changes.note {
            self.note = note.clone().map(String::from);
        }
        if broken.is_empty() {
            return Ok(());
        }
        Err(Error::Invalid(broken))
    }

    async fn assign_owner(
        &mut self,
        txn: &Transaction,
        buyer: Buyer,
        changes: &Changes,
        broken: &mut Vec<FieldError>,
    ) -> Result<()> {
        let Some(owner) = changes
            .customer_id
            .filter(|id| Some(*id) != self.customer_id)
        else {
            return Ok(());
        };
        let refusal = if buyer != Buyer::Staff {
            ("forbidden", "may be set by administrators only")
        } else if self.customer_id.is_some() {
            ("forbidden", "must stay the customer whose checkout it is")
        } else {
            match customers::Model::contact_locked(txn, owner).await {
                Ok((_, email)) => {
                    self.belong_to(owner, email);
                    return Ok(());
                }
                Err(Error::NotFound) => ("reference", "must be an existing customer"),
                Err(error) => return Err(error),
            }
        };
        broken.push(FieldError::at("/customer_id", refusal.0, refusal.1));
        Ok(())
    }

    /// A copy of the customer's address with that id, as JSON.
    async fn own_address(&self, txn: &Transaction, id: i64) -> Result<Result<String, FieldError>> {
        // No customer has id 0.
        let customer_id = self.customer_id.unwrap_or_default();
        let address = customer_addresses::Model::shipped_to(txn, customer_id, id).await?;
        Ok(match address {
            Ok(address) => Ok(address.json()?),
            Err(refusal) => Err(refusal),
        })
    }

    /// What is bought.
    pub(super) fn items(&self) -> Result<Vec<Item>> {
        Ok(serde_json::from_str(&self.items).map_err(loco_rs::Error::from)?)
    }

    fn set_items(&mut self, items: &[Item]) -> Result<()> {
        self.items = serde_json::to_string(items).map_err(loco_rs::Error::from)?;
        Ok(())
    }

    /// Writes what was changed, after its hold has followed, and says how it stands.
    async fn save(mut self, txn: &Transaction, rules: &Rules<'_>) -> Result<Checkout> {
        if self.held.is_some() {
            self.follow(txn, rules).await?;
        }
        let standing = self.quoted(txn, rules).await?;
        self.write(txn).await?;
        Ok(self.with(standing, rules))
    }

    /// How it stands, which is what it has quoted from now on; and how long it is open after this change.
    async fn quoted(&mut self, txn: &Transaction, rules: &Rules<'_>) -> Result<Standing> {
        let now = now();
        (self.updated_at, self.expires_at) = (now, now + rules.lasts);
        let standing = self.standing(txn, rules, self.customer_id).await?;
        self.quoted_total_minor = standing.totals.total.minor();
        Ok(standing)
    }

    async fn write(&self, txn: &Transaction) -> Result<()> {
        let row = ActiveModel {
            token: NotSet,
            created_at: NotSet,
            ..self.clone().into_active_model().reset_all()
        };
        Ok(super::statement::update(txn, self.id, row).await?)
    }

    /// Ends it in another way than by an order. What is held is given back.
    async fn end(
        &mut self,
        txn: &Transaction,
        status: CheckoutStatus,
        rules: &Rules<'_>,
    ) -> Result<()> {
        self.release(txn, rules.sale.actor).await?;
        let now = now();
        status.as_str().clone_into(&mut self.status);
        (self.updated_at, self.expires_at) = (now, now + rules.lasts);
        self.write(txn).await
    }

    /// How it stands, and the order that it has become.
    async fn shown(self, db: &impl ConnectionTrait, rules: &Rules<'_>) -> Result<Checkout> {
        if self.status == CheckoutStatus::Completed.as_str() {
            let order = self.order(db).await?;
            let mut shown = Checkout {
                currency: order.order.currency.clone(),
                standing: Standing::of_order(&order),
                checkout: self,
                order: Some(order.order),
            };
            shown.standing.messages.clear();
            return Ok(shown);
        }
        let mut standing = self.standing(db, rules, self.customer_id).await?;
        if self.status()? != CheckoutStatus::Open {
            standing.messages.clear();
            standing.shipping_options.clear();
        }
        Ok(self.with(standing, rules))
    }

    /// The order that it has become.
    async fn order(&self, db: &impl ConnectionTrait) -> Result<orders::Order> {
        orders::Model::find_by_checkout(db, &self.token).await
    }

    fn with(self, standing: Standing, rules: &Rules<'_>) -> Checkout {
        Checkout {
            checkout: self,
            currency: rules.sale.currency.to_owned(),
            standing,
            order: None,
        }
    }
}

/// Those of a customer, and those with their email that are nobody's.
fn is_of(customer: &customers::Model) -> Expr {
    let with_email = Column::EmailKey.eq(&customer.email_key);
    let nobodys = with_email.and(Column::CustomerId.is_null());
    Column::CustomerId.eq(customer.id).or(nobodys)
}

impl Item {
    fn of(offer: &products::Offer, quantity: Quantity) -> Self {
        Self {
            product_id: offer.id,
            quantity,
            unit_price_minor: offer.price_minor,
            sku: offer.sku.clone(),
            name: offer.name.clone(),
        }
    }
}

impl Checkout {
    /// Whether it can be completed as it is.
    pub fn is_ready(&self) -> bool {
        let is_open = self
            .checkout
            .status()
            .is_ok_and(|status| status == CheckoutStatus::Open);
        is_open
            && !self
                .standing
                .messages
                .iter()
                .any(|message| message.blocking)
    }
}

fn json_of(address: Option<&PartialAddress>) -> Result<Option<String>> {
    address
        .map(|address| CheckoutAddress::from(address.clone()).json())
        .transpose()
}

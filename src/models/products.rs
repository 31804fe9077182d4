//! Products: what is sold, for how much, and how much of it there is.

mod import;

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ActiveValue::Set,
    Condition, ConnectionTrait, DbBackend, ExprTrait, FromQueryResult, IntoActiveModel,
    QuerySelect, QueryTrait, Select, TryIntoModel,
    entity::prelude::*,
    sea_query::{Expr, Func, IntoCondition, UpdateStatement},
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use self::import::{Identity, Row};
pub use super::_entities::products::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, CacheTag, Error, Result, Transaction,
    error::{FieldError, taken},
    found,
    input::Input,
    listing::{self, Columns, Listing, Page, Sort, SortKey},
    now,
    statement::statement,
    stock_movements::{self, Movement},
    tax_rates,
    types::{
        Description, EventType, Money, MovementKind, ProductName, Reason, Search, Sku, Stock,
        StockDelta, TaxClass, case_fold, search_text, sort_fold,
    },
    update,
};

impl ActiveModelBehavior for ActiveModel {}

/// What a product is created from, or replaced with.
#[derive(Clone, Debug, Input)]
#[input(schema = ProductBody, patch = Changes as ProductPatch)]
pub struct Details {
    /// The stock keeping unit, unique among the products on sale.
    pub sku: Option<Sku>,
    /// The name.
    pub name: ProductName,
    /// The description.
    pub description: Option<Description>,
    /// What one piece costs: a decimal with at most two places, as a string or a number.
    pub price: Money,
    /// How many pieces there are. A stock of `null` is not tracked: the product is always available. When it is
    /// missing, a new product's stock is not tracked, and that of another stays as it is.
    #[input(clearable)]
    pub stock: Option<Option<Stock>>,
    /// The class that it is taxed by: `standard`, `zero`, or that of a tax rate. Without one it is `standard`.
    pub tax_class: Option<TaxClass>,
}

/// A product on sale, as it is ordered.
#[derive(Clone, Debug, Columns)]
pub struct Offer {
    /// The id.
    pub id: i64,
    /// The stock keeping unit.
    pub sku: Option<String>,
    /// The name.
    pub name: String,
    /// What one piece costs.
    pub price_minor: i64,
    /// How many pieces there are, if they are counted.
    pub stock: Option<i64>,
    /// The class that it is taxed by.
    pub tax_class: String,
}

impl Offer {
    /// What one piece costs.
    pub const fn price(&self) -> Money {
        Money::from_minor(self.price_minor)
    }
}

/// Why pieces are taken or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// They are sold, or a sale is undone: receivers of events are told when that was the last piece, or the first.
    Sale,
    /// They are held for a while, or not any more. Of that nobody is told: whoever wants could flood the receivers.
    Hold,
}

/// A change of a product's stock.
#[derive(Clone, Debug, Input)]
#[input(schema = StockAdjustmentBody)]
pub struct Adjustment {
    /// By how many pieces: negative to take some away, and not zero.
    pub delta: StockDelta,
    /// Why.
    pub reason: Reason,
}

/// Which products are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Input)]
pub struct Filter {
    /// Text anywhere in name or SKU, without regard to case and accents.
    pub q: Option<Search>,
    /// The lowest price.
    pub min_price: Option<Money>,
    /// The highest price.
    pub max_price: Option<Money>,
    /// Whether the product can be ordered now.
    pub available: Option<bool>,
}

/// What products are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
    /// The name, without regard to case and accents.
    Name,
    /// The price.
    Price,
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
            Self::Price => Some(Column::PriceMinor),
            Self::CreatedAt => Some(Column::CreatedAt),
        }
    }
}

/// A product as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Columns)]
pub struct Summary {
    /// The id.
    pub id: i64,
    /// The stock keeping unit.
    pub sku: Option<String>,
    /// The name.
    pub name: String,
    /// What one piece costs, in minor units.
    pub price_minor: i64,
    /// How many pieces there are, if that is tracked.
    pub stock: Option<i64>,
    /// The class that it is taxed by.
    pub tax_class: String,
    /// When it was added.
    pub created_at: DateTimeWithTimeZone,
    /// When it last changed.
    pub updated_at: DateTimeWithTimeZone,
}

/// The products on sale: an archived one is not there any more.
fn on_sale() -> Select<Entity> {
    Entity::find().filter(Column::Archived.eq(false))
}

/// That one product is on sale, said so that no index helps and MySQL finds it by its id. By the index of what is on sale it
/// would lock that first and then the product, and deadlock with whoever has locked the product.
fn is_on_sale() -> Expr {
    Expr::cust("CASE WHEN archived THEN 1 ELSE 0 END = 0")
}

impl Model {
    /// The product with that id.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        found(db, on_sale().filter(Column::Id.eq(id))).await
    }

    /// The product with that SKU, in whatever case.
    pub async fn find_by_sku(db: &impl ConnectionTrait, sku: &str) -> Result<Self> {
        found(db, on_sale().filter(Column::SkuKey.eq(case_fold(sku)))).await
    }

    /// The product with that id, locked until the transaction ends.
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<Self> {
        let product = Entity::find_by_id(id).filter(is_on_sale());
        found(txn, product.lock_exclusive()).await
    }

    /// The products with those ids, by id. Those that are not on sale are missing.
    async fn find_all(
        db: &impl ConnectionTrait,
        ids: BTreeSet<i64>,
    ) -> Result<BTreeMap<i64, Self>> {
        let products = on_sale().filter(Column::Id.is_in(ids)).all(db).await?;
        Ok(by_id(products))
    }

    /// The same, as they are ordered.
    pub async fn offers(
        db: &impl ConnectionTrait,
        ids: impl IntoIterator<Item = i64>,
    ) -> Result<BTreeMap<i64, Offer>> {
        let ids: Vec<_> = ids.into_iter().map(Value::from).collect();
        let backend = db.get_database_backend();
        let one = "SELECT id, sku, name, price_minor, stock, tax_class FROM products \
                   WHERE NOT archived AND id";
        let offers = match backend {
            // For what stands in an IN, SQLite makes a table.
            DbBackend::Sqlite => vec![format!("{one} = ?"); ids.len()].join(" UNION ALL "),
            _ => format!("{one} IN ({})", vec!["?"; ids.len()].join(", ")),
        };
        let offers = db.query_all_raw(statement(backend, &offers, ids)).await?;
        let offers = offers.iter().map(|row| {
            let offer = Offer::from_query_result(row, "")?;
            Ok((offer.id, offer))
        });
        offers.collect()
    }

    /// A page of products.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, on_sale(), listing).await
    }

    /// How many products a list has.
    pub async fn count(db: &impl ConnectionTrait, filter: &Filter) -> Result<u64> {
        listing::count(db, on_sale(), filter).await
    }

    /// Adds a product; its stock begins with an `initial` movement.
    ///
    /// # Errors
    /// [`Error::NotUnique`] for the SKU; [`Error::Invalid`] for a tax class without a rate.
    pub async fn create(txn: &Transaction, details: &Details, actor: &Actor) -> Result<Self> {
        Self::check(txn, details.tax_class.as_ref()).await?;
        let product = ActiveModel::new_product(details).insert(txn).await;
        let product = product.map_err(sku_taken())?;
        txn.happened(EventType::ProductCreated, &product);
        product.record_stock(txn, None, actor).await?;
        Ok(product)
    }

    /// Changes some of the product, which has to be locked. Where nothing differs it stays as it is.
    ///
    /// # Errors
    /// Those of [`create`](Self::create).
    pub async fn change(self, txn: &Transaction, changes: &Changes, actor: &Actor) -> Result<Self> {
        Self::check(txn, changes.class()).await?;
        let product = self.clone().into_active_model().assign(changes);
        if self.is_like(&product.clone().try_into_model()?) {
            return Ok(self);
        }
        let product = update(txn, product).await.map_err(sku_taken())?;
        product.has_changed(txn, &self);
        product.record_stock(txn, self.stock, actor).await?;
        Ok(product)
    }

    /// Changes the stock by a number of pieces. The product has to be locked.
    ///
    /// # Errors
    /// [`Error::NotTracked`]; [`Error::InsufficientStock`] when there are not that many;
    /// [`Error::Invalid`] when there would be more than can be counted.
    pub async fn adjust_stock(
        self,
        txn: &Transaction,
        adjustment: &Adjustment,
        actor: &Actor,
    ) -> Result<Self> {
        let (id, delta) = (self.id, adjustment.delta.get());
        let before = self.stock.ok_or(Error::NotTracked)?;
        let after = before + delta;
        if after < 0 {
            let shortage = FieldError::shortage("/delta", id, -delta, before);
            return Err(Error::InsufficientStock(vec![shortage]));
        }
        if Stock::new(after).is_none() {
            let message = "makes more than can be counted";
            return Err(FieldError::at("/delta", "range", message).into());
        }
        let mut product = self.clone().into_active_model();
        product.stock = Set(Some(after));
        product.updated_at = Set(now());
        let product = update(txn, product).await?;
        product.has_changed(txn, &self);
        let movement = Movement {
            product_id: id,
            kind: MovementKind::Adjustment,
            delta,
            reason: Some(adjustment.reason.as_str().to_owned()),
            order_id: None,
            checkout_id: None,
        };
        stock_movements::Model::record(txn, [movement], actor).await?;
        Ok(product)
    }

    /// Takes the product off sale: it is not found any more and its SKU is free; past orders keep what
    /// they showed.
    pub async fn archive(self, txn: &Transaction) -> Result<()> {
        txn.happened(EventType::ProductDeleted, &self);
        let mut product = self.into_active_model();
        product.archived = Set(true);
        (product.sku, product.sku_key) = (Set(None), Set(None));
        product.updated_at = Set(now());
        update(txn, product).await?;
        Ok(())
    }

    /// Takes pieces from tracked stocks, from each as many as are wanted of it, if there are that many.
    /// Answers how many are left of those products; the others are short.
    ///
    /// Conditional updates, in the order of their ids: which rows one statement locks first is for the database to
    /// choose. Where a transaction has the database to itself, what it has read of the products is still so.
    pub async fn take(
        txn: &Transaction,
        wanted: &BTreeMap<i64, i64>,
        read: &BTreeMap<i64, Offer>,
        purpose: Purpose,
    ) -> Result<BTreeMap<i64, i64>> {
        for id in wanted.keys() {
            touch(txn, *id);
        }
        let mut left = BTreeMap::new();
        if txn.get_database_backend() == DbBackend::Sqlite {
            let enough = wanted.iter().filter_map(|(id, quantity)| {
                let left = read.get(id)?.stock? - quantity;
                (left >= 0).then_some((*id, left))
            });
            left.extend(enough);
            let now = now();
            let updates = wanted.iter().map(|(id, quantity)| {
                let sql = "UPDATE products SET stock = stock - ?, updated_at = ? \
                           WHERE id = ? AND NOT archived AND stock >= ?";
                let (id, quantity) = (Value::from(*id), Value::from(*quantity));
                let values = [quantity.clone(), now.into(), id, quantity];
                statement(DbBackend::Sqlite, sql, values)
            });
            if txn.execute_all(updates.collect()).await? != left.len() as u64 {
                return Err(Error::WriteConflict);
            }
        } else {
            for (id, quantity) in wanted {
                let pieces = Expr::col(Column::Stock).sub(*quantity);
                let now = set_stock(txn, *id, has(*quantity), pieces).await?;
                left.extend(now.map(|now| (*id, now)));
            }
        }
        if purpose == Purpose::Sale {
            let sold_out = left.iter().filter(|(_, left)| **left == 0);
            let sold_out = sold_out.map(|(id, _)| *id).collect();
            all_have(txn, EventType::ProductSoldOut, sold_out).await?;
        }
        Ok(left)
    }

    /// Puts pieces back, of each product as many as are said, where the stock is tracked. Answers of which
    /// products it is.
    pub async fn put_back(
        txn: &Transaction,
        returned: &BTreeMap<i64, i64>,
        purpose: Purpose,
    ) -> Result<BTreeSet<i64>> {
        let (mut tracked, mut back_in_stock) = (BTreeSet::new(), BTreeSet::new());
        for (id, quantity) in returned {
            touch(txn, *id);
            let is_tracked = Column::Stock.is_not_null().into_condition();
            let more = Expr::col(Column::Stock).add(*quantity);
            if let Some(stock) = set_stock(txn, *id, is_tracked, more).await? {
                tracked.insert(*id);
                if stock == *quantity && purpose == Purpose::Sale {
                    back_in_stock.insert(*id);
                }
            }
        }
        all_have(txn, EventType::ProductBackInStock, back_in_stock).await?;
        Ok(tracked)
    }

    /// Says which of the products are sold out: the last pieces of them were held, and are sold now.
    pub async fn held_are_sold(
        txn: &Transaction,
        sold: &BTreeMap<i64, i64>,
        read: &BTreeMap<i64, Offer>,
    ) -> Result<()> {
        let is_gone = |id: &&i64| read.get(id).and_then(|offer| offer.stock) == Some(0);
        let sold_out = sold.keys().filter(is_gone).copied().collect();
        all_have(txn, EventType::ProductSoldOut, sold_out).await
    }

    /// Whether one that is on sale is taxed by that class.
    pub async fn have_class(db: &impl ConnectionTrait, class: &str) -> Result<bool> {
        let one = on_sale().filter(Column::TaxClass.eq(class));
        Ok(one.one(db).await?.is_some())
    }

    async fn check(txn: &Transaction, class: Option<&TaxClass>) -> Result<()> {
        let Some(class) = class else {
            return Ok(());
        };
        match tax_rates::Model::refusal_of_class(txn, class.as_str()).await? {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    /// What one piece costs.
    pub const fn price(&self) -> Money {
        Money::from_minor(self.price_minor)
    }

    /// Whether it can be ordered now.
    pub fn is_available(&self) -> bool {
        self.stock.is_none_or(|stock| stock > 0)
    }

    /// Whether it differs from another state of it in no more than the time of its last change.
    fn is_like(&self, other: &Self) -> bool {
        let updated_at = other.updated_at;
        let then = Self {
            updated_at,
            ..self.clone()
        };
        then == *other
    }

    /// Says what has happened to it since it was as `before`.
    fn has_changed(&self, txn: &Transaction, before: &Self) {
        let restocked = Self {
            stock: self.stock,
            ..before.clone()
        };
        txn.happened(
            if restocked.is_like(self) {
                EventType::ProductStockChanged
            } else {
                EventType::ProductUpdated
            },
            self,
        );
        match (before.is_available(), self.is_available()) {
            (true, false) => txn.happened(EventType::ProductSoldOut, self),
            (false, true) => txn.happened(EventType::ProductBackInStock, self),
            _ => {}
        }
    }

    /// Writes what became of the stock into the ledger.
    async fn record_stock(
        &self,
        txn: &Transaction,
        before: Option<i64>,
        actor: &Actor,
    ) -> Result<()> {
        let movement = stock_movements::between(self.id, before, self.stock);
        stock_movements::Model::record(txn, movement, actor).await
    }
}

impl Changes {
    /// The class that it is to be taxed by, if one is said.
    fn class(&self) -> Option<&TaxClass> {
        self.tax_class.as_ref()?.as_ref()
    }
}

impl Summary {
    /// A page of products.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, Self::select(on_sale()), listing).await
    }

    /// Whether it can be ordered now.
    pub fn is_available(&self) -> bool {
        self.stock.is_none_or(|stock| stock > 0)
    }
}

impl listing::Filter for Filter {
    fn condition(&self) -> Condition {
        let available = self.available.map(|available| {
            if available {
                Column::Stock.is_null().or(Column::Stock.gt(0))
            } else {
                Column::Stock.eq(0)
            }
        });
        let (min, max) = (self.min_price, self.max_price);
        Condition::all()
            .add_option(listing::contains(Column::SearchText, self.q.as_ref()))
            .add_option(min.map(|price| Column::PriceMinor.gte(price.minor())))
            .add_option(max.map(|price| Column::PriceMinor.lte(price.minor())))
            .add_option(available)
    }

    fn search(&self) -> Option<&str> {
        self.q.as_ref().map(Search::as_str)
    }

    fn counted_by(&self) -> Option<CacheTag> {
        self.available.is_none().then_some(CacheTag::Assortment)
    }
}

impl ActiveModel {
    fn new_product(details: &Details) -> Self {
        let product = Self {
            sku: Set(None),
            name: Set(String::new()),
            description: Set(None),
            stock: Set(None),
            archived: Set(false),
            ..Default::default()
        };
        let product = product.assign(&details.clone().into());
        Self {
            created_at: product.updated_at.clone(),
            ..product
        }
    }

    /// Sets what is to change, with the folded forms by which lists are sorted and searched.
    fn assign(mut self, changes: &Changes) -> Self {
        if let Some(sku) = &changes.sku {
            self.sku = Set(sku.clone().map(String::from));
        }
        if let Some(name) = &changes.name {
            self.name = Set(name.clone().into());
        }
        if let Some(description) = &changes.description {
            self.description = Set(description.clone().map(String::from));
        }
        if let Some(price) = changes.price {
            self.price_minor = Set(price.minor());
        }
        if let Some(stock) = changes.stock {
            self.stock = Set(stock.map(Stock::get));
        }
        if let Some(tax_class) = &changes.tax_class {
            self.tax_class = Set(tax_rates::class_or_standard(tax_class.as_ref()).to_owned());
        }
        if changes.name.is_some() || changes.sku.is_some() {
            let (name, sku) = (self.name.as_ref(), self.sku.as_ref().as_deref());
            let search_text = search_text(&[name, sku.unwrap_or_default()]);
            self.name_key = Set(sort_fold(name, 600));
            self.sku_key = Set(sku.map(case_fold));
            self.search_text = Set(search_text);
        }
        self.updated_at = Set(now());
        self
    }
}

/// What is true of a product on sale of which there are so many pieces.
fn has(quantity: i64) -> Condition {
    Condition::all()
        .add(is_on_sale())
        .add(Column::Stock.gte(quantity))
}

/// The update that sets the stock of a product if something is true of it.
fn setting(id: i64, condition: Condition, stock: Expr) -> UpdateStatement {
    Entity::update_many()
        .col_expr(Column::Stock, stock)
        .col_expr(Column::UpdatedAt, Expr::value(now()))
        .filter(Column::Id.eq(id))
        .filter(condition)
        .into_query()
}

/// Sets the stock of a product if something is true of it, and answers what it is then.
async fn set_stock(
    txn: &Transaction,
    id: i64,
    condition: Condition,
    stock: Expr,
) -> Result<Option<i64>> {
    if txn.get_database_backend() == DbBackend::MySql {
        // What it is given, it answers with the statement.
        let stock = Func::cust("LAST_INSERT_ID").arg(stock);
        let outcome = txn.execute(&setting(id, condition, stock.into())).await?;
        let stock = i64::try_from(outcome.last_insert_id()).ok();
        return Ok(stock.filter(|_| outcome.rows_affected() == 1));
    }
    let mut update = setting(id, condition, stock);
    let row = txn.query_one(update.returning_col(Column::Stock)).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
}

/// Says the same of several products.
async fn all_have(txn: &Transaction, happened: EventType, ids: BTreeSet<i64>) -> Result<()> {
    if !ids.is_empty() {
        for product in Model::find_all(txn, ids).await?.values() {
            txn.happened(happened, product);
        }
    }
    Ok(())
}

fn by_id(products: Vec<Model>) -> BTreeMap<i64, Model> {
    let products = products.into_iter();
    products.map(|product| (product.id, product)).collect()
}

/// The product has changed, and the list that shows it.
fn touch(txn: &Transaction, id: i64) {
    txn.touch([CacheTag::Products, CacheTag::Product(id)]);
}

fn sku_taken() -> impl Fn(DbErr) -> Error {
    taken("uq_products_sku_key", "/sku", "belongs to another product")
}

//! Products: what is sold, for how much, and how much of it there is.

mod import;

use std::collections::BTreeMap;

use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, ExprTrait, IntoActiveModel, QuerySelect, Select,
    entity::prelude::*, sea_query::Expr,
};

pub use self::import::{Identity, Imported, Row};
pub use super::_entities::products::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, Error, Result, Topic, Transaction,
    error::{BrokenRule, Shortage, taken},
    listing::{self, Listing, Mark, Page, Position, SortKey},
    now,
    stock_movements::{self, Kind, Movement},
    types::{Description, Money, ProductName, Reason, Sku, Stock, StockDelta, fold},
};

impl ActiveModelBehavior for ActiveModel {}

/// What is known of a product.
#[derive(Clone, Debug)]
pub struct Details {
    /// What it is called.
    pub name: ProductName,
    /// What one piece costs.
    pub price: Money,
    /// The stock keeping unit, unique among the products on sale.
    pub sku: Option<Sku>,
    /// What it is.
    pub description: Option<Description>,
    /// How many pieces there are; `None` is not tracked, and always available.
    pub stock: Option<Stock>,
}

/// What is to change of a product: what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What it is called.
    pub name: Option<ProductName>,
    /// What one piece costs.
    pub price: Option<Money>,
    /// The stock keeping unit, or that there is none.
    pub sku: Option<Option<Sku>>,
    /// The description, or that there is none.
    pub description: Option<Option<Description>>,
    /// The number of pieces, or that it is not tracked.
    pub stock: Option<Option<Stock>>,
}

/// A change of the stock, and why.
#[derive(Clone, Debug)]
pub struct Adjustment {
    /// By how many pieces.
    pub delta: StockDelta,
    /// Why.
    pub reason: Reason,
}

/// Which products are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Text that stands anywhere in name or SKU.
    pub q: Option<String>,
    /// The lowest price.
    pub min_price: Option<Money>,
    /// The highest price.
    pub max_price: Option<Money>,
    /// Whether it can be ordered now.
    pub available: Option<bool>,
}

/// What products are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The id.
    Id,
    /// The name, without regard to case.
    Name,
    /// The price.
    Price,
    /// When they were added.
    CreatedAt,
}

impl SortKey<Entity> for Key {
    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::Name => Some(Column::NameKey),
            Self::Price => Some(Column::PriceMinor),
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
            Self::Price => Mark::Number(row.price_minor),
            Self::CreatedAt => Mark::Time(row.created_at),
        };
        Position { mark, id: row.id }
    }
}

/// The products on sale: an archived one is not there any more.
fn on_sale() -> Select<Entity> {
    Entity::find().filter(Column::Archived.eq(false))
}

impl Model {
    /// The product with that id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        on_sale()
            .filter(Column::Id.eq(id))
            .one(db)
            .await?
            .ok_or(Error::NotFound)
    }

    /// The product with that SKU.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn find_by_sku(db: &impl ConnectionTrait, sku: &str) -> Result<Self> {
        on_sale()
            .filter(Column::Sku.eq(sku))
            .one(db)
            .await?
            .ok_or(Error::NotFound)
    }

    /// The product with that id, locked until the transaction ends.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<Self> {
        on_sale()
            .filter(Column::Id.eq(id))
            .lock_exclusive()
            .one(txn)
            .await?
            .ok_or(Error::NotFound)
    }

    /// The products with those ids, by id. Those that are not on sale are missing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_all(
        db: &impl ConnectionTrait,
        ids: impl IntoIterator<Item = i64>,
    ) -> Result<BTreeMap<i64, Self>> {
        let products = on_sale().filter(Column::Id.is_in(ids)).all(db).await?;
        Ok(products
            .into_iter()
            .map(|product| (product.id, product))
            .collect())
    }

    /// A page of products.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<Self>> {
        Ok(listing::fetch(db, listing.filter.apply(on_sale()), listing).await?)
    }

    /// How many products a list has.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count(db: &impl ConnectionTrait, filter: &Filter) -> Result<u64> {
        Ok(filter.apply(on_sale()).count(db).await?)
    }

    /// Adds a product; its stock begins with an `initial` movement.
    ///
    /// # Errors
    /// [`Error::Taken`] for the SKU.
    pub async fn create(txn: &Transaction, details: &Details, actor: &Actor) -> Result<Self> {
        txn.touch([Topic::Products, Topic::Assortment]);
        let product = ActiveModel::new_product(details)
            .insert(txn)
            .await
            .map_err(sku_taken())?;
        product.record_stock(txn, None, actor).await?;
        Ok(product)
    }

    /// Replaces what is known of the product, which has to be locked.
    ///
    /// # Errors
    /// [`Error::Taken`] for the SKU.
    pub async fn replace(
        self,
        txn: &Transaction,
        details: &Details,
        actor: &Actor,
    ) -> Result<Self> {
        touch_assortment(txn, self.id);
        let stock = self.stock;
        let mut product = self.into_active_model();
        product.describe(details);
        let product = product.update(txn).await.map_err(sku_taken())?;
        product.record_stock(txn, stock, actor).await?;
        Ok(product)
    }

    /// Changes some of what is known of the product, which has to be locked.
    ///
    /// # Errors
    /// [`Error::Taken`] for the SKU.
    pub async fn change(self, txn: &Transaction, changes: &Changes, actor: &Actor) -> Result<Self> {
        touch_assortment(txn, self.id);
        let stock = self.stock;
        let product = self
            .into_active_model()
            .changed(changes)
            .update(txn)
            .await
            .map_err(sku_taken())?;
        product.record_stock(txn, stock, actor).await?;
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
            let shortage = Shortage {
                line: None,
                product_id: id,
                requested: -delta,
                available: before,
            };
            return Err(Error::InsufficientStock(vec![shortage]));
        }
        if Stock::new(after).is_none() {
            return Err(Error::Invalid(vec![BrokenRule::at(
                "/delta",
                "range",
                "makes more than can be counted",
            )]));
        }
        touch(txn, id);
        let mut product = self.into_active_model();
        product.stock = Set(Some(after));
        product.updated_at = Set(now());
        let product = product.update(txn).await?;
        let reason = Some(adjustment.reason.as_str().to_owned());
        let movement = Movement {
            product_id: id,
            kind: Kind::Adjustment,
            delta,
            reason,
            order_id: None,
        };
        stock_movements::Model::record(txn, [movement], actor).await?;
        Ok(product)
    }

    /// Takes the product off sale: it is not found any more and its SKU is free; past orders keep what
    /// they showed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn archive(self, txn: &Transaction) -> Result<()> {
        touch_assortment(txn, self.id);
        // Its ledger is not shown any more either.
        txn.touch([Topic::Stock(self.id)]);
        let mut product = self.into_active_model();
        product.archived = Set(true);
        product.sku = Set(None);
        product.updated_at = Set(now());
        product.update(txn).await?;
        Ok(())
    }

    /// Takes `quantity` pieces from a tracked stock, if there are that many: one conditional update,
    /// which the database carries out whole or not at all. Answers whether it did.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take(txn: &Transaction, id: i64, quantity: i64) -> Result<bool> {
        touch(txn, id);
        let taken = Entity::update_many()
            .col_expr(Column::Stock, Expr::col(Column::Stock).sub(quantity))
            .col_expr(Column::UpdatedAt, Expr::value(now()))
            .filter(Column::Id.eq(id))
            .filter(Column::Archived.eq(false))
            .filter(Column::Stock.gte(quantity))
            .exec(txn)
            .await?;
        Ok(taken.rows_affected == 1)
    }

    /// Puts `quantity` pieces back, if the stock is tracked. Answers whether it is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_back(txn: &Transaction, id: i64, quantity: i64) -> Result<bool> {
        touch(txn, id);
        let returned = Entity::update_many()
            .col_expr(Column::Stock, Expr::col(Column::Stock).add(quantity))
            .col_expr(Column::UpdatedAt, Expr::value(now()))
            .filter(Column::Id.eq(id))
            .filter(Column::Stock.is_not_null())
            .exec(txn)
            .await?;
        Ok(returned.rows_affected == 1)
    }

    /// What one piece costs.
    #[must_use]
    pub const fn price(&self) -> Money {
        Money::from_minor(self.price_minor)
    }

    /// Whether it can be ordered now.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.stock.is_none_or(|stock| stock > 0)
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

impl Filter {
    /// What has to change before a list has more products, or fewer.
    #[must_use]
    pub const fn topic(&self) -> Topic {
        match self.available {
            Some(_) => Topic::Products,
            None => Topic::Assortment,
        }
    }

    fn apply(&self, mut select: Select<Entity>) -> Select<Entity> {
        if let Some(q) = &self.q {
            select =
                select.filter(Expr::col(Column::SearchText).like(listing::containing(&fold(q))));
        }
        if let Some(price) = self.min_price {
            select = select.filter(Column::PriceMinor.gte(price.minor()));
        }
        if let Some(price) = self.max_price {
            select = select.filter(Column::PriceMinor.lte(price.minor()));
        }
        match self.available {
            Some(true) => select.filter(
                Condition::any()
                    .add(Column::Stock.is_null())
                    .add(Column::Stock.gt(0)),
            ),
            Some(false) => select.filter(Column::Stock.eq(0)),
            None => select,
        }
    }
}

impl ActiveModel {
    fn new_product(details: &Details) -> Self {
        let mut product = Self {
            archived: Set(false),
            ..Default::default()
        };
        product.describe(details);
        product.created_at = product.updated_at.clone();
        product
    }

    fn describe(&mut self, details: &Details) {
        let sku = details.sku.as_ref().map(Sku::as_str);
        self.price_minor = Set(details.price.minor());
        self.description = Set(details.description.clone().map(String::from));
        self.stock = Set(details.stock.map(Stock::get));
        self.call(details.name.as_str(), sku);
    }

    fn changed(mut self, changes: &Changes) -> Self {
        let (name, sku) = (self.name.as_ref().clone(), self.sku.as_ref().clone());
        if let Some(price) = changes.price {
            self.price_minor = Set(price.minor());
        }
        if let Some(description) = &changes.description {
            self.description = Set(description.clone().map(String::from));
        }
        if let Some(stock) = changes.stock {
            self.stock = Set(stock.map(Stock::get));
        }
        self.call(
            changes
                .name
                .as_ref()
                .map_or(name.as_str(), ProductName::as_str),
            changes
                .sku
                .as_ref()
                .map_or(sku.as_deref(), |sku| sku.as_ref().map(Sku::as_str)),
        );
        self
    }

    /// Names it, with the folded forms that lists are sorted and searched by.
    fn call(&mut self, name: &str, sku: Option<&str>) {
        self.name = Set(name.to_owned());
        self.name_key = Set(fold(name));
        self.sku = Set(sku.map(str::to_owned));
        self.search_text = Set(fold(&[name, sku.unwrap_or_default()].join("\u{1f}")));
        self.updated_at = Set(now());
    }
}

/// The product has changed, and the list that shows it.
fn touch(txn: &Transaction, id: i64) {
    txn.touch([Topic::Products, Topic::Product(id)]);
}

/// The same, and lists may have more products now, or fewer.
fn touch_assortment(txn: &Transaction, id: i64) {
    touch(txn, id);
    txn.touch([Topic::Assortment]);
}

fn sku_taken() -> impl Fn(DbErr) -> Error {
    taken("uq_products_sku", "/sku", "belongs to another product")
}

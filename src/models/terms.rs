//! The terms of the store: its rates, and what they come to for what is bought.

use sea_orm::{ConnectionTrait, EntityTrait};

use super::{
    Result,
    pricing::{self, Basket, Destination, Discount, Shipping, TaxRate, serves},
    products::Offer,
    shipping_rates,
    statement::statement,
    tax_rates,
    types::{Money, Percentage, Quantity},
};

/// The rates, as far as they matter for one destination.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Whether prices, of shipping too, include tax.
    pub prices_include_tax: bool,
    /// Every way of shipping, in the order in which they are offered.
    shipping: Vec<shipping_rates::Model>,
    /// The tax rates of the country, and one of any other, if there are any.
    taxes: Vec<tax_rates::Model>,
    country: Option<String>,
    region: Option<String>,
}

/// What is bought of one product.
#[derive(Clone, Copy, Debug)]
pub struct Goods<'a> {
    /// The product, as it is sold.
    pub offer: &'a Offer,
    /// How many pieces.
    pub quantity: Quantity,
}

impl Terms {
    /// Those of today, for what goes there.
    pub async fn read(
        db: &impl ConnectionTrait,
        prices_include_tax: bool,
        destination: Option<Destination<'_>>,
    ) -> Result<Self> {
        let backend = db.get_database_backend();
        let country = destination.map(|destination| destination.country);
        let shipping = "SELECT * FROM shipping_rates ORDER BY position, id";
        let shipping =
            shipping_rates::Entity::find().from_raw_sql(statement(backend, shipping, []));
        // And any one of them, because it matters whether there is one.
        let taxes =
            "SELECT * FROM tax_rates WHERE country = ? OR id = (SELECT MIN(id) FROM tax_rates)";
        let taxes = statement(backend, taxes, [country.unwrap_or_default().into()]);
        Ok(Self {
            prices_include_tax,
            shipping: shipping.all(db).await?,
            taxes: tax_rates::Entity::find()
                .from_raw_sql(taxes)
                .all(db)
                .await?,
            country: destination.map(|destination| destination.country.to_owned()),
            region: destination
                .and_then(|destination| destination.region)
                .map(str::to_owned),
        })
    }

    /// None: for what an administrator sells as they like, without tax and shipping.
    pub const fn none(prices_include_tax: bool) -> Self {
        Self {
            prices_include_tax,
            shipping: Vec::new(),
            taxes: Vec::new(),
            country: None,
            region: None,
        }
    }

    /// Whether it has to be known where an order goes.
    pub const fn need_address(&self) -> bool {
        !self.taxes.is_empty() || self.need_option()
    }

    /// Whether it is known where it goes.
    pub const fn has_destination(&self) -> bool {
        self.country.is_some()
    }

    /// Whether it has to be known how an order is shipped.
    pub const fn need_option(&self) -> bool {
        !self.shipping.is_empty()
    }

    /// The ways of shipping that serve the destination; before it is known, those that serve every country.
    pub fn options(&self) -> impl Iterator<Item = &shipping_rates::Model> {
        let country = self.country.as_deref().unwrap_or_default();
        let served = move |rate: &&shipping_rates::Model| serves(&rate.destinations(), country);
        self.shipping.iter().filter(served)
    }

    /// The way of shipping with that id, if it serves the destination.
    pub fn option(&self, id: i64) -> Option<&shipping_rates::Model> {
        self.options().find(|rate| rate.id == id)
    }

    /// A way of shipping, as it is calculated with.
    pub fn shipping(&self, rate: &shipping_rates::Model) -> Shipping {
        Shipping {
            price: Money::from_minor(rate.price_minor),
            free_from: rate.free_from_minor.map(Money::from_minor),
            tax_rate: self.tax_rate(&rate.tax_class),
        }
    }

    /// What is bought on these terms.
    pub fn basket<'a>(
        &self,
        goods: impl IntoIterator<Item = Goods<'a>>,
        option: Option<&shipping_rates::Model>,
        discount: Option<Discount>,
    ) -> Basket {
        let line = |goods: Goods<'_>| pricing::Line {
            unit_price: goods.offer.price(),
            quantity: goods.quantity,
            tax_rate: self.tax_rate(&goods.offer.tax_class),
        };
        Basket {
            lines: goods.into_iter().map(line).collect(),
            discount,
            shipping: option.map(|rate| self.shipping(rate)),
            prices_include_tax: self.prices_include_tax,
        }
    }

    fn tax_rate(&self, class: &str) -> Percentage {
        let destination = self.country.as_deref().map(|country| Destination {
            country,
            region: self.region.as_deref(),
        });
        let rates = self.taxes.iter().map(|rate| TaxRate {
            tax_class: &rate.tax_class,
            country: &rate.country,
            region: rate.region.as_deref(),
            rate: Percentage::new(rate.rate_thousandths).unwrap_or_default(),
        });
        pricing::tax_rate(rates, class, destination)
    }
}

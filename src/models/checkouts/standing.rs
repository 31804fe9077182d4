//! How a checkout stands: what it comes to today, and what is missing.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;

use super::{Item, Model, Rules};
use crate::models::{
    Result, discounts,
    orders::{self, applicable},
    pricing::{Basket, Quote, TooMuch},
    products::{self, Offer},
    shipping_rates, tax_rates,
    terms::{Goods, Terms},
    types::{CheckoutAddress, Money, Percentage, Quantity, TaxShare},
};

/// How a checkout stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// What is bought.
    pub lines: Vec<StandingLine>,
    /// How it can be shipped.
    pub shipping_options: Vec<ShippingOption>,
    /// What it comes to.
    pub totals: Totals,
    /// What each rate has taxed.
    pub taxes: Vec<TaxShare>,
    /// Whether prices include tax.
    pub prices_include_tax: bool,
    /// What is not right yet.
    pub messages: Vec<Message>,
}

/// What a checkout comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The goods before the discount.
    pub subtotal: Money,
    /// What the code takes off.
    pub discount: Money,
    /// What shipping costs.
    pub shipping: Money,
    /// The tax.
    pub tax: Money,
    /// What is to be paid.
    pub total: Money,
}

/// What is bought of one product, and what it comes to.
#[derive(Clone, Debug)]
pub struct StandingLine {
    /// The product.
    pub product_id: i64,
    /// Its stock keeping unit.
    pub sku: Option<String>,
    /// What it is called.
    pub name: String,
    /// What one piece costs.
    pub unit_price: Money,
    /// How many pieces.
    pub quantity: i64,
    /// What they cost together.
    pub subtotal: Money,
    /// What the code takes off.
    pub discount: Money,
    /// The tax on them.
    pub tax_rate: Percentage,
    /// How much tax that is.
    pub tax: Money,
    /// Subtotal − discount.
    pub total: Money,
}

/// A way of shipping.
#[derive(Clone, Debug)]
pub struct ShippingOption {
    /// The id of the shipping rate.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it would cost now.
    pub price: Money,
}

/// Something that is not right yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// A stable word for it.
    pub code: &'static str,
    /// A JSON pointer to what it is about.
    pub pointer: String,
    /// A sentence for people.
    pub message: String,
    /// Whether the checkout cannot be completed with it.
    pub blocking: bool,
    /// How many pieces are wanted, and how many there are.
    pub stock: Option<(i64, i64)>,
}

impl Message {
    /// That there are too few pieces.
    pub const OUT_OF_STOCK: &'static str = "out-of-stock";

    fn blocking(
        code: &'static str,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            pointer: pointer.into(),
            message: message.into(),
            blocking: true,
            stock: None,
        }
    }

    fn hint(code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            blocking: false,
            ..Self::blocking(code, pointer, message)
        }
    }
}

/// What a checkout was calculated from, and how it stands.
pub(super) struct Calculated {
    /// How it stands.
    pub standing: Standing,
    /// What it comes to.
    pub quote: Quote,
    /// The products that are on sale.
    pub offers: BTreeMap<i64, Offer>,
    /// How it is shipped.
    pub option: Option<shipping_rates::Model>,
    /// The code that it uses.
    pub discount: Option<discounts::Model>,
}

impl Model {
    /// How it stands, for that customer if they are known: a code may have been used by them before.
    pub(super) async fn standing(
        &self,
        db: &impl ConnectionTrait,
        rules: &Rules<'_>,
        customer_id: Option<i64>,
    ) -> Result<Standing> {
        Ok(self.calculated(db, rules, customer_id).await?.standing)
    }

    /// The same, and what it was calculated from.
    ///
    /// # Errors
    /// When it costs more than an order can hold.
    pub(super) async fn calculated(
        &self,
        db: &impl ConnectionTrait,
        rules: &Rules<'_>,
        customer_id: Option<i64>,
    ) -> Result<Calculated> {
        let items = self.items()?;
        let offers = match items.len() {
            0 => BTreeMap::new(),
            _ => products::Model::offers(db, items.iter().map(|item| item.product_id)).await?,
        };
        let address = self.shipping_to()?;
        let destination = address.as_ref().map(CheckoutAddress::destination);
        let terms = Terms::read(db, rules.sale.prices_include_tax, destination).await?;
        let mut messages = self.about_lines(&items, &offers)?;
        messages.extend(self.about_buyer(address.as_ref(), &terms)?);

        let option = self.shipping_option_id.and_then(|id| terms.option(id));
        messages.extend(self.about_shipping(option.is_some(), &terms));
        // What is not on sale any more is shown as it was.
        let gone: Vec<_> = items.iter().map(Item::as_it_was).collect();
        let goods = items.iter().zip(&gone).map(|(item, gone)| Goods {
            offer: offers.get(&item.product_id).unwrap_or(gone),
            quantity: item.quantity,
        });
        let basket = terms.basket(goods, option, None);
        let (mut discount, mut applied) = (None, None);
        if let Some(code) = &self.discount_code {
            match applicable(db, code, basket.subtotal()?, customer_id).await? {
                Ok((found, takes)) => (discount, applied) = (Some(found), Some(takes)),
                Err(why) => {
                    let message = format!("The code {why}.");
                    messages.push(Message::hint(
                        "code-not-applicable",
                        "/discount_code",
                        message,
                    ));
                }
            }
        }
        let basket = Basket {
            discount: applied,
            ..basket
        };
        let quote = basket.quote()?;
        let standing = Standing {
            lines: lines(&items, &gone, &offers, &quote),
            shipping_options: options(&terms, &basket, &quote)?,
            totals: Totals::from(&quote),
            taxes: quote.taxes.iter().copied().map(TaxShare::from).collect(),
            prices_include_tax: rules.sale.prices_include_tax,
            messages,
        };
        Ok(Calculated {
            standing,
            quote,
            option: option.cloned(),
            offers,
            discount,
        })
    }

    /// Where it goes, as far as that is known.
    pub(super) fn shipping_to(&self) -> Result<Option<CheckoutAddress>> {
        address(self.shipping_address.as_deref())
    }

    /// Where the invoice goes, if that is another address.
    pub(super) fn billed_to(&self) -> Result<Option<CheckoutAddress>> {
        address(self.billing_address.as_deref())
    }

    fn about_lines(&self, items: &[Item], offers: &BTreeMap<i64, Offer>) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        if items.is_empty() {
            let message = "The checkout has no items.";
            messages.push(Message::blocking("items-missing", "/items", message));
        }
        let held = self.held()?;
        for (at, item) in items.iter().enumerate() {
            let pointer = format!("/items/{at}");
            let name = &item.name;
            let Some(offer) = offers.get(&item.product_id) else {
                let message = format!("{name} is not on sale any more.");
                messages.push(Message::blocking("product-gone", pointer, message));
                continue;
            };
            let held = held.get(&item.product_id).copied().unwrap_or_default();
            let (wanted, free) = (item.quantity.get(), offer.stock.map(|stock| stock + held));
            if let Some(available) = free.filter(|free| *free < wanted) {
                let message = format!("There are {available} of {wanted} pieces of {name}.");
                let message = Message::blocking(Message::OUT_OF_STOCK, &pointer, message);
                messages.push(Message {
                    stock: Some((wanted, available)),
                    ..message
                });
            }
            if item.unit_price_minor != offer.price_minor {
                let (before, now) = (Money::from_minor(item.unit_price_minor), offer.price());
                let message = format!("{name} costs {now} now. It was {before}.");
                messages.push(Message::hint("price-changed", pointer, message));
            }
        }
        Ok(messages)
    }

    fn about_buyer(
        &self,
        address: Option<&CheckoutAddress>,
        terms: &Terms,
    ) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        if self.email.is_none() {
            let message = "The email address is missing.";
            messages.push(Message::blocking("email-missing", "/email", message));
        }
        let billing = self.billed_to()?;
        let addresses = [("shipping", address), ("billing", billing.as_ref())];
        for (of, address) in addresses {
            match address {
                None if of == "shipping" && terms.need_address() => {
                    let message = "The shipping address is missing.";
                    let pointer = "/shipping_address";
                    messages.push(Message::blocking("address-missing", pointer, message));
                }
                address => {
                    for field in address.iter().flat_map(|address| address.missing()) {
                        let pointer = format!("/{of}_address/{field}");
                        let message = format!("The {of} address has no {field}.");
                        messages.push(Message::blocking("address-incomplete", pointer, message));
                    }
                }
            }
        }
        Ok(messages)
    }

    fn about_shipping(&self, has_option: bool, terms: &Terms) -> Option<Message> {
        let pointer = "/shipping_option_id";
        match self.shipping_option_id {
            // Where nothing is shipped any more, it does not matter how.
            Some(_) if has_option || !terms.need_option() => None,
            Some(_) => {
                let message = "The shipping option does not serve the address.";
                Some(Message::blocking("shipping-unavailable", pointer, message))
            }
            None if terms.need_option()
                && terms.options().next().is_none()
                && terms.has_destination() =>
            {
                let message = "Nothing is shipped to the address.";
                Some(Message::blocking("shipping-unavailable", pointer, message))
            }
            None if terms.need_option() => {
                let message = "The shipping option is missing.";
                Some(Message::blocking(
                    "shipping-option-missing",
                    pointer,
                    message,
                ))
            }
            None => None,
        }
    }
}

impl Standing {
    /// How a checkout stands that has become that order.
    pub(super) fn of_order(order: &orders::Order) -> Self {
        let line = |item: &crate::models::order_items::Item| StandingLine {
            product_id: item.product_id,
            sku: item.sku.clone(),
            name: item.name.clone(),
            unit_price: item.unit_price,
            quantity: item.quantity,
            subtotal: item.line_total,
            discount: item.discount,
            tax_rate: item.tax_rate,
            tax: item.tax,
            total: item.line_total.minus(item.discount).unwrap_or_default(),
        };
        let lines = order.items.iter().map(line).collect();
        let order = &order.order;
        let taxes = order.taxes.as_deref();
        Self {
            lines,
            shipping_options: Vec::new(),
            totals: Totals {
                subtotal: order.subtotal(),
                discount: Money::from_minor(order.discount_minor),
                shipping: Money::from_minor(order.shipping_minor),
                tax: Money::from_minor(order.tax_minor),
                total: order.total(),
            },
            taxes: taxes
                .and_then(|taxes| serde_json::from_str(taxes).ok())
                .unwrap_or_default(),
            prices_include_tax: order.prices_include_tax,
            messages: Vec::new(),
        }
    }
}

impl From<&Quote> for Totals {
    fn from(quote: &Quote) -> Self {
        Self {
            subtotal: quote.subtotal,
            discount: quote.discount,
            shipping: quote.shipping,
            tax: quote.tax,
            total: quote.total,
        }
    }
}

impl Item {
    /// The product as it was when the line was set. Nothing is known of its tax.
    fn as_it_was(&self) -> Offer {
        Offer {
            id: self.product_id,
            sku: self.sku.clone(),
            name: self.name.clone(),
            price_minor: self.unit_price_minor,
            stock: None,
            tax_class: tax_rates::ZERO.to_owned(),
        }
    }
}

fn lines(
    items: &[Item],
    gone: &[Offer],
    offers: &BTreeMap<i64, Offer>,
    quote: &Quote,
) -> Vec<StandingLine> {
    let lines = items.iter().zip(gone).zip(&quote.lines);
    let line = |((item, gone), quoted): ((&Item, &Offer), &crate::models::pricing::QuotedLine)| {
        let offer = offers.get(&item.product_id).unwrap_or(gone);
        StandingLine {
            product_id: offer.id,
            sku: offer.sku.clone(),
            name: offer.name.clone(),
            unit_price: offer.price(),
            quantity: Quantity::get(item.quantity),
            subtotal: quoted.subtotal,
            discount: quoted.discount,
            tax_rate: quoted.tax_rate,
            tax: quoted.tax,
            total: quoted.total,
        }
    };
    lines.map(line).collect()
}

/// Each way of shipping, and what it would cost now.
fn options(terms: &Terms, basket: &Basket, quote: &Quote) -> Result<Vec<ShippingOption>> {
    let discounted = quote.subtotal.minus(quote.discount).ok_or(TooMuch)?;
    let option = |rate: &shipping_rates::Model| ShippingOption {
        id: rate.id,
        name: rate.name.clone(),
        price: terms.shipping(rate).price_now(discounted, basket.discount),
    };
    Ok(terms.options().map(option).collect())
}

fn address(json: Option<&str>) -> Result<Option<CheckoutAddress>> {
    let address = json.map(serde_json::from_str).transpose();
    Ok(address.map_err(loco_rs::Error::from)?)
}

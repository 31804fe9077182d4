//! The arithmetic of the store: what goods, a discount, shipping and tax come to.
//!
//! It knows no database and no clock: the same [`Basket`] always has the same [`Quote`].
//!
//! - [`tax_rate`]: which rate taxes a product or shipping, by its [`TaxRate`]s and [`Destination`].
//! - [`serves`]: whether a shipping rate serves a country. [`Shipping::price_now`]: what it costs now.
//! - [`Discount`]: what a code takes off. [`reaches`]: whether a subtotal is enough for it.
//! - [`Basket::quote`]: all amounts of a basket, by these rules:
//!
//! 1. The subtotal of a line is its unit price × its quantity.
//! 2. A percentage is taken from each line, rounded half up. An amount, at most the subtotal, is spread over the lines
//!    in proportion to their subtotals. Each gets its share without the fraction of a cent; the cents that are left go
//!    to those with the largest fractions, one each, and of equal ones to the earlier line.
//! 3. The total of a line is its subtotal − its discount, without tax that comes on top.
//! 4. Shipping costs nothing when the discounted subtotal reaches `free_from`, or by a code for free shipping.
//! 5. Each line and shipping are taxed by their own rate, each rounded half up. Tax on top is amount × rate. Where
//!    prices include tax, what is left without it is rounded, and the tax is the rest.
//! 6. Total = subtotal − discount + shipping, + tax where prices do not include it.
//!
//! Amounts are whole minor units: 64-bit, and 128-bit where two of them are multiplied.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    Error,
    error::FieldError,
    types::{Money, Percentage, Quantity, TaxShare, case_fold},
};

/// An amount is larger than an order can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not cost more than an order can hold")]
pub struct TooMuch;

impl From<TooMuch> for Error {
    fn from(too_much: TooMuch) -> Self {
        FieldError::at("/items", "range", too_much.to_string()).into()
    }
}

/// What is bought, and on which terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basket {
    /// What is bought. The order matters only where two lines have an equal claim to a cent of the discount.
    pub lines: Vec<Line>,
    /// What a code takes off.
    pub discount: Option<Discount>,
    /// How it is shipped, once that is known.
    pub shipping: Option<Shipping>,
    /// Whether prices, of shipping too, include tax. Otherwise it comes on top.
    pub prices_include_tax: bool,
}

/// So many pieces of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What one piece costs.
    pub unit_price: Money,
    /// How many.
    pub quantity: Quantity,
    /// The tax on it.
    pub tax_rate: Percentage,
}

/// What a code takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discount {
    /// A part of each line.
    Percentage(Percentage),
    /// An amount, at most the subtotal, from all lines together.
    Amount(Money),
    /// What shipping costs.
    FreeShipping,
}

/// A way of shipping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipping {
    /// What it costs.
    pub price: Money,
    /// The discounted subtotal from which on it costs nothing.
    pub free_from: Option<Money>,
    /// The tax on it.
    pub tax_rate: Percentage,
}

/// All amounts of a basket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The lines of the basket, in its order.
    pub lines: Vec<QuotedLine>,
    /// The goods before the discount: the sum of the lines' subtotals.
    pub subtotal: Money,
    /// The sum of the lines' discounts.
    pub discount: Money,
    /// What shipping costs.
    pub shipping: Money,
    /// The sum of the taxes on the lines and on shipping, each rounded.
    pub tax: Money,
    /// What is to be paid.
    pub total: Money,
    /// What each rate has taxed, the highest rate first.
    pub taxes: Vec<Taxed>,
}

/// The amounts of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotedLine {
    /// Unit price × quantity.
    pub subtotal: Money,
    /// What the discount takes off it.
    pub discount: Money,
    /// Subtotal − discount, without tax that comes on top.
    pub total: Money,
    /// The tax on it.
    pub tax_rate: Percentage,
    /// How much tax that is: part of the total where prices include tax.
    pub tax: Money,
}

/// What one rate has taxed of lines and shipping together.
///
/// A rate of 0 is listed like any other, and a rate that has taxed nothing but 0.00 is not. So all `net` and `tax`
/// together are the total of the quote, and all `tax` its tax. The tax is the sum of the rounded taxes, which may
/// differ by cents from the rate of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taxed {
    /// The rate.
    pub rate: Percentage,
    /// What it has taxed, without the tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
}

impl From<Taxed> for TaxShare {
    fn from(Taxed { rate, net, tax }: Taxed) -> Self {
        Self {
            rate: rate.to_string(),
            net: net.to_string(),
            tax: tax.to_string(),
        }
    }
}

/// Which products a tax rate is for, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaxRate<'a> {
    /// The class of products or of shipping.
    pub tax_class: &'a str,
    /// The code of the country.
    pub country: &'a str,
    /// The state, province or county, if it is not for all of the country.
    pub region: Option<&'a str>,
    /// The rate.
    pub rate: Percentage,
}

/// Where an order goes, as far as tax is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination<'a> {
    /// The code of the country.
    pub country: &'a str,
    /// The state, province or county.
    pub region: Option<&'a str>,
}

/// The rate for a class of products or shipping: that of the region if it has one, otherwise that of the country. It is
/// 0 where there is none, and before the destination is known.
pub fn tax_rate<'a>(
    rates: impl IntoIterator<Item = TaxRate<'a>>,
    tax_class: &str,
    destination: Option<Destination<'_>>,
) -> Percentage {
    let Some(destination) = destination else {
        return Percentage::ZERO;
    };
    let region = destination.region.map(folded);
    let applies = |rate: &TaxRate<'_>| {
        rate.tax_class == tax_class
            && rate.country == destination.country
            && (rate.region.is_none() || rate.region.map(folded) == region)
    };
    let rates = rates.into_iter().filter(applies);
    let rate = rates.max_by_key(|rate| rate.region.is_some());
    rate.map_or(Percentage::ZERO, |rate| rate.rate)
}

/// Whether shipping to these countries, of which `*` is every one, serves that country.
pub fn serves(countries: &[impl AsRef<str>], country: &str) -> bool {
    let mut countries = countries.iter().map(AsRef::as_ref);
    countries.any(|served| served == "*" || served == country)
}

/// Whether a subtotal, before the discount, is as much as a code asks for.
pub fn reaches(subtotal: Money, min_subtotal: Option<Money>) -> bool {
    min_subtotal.is_none_or(|least| subtotal >= least)
}

impl Shipping {
    /// What it costs for goods of that discounted subtotal.
    pub fn price_now(&self, discounted_subtotal: Money, discount: Option<Discount>) -> Money {
        let is_free = discount == Some(Discount::FreeShipping)
            || self
                .free_from
                .is_some_and(|from| discounted_subtotal >= from);
        if is_free {
            Money::default()
        } else {
            self.price
        }
    }
}

impl Basket {
    /// What the goods cost before the discount.
    ///
    /// # Errors
    /// [`TooMuch`].
    pub fn subtotal(&self) -> Result<Money, TooMuch> {
        sum(self.subtotals()?)
    }

    /// All of its amounts.
    ///
    /// # Errors
    /// [`TooMuch`].
    pub fn quote(&self) -> Result<Quote, TooMuch> {
        let subtotals = self.subtotals()?;
        let discounts = self.discounts(&subtotals)?;
        let subtotal = sum(subtotals.iter().copied())?;
        let discount = sum(discounts.iter().copied())?;
        let discounted = subtotal.minus(discount).ok_or(TooMuch)?;

        let mut taxes = Taxes::of(self);
        let mut lines = Vec::with_capacity(self.lines.len());
        for ((line, subtotal), discount) in self.lines.iter().zip(subtotals).zip(discounts) {
            let total = subtotal.minus(discount).ok_or(TooMuch)?;
            lines.push(QuotedLine {
                subtotal,
                discount,
                total,
                tax_rate: line.tax_rate,
                tax: taxes.levy(total, line.tax_rate)?,
            });
        }
        let shipping = match &self.shipping {
            Some(shipping) => {
                let price = shipping.price_now(discounted, self.discount);
                taxes.levy(price, shipping.tax_rate)?;
                price
            }
            None => Money::default(),
        };

        let taxes = taxes.levied();
        let tax = sum(taxes.iter().map(|taxed| taxed.tax))?;
        let on_top = if self.prices_include_tax {
            Money::default()
        } else {
            tax
        };
        Ok(Quote {
            lines,
            subtotal,
            discount,
            shipping,
            tax,
            total: sum([discounted, shipping, on_top])?,
            taxes,
        })
    }

    fn subtotals(&self) -> Result<Vec<Money>, TooMuch> {
        let subtotal = |line: &Line| line.unit_price.times(line.quantity.get()).ok_or(TooMuch);
        self.lines.iter().map(subtotal).collect()
    }

    /// What the discount takes off each line.
    fn discounts(&self, subtotals: &[Money]) -> Result<Vec<Money>, TooMuch> {
        match self.discount {
            Some(Discount::Percentage(rate)) => {
                let off = |line: &Money| part(*line, rate.thousandths(), Percentage::WHOLE);
                subtotals.iter().map(off).collect()
            }
            Some(Discount::Amount(amount)) => spread(amount, subtotals),
            Some(Discount::FreeShipping) | None => Ok(vec![Money::default(); subtotals.len()]),
        }
    }
}

/// What has been taxed so far.
struct Taxes {
    prices_include_tax: bool,
    by_rate: BTreeMap<Percentage, Taxed>,
}

impl Taxes {
    const fn of(basket: &Basket) -> Self {
        Self {
            prices_include_tax: basket.prices_include_tax,
            by_rate: BTreeMap::new(),
        }
    }

    /// The tax on an amount.
    fn levy(&mut self, amount: Money, rate: Percentage) -> Result<Money, TooMuch> {
        let (whole, percent) = (Percentage::WHOLE, rate.thousandths());
        let (net, tax) = if self.prices_include_tax {
            let net = part(amount, whole, whole + percent)?;
            (net, amount.minus(net).ok_or(TooMuch)?)
        } else {
            (amount, part(amount, percent, whole)?)
        };
        if amount > Money::default() {
            let nothing = Taxed {
                rate,
                net: Money::default(),
                tax: Money::default(),
            };
            let taxed = self.by_rate.entry(rate).or_insert(nothing);
            taxed.net = sum([taxed.net, net])?;
            taxed.tax = sum([taxed.tax, tax])?;
        }
        Ok(tax)
    }

    /// What each rate has taxed, the highest first.
    fn levied(self) -> Vec<Taxed> {
        self.by_rate.into_values().rev().collect()
    }
}

/// An amount, at most their sum, spread in proportion to the subtotals by the largest remainder.
fn spread(amount: Money, subtotals: &[Money]) -> Result<Vec<Money>, TooMuch> {
    let subtotal = sum(subtotals.iter().copied())?;
    let amount = i128::from(amount.min(subtotal).minor());
    // Nothing is spread over nothing.
    let whole = i128::from(subtotal.minor()).max(1);
    let claims = subtotals
        .iter()
        .map(|line| amount * i128::from(line.minor()));
    let claims: Vec<_> = claims.collect();
    let mut shares: Vec<_> = claims.iter().map(|claim| claim / whole).collect();
    let left = amount - shares.iter().sum::<i128>();
    let mut by_remainder: Vec<_> = shares.iter_mut().zip(claims).collect();
    // The sort is stable: of equal remainders the earlier line's comes first.
    by_remainder.sort_by_key(|(_, claim)| Reverse(claim % whole));
    for ((share, _), _) in by_remainder.into_iter().zip(0..left) {
        *share += 1;
    }
    shares.into_iter().map(held).collect()
}

/// `amount` × `part` ⁄ `whole`, rounded half up.
fn part(amount: Money, part: i64, whole: i64) -> Result<Money, TooMuch> {
    let doubled = 2 * i128::from(amount.minor()) * i128::from(part);
    let whole = i128::from(whole);
    held((doubled + whole) / (2 * whole))
}

fn sum(amounts: impl IntoIterator<Item = Money>) -> Result<Money, TooMuch> {
    let mut amounts = amounts.into_iter();
    let sum = amounts.try_fold(Money::default(), Money::plus);
    sum.ok_or(TooMuch)
}

fn held(minor: i128) -> Result<Money, TooMuch> {
    let minor = i64::try_from(minor);
    minor.map(Money::from_minor).map_err(|_| TooMuch)
}

/// The form in which regions are compared.
fn folded(region: &str) -> String {
    case_fold(region.trim())
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::models::types::Scalar;

    fn money(text: &str) -> Money {
        Money::parse(text).unwrap()
    }

    fn percent(text: &str) -> Percentage {
        Percentage::parse(text).unwrap()
    }

    fn line(unit_price: &str, quantity: i64, tax_rate: &str) -> Line {
        Line {
            unit_price: money(unit_price),
            quantity: Quantity::new(quantity).unwrap(),
            tax_rate: percent(tax_rate),
        }
    }

    /// One piece of each price, without tax.
    fn priced(prices: &[&str]) -> Basket {
        let lines = prices.iter().map(|price| line(price, 1, "0"));
        Basket {
            lines: lines.collect(),
            prices_include_tax: true,
            ..Basket::default()
        }
    }

    fn shipping(price: &str, free_from: Option<&str>, tax_rate: &str) -> Shipping {
        Shipping {
            price: money(price),
            free_from: free_from.map(money),
            tax_rate: percent(tax_rate),
        }
    }

    fn published(prices_include_tax: bool) -> Quote {
        let basket = Basket {
            lines: vec![
                line("9.99", 3, "19"),
                line("4.99", 1, "7"),
                line("15.00", 2, "19"),
            ],
            discount: Some(Discount::Amount(money("10.00"))),
            shipping: Some(shipping("4.90", None, "19")),
            prices_include_tax,
        };
        basket.quote().unwrap()
    }

    /// A quote line by line: subtotal, discount, total, tax.
    fn table(quote: &Quote) -> Vec<String> {
        let row = |line: &QuotedLine| {
            let QuotedLine {
                subtotal,
                discount,
                total,
                tax,
                ..
            } = line;
            format!("{subtotal} {discount} {total} {tax}")
        };
        quote.lines.iter().map(row).collect()
    }

    /// Its end: subtotal, discount, shipping, tax, total.
    fn totals(quote: &Quote) -> String {
        let Quote {
            subtotal,
            discount,
            shipping,
            tax,
            total,
            ..
        } = quote;
        format!("{subtotal} {discount} {shipping} {tax} {total}")
    }

    /// What each rate has taxed: rate, net, tax.
    fn taxes(quote: &Quote) -> Vec<String> {
        let row = |Taxed { rate, net, tax }: &Taxed| format!("{rate} % {net} {tax}");
        quote.taxes.iter().map(row).collect()
    }

    fn discounts(basket: &Basket, discount: Discount) -> Vec<String> {
        let basket = Basket {
            discount: Some(discount),
            ..basket.clone()
        };
        let lines = basket.quote().unwrap().lines.into_iter();
        lines.map(|line| line.discount.to_string()).collect()
    }

    #[test]
    fn the_published_example_holds_where_prices_include_tax() {
        let quote = published(true);
        let lines = [
            "29.97 4.61 25.36 4.05",
            "4.99 0.77 4.22 0.28",
            "30.00 4.62 25.38 4.05",
        ];
        assert_eq!(table(&quote), lines);
        assert_eq!(totals(&quote), "64.96 10.00 4.90 9.16 59.86");
        assert_eq!(taxes(&quote), ["19 % 46.76 8.88", "7 % 3.94 0.28"]);
    }

    #[test]
    fn the_published_example_holds_where_tax_comes_on_top() {
        let quote = published(false);
        let lines = [
            "29.97 4.61 25.36 4.82",
            "4.99 0.77 4.22 0.30",
            "30.00 4.62 25.38 4.82",
        ];
        assert_eq!(table(&quote), lines);
        assert_eq!(totals(&quote), "64.96 10.00 4.90 10.87 70.73");
        assert_eq!(taxes(&quote), ["19 % 55.64 10.57", "7 % 4.22 0.30"]);
    }

    #[test]
    fn one_off_three_lines_of_one_is_34_33_33_in_whichever_order_they_stand() {
        let rates = ["0", "7", "19"];
        for [a, b, c] in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let basket = Basket {
                lines: [a, b, c].map(|at| line("1.00", 1, rates[at])).into(),
                ..Basket::default()
            };
            let shares = discounts(&basket, Discount::Amount(money("1.00")));
            assert_eq!(shares, ["0.34", "0.33", "0.33"]);
        }
    }

    #[test]
    fn without_terms_a_basket_costs_its_prices_times_its_quantities() {
        for prices_include_tax in [true, false] {
            let basket = Basket {
                lines: vec![line("19.99", 2, "0"), line("0.01", 10_000, "0")],
                prices_include_tax,
                ..Basket::default()
            };
            let quote = basket.quote().unwrap();
            assert_eq!(quote.subtotal, basket.subtotal().unwrap());
            assert_eq!(totals(&quote), "139.98 0.00 0.00 0.00 139.98");
        }
    }

    #[test]
    fn an_empty_basket_costs_what_its_shipping_does() {
        let mut basket = Basket::default();
        let quote = basket.quote().unwrap();
        assert_eq!(totals(&quote), "0.00 0.00 0.00 0.00 0.00");
        assert_eq!(taxes(&quote), [""; 0]);
        basket.discount = Some(Discount::Amount(money("5.00")));
        basket.shipping = Some(shipping("4.90", Some("0.01"), "19"));
        let quote = basket.quote().unwrap();
        assert_eq!(totals(&quote), "0.00 0.00 4.90 0.93 5.83");
    }

    #[test]
    fn a_percentage_is_rounded_half_up_line_by_line() {
        let off = |percentage, prices: &[&str]| {
            let discount = Discount::Percentage(percent(percentage));
            discounts(&priced(prices), discount)
        };
        let each = off("10", &["0.04", "0.05", "0.05", "0.05", "0.14", "0.15"]);
        assert_eq!(each, ["0.00", "0.01", "0.01", "0.01", "0.01", "0.02"]);
        assert_eq!(
            off("100", &["0.01", "19.99", "0"]),
            ["0.01", "19.99", "0.00"]
        );
        assert_eq!(off("50", &["0.01"]), ["0.01"]);
        assert_eq!(off("0.001", &["499.99", "500.00"]), ["0.00", "0.01"]);
        assert_eq!(off("99.999", &["499.99", "500.01"]), ["499.99", "500.00"]);
    }

    #[test]
    fn an_amount_is_never_more_than_the_subtotal() {
        let mut basket = priced(&["1.00", "0", "0.03"]);
        for amount in ["1.03", "1.04", "99999999.99"] {
            let discount = Discount::Amount(money(amount));
            assert_eq!(discounts(&basket, discount), ["1.00", "0.00", "0.03"]);
            basket.discount = Some(discount);
            let quote = basket.quote().unwrap();
            assert_eq!(totals(&quote), "1.03 1.03 0.00 0.00 0.00");
            assert_eq!(taxes(&quote), [""; 0]);
        }
        let nothing = priced(&["0", "0"]);
        let off = Discount::Amount(money("5.00"));
        assert_eq!(discounts(&nothing, off), ["0.00", "0.00"]);
    }

    #[test]
    fn cents_that_are_left_go_to_the_largest_fractions_and_then_to_the_earlier_lines() {
        let off = |amount, prices: &[&str]| {
            let discount = Discount::Amount(money(amount));
            discounts(&priced(prices), discount)
        };
        // 0.25, 0.25 and 0.5 cents.
        assert_eq!(off("0.01", &["1", "1", "2"]), ["0.00", "0.00", "0.01"]);
        // 0.4, 0.8 and 0.8 cents.
        assert_eq!(off("0.02", &["1", "2", "2"]), ["0.00", "0.01", "0.01"]);
        // 0.5 and 1.5 cents, and the same the other way round.
        assert_eq!(off("0.02", &["1", "3"]), ["0.01", "0.01"]);
        assert_eq!(off("0.02", &["3", "1"]), ["0.02", "0.00"]);
        // 0, 0.5, 0 and 0.5 cents.
        assert_eq!(
            off("0.01", &["0", "1", "0", "1"]),
            ["0.00", "0.01", "0.00", "0.00"]
        );
    }

    #[test]
    fn shipping_is_free_from_a_discounted_subtotal_on() {
        let price_now = |subtotal, free_from| {
            let shipping = shipping("4.90", free_from, "19");
            shipping.price_now(money(subtotal), None).to_string()
        };
        assert_eq!(price_now("49.99", Some("50.00")), "4.90");
        assert_eq!(price_now("50.00", Some("50.00")), "0.00");
        assert_eq!(price_now("50.01", Some("50.00")), "0.00");
        assert_eq!(price_now("0", Some("0")), "0.00");
        assert_eq!(price_now("99999999.99", None), "4.90");

        let mut basket = priced(&["50.00"]);
        basket.shipping = Some(shipping("4.90", Some("50.00"), "0"));
        let quote = basket.quote().unwrap();
        assert_eq!(totals(&quote), "50.00 0.00 0.00 0.00 50.00");
        basket.discount = Some(Discount::Amount(money("0.01")));
        let quote = basket.quote().unwrap();
        assert_eq!(totals(&quote), "50.00 0.01 4.90 0.00 54.89");
    }

    #[test]
    fn a_code_for_free_shipping_takes_nothing_off_the_lines() {
        let mut basket = priced(&["50.00"]);
        basket.discount = Some(Discount::FreeShipping);
        basket.shipping = Some(shipping("4.90", None, "19"));
        let quote = basket.quote().unwrap();
        assert_eq!(totals(&quote), "50.00 0.00 0.00 0.00 50.00");
        assert_eq!(taxes(&quote), ["0 % 50.00 0.00"]);
    }

    #[test]
    fn tax_is_rounded_half_up_on_top_and_what_is_left_of_it_where_it_is_contained() {
        let tax = |price, rate, prices_include_tax| {
            let basket = Basket {
                lines: vec![line(price, 1, rate)],
                prices_include_tax,
                ..Basket::default()
            };
            basket.quote().unwrap().tax.to_string()
        };
        assert_eq!(tax("0.50", "19", false), "0.10");
        assert_eq!(tax("0.50", "8.999", false), "0.04");
        assert_eq!(tax("0.50", "9", false), "0.05");
        assert_eq!(tax("500.00", "0.001", false), "0.01");
        assert_eq!(tax("1.01", "100", false), "1.01");
        // Without tax it is 0.505, so 0.51.
        assert_eq!(tax("1.01", "100", true), "0.50");
        assert_eq!(tax("1.19", "19", true), "0.19");
        assert_eq!(tax("0.01", "19", true), "0.00");
        assert_eq!(tax("500.00", "0.001", true), "0.00");
        assert_eq!(tax("0", "19", true), "0.00");
    }

    #[test]
    fn taxes_are_the_sums_of_rounded_taxes_and_leave_out_what_is_nothing() {
        let basket = Basket {
            lines: vec![
                line("0.03", 1, "19"),
                line("1.00", 1, "7"),
                line("0.03", 1, "19"),
                line("5.00", 1, "0"),
                line("0", 1, "8.875"),
            ],
            shipping: Some(shipping("2.00", None, "7")),
            ..Basket::default()
        };
        // 19 % of 0.06 would be 0.01, but of 0.03 each it is 0.01.
        let rows = ["19 % 0.06 0.02", "7 % 3.00 0.21", "0 % 5.00 0.00"];
        let quote = basket.quote().unwrap();
        assert_eq!(taxes(&quote), rows);
        assert_eq!(totals(&quote), "6.06 0.00 2.00 0.23 8.29");
    }

    #[test]
    fn the_largest_order_with_the_highest_tax_is_held() {
        let mut basket = Basket {
            lines: vec![line("99999999.99", 10_000, "100"); 100],
            shipping: Some(shipping("99999999.99", None, "100")),
            ..Basket::default()
        };
        let total = basket.quote().unwrap().total;
        assert_eq!(total.to_string(), "200000199979999.98");
        let amount = Money::from_minor(i64::MAX);
        basket.discount = Some(Discount::Amount(amount));
        let total = basket.quote().unwrap().total;
        assert_eq!(total.to_string(), "199999999.98");
    }

    #[test]
    fn what_an_order_cannot_hold_is_refused() {
        let piece = |minor| Line {
            unit_price: Money::from_minor(minor),
            ..line("0", 1, "100")
        };
        let basket = |lines: &[Line], prices_include_tax| Basket {
            lines: lines.into(),
            prices_include_tax,
            ..Basket::default()
        };
        let most = piece(i64::MAX);
        let pair = Line {
            quantity: Quantity::new(2).unwrap(),
            ..piece(i64::MAX / 2 + 1)
        };
        assert!(basket(&[most], true).quote().is_ok());
        let mut shipped = basket(&[most], true);
        shipped.shipping = Some(shipping("0.01", None, "0"));
        for refused in [
            basket(&[pair], true),
            basket(&[most, piece(1)], true),
            basket(&[most], false),
            basket(&[piece(i64::MAX / 3 * 2)], false),
            shipped,
        ] {
            assert_eq!(refused.quote(), Err(TooMuch), "{refused:?}");
        }
        match Error::from(TooMuch) {
            Error::Invalid(errors) => assert_eq!(
                (errors[0].pointer.as_str(), errors[0].code),
                ("/items", "range")
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_tax_rate_is_that_of_class_and_country_and_rather_that_of_the_region() {
        let rate = |tax_class, country, region, rate| TaxRate {
            tax_class,
            country,
            region,
            rate: percent(rate),
        };
        let rates = [
            rate("standard", "US", Some(" Île de New York "), "8.875"),
            rate("standard", "US", None, "5"),
            rate("reduced", "US", Some("Ohio"), "2"),
            rate("standard", "DE", None, "19"),
            rate("reduced", "DE", None, "7"),
        ];
        let found = |tax_class, country, region| {
            let to = Destination { country, region };
            tax_rate(rates, tax_class, Some(to)).to_string()
        };
        assert_eq!(found("standard", "DE", None), "19");
        assert_eq!(found("standard", "DE", Some("Bayern")), "19");
        assert_eq!(found("reduced", "DE", None), "7");
        assert_eq!(
            found("standard", "US", Some("île DE new YORK\u{a0}")),
            "8.875"
        );
        assert_eq!(found("standard", "US", Some("Ohio")), "5");
        assert_eq!(found("standard", "US", None), "5");
        assert_eq!(found("reduced", "US", Some("OHIO")), "2");
        assert_eq!(found("reduced", "US", Some("Utah")), "0");
        assert_eq!(found("reduced", "US", None), "0");
        assert_eq!(found("zero", "DE", None), "0");
        assert_eq!(found("standard", "FR", None), "0");
        assert_eq!(tax_rate(rates, "standard", None), Percentage::ZERO);
        let backwards = rates.into_iter().rev();
        let to = Destination {
            country: "US",
            region: Some("Île de New York"),
        };
        assert_eq!(tax_rate(backwards, "standard", Some(to)), percent("8.875"));
    }

    #[test]
    fn a_star_serves_every_country() {
        assert!(serves(&["DE", "AT"], "AT"));
        assert!(serves(&["DE", "*"], "FR"));
        assert!(!serves(&["DE", "AT"], "FR"));
        assert!(!serves(&[""; 0], "DE"));
    }

    #[test]
    fn a_code_needs_its_least_subtotal() {
        let least = Some(money("20.00"));
        assert!(!reaches(money("19.99"), least));
        assert!(reaches(money("20.00"), least));
        assert!(reaches(money("0"), None));
    }

    // Any basket.

    fn rate() -> impl Strategy<Value = Percentage> {
        let known = select(vec![0, 1, 7_000, 8_875, 19_000, 99_999, 100_000]);
        prop_oneof![known, 0..=100_000_i64]
            .prop_map(|thousandths| Percentage::new(thousandths).unwrap())
    }

    /// Baskets of up to eight lines at those prices.
    fn baskets(prices: impl Strategy<Value = i64> + Clone) -> impl Strategy<Value = Basket> {
        let prices = prices.prop_map(Money::from_minor);
        let quantity = prop_oneof![1..=4_i64, 1..=10_000_i64];
        let quantity = quantity.prop_map(|quantity| Quantity::new(quantity).unwrap());
        let line =
            (prices.clone(), quantity, rate()).prop_map(|(unit_price, quantity, tax_rate)| Line {
                unit_price,
                quantity,
                tax_rate,
            });
        let discount = prop_oneof![
            rate().prop_map(Discount::Percentage),
            prices.clone().prop_map(Discount::Amount),
            prices.clone().prop_map(Discount::Amount),
            Just(Discount::FreeShipping),
        ];
        let free_from = proptest::option::of(prices.clone());
        let shipping =
            (prices, free_from, rate()).prop_map(|(price, free_from, tax_rate)| Shipping {
                price,
                free_from,
                tax_rate,
            });
        let lines = proptest::collection::vec(line, 0..=8);
        let terms = (
            proptest::option::of(discount),
            proptest::option::of(shipping),
        );
        (lines, terms, any::<bool>()).prop_map(
            |(lines, (discount, shipping), prices_include_tax)| Basket {
                lines,
                discount,
                shipping,
                prices_include_tax,
            },
        )
    }

    /// Prices that a shop can have, most of them so low that cents matter.
    fn prices() -> impl Strategy<Value = i64> + Clone {
        prop_oneof![0..=4_i64, 0..=2_000_i64, 0..=Money::MAX_PRICE.minor()]
    }

    fn shuffled() -> impl Strategy<Value = (Basket, Vec<usize>)> {
        baskets(prices()).prop_flat_map(|basket| {
            let order: Vec<_> = (0..basket.lines.len()).collect();
            (Just(basket), Just(order).prop_shuffle())
        })
    }

    fn cents(amount: Money) -> i128 {
        amount.minor().into()
    }

    fn add(amounts: impl IntoIterator<Item = Money>) -> i128 {
        amounts.into_iter().map(cents).sum()
    }

    /// How many cents of an amount may move to another line of an equal claim, when the order of the lines changes.
    fn movable(basket: &Basket, quote: &Quote) -> i128 {
        let Some(Discount::Amount(_)) = basket.discount else {
            return 0;
        };
        let whole = cents(quote.subtotal).max(1);
        let claim = |line: &QuotedLine| cents(quote.discount) * cents(line.subtotal);
        let mut fractions: Vec<_> = quote.lines.iter().map(|line| claim(line) % whole).collect();
        let left = usize::try_from(fractions.iter().sum::<i128>() / whole).unwrap();
        fractions.sort_unstable();
        fractions.reverse();
        let Some(last) = left.checked_sub(1).map(|at| fractions[at]) else {
            return 0;
        };
        let larger = fractions
            .iter()
            .filter(|fraction| **fraction > last)
            .count();
        let equal = fractions
            .iter()
            .filter(|fraction| **fraction == last)
            .count();
        let given = left - larger;
        i128::try_from(given.min(equal - given)).unwrap()
    }

    /// The same arithmetic, as an accountant would do it by hand: what remains of prices and what they contain is
    /// rounded the other way round, and an amount is dealt out cent by cent, each to the line that lacks most.
    fn by_hand(basket: &Basket) -> (Vec<[i128; 4]>, [i128; 5]) {
        let half_up =
            |top: i128, bottom: i128| top / bottom + i128::from(top % bottom * 2 >= bottom);
        let half_down =
            |top: i128, bottom: i128| top / bottom + i128::from(top % bottom * 2 > bottom);
        let tax = |amount: i128, rate: Percentage| {
            let rate = i128::from(rate.thousandths());
            if basket.prices_include_tax {
                half_down(amount * rate, 100_000 + rate)
            } else {
                half_up(amount * rate, 100_000)
            }
        };
        let subtotal = |line: &Line| cents(line.unit_price) * i128::from(line.quantity.get());
        let subtotals: Vec<_> = basket.lines.iter().map(subtotal).collect();
        let subtotal: i128 = subtotals.iter().sum();
        let mut rows: Vec<_> = subtotals.iter().map(|line| [*line, 0, *line, 0]).collect();
        let (mut is_free, mut off) = (false, 0);
        match basket.discount {
            Some(Discount::Percentage(percentage)) => {
                let rest = 100_000 - i128::from(percentage.thousandths());
                for row in &mut rows {
                    row[2] = half_down(row[0] * rest, 100_000);
                }
            }
            Some(Discount::Amount(amount)) => off = cents(amount).min(subtotal),
            Some(Discount::FreeShipping) => is_free = true,
            None => {}
        }
        for _ in 0..off {
            let lacks = |row: &[i128; 4]| row[0] * off - (row[0] - row[2]) * subtotal;
            let most = rows.iter().map(lacks).max();
            let row = rows
                .iter_mut()
                .find(|row| Some(lacks(row)) == most)
                .unwrap();
            row[2] -= 1;
        }
        let mut totals = [subtotal, 0, 0, 0, 0];
        for (row, line) in rows.iter_mut().zip(&basket.lines) {
            row[1] = row[0] - row[2];
            row[3] = tax(row[2], line.tax_rate);
            totals[1] += row[1];
            totals[3] += row[3];
            totals[4] += row[2];
        }
        if let Some(shipping) = basket.shipping {
            is_free |= shipping
                .free_from
                .is_some_and(|from| totals[4] >= cents(from));
            let price = if is_free { 0 } else { cents(shipping.price) };
            totals[2] = price;
            totals[3] += tax(price, shipping.tax_rate);
            totals[4] += price;
        }
        if !basket.prices_include_tax {
            totals[4] += totals[3];
        }
        (rows, totals)
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole_and_none_is_negative(basket in baskets(prices())) {
            let quote = basket.quote().unwrap();
            let lines = || quote.lines.iter();
            prop_assert_eq!(quote.lines.len(), basket.lines.len());
            prop_assert_eq!(add(lines().map(|line| line.subtotal)), cents(quote.subtotal));
            prop_assert_eq!(add(lines().map(|line| line.discount)), cents(quote.discount));
            for line in lines() {
                prop_assert_eq!(cents(line.total), cents(line.subtotal) - cents(line.discount));
                prop_assert!(line.discount >= Money::default() && line.discount <= line.subtotal);
                prop_assert!(line.tax >= Money::default() && line.tax <= line.total);
            }
            let goods = cents(quote.subtotal) - cents(quote.discount) + cents(quote.shipping);
            let on_top = if basket.prices_include_tax { 0 } else { cents(quote.tax) };
            prop_assert_eq!(cents(quote.total), goods + on_top);
            prop_assert_eq!(add(quote.taxes.iter().map(|taxed| taxed.tax)), cents(quote.tax));
            prop_assert_eq!(add(quote.taxes.iter().flat_map(|taxed| [taxed.net, taxed.tax])), cents(quote.total));
            prop_assert!(quote.taxes.is_sorted_by(|one, next| one.rate > next.rate));
            for Taxed { rate, tax, .. } in &quote.taxes {
                let taxes = lines().filter(|line| line.tax_rate == *rate).map(|line| line.tax);
                let shipped = basket.shipping.is_some_and(|shipping| shipping.tax_rate == *rate);
                prop_assert!(shipped || add(taxes) == cents(*tax));
            }
        }

        #[test]
        fn an_amount_is_spread_to_the_cent_and_no_line_is_passed_over(basket in baskets(prices())) {
            let quote = basket.quote().unwrap();
            if let Some(Discount::Amount(amount)) = basket.discount {
                prop_assert_eq!(quote.discount, amount.min(quote.subtotal));
                let whole = cents(quote.subtotal);
                // What a line is owed exactly, less what it got, in fractions of a cent.
                let owed = |line: &QuotedLine| cents(quote.discount) * cents(line.subtotal) - cents(line.discount) * whole;
                for (at, line) in quote.lines.iter().enumerate() {
                    prop_assert!(owed(line).abs() < whole || owed(line) == 0);
                    for (other_at, other) in quote.lines.iter().enumerate() {
                        if owed(line) > 0 && owed(other) < 0 {
                            let fraction = owed(other) + whole;
                            prop_assert!(fraction > owed(line) || fraction == owed(line) && other_at < at);
                        }
                    }
                }
            }
        }

        #[test]
        fn the_order_of_lines_moves_no_more_than_the_cents_of_equal_claims((basket, order) in shuffled()) {
            let quote = basket.quote().unwrap();
            let lines = order.iter().map(|at| basket.lines[*at]).collect();
            let other = Basket { lines, ..basket }.quote().unwrap();
            prop_assert_eq!(
                (other.subtotal, other.discount, other.shipping),
                (quote.subtotal, quote.discount, quote.shipping)
            );
            let movable = movable(&basket, &quote);
            prop_assert!((cents(other.tax) - cents(quote.tax)).abs() <= movable);
            if basket.prices_include_tax {
                prop_assert_eq!(other.total, quote.total);
            }
            if movable == 0 {
                let lines: Vec<_> = order.iter().map(|at| quote.lines[*at]).collect();
                prop_assert_eq!(other, Quote { lines, ..quote });
            }
        }

        #[test]
        fn it_agrees_with_what_an_accountant_finds_by_hand(mut basket in baskets(prices())) {
            if let Some(Discount::Amount(amount)) = &mut basket.discount {
                // More cents than that are too many to deal out.
                *amount = (*amount).min(money("20.00"));
            }
            let quote = basket.quote().unwrap();
            let row = |line: &QuotedLine| [line.subtotal, line.discount, line.total, line.tax].map(cents);
            let rows: Vec<_> = quote.lines.iter().map(row).collect();
            let totals = [quote.subtotal, quote.discount, quote.shipping, quote.tax, quote.total];
            prop_assert_eq!((rows, totals.map(cents)), by_hand(&basket));
        }

        #[test]
        fn no_amount_makes_it_panic_or_wrap(basket in baskets(prop_oneof![any::<i64>(), 0..=i64::MAX, prices()])) {
            if let Ok(quote) = basket.quote() {
                let on_top = if basket.prices_include_tax { 0 } else { cents(quote.tax) };
                let goods = cents(quote.subtotal) - cents(quote.discount) + cents(quote.shipping);
                prop_assert_eq!(cents(quote.total), goods + on_top);
            }
        }
    }
}

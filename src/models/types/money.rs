//! Money in the store's one currency.

use std::fmt;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    JsonType, RuleViolation, Scalar,
    decimal::{self, Decimal},
    string,
};

const PRICE: Decimal = Decimal {
    places: 2,
    max: Money::MAX_PRICE.0,
    format: "must be a decimal number such as 19.99",
    precision: "must have at most two decimals",
    range: "must be between 0.00 and 99999999.99",
};

/// An amount that is not negative, in whole minor units (cents), never in a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(i64);

/// An amount of money as it is shown: a decimal with two places.
#[derive(Clone, Copy, Debug)]
pub struct Amount;

impl Money {
    /// The highest price: 99,999,999.99.
    pub const MAX_PRICE: Self = Self(9_999_999_999);

    /// An amount from its minor units, as the database holds it.
    pub const fn from_minor(minor: i64) -> Self {
        Self(minor)
    }

    /// The amount in minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// The price of `quantity` pieces, or nothing when it cannot be held.
    pub fn times(self, quantity: i64) -> Option<Self> {
        self.0.checked_mul(quantity).map(Self)
    }

    /// The sum, or nothing when it cannot be held.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or nothing when it would be negative.
    pub fn minus(self, other: Self) -> Option<Self> {
        let rest = self.0.checked_sub(other.0).map(Self);
        rest.filter(|rest| *rest >= Self::default())
    }
}

impl fmt::Display for Money {
    /// `19.99`: a decimal with two places.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A page of orders shows a hundred of them: `write!` would take three times as long.
        let (mut text, mut rest) = ([0; 24], self.0.unsigned_abs());
        let mut start = text.len();
        let mut before = |byte| {
            start -= 1;
            text[start] = byte;
        };
        for place in 0.. {
            if place == 2 {
                before(b'.');
            }
            if place > 2 && rest == 0 {
                break;
            }
            before(b'0' + u8::try_from(rest % 10).unwrap_or_default());
            rest /= 10;
        }
        if self.0 < 0 {
            before(b'-');
        }
        f.write_str(str::from_utf8(&text[start..]).unwrap_or_default())
    }
}

impl Scalar for Money {
    const JSON: JsonType = JsonType::StringOrNumber;

    /// A price between 0.00 and 99,999,999.99, with at most two decimals.
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        PRICE.parse(text).map(Self)
    }

    fn schema() -> Schema {
        decimal::schema(r"^0*[0-9]{1,8}(\.[0-9]{1,2})?$", 99_999_999.99, 0.01)
    }
}

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        string()
            .description(Some("An amount of money: a decimal with two places."))
            .pattern(Some(r"^[0-9]+\.[0-9]{2}$"))
            .into()
    }
}

impl ToSchema for Amount {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> &'static str {
        Money::parse(text).expect_err(text).code
    }

    #[test]
    fn reads_decimals_with_up_to_two_places() {
        let texts = ["0", "0.00", "19.9", "19.99", "007"];
        let minor = texts.map(|text| Money::parse(text).unwrap().minor());
        assert_eq!(minor, [0, 0, 1_990, 1_999, 700]);
        assert_eq!(Money::parse("99999999.99").unwrap(), Money::MAX_PRICE);
    }

    #[test]
    fn names_the_broken_rule() {
        for text in "100000000 100000000.00 -0.01 -1 99999999999999999999999999".split(' ') {
            assert_eq!(code(text), "range", "{text}");
        }
        for text in ["0.001", "19.990"] {
            assert_eq!(code(text), "precision", "{text}");
        }
        for text in "|.|1.|.5|1,5|1e3|+1| 1|--1|NaN|٣|1.2.3|$5".split('|') {
            assert_eq!(code(text), "format", "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_price_survives_being_shown_and_read(minor in 0..=9_999_999_999_i64) {
            let price = Money::from_minor(minor);
            prop_assert_eq!(Money::parse(&price.to_string()).unwrap(), price);
        }

        #[test]
        fn no_text_makes_it_panic_or_leave_its_range(text in "\\PC{0,24}|-?[0-9]{0,22}(\\.[0-9]{0,4})?") {
            if let Ok(price) = Money::parse(&text) {
                prop_assert!((0..=9_999_999_999).contains(&price.minor()));
            }
        }

        #[test]
        fn a_line_is_the_sum_of_its_pieces(minor in 0..=9_999_999_999_i64, quantity in 1..=50_i64) {
            let price = Money::from_minor(minor);
            let sum = (0..quantity).try_fold(Money::default(), |sum, _| sum.plus(price));
            prop_assert_eq!(price.times(quantity), sum);
        }

        #[test]
        fn arithmetic_refuses_to_wrap(minor in (i64::MAX / 2 + 1)..=i64::MAX) {
            let amount = Money::from_minor(minor);
            prop_assert_eq!(amount.plus(amount), None);
            prop_assert_eq!(amount.times(2), None);
            prop_assert_eq!(Money::default().minus(amount), None);
        }
    }
}

//! Percentages: of taxes and of discounts.

use std::fmt;

use utoipa::openapi::Schema;

use super::{
    JsonType, RuleViolation, Scalar,
    decimal::{self, Decimal},
};

const DECIMAL: Decimal = Decimal {
    places: 3,
    max: Percentage::WHOLE,
    format: "must be a decimal number such as 19 or 8.875",
    precision: "must have at most three decimals",
    range: "must be between 0 and 100",
};

/// A percentage from 0 to 100 with up to three decimals, in thousandths of a percent, never in a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(i64);

impl Percentage {
    /// 0 %.
    pub const ZERO: Self = Self(0);

    /// How many thousandths 100 % has.
    pub const WHOLE: i64 = 100_000;

    /// So many thousandths of a percent, as the database holds them, when that is from 0 to 100 %.
    pub fn new(thousandths: i64) -> Option<Self> {
        (0..=Self::WHOLE)
            .contains(&thousandths)
            .then_some(Self(thousandths))
    }

    /// The thousandths of a percent.
    pub const fn thousandths(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Percentage {
    /// `19`, `5.5`, `8.875`: as invoices and laws write it, without noughts at the end. Each value has one spelling.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Scalar for Percentage {
    const JSON: JsonType = JsonType::StringOrNumber;

    fn parse(text: &str) -> Result<Self, RuleViolation> {
        DECIMAL.parse(text).map(Self)
    }

    fn schema() -> Schema {
        let pattern = r"^0*([0-9]{1,2}(\.[0-9]{1,3})?|100(\.0{1,3})?)$";
        decimal::schema(pattern, 100.0, 0.001)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_up_to_three_decimals_and_shows_no_noughts_at_the_end() {
        for (text, thousandths, shown) in [
            ("0", 0, "0"),
            ("0.000", 0, "0"),
            ("0.001", 1, "0.001"),
            ("5.50", 5_500, "5.5"),
            ("007", 7_000, "7"),
            ("8.875", 8_875, "8.875"),
            ("10", 10_000, "10"),
            ("19.0", 19_000, "19"),
            ("100.000", 100_000, "100"),
        ] {
            let percentage = Percentage::parse(text).unwrap();
            assert_eq!(percentage.thousandths(), thousandths);
            assert_eq!(percentage.to_string(), shown);
        }
    }

    #[test]
    fn names_the_broken_rule() {
        let code = |text: &str| Percentage::parse(text).expect_err(text).code;
        for text in "100.001 101 -1 -0.001 99999999999999999999999999".split(' ') {
            assert_eq!(code(text), "range", "{text}");
        }
        for text in ["0.0001", "19.0000"] {
            assert_eq!(code(text), "precision", "{text}");
        }
        for text in "|.|1.|.5|7,5|1e1|+1| 1|19%|19 %|NaN|٣|1.2.3".split('|') {
            assert_eq!(code(text), "format", "{text}");
        }
    }

    #[test]
    fn there_is_none_below_0_or_above_100() {
        assert_eq!(Percentage::new(-1), None);
        assert_eq!(Percentage::new(100_001), None);
        assert_eq!(Percentage::new(0), Some(Percentage::ZERO));
    }

    proptest! {
        #[test]
        fn every_percentage_survives_being_shown_and_read(thousandths in 0..=100_000_i64) {
            let percentage = Percentage::new(thousandths).unwrap();
            prop_assert_eq!(Percentage::parse(&percentage.to_string()).unwrap(), percentage);
        }

        #[test]
        fn no_text_makes_it_panic_or_leave_its_range(text in "\\PC{0,24}|-?[0-9]{0,22}(\\.[0-9]{0,5})?") {
            if let Ok(percentage) = Percentage::parse(&text) {
                prop_assert!((0..=100_000).contains(&percentage.thousandths()));
            }
        }
    }
}

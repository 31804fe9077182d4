//! What a discount takes off, and how much.

use strum::{EnumString, IntoStaticStr, VariantNames};
use utoipa::openapi::Schema;

use super::{
    JsonType, RuleViolation, Scalar,
    decimal::{self, Decimal},
};

const DECIMAL: Decimal = Decimal {
    places: 3,
    max: 99_999_999_990,
    format: "must be a decimal number such as 10 or 7.5",
    precision: "must have at most three decimals",
    range: "must be between 0 and 99999999.99",
};

/// What a discount takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum DiscountKind {
    /// A part of each line.
    Percentage,
    /// An amount from all lines together.
    Amount,
    /// What shipping costs.
    FreeShipping,
}

super::choice!(DiscountKind, "DiscountKind");

/// How much: a percentage or an amount of money, in thousandths, never in a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscountValue(i64);

impl DiscountValue {
    /// The thousandths.
    pub const fn thousandths(self) -> i64 {
        self.0
    }
}

impl Scalar for DiscountValue {
    const JSON: JsonType = JsonType::StringOrNumber;

    fn parse(text: &str) -> Result<Self, RuleViolation> {
        DECIMAL.parse(text).map(Self)
    }

    fn schema() -> Schema {
        decimal::schema(r"^0*[0-9]{1,8}(\.[0-9]{1,3})?$", 99_999_999.99, 0.001)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_up_to_three_decimals() {
        let texts = ["10", "7.5", "0.001", "99999999.99"];
        let values = texts.map(|text| DiscountValue::parse(text).unwrap().thousandths());
        assert_eq!(values, [10_000, 7_500, 1, 99_999_999_990]);
        for (text, code) in [
            ("0.0001", "precision"),
            ("100000000", "range"),
            ("ten", "format"),
        ] {
            assert_eq!(DiscountValue::parse(text).unwrap_err().code, code, "{text}");
        }
    }
}

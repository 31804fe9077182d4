//! Whole numbers within bounds.

use serde::{Deserialize, Serialize};
use utoipa::openapi::{
    Schema,
    schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type},
};

use super::{JsonType, RuleViolation, Scalar};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "i64", try_from = "i64")]
pub struct BoundedInt<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> From<BoundedInt<MIN, MAX>> for i64 {
    fn from(number: BoundedInt<MIN, MAX>) -> Self {
        number.0
    }
}

impl<const MIN: i64, const MAX: i64> TryFrom<i64> for BoundedInt<MIN, MAX> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        Self::new(number).ok_or_else(|| format!("{number} is not between {MIN} and {MAX}"))
    }
}

impl<const MIN: i64, const MAX: i64> BoundedInt<MIN, MAX> {
    /// The number, when it is within the bounds.
    pub fn new(number: i64) -> Option<Self> {
        (MIN..=MAX).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> Scalar for BoundedInt<MIN, MAX> {
    const JSON: JsonType = JsonType::Number;

    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let digits = whole_part(text);
        let unsigned = digits.strip_prefix('-').unwrap_or(digits);
        if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RuleViolation::new("type", "must be a whole number"));
        }
        let number = digits.parse().ok().and_then(Self::new);
        number
            .ok_or_else(|| RuleViolation::new("range", format!("must be between {MIN} and {MAX}")))
    }

    fn schema() -> Schema {
        between(MIN, MAX).into()
    }
}

/// A number without its fraction, if that is nought: JSON Schema counts 3.0 as a whole number, and so do
/// clients that have floats only.
pub(super) fn whole_part(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, rest)) if !rest.is_empty() && rest.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

/// The schema of a whole number, to be narrowed.
pub(super) fn whole_number() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
}

/// The schema of a whole number within bounds.
pub(super) fn between(min: i64, max: i64) -> ObjectBuilder {
    whole_number().minimum(Some(min)).maximum(Some(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        BoundedInt::<1, 10>::parse(text).unwrap_err().code
    }

    #[test]
    fn reads_whole_numbers_within_its_bounds() {
        assert_eq!(BoundedInt::<1, 10>::parse("10").unwrap().get(), 10);
        assert_eq!(BoundedInt::<1, 10>::parse("3.0").unwrap().get(), 3);
        assert_eq!(BoundedInt::<-5, 10>::parse("-5").unwrap().get(), -5);
    }

    #[test]
    fn names_the_broken_rule() {
        for text in "0 11 -1 9223372036854775808 -99999999999999999999".split(' ') {
            assert_eq!(code(text), "range", "{text}");
        }
        for text in ["", "-", "1.5", "1.", "1e1", "x", "+1", "٣"] {
            assert_eq!(code(text), "type", "{text}");
        }
    }
}

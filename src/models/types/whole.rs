//! Whole numbers within bounds.

use super::{JsonType, Scalar, Violation};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whole<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Whole<MIN, MAX> {
    /// The number, when it is within the bounds.
    #[must_use]
    pub fn new(number: i64) -> Option<Self> {
        (MIN..=MAX).contains(&number).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> Scalar for Whole<MIN, MAX> {
    const JSON: JsonType = JsonType::Number;

    fn parse(text: &str) -> Result<Self, Violation> {
        let digits = whole_part(text);
        let out_of_range = || Violation::new("range", format!("must be between {MIN} and {MAX}"));
        let unsigned = digits.strip_prefix('-').unwrap_or(digits);
        if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Violation::new("type", "must be a whole number"));
        }
        digits
            .parse()
            .ok()
            .and_then(Self::new)
            .ok_or_else(out_of_range)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        Whole::<1, 10>::parse(text).unwrap_err().code
    }

    #[test]
    fn reads_whole_numbers_within_its_bounds() {
        assert_eq!(Whole::<1, 10>::parse("10").unwrap().get(), 10);
        assert_eq!(Whole::<1, 10>::parse("3.0").unwrap().get(), 3);
        assert_eq!(Whole::<-5, 10>::parse("-5").unwrap().get(), -5);
    }

    #[test]
    fn names_the_broken_rule() {
        for text in [
            "0",
            "11",
            "-1",
            "9223372036854775808",
            "-99999999999999999999",
        ] {
            assert_eq!(code(text), "range", "{text}");
        }
        for text in ["", "-", "1.5", "1.", "1e1", "x", "+1", "٣"] {
            assert_eq!(code(text), "type", "{text}");
        }
    }
}

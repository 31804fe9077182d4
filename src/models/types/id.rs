//! Ids of rows.

use super::{JsonType, Scalar, Violation};

/// The 64-bit id of a row, which may or may not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub i64);

impl Scalar for Id {
    const JSON: JsonType = JsonType::Number;

    fn parse(text: &str) -> Result<Self, Violation> {
        // `parse` alone would take "+7" and "007" for other spellings of 7.
        match text.parse::<i64>() {
            Ok(id) if id.to_string() == text => Ok(Self(id)),
            _ => Err(Violation::new(
                "type",
                "must be an id, a whole number of 64 bits",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        assert_eq!(Id::parse("7").unwrap(), Id(7));
        assert_eq!(Id::parse("9223372036854775807").unwrap(), Id(i64::MAX));
        for text in ["", "+7", "007", "7.0", "9223372036854775808", "seven", " 7"] {
            assert_eq!(Id::parse(text).unwrap_err().code, "type", "{text}");
        }
    }
}

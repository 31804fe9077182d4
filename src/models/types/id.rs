//! Ids of rows.

use super::{JsonType, Scalar, Violation, whole::whole_part};

/// The 64-bit id of a row, which may or may not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub i64);

impl Scalar for Id {
    const JSON: JsonType = JsonType::Number;

    fn parse(text: &str) -> Result<Self, Violation> {
        let digits = whole_part(text);
        // `parse` alone would take "+7" and "007" for other spellings of 7.
        match digits.parse::<i64>() {
            Ok(id) if id.to_string() == digits => Ok(Self(id)),
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
    fn an_id_has_one_spelling_and_that_of_clients_who_have_floats_only() {
        assert_eq!(Id::parse("7").unwrap(), Id(7));
        assert_eq!(Id::parse("7.0").unwrap(), Id(7));
        assert_eq!(Id::parse("9223372036854775807").unwrap(), Id(i64::MAX));
        for text in [
            "",
            "+7",
            "007",
            "7.",
            "7.5",
            "9223372036854775808",
            "seven",
            " 7",
        ] {
            assert_eq!(Id::parse(text).unwrap_err().code, "type", "{text}");
        }
    }
}

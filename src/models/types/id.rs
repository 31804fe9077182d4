//! Ids of rows: 64-bit integers. The row may or may not exist.

use utoipa::openapi::Schema;

use super::{
    JsonType, RuleViolation, Scalar,
    bounded_int::{whole_number, whole_part},
};

impl Scalar for i64 {
    const JSON: JsonType = JsonType::Number;

    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let digits = whole_part(text);
        // `str::parse` alone would take "+7" and "007" for other spellings of 7.
        match digits.parse::<Self>() {
            Ok(id) if id.to_string() == digits => Ok(id),
            _ => {
                let message = "must be an id, a 64-bit integer";
                Err(RuleViolation::new("type", message))
            }
        }
    }

    fn schema() -> Schema {
        whole_number().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling_and_that_of_clients_who_have_floats_only() {
        let parse = <i64 as Scalar>::parse;
        assert_eq!(parse("7"), Ok(7));
        assert_eq!(parse("7.0"), Ok(7));
        assert_eq!(parse("9223372036854775807"), Ok(i64::MAX));
        for text in "|+7|007|7.|7.5|9223372036854775808|seven| 7".split('|') {
            assert_eq!(parse(text).unwrap_err().code, "type", "{text}");
        }
    }
}

//! Telephone numbers.

use utoipa::openapi::Schema;

use super::{RuleViolation, Scalar, string, text};

text! {
    /// A telephone number as people write it.
    Phone
}

impl Scalar for Phone {
    /// An optional `+`, then 5 to 20 digits with blanks, dots, hyphens and brackets among them.
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let text = text.trim();
        let number = text.strip_prefix('+').unwrap_or(text);
        let digits = number.chars().filter(char::is_ascii_digit).count();
        let well_formed = number
            .chars()
            .all(|c| c.is_ascii_digit() || " ().-".contains(c));
        if !well_formed || !(5..=20).contains(&digits) || text.len() > 40 {
            return Err(RuleViolation::new(
                "format",
                "must be a telephone number: 5 to 20 digits, which may begin with + and contain blanks and ().-",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Schema {
        string()
            .max_length(Some(40))
            .pattern(Some(r"^\+?([ ().-]*[0-9]){5,20}[ ().-]*$"))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_numbers_as_people_write_them() {
        for text in "12345|+49 30 901820|(0)20-7946.0018|+12345678901234567890".split('|') {
            assert_eq!(Phone::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_other_text() {
        let blanks = "1 2 3 4 (((((((((((((((((((((((((((((((((((5";
        for text in "|1234|123456789012345678901|12+345|phone|12345x"
            .split('|')
            .chain([blanks])
        {
            assert_eq!(Phone::parse(text).unwrap_err().code, "format", "{text}");
        }
    }
}

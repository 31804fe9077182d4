//! Telephone numbers.

use utoipa::openapi::Schema;

use super::{RuleViolation, Scalar, string, text};

/// What stands between digits: blanks and dashes of any kind, dots, slashes and brackets.
const BETWEEN: &str = r"\s().\-/\u2010-\u2015\u2212\uFE58\uFE63\uFF0D";

text! {
    /// A telephone number as people write it.
    Phone
}

impl Scalar for Phone {
    /// An optional `+`, then 5 to 20 digits with blanks, dots, slashes, dashes and brackets among them, and an
    /// extension of 1 to 6 digits after `x` or `ext.`. Blanks and dashes of any kind become plain ones. The 40
    /// characters are those that were sent, blanks around them too, as the document says.
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let is_long = text.chars().count() > 40;
        let text: String = text.trim().chars().map(plain).collect();
        let number = text.strip_prefix('+').unwrap_or(&text).to_ascii_lowercase();
        let extended = number.split_once("ext.").or_else(|| number.split_once('x'));
        let (number, extension) = extended.unwrap_or((&number, "0"));
        let extension = extension.trim_start();
        let digits = number.chars().filter(char::is_ascii_digit).count();
        let is_number = number
            .chars()
            .all(|c| c.is_ascii_digit() || " ().-/".contains(c));
        let is_extension =
            (1..=6).contains(&extension.len()) && extension.chars().all(|c| c.is_ascii_digit());
        if !is_number || !is_extension || !(5..=20).contains(&digits) || is_long {
            return Err(RuleViolation::new(
                "format",
                "must be a telephone number: 5 to 20 digits, which may begin with +, contain blanks and ().-/ and \
                 end with an extension such as x12 or ext. 12",
            ));
        }
        Ok(Self(text))
    }

    fn schema() -> Schema {
        string()
            .max_length(Some(40))
            .pattern(Some(format!(
                "^\\s*\\+?([{BETWEEN}]*[0-9]){{5,20}}[{BETWEEN}]*(([xX]|[eE][xX][tT]\\.)\\s*[0-9]{{1,6}})?\\s*$"
            )))
            .into()
    }
}

/// The plain blank or hyphen for one of any kind.
const fn plain(letter: char) -> char {
    match letter {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => '-',
        blank if blank.is_whitespace() => ' ',
        other => other,
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
    fn blanks_and_dashes_of_any_kind_become_plain_ones() {
        for (text, plain) in [
            ("+49\u{202f}30\u{a0}90\u{2010}1820", "+49 30 90-1820"),
            ("030/901820", "030/901820"),
            ("030 901820 x100", "030 901820 x100"),
            ("030 901820 Ext. 7", "030 901820 Ext. 7"),
        ] {
            assert_eq!(Phone::parse(text).unwrap().as_str(), plain);
        }
    }

    #[test]
    fn refuses_other_text() {
        let brackets = "1 2 3 4 (((((((((((((((((((((((((((((((((((5";
        let blanks = format!("+49 30 901820{}", " ".repeat(28));
        for text in "|1234|123456789012345678901|12+345|phone|12345x\
                     |12345 x1234567|12345 ex 1|12345e12|12345x1x2"
            .split('|')
            .chain([brackets, &blanks])
        {
            assert_eq!(Phone::parse(text).unwrap_err().code, "format", "{text}");
        }
    }
}

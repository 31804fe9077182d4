//! Text of a limited length.

use unicode_normalization::UnicodeNormalization;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{RuleViolation, Scalar, string};

/// Something visible, and no control characters.
const ONE_LINE: &str = r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$";

/// No control characters but tabs and the ends of lines.
const LINES: &str = r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$";

/// One line of 1 to `MAX` characters, without blanks around it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SingleLine<const MAX: usize>(String);

/// Any number of lines, up to `MAX` characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiLine<const MAX: usize>(String);

/// Any text at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawText(pub String);

/// The form in which text is compared, sorted and searched: composed (NFC) and in lower case,
/// letter by letter, so that the form of a part is a part of the form.
#[must_use]
pub fn case_fold(text: &str) -> String {
    text.nfc().flat_map(char::to_lowercase).collect()
}

impl<const MAX: usize> SingleLine<MAX> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> MultiLine<MAX> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> From<SingleLine<MAX>> for String {
    fn from(line: SingleLine<MAX>) -> Self {
        line.0
    }
}

impl<const MAX: usize> From<MultiLine<MAX>> for String {
    fn from(prose: MultiLine<MAX>) -> Self {
        prose.0
    }
}

impl<const MAX: usize> Scalar for SingleLine<MAX> {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > MAX {
            return Err(RuleViolation::new(
                "length",
                format!("must have 1 to {MAX} characters"),
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(RuleViolation::new(
                "format",
                "must be one line without control characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<const MAX: usize> Scalar for MultiLine<MAX> {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        if text.chars().count() > MAX {
            return Err(RuleViolation::new(
                "length",
                format!("must have at most {MAX} characters"),
            ));
        }
        // PostgreSQL cannot hold NUL, and nobody means the others.
        if text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        {
            return Err(RuleViolation::new(
                "format",
                "must not contain control characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Scalar for RawText {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        Ok(Self(text.to_owned()))
    }
}

impl<const MAX: usize> PartialSchema for SingleLine<MAX> {
    fn schema() -> RefOr<Schema> {
        string()
            .min_length(Some(1))
            .max_length(Some(MAX))
            .pattern(Some(ONE_LINE))
            .into()
    }
}

impl<const MAX: usize> ToSchema for SingleLine<MAX> {}

impl<const MAX: usize> PartialSchema for MultiLine<MAX> {
    fn schema() -> RefOr<Schema> {
        string().max_length(Some(MAX)).pattern(Some(LINES)).into()
    }
}

impl<const MAX: usize> ToSchema for MultiLine<MAX> {}

impl PartialSchema for RawText {
    fn schema() -> RefOr<Schema> {
        string().into()
    }
}

impl ToSchema for RawText {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_counts_characters_and_not_bytes() {
        assert!(SingleLine::<4>::parse("éééé").is_ok());
        assert_eq!(SingleLine::<4>::parse("eeeee").unwrap_err().code, "length");
    }

    #[test]
    fn a_line_of_blanks_is_empty() {
        assert_eq!(SingleLine::<4>::parse(" \t ").unwrap_err().code, "length");
        assert_eq!(SingleLine::<4>::parse(" a b ").unwrap().as_str(), "a b");
    }

    #[test]
    fn control_characters_are_refused() {
        assert_eq!(SingleLine::<9>::parse("a\0b").unwrap_err().code, "format");
        assert_eq!(SingleLine::<9>::parse("a\nb").unwrap_err().code, "format");
        assert_eq!(MultiLine::<9>::parse("a\0b").unwrap_err().code, "format");
        assert!(MultiLine::<9>::parse("a\r\n\tb").is_ok());
    }

    #[test]
    fn folding_ignores_case_and_composition() {
        assert_eq!(case_fold("CAFE\u{301} ÅRE"), case_fold("café åre"));
        assert_eq!(
            case_fold("ΣΊΣΥΦΟΣ"),
            "σίσυφοσ",
            "no special letter at a word's end"
        );
    }

    proptest! {
        #[test]
        fn folding_stays_within_three_times_the_length(text in "\\PC{0,40}") {
            prop_assert!(case_fold(&text).chars().count() <= 3 * text.chars().count());
        }
    }
}

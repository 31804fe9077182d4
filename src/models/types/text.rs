//! Text of a limited length.

use unicode_normalization::UnicodeNormalization;
use utoipa::openapi::Schema;

use super::{RuleViolation, Scalar, string};

/// Something visible, and no control characters.
const ONE_LINE: &str = r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$";

/// No control characters but tabs and the ends of lines.
const LINES: &str = r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$";

/// Declares a type that holds text: it can be read as it is, and taken out.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident $(<const $max:ident>)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name$(<const $max: usize>)?(String);

        impl$(<const $max: usize>)? $name$(<$max>)? {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl$(<const $max: usize>)? From<$name$(<$max>)?> for String {
            fn from(text: $name$(<$max>)?) -> Self {
                text.0
            }
        }
    };
}
pub(super) use text;

text! {
    /// One line of 1 to `MAX` characters, without blanks around it.
    SingleLine<const MAX>
}

text! {
    /// Any number of lines, up to `MAX` characters.
    MultiLine<const MAX>
}

/// Any text at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawText(pub String);

/// The form in which text is compared, sorted and searched: composed (NFC) and in lower case,
/// letter by letter, so that the form of a part is a part of the form.
pub fn case_fold(text: &str) -> String {
    text.nfc().flat_map(char::to_lowercase).collect()
}

impl<const MAX: usize> Scalar for SingleLine<MAX> {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > MAX {
            let message = format!("must have 1 to {MAX} characters");
            return Err(RuleViolation::new("length", message));
        }
        if text.chars().any(char::is_control) {
            let message = "must be one line without control characters";
            return Err(RuleViolation::new("format", message));
        }
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Schema {
        let schema = string().min_length(Some(1)).max_length(Some(MAX));
        schema.pattern(Some(ONE_LINE)).into()
    }
}

impl<const MAX: usize> Scalar for MultiLine<MAX> {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        if text.chars().count() > MAX {
            let message = format!("must have at most {MAX} characters");
            return Err(RuleViolation::new("length", message));
        }
        // PostgreSQL cannot hold NUL, and the others are never meant.
        let is_refused = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if text.chars().any(is_refused) {
            let message = "must not contain control characters";
            return Err(RuleViolation::new("format", message));
        }
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Schema {
        string().max_length(Some(MAX)).pattern(Some(LINES)).into()
    }
}

impl Scalar for RawText {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Schema {
        string().into()
    }
}

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
        for refused in ["a\0b", "a\nb"].map(SingleLine::<9>::parse) {
            assert_eq!(refused.unwrap_err().code, "format");
        }
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

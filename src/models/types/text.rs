//! Text of a limited length.

use unicode_normalization::UnicodeNormalization;

use super::{Scalar, Violation};

/// One line of 1 to `MAX` characters, without blanks around it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line<const MAX: usize>(String);

/// Any number of lines, up to `MAX` characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prose<const MAX: usize>(String);

/// The form in which text is compared, sorted and searched: composed (NFC) and in lower case,
/// letter by letter, so that the form of a part is a part of the form.
#[must_use]
pub fn fold(text: &str) -> String {
    text.nfc().flat_map(char::to_lowercase).collect()
}

impl<const MAX: usize> Line<MAX> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Prose<MAX> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> From<Line<MAX>> for String {
    fn from(line: Line<MAX>) -> Self {
        line.0
    }
}

impl<const MAX: usize> From<Prose<MAX>> for String {
    fn from(prose: Prose<MAX>) -> Self {
        prose.0
    }
}

impl<const MAX: usize> Scalar for Line<MAX> {
    fn parse(text: &str) -> Result<Self, Violation> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > MAX {
            return Err(Violation::new(
                "length",
                format!("must have 1 to {MAX} characters"),
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(Violation::new(
                "format",
                "must be one line without control characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<const MAX: usize> Scalar for Prose<MAX> {
    fn parse(text: &str) -> Result<Self, Violation> {
        if text.chars().count() > MAX {
            return Err(Violation::new(
                "length",
                format!("must have at most {MAX} characters"),
            ));
        }
        // PostgreSQL cannot hold NUL, and nobody means the others.
        if text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        {
            return Err(Violation::new(
                "format",
                "must not contain control characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_counts_characters_and_not_bytes() {
        assert!(Line::<4>::parse("éééé").is_ok());
        assert_eq!(Line::<4>::parse("eeeee").unwrap_err().code, "length");
    }

    #[test]
    fn a_line_of_blanks_is_empty() {
        assert_eq!(Line::<4>::parse(" \t ").unwrap_err().code, "length");
        assert_eq!(Line::<4>::parse(" a b ").unwrap().as_str(), "a b");
    }

    #[test]
    fn control_characters_are_refused() {
        assert_eq!(Line::<9>::parse("a\0b").unwrap_err().code, "format");
        assert_eq!(Line::<9>::parse("a\nb").unwrap_err().code, "format");
        assert_eq!(Prose::<9>::parse("a\0b").unwrap_err().code, "format");
        assert!(Prose::<9>::parse("a\r\n\tb").is_ok());
    }

    #[test]
    fn folding_ignores_case_and_composition() {
        assert_eq!(fold("CAFE\u{301} ÅRE"), fold("café åre"));
        assert_eq!(
            fold("ΣΊΣΥΦΟΣ"),
            "σίσυφοσ",
            "no special letter at a word's end"
        );
    }

    proptest! {
        #[test]
        fn folding_stays_within_three_times_the_length(text in "\\PC{0,40}") {
            prop_assert!(fold(&text).chars().count() <= 3 * text.chars().count());
        }
    }
}

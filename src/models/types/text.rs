//! Text of a limited length.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use utoipa::openapi::Schema;

use super::{RuleViolation, Scalar, string};

/// Invisible characters of the basic plane, as a pattern has them. Joiners and variation selectors are among them:
/// they are accepted only where scripts and emoji need them, which a pattern cannot say.
macro_rules! invisible {
    () => {
        r"\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u2028-\u202E\u2060-\u206F\u2800\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF9-\uFFFB"
    };
}

/// Something visible, and no invisible characters.
const ONE_LINE: &str = concat!(
    r"^[^\u0000-\u001F\u007F-\u009F",
    invisible!(),
    r"]*[^\s\u0000-\u001F\u007F-\u009F",
    invisible!(),
    r"][^\u0000-\u001F\u007F-\u009F",
    invisible!(),
    r"]*$"
);

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

impl<const MAX: usize> Scalar for SingleLine<MAX> {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let text: String = text.nfc().collect();
        let text = text.trim();
        if text.is_empty() || text.chars().count() > MAX {
            let message = format!("must have 1 to {MAX} characters");
            return Err(RuleViolation::new("length", message));
        }
        if let Some(character) = invisible(text) {
            let code = u32::from(character);
            let message =
                format!("must be one line without invisible characters such as U+{code:04X}");
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
        let text: String = text.nfc().collect();
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
        Ok(Self(text))
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

/// The first invisible character of a text, if there is one.
fn invisible(text: &str) -> Option<char> {
    let letters: Vec<_> = text.chars().collect();
    let beside = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        (
            before.copied().unwrap_or(' '),
            letters.get(at + 1).copied().unwrap_or(' '),
        )
    };
    let is_invisible = |(at, letter): &(usize, &char)| match **letter {
        // Joiners, in emoji and in the scripts that need them.
        '\u{200c}' | '\u{200d}' => {
            let (before, after) = beside(*at);
            !(joins(before) && joins(after))
        }
        // Variation selectors: after a sign or an emoji, or in the emoji of a key, such as 1️⃣.
        '\u{fe00}'..='\u{fe0f}' => {
            let (before, after) = beside(*at);
            !joins(before) && after != '\u{20e3}'
        }
        '\u{e0100}'..='\u{e01ef}' => !joins(beside(*at).0),
        // The letters of a flag.
        '\u{e0020}'..='\u{e007f}' => !letters.contains(&'\u{1f3f4}'),
        // Letters and marks that cannot be seen.
        '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{ffa0}' => true,
        // Numbers' signs of Arabic and Syriac, which are seen.
        '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}' => false,
        other => matches!(
            other.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        ),
    };
    let mut letters_at = letters.iter().enumerate();
    letters_at.find(is_invisible).map(|(_, letter)| *letter)
}

/// Whether a letter may stand beside a joiner: signs and emoji, and scripts east of Greek and Cyrillic. Beside
/// other letters a joiner would make a twin that looks the same.
const fn joins(letter: char) -> bool {
    matches!(letter, '\u{530}'..='\u{1cff}' | '\u{200c}' | '\u{200d}' | '\u{2190}'..='\u{2bff}'
        | '\u{2e80}'..='\u{fe0f}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
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
    fn what_cannot_be_seen_is_refused() {
        let refused = |text: &str| SingleLine::<99>::parse(text).is_err_and(|v| v.code == "format");
        let texts = [
            "a\0b",
            "a\nb",
            "A-1\u{200b}",
            "A-1\u{feff}",
            "A-1\u{2060}",
            "\u{200e}A-1",
            "A-\u{ad}1",
            "A-1\u{2028}B",
            "A\u{200d}1",
            "A-1\u{200d}",
            "A-1\u{fe0f}",
            "A\u{34f}1",
            "\u{200b}",
            "\u{2060}\u{200b}",
            "\u{3164}",
            "\u{2800}",
            "\u{ffa0}",
            "A\u{e0041}",
        ];
        let taken: Vec<_> = texts.into_iter().filter(|text| !refused(text)).collect();
        assert_eq!(taken, [""; 0]);
    }

    #[test]
    fn control_characters_are_refused_in_several_lines_too() {
        assert_eq!(MultiLine::<9>::parse("a\0b").unwrap_err().code, "format");
        assert!(MultiLine::<9>::parse("a\r\n\tb").is_ok());
    }

    #[test]
    fn joiners_and_variants_stay_where_scripts_and_emoji_need_them() {
        let texts = [
            "👩\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}",
            "❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3}",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "葛\u{e0100}",
        ];
        for text in texts {
            assert_eq!(SingleLine::<99>::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn text_is_composed_and_a_line_has_no_blanks_around_it() {
        assert_eq!(
            SingleLine::<9>::parse(" CAFE\u{301}\u{a0}")
                .unwrap()
                .as_str(),
            "CAFÉ"
        );
        assert_eq!(
            MultiLine::<9>::parse(" e\u{301}\n").unwrap().as_str(),
            " é\n"
        );
    }
}

//! Names to log in with.

use utoipa::openapi::Schema;

use super::{RuleViolation, Scalar, string, text};

text! {
    /// A name to log in with: 3 to 64 of `a-z`, `0-9`, `.`, `_` and `-`. Capital letters are folded.
    Username
}

impl Scalar for Username {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let name = text.to_ascii_lowercase();
        let well_formed = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !(3..=64).contains(&name.chars().count()) {
            return Err(RuleViolation::new("length", "must have 3 to 64 characters"));
        }
        if !well_formed {
            let message = "must be made of letters a-z, digits, dot, underscore and hyphen";
            return Err(RuleViolation::new("format", message));
        }
        Ok(Self(name))
    }

    fn schema() -> Schema {
        string()
            .min_length(Some(3))
            .max_length(Some(64))
            .pattern(Some("^[A-Za-z0-9._-]+$"))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_case() {
        let username = Username::parse("Ada.Lovelace").unwrap();
        assert_eq!(username.as_str(), "ada.lovelace");
    }

    #[test]
    fn refuses_look_alikes_and_blanks() {
        for text in ["аda", "ada lovelace", "ada@home", "adа", "naïve", "ada\0"] {
            assert_eq!(Username::parse(text).unwrap_err().code, "format", "{text}");
        }
        for text in ["", "ab", &"a".repeat(65)] {
            assert_eq!(Username::parse(text).unwrap_err().code, "length", "{text}");
        }
    }
}

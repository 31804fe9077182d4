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

/// What a name is made of where an address has nothing for it.
const ANYBODY: &str = "customer";

impl Username {
    /// A name like the local part of an address, with those digits if any are given. Without them there may be none.
    #[must_use]
    pub fn like(email: &str, digits: Option<u32>) -> Option<Self> {
        let (local, _) = email.rsplit_once('@')?;
        let kept = |letter: &char| letter.is_ascii_alphanumeric() || "._-".contains(*letter);
        let local: String = local.chars().filter(kept).take(56).collect();
        match digits {
            None => Self::parse(&local).ok(),
            Some(digits) if local.is_empty() => Self::parse(&format!("{ANYBODY}{digits}")).ok(),
            Some(digits) => Self::parse(&format!("{local}{digits}")).ok(),
        }
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
    fn a_name_is_made_of_an_address() {
        let long = format!("{}@example.com", "a".repeat(64));
        let with_digits = "a".repeat(56) + "999999";
        for (email, plain, with) in [
            (
                "Ada.Lovelace@example.com",
                Some("ada.lovelace"),
                "ada.lovelace999999",
            ),
            ("ada+shop@example.com", Some("adashop"), "adashop999999"),
            ("a@example.com", None, "a999999"),
            ("!!!@example.com", None, "customer999999"),
            (&long, Some(&*"a".repeat(56)), &*with_digits),
        ] {
            let like = |digits| Username::like(email, digits).map(String::from);
            assert_eq!(like(None).as_deref(), plain, "{email}");
            assert_eq!(like(Some(999_999)).as_deref(), Some(with), "{email}");
        }
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

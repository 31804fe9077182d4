//! Email addresses.

use utoipa::openapi::{
    Schema,
    schema::{KnownFormat, SchemaFormat},
};
use validator::ValidateEmail;

use super::{RuleViolation, Scalar, string, text};

/// As HTML's email input takes it, with a local part of at most 64 characters (RFC 5321, 4.5.3.1.1).
const ADDRESS: &str = r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$";

text! {
    /// An email address, as it was typed, with its domain in ASCII (RFC 5891).
    Email
}

impl Scalar for Email {
    /// An address as HTML's email input takes it, of at most 254 characters (RFC 5321, 4.5.3.1.3), whose
    /// dots stand between letters (RFC 5321, 4.1.2), which HTML does not ask for.
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let text = text.trim();
        let too_long = || RuleViolation::new("length", "must have at most 254 characters");
        if text.chars().count() > 254 {
            return Err(too_long());
        }
        let not_an_address = || RuleViolation::new("format", "must be an email address");
        let (local, domain) = text.rsplit_once('@').ok_or_else(not_an_address)?;
        let domain = if domain.is_ascii() {
            domain.to_owned()
        } else {
            idna::domain_to_ascii(domain).map_err(|_| not_an_address())?
        };
        let address = format!("{local}@{domain}");
        if address.chars().count() > 254 {
            return Err(too_long());
        }
        let dots_stand_between = local.split('.').all(|part| !part.is_empty());
        let has_controls = address.chars().any(char::is_control);
        if !address.validate_email() || !dots_stand_between || has_controls {
            return Err(not_an_address());
        }
        Ok(Self(address))
    }

    fn schema() -> Schema {
        string()
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
            .max_length(Some(254))
            .pattern(Some(ADDRESS))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_typed() {
        assert_eq!(
            Email::parse(" Ada@Example.com ").unwrap().as_str(),
            "Ada@Example.com"
        );
    }

    #[test]
    fn a_domain_has_one_form() {
        for text in [
            "ada@münchen.example",
            "ada@MÜNCHEN.example",
            "ada@xn--mnchen-3ya.example",
            "ada@mu\u{308}nchen.example",
        ] {
            assert_eq!(
                Email::parse(text).unwrap().as_str(),
                "ada@xn--mnchen-3ya.example"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        let texts = "|ada|ada@|@example.com|a da@example.com|ada@exa mple.com|ada@example.com\0\
                     |.ada@example.com|ada.@example.com|a..da@example.com";
        for text in texts.split('|') {
            assert_eq!(Email::parse(text).unwrap_err().code, "format", "{text}");
        }
        let long = format!("{}@example.com", "a".repeat(260));
        assert_eq!(Email::parse(&long).unwrap_err().code, "length");
    }
}

//! Codes that are sent by mail: who has one reads the mails to that address.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use strum::{Display, EnumString, IntoStaticStr, VariantNames};
use utoipa::openapi::Schema;

use super::{RuleViolation, Scalar, string};
use crate::models::{Error, error::FieldError};

/// A code, or what somebody has sent for one. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

/// What a code is good for. One kind is never good for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum CodeKind {
    /// To register.
    Registration,
    /// To set a new password.
    PasswordReset,
    /// To move an account to another address.
    EmailChange,
}

super::choice!(CodeKind, "CodeKind");

impl Code {
    /// A new one: 256 random bits, in base64url.
    #[must_use]
    pub fn generated() -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
    }

    /// The one with that text.
    #[must_use]
    pub const fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The code in the clear, for its mail.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it: SHA-256. It is too random to be guessed, so no slower digest is needed, nor a key.
    #[must_use]
    pub fn digest(&self) -> String {
        format!("{:x}", Sha256::digest(&self.0))
    }

    /// What is said of every code that does not work, whatever the reason.
    #[must_use]
    pub fn refused() -> Error {
        let message = "must be from a mail of the last hours, and not used yet";
        FieldError::at("/token", "invalid", message).into()
    }
}

impl Scalar for Code {
    /// Any text may be tried: which codes there can be is not for strangers to learn.
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Schema {
        string().into()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_256_random_bits_and_is_not_printed() {
        let code = Code::generated();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(code.reveal()).unwrap();
        assert_eq!(bytes.len(), 32);
        assert_ne!(code, Code::generated());
        assert_eq!(format!("{code:?}"), "Code(..)");
    }

    #[test]
    fn its_digest_is_sha_256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Code::from_text("abc".to_owned()).digest(), expected);
    }
}

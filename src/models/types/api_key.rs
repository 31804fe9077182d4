//! API keys in the clear: how they are made, and how they are told from other tokens.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{
    KeyKind,
    base62::{base62, is_base62},
};

/// How many random bytes a key has.
const BYTES: usize = 32;

/// How many digits they take: 62^43 is more than 2^256.
const RANDOM: usize = 43;

/// How many digits the checksum takes: 62^6 is more than 2^32.
const CHECKSUM: usize = 6;

/// How many characters say which kind of key it is.
const MARK: usize = 3;

/// How many characters of a key its owner is shown.
const SHOWN: usize = 8;

/// A key: its kind, 32 random bytes and a checksum, such as
/// `sk_0qV…`. It cannot be printed.
///
/// The checksum tells a key that was mistyped or cut off from one that was deleted, without a look-up, and lets
/// programs that search for secrets be certain that they have found one.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A new one, at random.
    #[must_use]
    pub fn generated(kind: KeyKind) -> Self {
        Self::of(kind, rand::random())
    }

    fn of(kind: KeyKind, random: [u8; BYTES]) -> Self {
        let mut key = kind.mark().to_owned();
        key.push_str(&base62(random, RANDOM));
        let checksum = checksum(key.as_bytes());
        key.push_str(&checksum);
        Self(key)
    }

    /// Whether a token is meant to be a key, and no account's token.
    #[must_use]
    pub fn is_meant_by(token: &str) -> bool {
        token.starts_with(KeyKind::Publishable.mark()) || token.starts_with(KeyKind::Secret.mark())
    }

    /// The key that a token is, unless it was mistyped or cut off.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        let (key, sum) = token.split_at_checked(MARK + RANDOM)?;
        let digits = key.as_bytes().get(MARK..)?;
        let is_key =
            Self::is_meant_by(token) && is_base62(digits) && sum == checksum(key.as_bytes());
        is_key.then(|| Self(token.to_owned()))
    }

    /// What is stored of it: SHA-256, in hexadecimal. A password needs a slow digest with salt, because it can be
    /// guessed; of 256 random bits nobody guesses any.
    #[must_use]
    pub fn digest(&self) -> String {
        format!("{:x}", Sha256::digest(&self.0))
    }

    /// Its beginning, by which its owner knows it.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.0.get(..SHOWN).unwrap_or_default()
    }

    /// The key in the clear, to show to its owner once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

/// The checksum of the beginning of a key: CRC-32 (IEEE 802.3).
fn checksum(key: &[u8]) -> String {
    base62(crc32fast::hash(key).to_be_bytes(), CHECKSUM)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::base62::DIGITS, *};

    /// Made by another program, from the same bytes.
    const KNOWN: &str = "sk_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf3WINfG";

    fn counted() -> [u8; BYTES] {
        std::array::from_fn(|at| u8::try_from(at).unwrap())
    }

    #[test]
    fn a_key_is_what_another_program_makes_of_the_same_bytes() {
        let key = ApiKey::of(KeyKind::Secret, counted());
        assert_eq!(key.reveal(), KNOWN);
        assert_eq!(key.prefix(), &KNOWN[..8]);
        assert_eq!(
            key.digest(),
            "dcc60bfaa155b8b801e71d35083e8e45328bbf5519f8ab456435c45ddfb715ac"
        );
    }

    #[test]
    fn the_smallest_and_the_largest_have_the_same_length() {
        for byte in [0, 255] {
            let key = ApiKey::of(KeyKind::Publishable, [byte; BYTES]);
            assert_eq!(key.reveal().len(), 52);
            assert_eq!(ApiKey::parse(key.reveal()), Some(key));
        }
    }

    #[test]
    fn no_two_keys_are_the_same_and_none_is_printed() {
        let (one, other) = (
            ApiKey::generated(KeyKind::Secret),
            ApiKey::generated(KeyKind::Secret),
        );
        assert_ne!(one, other);
        assert!(one.reveal().starts_with("sk_"));
        assert_eq!(format!("{one:?}"), "ApiKey(..)");
    }

    #[test]
    fn what_is_cut_off_or_longer_or_of_another_kind_is_no_key() {
        let other_kind = KNOWN.replace("sk_", "pk_");
        let signed = format!("{}-{}", &KNOWN[..20], &KNOWN[21..]);
        for token in [
            "",
            "sk_",
            &KNOWN[..51],
            &format!("{KNOWN}0"),
            &format!(" {KNOWN}"),
            &other_kind,
            &signed,
            &"é".repeat(26),
            &format!("sk_{}", "é".repeat(25)),
            "eyJhbGciOiJIUzUxMiJ9.e30.c2ln",
        ] {
            assert_eq!(ApiKey::parse(token), None, "{token}");
        }
    }

    proptest! {
        #[test]
        fn a_key_with_one_wrong_character_is_none(random: [u8; BYTES], at in 0_usize..52, digit in 0_usize..62) {
            let key = ApiKey::of(KeyKind::Publishable, random);
            let mut wrong = key.reveal().to_owned();
            wrong.replace_range(at..=at, &char::from(DIGITS[digit]).to_string());
            let parsed = ApiKey::parse(&wrong);
            prop_assert_eq!(parsed.is_some(), wrong == key.reveal());
        }

        #[test]
        fn no_token_makes_it_panic(token in "\\PC{0,60}") {
            let _ = ApiKey::parse(&token);
        }
    }
}

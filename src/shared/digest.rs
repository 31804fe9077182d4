//! Names for what should not be read where it is stored: in Redis, in the log.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256, Sha512};

/// A keyed digest (HMAC-SHA-256, RFC 2104). Without the key it cannot be tried which text it stands for.
#[derive(Clone)]
pub struct Digest(Hmac<Sha256>);

impl Digest {
    /// The digest whose key is derived from the secret, for one purpose. Another purpose has another key.
    #[must_use]
    pub fn keyed(secret: &str, purpose: &str) -> Self {
        let key = Sha512::new()
            .chain_update(purpose)
            .chain_update([0])
            .chain_update(secret)
            .finalize();
        Self(<Hmac<Sha256> as hmac::digest::KeyInit>::new(&key))
    }

    /// What stands for the text: 32 hexadecimal digits.
    #[must_use]
    pub fn of(&self, text: &str) -> String {
        let tag = self.0.clone().chain_update(text).finalize().into_bytes();
        format!("{tag:x}").chars().take(32).collect()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_depends_on_the_text_the_secret_and_the_purpose() {
        let digest = Digest::keyed("secret", "log");
        assert_eq!(digest.of("ada"), Digest::keyed("secret", "log").of("ada"));
        assert_eq!(digest.of("ada").len(), 32);
        assert_ne!(digest.of("ada"), digest.of("bob"));
        assert_ne!(digest.of("ada"), Digest::keyed("other", "log").of("ada"));
        assert_ne!(digest.of("ada"), Digest::keyed("secret", "keys").of("ada"));
    }
}

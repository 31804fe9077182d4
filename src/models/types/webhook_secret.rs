//! The secrets that webhooks are signed with; and how they and codes are stored.

use std::{fmt, iter};

use base64::{Engine, prelude::BASE64_STANDARD};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Nonce, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;

use super::Code;

/// How many bytes a secret has: Standard Webhooks 1.0 takes 24 to 64.
const LENGTH: usize = 24;

/// How many bytes a nonce has (RFC 8439, 2.8).
const NONCE: usize = 12;

/// What the key of sealed secrets is for: another label would derive an unrelated key.
const LABEL: &[u8] = b"boxcar webhook secrets";

/// What is sealed along with a secret: nothing. What was sealed with one cannot be opened with the other.
const WITH_SECRET: &[u8] = b"";

/// What is sealed along with a code.
const WITH_CODE: &[u8] = b"code";

/// A secret that an endpoint shares with the store. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret([u8; LENGTH]);

impl WebhookSecret {
    /// A new one, at random.
    #[must_use]
    pub fn generated() -> Self {
        Self(rand::random())
    }

    /// The secret in the clear, to show to its owner once: `whsec_` and base64 (Standard Webhooks 1.0, "Signature
    /// scheme").
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("whsec_{}", BASE64_STANDARD.encode(self.0))
    }

    /// The key of the signature.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

/// Seals secrets for the database, and opens them again: who has a copy of the database cannot sign. The same for codes
/// that are yet to be mailed.
///
/// ChaCha20-Poly1305 (RFC 8439) with a nonce at random: an endpoint is sealed a few times in its life, and a nonce may
/// be expected to repeat after 2^48. A sealed secret is not bound to its row, whose id is not known before it is
/// inserted: who can write one row's secret into another can write its URL too.
#[derive(Clone)]
pub struct Sealer(Vec<ChaCha20Poly1305>);

impl Sealer {
    /// Under keys that are derived (HKDF, RFC 5869, with SHA-256) from the store's secret and the one before it, and
    /// never stored.
    ///
    /// # Errors
    /// When a secret is not base64.
    pub fn keyed_with(secret: &str, previous: Option<&str>) -> loco_rs::Result<Self> {
        let secrets = iter::once(secret).chain(previous);
        Ok(Self(secrets.map(derived).collect::<Result<_, _>>()?))
    }

    /// The text to store, in base64: the nonce, the cipher text, the tag. Under the current secret.
    ///
    /// # Errors
    /// Never in practice: the cipher refuses only what is longer than 256 GB.
    pub fn seal(&self, secret: &WebhookSecret) -> loco_rs::Result<String> {
        self.sealed(secret.as_bytes(), WITH_SECRET)
    }

    /// The same of a code.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn seal_code(&self, code: &Code) -> loco_rs::Result<String> {
        self.sealed(code.reveal().as_bytes(), WITH_CODE)
    }

    /// The code in a stored text, as [`open`](Self::open) does.
    #[must_use]
    pub fn open_code(&self, sealed: &str) -> Option<Code> {
        let (_, code) = self.opened(sealed, WITH_CODE)?;
        String::from_utf8(code).ok().map(Code::from_text)
    }

    fn sealed(&self, msg: &[u8], aad: &[u8]) -> loco_rs::Result<String> {
        let nonce: [u8; NONCE] = rand::random();
        let seal =
            |cipher: &ChaCha20Poly1305| cipher.encrypt(nonce_of(&nonce), Payload { msg, aad });
        let sealed = self.0.first().and_then(|cipher| seal(cipher).ok());
        let sealed =
            sealed.ok_or_else(|| loco_rs::Error::Message("a secret was not sealed".to_owned()))?;
        Ok(BASE64_STANDARD.encode([nonce.as_slice(), sealed.as_slice()].concat()))
    }

    /// The secret in a stored text, sealed under the current secret of the store or the one before it. `None` when it
    /// was sealed under neither, or was changed.
    #[must_use]
    pub fn open(&self, sealed: &str) -> Option<WebhookSecret> {
        self.opened_secret(sealed).map(|(_, secret)| secret)
    }

    /// Seals anew what is not sealed under the current secret of the store, so that the one before it can be
    /// forgotten. `None` when there is nothing to do, or nothing that can be done.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn reseal(&self, sealed: &str) -> loco_rs::Result<Option<String>> {
        match self.opened_secret(sealed) {
            Some((key, secret)) if key > 0 => self.seal(&secret).map(Some),
            _ => Ok(None),
        }
    }

    /// The secret, and which key has opened it.
    fn opened_secret(&self, sealed: &str) -> Option<(usize, WebhookSecret)> {
        let (key, secret) = self.opened(sealed, WITH_SECRET)?;
        Some((key, WebhookSecret(secret.try_into().ok()?)))
    }

    fn opened(&self, sealed: &str, aad: &[u8]) -> Option<(usize, Vec<u8>)> {
        let sealed = BASE64_STANDARD.decode(sealed).ok()?;
        let (nonce, msg) = sealed.split_first_chunk::<NONCE>()?;
        self.0.iter().enumerate().find_map(|(key, cipher)| {
            let payload = Payload { msg, aad };
            Some((key, cipher.decrypt(nonce_of(nonce), payload).ok()?))
        })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

fn nonce_of(nonce: &[u8; NONCE]) -> &Nonce<ChaCha20Poly1305> {
    nonce.into()
}

/// The cipher under a secret of the store.
fn derived(secret: &str) -> loco_rs::Result<ChaCha20Poly1305> {
    let secret = BASE64_STANDARD
        .decode(secret)
        .map_err(loco_rs::Error::wrap)?;
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, &secret)
        .expand(LABEL, &mut key)
        .map_err(|error| loco_rs::Error::Message(error.to_string()))?;
    Ok(ChaCha20Poly1305::new(&key.into()))
}

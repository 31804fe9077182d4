//! By what a repeated request is recognised.

use std::iter;

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What the key of fingerprints is for: another label would derive an unrelated key.
const LABEL: &[u8] = b"boxcar idempotency fingerprints";

/// Makes fingerprints of requests.
///
/// They are stored with the response, and a request may hold a password: who has a copy of the database could
/// find it by trying plain digests.
#[derive(Clone, Debug)]
pub struct Fingerprints(Vec<Hmac<Sha256>>);

impl Fingerprints {
    /// Under keys that are derived from the store's secret and the one before it, and never stored (HMAC,
    /// RFC 2104, is the pseudorandom function).
    ///
    /// # Errors
    /// When a secret is not base64.
    pub fn keyed_with(secret: &str, previous: Option<&str>) -> loco_rs::Result<Self> {
        let secrets = iter::once(secret).chain(previous);
        Ok(Self(secrets.map(derived).collect::<Result<_, _>>()?))
    }

    /// The fingerprints of a request: under the current secret first, then under the one before it. White space
    /// in the body and the order of its fields make no difference.
    pub fn of(&self, method: &str, uri: &str, body: &[u8]) -> Vec<String> {
        let body = serde_json::from_slice::<serde_json::Value>(body)
            .map(|body| body.to_string())
            .unwrap_or_default();
        let request = format!("{method} {uri}\n{body}");
        let fingerprint = |mac: &Hmac<Sha256>| {
            let mac = mac.clone().chain_update(&request);
            format!("{:x}", mac.finalize().into_bytes())
        };
        self.0.iter().map(fingerprint).collect()
    }
}

/// The key of fingerprints under a secret.
fn derived(secret: &str) -> loco_rs::Result<Hmac<Sha256>> {
    let keyed = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).map_err(loco_rs::Error::wrap);
    let secret = BASE64_STANDARD
        .decode(secret)
        .map_err(loco_rs::Error::wrap)?;
    let key = keyed(&secret)?.chain_update(LABEL);
    keyed(&key.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_same_however_its_body_is_written() {
        let fingerprints = keyed_with("c2VjcmV0");
        let of = |path: &str, body: &str| fingerprints.of("POST", path, body.as_bytes());
        let first = of("/a", r#"{"x":1,"y":[2]}"#);
        assert_eq!(first, of("/a", r#"{ "y": [ 2 ], "x": 1 }"#));
        assert_ne!(first, of("/b", r#"{"x":1,"y":[2]}"#));
        assert_ne!(first, of("/a", r#"{"x":2,"y":[2]}"#));
        assert_eq!(first[0].len(), 64);
    }

    #[test]
    fn stores_with_different_secrets_make_different_fingerprints() {
        assert_eq!(of(&keyed_with("c2VjcmV0")), of(&keyed_with("c2VjcmV0")));
        assert_ne!(of(&keyed_with("c2VjcmV0")), of(&keyed_with("U2VjcmV0")));
    }

    #[test]
    fn what_was_asked_under_the_previous_secret_is_known_again() {
        let rotated = Fingerprints::keyed_with("U2VjcmV0", Some("c2VjcmV0")).unwrap();
        assert_eq!(of(&rotated)[0], of(&keyed_with("U2VjcmV0"))[0]);
        assert_eq!(of(&rotated)[1], of(&keyed_with("c2VjcmV0"))[0]);
    }

    fn of(fingerprints: &Fingerprints) -> Vec<String> {
        fingerprints.of("POST", "/a", b"{}")
    }

    fn keyed_with(secret: &str) -> Fingerprints {
        Fingerprints::keyed_with(secret, None).unwrap()
    }
}

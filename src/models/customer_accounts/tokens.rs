//! Tokens that prove an account: how they are made and verified.

use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation};
use loco_rs::{auth::jwt::JWT, config};
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Model;
use crate::models::Result;

/// Who issues the tokens and for whom they are meant (RFC 8725, 3.8 and 3.9).
const TOKEN_ISSUER: &str = "boxcar";

/// By how much a token may seem to come from the future.
const MAX_CLOCK_SKEW_SECONDS: i64 = 60;

/// How many verified tokens are remembered, of about a kilobyte each.
const REMEMBERED: u64 = 10_000;

/// Who verifies tokens.
pub struct Verifier {
    /// The one that signs, and the one that did before.
    keys: Vec<DecodingKey>,
    rules: Validation,
    /// What tokens say whose signature was verified: to do it again costs as much as the rest of a short request.
    verified: Cache<String, Claims>,
}

/// What a token says.
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    /// Which account it proves.
    pub pid: String,
    /// Which of the account's versions.
    pub version: i64,
    /// When it was made, in seconds since 1970.
    iat: i64,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
}

impl Model {
    /// A token that proves the account until it expires or the account's version is raised.
    pub fn token(&self, config: &config::JWT) -> Result<String> {
        let claims: Map<String, Value> = [
            ("iss", json!(TOKEN_ISSUER)),
            ("aud", json!(TOKEN_ISSUER)),
            ("iat", json!(chrono::Utc::now().timestamp())),
            ("jti", json!(uuid::Uuid::new_v4())),
            ("role", json!(self.role)),
            ("version", json!(self.token_version)),
        ]
        .into_iter()
        .map(|(claim, value)| (claim.to_owned(), value))
        .collect();
        let token =
            JWT::new(&config.secret).generate_token(config.expiration, self.pid.clone(), claims);
        Ok(token.map_err(loco_rs::Error::msg)?)
    }
}

impl Verifier {
    /// Who takes what was signed with the store's secret, or the one before.
    ///
    /// # Errors
    /// When one is not base64.
    pub fn new(secret: &str, previous: Option<&str>) -> Result<Self> {
        let mut rules = Validation::new(Algorithm::HS512);
        rules.leeway = 0;
        rules.validate_nbf = true;
        rules.set_issuer(&[TOKEN_ISSUER]);
        rules.set_audience(&[TOKEN_ISSUER]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        let key = |secret: &str| {
            DecodingKey::from_base64_secret(secret)
                .map_err(|error| loco_rs::Error::Message(format!("JWT_SECRET: {error}")))
        };
        let keys = [Some(secret), previous].into_iter().flatten();
        Ok(Self {
            keys: keys.map(key).collect::<Result<_, _>>()?,
            rules,
            verified: Cache::new(REMEMBERED),
        })
    }

    /// What a token says, if this store has signed it for itself and it has not expired.
    #[must_use]
    pub fn claims(&self, token: &str) -> Option<Claims> {
        self.claims_at(token, chrono::Utc::now().timestamp())
    }

    fn claims_at(&self, token: &str, now: i64) -> Option<Claims> {
        let claims = self.verified.get(token).or_else(|| {
            let claims = self.verify(token)?;
            self.verified.insert(token.to_owned(), claims.clone());
            Some(claims)
        })?;
        // Another node's clock may be a little ahead.
        let is_due = claims.iat <= now + MAX_CLOCK_SKEW_SECONDS;
        (is_due && now <= claims.exp).then_some(claims)
    }

    /// Not Loco's own `validate`, which refuses every token that names an audience.
    fn verify(&self, token: &str) -> Option<Claims> {
        let TokenData::<Claims> { header, claims } = self
            .keys
            .iter()
            .find_map(|key| jsonwebtoken::decode(token, key, &self.rules).ok())?;
        // What the header asks for has to be understood (RFC 7515, section 4.1.11), and a token of another
        // type is not one to log in with (RFC 8725, section 3.11).
        let is_plain = header.crit.is_none() && header.zip.is_none() && header.cty.is_none();
        let is_ours = header.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        (is_plain && is_ours).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};

    use super::*;

    const SECRET: &str = "c2FsdCBrZXR0bGUgOSBhbnZpbCBmam9yZA==";

    fn token(iat: i64, exp: i64) -> String {
        let claims = json!({ "iss": "boxcar", "aud": "boxcar", "pid": "ada", "version": 1, "iat": iat, "exp": exp });
        let key = EncodingKey::from_base64_secret(SECRET).unwrap();
        encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap()
    }

    /// A token of ten minutes that was verified at `now`.
    fn remembered(now: i64) -> (Verifier, String) {
        let verifier = Verifier::new(SECRET, None).unwrap();
        let token = token(now, now + 600);
        assert!(verifier.claims_at(&token, now).is_some());
        (verifier, token)
    }

    #[test]
    fn a_token_that_is_remembered_is_refused_once_it_has_expired() {
        let now = chrono::Utc::now().timestamp();
        let (verifier, token) = remembered(now);
        assert!(verifier.claims_at(&token, now + 600).is_some());
        assert!(verifier.claims_at(&token, now + 601).is_none());
    }

    #[test]
    fn a_token_that_is_remembered_is_refused_when_the_clock_is_set_back() {
        let now = chrono::Utc::now().timestamp();
        let (verifier, token) = remembered(now);
        assert!(verifier.claims_at(&token, now - 61).is_none());
    }

    #[test]
    fn a_token_that_differs_from_a_remembered_one_in_its_last_letter_is_refused() {
        let now = chrono::Utc::now().timestamp();
        let (verifier, mut token) = remembered(now);
        let last = if token.pop() == Some('A') { 'B' } else { 'A' };
        token.push(last);
        assert!(verifier.claims_at(&token, now).is_none());
    }

    #[test]
    fn what_is_refused_is_not_remembered() {
        let verifier = Verifier::new(SECRET, None).unwrap();
        let now = chrono::Utc::now().timestamp();
        assert!(verifier.claims_at("no.token.atall", now).is_none());
        verifier.verified.run_pending_tasks();
        assert_eq!(verifier.verified.entry_count(), 0);
    }
}

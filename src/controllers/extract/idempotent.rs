//! Bodies of POST requests, which may be sent again (draft-ietf-httpapi-idempotency-key-header).

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, request::Parts},
};

use super::{caller::Caller, json::body_of};
use crate::{
    context::Context,
    controllers::BASE,
    models::{
        checkouts::Buyer,
        idempotency_keys::{KeyGuard, RequestKey},
        input::{Input, from_json},
        types::KeyScope,
    },
    views::problem::{Kind, Problem},
};

/// How many characters a key has at least that visitors keep secret: 128 bits, in base62.
const LEAST_SECRET: usize = 22;

/// The header that names the key.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A JSON body, and the right to carry out the request under its key, if the client sent one.
#[derive(Debug)]
pub struct Idempotent<T>(pub T, pub KeyGuard);

/// Answers a POST: the same as before when it is the retry of a request whose response was stored,
/// otherwise with what is done now, whose response is stored in the same transaction.
///
/// The work may be refused because its twin, sent to another node, has just done it: there is nothing
/// left to cancel, or the SKU is taken. So a refusal looks for the twin's response once more.
#[macro_export]
macro_rules! idempotent {
    ($database:expr, $key:expr, |$txn:ident| $work:expr) => {
        match $database {
            database => {
                let outcome =
                    $crate::transaction!(database, |$txn| match $key.replay($txn).await? {
                        Some(response) => Ok(response),
                        None => {
                            let answer: $crate::models::Result<$crate::views::answer::Answer> =
                                $work;
                            $key.store($txn, answer?.into()).await
                        }
                    });
                let outcome = match outcome {
                    Err(refusal) if $key.may_have_a_twin(&refusal) => {
                        match $crate::transaction!(database, |$txn| $key.replay($txn).await) {
                            Ok(Some(response)) => Ok(response),
                            Ok(None) => Err(refusal),
                            Err(error) => Err(error),
                        }
                    }
                    outcome => outcome,
                };
                outcome
                    .map($crate::views::answer::Answer::from)
                    .map_err($crate::views::problem::Problem::from)
            }
        }
    };
}

impl<T: Input> FromRequest<Context> for Idempotent<T> {
    type Rejection = Problem;

    /// # Errors
    /// 409 `idempotency-in-progress` while the first request with the key is still running.
    async fn from_request(request: Request, ctx: &Context) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, ctx).await?;
        let key = key_of(&parts.headers)?;
        let key = key.map(|key| secret_of_visitor(key, &caller, &parts, ctx));
        let key = key.transpose()?;
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let bytes = body_of::<T>(Request::from_parts(parts, body), ctx).await?;
        let body = from_json(&bytes)?;
        let request = key.map(|key| RequestKey {
            owner: caller.owner(),
            scope: caller.scope(),
            key,
            fingerprints: ctx
                .fingerprints
                .of(method.as_str(), &uri.to_string(), &bytes),
        });
        let guard = ctx.in_flight.claim(request);
        let guard = guard.ok_or_else(|| Problem::new(Kind::IDEMPOTENCY_IN_PROGRESS))?;
        Ok(Self(body, guard))
    }
}

/// Under this key the answer for a checkout is kept. All visitors share one publishable key, so each of their
/// `Idempotency-Key`s has to be secret. It is bound to its checkout: the same key for another checkout is another key.
///
/// # Errors
/// 400 `malformed-request` when it is too short for that.
fn secret_of_visitor(
    key: String,
    caller: &Caller,
    parts: &Parts,
    ctx: &Context,
) -> Result<String, Problem> {
    let path = parts.uri.path().strip_prefix(BASE).unwrap_or_default();
    let mut segments = path.split('/').skip(1);
    let is_of_visitor = caller.buyer(KeyScope::CheckoutsWrite) == Buyer::Visitor;
    if segments.next() != Some("checkouts") || !is_of_visitor {
        return Ok(key);
    }
    if key.len() < LEAST_SECRET {
        let why = "With a publishable key, an Idempotency-Key has to be a secret of 22 to 255 characters.";
        return Err(Problem::new(Kind::MALFORMED_REQUEST).because(why));
    }
    Ok(match segments.next() {
        Some(checkout) => format!("{checkout} {}", ctx.shared.digest(&key)),
        None => key,
    })
}

/// The key of the one `Idempotency-Key` header: 1 to 255 visible ASCII characters, bare or as a quoted
/// string (RFC 8941, section 3.3.3).
///
/// # Errors
/// 400 `malformed-request`.
pub fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = given.next() else {
        return Ok(None);
    };
    let malformed = || {
        Problem::new(Kind::MALFORMED_REQUEST)
            .because("Idempotency-Key has to be one key of 1 to 255 visible ASCII characters.")
    };
    let text = value.to_str().map_err(|_| malformed())?;
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted).ok_or_else(malformed)?,
        None => text.to_owned(),
    };
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if given.next().is_some() || !visible || !(1..=255).contains(&key.len()) {
        return Err(malformed());
    }
    Ok(Some(key))
}

/// What stands in a quoted string, of which the first quote is gone already.
fn unquoted(quoted: &str) -> Option<String> {
    let inside = quoted.strip_suffix('"')?;
    let mut text = String::new();
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(
                characters
                    .next()
                    .filter(|escaped| matches!(escaped, '"' | '\\'))?,
            ),
            '"' => return None,
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, value.parse().unwrap());
        key_of(&headers).map_err(|_| ())
    }

    #[test]
    fn a_key_is_bare_or_quoted() {
        for (value, expected) in [
            ("order-7", "order-7"),
            ("\"order-7\"", "order-7"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
        ] {
            assert_eq!(key(value), Ok(Some(expected.to_owned())));
        }
        assert_eq!(key_of(&HeaderMap::new()).map_err(|_| ()), Ok(None));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let (long, blank) = ("x".repeat(256), r#""say \"7\" \\ ""#);
        let values = r#"| |two words|"|"open|"a"b"|""|"a\b"|café"#.split('|');
        for value in values.chain([&*long, blank]) {
            assert_eq!(key(value), Err(()), "{value}");
        }
    }
}

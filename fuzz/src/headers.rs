//! Headers that are read by hand: the entity tags of `If-Match` and `If-None-Match`, `Idempotency-Key`,
//! and the token in `Authorization`. Each line is one value, and all of them together are one header.
//! For any lines:
//!
//! * a tag that matches strongly matches weakly, and stands in the header, unless the header is `*`;
//! * the store's own tag is found behind any list, be it called weak or not;
//! * a key is 1 to 255 visible characters, is alone, and is the same when it is quoted;
//! * a token is alone, stands at the header's end, and is the same whatever the case of `Bearer`;
//! * what is refused is answered 400 for tags and a key, and 401 with a challenge for a token.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use boxcar::controllers::extract::{Tags, caller::bearer, key_of};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const OWN: &str = "\"Zq3_x-0\"";
const OWN_WEAK: &str = "W/\"Zq3_x-0\"";

/// Reads the lines as the values of each header.
pub fn check(data: &[u8]) {
    // What is no value of a header does not reach the store.
    let values: Vec<_> = data
        .split(|byte| *byte == b'\n')
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        .collect();
    entity_tags(&values);
    idempotency_key(&values);
    token(&values);
}

fn entity_tags(values: &[HeaderValue]) {
    let own = HeaderValue::from_static(OWN);
    let matches = |values: &[HeaderValue]| {
        let tags = Tags::of(&headers(&header::IF_MATCH, values), &header::IF_MATCH);
        tags.map(|tags| tags.map(|tags| (tags.match_strongly(&own), tags.match_weakly(&own))))
    };
    let alone = match matches(values) {
        Ok(alone) => alone,
        Err(problem) => return assert_eq!(problem.status, StatusCode::BAD_REQUEST),
    };
    assert_eq!(alone.is_none(), values.is_empty());
    let (strongly, weakly) = alone.unwrap_or_default();
    assert!(weakly || !strongly);
    let any = values.iter().any(|value| value.as_bytes().contains(&b'*'));
    assert!(any || !weakly || values.iter().any(|value| holds(value, OWN)));
    let with = |value| matches(&[values, &[HeaderValue::from_static(value)]].concat());
    // `*` stands alone.
    if let (Ok(with_own), Ok(with_weak)) = (with(OWN), with(OWN_WEAK)) {
        assert_eq!(with_own, Some((true, true)));
        assert_eq!(with_weak, Some((strongly, true)));
    } else {
        assert_eq!((strongly, any), (true, true));
    }
}

fn idempotency_key(values: &[HeaderValue]) {
    let key = match key_of(&headers(&KEY, values)) {
        Ok(Some(key)) => key,
        Ok(None) => return assert!(values.is_empty()),
        Err(problem) => {
            let status = problem.into_response().status();
            return assert_eq!(status, StatusCode::BAD_REQUEST);
        }
    };
    assert_eq!(values.len(), 1);
    assert!((1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
    let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
    let again = key_of(&headers(&KEY, &[quoted.parse().unwrap()]));
    assert_eq!(again.ok().flatten(), Some(key));
}

fn token(values: &[HeaderValue]) {
    let given = headers(&header::AUTHORIZATION, values);
    let token = match bearer(&given) {
        Ok(token) => token,
        Err(problem) => {
            let challenged = problem
                .headers()
                .any(|(name, _)| name == header::WWW_AUTHENTICATE);
            assert!(challenged);
            let status = problem.into_response().status();
            return assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
    };
    assert_eq!(values.len(), 1);
    assert!(values[0].as_bytes().ends_with(token.as_bytes()));
    assert!(!token.starts_with([' ', '\t']));
    for scheme in ["Bearer", "bEARER"] {
        let again = format!("{scheme} {token}").parse().unwrap();
        let again = headers(&header::AUTHORIZATION, &[again]);
        assert_eq!(bearer(&again).ok(), Some(token));
    }
}

fn headers(name: &HeaderName, values: &[HeaderValue]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, value.clone());
    }
    headers
}

fn holds(value: &HeaderValue, text: &str) -> bool {
    value
        .as_bytes()
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

//! On what condition something is to be done (RFC 9110, section 13).

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use serde::Serialize;

use crate::{
    models::{Error, Result},
    views::answer::CachedBody,
};

/// The `If-Match` header: what the caller saw last.
#[derive(Clone, Debug)]
pub struct IfMatch(Option<Tags>);

/// A list of entity tags, or any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// `*`.
    Any,
    /// As they were written, quotes and all.
    Some(Vec<String>),
}

impl IfMatch {
    /// Whether there is a condition at all.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// Refuses to go on when this is not what the caller saw. Asked inside the transaction that writes,
    /// of what is locked there.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`].
    pub fn check<T: Serialize>(&self, view: impl FnOnce() -> T) -> Result<()> {
        let Some(tags) = &self.0 else {
            return Ok(());
        };
        let current = CachedBody::of(&view())?;
        if tags.match_strongly(&current.etag) {
            Ok(())
        } else {
            Err(Error::PreconditionFailed)
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Tags::of(&parts.headers, &header::IF_MATCH)))
    }
}

impl Tags {
    /// The tags of a header, which may stand there several times.
    #[must_use]
    pub fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut tags = Vec::new();
        let mut given = false;
        for value in headers.get_all(name) {
            given = true;
            // What is no text matches nothing.
            let text = value.to_str().unwrap_or_default().trim();
            if text == "*" {
                return Some(Self::Any);
            }
            tags.extend(split(text));
        }
        given.then_some(Self::Some(tags))
    }

    /// Weak comparison: whether one of them is `etag`, be it called weak or not.
    #[must_use]
    pub fn match_weakly(&self, etag: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Some(tags) => tags
                .iter()
                .any(|tag| etag == tag.strip_prefix("W/").unwrap_or(tag)),
        }
    }

    /// Strong comparison: whether one of them is `etag`, and not called weak.
    #[must_use]
    pub fn match_strongly(&self, etag: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Some(tags) => tags.iter().any(|tag| etag == tag),
        }
    }
}

/// The tags of a list, each of which may have commas between its quotes.
fn split(list: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let (mut tag, mut quoted) = (String::new(), false);
    for letter in list.chars() {
        match letter {
            ',' if !quoted => tags.push(std::mem::take(&mut tag)),
            '"' => {
                quoted = !quoted;
                tag.push('"');
            }
            letter => tag.push(letter),
        }
    }
    tags.push(tag);
    tags.iter()
        .map(|tag| tag.trim().to_owned())
        .filter(|tag| !tag.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(values: &[&str]) -> Option<Tags> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, value.parse().unwrap());
        }
        Tags::of(&headers, &header::IF_MATCH)
    }

    #[test]
    fn tags_are_listed_in_one_header_or_several() {
        let three = Some(Tags::Some(
            ["\"a\"", "W/\"b\"", "\"c,d\""].map(String::from).to_vec(),
        ));
        assert_eq!(tags(&["\"a\", W/\"b\" , \"c,d\""]), three);
        assert_eq!(tags(&["\"a\"", "W/\"b\",\"c,d\""]), three);
        assert_eq!(tags(&[]), None);
        assert_eq!(tags(&["*"]), Some(Tags::Any));
        assert_eq!(tags(&[""]), Some(Tags::Some(vec![])));
    }

    #[test]
    fn a_weak_tag_matches_weakly_only() {
        let (a, b) = (
            HeaderValue::from_static("\"a\""),
            HeaderValue::from_static("\"b\""),
        );
        let weak = tags(&["W/\"a\""]).unwrap();
        assert!(weak.match_weakly(&a) && !weak.match_strongly(&a));
        let strong = tags(&["\"a\""]).unwrap();
        assert!(strong.match_weakly(&a) && strong.match_strongly(&a));
        assert!(!strong.match_weakly(&b) && !strong.match_strongly(&b));
    }
}

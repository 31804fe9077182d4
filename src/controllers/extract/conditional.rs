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

/// The entity tags of a header, or `*`. Quotes and all, as they were written.
///
/// The `headers` crate would join several headers to one, where a quote that is not closed in one of them hides
/// the tags of the next.
#[derive(Clone, Debug)]
pub struct Tags(Vec<String>);

impl IfMatch {
    /// Whether there is a condition at all.
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
    pub fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut values = headers.get_all(name).iter().peekable();
        values.peek()?;
        // A value that is not text cannot match. A tag with a comma falls apart here, and its parts cannot match
        // either: this store's tags are in quotes and have no comma.
        let lists = values.filter_map(|value| value.to_str().ok());
        let tags = lists.flat_map(|list| list.split(','));
        Some(Self(tags.map(|tag| tag.trim().to_owned()).collect()))
    }

    /// Weak comparison: whether one of them is `etag`, be it called weak or not.
    pub fn match_weakly(&self, etag: &HeaderValue) -> bool {
        let strong = |tag: &String| etag == tag.strip_prefix("W/").unwrap_or(tag);
        self.match_strongly(etag) || self.0.iter().any(strong)
    }

    /// Strong comparison: whether one of them is `etag`, and not called weak.
    pub fn match_strongly(&self, etag: &HeaderValue) -> bool {
        self.0.iter().any(|tag| tag == "*" || etag == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_listed_in_one_header_or_several_and_weak_ones_match_weakly_only() {
        for (values, weakly, strongly) in [
            (&["\"a\""][..], true, true),
            (&["W/\"a\""], true, false),
            (&["\"b\", \"c,d\" , \"a\""], true, true),
            (&["\"b", "W/\"c\",W/\"a\""], true, false),
            (&["*"], true, true),
            (&["\"b\", W/\"b\", a"], false, false),
            (&[""], false, false),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::IF_MATCH, value.parse().unwrap());
            }
            let tags = Tags::of(&headers, &header::IF_MATCH).unwrap();
            let etag = HeaderValue::from_static("\"a\"");
            let matches = (tags.match_weakly(&etag), tags.match_strongly(&etag));
            assert_eq!(matches, (weakly, strongly), "{values:?}");
        }
        assert!(Tags::of(&HeaderMap::new(), &header::IF_MATCH).is_none());
    }
}

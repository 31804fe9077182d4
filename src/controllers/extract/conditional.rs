//! On what condition something is to be done (RFC 9110, section 13).

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use serde::Serialize;

use crate::{
    models::{Error, Result},
    views::{
        answer::CachedBody,
        problem::{Kind, Problem},
    },
};

/// What matches whatever is there.
const ANY: &str = "*";

/// What stands between two tags of a list.
const BETWEEN: [char; 3] = [',', ' ', '\t'];

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
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(Tags::of(&parts.headers, &header::IF_MATCH)?))
    }
}

impl Tags {
    /// The tags of a header, which may stand there several times.
    ///
    /// # Errors
    /// When it is neither `*` nor a list of entity tags (RFC 9110, section 13.1).
    pub fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(name).iter().peekable();
        if values.peek().is_none() {
            return Ok(None);
        }
        let lists = values.map(|value| listed(&String::from_utf8_lossy(value.as_bytes())));
        let tags = lists
            .collect::<Option<Vec<_>>>()
            .map(|lists| lists.concat());
        let tags = tags.filter(|tags| tags.len() < 2 || tags.iter().all(|tag| tag != ANY));
        let malformed = || {
            let why = format!(
                "The {name} header must be * or a list of entity tags in quotes, as ETag has them."
            );
            Problem::new(Kind::MALFORMED_REQUEST).because(why)
        };
        tags.map(|tags| Some(Self(tags))).ok_or_else(malformed)
    }

    /// Weak comparison: whether one of them is `etag`, be it called weak or not.
    pub fn match_weakly(&self, etag: &HeaderValue) -> bool {
        let strong = |tag: &String| etag == tag.strip_prefix("W/").unwrap_or(tag);
        self.match_strongly(etag) || self.0.iter().any(strong)
    }

    /// Strong comparison: whether one of them is `etag`, and not called weak.
    pub fn match_strongly(&self, etag: &HeaderValue) -> bool {
        self.0.iter().any(|tag| tag == ANY || etag == tag)
    }
}

/// The tags of one list: each in quotes, with `W/` before them where it is weak (RFC 9110, section 8.8.3).
fn listed(list: &str) -> Option<Vec<String>> {
    let mut tags = Vec::new();
    let mut rest = list.trim_start_matches(BETWEEN);
    while !rest.is_empty() {
        let length = if rest.starts_with(ANY) {
            ANY.len()
        } else {
            let start = if rest.starts_with("W/\"") { 3 } else { 1 };
            rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?;
            start + rest[start..].find('"')? + 1
        };
        let (tag, after) = rest.split_at(length);
        if tag.contains(|of: char| of.is_whitespace() || of.is_control())
            || !(after.is_empty() || after.starts_with(BETWEEN))
        {
            return None;
        }
        tags.push(tag.to_owned());
        rest = after.trim_start_matches(BETWEEN);
    }
    Some(tags)
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
            (&["\"b\"", "W/\"c\",W/\"a\""], true, false),
            (&["*"], true, true),
            (&["\"b\", W/\"b\""], false, false),
            (&[""], false, false),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::IF_MATCH, value.parse().unwrap());
            }
            let tags = Tags::of(&headers, &header::IF_MATCH).unwrap().unwrap();
            let etag = HeaderValue::from_static("\"a\"");
            let matches = (tags.match_weakly(&etag), tags.match_strongly(&etag));
            assert_eq!(matches, (weakly, strongly), "{values:?}");
        }
        let none = Tags::of(&HeaderMap::new(), &header::IF_MATCH).unwrap();
        assert!(none.is_none());
    }

    #[test]
    fn what_is_no_list_of_tags_is_malformed() {
        for values in [
            &["abc"][..],
            &["\"a"],
            &["a\""],
            &["\"a\" b"],
            &["\"a\"\"b\""],
            &["w/\"a\""],
            &["W/a"],
            &["\"a b\""],
            &["**"],
            &["*, \"a\""],
            &["\"a\"", "*"],
            &["\"a\"", "b"],
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::IF_MATCH, value.parse().unwrap());
            }
            let problem = Tags::of(&headers, &header::IF_MATCH).unwrap_err();
            assert_eq!(problem.status, 400, "{values:?}");
        }
    }
}

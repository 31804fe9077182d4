//! Ids in paths.

use axum::{
    extract::{self, FromRequestParts},
    http::request::Parts,
};

use crate::{
    models::types::{Id, Scalar},
    views::problem::{Kind, Problem},
};

/// The id that the path names.
#[derive(Clone, Copy, Debug)]
pub struct Path(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let malformed = || {
            Problem::new(Kind::MalformedRequest)
                .because("The id in the path is no 64-bit whole number.")
        };
        let extract::Path(text) = extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| malformed())?;
        // No resource takes parameters beside its id: a misspelled one would be ignored.
        Id::parse(&text)
            .map(|id| Self(id.0))
            .map_err(|_| malformed())
    }
}

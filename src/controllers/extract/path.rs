//! Ids in paths.

use axum::{
    extract::{self, FromRequestParts},
    http::request::Parts,
};

use super::query::no_parameters;
use crate::{
    models::types::{Id, Scalar},
    views::problem::{Kind, Problem},
};

/// The id of the resource that the path names. There are no parameters beside it: one that is sent all
/// the same is a typo, and refused.
#[derive(Clone, Copy, Debug)]
pub struct Path(pub i64);

/// The id of the resource whose list the path names, which takes parameters.
#[derive(Clone, Copy, Debug)]
pub struct ListOf(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let ListOf(id) = ListOf::from_request_parts(parts, state).await?;
        no_parameters(&parts.uri)?;
        Ok(Self(id))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ListOf {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let malformed = || {
            Problem::new(Kind::MalformedRequest)
                .because("The id in the path is no 64-bit whole number.")
        };
        let extract::Path(text) = extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| malformed())?;
        match Id::parse(&text) {
            // A path has one spelling.
            Ok(Id(id)) if id.to_string() == text => Ok(Self(id)),
            _ => Err(malformed()),
        }
    }
}

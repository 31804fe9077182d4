//! Query parameters.

use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
};

use crate::{
    models::{
        input::{Input, from_query},
        listing::NoFilter,
    },
    views::problem::Problem,
};

/// The parameters of the query string. Those that are not known are refused.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: Input, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(from_query(parts.uri.query().unwrap_or_default())?))
    }
}

/// Refuses every parameter.
pub(super) fn no_parameters(uri: &Uri) -> Result<NoFilter, Problem> {
    Ok(from_query(uri.query().unwrap_or_default())?)
}

//! Ids in paths.

use axum::{
    extract::{self, FromRequestParts},
    http::request::Parts,
};

use super::query::no_parameters;
use crate::{
    models::types::{CheckoutId, Scalar},
    views::problem::{Kind, Problem},
};

/// The id of the resource that the path names. Such a request takes no parameters: one that is sent is a typo,
/// and is refused.
#[derive(Clone, Copy, Debug)]
pub struct Id(pub i64);

/// The id of the resource whose list the path names, which takes parameters.
#[derive(Clone, Copy, Debug)]
pub struct ParentId(pub i64);

/// The ids of a resource and of another one within it. Such a request takes no parameters either.
#[derive(Clone, Copy, Debug)]
pub struct Ids(pub i64, pub i64);

/// The id of the checkout that the path names. What cannot be one is not found. Such a request takes no parameters.
#[derive(Clone, Debug)]
pub struct CheckoutPath(pub CheckoutId);

/// The id of a checkout, and of a product within it.
#[derive(Clone, Debug)]
pub struct CheckoutItemPath(pub CheckoutId, pub i64);

impl<S: Send + Sync> FromRequestParts<S> for CheckoutPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let extract::Path(text) = extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| no_checkout())?;
        no_parameters(&parts.uri)?;
        checkout_id(&text).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CheckoutItemPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        type Texts = extract::Path<(String, String)>;
        let extract::Path((checkout, product)) = Texts::from_request_parts(parts, state)
            .await
            .map_err(|_| no_checkout())?;
        no_parameters(&parts.uri)?;
        Ok(Self(checkout_id(&checkout)?, id(&product)?))
    }
}

fn checkout_id(text: &str) -> Result<CheckoutId, Problem> {
    CheckoutId::parse(text).map_err(|_| no_checkout())
}

fn no_checkout() -> Problem {
    Problem::new(Kind::NOT_FOUND)
}

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        type Texts = extract::Path<(String, String)>;
        let extract::Path((outer, inner)) = Texts::from_request_parts(parts, state)
            .await
            .map_err(|_| malformed())?;
        let ids = Self(id(&outer)?, id(&inner)?);
        no_parameters(&parts.uri)?;
        Ok(ids)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let ParentId(id) = ParentId::from_request_parts(parts, state).await?;
        no_parameters(&parts.uri)?;
        Ok(Self(id))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ParentId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let extract::Path(text) = extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| malformed())?;
        id(&text).map(Self)
    }
}

fn id(text: &str) -> Result<i64, Problem> {
    match <i64 as Scalar>::parse(text) {
        // A path has one spelling.
        Ok(id) if id.to_string() == text => Ok(id),
        _ => Err(malformed()),
    }
}

fn malformed() -> Problem {
    Problem::new(Kind::MALFORMED_REQUEST).because("The id in the path must be a 64-bit integer.")
}

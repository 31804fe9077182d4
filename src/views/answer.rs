//! Successful answers.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::models::{Result, idempotency_keys::KeptAnswer};

/// Says that an answer was given before.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// 201 with a new thing and where it is, as it can be kept for a retry.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn created(location: String, thing: &impl Serialize) -> Result<KeptAnswer> {
    Ok(KeptAnswer {
        location: Some(location),
        ..done(thing)?.with_status(StatusCode::CREATED)
    })
}

/// 200 with a changed thing, as it can be kept for a retry.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn done(thing: &impl Serialize) -> Result<KeptAnswer> {
    let body = serde_json::to_string(thing).map_err(loco_rs::Error::from)?;
    Ok(KeptAnswer {
        status: StatusCode::OK.as_u16(),
        location: None,
        body,
        replayed: false,
    })
}

impl KeptAnswer {
    fn with_status(self, status: StatusCode) -> Self {
        Self {
            status: status.as_u16(),
            ..self
        }
    }
}

impl IntoResponse for KeptAnswer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )];
        let mut response = (status, json, self.body).into_response();
        let headers = response.headers_mut();
        if let Some(location) = self
            .location
            .and_then(|location| HeaderValue::from_str(&location).ok())
        {
            headers.insert(header::LOCATION, location);
        }
        if self.replayed {
            headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// 204 without a body.
#[derive(Clone, Copy, Debug)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// 200 with something that nobody may keep.
#[derive(Debug)]
pub struct Secret<T>(pub T);

impl<T: Serialize> IntoResponse for Secret<T> {
    fn into_response(self) -> Response {
        (
            [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))],
            Json(self.0),
        )
            .into_response()
    }
}

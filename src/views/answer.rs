//! Successful answers.

use axum::{
    Json,
    body::Bytes,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{self, InvalidHeaderValue},
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::models::{Result, idempotency_keys::KeptAnswer};

/// Says that an answer was given before.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Whoever asked may keep it for themselves, but has to ask whether it is still the same.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// What is shown of something at a moment: the answer to a GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Representation {
    /// JSON.
    pub body: Bytes,
    /// What no other representation of the same thing has: a strong entity tag (RFC 9110, section
    /// 8.8.3).
    pub etag: HeaderValue,
    /// Where its neighbours are, when it is a page of a list.
    pub link: Option<HeaderValue>,
}

impl Representation {
    /// What is shown of a view.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn of(view: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(view).map_err(loco_rs::Error::from)?;
        Ok(Self {
            etag: entity_tag(&body).map_err(loco_rs::Error::wrap)?,
            body: body.into(),
            link: None,
        })
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.body.len() + self.etag.len() + self.link.as_ref().map_or(0, HeaderValue::len)
    }

    /// The headers of the answer, which go without the body when the client has that already.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, PRIVATE);
        headers.insert(header::VARY, HeaderValue::from_static("authorization"));
        if let Some(link) = &self.link {
            headers.insert(header::LINK, link.clone());
        }
        headers
    }
}

impl IntoResponse for Representation {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        let headers = self.headers();
        (headers, [(header::CONTENT_TYPE, json)], self.body).into_response()
    }
}

/// What no other body of the same thing has: half of its digest, 128 bits, in quotes.
fn entity_tag(body: &[u8]) -> Result<HeaderValue, InvalidHeaderValue> {
    let tag = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(body)[..16]);
    HeaderValue::from_str(&format!("\"{tag}\""))
}

/// 200 with something that was changed, and the entity tag that its next change can ask for.
#[derive(Clone, Debug)]
pub struct Changed(Representation);

impl Changed {
    /// What was changed, as it is shown now.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn to(view: &impl Serialize) -> Result<Self> {
        Representation::of(view).map(Self)
    }
}

impl IntoResponse for Changed {
    fn into_response(self) -> Response {
        let Self(Representation { body, etag, .. }) = self;
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json), (header::ETAG, etag)], body).into_response()
    }
}

/// 201 with a new thing and where it is, as it can be kept for a retry: until the customer whom it shows is
/// deleted, if it shows one.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn created(
    location: String,
    thing: &impl Serialize,
    customer_id: Option<i64>,
) -> Result<KeptAnswer> {
    Ok(KeptAnswer {
        location: Some(location),
        ..done(thing, customer_id)?.with_status(StatusCode::CREATED)
    })
}

/// 200 with a changed thing, as it can be kept for a retry: until the customer whom it shows is deleted, if
/// it shows one.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn done(thing: &impl Serialize, customer_id: Option<i64>) -> Result<KeptAnswer> {
    let body = serde_json::to_string(thing).map_err(loco_rs::Error::from)?;
    Ok(KeptAnswer {
        status: StatusCode::OK.as_u16(),
        location: None,
        body,
        customer_id,
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
        let etag = entity_tag(self.body.as_bytes());
        let mut response = (status, json, self.body).into_response();
        let headers = response.headers_mut();
        if let Ok(etag) = etag {
            headers.insert(header::ETAG, etag);
        }
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

//! Successful answers.

use std::fmt::Write;

use axum::{
    body::Bytes,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{self, InvalidHeaderValue},
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::json;
use xxhash_rust::xxh3::xxh3_128;

use crate::models::{Result, idempotency_keys::StoredResponse};

/// Says that an answer was given before.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A client may keep it for itself, but has to ask whether it is still the same.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer to a write. It can be stored, for a retry of the same request.
#[derive(Clone)]
pub struct Answer {
    stored: StoredResponse,
    /// What is shown beside it, this once.
    secret: Option<(&'static str, String)>,
}

impl Answer {
    /// 200 with something that was changed.
    pub fn ok(view: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_string(view).map_err(loco_rs::Error::from)?;
        Ok(Self::of(StatusCode::OK, body))
    }

    /// 201 with something new, and where it is.
    pub fn created(location: String, view: &impl Serialize) -> Result<Self> {
        Ok(Self::ok(view)?.at(StatusCode::CREATED, location))
    }

    /// 202 with something that is going to be done, and where it is.
    pub fn accepted(location: String, view: &impl Serialize) -> Result<Self> {
        Ok(Self::ok(view)?.at(StatusCode::ACCEPTED, location))
    }

    /// 202 with no more than that: there is nothing to be looked at later.
    pub fn accepted_silently(view: &impl Serialize) -> Result<Self> {
        let mut answer = Self::ok(view)?;
        answer.stored.status = StatusCode::ACCEPTED.as_u16();
        Ok(answer)
    }

    /// 204 without a body.
    pub const fn no_content() -> Self {
        Self::of(StatusCode::NO_CONTENT, String::new())
    }

    /// The same answer, which shows a customer: it is not kept when they are deleted.
    #[must_use]
    pub fn about_customer(mut self, id: impl Into<Option<i64>>) -> Self {
        self.stored.customer_id = id.into();
        self
    }

    /// The same answer with a member more, which is not stored, and no part of the entity tag. An answer that was given
    /// before does not have it.
    #[must_use]
    pub fn with_secret(mut self, name: &'static str, secret: String) -> Self {
        self.secret = Some((name, secret)).filter(|_| !self.stored.replayed);
        self
    }

    fn at(mut self, status: StatusCode, location: String) -> Self {
        self.stored.status = status.as_u16();
        self.stored.location = Some(location);
        self
    }

    const fn of(status: StatusCode, body: String) -> Self {
        Self {
            stored: StoredResponse {
                status: status.as_u16(),
                location: None,
                body,
                customer_id: None,
                replayed: false,
            },
            secret: None,
        }
    }
}

impl From<StoredResponse> for Answer {
    fn from(stored: StoredResponse) -> Self {
        Self {
            stored,
            secret: None,
        }
    }
}

impl From<Answer> for StoredResponse {
    fn from(answer: Answer) -> Self {
        answer.stored
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Self {
            stored: answer,
            secret,
        } = self;
        let status =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if answer.body.is_empty() {
            return status.into_response();
        }
        let etag = entity_tag(answer.body.as_bytes());
        let body = match &secret {
            Some((name, secret)) => with_member(answer.body, name, secret),
            None => answer.body,
        };
        let mut response = (status, [(header::CONTENT_TYPE, JSON)], body).into_response();
        let headers = response.headers_mut();
        if secret.is_some() {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        headers.extend(etag.ok().map(|etag| (header::ETAG, etag)));
        let location = answer
            .location
            .and_then(|location| location.try_into().ok());
        headers.extend(location.map(|location| (header::LOCATION, location)));
        if answer.replayed {
            headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// A JSON object with a member more at its end.
fn with_member(mut object: String, name: &str, value: &str) -> String {
    if object.ends_with('}') {
        object.pop();
        let _ = write!(object, ",{}:{}}}", json!(name), json!(value));
    }
    object
}

/// The answer to a GET, as the server keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedBody {
    /// JSON.
    pub body: Bytes,
    /// What no other representation of the same thing has: a strong entity tag (RFC 9110, section
    /// 8.8.3).
    pub etag: HeaderValue,
    /// Where its neighbours are, when it is a page of a list.
    pub link: Option<HeaderValue>,
}

impl CachedBody {
    /// The body that shows a view.
    pub fn of(view: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(view).map_err(loco_rs::Error::from)?;
        Ok(Self {
            etag: entity_tag(&body).map_err(loco_rs::Error::wrap)?,
            body: body.into(),
            link: None,
        })
    }

    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        self.body.len() + self.etag.len() + self.link.as_ref().map_or(0, HeaderValue::len)
    }

    /// The headers of the answer, which go without the body when the client has that already.
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

impl IntoResponse for CachedBody {
    fn into_response(self) -> Response {
        let headers = self.headers();
        (headers, [(header::CONTENT_TYPE, JSON)], self.body).into_response()
    }
}

/// What no other body of the same thing has: a hash of 128 bits, in quotes. A fast hash is enough. It cannot stop
/// somebody who makes two versions with one tag on purpose, but that takes the right to write both.
fn entity_tag(body: &[u8]) -> Result<HeaderValue, InvalidHeaderValue> {
    let tag = BASE64_URL_SAFE_NO_PAD.encode(xxh3_128(body).to_be_bytes());
    HeaderValue::from_str(&format!("\"{tag}\""))
}

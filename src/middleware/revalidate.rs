//! For what is the same for everyone until the next version of the program: the Swagger page, the documents
//! and the pages of the problems. Clients may store it, and it travels compressed.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use loco_rs::Error;
use sha2::{Digest, Sha256};
use tower_http::{CompressionLevel, compression::CompressionLayer};

use crate::{controllers::extract::Tags, views::problem::Problem};

/// Has to be asked for again, which a 304 answers.
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// With an entity tag, or 304 when the client has it already. The tag is weak (RFC 9110, section 8.8.1): it
/// stands for the compressed body too.
///
/// # Errors
/// When the body cannot be read.
pub async fn revalidate(request: Request, next: Next) -> Result<Response, Problem> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = Tags::of(request.headers(), &header::IF_NONE_MATCH)
        .ok()
        .flatten();
    let response = next.run(request).await;
    if !reads || response.status() != StatusCode::OK {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(Error::wrap)?;
    let digest = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..16]);
    let etag = HeaderValue::try_from(format!("W/\"{digest}\"")).map_err(Error::wrap)?;
    let unchanged = known.is_some_and(|tags| tags.match_weakly(&etag));
    parts.headers.insert(header::ETAG, etag);
    parts.headers.insert(header::CACHE_CONTROL, NO_CACHE);
    if unchanged {
        parts.headers.remove(header::CONTENT_LENGTH);
        return Ok((StatusCode::NOT_MODIFIED, parts.headers).into_response());
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Compresses what a client takes compressed. As fast as can be: it is done for every client that asks.
#[must_use]
pub fn compression() -> CompressionLayer {
    CompressionLayer::new().quality(CompressionLevel::Fastest)
}

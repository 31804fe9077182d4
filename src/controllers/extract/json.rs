//! Bodies.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};

use super::query::no_parameters;
use crate::{
    context::Context,
    models::input::{Input, from_json},
    views::problem::{Kind, Problem},
};

/// A JSON body.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: Input> FromRequest<Context> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, ctx: &Context) -> Result<Self, Problem> {
        let bytes = body_of::<T>(request, ctx).await?;
        Ok(Self(from_json(&bytes)?))
    }
}

/// The bytes of a body that is said to be JSON; or of an object without members, where none has to be
/// sent and none was.
pub(super) async fn body_of<T: Input>(request: Request, ctx: &Context) -> Result<Bytes, Problem> {
    no_parameters(request.uri())?;
    if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING)
        && encoding != "identity"
    {
        let why = "The body must not be encoded: send it without a Content-Encoding header.";
        return Err(Problem::new(Kind::UNSUPPORTED_MEDIA_TYPE).because(why));
    }
    let (typed, json) = (
        request.headers().contains_key(header::CONTENT_TYPE),
        is_json(request.headers()),
    );
    if !json && (typed || !T::MAY_BE_MISSING) {
        return Err(Problem::new(Kind::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = Bytes::from_request(request, ctx)
        .await
        .map_err(|rejection| match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Kind::PAYLOAD_TOO_LARGE),
            _ => Problem::new(Kind::MALFORMED_REQUEST)
                .because("The body ended before it was complete."),
        })?;
    match (T::MAY_BE_MISSING && body.is_empty(), json) {
        (true, _) => Ok(Bytes::from_static(b"{}")),
        (false, true) => Ok(body),
        (false, false) => Err(Problem::new(Kind::UNSUPPORTED_MEDIA_TYPE)),
    }
}

/// Whether the body says that it is JSON: `application/json`, or a type that ends in `+json` (RFC 6839).
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(media_type)) = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str())
    else {
        return false;
    };
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

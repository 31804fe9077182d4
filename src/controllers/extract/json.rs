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
    views::{
        fields::{FromFields, from_json},
        problem::{Kind, Problem},
    },
};

/// A JSON body.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: FromFields> FromRequest<Context> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, ctx: &Context) -> Result<Self, Problem> {
        let bytes = body_of::<T>(request, ctx).await?;
        Ok(Self(read(&bytes, ctx)?))
    }
}

/// The bytes of a body that is said to be JSON; or of an object without members, where none has to be
/// sent and none was.
pub(super) async fn body_of<T: FromFields>(
    request: Request,
    ctx: &Context,
) -> Result<Bytes, Problem> {
    no_parameters(request.uri())?;
    let (typed, json) = (
        request.headers().contains_key(header::CONTENT_TYPE),
        is_json(request.headers()),
    );
    if !json && (typed || !T::MAY_BE_MISSING) {
        return Err(Problem::new(Kind::UnsupportedMediaType));
    }
    let body = Bytes::from_request(request, ctx)
        .await
        .map_err(|rejection| match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Kind::PayloadTooLarge),
            _ => Problem::new(Kind::MalformedRequest)
                .because("The body ended before it was complete."),
        })?;
    match (T::MAY_BE_MISSING && body.is_empty(), json) {
        (true, _) => Ok(Bytes::from_static(b"{}")),
        (false, true) => Ok(body),
        (false, false) => Err(Problem::new(Kind::UnsupportedMediaType)),
    }
}

/// What the body says.
pub(super) fn read<T: FromFields>(body: &[u8], ctx: &Context) -> Result<T, Problem> {
    let min_length = ctx.settings.security.password_min_length;
    Ok(from_json(body, min_length)?)
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

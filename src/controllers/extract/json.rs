//! Bodies.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use loco_rs::app::AppContext;

use crate::{
    settings::Settings,
    views::{
        fields::{FromFields, from_json},
        problem::{Kind, Problem},
    },
};

/// A JSON body.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: FromFields> FromRequest<AppContext> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, ctx: &AppContext) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(Kind::UnsupportedMediaType));
        }
        let min_length = Settings::of(ctx)?.security.password_min_length;
        let body = Bytes::from_request(request, ctx)
            .await
            .map_err(|rejection| match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Kind::PayloadTooLarge),
                _ => Problem::new(Kind::MalformedRequest)
                    .because("The body ended before it was complete."),
            })?;
        Ok(Self(from_json(&body, min_length)?))
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

//! The API's document (OpenAPI), made from the endpoints themselves, and the Swagger page that shows
//! it. The page's assets are in the binary; it loads nothing from elsewhere.

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::{from_fn, map_response},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use loco_rs::app::AppContext;
use utoipa_swagger_ui::{Config, SwaggerUi};

mod common;
mod document;

pub use self::document::{Document, document};
use crate::{
    middleware::revalidate::{compression, revalidate},
    views::problem::Problem,
};

/// Where the page is.
pub const PAGE: &str = "/swagger";

/// Where the document is.
pub const DOCUMENT: &str = "/api-docs/openapi.json";

/// Where the document is as YAML, byte for byte `swagger.yaml` in the repository.
pub const YAML: &str = "/api-docs/swagger.yaml";

/// What the page may load: its own scripts and styles, the small pictures that are written into them,
/// and, to try things out, this server. Swagger UI also writes styles into its elements.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The routes of the document and its page. They are there before the API's own, so that every layer
/// is around them too.
pub fn routes() -> Router<AppContext> {
    let config = Config::new([DOCUMENT])
        .try_it_out_enabled(true)
        .display_request_duration(true)
        // A reload keeps the token, in this browser only.
        .persist_authorization(true)
        // The schemas stand folded below the operations, which show their own.
        .default_models_expand_depth(0)
        // Or the page would send the document to a server of others.
        .validator_url("none");
    let page: Router = SwaggerUi::new(PAGE).config(config).into();
    // Not around the rest of the server, as `layer` would be: it takes the fallback along.
    page.route_layer(map_response(complete))
        .route("/", get(|| async { Redirect::to(PAGE) }))
        .route(DOCUMENT, get(json))
        .route(YAML, get(yaml))
        .route_layer(from_fn(revalidate))
        .route_layer(compression())
        .with_state(())
}

async fn json() -> Result<impl IntoResponse, Problem> {
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, document()?.json.as_str()))
}

async fn yaml() -> Result<impl IntoResponse, Problem> {
    // RFC 9512.
    let yaml = [(header::CONTENT_TYPE, "application/yaml")];
    Ok((yaml, document()?.yaml.as_str()))
}

/// With the page's policy, and the character set of what is text.
async fn complete(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    let kind = headers.get(header::CONTENT_TYPE);
    if let Some(kind) = kind.and_then(|kind| kind.to_str().ok())
        && kind.starts_with("text/")
        && !kind.contains(';')
        && let Ok(kind) = HeaderValue::try_from(format!("{kind}; charset=utf-8"))
    {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    response
}

//! The API's document (OpenAPI), made from the endpoints themselves, and the Swagger page that shows
//! it. The page's assets are in the binary.

use axum::Router;
use loco_rs::app::AppContext;
use utoipa::openapi::{
    Components, Info, OpenApi, OpenApiBuilder, Paths, SecurityRequirement, Server,
    security::{Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_swagger_ui::SwaggerUi;

use crate::controllers::{BASE, endpoints};

/// Where the page is.
pub const PAGE: &str = "/swagger";

/// Where the document is.
pub const DOCUMENT: &str = "/api-docs/openapi.json";

/// The routes of the document and its page. They are there before the API's own, so that every layer
/// is around them too.
pub fn routes() -> Router<AppContext> {
    SwaggerUi::new(PAGE).url(DOCUMENT, document()).into()
}

/// The document of every endpoint.
#[must_use]
pub fn document() -> OpenApi {
    let bearer = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    let (mut paths, mut components) = (Paths::new(), Components::new());
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    for (schemas, endpoint, _) in endpoints() {
        paths.merge(endpoint);
        components.schemas.extend(schemas);
    }
    OpenApiBuilder::new()
        .info(Info::new("Boxcar", env!("CARGO_PKG_VERSION")))
        .servers(Some([Server::new(BASE)]))
        .paths(paths)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(
            "bearer",
            Vec::<String>::new(),
        )]))
        .build()
}

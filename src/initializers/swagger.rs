//! The API's document (OpenAPI), made from the endpoints themselves, and the Swagger page that shows
//! it. The page's assets are in the binary.

use async_trait::async_trait;
use axum::Router;
use loco_rs::{
    Result,
    app::{AppContext, Initializer},
};
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

/// Serves the document and its page.
#[derive(Clone, Copy, Debug)]
pub struct Swagger;

#[async_trait]
impl Initializer for Swagger {
    fn name(&self) -> String {
        "swagger".to_owned()
    }

    async fn after_routes(&self, router: Router, _: &AppContext) -> Result<Router> {
        Ok(router.merge(SwaggerUi::new(PAGE).url(DOCUMENT, document())))
    }
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

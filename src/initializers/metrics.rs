//! Metrics for those who watch over the server, in the text format of Prometheus.

use async_trait::async_trait;
use axum::{Router, http::header, response::IntoResponse, routing::get};
use loco_rs::{
    Result,
    app::{AppContext, Initializer},
};
use prometheus_client::{encoding::text::encode, registry::Registry};

use crate::{
    context::Context,
    views::problem::{Kind, Problem},
};

/// Where they are read. It takes no token: who may read them is the proxy's business.
pub const PATH: &str = "/metrics";

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The route of the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Metrics;

#[async_trait]
impl Initializer for Metrics {
    fn name(&self) -> String {
        "metrics".to_owned()
    }

    async fn after_routes(&self, router: Router, ctx: &AppContext) -> Result<Router> {
        let ctx = Context::of(ctx)?;
        if !ctx.settings.metrics.enable {
            return Ok(router);
        }
        let mut registry = Registry::with_prefix("boxcar");
        ctx.shared.metrics.register(&mut registry);
        let registry = std::sync::Arc::new(registry);
        let show = move || async move {
            let mut text = String::new();
            match encode(&mut text, &registry) {
                Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
                Err(_) => Problem::new(Kind::INTERNAL).into_response(),
            }
        };
        Ok(router.route(PATH, get(show)))
    }
}

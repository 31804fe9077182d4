//! Metrics for those who watch over the server, in the text format of Prometheus.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use axum::{Router, http::header, response::IntoResponse, routing::get};
use loco_rs::{
    Result,
    app::{AppContext, Initializer},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::Registry,
};

use crate::{
    context::Context,
    controllers::health::Readiness,
    middleware::observe::METRICS,
    models::{connection::PoolSize, queue::hashing, reader::Reader},
    views::problem::{Kind, Problem},
};

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
        let metrics = &ctx.shared.metrics;
        metrics.register(&mut registry);
        registry.register_collector(Box::new(Load(ctx.db.clone())));
        let commit = option_env!("BUILD_SHA").unwrap_or("unknown");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("commit", commit)]);
        registry.register("build", "Which program this is", build);
        let ready = Gauge::<i64>::default();
        let help = "Whether requests should be sent to the server, as /_readiness says";
        registry.register("ready", help, ready.clone());
        let (registry, readiness) = (Arc::new(registry), Arc::new(Readiness::new(&ctx)));
        let show = move || async move {
            ready.set(readiness.is_ready().await.into());
            let mut text = String::new();
            match encode(&mut text, &registry) {
                Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
                Err(_) => Problem::new(Kind::INTERNAL).into_response(),
            }
        };
        Ok(router.route(METRICS, get(show)))
    }
}

/// How busy the server is at the moment of reading.
#[derive(Debug)]
struct Load(Reader);

impl Collector for Load {
    #[rustfmt::skip]
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let PoolSize { open, idle, max } = PoolSize::of(&self.0);
        let (running, waiting) = hashing().load();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        for (name, help, value) in [
            ("db_connections", "Open connections to the database", open),
            ("db_connections_idle", "Open connections to the database that are not in use", number(idle)),
            ("db_connections_max", "The most connections to the database that there may be", max),
            ("password_hashes_running", "Passwords that are hashed or judged", number(running)),
            ("password_hashes_waiting", "Passwords that wait for being hashed or judged", number(waiting)),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

//! Metrics for those who watch over the server, in the text format of Prometheus.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::{Router, http::header, response::IntoResponse, routing::get};
use chrono::Utc;
use loco_rs::{
    Result,
    app::{AppContext, Initializer},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{
        family::Family,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::{Registry, Unit},
};

use crate::{
    context::Context,
    controllers::health::Readiness,
    middleware::observe::METRICS,
    models::{
        self,
        connection::PoolSize,
        deliveries::{self, Delivery},
        mails,
        queue::hashing,
        reader::Reader,
        types::DeliveryStatus,
        webhook_deliveries,
    },
    views::problem::{Kind, Problem},
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How often the deliveries that are done are counted at most: there may be millions.
const RECOUNT: Duration = Duration::from_mins(1);

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
        let sent = Sent::registered(&mut registry);
        let (registry, readiness) = (Arc::new(registry), Arc::new(Readiness::new(&ctx)));
        let show = move || async move {
            ready.set(readiness.is_ready().await.into());
            if let Err(error) = sent.look(&ctx).await {
                tracing::warn!(%error, "how many deliveries there are is not known");
            }
            let mut text = String::new();
            match encode(&mut text, &registry) {
                Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
                Err(_) => Problem::new(Kind::INTERNAL).into_response(),
            }
        };
        Ok(router.route(METRICS, get(show)))
    }
}

/// How many deliveries there are, and how long they wait.
#[derive(Clone, Debug, Default)]
struct Sent {
    count: Family<DeliveryLabels, Gauge<i64>>,
    oldest: Family<KindLabel, Gauge<f64, AtomicU64>>,
    /// When those that are done were counted last.
    counted: Arc<Mutex<Option<Instant>>>,
}

/// What a delivery is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    kind: &'static str,
    status: &'static str,
}

/// What a delivery is, whatever has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

impl Sent {
    fn registered(registry: &mut Registry) -> Self {
        let sent = Self::default();
        let help = "Webhook deliveries and mails that are kept, by their status";
        registry.register("deliveries", help, sent.count.clone());
        let help = "How long ago the event happened that waits longest for being sent";
        registry.register_with_unit(
            "delivery_oldest_pending",
            help,
            Unit::Seconds,
            sent.oldest.clone(),
        );
        sent
    }

    async fn look(&self, ctx: &Context) -> models::Result<()> {
        let are_counted = {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            let is_old = counted.is_none_or(|at| at.elapsed() > RECOUNT);
            if is_old {
                *counted = Some(Instant::now());
            }
            !is_old
        };
        self.look_at::<webhook_deliveries::Entity>(ctx, "webhook", are_counted)
            .await?;
        self.look_at::<mails::Entity>(ctx, "mail", are_counted)
            .await
    }

    async fn look_at<E: Delivery>(
        &self,
        ctx: &Context,
        kind: &'static str,
        are_counted: bool,
    ) -> models::Result<()> {
        let (pending, oldest) = deliveries::waiting::<E>(&ctx.db).await?;
        let age = oldest.map_or(0.0, |at| (Utc::now() - at).as_seconds_f64().max(0.0));
        self.oldest.get_or_create(&KindLabel { kind }).set(age);
        let mut counts = vec![(DeliveryStatus::Pending, pending)];
        if !are_counted {
            counts.extend(deliveries::finished::<E>(&ctx.db).await?);
        }
        for (status, count) in counts {
            let status = status.as_str();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.count
                .get_or_create(&DeliveryLabels { kind, status })
                .set(count);
        }
        Ok(())
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

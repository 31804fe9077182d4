//! Metrics: how often what happened, and how long it took.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Up to how many seconds a request took. The last is the default of `REQUEST_TIMEOUT`.
const SECONDS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0,
];

/// Counters that only grow.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Answers that were found.
    pub hits: Counter,
    /// Answers that were not, or not current.
    pub misses: Counter,
    /// Answers that were made and kept.
    pub fills: Counter,
    /// Answers that were given up for want of space, or because their time was over.
    pub evictions: Counter,
    /// Questions to Redis that it did not answer.
    pub errors: Counter,
    /// Requests that were refused because their budget was used up.
    pub refusals: Counter,
    /// Connections that were turned away because there were too many.
    pub refused_connections: Counter,
    /// How long requests took.
    pub requests: Requests,
    /// Attempts at deliveries.
    attempts: Family<AttemptLabels, Counter>,
}

/// What an attempt at a delivery was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    /// `webhook` or `mail`.
    kind: &'static str,
    /// Whether it `arrived` or `failed`.
    outcome: &'static str,
}

/// How long requests took, by what they were. How many there were, and what came of them, is counted with that.
#[derive(Clone, Debug)]
pub struct Requests(Family<RequestLabels, Histogram, fn() -> Histogram>);

/// What a request was. Each value here comes from a short list, whatever clients send.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// Its method.
    pub method: &'static str,
    /// The template of its path.
    pub route: String,
    /// The status of its response.
    pub status: u16,
}

impl Requests {
    /// Counts a request that took so many seconds.
    pub fn observe(&self, request: &RequestLabels, seconds: f64) {
        self.0.get_or_create(request).observe(seconds);
    }
}

impl Default for Requests {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(SECONDS)))
    }
}

impl Metrics {
    /// Counts an attempt at a delivery of that kind.
    pub fn count_attempt(&self, kind: &'static str, has_arrived: bool) {
        let outcome = if has_arrived { "arrived" } else { "failed" };
        let labels = AttemptLabels { kind, outcome };
        self.attempts.get_or_create(&labels).inc();
    }

    /// Names them for Prometheus, which puts `_total` behind each.
    #[rustfmt::skip]
    pub fn register(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            ("cache_hits", "Answers found in the cache", &self.hits),
            ("cache_misses", "Answers not found in the cache, or out of date", &self.misses),
            ("cache_fills", "Answers put into the cache", &self.fills),
            ("cache_evictions", "Answers dropped for space or age", &self.evictions),
            ("redis_errors", "Questions that Redis did not answer", &self.errors),
            ("rate_limited", "Requests refused by a budget", &self.refusals),
            ("refused_connections", "Connections turned away because there were too many", &self.refused_connections),
        ] {
            registry.register(name, help, counter.clone());
        }
        // From the first reading on, so that a rate has where to begin.
        for kind in ["webhook", "mail"] {
            for outcome in ["arrived", "failed"] {
                drop(self.attempts.get_or_create(&AttemptLabels { kind, outcome }));
            }
        }
        let help = "Attempts at webhook deliveries and mails, by what came of them";
        registry.register("delivery_attempts", help, self.attempts.clone());
        let help = "How long requests took, by method, route and status";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.requests.0.clone());
    }
}

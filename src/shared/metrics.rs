//! Metrics: how often what happened.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

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
}

impl Metrics {
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
    }
}

//! What nodes share: in memory for one of them alone, in Redis for several.
//!
//! That is which version of everything is the current one ([`versions`]), and what clients have used of
//! their budgets ([`quotas`]). Answers themselves stay with the node that made them ([`cache`]): they are
//! only found while they are current.
//!
//! Nothing here knows what the store sells, or HTTP.

pub mod cache;
pub mod digest;
pub mod metrics;
pub mod quotas;
pub mod redis;
pub mod versions;

use std::{fmt::Display, hash::Hash, sync::Arc, time::Duration};

use moka::sync::Cache;

use self::{
    digest::Digest,
    metrics::Metrics,
    quotas::{Charge, Decision, LocalQuotas, Quota},
    redis::Redis,
    versions::{VersionSnapshot, Versions},
};

/// For how long a name is remembered.
pub const MEMORY: Duration = Duration::from_hours(30 * 24);

/// How many names a node remembers at most.
const MAX_REMEMBERED: u64 = 100_000;

/// What a version belongs to.
pub trait Name: Hash + Display + Sync {}

impl<T: Hash + Display + Sync> Name for T {}

/// What this node knows and what it shares.
#[derive(Debug)]
pub struct SharedState {
    versions: Arc<Versions>,
    failures: LocalQuotas,
    memory: Cache<String, ()>,
    digest: Digest,
    redis: Option<Arc<Redis>>,
    /// How often what happened.
    pub metrics: Metrics,
}

impl SharedState {
    /// A node that keeps to itself; or shares with the others, when there is a Redis. What must not be
    /// read is named by the digest.
    #[must_use]
    pub fn new(redis: Option<Arc<Redis>>, digest: Digest, metrics: Metrics) -> Self {
        Self {
            versions: Arc::default(),
            failures: LocalQuotas::default(),
            memory: Cache::builder()
                .max_capacity(MAX_REMEMBERED)
                .time_to_live(MEMORY)
                .build(),
            digest,
            redis,
            metrics,
        }
    }

    /// Whether there is a Redis, in which budgets are counted for all nodes.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.redis.is_some()
    }

    /// What a request has to know before it begins: which versions are current, and, where budgets are
    /// shared, whether its budget allows it. One round trip at most. Its future is boxed, because
    /// it is large and not needed without Redis.
    pub async fn fetch(
        &self,
        names: &[impl Name],
        charge: Option<&Charge>,
    ) -> (VersionSnapshot, Option<Decision>) {
        match &self.redis {
            None => (VersionSnapshot::local(Arc::clone(&self.versions)), None),
            Some(redis) => match Box::pin(redis.fetch(names, charge)).await {
                Some((versions, decision)) => (versions, decision),
                None => (VersionSnapshot::unknown(), None),
            },
        }
    }

    /// What the shared budget says, when one is taken from it. `None` without Redis, or without its answer.
    pub async fn charge(&self, charge: &Charge) -> Option<Decision> {
        self.fetch(&[] as &[&str], Some(charge)).await.1
    }

    /// Says that these have changed, and so have those to which a row was added whose id is not beyond what was
    /// [announced](Self::announce) of them. No answer that was kept of them is found from now on, on any node.
    pub async fn bump<N: Name>(&self, names: &[N], added: &[(N, i64)], everything: bool) {
        self.versions.bump(names, everything);
        match &self.redis {
            None => self.versions.add(added),
            Some(redis) => Box::pin(redis.bump(names, added, everything)).await,
        }
    }

    /// Says that something is about to be kept that a row up to this id would change, on all nodes; and whether
    /// they have heard. What is kept has to stand under a version that was read before.
    pub async fn announce(&self, name: &impl Name, id: i64) -> bool {
        match &self.redis {
            None => {
                self.versions.announce(name, id);
                true
            }
            Some(redis) => Box::pin(redis.announce(name, id)).await,
        }
    }

    /// Takes one from each of the budgets, or from none of them when one is used up.
    ///
    /// # Errors
    /// The time until there is something in each again.
    pub async fn take(&self, budgets: &[(String, Quota)]) -> Result<(), Duration> {
        if budgets.is_empty() {
            return Ok(());
        }
        if let Some(redis) = &self.redis
            && let Some(outcome) = redis.take(budgets).await
        {
            return outcome;
        }
        // Without its Redis the node still counts for itself.
        self.failures.take(budgets)
    }

    /// Whether there is one in each of the budgets, of which nothing is taken.
    ///
    /// # Errors
    /// The time until there is.
    pub async fn look(&self, budgets: &[(String, Quota)]) -> Result<(), Duration> {
        if let Some(redis) = &self.redis
            && let Some(outcome) = redis.look(budgets).await
        {
            return outcome;
        }
        self.failures.look(budgets)
    }

    /// Gives back what was taken.
    pub async fn give_back(&self, budgets: &[(String, Quota)]) {
        if budgets.is_empty() {
            return;
        }
        if let Some(redis) = &self.redis
            && redis.give_back(budgets).await
        {
            return;
        }
        self.failures.give_back(budgets);
    }

    /// Remembers a name for [`MEMORY`].
    pub async fn remember(&self, name: &str) {
        self.memory.insert(name.to_owned(), ());
        if let Some(redis) = &self.redis {
            redis.remember(name, MEMORY).await;
        }
    }

    /// Whether a name is remembered.
    pub async fn remembers(&self, name: &str) -> bool {
        let there = match &self.redis {
            Some(redis) => redis.remembers(name).await,
            None => None,
        };
        there.unwrap_or_else(|| self.memory.contains_key(name))
    }

    /// What stands for a text that must not be readable.
    #[must_use]
    pub fn digest(&self, text: &str) -> String {
        self.digest.of(text)
    }

    /// Whether the Redis answers, where there is one.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn check(&self) -> Result<(), String> {
        match &self.redis {
            None => Ok(()),
            Some(redis) => redis.check().await,
        }
    }
}

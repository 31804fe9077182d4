//! The cache of a node: what it has made, for as long as that is current.

use std::{sync::Arc, time::Duration};

use moka::{future::Cache, notification::RemovalCause};

use super::{metrics::Metrics, versions::Version};

/// How often a request waits for what others make before it makes it alone.
const WAITS: u8 = 3;

/// What stands beside a value: its entry in moka's table and queues, and the numbers of its version.
const OVERHEAD: usize = 256;

/// Values under keys, no more than a number of bytes of them, none older than a time.
#[derive(Clone, Debug)]
pub struct VersionedCache<T: Clone + Send + Sync + 'static> {
    entries: Cache<String, Entry<T>>,
    metrics: Metrics,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    version: Version,
    value: T,
}

impl<T: Clone + Send + Sync + 'static> VersionedCache<T> {
    /// Keeps `max_bytes` of values, which `size` measures, for `ttl`.
    pub fn new(
        max_bytes: u64,
        ttl: Duration,
        metrics: Metrics,
        size: impl Fn(&T) -> usize + Send + Sync + 'static,
    ) -> Self {
        let evictions = metrics.evictions.clone();
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(move |key: &String, entry: &Entry<T>| {
                u32::try_from(OVERHEAD + key.len() + size(&entry.value)).unwrap_or(u32::MAX)
            })
            .time_to_live(ttl)
            .eviction_listener(move |_, _, cause| {
                if matches!(cause, RemovalCause::Size | RemovalCause::Expired) {
                    evictions.inc();
                }
            })
            .build();
        Self { entries, metrics }
    }

    /// What is kept under the key, current or not, and the version under which it is.
    pub async fn peek(&self, key: &str) -> Option<(Version, T)> {
        let entry = self.entries.get(key).await?;
        Some((entry.version, entry.value))
    }

    /// What is kept under key and version.
    pub async fn find(&self, key: &str, version: &Version) -> Option<T> {
        let entry = self.entries.get(key).await?;
        (entry.version == *version).then_some(entry.value)
    }

    /// What is kept under key and version; otherwise what `make` makes, which is kept. However many ask
    /// for the same at once, it is made once. Without a version no value is kept, nor found.
    ///
    /// # Errors
    /// Those of `make`, for all who waited for it.
    pub async fn get_or_insert_with<E, F>(
        &self,
        key: &str,
        version: Option<Version>,
        make: impl Fn() -> F + Send + Sync,
    ) -> Result<T, E>
    where
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send,
    {
        let Some(version) = version else {
            self.metrics.misses.inc();
            return Box::pin(make()).await;
        };
        if let Some(entry) = self.entries.get(key).await {
            if entry.version == version {
                self.metrics.hits.inc();
                return Ok(entry.value);
            }
            self.entries.invalidate(key).await;
        }
        self.metrics.misses.inc();
        // Boxed: this future is some kilobytes, which would be copied also when the answer is found.
        Box::pin(self.make_once(key, version, make)).await
    }

    async fn make_once<E, F>(
        &self,
        key: &str,
        version: Version,
        make: impl Fn() -> F + Send + Sync,
    ) -> Result<T, E>
    where
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send,
    {
        for _ in 0..WAITS {
            let made = self.entries.try_get_with_by_ref(key, async {
                let value = make().await?;
                self.metrics.fills.inc();
                Ok::<_, E>(Entry {
                    version: version.clone(),
                    value,
                })
            });
            let entry = made.await.map_err(Arc::unwrap_or_clone)?;
            if entry.version == version {
                return Ok(entry.value);
            }
            // A request from before the last write has made it: it is too old for this one.
            self.entries.invalidate(key).await;
        }
        make().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::shared::versions::{VersionSnapshot, Versions};

    fn kept(max_bytes: u64) -> VersionedCache<String> {
        let ttl = Duration::from_mins(1);
        VersionedCache::new(max_bytes, ttl, Metrics::default(), String::len)
    }

    fn snapshot() -> (Arc<Versions>, VersionSnapshot) {
        let versions = Arc::<Versions>::default();
        (Arc::clone(&versions), VersionSnapshot::local(versions))
    }

    async fn ask(kept: &VersionedCache<String>, version: Option<Version>, answer: &str) -> String {
        kept.get_or_insert_with("tea", version, || async { Ok::<_, ()>(answer.to_owned()) })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_is_current_is_found_and_what_is_not_is_made_again() {
        let (kept, (versions, snapshot)) = (kept(1 << 20), snapshot());
        assert_eq!(
            ask(&kept, snapshot.version(&["tea"]), "green").await,
            "green"
        );
        assert_eq!(
            ask(&kept, snapshot.version(&["tea"]), "black").await,
            "green"
        );
        versions.bump(&["tea"], false);
        assert_eq!(
            ask(&kept, snapshot.version(&["tea"]), "black").await,
            "black"
        );
        let metrics = &kept.metrics;
        assert_eq!(
            (
                metrics.hits.get(),
                metrics.misses.get(),
                metrics.fills.get()
            ),
            (1, 2, 2)
        );
    }

    #[tokio::test]
    async fn what_was_made_before_a_write_is_never_found_after_it() {
        let (kept, (versions, snapshot)) = (kept(1 << 20), snapshot());
        let before = snapshot.version(&["tea"]);
        versions.bump(&["tea"], false);
        assert_eq!(ask(&kept, before, "the old state").await, "the old state");
        assert_eq!(
            ask(&kept, snapshot.version(&["tea"]), "the new").await,
            "the new"
        );
    }

    #[tokio::test]
    async fn without_a_version_nothing_is_found_or_kept() {
        let (kept, (_, snapshot)) = (kept(1 << 20), snapshot());
        assert_eq!(
            ask(&kept, snapshot.version(&["tea"]), "green").await,
            "green"
        );
        assert_eq!(ask(&kept, None, "black").await, "black");
        assert_eq!(
            ask(&kept, snapshot.version(&["tea"]), "white").await,
            "green"
        );
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let (kept, (_, snapshot)) = (kept(1 << 20), snapshot());
        let failed = kept.get_or_insert_with("tea", snapshot.version(&["tea"]), || async {
            Err("spilled")
        });
        assert_eq!(failed.await, Err("spilled"));
        assert_eq!(
            ask(&kept, snapshot.version(&["tea"]), "green").await,
            "green"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_made_once_however_many_ask() {
        let (kept, (_, snapshot)) = (kept(1 << 20), snapshot());
        let made = AtomicU32::new(0);
        let asks = (0..64).map(|_| {
            kept.get_or_insert_with("tea", snapshot.version(&["tea"]), || async {
                made.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok::<_, ()>("green".to_owned())
            })
        });
        for answer in futures_util::future::join_all(asks).await {
            assert_eq!(answer.as_deref(), Ok("green"));
        }
        assert_eq!(made.into_inner(), 1);
    }

    #[tokio::test]
    async fn no_more_is_kept_than_there_is_room_for() {
        let (kept, (_, snapshot)) = (kept(64 * 1024), snapshot());
        for number in 0..1_000 {
            let make = || async { Ok::<_, ()>("x".repeat(1_024)) };
            let key = format!("tea {number}");
            kept.get_or_insert_with(&key, snapshot.version(&["tea"]), make)
                .await
                .unwrap();
        }
        kept.entries.run_pending_tasks().await;
        assert!(kept.entries.weighted_size() <= 64 * 1024);
        assert!(kept.metrics.evictions.get() > 900);
    }
}

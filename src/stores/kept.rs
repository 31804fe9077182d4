//! What a node keeps of what it has made, for as long as it is current.

use std::{sync::Arc, time::Duration};

use moka::{future::Cache, notification::RemovalCause};

use super::{counts::Counts, generations::Stamp};

/// How often somebody waits for what others make before making it alone.
const WAITS: u8 = 3;

/// What stands beside a kept thing: its entry in moka's table and queues, and the numbers of its stamp.
const OVERHEAD: usize = 256;

/// Things under keys, no more than a number of bytes of them, none older than a time.
#[derive(Clone, Debug)]
pub struct Kept<T: Clone + Send + Sync + 'static> {
    things: Cache<String, Stamped<T>>,
    counts: Counts,
}

#[derive(Clone, Debug)]
struct Stamped<T> {
    stamp: Stamp,
    thing: T,
}

impl<T: Clone + Send + Sync + 'static> Kept<T> {
    /// Keeps `max_bytes` of things, which `size` measures, for `ttl`.
    pub fn new(
        max_bytes: u64,
        ttl: Duration,
        counts: Counts,
        size: impl Fn(&T) -> usize + Send + Sync + 'static,
    ) -> Self {
        let evictions = counts.evictions.clone();
        let things = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(move |key: &String, kept: &Stamped<T>| {
                u32::try_from(OVERHEAD + key.len() + size(&kept.thing)).unwrap_or(u32::MAX)
            })
            .time_to_live(ttl)
            .eviction_listener(move |_, _, cause| {
                if matches!(cause, RemovalCause::Size | RemovalCause::Expired) {
                    evictions.inc();
                }
            })
            .build();
        Self { things, counts }
    }

    /// What is kept under the key, current or not, and the stamp under which it is.
    pub async fn peek(&self, key: &str) -> Option<(Stamp, T)> {
        let kept = self.things.get(key).await?;
        Some((kept.stamp, kept.thing))
    }

    /// What is kept under key and stamp; otherwise what `make` makes, which is kept. However many ask
    /// for the same at once, it is made once. Without a stamp nothing is kept, nor found.
    ///
    /// # Errors
    /// Those of `make`, for all who waited for it.
    pub async fn get_or_make<E, F>(
        &self,
        key: &str,
        stamp: Option<Stamp>,
        make: impl Fn() -> F + Send + Sync,
    ) -> Result<T, E>
    where
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send,
    {
        let Some(stamp) = stamp else {
            self.counts.misses.inc();
            return make().await;
        };
        if let Some(kept) = self.things.get(key).await {
            if kept.stamp == stamp {
                self.counts.hits.inc();
                return Ok(kept.thing);
            }
            self.things.invalidate(key).await;
        }
        self.counts.misses.inc();
        for _ in 0..WAITS {
            let made = self.things.try_get_with_by_ref(key, async {
                let thing = make().await?;
                self.counts.fills.inc();
                Ok::<_, E>(Stamped {
                    stamp: stamp.clone(),
                    thing,
                })
            });
            let kept = made.await.map_err(Arc::unwrap_or_clone)?;
            if kept.stamp == stamp {
                return Ok(kept.thing);
            }
            // Somebody who came before the last write has made it: it is too old for this request.
            self.things.invalidate(key).await;
        }
        make().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::stores::generations::{Generations, Noted};

    fn kept(max_bytes: u64) -> Kept<String> {
        let ttl = Duration::from_mins(1);
        Kept::new(max_bytes, ttl, Counts::default(), String::len)
    }

    fn noted() -> (Arc<Generations>, Noted) {
        let generations = Arc::<Generations>::default();
        (Arc::clone(&generations), Noted::here(generations))
    }

    async fn ask(kept: &Kept<String>, stamp: Option<Stamp>, answer: &str) -> String {
        kept.get_or_make("tea", stamp, || async { Ok::<_, ()>(answer.to_owned()) })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_is_current_is_found_and_what_is_not_is_made_again() {
        let (kept, (generations, noted)) = (kept(1 << 20), noted());
        assert_eq!(ask(&kept, noted.stamp(&["tea"]), "green").await, "green");
        assert_eq!(ask(&kept, noted.stamp(&["tea"]), "black").await, "green");
        generations.raise(&["tea"], false);
        assert_eq!(ask(&kept, noted.stamp(&["tea"]), "black").await, "black");
        let counts = &kept.counts;
        assert_eq!(
            (counts.hits.get(), counts.misses.get(), counts.fills.get()),
            (1, 2, 2)
        );
    }

    #[tokio::test]
    async fn what_was_made_before_a_write_is_never_found_after_it() {
        let (kept, (generations, noted)) = (kept(1 << 20), noted());
        let before = noted.stamp(&["tea"]);
        generations.raise(&["tea"], false);
        assert_eq!(ask(&kept, before, "the old state").await, "the old state");
        assert_eq!(
            ask(&kept, noted.stamp(&["tea"]), "the new").await,
            "the new"
        );
    }

    #[tokio::test]
    async fn without_a_stamp_nothing_is_found_or_kept() {
        let (kept, (_, noted)) = (kept(1 << 20), noted());
        assert_eq!(ask(&kept, noted.stamp(&["tea"]), "green").await, "green");
        assert_eq!(ask(&kept, None, "black").await, "black");
        assert_eq!(ask(&kept, noted.stamp(&["tea"]), "white").await, "green");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let (kept, (_, noted)) = (kept(1 << 20), noted());
        let failed = kept.get_or_make("tea", noted.stamp(&["tea"]), || async { Err("spilled") });
        assert_eq!(failed.await, Err("spilled"));
        assert_eq!(ask(&kept, noted.stamp(&["tea"]), "green").await, "green");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_made_once_however_many_ask() {
        let (kept, (_, noted)) = (kept(1 << 20), noted());
        let made = AtomicU32::new(0);
        let asks = (0..64).map(|_| {
            kept.get_or_make("tea", noted.stamp(&["tea"]), || async {
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
        let (kept, (_, noted)) = (kept(64 * 1024), noted());
        for number in 0..1_000 {
            let make = || async { Ok::<_, ()>("x".repeat(1_024)) };
            let key = format!("tea {number}");
            kept.get_or_make(&key, noted.stamp(&["tea"]), make)
                .await
                .unwrap();
        }
        kept.things.run_pending_tasks().await;
        assert!(kept.things.weighted_size() <= 64 * 1024);
        assert!(kept.counts.evictions.get() > 900);
    }
}

//! The relay: leases deliveries that are due, makes their attempts, and writes down what came of them. Every node has
//! one, and they share the work by leases.
//!
//! It is no `Worker` of Loco's: its queues forget what they hold in process and on MySQL, so they are not where a
//! delivery is written down. Here that is a row which is committed with its event.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::Notify,
    time::{sleep_until, timeout_at},
};

use crate::models::Result;

/// How long the relay rests when nothing wakes it: what other nodes have left, and what they have written without being
/// able to send it, is found then.
const REST: Duration = Duration::from_secs(1);

/// How long the relay rests in any case while the shop is busy: what is sent a little later does no harm, and what takes
/// processor time from orders does. At most as long as [`REST`].
const PAUSE: Duration = Duration::from_secs(1);

/// How long attempts may still take when the server ends. What is not done by then is given back.
const LAST_CALL: Duration = Duration::from_secs(5);

/// When deliveries are due that have failed here: a relay need not rest until others would find them.
#[derive(Clone, Debug, Default)]
pub struct Alarms(BinaryHeap<Reverse<Instant>>);

impl Alarms {
    /// Sets some more.
    pub fn set(&mut self, due: Vec<DateTime<Utc>>) {
        let now = (Instant::now(), Utc::now());
        self.0.extend(due.into_iter().map(|at| {
            let wait = (at - now.1).to_std().unwrap_or_default();
            Reverse(now.0 + wait)
        }));
    }

    /// Forgets those that have gone off.
    pub fn forget(&mut self, now: Instant) {
        while self.0.peek().is_some_and(|alarm| alarm.0 <= now) {
            self.0.pop();
        }
    }

    /// The next one.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.0.peek().map(|alarm| alarm.0)
    }
}

/// One kind of delivery.
pub trait Channel: Send + Sync {
    /// What an attempt needs.
    type Job: Send;
    /// What came of an attempt.
    type Done: Send + Sync;

    /// Its name, for the log.
    const NAME: &'static str;

    /// Writes down what is done, and leases as much more as there is room for, if it shall.
    fn work(
        &self,
        done: &[Self::Done],
        lease: bool,
    ) -> impl Future<Output = Result<Vec<Self::Job>>> + Send;

    /// Makes an attempt.
    fn attempt(&self, job: Self::Job) -> impl Future<Output = Self::Done> + Send;

    /// Whether the node has more important things to do.
    fn is_busy(&self) -> bool;

    /// When there may be something to do before anybody says so.
    fn next(&self) -> Option<Instant>;

    /// Gives back what is leased, and was not done.
    fn release(&self) -> impl Future<Output = Result<()>> + Send;
}

/// Sends until the end comes.
pub async fn run<C: Channel>(channel: C, wake: &Notify, end: impl Future<Output = ()> + Send) {
    let mut running = FuturesUnordered::new();
    let mut done = Vec::new();
    let mut is_well = true;
    tokio::pin!(end);
    'sending: loop {
        match channel.work(&done, true).await {
            Ok(jobs) => {
                if !is_well {
                    tracing::info!("{} are sent again", C::NAME);
                }
                is_well = true;
                done.clear();
                running.extend(jobs.into_iter().map(|job| channel.attempt(job)));
            }
            Err(error) => {
                if is_well {
                    tracing::warn!(%error, "{} cannot be sent just now: this is tried again", C::NAME);
                }
                is_well = false;
            }
        }
        let now = Instant::now();
        let soonest = if channel.is_busy() { now + PAUSE } else { now };
        let rest = channel.next().filter(|_| is_well);
        let mut due = rest.unwrap_or(now + REST).clamp(soonest, now + REST);
        while Instant::now() < due {
            tokio::select! {
                Some(one) = running.next() => {
                    done.push(one);
                    while let Some(Some(one)) = running.next().now_or_never() {
                        done.push(one);
                    }
                    // A database that does not answer is not asked for each attempt that ends.
                    if is_well {
                        due = soonest;
                    }
                }
                () = wake.notified(), if is_well => due = soonest,
                () = sleep_until(due.into()) => {}
                () = &mut end => break 'sending,
            }
        }
    }
    let last = Instant::now() + LAST_CALL;
    while let Ok(Some(one)) = timeout_at(last.into(), running.next()).await {
        done.push(one);
    }
    let settled = channel.work(&done, false).await;
    let released = channel.release().await;
    if let Err(error) = settled.and(released) {
        tracing::warn!(%error, "what came of some {} is not known: they are sent again", C::NAME);
    }
}

/// Sends all that is due at this moment, and what becomes due meanwhile.
///
/// # Errors
/// When the database does not answer.
pub async fn send_all<C: Channel>(channel: &C) -> Result<()> {
    let mut running = FuturesUnordered::new();
    let mut done = Vec::new();
    loop {
        let jobs = channel.work(&done, true).await?;
        done.clear();
        running.extend(jobs.into_iter().map(|job| channel.attempt(job)));
        match running.next().await {
            Some(one) => done.push(one),
            None if channel.next().is_some_and(|at| at <= Instant::now()) => {}
            None => return Ok(()),
        }
    }
}

//! Sends webhooks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::Utc;
use reqwest::header::HeaderMap;
use uuid::Uuid;

use super::{
    relay::{Alarms, Channel},
    wire::{self, Wire},
};
use crate::{
    context::{CausedBy, Context},
    models::{
        Actor, Result,
        deliveries::{Attempt, Schedule, Verdict},
        webhook_deliveries::{Leased, Model, Outcome, Policy},
        webhook_endpoints,
    },
    transaction,
    views::events::Message,
};

/// How many attempts a node makes at one endpoint at a time: a slow one does not keep others waiting.
const AT_A_TIME: usize = 16;

/// After how many failures in a row an endpoint is only tried. What waits for a dead one would otherwise be sent there
/// in vain as fast as it can be.
const SICK_AFTER: usize = 32;

/// How many attempts are made at a time to try one.
const TRIALS: usize = 4;

/// How long to wait between them.
const TRIAL_REST: Duration = Duration::from_millis(200);

/// How long to send nothing to an endpoint that has too much to do, unless it says how long.
const SLOW_DOWN: Duration = Duration::from_secs(1);

/// How long at most: the deliveries themselves wait for as long as it says.
const SLOWEST: Duration = Duration::from_mins(1);

/// The webhooks of a node.
pub struct Webhooks {
    ctx: Context,
    store: CausedBy,
    wire: Wire,
    policy: Policy,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How each endpoint is doing.
    lanes: HashMap<i64, Lane>,
    /// The leases of the deliveries that are being sent.
    leases: BTreeMap<i64, String>,
    alarms: Alarms,
}

/// How an endpoint is doing, as this node sees it.
#[derive(Debug)]
struct Lane {
    running: usize,
    limit: usize,
    /// Failures since something last arrived.
    failures: usize,
    /// Until when nothing is sent.
    rest: Option<Instant>,
}

impl Webhooks {
    /// The webhooks that are sent over that wire.
    #[must_use]
    pub fn over(wire: Wire, ctx: &Context) -> Self {
        let settings = &ctx.settings.webhooks;
        Self {
            ctx: ctx.clone(),
            store: ctx.caused_by(Actor::system()),
            wire,
            policy: Policy {
                schedule: Schedule::new(settings.waits().unwrap_or_default()),
                disable_after: settings.disable_after(),
            },
            state: Mutex::default(),
        }
    }

    /// Seals all secrets under the store's current secret, so that the one before it can be forgotten.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reseal(&self) -> Result<()> {
        let sealer = &self.ctx.sealer;
        transaction!(&self.store, |txn| {
            webhook_endpoints::Model::reseal(txn, |sealed| sealer.reseal(sealed)).await
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more deliveries each of those endpoints can be sent.
    fn room(&self, endpoints: &[webhook_endpoints::Model]) -> Vec<(i64, u64)> {
        self.state().room(endpoints)
    }

    async fn sent(&self, job: &Leased) -> wire::Outcome {
        match self.signed(job) {
            Ok((headers, body)) => self.wire.post(&job.endpoint.url, headers, body).await,
            Err(why) => wire::Outcome {
                status_code: None,
                duration: Duration::ZERO,
                retry_after: None,
                error: Some(why.to_string()),
            },
        }
    }

    fn signed(&self, job: &Leased) -> Result<(HeaderMap, String)> {
        let sealed = job.endpoint.sealed_secrets()?;
        let secrets = sealed
            .iter()
            .filter_map(|sealed| self.ctx.sealer.open(sealed));
        let secrets: Vec<_> = secrets.collect();
        if secrets.is_empty() {
            let why =
                "The secret of the endpoint cannot be read: JWT_SECRET has changed. Rotate it.";
            return Err(loco_rs::Error::Message(why.to_owned()).into());
        }
        let body = Message::from(job.event.clone()).json()?;
        let headers = wire::sign(&secrets, job.event.id, Utc::now(), &body)?;
        Ok((headers, body))
    }
}

impl Channel for Webhooks {
    type Job = Leased;
    type Done = Outcome;

    const NAME: &'static str = "webhooks";

    async fn work(&self, done: &[Outcome], lease: bool) -> Result<Vec<Leased>> {
        let due = if lease {
            Model::due(&self.ctx.db).await?
        } else {
            Vec::new()
        };
        let room = self.room(&due);
        if done.is_empty() && room.is_empty() {
            return Ok(Vec::new());
        }
        let (policy, lease) = (&self.policy, Uuid::new_v4().to_string());
        let (due, leased) = transaction!(&self.store, |txn| {
            let due = Model::settle(txn, done, policy).await?;
            let leased = Model::lease(txn, room.clone(), lease.clone()).await?;
            Ok((due, leased))
        })?;
        let mut state = self.state();
        state.alarms.set(due);
        for job in &leased {
            state.leases.insert(job.delivery.id, job.lease.clone());
            let lane = state.lanes.entry(job.endpoint.id).or_default();
            lane.running += 1;
        }
        drop(state);
        Ok(leased)
    }

    async fn attempt(&self, job: Leased) -> Outcome {
        let at = Utc::now();
        let sent = self.sent(&job).await;
        let status = sent.status_code.unwrap_or_default();
        let mut state = self.state();
        state.leases.remove(&job.delivery.id);
        let lane = state.lanes.entry(job.endpoint.id).or_default();
        lane.heard(&sent);
        drop(state);
        self.ctx
            .shared
            .metrics
            .count_attempt("webhook", sent.is_success());
        let verdict = if sent.is_success() {
            Verdict::Arrived
        } else if status == 410 {
            Verdict::Hopeless
        } else {
            Verdict::Again(sent.retry_after.map(|wait| Utc::now() + wait))
        };
        let answered = || Some(format!("The receiver answered {status}."));
        let error = match verdict {
            Verdict::Arrived => None,
            _ => sent.error.or_else(answered),
        };
        Outcome {
            attempt: Attempt {
                at,
                status_code: sent.status_code,
                duration_ms: u64::try_from(sent.duration.as_millis()).unwrap_or(u64::MAX),
                error,
            },
            verdict,
            is_gone: status == 410,
            delivery: job.delivery,
            lease: job.lease,
        }
    }

    fn is_busy(&self) -> bool {
        self.ctx.draining.is_busy()
    }

    fn next(&self) -> Option<Instant> {
        let state = self.state();
        let rests = state.lanes.values().filter_map(|lane| lane.rest);
        rests.chain(state.alarms.next()).min()
    }

    async fn release(&self) -> Result<()> {
        let leased = self.state().leases.clone();
        if leased.is_empty() {
            return Ok(());
        }
        transaction!(&self.store, |txn| Model::release(txn, &leased).await)
    }
}

impl State {
    fn room(&mut self, endpoints: &[webhook_endpoints::Model]) -> Vec<(i64, u64)> {
        self.forget(Instant::now());
        let room = endpoints.iter().map(|endpoint| {
            let lane = self.lanes.entry(endpoint.id).or_default();
            (endpoint.id, lane.room() as u64)
        });
        room.filter(|(_, room)| *room > 0).collect()
    }

    /// Forgets what was waited for until now.
    fn forget(&mut self, now: Instant) {
        self.alarms.forget(now);
        for lane in self.lanes.values_mut() {
            lane.rest = lane.rest.filter(|rest| *rest > now);
        }
    }
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            running: 0,
            limit: AT_A_TIME,
            failures: 0,
            rest: None,
        }
    }
}

impl Lane {
    const fn room(&self) -> usize {
        if self.rest.is_some() {
            return 0;
        }
        self.limit.saturating_sub(self.running)
    }

    /// Adapts to what an endpoint has answered.
    fn heard(&mut self, sent: &wire::Outcome) {
        self.running = self.running.saturating_sub(1);
        if sent.is_success() {
            self.failures = 0;
            self.limit = (self.limit * 2).min(AT_A_TIME);
            self.rest = None;
            return;
        }
        self.failures += 1;
        let rest = if matches!(sent.status_code, Some(429 | 502 | 504)) {
            self.limit = (self.limit / 2).max(1);
            let asked = sent.retry_after.and_then(|wait| wait.to_std().ok());
            asked.unwrap_or(SLOW_DOWN).clamp(SLOW_DOWN, SLOWEST)
        } else if self.failures >= SICK_AFTER {
            self.limit = self.limit.min(TRIALS);
            TRIAL_REST
        } else {
            return;
        };
        self.rest = Some(Instant::now() + rest);
    }
}

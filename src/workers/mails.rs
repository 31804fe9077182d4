//! Sends mails.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use chrono::Utc;
use loco_rs::app::AppContext;
use uuid::Uuid;

use super::relay::{Alarms, Channel};
use crate::{
    context::{CausedBy, Context},
    mailers::{ShopMailer, post},
    models::{
        Actor, Result,
        deliveries::{Attempt, Verdict},
        mails::{Model, Outcome},
    },
    transaction,
};

/// How many mails a node sends at a time: a server for mails lets one client open a few connections only.
const AT_A_TIME: usize = 4;

/// The mails of a node.
pub struct Mails {
    /// Loco's mailers want Loco's context.
    app: AppContext,
    ctx: Context,
    store: CausedBy,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The leases of the mails that are being sent.
    leases: BTreeMap<i64, String>,
    alarms: Alarms,
}

/// A mail that is leased.
#[derive(Clone, Debug)]
pub struct Leased {
    mail: Model,
    lease: String,
}

impl Mails {
    /// The mails of that store.
    ///
    /// # Errors
    /// When the context was not installed.
    pub fn of(app: &AppContext) -> loco_rs::Result<Self> {
        let ctx = Context::of(app)?;
        Ok(Self {
            app: app.clone(),
            store: ctx.caused_by(Actor::system()),
            ctx,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more mails can be sent now.
    fn room(&self) -> usize {
        AT_A_TIME.saturating_sub(self.state().leases.len())
    }
}

impl Channel for Mails {
    type Job = Leased;
    type Done = Outcome;

    const NAME: &'static str = "mails";

    async fn work(&self, done: &[Outcome], lease: bool) -> Result<Vec<Leased>> {
        self.state().alarms.forget(Instant::now());
        let room = if lease { self.room() } else { 0 };
        let room = if room > 0 && Model::is_any_due(&self.ctx.db).await? {
            room as u64
        } else {
            0
        };
        if done.is_empty() && room == 0 {
            return Ok(Vec::new());
        }
        let lease = Uuid::new_v4().to_string();
        let (due, leased) = transaction!(&self.store, |txn| {
            let due = Model::settle(txn, done).await?;
            let leased = match room {
                0 => Vec::new(),
                room => Model::lease(txn, &lease, room).await?,
            };
            Ok((due, leased))
        })?;
        let mut state = self.state();
        state.alarms.set(due);
        let ids = leased.iter().map(|mail| (mail.id, lease.clone()));
        state.leases.extend(ids);
        drop(state);
        let leased = leased.into_iter().map(|mail| {
            let lease = lease.clone();
            Leased { mail, lease }
        });
        Ok(leased.collect())
    }

    async fn attempt(&self, Leased { mail, lease }: Leased) -> Outcome {
        let (at, began) = (Utc::now(), Instant::now());
        let outcome = ShopMailer::attempt(&self.app, &mail).await;
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.state().leases.remove(&mail.id);
        let has_arrived = matches!(outcome, post::Outcome::Sent(_));
        self.ctx.shared.metrics.count_attempt("mail", has_arrived);
        let (verdict, failure) = match outcome {
            post::Outcome::Sent(status_code) => {
                let attempt = Attempt {
                    at,
                    status_code,
                    duration_ms,
                    error: None,
                };
                return Outcome {
                    mail,
                    lease,
                    attempt,
                    verdict: Verdict::Arrived,
                };
            }
            post::Outcome::Refused(failure) => (Verdict::Hopeless, failure),
            post::Outcome::Failed(failure) => (Verdict::Again(None), failure),
        };
        // Not in the words of the server, which may name somebody.
        let status_code = failure.status_code;
        tracing::warn!(mail = mail.id, status_code, "mail not sent");
        let attempt = Attempt {
            at,
            status_code,
            duration_ms,
            error: Some(failure.error),
        };
        Outcome {
            mail,
            lease,
            attempt,
            verdict,
        }
    }

    fn is_busy(&self) -> bool {
        self.ctx.draining.is_busy()
    }

    fn next(&self) -> Option<Instant> {
        self.state().alarms.next()
    }

    async fn release(&self) -> Result<()> {
        let leased = self.state().leases.clone();
        if leased.is_empty() {
            return Ok(());
        }
        transaction!(&self.store, |txn| Model::release(txn, &leased).await)
    }
}

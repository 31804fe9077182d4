//! Mails that people ask for: how often they may, and how long it seems to take.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::extract::Address;
use crate::{
    context::Context,
    models::{
        Error,
        self_service::Envelope,
        types::{Email, case_fold},
    },
    shared::quotas::Quota,
    views::problem::{Kind, Problem},
};

/// How many mails go to an address in an hour that somebody has asked for, whoever did.
const TO_ADDRESS: u32 = 3;

/// How many a client may ask for in an hour.
const FROM_CLIENT: u32 = 20;

/// The time of both.
const PERIOD: Duration = Duration::from_hours(1);

/// Answers that shall tell nothing by their time take a whole number of these. What is done for an address that is known
/// takes longer than for one that is not by much less.
const STEP: Duration = Duration::from_millis(100);

/// A mail that somebody asks for.
pub(super) struct Mailing<'a> {
    ctx: &'a Context,
    envelope: Envelope,
    /// What was taken; `None` where one was used up.
    budgets: Option<Vec<(String, Quota)>>,
}

impl<'a> Mailing<'a> {
    /// One whose code is good for so long.
    ///
    /// # Errors
    /// 503 when no mails can be sent that lead to the shop, whomever to.
    pub(super) fn new(ctx: &'a Context, good_for: Duration) -> Result<Self, Problem> {
        let letterhead = ctx.letterhead.as_ref();
        let Some(letterhead) = letterhead.filter(|_| ctx.settings.mail.is_linked()) else {
            let why = "The shop cannot send mails just now, so nothing was done.";
            return Err(Problem::new(Kind::UNAVAILABLE).because(why));
        };
        Ok(Self {
            envelope: Envelope::new(letterhead, &ctx.sealer, good_for)?,
            ctx,
            budgets: None,
        })
    }

    /// The same to that address, if it was not written to too often, nor asked for from there.
    pub(super) async fn to(self, email: &Email, Address(address): Address) -> Self {
        let shared = &self.ctx.shared;
        let to = shared.digest(&case_fold(email.as_str()));
        let budgets = vec![
            (format!("mail to {to}"), Quota::per(TO_ADDRESS, PERIOD)),
            (
                format!("mail from {address}"),
                Quota::per(FROM_CLIENT, PERIOD),
            ),
        ];
        let is_allowed = shared.take(&budgets).await.is_ok();
        Self {
            budgets: is_allowed.then_some(budgets),
            ..self
        }
    }

    /// What is sent; nothing where a budget is used up.
    pub(super) fn envelope(&self) -> Option<&Envelope> {
        self.budgets.as_ref().map(|_| &self.envelope)
    }

    /// Nothing was sent, for that reason: it costs nothing.
    pub(super) async fn failed(&self, error: Error) -> Problem {
        if let Some(budgets) = &self.budgets {
            self.ctx.shared.give_back(budgets).await;
        }
        error.into()
    }
}

/// Does something and waits for the end of the step in which it is done.
pub(super) async fn in_even_time<T>(work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let outcome = work.await;
    let steps = began.elapsed().as_millis() / STEP.as_millis() + 1;
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    sleep_until(began + STEP.saturating_mul(steps)).await;
    outcome
}

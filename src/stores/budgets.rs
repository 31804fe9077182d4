//! Budgets: how much of something is still allowed.
//!
//! A budget that is full lets a burst through and fills again evenly (the generic cell rate algorithm,
//! ITU-T I.371): what is kept of it is one moment, when it will be full again.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use moka::{Expiry, ops::compute::Op, sync::Cache};

use super::generations::Stamp;

/// How much is allowed, and how fast it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How much a full budget holds.
    pub burst: u32,
    /// After how long one comes back.
    pub interval: Duration,
}

/// One request, and the budget it is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Whose budget, and for what.
    pub key: String,
    /// How large it is.
    pub quota: Quota,
    /// Set where it is taken only while these numbers are current: otherwise there is no verdict.
    pub under: Option<Stamp>,
}

/// What a budget says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How much is left.
    pub remaining: u32,
    /// When it will be full again.
    pub full_in: Duration,
    /// Set when nothing was left: how long until there is something again.
    pub refused_for: Option<Duration>,
}

/// How many budgets a node counts at most. The one that was not used for longest is forgotten first.
const MOST: u64 = 100_000;

/// The budgets that a node counts alone.
#[derive(Debug)]
pub struct Tallies {
    full_at: Cache<String, Instant>,
    /// Several budgets are taken from at once, or none of them.
    turn: Mutex<()>,
}

struct UntilFull;

impl Expiry<String, Instant> for UntilFull {
    fn expire_after_create(&self, _: &String, full_at: &Instant, now: Instant) -> Option<Duration> {
        Some(full_at.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _: &String,
        full_at: &Instant,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(full_at.saturating_duration_since(now))
    }
}

impl Quota {
    /// `amount` in every `period`.
    #[must_use]
    pub fn per(amount: u32, period: Duration) -> Self {
        Self {
            burst: amount,
            interval: period / amount.max(1),
        }
    }

    /// How long it takes to fill the whole budget.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.interval * self.burst
    }
}

impl Verdict {
    pub(super) fn new(quota: Quota, full_in: Duration, refused_for: Option<Duration>) -> Self {
        let interval = quota.interval.as_micros().max(1);
        let taken = u32::try_from(full_in.as_micros().div_ceil(interval)).unwrap_or(u32::MAX);
        Self {
            remaining: quota.burst.saturating_sub(taken),
            full_in,
            refused_for,
        }
    }
}

impl Default for Tallies {
    fn default() -> Self {
        Self {
            full_at: Cache::builder()
                .max_capacity(MOST)
                .expire_after(UntilFull)
                .build(),
            turn: Mutex::new(()),
        }
    }
}

impl Tallies {
    /// Takes one from the budget, if there is one.
    pub fn charge(&self, key: &str, quota: Quota) -> Verdict {
        let now = Instant::now();
        let mut verdict = Verdict::new(quota, quota.interval, None);
        self.full_at.entry_by_ref(key).and_compute_with(|full_at| {
            let full_at = full_at.map_or(now, moka::Entry::into_value).max(now);
            let next_full_at = full_at + quota.interval;
            let wait = next_full_at.saturating_duration_since(now + quota.period());
            if wait.is_zero() {
                verdict = Verdict::new(quota, next_full_at - now, None);
                Op::Put(next_full_at)
            } else {
                verdict = Verdict::new(quota, full_at - now, Some(wait));
                Op::Nop
            }
        });
        verdict
    }

    /// How many budgets are counted just now.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.full_at.run_pending_tasks();
        self.full_at.entry_count()
    }

    /// Takes one from each budget, or nothing when one is used up.
    ///
    /// # Errors
    /// How long until there is one in each.
    pub fn take(&self, budgets: &[(String, Quota)]) -> Result<(), Duration> {
        let _turn = self
            .turn
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let wait = budgets
            .iter()
            .map(|(key, quota)| {
                let full_at = self.full_at.get(key).unwrap_or(now).max(now);
                (full_at + quota.interval).saturating_duration_since(now + quota.period())
            })
            .max()
            .unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        for (key, quota) in budgets {
            self.full_at.entry_by_ref(key).and_compute_with(|full_at| {
                let full_at = full_at.map_or(now, moka::Entry::into_value).max(now);
                Op::Put(full_at + quota.interval)
            });
        }
        Ok(())
    }

    /// Gives back one to each.
    pub fn give_back(&self, budgets: &[(String, Quota)]) {
        let _turn = self
            .turn
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for (key, quota) in budgets {
            self.full_at
                .entry_by_ref(key)
                .and_compute_with(|full_at| match full_at {
                    Some(full_at) => full_at
                        .into_value()
                        .checked_sub(quota.interval)
                        .map_or(Op::Remove, Op::Put),
                    None => Op::Nop,
                });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn budget(key: &str, amount: u32) -> (String, Quota) {
        (key.to_owned(), Quota::per(amount, DAY))
    }

    #[test]
    fn a_full_budget_lets_its_amount_through_and_no_more() {
        let tallies = Tallies::default();
        for _ in 0..10 {
            assert_eq!(tallies.take(&[budget("tea", 10)]), Ok(()));
        }
        let wait = tallies.take(&[budget("tea", 10)]).unwrap_err();
        assert!(wait <= DAY / 10 && wait > DAY / 11, "{wait:?}");
        assert_eq!(tallies.take(&[budget("cake", 10)]), Ok(()));
    }

    #[test]
    fn a_charge_says_what_is_left_and_for_how_long_it_is_refused() {
        let (tallies, quota) = (Tallies::default(), Quota::per(2, DAY));
        for remaining in [1, 0] {
            let verdict = tallies.charge("tea", quota);
            assert_eq!((verdict.remaining, verdict.refused_for), (remaining, None));
        }
        let refused = tallies.charge("tea", quota);
        let wait = refused.refused_for.unwrap();
        assert!(wait <= DAY / 2 && wait > DAY / 3, "{wait:?}");
        assert_eq!(refused.remaining, 0);
        assert_eq!(tallies.charge("cake", quota).remaining, 1);
    }

    #[test]
    fn a_client_who_asks_often_is_not_forgotten_for_many_who_ask_once() {
        let (tallies, quota) = (Tallies::default(), Quota::per(100, DAY));
        let mut refused = false;
        for number in 0..3 * MOST {
            tallies.charge(&number.to_string(), quota);
            if number % 100 == 0 {
                refused = tallies.charge("busy", quota).refused_for.is_some();
            }
        }
        assert!(refused, "the budget of the busy one is full again");
        assert!(tallies.count() <= MOST);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let (tallies, budgets) = (Tallies::default(), [budget("tea", 1)]);
        assert_eq!(tallies.take(&budgets), Ok(()));
        tallies.give_back(&budgets);
        assert_eq!(tallies.take(&budgets), Ok(()));
        assert!(tallies.take(&budgets).is_err());
    }

    #[test]
    fn nothing_is_taken_from_one_when_the_other_is_used_up() {
        let tallies = Tallies::default();
        let both = [budget("tea", 2), budget("cake", 1)];
        assert_eq!(tallies.take(&both), Ok(()));
        assert!(tallies.take(&both).is_err());
        assert_eq!(tallies.take(&[budget("tea", 2)]), Ok(()));
        assert!(tallies.take(&[budget("tea", 2)]).is_err());
    }

    #[test]
    fn a_budget_fills_again_as_time_goes_by() {
        let tallies = Tallies::default();
        let budgets = [("tea".to_owned(), Quota::per(1, Duration::from_millis(20)))];
        assert_eq!(tallies.take(&budgets), Ok(()));
        let wait = tallies.take(&budgets).unwrap_err();
        std::thread::sleep(wait);
        assert_eq!(tallies.take(&budgets), Ok(()));
    }
}

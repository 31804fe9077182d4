//! Quotas: how much of something is still allowed.
//!
//! A budget that is full lets a burst through and fills again evenly (the generic cell rate algorithm,
//! ITU-T I.371): what is kept of it is one moment, when it will be full again.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use moka::{Expiry, ops::compute::Op, sync::Cache};

use super::versions::Version;

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
    /// Set where it is taken only while this version is current; otherwise the decision is left open.
    pub under: Option<Version>,
}

/// What a budget says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How much is left.
    pub remaining: u32,
    /// When it will be full again.
    pub full_in: Duration,
    /// Set when the budget was used up: how long until there is something again.
    pub refused_for: Option<Duration>,
}

/// How many budgets a node counts at most. The one that was not used for longest is forgotten first.
const MAX_BUDGETS: u64 = 100_000;

/// The budgets that a node counts for itself.
#[derive(Debug)]
pub struct LocalQuotas {
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

impl Decision {
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

impl Default for LocalQuotas {
    fn default() -> Self {
        Self {
            full_at: Cache::builder()
                .max_capacity(MAX_BUDGETS)
                .expire_after(UntilFull)
                .build(),
            turn: Mutex::new(()),
        }
    }
}

impl LocalQuotas {
    /// Takes one from the budget, if there is one.
    pub fn charge(&self, key: &str, quota: Quota) -> Decision {
        let now = Instant::now();
        let mut decision = Decision::new(quota, quota.interval, None);
        self.full_at.entry_by_ref(key).and_compute_with(|full_at| {
            let full_at = full_at.map_or(now, moka::Entry::into_value).max(now);
            let next_full_at = full_at + quota.interval;
            let wait = next_full_at.saturating_duration_since(now + quota.period());
            if wait.is_zero() {
                decision = Decision::new(quota, next_full_at - now, None);
                Op::Put(next_full_at)
            } else {
                decision = Decision::new(quota, full_at - now, Some(wait));
                Op::Nop
            }
        });
        decision
    }

    /// How many budgets are counted just now.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.full_at.run_pending_tasks();
        self.full_at.entry_count()
    }

    /// Takes one from each budget, or from none when one is used up.
    ///
    /// # Errors
    /// How long until there is one in each.
    pub fn take(&self, budgets: &[(String, Quota)]) -> Result<(), Duration> {
        let _turn = self.turn();
        let (mut taken, mut longest_wait) = (Vec::new(), None);
        for (key, quota) in budgets {
            match self.charge(key, *quota).refused_for {
                None => taken.push((key, quota)),
                wait => longest_wait = longest_wait.max(wait),
            }
        }
        longest_wait.map_or(Ok(()), |wait| {
            self.put_back(taken);
            Err(wait)
        })
    }

    /// Whether there is one in each budget, of which nothing is taken.
    ///
    /// # Errors
    /// How long until there is.
    pub fn look(&self, budgets: &[(String, Quota)]) -> Result<(), Duration> {
        let now = Instant::now();
        let wait = |(key, quota): &(String, Quota)| {
            let full_at = self.full_at.get(key)?.max(now);
            Some((full_at + quota.interval).saturating_duration_since(now + quota.period()))
        };
        let longest = budgets.iter().filter_map(wait).max().unwrap_or_default();
        if longest.is_zero() {
            return Ok(());
        }
        Err(longest)
    }

    /// Gives back one to each.
    pub fn give_back(&self, budgets: &[(String, Quota)]) {
        let _turn = self.turn();
        self.put_back(budgets.iter().map(|(key, quota)| (key, quota)));
    }

    fn put_back<'a>(&self, budgets: impl IntoIterator<Item = (&'a String, &'a Quota)>) {
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

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
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
        let quotas = LocalQuotas::default();
        for _ in 0..10 {
            assert_eq!(quotas.take(&[budget("tea", 10)]), Ok(()));
        }
        let wait = quotas.take(&[budget("tea", 10)]).unwrap_err();
        assert!(wait <= DAY / 10 && wait > DAY / 11, "{wait:?}");
        assert_eq!(quotas.take(&[budget("cake", 10)]), Ok(()));
    }

    #[test]
    fn a_charge_says_what_is_left_and_for_how_long_it_is_refused() {
        let (quotas, quota) = (LocalQuotas::default(), Quota::per(2, DAY));
        for remaining in [1, 0] {
            let decision = quotas.charge("tea", quota);
            assert_eq!(
                (decision.remaining, decision.refused_for),
                (remaining, None)
            );
        }
        let refused = quotas.charge("tea", quota);
        let wait = refused.refused_for.unwrap();
        assert!(wait <= DAY / 2 && wait > DAY / 3, "{wait:?}");
        assert_eq!(refused.remaining, 0);
        assert_eq!(quotas.charge("cake", quota).remaining, 1);
    }

    #[test]
    fn a_client_who_asks_often_is_not_forgotten_for_many_who_ask_once() {
        let (quotas, quota) = (LocalQuotas::default(), Quota::per(100, DAY));
        let mut refused = false;
        for number in 0..3 * MAX_BUDGETS {
            quotas.charge(&number.to_string(), quota);
            if number % 100 == 0 {
                refused = quotas.charge("busy", quota).refused_for.is_some();
            }
        }
        assert!(refused, "the budget of the busy one is full again");
        assert!(quotas.count() <= MAX_BUDGETS);
    }

    #[test]
    fn who_looks_takes_nothing_and_hears_what_who_takes_would() {
        let (quotas, budgets) = (LocalQuotas::default(), [budget("tea", 1)]);
        for _ in 0..2 {
            assert_eq!(quotas.look(&budgets), Ok(()));
        }
        assert_eq!(quotas.take(&budgets), Ok(()));
        assert!(quotas.look(&budgets).is_err());
        assert!(quotas.take(&budgets).is_err());
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let (quotas, budgets) = (LocalQuotas::default(), [budget("tea", 1)]);
        assert_eq!(quotas.take(&budgets), Ok(()));
        quotas.give_back(&budgets);
        assert_eq!(quotas.take(&budgets), Ok(()));
        assert!(quotas.take(&budgets).is_err());
    }

    #[test]
    fn nothing_is_taken_from_one_when_the_other_is_used_up() {
        let quotas = LocalQuotas::default();
        let both = [budget("tea", 2), budget("cake", 1)];
        assert_eq!(quotas.take(&both), Ok(()));
        assert!(quotas.take(&both).is_err());
        assert_eq!(quotas.take(&[budget("tea", 2)]), Ok(()));
        assert!(quotas.take(&[budget("tea", 2)]).is_err());
    }

    #[test]
    fn a_budget_fills_again_as_time_goes_by() {
        let quotas = LocalQuotas::default();
        let budgets = [("tea".to_owned(), Quota::per(1, Duration::from_millis(20)))];
        assert_eq!(quotas.take(&budgets), Ok(()));
        let wait = quotas.take(&budgets).unwrap_err();
        std::thread::sleep(wait);
        assert_eq!(quotas.take(&budgets), Ok(()));
    }
}

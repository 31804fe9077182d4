//! The one clock of a request that changes something.
//!
//! The time for the answer, for every wait inside, and for the transaction end together: until then the
//! transaction may commit; once it does, the answer waits for the outcome.

use std::{
    future::pending,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// There is time.
const OPEN: u8 = 0;
/// A transaction commits, or has committed.
const COMMITTING: u8 = 1;
/// The time is over, and nothing was committed.
const OVER: u8 = 2;

/// How much longer than its time a request may take whose transaction is committing.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The moment at which a request has to be answered.
#[derive(Debug)]
pub struct Deadline {
    at: Instant,
    state: AtomicU8,
}

impl Deadline {
    /// The moment after `time`.
    pub fn after(time: Duration) -> Self {
        Self {
            at: Instant::now() + time,
            state: AtomicU8::new(OPEN),
        }
    }

    /// Begins a commit, if there is time. From then on the deadline does not pass any more.
    #[must_use]
    pub fn begin_commit(&self) -> bool {
        self.change(OPEN, COMMITTING) || self.state() == COMMITTING
    }

    /// The commit was refused: the clock goes on. Answers whether there is time for another attempt.
    #[must_use]
    pub fn reopen(&self) -> bool {
        self.change(COMMITTING, OPEN);
        Instant::now() < self.at
    }

    /// Waits until the time is over. Never ends once a commit has begun.
    pub async fn passed(&self) {
        sleep_until(self.at).await;
        if !self.change(OPEN, OVER) {
            pending::<()>().await;
        }
    }

    /// Waits until a commit has taken so long that its outcome has to be called unknown.
    pub async fn commit_timed_out(&self) {
        sleep_until(self.at + COMMIT_TIMEOUT).await;
        if self.state() != COMMITTING {
            pending::<()>().await;
        }
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn nothing_commits_once_it_has_passed() {
        let deadline = Deadline::after(Duration::ZERO);
        deadline.passed().await;
        assert!(!deadline.begin_commit());
    }

    #[tokio::test]
    async fn it_does_not_pass_once_a_commit_has_begun() {
        let deadline = Deadline::after(Duration::ZERO);
        assert!(deadline.begin_commit());
        assert!(timeout(SOON, deadline.passed()).await.is_err());
        assert!(
            deadline.begin_commit(),
            "the next transaction may commit too"
        );
    }

    #[tokio::test]
    async fn it_passes_after_a_commit_that_was_refused() {
        let deadline = Deadline::after(SOON);
        assert!(deadline.begin_commit());
        assert!(deadline.reopen(), "there is time for another attempt");
        deadline.passed().await;
        assert!(!deadline.begin_commit());
    }

    #[tokio::test]
    async fn a_commit_that_is_refused_late_is_not_tried_again() {
        let deadline = Deadline::after(Duration::ZERO);
        assert!(deadline.begin_commit());
        assert!(!deadline.reopen());
    }
}

//! How often somebody may call.

use super::{BoundedInt, RuleViolation, Scalar};
use crate::models::input::Input;

/// How many requests in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Input)]
#[input(schema = RateLimitBody)]
pub struct RateLimit {
    /// How many requests, for each route and method. 0: any number.
    pub requests: BoundedInt<0, 1_000_000_000>,
    /// In how many seconds: up to a year.
    pub period_seconds: BoundedInt<1, 31_536_000>,
}

impl RateLimit {
    /// As `REQUESTS/SECONDS`.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        let (requests, period_seconds) = text.split_once('/').ok_or_else(|| {
            RuleViolation::new("format", "must be REQUESTS/SECONDS, such as 1000/3600")
        })?;
        Ok(Self {
            requests: Scalar::parse(requests)?,
            period_seconds: Scalar::parse(period_seconds)?,
        })
    }
}

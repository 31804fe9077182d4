//! How often somebody may call.

use super::{BoundedInt, Scalar};
use crate::models::input::{Field, Fields, Input, Property};

/// How many requests in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Input)]
#[input(schema = RateLimitBody)]
pub struct RateLimit {
    /// How many requests, for each route and method. 0: any number.
    pub requests: BoundedInt<0, 1_000_000_000>,
    /// In how many seconds: up to a year.
    pub period_seconds: BoundedInt<1, 31_536_000>,
}

/// A limit of one's own: missing, `null` or given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnLimit(pub Option<Option<RateLimit>>);

impl Field for OwnLimit {
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Self> {
        fields.nested_change(name).map(Self)
    }

    fn property(name: &'static str, description: &'static str) -> Property {
        Property::nested::<RateLimit>(name, description, false)
    }
}

impl RateLimit {
    /// As `REQUESTS/SECONDS`.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, super::RuleViolation> {
        let (requests, period_seconds) = text.split_once('/').ok_or_else(|| {
            super::RuleViolation::new("format", "must be REQUESTS/SECONDS, such as 1000/3600")
        })?;
        Ok(Self {
            requests: Scalar::parse(requests)?,
            period_seconds: Scalar::parse(period_seconds)?,
        })
    }
}

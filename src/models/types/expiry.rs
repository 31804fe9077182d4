//! Moments at which something ends.

use utoipa::openapi::Schema;

use super::{RuleViolation, Scalar, Timestamp};
use crate::models::now;

/// A moment that is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(pub Timestamp);

impl Scalar for Expiry {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let moment = Timestamp::parse(text)?;
        if moment.0 <= now() {
            return Err(RuleViolation::new("range", "must be in the future"));
        }
        Ok(Self(moment))
    }

    fn schema() -> Schema {
        Timestamp::schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_past_is_refused() {
        assert!(Expiry::parse("9999-12-31T23:59:59Z").is_ok());
        for (text, code) in [("2026-01-31T12:00:00Z", "range"), ("tomorrow", "format")] {
            assert_eq!(Expiry::parse(text).unwrap_err().code, code, "{text}");
        }
    }
}

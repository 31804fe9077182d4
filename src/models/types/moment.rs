//! Moments.

use chrono::{DateTime, SubsecRound};
use sea_orm::prelude::DateTimeWithTimeZone;

use super::{Scalar, Violation};

/// A moment in UTC, to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub DateTimeWithTimeZone);

impl Scalar for Moment {
    /// A moment as RFC 3339 writes it, in any time zone.
    fn parse(text: &str) -> Result<Self, Violation> {
        DateTime::parse_from_rfc3339(text)
            .map(|moment| Self(moment.to_utc().trunc_subsecs(6).fixed_offset()))
            .map_err(|_| {
                Violation::new(
                    "format",
                    "must be a time such as 2026-01-31T12:00:00Z (RFC 3339)",
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_time_zone_as_utc() {
        let moment = Moment::parse("2026-01-31T12:00:00.1234567+02:00").unwrap();
        assert_eq!(moment.0.to_rfc3339(), "2026-01-31T10:00:00.123456+00:00");
    }

    #[test]
    fn refuses_what_names_no_moment() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-02-30T12:00:00Z",
            "yesterday",
        ] {
            assert_eq!(Moment::parse(text).unwrap_err().code, "format", "{text}");
        }
    }
}

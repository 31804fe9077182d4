//! Moments.

use std::ops::RangeInclusive;

use chrono::DateTime;
use sea_orm::prelude::DateTimeWithTimeZone;
use utoipa::openapi::{
    Schema,
    schema::{KnownFormat, SchemaFormat},
};

use super::{RuleViolation, Scalar, string};

/// A moment in UTC, to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub DateTimeWithTimeZone);

/// From year 1 to 9999, in microseconds since 1970: what every database understands alike.
const SUPPORTED_RANGE: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

impl Timestamp {
    /// The moment that many microseconds after 1970, if every database understands it.
    pub fn from_micros(micros: i64) -> Option<Self> {
        let understood = SUPPORTED_RANGE.contains(&micros).then_some(micros)?;
        DateTime::from_timestamp_micros(understood).map(|moment| Self(moment.fixed_offset()))
    }
}

impl Scalar for Timestamp {
    /// A moment as RFC 3339 writes it, in any time zone. One before year 1 or after 9999 is the nearest
    /// that is not, and a leap second is the second after it: no row has any of them.
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let micros = DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|moment| moment.timestamp_micros())
            .map(|micros| micros.clamp(*SUPPORTED_RANGE.start(), *SUPPORTED_RANGE.end()));
        micros.and_then(Self::from_micros).ok_or_else(|| {
            let message = "must be a time such as 2026-01-31T12:00:00Z (RFC 3339)";
            RuleViolation::new("format", message)
        })
    }

    fn schema() -> Schema {
        string()
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_time_zone_as_utc() {
        let moment = Timestamp::parse("2026-01-31T12:00:00.1234567+02:00").unwrap();
        assert_eq!(moment.0.to_rfc3339(), "2026-01-31T10:00:00.123456+00:00");
    }

    #[test]
    fn reads_every_moment_as_one_that_databases_understand_alike() {
        for (text, understood) in [
            ("2027-06-30T23:59:60Z", "2027-07-01T00:00:00"),
            ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59.999999"),
            ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
        ] {
            let moment = Timestamp::parse(text).unwrap().0;
            assert_eq!(moment.to_rfc3339(), format!("{understood}+00:00"));
        }
        assert_eq!(Timestamp::from_micros(i64::MIN), None);
        assert_eq!(Timestamp::from_micros(SUPPORTED_RANGE.end() + 1), None);
    }

    #[test]
    fn refuses_what_names_no_moment() {
        let texts = "|2026-01-31|2026-01-31T12:00:00|2026-02-30T12:00:00Z|yesterday";
        for text in texts.split('|') {
            assert_eq!(Timestamp::parse(text).unwrap_err().code, "format", "{text}");
        }
    }
}

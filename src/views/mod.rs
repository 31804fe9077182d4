//! What goes over the wire: bodies in and out, one file per resource, and never an entity.

pub mod api_keys;
pub mod auth;
pub mod customer_accounts;
pub mod customer_addresses;
pub mod customers;
pub mod discounts;
pub mod events;
pub mod mails;
pub mod me;
pub mod orders;
pub mod personal_data;
pub mod products;
pub mod shipping_rates;
pub mod stock_movements;
pub mod tax_rates;
pub mod webhook_deliveries;
pub mod webhook_endpoints;

pub mod answer;
pub mod checkouts;
pub mod csv;
pub mod page;
pub mod problem;
pub mod problem_page;

use chrono::{DateTime, Utc};
use serde::Serializer;

use crate::models::types::{Money, rfc3339};

/// Writes a moment as chrono would, in a tenth of the time.
fn moment<S: Serializer>(at: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    let digits = match at.timestamp_subsec_micros() {
        0 => 0,
        micros if micros % 1_000 == 0 => 3,
        _ => 6,
    };
    to.serialize_str(rfc3339(*at, digits).as_str())
}

#[allow(
    clippy::ref_option,
    reason = "serde hands out a reference to the field"
)]
fn moment_or_null<S: Serializer>(at: &Option<DateTime<Utc>>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => moment(at, to),
        None => to.serialize_none(),
    }
}

/// Writes an amount of money as a decimal, in a string.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out a reference to the field"
)]
fn amount<S: Serializer>(amount: &Money, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_chrono_writes_it() {
        for micros in [0, 120_000, 999_000, 1, 151_027, 1_764_201_600_000_000] {
            let at = DateTime::from_timestamp_micros(1_764_201_600_000_000 + micros).unwrap();
            let mut text = Vec::new();
            moment(&at, &mut serde_json::Serializer::new(&mut text)).unwrap();
            assert_eq!(text, serde_json::to_vec(&at).unwrap());
        }
    }
}

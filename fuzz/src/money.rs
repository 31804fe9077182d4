//! Amounts, `Money::parse` and its arithmetic. For any text and any two numbers:
//!
//! * an amount that is read is neither negative nor above the highest price;
//! * it is the one that was written: nothing but noughts are added or taken away;
//! * shown and read again, it is the same;
//! * a sum or a product is exact, or nothing.

use boxcar::models::types::{Money, Scalar};

/// Reads the bytes as a price, and their first 16 as the operands of a sum and a product.
pub fn check(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        price(text);
    }
    if let Some((left, rest)) = data.split_first_chunk()
        && let Some((right, _)) = rest.split_first_chunk()
    {
        arithmetic(i64::from_be_bytes(*left), i64::from_be_bytes(*right));
    }
}

fn price(text: &str) {
    let Ok(price) = Money::parse(text) else {
        return;
    };
    assert!((Money::from_minor(0)..=Money::MAX_PRICE).contains(&price));
    let shown = price.to_string();
    assert_eq!(Money::parse(&shown), Ok(price), "{shown}");
    let (units, cents) = text.split_once('.').unwrap_or((text, ""));
    let written = format!("{units}.{cents:0<2}");
    assert_eq!(
        written.trim_start_matches('0'),
        shown.trim_start_matches('0')
    );
}

fn arithmetic(left: i64, right: i64) {
    let amount = Money::from_minor(left);
    let exact = |number: i128| i64::try_from(number).ok().map(Money::from_minor);
    let (wide_left, wide_right) = (i128::from(left), i128::from(right));
    assert_eq!(
        amount.plus(Money::from_minor(right)),
        exact(wide_left + wide_right)
    );
    assert_eq!(amount.times(right), exact(wide_left * wide_right));
}

//! By how many pieces the stock changes.

use utoipa::openapi::{Schema, schema::AnyOfBuilder};

use super::{BoundedInt, JsonType, RuleViolation, Scalar, bounded_int::between};

const MAX: i64 = 1_000_000_000_000;

/// By how many pieces the stock changes: negative to take some away, and not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockDelta(i64);

impl StockDelta {
    /// The number of pieces.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl Scalar for StockDelta {
    const JSON: JsonType = JsonType::Number;

    fn parse(text: &str) -> Result<Self, RuleViolation> {
        match BoundedInt::<{ -MAX }, MAX>::parse(text)?.get() {
            0 => Err(RuleViolation::new("range", "must not be 0")),
            delta => Ok(Self(delta)),
        }
    }

    fn schema() -> Schema {
        AnyOfBuilder::new()
            .item(between(1, MAX))
            .item(between(-MAX, -1))
            .into()
    }
}

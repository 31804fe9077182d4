//! By how many pieces the stock changes.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema, schema::AnyOfBuilder},
};

use super::{BoundedInt, JsonType, RuleViolation, Scalar, bounded_int::integer};

const MAX: i64 = 1_000_000_000_000;

/// By how many pieces the stock changes: negative to take some away, and not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockDelta(i64);

impl StockDelta {
    /// The number of pieces.
    #[must_use]
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
}

impl PartialSchema for StockDelta {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new()
            .item(integer(1, MAX))
            .item(integer(-MAX, -1))
            .into()
    }
}

impl ToSchema for StockDelta {}

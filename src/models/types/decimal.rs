//! Decimal numbers with a fixed number of places, as whole numbers of their last place.

use utoipa::openapi::{
    Schema,
    schema::{ObjectBuilder, SchemaType, Type},
};

use super::RuleViolation;

/// Which decimal numbers are taken: from 0 to `max`, with at most that many places. The rest is what is said of others.
pub(super) struct Decimal {
    pub places: usize,
    pub max: i64,
    pub format: &'static str,
    pub precision: &'static str,
    pub range: &'static str,
}

impl Decimal {
    /// The number, in units of its last place.
    pub fn parse(&self, text: &str) -> Result<i64, RuleViolation> {
        let out_of_range = || RuleViolation::new("range", self.range);
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (units, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(units) || !is_number(decimals) {
            return Err(RuleViolation::new("format", self.format));
        }
        if text.starts_with('-') {
            return Err(out_of_range());
        }
        if decimals.len() > self.places {
            return Err(RuleViolation::new("precision", self.precision));
        }
        let places = self.places;
        let number = format!("{units}{decimals:0<places$}").parse().ok();
        number
            .filter(|number| *number <= self.max)
            .ok_or_else(out_of_range)
    }
}

/// How the API's document shows such numbers, in strings and as numbers: the pattern holds for the ones, the bounds for
/// the others.
pub(super) fn schema(pattern: &'static str, maximum: f64, step: f64) -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Number]))
        .pattern(Some(pattern))
        .minimum(Some(0))
        .maximum(Some(maximum))
        .multiple_of(Some(step))
        .into()
}

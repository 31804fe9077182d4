//! What the small types of `models/types` look like in the API's document, said once for every body
//! and every list that takes them.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{
            AnyOfBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
        },
    },
};

use crate::models::{
    orders::Status,
    stock_movements,
    types::{Email, Line, Moment, Money, Password, Phone, Prose, Role, Username, Whole},
};

/// Something visible, and no control characters.
const ONE_LINE: &str = r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$";

/// No control characters but tabs and the ends of lines.
const LINES: &str = r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$";

/// As HTML's email input takes it, with a local part of at most 64 characters (RFC 5321, 4.5.3.1.1).
const ADDRESS: &str = r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$";

/// An amount of money as it is shown: a decimal with two places.
#[derive(Clone, Copy, Debug)]
pub struct Amount;

/// A number of pieces to add or take away.
#[derive(Clone, Copy, Debug)]
pub struct NonZero;

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn words(words: &[&str]) -> RefOr<Schema> {
    text().enum_values(Some(words.iter().copied())).into()
}

fn whole(least: i64, most: i64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(least))
        .maximum(Some(most))
}

impl<const MAX: usize> PartialSchema for Line<MAX> {
    fn schema() -> RefOr<Schema> {
        text()
            .min_length(Some(1))
            .max_length(Some(MAX))
            .pattern(Some(ONE_LINE))
            .into()
    }
}

impl<const MAX: usize> ToSchema for Line<MAX> {
    fn name() -> Cow<'static, str> {
        format!("Line{MAX}").into()
    }
}

impl<const MAX: usize> PartialSchema for Prose<MAX> {
    fn schema() -> RefOr<Schema> {
        text().max_length(Some(MAX)).pattern(Some(LINES)).into()
    }
}

impl<const MAX: usize> ToSchema for Prose<MAX> {
    fn name() -> Cow<'static, str> {
        format!("Prose{MAX}").into()
    }
}

impl<const MIN: i64, const MAX: i64> PartialSchema for Whole<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        whole(MIN, MAX).into()
    }
}

impl<const MIN: i64, const MAX: i64> ToSchema for Whole<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }
}

impl PartialSchema for Email {
    fn schema() -> RefOr<Schema> {
        text()
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
            .max_length(Some(254))
            .pattern(Some(ADDRESS))
            .into()
    }
}

impl ToSchema for Email {}

impl PartialSchema for Phone {
    fn schema() -> RefOr<Schema> {
        text()
            .max_length(Some(40))
            .pattern(Some(r"^\+?([ ().-]*[0-9]){5,20}[ ().-]*$"))
            .into()
    }
}

impl ToSchema for Phone {}

impl PartialSchema for Username {
    fn schema() -> RefOr<Schema> {
        text()
            .min_length(Some(3))
            .max_length(Some(64))
            .pattern(Some("^[A-Za-z0-9._-]+$"))
            .into()
    }
}

impl ToSchema for Username {}

impl PartialSchema for Password {
    fn schema() -> RefOr<Schema> {
        text()
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .min_length(Some(12))
            .max_length(Some(128))
            .into()
    }
}

impl ToSchema for Password {}

impl PartialSchema for Money {
    /// Bounds hold for numbers, the pattern for strings.
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Array(vec![Type::String, Type::Number]))
            .pattern(Some(r"^0*[0-9]{1,8}(\.[0-9]{1,2})?$"))
            .minimum(Some(0))
            .maximum(Some(99_999_999.99))
            .multiple_of(Some(0.01))
            .into()
    }
}

impl ToSchema for Money {}

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        text().pattern(Some(r"^[0-9]+\.[0-9]{2}$")).into()
    }
}

impl ToSchema for Amount {}

impl PartialSchema for NonZero {
    fn schema() -> RefOr<Schema> {
        // As far as `StockDelta` goes.
        let most = 1_000_000_000_000;
        AnyOfBuilder::new()
            .item(whole(1, most))
            .item(whole(-most, -1))
            .into()
    }
}

impl ToSchema for NonZero {}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        text()
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Moment {}

impl PartialSchema for Role {
    fn schema() -> RefOr<Schema> {
        words(&[Self::Admin, Self::Customer].map(Self::as_str))
    }
}

impl ToSchema for Role {}

impl PartialSchema for Status {
    fn schema() -> RefOr<Schema> {
        words(
            &[
                Self::Placed,
                Self::Paid,
                Self::Shipped,
                Self::Delivered,
                Self::Cancelled,
            ]
            .map(Self::as_str),
        )
    }
}

impl ToSchema for Status {
    fn name() -> Cow<'static, str> {
        "OrderStatus".into()
    }
}

impl PartialSchema for stock_movements::Kind {
    fn schema() -> RefOr<Schema> {
        words(
            &[
                Self::Initial,
                Self::Order,
                Self::Cancellation,
                Self::Adjustment,
            ]
            .map(Self::as_str),
        )
    }
}

impl ToSchema for stock_movements::Kind {
    fn name() -> Cow<'static, str> {
        "StockMovementKind".into()
    }
}

//! Small types that cannot hold a wrong value.
//!
//! Code that has a [`Money`] or an [`Email`] need not check it
//! again; code that has only text gets one by [`Scalar::parse`], or hears what is wrong with it. Each says
//! what it looks like in the API's document.

mod address;
mod api_key;
mod base62;
mod bounded_int;
mod checkout;
mod code;
mod country;
mod decimal;
mod delivery_status;
mod discount;
mod email;
mod event_type;
mod expiry;
mod id;
mod key_scope;
mod mail;
mod money;
mod movement_kind;
mod order_status;
mod password;
mod percentage;
mod phone;
mod public_address;
mod rate_limit;
mod role;
mod stock_delta;
mod text;
mod timestamp;
mod username;
mod webhook_secret;
mod webhook_url;

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

pub use migration::keys::{case_fold, search_fold, search_text, sort_fold};

pub use self::{
    address::{Address, AddressChanges, ShippingAddress},
    api_key::ApiKey,
    bounded_int::BoundedInt,
    checkout::{CheckoutAddress, CheckoutId, CheckoutStatus, ExpectedTotal, PartialAddress},
    code::{Code, CodeKind},
    country::{CountryCode, Destination},
    delivery_status::DeliveryStatus,
    discount::{DiscountKind, DiscountValue},
    email::Email,
    event_type::{ActorKind, EventType, EventTypes, SubjectKind, Subscription},
    expiry::Expiry,
    key_scope::{KeyKind, KeyScope, KeyScopes},
    mail::MailTemplate,
    money::{Amount, Money},
    movement_kind::MovementKind,
    order_status::OrderStatus,
    password::{NewPassword, Password, PasswordHash},
    percentage::Percentage,
    phone::Phone,
    public_address::is_globally_reachable,
    rate_limit::RateLimit,
    role::Role,
    stock_delta::StockDelta,
    text::{MultiLine, RawText, SingleLine},
    timestamp::{Timestamp, rfc3339},
    username::Username,
    webhook_secret::{Sealer, WebhookSecret},
    webhook_url::WebhookUrl,
};

/// A customer's name, 1 to 120 characters.
pub type CustomerName = SingleLine<120>;
/// A product's name, 1 to 200 characters.
pub type ProductName = SingleLine<200>;
/// A stock keeping unit, 1 to 64 characters.
pub type Sku = SingleLine<64>;
/// A product's description, up to 5,000 characters.
pub type Description = MultiLine<5_000>;
/// A remark on an order, or why something was done, up to 1,000 characters.
pub type Note = MultiLine<1_000>;
/// Why the stock was changed, 1 to 200 characters.
pub type Reason = SingleLine<200>;
/// What is searched for, up to 200 characters.
pub type Search = MultiLine<200>;
/// What something is for, up to 500 characters.
pub type Purpose = MultiLine<500>;
/// An API key's name, 1 to 64 characters.
pub type KeyName = SingleLine<64>;
/// The name of a tax or shipping rate, 1 to 120 characters.
pub type RateName = SingleLine<120>;
/// What a customer enters for a discount, 1 to 64 characters.
pub type DiscountCode = SingleLine<64>;
/// How often a discount can be used.
pub type UsageLimit = BoundedInt<1, 1_000_000_000>;
/// A part of a country, 1 to 120 characters.
pub type Region = SingleLine<120>;
/// A class of what is taxed alike, 1 to 32 characters.
pub type TaxClass = SingleLine<32>;
/// At which place something is shown, the lowest first.
pub type Position = BoundedInt<0, 1_000_000>;
/// How many pieces there are.
pub type Stock = BoundedInt<0, 1_000_000_000_000>;
/// How many pieces of one product are ordered at once.
pub type Quantity = BoundedInt<1, 10_000>;

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleViolation {
    /// A stable word for programs: `required`, `type`, `length`, `range`, `format` …
    pub code: &'static str,
    /// A sentence for people, without the field's name.
    pub message: String,
}

impl RuleViolation {
    /// A violation from its code and its sentence.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// What a scalar looks like in a JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonType {
    /// A string.
    String,
    /// A number.
    Number,
    /// A string or a number.
    StringOrNumber,
    /// `true` or `false`.
    Boolean,
}

/// A value that comes in as one JSON scalar, one query parameter or one cell of a table.
pub trait Scalar: Sized {
    /// What JSON has to hold for it.
    const JSON: JsonType = JsonType::String;

    /// The name that its schema has in the API's document, if clients want one.
    const SCHEMA: Option<&'static str> = None;

    /// Makes the value from its text.
    ///
    /// # Errors
    /// The [`RuleViolation`] that says which rule the text breaks.
    fn parse(text: &str) -> Result<Self, RuleViolation>;

    /// How the API's document shows it.
    fn schema() -> Schema;
}

impl Scalar for bool {
    const JSON: JsonType = JsonType::Boolean;

    fn parse(text: &str) -> Result<Self, RuleViolation> {
        text.parse()
            .map_err(|_| RuleViolation::new("type", "must be true or false"))
    }

    fn schema() -> Schema {
        ObjectBuilder::new().schema_type(Type::Boolean).into()
    }
}

/// The schema of a string, to be narrowed.
pub(super) fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A list of words as a [`Scalar`] with a name in the API's document, for an enumeration that derives
/// strum's `EnumString`, `IntoStaticStr` and `VariantNames`.
macro_rules! choice {
    ($choice:ident, $schema:literal) => {
        impl $choice {
            /// The word for it, on the wire and in the database.
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }

        impl $crate::models::types::Scalar for $choice {
            const SCHEMA: Option<&'static str> = Some($schema);

            fn parse(text: &str) -> Result<Self, $crate::models::types::RuleViolation> {
                text.parse().map_err(|_| {
                    let words =
                        $crate::models::types::one_of(<Self as strum::VariantNames>::VARIANTS);
                    $crate::models::types::RuleViolation::new("choice", format!("must be {words}"))
                })
            }

            fn schema() -> utoipa::openapi::Schema {
                let words = <Self as strum::VariantNames>::VARIANTS.iter().copied();
                $crate::models::types::string()
                    .enum_values(Some(words))
                    .into()
            }
        }

        impl utoipa::PartialSchema for $choice {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                <Self as $crate::models::types::Scalar>::schema().into()
            }
        }

        impl utoipa::ToSchema for $choice {
            fn name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }
        }
    };
}
use choice;
use text::text;

/// `a, b or c`.
fn one_of(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => words.concat(),
    }
}

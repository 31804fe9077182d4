//! Small types that cannot hold a wrong value. Whoever has a [`Money`] or an [`Email`] need not check
//! it again; whoever has only text gets one by [`Scalar::parse`], or hears what is wrong with it.

mod email;
mod id;
mod moment;
mod money;
mod password;
mod phone;
mod role;
mod text;
mod username;
mod whole;

pub use self::{
    email::Email,
    id::Id,
    moment::Moment,
    money::Money,
    password::{Password, PasswordHash},
    phone::Phone,
    role::Role,
    text::{Line, Prose, fold},
    username::Username,
    whole::Whole,
};

/// A customer's name, 1 to 120 characters.
pub type CustomerName = Line<120>;
/// A product's name, 1 to 200 characters.
pub type ProductName = Line<200>;
/// A stock keeping unit, 1 to 64 characters.
pub type Sku = Line<64>;
/// A product's description, up to 5,000 characters.
pub type Description = Prose<5_000>;
/// Where an order goes, up to 1,000 characters.
pub type ShippingAddress = Prose<1_000>;
/// A remark on an order, or why something was done, up to 1,000 characters.
pub type Note = Prose<1_000>;
/// Why the stock was changed, 1 to 200 characters.
pub type Reason = Line<200>;
/// What is searched for, up to 200 characters.
pub type Search = Prose<200>;
/// How many pieces there are.
pub type Stock = Whole<0, 1_000_000_000_000>;
/// By how many pieces the stock changes.
pub type StockDelta = Whole<-1_000_000_000_000, 1_000_000_000_000>;
/// How many pieces of one product are ordered at once.
pub type Quantity = Whole<1, 10_000>;

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// A stable word for programs: `required`, `type`, `length`, `range`, `format` …
    pub code: &'static str,
    /// A sentence for people, without the field's name.
    pub message: String,
}

impl Violation {
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

    /// Makes the value from its text.
    ///
    /// # Errors
    /// The [`Violation`] that says which rule the text breaks.
    fn parse(text: &str) -> Result<Self, Violation>;
}

impl Scalar for bool {
    const JSON: JsonType = JsonType::Boolean;

    fn parse(text: &str) -> Result<Self, Violation> {
        text.parse()
            .map_err(|_| Violation::new("type", "must be true or false"))
    }
}

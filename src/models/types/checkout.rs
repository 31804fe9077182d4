//! What a checkout has: its id, its status, its addresses, and the total that is agreed to.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantNames};
use utoipa::{ToSchema, openapi::Schema};

use super::{
    CountryCode, JsonType, Money, Phone, RuleViolation, Scalar, ShippingAddress, SingleLine,
    base62::{base62, is_base62},
    decimal::{self, Decimal},
    string,
};
use crate::models::{Result, input::Input};

/// How every id begins.
const MARK: &str = "chk_";

/// How many digits follow: 62^22 is more than 2^128.
const DIGITS: usize = 22;

const TOTAL: Decimal = Decimal {
    places: 2,
    // 15 digits before the point. 100 lines of 10,000 pieces, at the highest price and with as much tax again, have less.
    max: 99_999_999_999_999_999,
    format: "must be a decimal number such as 19.99",
    precision: "must have at most two decimals",
    range: "must be between 0.00 and 999999999999999.99",
};

/// The id of a checkout: 128 random bits. Who knows that of a guest's may see and change it, so it cannot be printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CheckoutId(String);

impl CheckoutId {
    /// A new one, at random.
    #[must_use]
    pub fn generate() -> Self {
        Self::of(rand::random())
    }

    fn of(random: [u8; 16]) -> Self {
        Self(format!("{MARK}{}", base62(random, DIGITS)))
    }

    /// The id, as it is kept and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CheckoutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckoutId(..)")
    }
}

impl From<CheckoutId> for String {
    fn from(id: CheckoutId) -> Self {
        id.0
    }
}

impl Scalar for CheckoutId {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let digits = text.strip_prefix(MARK).map(str::as_bytes);
        if digits.is_some_and(|digits| digits.len() == DIGITS && is_base62(digits)) {
            return Ok(Self(text.to_owned()));
        }
        Err(RuleViolation::new(
            "format",
            "must be the id of a checkout, which begins with chk_",
        ))
    }

    fn schema() -> Schema {
        string().pattern(Some("^chk_[0-9A-Za-z]{22}$")).into()
    }
}

/// How far a checkout has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum CheckoutStatus {
    /// It can be changed.
    Open,
    /// It is an order.
    Completed,
    /// The buyer gave it up.
    Cancelled,
    /// It was not changed for so long that it ended.
    Expired,
}

super::choice!(CheckoutStatus, "CheckoutStatus");

/// What somebody agrees to pay: an amount like a price, and up to the highest total that an order can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedTotal(i64);

impl ExpectedTotal {
    /// The amount.
    pub const fn money(self) -> Money {
        Money::from_minor(self.0)
    }
}

impl Scalar for ExpectedTotal {
    const JSON: JsonType = JsonType::StringOrNumber;

    fn parse(text: &str) -> Result<Self, RuleViolation> {
        TOTAL.parse(text).map(Self)
    }

    fn schema() -> Schema {
        // With its decimals it would become a float that is refused.
        let maximum = 999_999_999_999_999.0;
        decimal::schema(r"^0*[0-9]{1,15}(\.[0-9]{1,2})?$", maximum, 0.01)
    }
}

/// An address of a checkout. Until the checkout is completed all of it may be missing but the country, by which taxes
/// and shipping go.
#[derive(Clone, Debug, PartialEq, Eq, Input)]
#[input(schema = CheckoutAddressBody)]
pub struct PartialAddress {
    /// Who receives it there.
    pub name: Option<SingleLine<120>>,
    /// The company.
    pub company: Option<SingleLine<120>>,
    /// The first line: the street and the number of the house, in most countries.
    pub line1: Option<SingleLine<200>>,
    /// The second line.
    pub line2: Option<SingleLine<200>>,
    /// The city, town or village.
    pub city: Option<SingleLine<120>>,
    /// The state, province or county.
    pub region: Option<SingleLine<120>>,
    /// The postal code.
    pub postal_code: Option<SingleLine<20>>,
    /// The country.
    pub country: CountryCode,
    /// A telephone number for whoever delivers.
    pub phone: Option<Phone>,
}

/// An address of a checkout, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct CheckoutAddress {
    /// Who receives it there.
    #[schema(required)]
    pub name: Option<String>,
    /// The company.
    #[schema(required)]
    pub company: Option<String>,
    /// The first line.
    #[schema(required)]
    pub line1: Option<String>,
    /// The second line.
    #[schema(required)]
    pub line2: Option<String>,
    /// The city, town or village.
    #[schema(required)]
    pub city: Option<String>,
    /// The state, province or county.
    #[schema(required)]
    pub region: Option<String>,
    /// The postal code.
    #[schema(required)]
    pub postal_code: Option<String>,
    /// The code of the country (ISO 3166-1 alpha-2).
    pub country: String,
    /// A telephone number for whoever delivers.
    #[schema(required)]
    pub phone: Option<String>,
}

impl CheckoutAddress {
    /// Which fields it lacks that an order's address needs.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let needed = [
            ("name", &self.name),
            ("line1", &self.line1),
            ("city", &self.city),
        ];
        let missing = needed.into_iter().filter(|(_, value)| value.is_none());
        missing.map(|(field, _)| field).collect()
    }

    /// The address of an order.
    ///
    /// # Errors
    /// The names of the fields that are [missing](Self::missing).
    pub fn complete(self) -> Result<ShippingAddress, Vec<&'static str>> {
        let missing = self.missing();
        let Some(line1) = self.line1.filter(|_| missing.is_empty()) else {
            return Err(missing);
        };
        Ok(ShippingAddress {
            name: self.name,
            company: self.company,
            line1,
            line2: self.line2,
            city: self.city,
            region: self.region,
            postal_code: self.postal_code,
            country: Some(self.country),
            phone: self.phone,
        })
    }

    /// As a checkout keeps and shows it: JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self).map_err(loco_rs::Error::from)?)
    }

    /// The address that a checkout keeps.
    pub fn of_json(json: &str) -> Result<Self> {
        Ok(serde_json::from_str(json).map_err(loco_rs::Error::from)?)
    }
}

impl From<PartialAddress> for CheckoutAddress {
    fn from(address: PartialAddress) -> Self {
        Self {
            name: address.name.map(String::from),
            company: address.company.map(String::from),
            line1: address.line1.map(String::from),
            line2: address.line2.map(String::from),
            city: address.city.map(String::from),
            region: address.region.map(String::from),
            postal_code: address.postal_code.map(String::from),
            country: address.country.into(),
            phone: address.phone.map(String::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::models::{Error, input::from_json, types::Address};

    #[test]
    fn an_id_is_what_another_program_makes_of_the_same_bytes() {
        for (random, id) in [
            ([0; 16], "chk_0000000000000000000000"),
            ([255; 16], "chk_7n42DGM5Tflk9n8mt7Fhc7"),
            (
                std::array::from_fn(|at| u8::try_from(at).unwrap()),
                "chk_000SYW7RiJxkEgOGusQGwp",
            ),
        ] {
            let made = CheckoutId::of(random);
            assert_eq!(made.as_str(), id);
            assert_eq!(CheckoutId::parse(id), Ok(made));
        }
    }

    #[test]
    fn no_two_ids_are_the_same_and_none_is_printed() {
        let (one, other) = (CheckoutId::generate(), CheckoutId::generate());
        assert_ne!(one, other);
        assert_eq!(format!("{one:?}"), "CheckoutId(..)");
    }

    #[test]
    fn what_has_another_form_is_no_id() {
        let known = "chk_000SYW7RiJxkEgOGusQGwp";
        for text in [
            "",
            "7",
            "chk_",
            &known[..25],
            &format!("{known}0"),
            &format!(" {known}"),
            &known.replace("chk_", "CHK_"),
            &known.replace('w', "-"),
            &format!("chk_{}", "é".repeat(11)),
            &format!("chk_{}", "é".repeat(22)),
        ] {
            assert!(CheckoutId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_total_may_be_higher_than_a_price_and_as_high_as_that_of_any_order() {
        let minor = |text: &str| ExpectedTotal::parse(text).map(|total| total.money().minor());
        assert_eq!(minor("19.9"), Ok(1_990));
        assert_eq!(minor("100000000.00"), Ok(10_000_000_000));
        let (lines, pieces) = (100, 10_000);
        let items = Money::MAX_PRICE.times(lines * pieces).unwrap();
        let highest = items.times(2).unwrap().plus(Money::MAX_PRICE).unwrap();
        assert_eq!(minor(&highest.to_string()), Ok(highest.minor()));
        for (text, code) in [
            ("1000000000000000", "range"),
            ("99999999999999999999999999", "range"),
            ("-0.01", "range"),
            ("0.001", "precision"),
            ("1e3", "format"),
        ] {
            assert_eq!(minor(text).unwrap_err().code, code, "{text}");
        }
    }

    /// An address with those fields and a country.
    fn with(fields: &[&str]) -> Value {
        let fields = fields.iter().map(|field| ((*field).to_owned(), json!("a")));
        let country = ("country".to_owned(), json!("de"));
        Value::Object(fields.chain([country]).collect())
    }

    fn known(body: &Value) -> CheckoutAddress {
        let address: PartialAddress = from_json(body.to_string().as_bytes()).unwrap();
        address.into()
    }

    #[test]
    fn all_of_an_address_may_be_missing_but_the_country() {
        let shown = serde_json::to_value(known(&with(&[]))).unwrap();
        let expected = json!({
            "name": null, "company": null, "line1": null, "line2": null, "city": null, "region": null,
            "postal_code": null, "country": "DE", "phone": null,
        });
        assert_eq!(shown, expected);
        let refused = from_json::<PartialAddress>(b"{}");
        let Err(Error::Invalid(errors)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((errors.len(), &*errors[0].pointer), (1, "/country"));
    }

    #[test]
    fn an_address_is_complete_when_it_has_what_that_of_an_order_needs() {
        let needed = ["name", "line1", "city"];
        for present in 0..8 {
            let present: Vec<_> = (0..3)
                .filter(|at| present >> at & 1 == 1)
                .map(|at| needed[at])
                .collect();
            let body = with(&present);
            let full = from_json::<Address>(body.to_string().as_bytes());
            let completed = known(&body).complete();
            match full {
                Ok(full) => assert_eq!(completed, Ok(full.into())),
                Err(Error::Invalid(errors)) => {
                    let missing: Vec<_> = errors
                        .iter()
                        .map(|error| error.pointer.trim_start_matches('/'))
                        .collect();
                    assert_eq!(completed.unwrap_err(), missing);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    proptest! {
        #[test]
        fn an_address_comes_back_as_it_was_kept(lines in proptest::collection::vec(proptest::option::of("[\\PC\"\\\\]{1,40}"), 7)) {
            let fields = ["name", "company", "line1", "line2", "city", "region", "postal_code"];
            let mut body: serde_json::Map<_, _> =
                fields.iter().zip(lines).map(|(field, line)| ((*field).to_owned(), line.into())).collect();
            body.insert("country".to_owned(), "DE".into());
            if let Ok(address) = from_json::<PartialAddress>(Value::from(body).to_string().as_bytes()) {
                let address = CheckoutAddress::from(address);
                prop_assert_eq!(CheckoutAddress::of_json(&address.json().unwrap()).unwrap(), address);
            }
        }

        #[test]
        fn no_text_makes_an_id_panic(text in "\\PC{0,40}|chk_\\PC{0,30}") {
            let _ = CheckoutId::parse(&text);
        }
    }
}

//! Addresses of people.

use serde::Serialize;
use utoipa::ToSchema;

use super::{CountryCode, Phone, SingleLine};
use crate::models::{Result, input::Input, pricing::Destination};

/// An address.
#[derive(Clone, Debug, PartialEq, Eq, Input)]
#[input(schema = AddressBody, patch = AddressChanges as AddressPatch)]
pub struct Address {
    /// Who receives it there.
    pub name: SingleLine<120>,
    /// The company.
    pub company: Option<SingleLine<120>>,
    /// The first line: the street and the number of the house, in most countries.
    pub line1: SingleLine<200>,
    /// The second line.
    pub line2: Option<SingleLine<200>>,
    /// The city, town or village.
    pub city: SingleLine<120>,
    /// The state, province or county.
    pub region: Option<SingleLine<120>>,
    /// The postal code.
    pub postal_code: Option<SingleLine<20>>,
    /// The country.
    pub country: CountryCode,
    /// A telephone number for whoever delivers.
    pub phone: Option<Phone>,
}

/// Where an order goes. What was one text when the order was placed is in `line1` and `line2`, which may be long; all
/// else of it is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShippingAddress {
    /// Who receives it there.
    #[schema(required)]
    pub name: Option<String>,
    /// The company.
    #[schema(required)]
    pub company: Option<String>,
    /// The first line.
    pub line1: String,
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
    #[schema(required)]
    pub country: Option<String>,
    /// A telephone number for whoever delivers.
    #[schema(required)]
    pub phone: Option<String>,
}

impl ShippingAddress {
    /// Where it is, as far as tax is concerned.
    pub fn destination(&self) -> Option<Destination<'_>> {
        Some(Destination {
            country: self.country.as_deref()?,
            region: self.region.as_deref(),
        })
    }

    /// As an order keeps and shows it: JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self).map_err(loco_rs::Error::from)?)
    }
}

impl From<Address> for ShippingAddress {
    fn from(address: Address) -> Self {
        Self {
            name: Some(address.name.into()),
            company: address.company.map(String::from),
            line1: address.line1.into(),
            line2: address.line2.map(String::from),
            city: Some(address.city.into()),
            region: address.region.map(String::from),
            postal_code: address.postal_code.map(String::from),
            country: Some(address.country.into()),
            phone: address.phone.map(String::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use migration::addresses::is_address;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::models::{Error, input::from_json};

    fn broken(body: &Value) -> Vec<String> {
        match from_json::<Address>(body.to_string().as_bytes()) {
            Err(Error::Invalid(errors)) => errors
                .into_iter()
                .map(|error| format!("{} {}", error.pointer, error.code))
                .collect(),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn an_address_needs_a_name_a_line_a_city_and_a_country() {
        let required = ["/name", "/line1", "/city", "/country"];
        let required = required.map(|pointer| format!("{pointer} required"));
        assert_eq!(broken(&json!({})), required);
        let null = json!({
            "name": null, "company": null, "line1": null, "line2": null, "city": null, "region": null,
            "postal_code": null, "country": null, "phone": null,
        });
        assert_eq!(broken(&null), required);
    }

    #[test]
    fn every_field_has_its_own_limit() {
        for (field, most) in [
            ("name", 120),
            ("company", 120),
            ("line1", 200),
            ("line2", 200),
            ("city", 120),
            ("region", 120),
            ("postal_code", 20),
        ] {
            let mut body =
                json!({ "name": "Ada", "line1": "1 Elm Road", "city": "London", "country": "gb" });
            body[field] = "👩".repeat(most).into();
            let address: Address = from_json(body.to_string().as_bytes()).unwrap();
            let shown = serde_json::to_value(ShippingAddress::from(address)).unwrap();
            assert_eq!(
                (&shown[field], &shown["country"]),
                (&body[field], &json!("GB"))
            );
            for (value, code) in [
                (json!("👩".repeat(most + 1)), "length"),
                (json!(" \u{a0}"), "length"),
                (json!("a\nb"), "format"),
                (json!("a\u{200b}b"), "format"),
                (json!(7), "type"),
            ] {
                body[field] = value;
                assert_eq!(broken(&body), [format!("/{field} {code}")]);
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_kept_in_one_form(
            lines in proptest::collection::vec("[\\PC\"\\\\]{1,40}", 7),
            country in "[A-Za-z]{2}|DE|gb|xk",
        ) {
            let fields = ["name", "company", "line1", "line2", "city", "region", "postal_code"];
            let mut body: serde_json::Map<_, _> =
                fields.iter().zip(lines).map(|(field, line)| ((*field).to_owned(), line.into())).collect();
            body.insert("country".to_owned(), country.into());
            if let Ok(address) = from_json::<Address>(Value::from(body).to_string().as_bytes()) {
                let kept = ShippingAddress::from(address.clone()).json().unwrap();
                prop_assert!(is_address(&kept), "{}", kept);
                prop_assert_eq!(from_json::<Address>(kept.as_bytes()).unwrap(), address);
            }
        }
    }
}

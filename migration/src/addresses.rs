//! What becomes of an address that was one text.

use serde_json::{Deserializer, Map, Value};

/// The fields of an address, in their order.
const FIELDS: [&str; 9] = [
    "name",
    "company",
    "line1",
    "line2",
    "city",
    "region",
    "postal_code",
    "country",
    "phone",
];

/// What stands before the address in an order that is shown as JSON.
const MEMBER: &str = "\"shipping_address\":";

/// The text as an address, in JSON: its first line, and all others as the second. No word is lost, so both may be longer
/// than those of a new address. `None` where it has no words.
#[must_use]
pub fn of_text(text: &str) -> Option<String> {
    let lines = text.split(['\n', '\r', '\u{2028}', '\u{2029}']);
    let lines: Vec<_> = lines
        .map(|line| line.replace('\t', " ").trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    let (first, others) = lines.split_first()?;
    let others = (!others.is_empty()).then(|| others.join(", "));
    let members = FIELDS.map(|field| {
        let value = match field {
            "line1" => Value::from(first.as_str()),
            "line2" => Value::from(others.clone()),
            _ => Value::Null,
        };
        format!("\"{field}\":{value}")
    });
    Some(format!("{{{}}}", members.join(",")))
}

/// Whether that is an address in JSON already.
#[must_use]
pub fn is_address(text: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(text).is_ok_and(|address| {
        let has = |field: &&str| {
            let value = address.get(*field);
            value.is_some_and(|value| value.is_string() || value.is_null() && *field != "line1")
        };
        address.len() == FIELDS.len() && FIELDS.iter().all(has)
    })
}

/// An order in JSON, whose address is one text, with that text as an address.
#[must_use]
pub fn in_order(order: &str) -> Option<String> {
    let at = order.find(&format!("{MEMBER}\""))? + MEMBER.len();
    let (before, from) = order.split_at(at);
    let mut texts = Deserializer::from_str(from).into_iter::<String>();
    let text = texts.next()?.ok()?;
    let after = &from[texts.byte_offset()..];
    let address = of_text(&text).unwrap_or_else(|| "null".to_owned());
    Some(format!("{before}{address}{after}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Value {
        let address = of_text(text).unwrap();
        assert!(is_address(&address), "{address}");
        serde_json::from_str(&address).unwrap()
    }

    #[test]
    fn the_first_line_is_the_first_and_all_others_are_the_second() {
        for (text, line1, line2) in [
            ("1 Elm Road", "1 Elm Road", None),
            (" 1 Elm Road\r\n\r\n\tLondon ", "1 Elm Road", Some("London")),
            (
                "Ada\n1 Elm Road\rLondon\u{2028}UK",
                "Ada",
                Some("1 Elm Road, London, UK"),
            ),
            ("\n\n\"Ada\"\t\\\n", "\"Ada\" \\", None),
        ] {
            let address = address(text);
            assert_eq!(address["line1"], line1, "{text:?}");
            assert_eq!(address["line2"], Value::from(line2), "{text:?}");
            assert_eq!(address["country"], Value::Null);
        }
        assert_eq!(of_text(" \r\n\t\n"), None);
    }

    #[test]
    fn text_that_looks_like_an_address_is_one_only_where_it_has_its_form() {
        for text in [
            "",
            "7",
            "{}",
            "null",
            r#"{"line1":"Elm Road"}"#,
            r#"{"name":null,"company":null,"line1":null,"line2":null,"city":null,"region":null,"postal_code":null,"country":null,"phone":null}"#,
            r#"{"name":7,"company":null,"line1":"","line2":null,"city":null,"region":null,"postal_code":null,"country":null,"phone":null}"#,
        ] {
            assert!(!is_address(text), "{text}");
        }
    }

    #[test]
    fn an_order_keeps_everything_else() {
        let order = r#"{"id":9,"note":"\"shipping_address\":\"x\"","shipping_address":"a \"b\"\nc","total":"1.00"}"#;
        assert_eq!(
            in_order(order).unwrap(),
            r#"{"id":9,"note":"\"shipping_address\":\"x\"","shipping_address":{"name":null,"company":null,"line1":"a \"b\"","line2":"c","city":null,"region":null,"postal_code":null,"country":null,"phone":null},"total":"1.00"}"#
        );
        let blank = r#"{"shipping_address":" ","total":"1.00"}"#;
        assert_eq!(
            in_order(blank).unwrap(),
            r#"{"shipping_address":null,"total":"1.00"}"#
        );
        assert_eq!(in_order(&in_order(order).unwrap()), None);
    }

    proptest! {
        #[test]
        fn no_word_is_lost(text in "[\\PC\n\r\t\u{2028}]{0,1000}") {
            let words = |text: &str| {
                let words = text.split(|c: char| c.is_whitespace() || c == ',');
                words.filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
            };
            let kept = of_text(&text).map_or_else(String::new, |address| {
                let address: Value = serde_json::from_str(&address).unwrap();
                let lines = ["line1", "line2"].map(|line| address[line].as_str().unwrap_or_default().to_owned());
                lines.join(" ")
            });
            prop_assert_eq!(words(&kept), words(&text));
        }
    }
}

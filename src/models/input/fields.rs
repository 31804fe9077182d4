//! Reading what a client sent, field by field, so that every broken rule is known and not only the first.
//!
//! An input asks for its fields by name and type. Each answer is `None` when the field breaks a rule, which
//! has then been noted, so that an input asks for all of its fields first and looks at the answers after.
//!
//! `serde` with `validator` stops at the first field of a wrong type. `deserr` has this design, but makes
//! floats of numbers (19.990 and 19.99 would be one) and cannot see a key that is given twice.

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::RangeInclusive};

use percent_encoding::percent_decode_str;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::Input;
use crate::models::{
    Error, Result,
    error::FieldError,
    types::{JsonType, RuleViolation, Scalar},
};

/// How many errors are named at most: more would only make an answer that is longer than what was sent.
pub const MAX_ERRORS: usize = 100;

/// The fields of a body, or the parameters of a query.
#[derive(Debug)]
pub struct Fields<'a> {
    given: Vec<(Cow<'a, str>, Given<'a>)>,
    /// The JSON pointer to the object they stand in.
    path: String,
    asked: BTreeSet<&'static str>,
    errors: Vec<FieldError>,
    malformed: Option<String>,
}

#[derive(Clone, Debug)]
enum Given<'a> {
    Json(&'a RawValue),
    Parameter(Cow<'a, str>),
    /// One of nothing but blanks is to a table what `null` is to JSON.
    Cell(&'a str),
}

impl Given<'_> {
    fn is_empty_cell(&self) -> bool {
        matches!(self, Self::Cell(text) if text.trim().is_empty())
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Json(raw) if raw.get() == "null")
    }
}

/// A JSON object with its keys as they stand, twice where they stand twice.
struct Members<'a>(Vec<(Cow<'a, str>, Given<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(Cow<'de, str>, Given<'de>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((Cow::Owned(name), Given::Json(value)));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Reader).map(Members)
    }
}

/// Reads a body: one JSON object.
///
/// # Errors
/// [`Error::Malformed`] or [`Error::Invalid`].
pub fn from_json<T: Input>(body: &[u8]) -> Result<T> {
    let raw: &RawValue = serde_json::from_slice(body)
        .map_err(|error| Error::Malformed(format!("The body is not JSON: {error}.")))?;
    let Some(members) = members(raw) else {
        let error = FieldError::at("", "type", "must be a JSON object");
        return Err(Error::Invalid(vec![error]));
    };
    Fields::new(members, String::new()).finish()
}

/// Reads the parameters of a query string.
///
/// # Errors
/// [`Error::Malformed`] or [`Error::Invalid`].
pub fn from_query<T: Input>(query: &str) -> Result<T> {
    if percent_decode_str(query).decode_utf8().is_err() {
        return Err(Error::Malformed("The query is not UTF-8.".to_owned()));
    }
    let parameters = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name, Given::Parameter(value)))
        .collect();
    Fields::new(parameters, String::new()).finish()
}

/// Reads the cells of a table's row, each with the name of its column. An empty cell is `null`; blanks around a
/// number are ignored.
///
/// # Errors
/// [`Error::Invalid`].
pub fn from_cells<'a, T: Input>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> Result<T> {
    let cells = cells
        .map(|(name, cell)| (Cow::Borrowed(name), Given::Cell(cell)))
        .collect();
    Fields::new(cells, String::new()).finish()
}

fn members(raw: &RawValue) -> Option<Vec<(Cow<'_, str>, Given<'_>)>> {
    serde_json::from_str::<Members<'_>>(raw.get())
        .ok()
        .map(|members| members.0)
}

impl<'a> Fields<'a> {
    const fn new(given: Vec<(Cow<'a, str>, Given<'a>)>, path: String) -> Self {
        Self {
            given,
            path,
            asked: BTreeSet::new(),
            errors: Vec::new(),
            malformed: None,
        }
    }

    /// A field that has to be there.
    pub fn required<T: Scalar>(&mut self, name: &'static str) -> Option<T> {
        if let Some(given) = self.take(name) {
            return self.parse(name, &given);
        }
        self.refuse(name, "required", "is required");
        None
    }

    /// A field of a PATCH that stays as it is when it is missing, and cannot be `null`.
    pub fn change<T: Scalar>(&mut self, name: &'static str) -> Option<Option<T>> {
        match self.take(name) {
            None => Some(None),
            Some(given) => self.parse(name, &given).map(Some),
        }
    }

    /// A field of a PATCH that stays as it is when it is missing, and is cleared by `null` (RFC 7396).
    pub fn clearable<T: Scalar>(&mut self, name: &'static str) -> Option<Option<Option<T>>> {
        match self.take(name) {
            None => Some(None),
            Some(given) if given.is_null() || given.is_empty_cell() => Some(Some(None)),
            Some(given) => self.parse(name, &given).map(Some).map(Some),
        }
    }

    /// Another object, which has to be there.
    pub fn nested<T: Input>(&mut self, name: &'static str) -> Option<T> {
        if let Some(given) = self.take(name) {
            return self.object(name, &given);
        }
        self.refuse(name, "required", "is required");
        None
    }

    /// Another object, which may be missing or `null`.
    pub fn nested_or_null<T: Input>(&mut self, name: &'static str) -> Option<Option<T>> {
        match self.take(name) {
            Some(given) if !given.is_null() => self.object(name, &given).map(Some),
            _ => Some(None),
        }
    }

    /// The same, where what is missing stays as it is.
    pub fn nested_change<T: Input>(&mut self, name: &'static str) -> Option<Option<Option<T>>> {
        match self.take(name) {
            None => Some(None),
            Some(given) if given.is_null() => Some(Some(None)),
            Some(given) => self.object(name, &given).map(|object| Some(Some(object))),
        }
    }

    fn object<T: Input>(&mut self, name: &'static str, given: &Given<'a>) -> Option<T> {
        let Given::Json(raw) = given else {
            self.refuse(name, "type", "must be a JSON object");
            return None;
        };
        self.element(raw, format!("{}/{}", self.path, escaped(name)))
    }

    /// A list of objects, which has to be there, and what each of them is read as.
    pub fn each<T: Input>(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
    ) -> Option<Vec<T>> {
        if let Some(given) = self.take(name) {
            return self.objects(name, &given, count);
        }
        self.refuse(name, "required", "is required");
        None
    }

    /// A list of objects that stays as it is when it is missing, and cannot be `null`.
    pub fn change_each<T: Input>(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
    ) -> Option<Option<Vec<T>>> {
        match self.take(name) {
            None => Some(None),
            Some(given) => self.objects(name, &given, count).map(Some),
        }
    }

    fn objects<T: Input>(
        &mut self,
        name: &'static str,
        given: &Given<'a>,
        count: RangeInclusive<usize>,
    ) -> Option<Vec<T>> {
        let elements = self.elements(name, given, count)?;
        let path = format!("{}/{}", self.path, escaped(name));
        let elements = elements.into_iter().enumerate();
        // Each is read, also behind one that breaks a rule.
        let read: Vec<_> = elements
            .map(|(at, element)| self.element(element, format!("{path}/{at}")))
            .collect();
        read.into_iter().collect()
    }

    /// A list of values, which has to be there.
    pub fn values<T: Scalar>(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
    ) -> Option<Vec<T>> {
        if let Some(given) = self.take(name) {
            return self.listed(name, &given, count);
        }
        self.refuse(name, "required", "is required");
        None
    }

    /// A list of values that stays as it is when it is missing, and cannot be `null`.
    pub fn change_values<T: Scalar>(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
    ) -> Option<Option<Vec<T>>> {
        match self.take(name) {
            None => Some(None),
            Some(given) => self.listed(name, &given, count).map(Some),
        }
    }

    fn listed<T: Scalar>(
        &mut self,
        name: &'static str,
        given: &Given<'a>,
        count: RangeInclusive<usize>,
    ) -> Option<Vec<T>> {
        let texts = self.texts(name, given, count, T::JSON)?;
        let mut values = Vec::with_capacity(texts.len());
        for (at, text) in texts.into_iter().enumerate() {
            match text.and_then(|text| T::parse(&text)) {
                Ok(value) => values.push(Some(value)),
                Err(RuleViolation { code, message }) => {
                    let pointer = format!("{}/{}/{at}", self.path, escaped(name));
                    self.note([FieldError::at(pointer, code, message)]);
                    values.push(None);
                }
            }
        }
        values.into_iter().collect()
    }

    /// The texts of so many values: what stands in an array, or in a cell between commas or blanks.
    fn texts(
        &mut self,
        name: &'static str,
        given: &Given<'a>,
        count: RangeInclusive<usize>,
        json: JsonType,
    ) -> Option<Vec<Result<Cow<'a, str>, RuleViolation>>> {
        let Given::Cell(cell) = given else {
            let elements = self.elements(name, given, count)?;
            return Some(elements.iter().map(|raw| scalar(raw.get(), json)).collect());
        };
        let separates = |letter: char| letter == ',' || letter.is_whitespace();
        let texts = cell.split(separates).filter(|text| !text.is_empty());
        let texts: Vec<_> = texts.map(|text| Ok(Cow::Borrowed(text))).collect();
        self.has_so_many(name, texts.len(), count)?;
        Some(texts)
    }

    /// What stands in an array of so many elements.
    fn elements(
        &mut self,
        name: &'static str,
        given: &Given<'a>,
        count: RangeInclusive<usize>,
    ) -> Option<Vec<&'a RawValue>> {
        let elements = match given {
            Given::Json(raw) => serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok(),
            Given::Parameter(_) | Given::Cell(_) => None,
        };
        let Some(elements) = elements else {
            self.refuse(name, "type", "must be an array");
            return None;
        };
        self.has_so_many(name, elements.len(), count)?;
        Some(elements)
    }

    fn has_so_many(
        &mut self,
        name: &'static str,
        number: usize,
        count: RangeInclusive<usize>,
    ) -> Option<()> {
        if count.contains(&number) {
            return Some(());
        }
        let (least, most) = count.into_inner();
        let message = format!("must have {least} to {most} elements");
        self.refuse(name, "length", message);
        None
    }

    /// Notes that a field breaks a rule.
    pub fn refuse(&mut self, name: &str, code: &'static str, message: impl Into<String>) {
        let pointer = format!("{}/{}", self.path, escaped(name));
        self.note([FieldError::at(pointer, code, message)]);
    }

    /// Notes that it cannot be understood at all.
    pub fn malformed(&mut self, why: impl Into<String>) {
        self.malformed.get_or_insert_with(|| why.into());
    }

    /// Whether a field was sent, and is neither `null` nor an empty cell.
    pub fn has(&self, name: &str) -> bool {
        self.given
            .iter()
            .any(|(given, value)| given == name && !value.is_null() && !value.is_empty_cell())
    }

    fn note(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        let room = MAX_ERRORS - self.errors.len();
        self.errors.extend(errors.into_iter().take(room));
    }

    fn element<T: Input>(&mut self, raw: &RawValue, path: String) -> Option<T> {
        let Some(members) = members(raw) else {
            self.note([FieldError::at(path, "type", "must be a JSON object")]);
            return None;
        };
        match Fields::new(members, path).finish() {
            Ok(element) => Some(element),
            Err(Error::Invalid(errors)) => {
                self.note(errors);
                None
            }
            Err(why) => {
                self.malformed(why.to_string());
                None
            }
        }
    }

    /// What was given for a field, which is asked for now.
    fn take(&mut self, name: &'static str) -> Option<Given<'a>> {
        self.asked.insert(name);
        let mut given = self.given.iter().filter(|(given, _)| given == name);
        let first = given.next().map(|(_, value)| value.clone());
        if given.next().is_some() {
            self.refuse(name, "duplicate", "is given more than once");
        }
        first
    }

    fn parse<T: Scalar>(&mut self, name: &'static str, given: &Given<'_>) -> Option<T> {
        let text = match given {
            Given::Parameter(text) => Ok(text.clone()),
            Given::Cell(_) if given.is_empty_cell() => {
                Err(RuleViolation::new("required", "is required"))
            }
            Given::Cell(text) if T::JSON == JsonType::String => Ok(Cow::Borrowed(*text)),
            Given::Cell(text) => Ok(Cow::Borrowed(text.trim())),
            Given::Json(raw) => scalar(raw.get(), T::JSON),
        };
        match text.and_then(|text| T::parse(&text)) {
            Ok(value) => Some(value),
            Err(RuleViolation { code, message }) => {
                self.refuse(name, code, message);
                None
            }
        }
    }

    /// The input, unless a rule is broken or a field is left over.
    fn finish<T: Input>(mut self) -> Result<T> {
        let value = T::read(&mut self);
        debug_assert!(
            {
                let shown = T::properties();
                let is_shown = |asked: &&str| shown.iter().any(|shown| shown.name == *asked);
                self.asked.iter().all(is_shown)
            },
            "{} reads a field that the API's document does not show: {:?}",
            T::NAME,
            self.asked,
        );
        let unknown: BTreeSet<_> = self
            .given
            .iter()
            .map(|(name, _)| name.to_string())
            .filter(|name| !self.asked.contains(name.as_str()))
            .collect();
        for name in unknown.into_iter().take(MAX_ERRORS) {
            self.refuse(&name, "unknown", "is not known here");
        }
        match value {
            _ if self.malformed.is_some() => {
                Err(Error::Malformed(self.malformed.unwrap_or_default()))
            }
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(Error::Invalid(self.errors)),
        }
    }
}

/// The text of a JSON scalar, if it is of that type.
fn scalar(raw: &str, json: JsonType) -> Result<Cow<'_, str>, RuleViolation> {
    let expected = match json {
        JsonType::String => "must be a string",
        JsonType::Number => "must be a number",
        JsonType::StringOrNumber => "must be a string or a number",
        JsonType::Boolean => "must be true or false",
    };
    match (raw.as_bytes().first(), json) {
        (Some(b'"'), JsonType::String | JsonType::StringOrNumber) => serde_json::from_str(raw)
            .map(Cow::Owned)
            // Half of a surrogate pair is JSON, and no text.
            .map_err(|_| RuleViolation::new("format", "must be Unicode text")),
        (Some(b'-' | b'0'..=b'9'), JsonType::Number | JsonType::StringOrNumber)
        | (Some(b't' | b'f'), JsonType::Boolean) => Ok(Cow::Borrowed(raw)),
        (Some(b'n'), _) => Err(RuleViolation::new("required", "must not be null")),
        _ => Err(RuleViolation::new("type", expected)),
    }
}

/// A name as it stands in a JSON pointer (RFC 6901, section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::models::{
        input::{Property, object},
        types::{BoundedInt, Destination, Money, SingleLine},
    };

    /// Something.
    #[derive(Debug, PartialEq, Input)]
    struct Thing {
        name: SingleLine<5>,
        price: Option<Money>,
        #[input(items = 1..=3)]
        parts: Vec<Part>,
        #[input(nested)]
        whole: Option<Part>,
    }

    #[derive(Debug, PartialEq, Input)]
    struct Patch {
        /// The whole.
        #[input(nested)]
        whole: Option<Option<Part>>,
        /// The parts.
        #[input(items = 0..=2)]
        parts: Option<Vec<Part>>,
    }

    #[derive(Debug, PartialEq, Input)]
    struct Box {
        #[input(nested)]
        part: Part,
    }

    #[derive(Debug, PartialEq, Input)]
    struct Part {
        count: BoundedInt<1, 9>,
    }

    #[derive(Debug, Input)]
    struct Journey {
        #[input(values = 1..=3)]
        to: Vec<Destination>,
    }

    #[derive(Debug)]
    struct Lying;

    impl Input for Lying {
        const NAME: &'static str = "Lying";
        const DESCRIPTION: &'static str = "";

        fn properties() -> Vec<Property> {
            Vec::new()
        }

        fn read(fields: &mut Fields<'_>) -> Option<Self> {
            fields.required::<bool>("hidden").map(|_| Self)
        }
    }

    #[test]
    #[should_panic(expected = "reads a field that the API's document does not show")]
    fn a_field_that_is_read_and_not_documented_is_found() {
        let _ = from_json::<Lying>(b"{}");
    }

    /// The pointer and the code of each error.
    fn broken(body: &str) -> Vec<String> {
        let Err(Error::Invalid(errors)) = from_json::<Thing>(body.as_bytes()) else {
            panic!("{body} is not invalid")
        };
        let shown = |error: FieldError| format!("{} {}", error.pointer, error.code);
        errors.into_iter().map(shown).collect()
    }

    #[test]
    fn reads_what_was_sent() {
        let body = br#"{"name":"a\u0062","price":1.5,"parts":[{"count":2}]}"#;
        let thing: Thing = from_json(body).unwrap();
        assert_eq!(thing.name.as_str(), "ab");
        assert_eq!(thing.price, Some(Money::from_minor(150)));
        assert_eq!(thing.parts.len(), 1);
        assert_eq!(thing.whole, None);
    }

    #[test]
    fn an_object_within_is_read_by_its_own_rules() {
        let part = |body: &str| {
            let body = format!(r#"{{"name":"a","parts":[{{"count":1}}],"whole":{body}}}"#);
            from_json::<Thing>(body.as_bytes())
                .map(|thing| thing.whole.map(|part| part.count.get()))
        };
        assert_eq!(part(r#"{"count":2}"#).unwrap(), Some(2));
        assert_eq!(part("null").unwrap(), None);
        for (body, error) in [
            ("7", "/whole type"),
            ("[]", "/whole type"),
            ("{}", "/whole/count required"),
            (r#"{"count":0}"#, "/whole/count range"),
            (r#"{"count":1,"x":1}"#, "/whole/x unknown"),
            (r#"{"count":1,"count":1}"#, "/whole/count duplicate"),
        ] {
            let body = format!(r#"{{"name":"a","parts":[{{"count":1}}],"whole":{body}}}"#);
            assert_eq!(broken(&body), [error], "{body}");
        }
        let refused = |body: &str| match from_json::<Box>(body.as_bytes()) {
            Err(Error::Invalid(errors)) => format!("{} {}", errors[0].pointer, errors[0].code),
            other => panic!("{body}: {other:?}"),
        };
        assert_eq!(refused("{}"), "/part required");
        assert_eq!(refused(r#"{"part":null}"#), "/part type");
        assert!(from_json::<Box>(br#"{"part":{"count":1}}"#).is_ok());
    }

    #[test]
    fn an_object_that_may_stay_or_be_cleared_is_missing_or_null_or_given() {
        let whole = |body: &str| {
            let patch = from_json::<Patch>(body.as_bytes()).unwrap();
            patch.whole.map(|part| part.map(|part| part.count.get()))
        };
        assert_eq!(whole("{}"), None);
        assert_eq!(whole(r#"{"whole":null}"#), Some(None));
        assert_eq!(whole(r#"{"whole":{"count":2}}"#), Some(Some(2)));
    }

    #[test]
    fn a_list_that_may_stay_is_missing_or_given() {
        let parts = |body: &str| {
            let patch = from_json::<Patch>(body.as_bytes()).unwrap();
            patch.parts.map(|parts| parts.len())
        };
        assert_eq!(parts("{}"), None);
        assert_eq!(parts(r#"{"parts":[]}"#), Some(0));
        assert_eq!(parts(r#"{"parts":[{"count":1},{"count":2}]}"#), Some(2));
        let refused = |body: &str| match from_json::<Patch>(body.as_bytes()) {
            Err(Error::Invalid(errors)) => format!("{} {}", errors[0].pointer, errors[0].code),
            other => panic!("{body}: {other:?}"),
        };
        assert_eq!(refused(r#"{"parts":null}"#), "/parts type");
        assert_eq!(
            refused(r#"{"parts":[{"count":0}]}"#),
            "/parts/0/count range"
        );
        let three = r#"{"parts":[{"count":1},{"count":1},{"count":1}]}"#;
        assert_eq!(refused(three), "/parts length");
    }

    #[test]
    fn the_document_says_what_may_be_missing_and_what_may_be_null() {
        let schema = serde_json::to_value(object::<Patch>()).unwrap();
        let expected = json!({
            "type": "object",
            "description": "",
            "additionalProperties": false,
            "properties": {
                "whole": {
                    "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Part" }],
                    "description": "The whole. `null` clears it.",
                },
                "parts": {
                    "type": "array",
                    "items": { "$ref": "#/components/schemas/Part" },
                    "minItems": 0,
                    "maxItems": 2,
                    "description": "The parts.",
                },
            },
        });
        assert_eq!(schema, expected);
        let names: Vec<_> = Patch::properties()
            .into_iter()
            .flat_map(|property| property.named)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["Part", "Part"]);
    }

    #[test]
    fn names_every_broken_rule_at_once() {
        let body = r#"{"name":7,"price":"x","parts":[{"count":0},3,{"count":1,"of/what":1}],"nmae":"a","nmae":"b"}"#;
        assert_eq!(
            broken(body),
            [
                "/name type",
                "/price format",
                "/parts/0/count range",
                "/parts/1 type",
                "/parts/2/of~1what unknown",
                "/nmae unknown",
            ]
        );
    }

    #[test]
    fn what_is_missing_or_null_or_double_is_said() {
        for (body, errors) in [
            ("{}", &["/name required", "/parts required"][..]),
            (
                r#"{"name":null,"parts":null}"#,
                &["/name required", "/parts type"],
            ),
            (
                r#"{"name":"a","name":"b","parts":[{"count":1}]}"#,
                &["/name duplicate"],
            ),
            (
                r#"{"name":"\ud800","parts":[{"count":1}]}"#,
                &["/name format"],
            ),
            ("[]", &[" type"]),
        ] {
            assert_eq!(broken(body), errors, "{body}");
        }
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        let not_utf8 = b"{\"name\":\"\xff\"}";
        for body in [
            &b""[..],
            b"{",
            b"{\"name\":}",
            b"\xef\xbb\xbf{}",
            b"{} {}",
            not_utf8,
        ] {
            let error = from_json::<Thing>(body).unwrap_err();
            assert!(matches!(error, Error::Malformed(_)), "{body:?}: {error:?}");
        }
    }

    #[test]
    fn parameters_are_read_by_the_same_rules() {
        assert_eq!(from_query::<Part>("count=3").unwrap().count.get(), 3);
        let refused = |query| from_query::<Part>(query).unwrap_err();
        assert!(matches!(refused("count=3&count=4"), Error::Invalid(_)));
        assert!(matches!(refused("count=3&cuont=4"), Error::Invalid(_)));
        assert!(matches!(refused("count=%FF"), Error::Malformed(_)));
    }
    #[test]
    fn commas_and_blanks_separate_the_values_of_a_cell() {
        let read = |cell: &str| from_cells::<Journey>([("to", cell)].into_iter());
        let to = |cell: &str| {
            let to = read(cell).unwrap().to.into_iter();
            to.map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(to(" de,AT\u{a0} fr, "), ["DE", "AT", "FR"]);
        assert_eq!(to("*"), ["*"]);
        for (cell, error) in [
            (" , ", "/to length"),
            ("DE AT FR IT", "/to length"),
            ("DE;AT", "/to/0 choice"),
            ("DE Austria", "/to/1 choice"),
        ] {
            let Err(Error::Invalid(errors)) = read(cell) else {
                panic!("{cell} is not invalid")
            };
            assert_eq!(
                format!("{} {}", errors[0].pointer, errors[0].code),
                error,
                "{cell}"
            );
        }
    }
}

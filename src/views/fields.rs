//! Reading what a client sent, field by field, so that every broken rule is known and not only the
//! first: what `serde` and `validator` cannot do, because a field of the wrong type ends them both.
//!
//! A view asks for its fields by name and type ([`Fields::required`], [`Fields::optional`] …). Each
//! answer is `None` when the field breaks a rule, which has then been noted, so that a view asks for
//! all of its fields first and looks at the answers after.

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::RangeInclusive};

use percent_encoding::percent_decode_str;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::models::{
    error::BrokenRule,
    listing::NoFilter,
    types::{JsonType, Password, Scalar, Violation},
};

/// How many broken rules are named at most: more would only make an answer that is longer than what
/// was sent.
pub const MOST_FAULTS: usize = 100;

/// Something that can be read from fields.
pub trait FromFields: Sized {
    /// Whether a body need not be sent at all: one without fields is meant then.
    const MAY_BE_MISSING: bool = false;

    /// Reads it, or notes what is wrong and answers nothing.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

impl FromFields for NoFilter {
    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self)
    }
}

/// Why what was sent cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It cannot be understood.
    Malformed(String),
    /// It breaks these rules.
    Invalid(Vec<BrokenRule>),
}

/// The fields of a body, or the parameters of a query.
#[derive(Debug)]
pub struct Fields<'a> {
    given: Vec<(Cow<'a, str>, Given<'a>)>,
    /// The JSON pointer to the object they stand in.
    path: String,
    asked: BTreeSet<&'static str>,
    broken: Vec<BrokenRule>,
    malformed: Option<String>,
    password_min_length: usize,
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
/// The [`Rejection`] that says what is wrong with it.
pub fn from_json<T: FromFields>(body: &[u8], password_min_length: usize) -> Result<T, Rejection> {
    let raw: &RawValue = serde_json::from_slice(body)
        .map_err(|error| Rejection::Malformed(format!("The body is not JSON: {error}.")))?;
    let Some(members) = members(raw) else {
        return Err(Rejection::Invalid(vec![BrokenRule::at(
            "",
            "type",
            "must be a JSON object",
        )]));
    };
    Fields::new(members, String::new(), password_min_length).finish(T::read)
}

/// Reads the parameters of a query string.
///
/// # Errors
/// The [`Rejection`] that says what is wrong with them.
pub fn from_query<T: FromFields>(query: &str) -> Result<T, Rejection> {
    if percent_decode_str(query).decode_utf8().is_err() {
        return Err(Rejection::Malformed("The query is not UTF-8.".to_owned()));
    }
    let parameters = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name, Given::Parameter(value)))
        .collect();
    Fields::new(parameters, String::new(), 0).finish(T::read)
}

/// Reads the cells of a table's row, each with the name of its column. An empty cell says that there is no
/// such thing; blanks around a number are no part of it.
///
/// # Errors
/// The [`Rejection`] that says what is wrong with them.
pub fn from_cells<'a, T: FromFields>(
    cells: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<T, Rejection> {
    let cells = cells
        .map(|(name, cell)| (Cow::Borrowed(name), Given::Cell(cell)))
        .collect();
    Fields::new(cells, String::new(), 0).finish(T::read)
}

fn members(raw: &RawValue) -> Option<Vec<(Cow<'_, str>, Given<'_>)>> {
    serde_json::from_str::<Members<'_>>(raw.get())
        .ok()
        .map(|members| members.0)
}

impl<'a> Fields<'a> {
    const fn new(
        given: Vec<(Cow<'a, str>, Given<'a>)>,
        path: String,
        password_min_length: usize,
    ) -> Self {
        Self {
            given,
            path,
            asked: BTreeSet::new(),
            broken: Vec::new(),
            malformed: None,
            password_min_length,
        }
    }

    /// A field that has to be there.
    pub fn required<T: Scalar>(&mut self, name: &'static str) -> Option<T> {
        self.required_by(name, T::JSON, T::parse)
    }

    /// A field that may be missing or `null`.
    pub fn optional<T: Scalar>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.clearable(name).map(Option::flatten)
    }

    /// A field of a PATCH that stays as it is when it is missing, and cannot be `null`.
    pub fn change<T: Scalar>(&mut self, name: &'static str) -> Option<Option<T>> {
        match self.take(name) {
            None => Some(None),
            Some(given) => self.parse(name, &given, T::JSON, &T::parse).map(Some),
        }
    }

    /// A field of a PATCH that stays as it is when it is missing, and is cleared by `null` (RFC 7396).
    pub fn clearable<T: Scalar>(&mut self, name: &'static str) -> Option<Option<Option<T>>> {
        match self.take(name) {
            None => Some(None),
            Some(Given::Json(raw)) if raw.get() == "null" => Some(Some(None)),
            Some(given) if given.is_empty_cell() => Some(Some(None)),
            Some(given) => self
                .parse(name, &given, T::JSON, &T::parse)
                .map(Some)
                .map(Some),
        }
    }

    /// A new password, which has to be there.
    pub fn new_password(&mut self, name: &'static str) -> Option<Password> {
        let min_length = self.password_min_length;
        self.required_by(name, JsonType::String, |text| {
            Password::chosen(text, min_length)
        })
    }

    /// A new password in a PATCH.
    pub fn changed_password(&mut self, name: &'static str) -> Option<Option<Password>> {
        let min_length = self.password_min_length;
        match self.take(name) {
            None => Some(None),
            Some(given) => self
                .parse(name, &given, JsonType::String, &|text| {
                    Password::chosen(text, min_length)
                })
                .map(Some),
        }
    }

    /// A list of objects, which has to be there, and what each of them is read as.
    pub fn each<T: FromFields>(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
    ) -> Option<Vec<T>> {
        let Some(Given::Json(raw)) = self.take(name) else {
            self.refuse(name, "required", "is required");
            return None;
        };
        let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
            self.refuse(name, "type", "must be an array");
            return None;
        };
        if !count.contains(&elements.len()) {
            let (least, most) = count.into_inner();
            self.refuse(
                name,
                "length",
                format!("must have {least} to {most} elements"),
            );
            return None;
        }
        let path = format!("{}/{name}", self.path);
        let read: Vec<_> = elements
            .into_iter()
            .enumerate()
            .map(|(at, element)| self.element(element, format!("{path}/{at}")))
            .collect();
        read.into_iter().collect()
    }

    /// Notes that a field breaks a rule.
    pub fn refuse(&mut self, name: &str, code: &'static str, message: impl Into<String>) {
        let pointer = format!("{}/{}", self.path, escaped(name));
        self.note([BrokenRule::at(pointer, code, message)]);
    }

    /// Notes that it cannot be understood at all.
    pub fn malformed(&mut self, why: impl Into<String>) {
        self.malformed.get_or_insert_with(|| why.into());
    }

    /// Whether a field was sent, and is no empty cell.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.given
            .iter()
            .any(|(given, value)| given == name && !value.is_empty_cell())
    }

    fn note(&mut self, broken: impl IntoIterator<Item = BrokenRule>) {
        let room = MOST_FAULTS - self.broken.len();
        self.broken.extend(broken.into_iter().take(room));
    }

    fn element<T: FromFields>(&mut self, raw: &RawValue, path: String) -> Option<T> {
        let Some(members) = members(raw) else {
            self.note([BrokenRule::at(path, "type", "must be a JSON object")]);
            return None;
        };
        match Fields::new(members, path, self.password_min_length).finish(T::read) {
            Ok(element) => Some(element),
            Err(Rejection::Invalid(broken)) => {
                self.note(broken);
                None
            }
            Err(Rejection::Malformed(why)) => {
                self.malformed(why);
                None
            }
        }
    }

    fn required_by<T>(
        &mut self,
        name: &'static str,
        json: JsonType,
        parse: impl Fn(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        if let Some(given) = self.take(name) {
            return self.parse(name, &given, json, &parse);
        }
        self.refuse(name, "required", "is required");
        None
    }

    /// What was given for a field, which is asked for now.
    fn take(&mut self, name: &'static str) -> Option<Given<'a>> {
        self.asked.insert(name);
        let mut given = self
            .given
            .iter()
            .filter(|(given, _)| given == name)
            .map(|(_, value)| value.clone());
        let first = given.next();
        if given.next().is_some() {
            self.refuse(name, "duplicate", "is given more than once");
        }
        first
    }

    fn parse<T>(
        &mut self,
        name: &'static str,
        given: &Given<'_>,
        json: JsonType,
        parse: &impl Fn(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        let text = match given {
            Given::Parameter(text) => Ok(text.clone()),
            Given::Cell(_) if given.is_empty_cell() => {
                Err(Violation::new("required", "is required"))
            }
            Given::Cell(text) if json == JsonType::String => Ok(Cow::Borrowed(*text)),
            Given::Cell(text) => Ok(Cow::Borrowed(text.trim())),
            Given::Json(raw) => scalar(raw.get(), json),
        };
        match text.and_then(|text| parse(&text)) {
            Ok(value) => Some(value),
            Err(Violation { code, message }) => {
                self.refuse(name, code, message);
                None
            }
        }
    }

    /// What `read` makes of the fields, unless a rule is broken or a field is left over.
    fn finish<T>(mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, Rejection> {
        let value = read(&mut self);
        let unknown: BTreeSet<_> = self
            .given
            .iter()
            .map(|(name, _)| name.to_string())
            .filter(|name| !self.asked.contains(name.as_str()))
            .collect();
        for name in unknown.into_iter().take(MOST_FAULTS) {
            self.refuse(&name, "unknown", "is not known here");
        }
        match value {
            _ if self.malformed.is_some() => {
                Err(Rejection::Malformed(self.malformed.unwrap_or_default()))
            }
            Some(value) if self.broken.is_empty() => Ok(value),
            _ => Err(Rejection::Invalid(self.broken)),
        }
    }
}

/// The text of a JSON scalar, if it is of that type.
fn scalar(raw: &str, json: JsonType) -> Result<Cow<'_, str>, Violation> {
    let expected = match json {
        JsonType::String => "must be a string",
        JsonType::Number => "must be a number",
        JsonType::StringOrNumber => "must be a string or a number",
        JsonType::Boolean => "must be true or false",
    };
    let wrong_type = || Violation::new("type", expected);
    match (raw.as_bytes().first(), json) {
        (Some(b'"'), JsonType::String | JsonType::StringOrNumber) => serde_json::from_str(raw)
            .map(Cow::Owned)
            // Half of a surrogate pair is JSON, and no text.
            .map_err(|_| Violation::new("format", "must be Unicode text")),
        (Some(b'-' | b'0'..=b'9'), JsonType::Number | JsonType::StringOrNumber)
        | (Some(b't' | b'f'), JsonType::Boolean) => Ok(Cow::Borrowed(raw)),
        (Some(b'n'), _) => Err(Violation::new("required", "must not be null")),
        _ => Err(wrong_type()),
    }
}

/// A name as it stands in a JSON pointer (RFC 6901, section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::types::{Line, Money, Whole};

    #[derive(Debug, PartialEq)]
    struct Thing {
        name: Line<5>,
        price: Option<Money>,
        parts: Vec<Part>,
    }

    #[derive(Debug, PartialEq)]
    struct Part {
        count: Whole<1, 9>,
    }

    impl FromFields for Thing {
        fn read(fields: &mut Fields<'_>) -> Option<Self> {
            let name = fields.required("name");
            let price = fields.optional("price");
            let parts = fields.each("parts", 1..=3);
            Some(Self {
                name: name?,
                price: price?,
                parts: parts?,
            })
        }
    }

    impl FromFields for Part {
        fn read(fields: &mut Fields<'_>) -> Option<Self> {
            let count = fields.required("count");
            Some(Self { count: count? })
        }
    }

    fn broken(body: &str) -> Vec<(String, &'static str)> {
        match from_json::<Thing>(body.as_bytes(), 12) {
            Err(Rejection::Invalid(broken)) => broken
                .into_iter()
                .map(|rule| (rule.pointer, rule.violation.code))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_what_was_sent() {
        let thing: Thing = from_json(
            br#"{"name":"a\u0062","price":1.5,"parts":[{"count":2}]}"#,
            12,
        )
        .unwrap();
        assert_eq!(thing.name.as_str(), "ab");
        assert_eq!(thing.price, Some(Money::from_minor(150)));
        assert_eq!(thing.parts.len(), 1);
    }

    #[test]
    fn names_every_broken_rule_at_once() {
        let body = r#"{"name":7,"price":"x","parts":[{"count":0},3,{"count":1,"of/what":1}],"nmae":"a","nmae":"b"}"#;
        assert_eq!(
            broken(body),
            [
                ("/name".to_owned(), "type"),
                ("/price".to_owned(), "format"),
                ("/parts/0/count".to_owned(), "range"),
                ("/parts/1".to_owned(), "type"),
                ("/parts/2/of~1what".to_owned(), "unknown"),
                ("/nmae".to_owned(), "unknown"),
            ]
        );
    }

    #[test]
    fn what_is_missing_or_null_or_double_is_said() {
        assert_eq!(
            broken("{}"),
            [
                ("/name".to_owned(), "required"),
                ("/parts".to_owned(), "required")
            ]
        );
        assert_eq!(
            broken(r#"{"name":null,"parts":null}"#)[0],
            ("/name".to_owned(), "required")
        );
        assert_eq!(
            broken(r#"{"name":"a","name":"b","parts":[{"count":1}]}"#),
            [("/name".to_owned(), "duplicate")]
        );
        assert_eq!(
            broken(r#"{"name":"\ud800","parts":[{"count":1}]}"#),
            [("/name".to_owned(), "format")]
        );
        assert_eq!(broken("[]"), [(String::new(), "type")]);
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for body in ["", "{", "{\"name\":}", "\u{feff}{}", "{} {}"] {
            let rejection = from_json::<Thing>(body.as_bytes(), 12).unwrap_err();
            assert!(
                matches!(rejection, Rejection::Malformed(_)),
                "{body}: {rejection:?}"
            );
        }
        assert!(matches!(
            from_json::<Thing>(b"{\"name\":\"\xff\"}", 12),
            Err(Rejection::Malformed(_))
        ));
    }

    #[test]
    fn parameters_are_read_by_the_same_rules() {
        assert_eq!(from_query::<Part>("count=3").unwrap().count.get(), 3);
        assert!(matches!(
            from_query::<Part>("count=3&count=4"),
            Err(Rejection::Invalid(_))
        ));
        assert!(matches!(
            from_query::<Part>("count=3&cuont=4"),
            Err(Rejection::Invalid(_))
        ));
        assert!(matches!(
            from_query::<Part>("count=%FF"),
            Err(Rejection::Malformed(_))
        ));
    }
}

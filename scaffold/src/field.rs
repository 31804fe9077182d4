//! The fields of a resource, as they are written on the command line, and what each type is in each place.

use heck::ToSnakeCase;
use serde::Serialize;
use serde_json::{Value, json};

use super::Result;

/// A field, such as `percent:int!`.
#[derive(Serialize)]
pub struct Field {
    /// `valid_days`
    pub name: String,
    /// `valid days`
    words: String,
    /// Its column: the name, or `price_minor` for money.
    column: String,
    /// Whether it is given for every one.
    required: bool,
    /// Whether no two have the same.
    pub unique: bool,
    #[serde(flatten)]
    kind: Kind,
}

/// What a type is in each place.
#[derive(Serialize)]
struct Kind {
    /// `string`, `text`, `int`, `money` or `bool`.
    kind: &'static str,
    /// What is read from a body.
    input: &'static str,
    /// What the database gives.
    row: &'static str,
    /// A value, and another one.
    samples: [Value; 2],
    /// Values that are refused, as Rust writes them, each with the code of the rule that it breaks.
    refused: &'static [(&'static str, &'static str)],
}

impl Field {
    /// Reads `name:type`, with `!` or `^` after it.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, kind) = text.split_once(':').ok_or_else(|| {
            format!("{text}: a field is written as name:type, such as percent:int!")
        })?;
        let (kind, required, unique) = match kind.strip_suffix('^') {
            Some(kind) => (kind, true, true),
            None => kind
                .strip_suffix('!')
                .map_or((kind, false, false), |kind| (kind, true, false)),
        };
        let name = identifier(name)?;
        if ["id", "created_at", "updated_at"].contains(&name.as_str()) {
            return Err(format!("{name}: every resource has that by itself").into());
        }
        let words = words(&name);
        let kind = Kind::named(kind, &words)
            .ok_or_else(|| format!("{text}: the types are string, text, int, money and bool"))?;
        if kind.kind == "bool" && !required {
            return Err(format!("{text}: a bool is always given; write {name}:bool!").into());
        }
        if unique && ["text", "bool"].contains(&kind.kind) {
            return Err(format!("{text}: a {} cannot be unique", kind.kind).into());
        }
        let column = match kind.kind {
            "money" => format!("{name}_minor"),
            _ => name.clone(),
        };
        Ok(Self {
            name,
            words,
            column,
            required,
            unique,
            kind,
        })
    }

    /// The type that the model has to import for it.
    pub fn imported(&self) -> Option<&'static str> {
        let name = self.kind.input.split('<').next()?;
        (name != "bool").then_some(name)
    }
}

impl Kind {
    fn named(kind: &str, words: &str) -> Option<Self> {
        let text = |which: &str| json!(format!("{which} {words}"));
        Some(match kind {
            "string" => Self {
                kind: "string",
                input: "SingleLine<200>",
                row: "String",
                samples: [text("A"), text("Another")],
                refused: &[
                    ("7", "type"),
                    ("\"\"", "length"),
                    ("\"x\".repeat(201)", "length"),
                ],
            },
            "text" => Self {
                kind: "text",
                input: "MultiLine<5_000>",
                row: "String",
                samples: [text("A"), text("Another")],
                refused: &[("7", "type"), ("\"\\0\"", "format")],
            },
            "int" => Self {
                kind: "int",
                input: "BoundedInt<0, 1_000_000_000>",
                row: "i64",
                samples: [json!(15), json!(20)],
                refused: &[("\"15\"", "type"), ("1.5", "type"), ("-1", "range")],
            },
            "money" => Self {
                kind: "money",
                input: "Money",
                row: "i64",
                samples: [json!("19.90"), json!("24.50")],
                refused: &[("true", "type"), ("\"x\"", "format"), ("-1", "range")],
            },
            "bool" => Self {
                kind: "bool",
                input: "bool",
                row: "bool",
                samples: [json!(true), json!(false)],
                refused: &[("\"true\"", "type")],
            },
            _ => return None,
        })
    }
}

/// The name as an identifier of Rust, which no keyword is.
pub fn identifier(name: &str) -> Result<String> {
    let name = name.to_snake_case();
    match syn::parse_str::<syn::Ident>(&name) {
        Ok(_) if name.is_ascii() => Ok(name),
        _ => Err(format!("{name:?} cannot be a name in Rust").into()),
    }
}

/// The name in words.
pub fn words(name: &str) -> String {
    name.replace('_', " ")
}

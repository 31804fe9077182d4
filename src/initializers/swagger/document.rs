//! The API's document, put together: paths and schemas from the endpoints, what they have in common by
//! rules, the prose and the examples from the files beside this one.

use std::sync::OnceLock;

use chrono::DateTime;
use loco_rs::{Error, Result};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Content, Paths, RefOr, Response},
};
use yaml_serde::{Mapping, Value};

use super::{
    common::{self, Shared, example, name, operations},
    schema_rewrite::{Schemas, name_of, refer, without_null},
};
use crate::{
    controllers::endpoints,
    models::{
        error::{Error as Refusal, FieldError},
        types::OrderStatus,
    },
    views::problem::{Kind, Problem, ProblemBody},
};

/// The document, as it is served.
#[derive(Clone, Debug)]
pub struct Document {
    /// As `swagger.yaml` has it.
    pub yaml: String,
    /// The same as JSON.
    pub json: String,
}

/// The document of every endpoint. It is made when somebody asks for the first time: a server that is
/// never asked starts without it.
///
/// # Errors
/// When a handler declares what there is not.
pub fn document() -> Result<&'static Document> {
    static DOCUMENT: OnceLock<Document> = OnceLock::new();
    if let Some(document) = DOCUMENT.get() {
        return Ok(document);
    }
    let document = Document::new()?;
    Ok(DOCUMENT.get_or_init(|| document))
}

impl Document {
    fn new() -> Result<Self> {
        let (mut paths, mut schemas) = (Paths::new(), Schemas::new());
        for (named, endpoint, _) in endpoints() {
            paths.merge(endpoint);
            schemas.extend(named);
        }
        schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
        schemas.insert(FieldError::name().into_owned(), FieldError::schema());
        refer(&mut schemas);
        let examples = examples()?;
        let mut shared = Shared::default();
        for item in paths.paths.values_mut() {
            common::complete(item, &mut shared)?;
            for operation in operations(item) {
                if let Some(RefOr::T(body)) = &mut operation.request_body {
                    show_examples(body.content.values_mut(), &examples);
                }
                for response in operation.responses.responses.values_mut() {
                    if let RefOr::T(Response { content, .. }) = response {
                        show_examples(content.values_mut(), &examples);
                    }
                }
            }
        }
        let mut document: Mapping =
            yaml_serde::from_str(include_str!("shared.yaml")).map_err(yaml)?;
        member(&mut document, "info")?.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        let Some(mut components) = document.remove("components") else {
            return Err(Error::string("shared.yaml has no components"));
        };
        document.insert("paths".into(), value(&paths)?);
        if let Value::Mapping(components) = &mut components {
            if let Some(Value::Mapping(parameters)) = components.get_mut("parameters") {
                for (name, parameter) in &shared.parameters {
                    parameters.insert((*name).into(), value(parameter)?);
                }
            }
            components.insert("responses".into(), value(&shared.responses)?);
            components.insert("schemas".into(), value(&schemas)?);
            components.insert("examples".into(), Value::Mapping(examples));
        }
        document.insert("components".into(), components);
        Ok(Self {
            yaml: with_quoted_times(&yaml_serde::to_string(&document).map_err(yaml)?),
            json: serde_json::to_string(&document)?,
        })
    }
}

/// What the API takes and gives, from the demo store, and one problem of each kind.
fn examples() -> Result<Mapping> {
    let mut examples: Mapping =
        yaml_serde::from_str(include_str!("examples.yaml")).map_err(yaml)?;
    // What only lends its parts to others.
    examples.retain(|name, _| !name.as_str().is_some_and(|name| name.starts_with('.')));
    // Whoever follows the document never meets a method that is not allowed.
    let met = |kind: &Kind| *kind != Kind::METHOD_NOT_ALLOWED;
    for kind in Kind::ALL.into_iter().filter(met) {
        let (problem, instance) = problem(kind);
        let body = ProblemBody::new(&problem, instance, "3f6c1d1e-7a52-4a0e-9c59-0f3f6d0f8d2a");
        let mut example = Mapping::new();
        example.insert("summary".into(), kind.title.into());
        example.insert("value".into(), value(&body)?);
        examples.insert(name(kind).into(), example.into());
    }
    Ok(examples)
}

/// A problem as the server would give it, and the path at which.
fn problem(kind: Kind) -> (Problem, &'static str) {
    match kind {
        Kind::VALIDATION_FAILED => (
            Refusal::Invalid(vec![FieldError::at(
                "/colour",
                "unknown",
                "is not known here",
            )])
            .into(),
            "/api/v1/products",
        ),
        Kind::MALFORMED_REQUEST => (
            Problem::new(kind).because("The id in the path must be a 64-bit integer."),
            "/api/v1/products/one",
        ),
        Kind::CONFLICT => (
            Refusal::NotUnique(FieldError::at(
                "/sku",
                "taken",
                "belongs to another product",
            ))
            .into(),
            "/api/v1/products",
        ),
        Kind::INSUFFICIENT_STOCK => {
            let shortage = FieldError::shortage("/items/0", 1, 100, 74);
            (
                Refusal::InsufficientStock(vec![shortage]).into(),
                "/api/v1/orders",
            )
        }
        Kind::INVALID_TRANSITION => {
            let (from, to) = (OrderStatus::Delivered, OrderStatus::Cancelled);
            (
                Refusal::InvalidTransition { from, to }.into(),
                "/api/v1/orders/1/cancel",
            )
        }
        Kind::INVALID_CREDENTIALS => (Problem::new(kind), "/api/v1/auth/login"),
        Kind::FORBIDDEN => (Problem::new(kind), "/api/v1/customers"),
        Kind::IDEMPOTENCY_IN_PROGRESS | Kind::IDEMPOTENCY_MISMATCH => {
            (Problem::new(kind), "/api/v1/orders")
        }
        _ => (Problem::new(kind), "/api/v1/products/1"),
    }
}

/// Leads from each body to the examples of its schema: those with its name, or its name and a dot.
fn show_examples<'a>(contents: impl Iterator<Item = &'a mut RefOr<Content>>, examples: &Mapping) {
    for content in contents {
        let RefOr::T(content) = content else { continue };
        let Some(schema) = &mut content.schema else {
            continue;
        };
        without_null(schema);
        let schema = name_of(schema).unwrap_or_default();
        let own = examples.keys().filter_map(Value::as_str).filter(|name| {
            name.strip_prefix(schema)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        if !schema.is_empty() {
            content
                .examples
                .extend(own.map(|name| (name.to_owned(), example(name))));
        }
    }
}

/// YAML 1.1, which many clients still read, takes a time for more than text unless it is quoted.
fn with_quoted_times(yaml: &str) -> String {
    let lines = yaml.lines().map(|line| match line.rsplit_once(": ") {
        Some((name, time)) if DateTime::parse_from_rfc3339(time).is_ok() => {
            format!("{name}: '{time}'\n")
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}

fn member<'a>(mapping: &'a mut Mapping, name: &str) -> Result<&'a mut Mapping> {
    mapping
        .get_mut(name)
        .and_then(Value::as_mapping_mut)
        .ok_or_else(|| Error::Message(format!("shared.yaml has no {name}")))
}

fn value(part: &impl Serialize) -> Result<Value> {
    yaml_serde::to_value(part).map_err(yaml)
}

fn yaml(error: yaml_serde::Error) -> Error {
    Error::wrap(error)
}

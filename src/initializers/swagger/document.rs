//! The API's document, put together: paths and schemas from the endpoints, what they have in common by
//! rules, the prose and the examples from the files beside this one.

use std::{collections::BTreeMap, sync::OnceLock};

use chrono::DateTime;
use loco_rs::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::{PartialSchema, ToSchema, openapi::Paths};
use yaml_serde::{Mapping, Value};

use super::common::{Shared, complete, mapping, name, reference};
use crate::{
    controllers::{
        BASE,
        access::{self, Access},
        endpoints,
    },
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

/// The document of every endpoint. It is made when it is asked for the first time: a server that is
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
        let (mut paths, mut schemas) = (Paths::new(), BTreeMap::new());
        for (named, endpoint, _) in endpoints() {
            paths.merge(endpoint);
            schemas.extend(named);
        }
        schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
        schemas.insert(FieldError::name().into_owned(), FieldError::schema());
        let (mut paths, mut schemas) = (value(&paths)?, value(&schemas)?);
        refer(&mut schemas);
        let examples = examples()?;
        let mut shared = Shared::default();
        for path in members(&mut paths) {
            patch_with_merge_patch(path);
        }
        for (operation, access) in operations(&mut paths) {
            let missing = || Error::string("access.rs does not say who may call an operation");
            complete(operation, access.ok_or_else(missing)?, &mut shared)?;
            let body = operation.get_mut("requestBody").into_iter();
            body.for_each(|body| show_examples(body, &examples));
            for response in members(&mut operation["responses"]) {
                show_examples(response, &examples);
            }
        }
        let mut document: Value = read(include_str!("shared.yaml"))?;
        document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
        document["paths"] = paths;
        let components = &mut document["components"];
        for (name, parameter) in shared.parameters {
            components["parameters"][name] = parameter;
        }
        components["responses"] = mapping(shared.responses);
        components["schemas"] = schemas;
        components["examples"] = examples.into();
        Ok(Self {
            yaml: with_quoted_times(&yaml_serde::to_string(&document).map_err(Error::wrap)?),
            json: serde_json::to_string(&document)?,
        })
    }
}

/// Every operation, with who may call it.
fn operations(paths: &mut Value) -> impl Iterator<Item = (&mut Value, Option<Access>)> {
    let paths = paths.as_mapping_mut().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let route = format!("{BASE}{}", path.as_str().unwrap_or_default());
        let operations = item.as_mapping_mut().into_iter().flatten();
        operations.map(move |(method, operation)| {
            let method = method.as_str().unwrap_or_default().to_uppercase();
            let method = method.parse().unwrap_or_default();
            (operation, access::of(&method, &route))
        })
    })
}

/// PATCH takes JSON by its own name for what it does with it (RFC 7396, section 4).
fn patch_with_merge_patch(path: &mut Value) {
    let content = path
        .get_mut("patch")
        .map(|patch| &mut patch["requestBody"]["content"]);
    if let Some(Value::Mapping(content)) = content
        && let Some(body) = content.remove("application/json")
    {
        content.insert("application/merge-patch+json".into(), body);
    }
}

/// Leads to named schemas where utoipa repeats them: a page says in full what its items are.
fn refer(schemas: &mut Value) {
    let named = schemas.clone();
    for property in members(schemas).filter_map(|schema| schema.get_mut("properties")) {
        for item in members(property).filter_map(|property| property.get_mut("items")) {
            let mut named = named.as_mapping().into_iter().flatten();
            if let Some((Value::String(name), _)) = named.find(|(_, schema)| *schema == item) {
                *item = reference("schemas", name);
            }
        }
    }
}

/// What the API takes and gives, from the demo store, and one problem of each kind.
fn examples() -> Result<Mapping> {
    let mut examples: Mapping = read(include_str!("examples.yaml"))?;
    // What only lends its parts to others.
    examples.retain(|name, _| !name.as_str().is_some_and(|name| name.starts_with('.')));
    // A client that follows the document never meets a method that is not allowed.
    let met = |kind: &Kind| *kind != Kind::METHOD_NOT_ALLOWED;
    for kind in Kind::ALL.into_iter().filter(met) {
        let (problem, path) = problem(kind);
        let path = format!("/api/v1/{path}");
        let body = ProblemBody::new(&problem, &path, "3f6c1d1e-7a52-4a0e-9c59-0f3f6d0f8d2a");
        let mut body = value(&body)?;
        if kind == Kind::TOTALS_CHANGED {
            body["checkout"] = examples["Checkout"]["value"].clone();
        }
        let example = mapping([("summary", kind.title.into()), ("value", body)]);
        examples.insert(name(kind).into(), example);
    }
    Ok(examples)
}

/// A problem as the server would give it, and the path at which.
fn problem(kind: Kind) -> (Problem, &'static str) {
    let refused = |refusal: Refusal| Problem::from(refusal);
    match kind {
        Kind::VALIDATION_FAILED => {
            let error = FieldError::at("/colour", "unknown", "is not known here");
            (refused(error.into()), "products")
        }
        Kind::MALFORMED_REQUEST => {
            let detail = "The id in the path must be a 64-bit integer.";
            (Problem::new(kind).because(detail), "products/one")
        }
        Kind::CONFLICT => {
            let error = FieldError::at("/sku", "taken", "belongs to another product");
            (refused(Refusal::NotUnique(error)), "products")
        }
        Kind::INSUFFICIENT_STOCK => {
            let shortages = vec![FieldError::shortage("/items/0", 1, 100, 74)];
            (refused(Refusal::InsufficientStock(shortages)), "orders")
        }
        Kind::INVALID_TRANSITION => {
            let (from, to) = (OrderStatus::Delivered, OrderStatus::Cancelled);
            let refusal = Refusal::InvalidTransition { from, to };
            (refused(refusal), "orders/1/cancel")
        }
        Kind::TOTALS_CHANGED => {
            let detail = "The checkout costs 33.07 now. Look at it, and complete it anew.";
            let problem = Problem::new(kind).because(detail);
            (problem, "checkouts/chk_3MFvGmA0rQe1ZcXyK8dT5w/complete")
        }
        Kind::HOLD_DISABLED => (
            Problem::new(kind),
            "checkouts/chk_3MFvGmA0rQe1ZcXyK8dT5w/hold",
        ),
        Kind::INVALID_CREDENTIALS => (Problem::new(kind), "auth/login"),
        Kind::OPEN_ORDERS => (Problem::new(kind), "me/erase"),
        Kind::FORBIDDEN => (Problem::new(kind), "customers"),
        Kind::IDEMPOTENCY_IN_PROGRESS | Kind::IDEMPOTENCY_MISMATCH => {
            (Problem::new(kind), "orders")
        }
        _ => (Problem::new(kind), "products/1"),
    }
}

/// Leads from a body to the examples of its schema: those with its name, or its name and a dot.
fn show_examples(body: &mut Value, examples: &Mapping) {
    for content in body.get_mut("content").into_iter().flat_map(members) {
        let one_of = content["schema"]["oneOf"].as_sequence();
        // What a body can be, which is missing or an object, and never `null`.
        let one_of = one_of.and_then(|kinds| kinds.iter().find(|kind| kind.get("$ref").is_some()));
        if let Some(only) = one_of.cloned() {
            content["schema"] = only;
        }
        let schema = content["schema"]["$ref"].as_str().unwrap_or_default();
        let Some(schema) = schema.strip_prefix("#/components/schemas/") else {
            continue;
        };
        let own = examples.keys().filter_map(Value::as_str).filter(|name| {
            let rest = name.strip_prefix(schema);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let own: BTreeMap<_, _> = own
            .map(|name| (name, reference("examples", name)))
            .collect();
        if !own.is_empty() {
            content["examples"] = mapping(own);
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

fn members(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    let members = value.as_mapping_mut().into_iter();
    members.flat_map(Mapping::values_mut)
}

fn read<T: DeserializeOwned>(yaml: &str) -> Result<T> {
    yaml_serde::from_str(yaml).map_err(Error::wrap)
}

fn value(part: &impl Serialize) -> Result<Value> {
    yaml_serde::to_value(part).map_err(Error::wrap)
}

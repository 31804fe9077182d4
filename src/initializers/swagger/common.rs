//! What all operations have in common, by what their extractors and handlers declare: the headers they
//! send, and the problems they answer.
//!
//! The extractors say in a handler's `params` what they take: `Id`, `Cached`, `IfMatch`, `IdempotencyKey`.
//! A handler declares the problems that only it knows, by their names:
//! `(status = 409, description = "conflict, insufficient-stock")`. Who may call it is in
//! [the table](crate::controllers::access).

use std::collections::BTreeMap;

use axum::http::StatusCode;
use loco_rs::{Error, Result};
use utoipa::ToSchema;
use yaml_serde::{Mapping, Value};

use crate::{
    controllers::access::{Access, Least},
    models::types::{KeyScope, Role},
    views::problem::{Kind, ProblemBody},
};

/// What operations share, by the names under which they do.
#[derive(Default)]
pub struct Shared {
    /// The answers that problems give.
    pub responses: BTreeMap<String, Value>,
    /// The parameters that every list takes.
    pub parameters: BTreeMap<&'static str, Value>,
}

/// Completes an operation, and adds what it has in common with others to `shared`.
///
/// # Errors
/// When its handler declares a problem that there is not.
pub fn complete(operation: &mut Value, access: Access, shared: &mut Shared) -> Result<()> {
    let takes = |name: &str| parameters(operation).any(|parameter| parameter["name"] == name);
    let (reads, lists, of_one) = (takes("If-None-Match"), takes("cursor"), takes("id"));
    let (once, conditional) = (takes("Idempotency-Key"), takes("If-Match"));
    let has_body = operation.get("requestBody").is_some();
    let open = access.least == Least::Anybody;
    operation["security"] = security(access);
    let description = operation["description"].as_str().unwrap_or_default();
    let description = format!("{description}\n\n{}", access.sentence());
    operation["description"] = description.trim().into();
    let declared = declared(&mut operation["responses"])?;
    if reads {
        operation["responses"]["304"] = Value::Mapping(Mapping::new());
    }
    succeed(
        &mut operation["responses"],
        &[
            (true, "Cache-Control"),
            (!open, "ETag"),
            (once, "Idempotency-Replayed"),
            (lists, "Link"),
            (once, "Location"),
            (true, "Vary"),
        ],
    );
    let common = [
        // Every operation refuses unknown parameters, and a query that is not text.
        (true, Kind::MALFORMED_REQUEST),
        (true, Kind::VALIDATION_FAILED),
        (open, Kind::INVALID_CREDENTIALS),
        (!open, Kind::UNAUTHENTICATED),
        // No key may do everything.
        (!open, Kind::FORBIDDEN),
        (of_one, Kind::NOT_FOUND),
        (once, Kind::IDEMPOTENCY_IN_PROGRESS),
        (once, Kind::IDEMPOTENCY_MISMATCH),
        (conditional, Kind::PRECONDITION_FAILED),
        (has_body, Kind::PAYLOAD_TOO_LARGE),
        (has_body, Kind::UNSUPPORTED_MEDIA_TYPE),
        (true, Kind::RATE_LIMITED),
        (true, Kind::INTERNAL),
        (true, Kind::UNAVAILABLE),
        (!reads && !open, Kind::OUTCOME_UNKNOWN),
    ];
    let answers = |kind: &Kind| common.contains(&(true, *kind)) || declared.contains(kind);
    let mut by_status = BTreeMap::<_, Vec<_>>::new();
    for kind in Kind::ALL.into_iter().filter(answers) {
        by_status.entry(kind.status).or_default().push(kind);
    }
    for (status, kinds) in by_status {
        let names: Vec<_> = kinds.iter().copied().map(name).collect();
        let name = names.join("Or");
        operation["responses"][status.as_str()] = reference("responses", &name);
        shared.responses.insert(name, response(&kinds));
    }
    share_parameters(operation, shared);
    Ok(())
}

/// What lets somebody in, each by itself: an account's token with the role that it takes, or a key with its scope.
fn security(access: Access) -> Value {
    let scheme = |name: &str, asked: Option<&str>| {
        let asked = asked.into_iter().map(Value::from).collect();
        mapping([(name, Value::Sequence(asked))])
    };
    let role = (access.least == Least::Administrator).then(|| Role::Admin.as_str());
    let mut schemes = match access.least {
        Least::Anybody => Vec::new(),
        _ => vec![scheme("bearer", role)],
    };
    if access.is_for_visitors() {
        schemes.push(scheme("publishable_key", None));
    }
    let visitors = access.is_for_visitors().then_some(KeyScope::Visitors);
    let scopes = access.scope.into_iter().chain(visitors);
    schemes.extend(scopes.map(|scope| scheme("secret_key", Some(scope.as_str()))));
    Value::Sequence(schemes)
}

/// The name under which a problem is shared, such as `NotFound`.
pub fn name(kind: Kind) -> String {
    let words = kind.name().split('-');
    words
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

/// A reference to what operations share.
pub fn reference(room: &str, name: &str) -> Value {
    mapping([("$ref", format!("#/components/{room}/{name}"))])
}

/// A mapping with those members.
pub fn mapping<K: Into<Value>, V: Into<Value>>(members: impl IntoIterator<Item = (K, V)>) -> Value {
    let members = members.into_iter();
    Value::Mapping(
        members
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    )
}

fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    operation["parameters"].as_sequence().into_iter().flatten()
}

/// The problems that the handler names, which are taken out of its answers.
fn declared(responses: &mut Value) -> Result<Vec<Kind>> {
    let mut declared = Vec::new();
    for (status, response) in responses.as_mapping().into_iter().flatten() {
        let status = status.as_str().unwrap_or_default();
        if !status.starts_with(['4', '5']) {
            continue;
        }
        for name in response["description"]
            .as_str()
            .unwrap_or_default()
            .split(", ")
        {
            let kind = Kind::named(name).filter(|kind| kind.status.as_str() == status);
            let missing = || format!("no problem with the status {status} has the name {name}");
            declared.push(kind.ok_or_else(|| Error::Message(missing()))?);
        }
    }
    if let Value::Mapping(responses) = responses {
        responses.retain(|status, _| !status.as_str().is_some_and(|it| it.starts_with(['4', '5'])));
    }
    Ok(declared)
}

/// What goes well: in which words, and with which headers.
fn succeed(responses: &mut Value, headers: &[(bool, &'static str)]) {
    for (status, response) in responses.as_mapping_mut().into_iter().flatten() {
        let status = status.as_str().unwrap_or_default();
        // A file is made while it is sent.
        let is_file = response["headers"].get("Content-Disposition").is_some();
        let sent = headers.iter().filter(|(sent, name)| match *name {
            "ETag" => *sent && status != "204" && !is_file,
            "Location" => status == "201" || (*sent && status == "202"),
            _ => *sent,
        });
        let own = response.as_mapping_mut().map(std::mem::take);
        let mut own = own.unwrap_or_default();
        let mut headers = sending(sent.map(|(_, name)| *name));
        if let (Value::Mapping(headers), Some(Value::Mapping(own))) =
            (&mut headers, own.remove("headers"))
        {
            headers.extend(own);
        }
        let mut complete = mapping([("description", words(status).into()), ("headers", headers)]);
        if let Value::Mapping(complete) = &mut complete {
            complete.extend(own);
        }
        *response = complete;
    }
}

/// The answer that these problems give, which have one status.
fn response(kinds: &[Kind]) -> Value {
    let meaning = |kind: &Kind| format!("[{}]({}): {}", kind.name(), kind.uri, kind.meaning);
    let meanings: Vec<_> = kinds.iter().map(meaning).collect();
    let own = match kinds.first().map(|kind| kind.status) {
        Some(StatusCode::UNAUTHORIZED) => Some("WWW-Authenticate"),
        Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
            Some("Retry-After")
        }
        _ => None,
    };
    let examples: BTreeMap<_, _> = kinds
        .iter()
        .copied()
        .map(name)
        .map(|name| {
            let example = reference("examples", &name);
            (name, example)
        })
        .collect();
    let content = mapping([
        ("schema", reference("schemas", &ProblemBody::name())),
        ("examples", mapping(examples)),
    ]);
    let mut headers = sending(own.into_iter().chain(["Cache-Control", "Vary"]));
    if kinds.first().map(|kind| kind.status) == Some(StatusCode::FORBIDDEN) {
        headers["WWW-Authenticate"] = reference("headers", "Insufficient-Scope");
    }
    mapping([
        ("description", meanings.join("\n\n").into()),
        ("headers", headers),
        ("content", mapping([("application/problem+json", content)])),
    ])
}

/// Those headers, and the ones that every answer has.
fn sending(headers: impl Iterator<Item = &'static str>) -> Value {
    let everywhere = ["RateLimit", "RateLimit-Policy", "X-Request-Id"];
    let headers = headers.chain(everywhere);
    let headers: BTreeMap<_, _> = headers
        .map(|name| (name, reference("headers", name)))
        .collect();
    mapping(headers)
}

/// Leads to the parameters that operations share.
fn share_parameters(operation: &mut Value, shared: &mut Shared) {
    // The demo store has one of each with the id of the example, with which every operation can be tried.
    let id = match operation["tags"][0].as_str() {
        Some("Customer accounts") => "AccountId",
        Some("Orders") => "OrderId",
        Some("Checkouts") => "CheckoutId",
        _ => "Id",
    };
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_sequence_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = match parameter["name"].as_str() {
            Some("id") => id,
            Some("address_id") => "AddressId",
            Some("product_id") if parameter["in"] == "path" => "ProductId",
            Some("page") => "Page",
            Some("page_size") => "PageSize",
            Some("cursor") => "Cursor",
            Some("Idempotency-Key") => "IdempotencyKey",
            Some("If-Match") => "IfMatch",
            Some("If-None-Match") => "IfNoneMatch",
            _ => continue,
        };
        let own = std::mem::replace(parameter, reference("parameters", name));
        if own["in"] == "query" {
            shared.parameters.insert(name, own);
        }
    }
}

const fn words(status: &str) -> &'static str {
    match status.as_bytes() {
        b"201" => "Created. `Location` is the path of the new resource.",
        b"202" => "Accepted: it is done soon. `Location` is the path of what shows how far it is.",
        b"204" => "Done. There is no body.",
        b"304" => "Not modified: the `ETag` in `If-None-Match` is still current. There is no body.",
        _ => "OK.",
    }
}

//! What all operations have in common, by what their extractors and handlers declare: the headers they
//! send, and the problems they answer.
//!
//! The extractors say in a handler's `params` what they take: `Id`, `Cached`, `IfMatch`, `IdempotencyKey`.
//! A handler declares the role it asks for, `security(("bearer" = ["admin"]))`, and the problems that only
//! it knows, by their names: `(status = 409, description = "conflict, insufficient-stock")`.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use loco_rs::{Error, Result};
use utoipa::{
    ToSchema,
    openapi::{
        Content, Ref, RefOr, Response, SecurityRequirement,
        example::Example,
        path::{Operation, Parameter, ParameterIn, PathItem},
    },
};

use crate::views::problem::{Kind, ProblemBody};

const PROBLEM_JSON: &str = "application/problem+json";

/// What operations share, by the names under which they do.
#[derive(Default)]
pub struct Shared {
    /// The answers that problems give.
    pub responses: BTreeMap<String, Response>,
    /// The parameters that every list takes.
    pub parameters: BTreeMap<&'static str, Parameter>,
}

/// Completes the operations of one path, and adds what they share to `shared`.
///
/// # Errors
/// When a handler declares a problem that there is not.
pub fn complete(item: &mut PathItem, shared: &mut Shared) -> Result<()> {
    for operation in operations(item) {
        Common::of(operation).complete(operation, shared)?;
    }
    Ok(())
}

/// The operations of one path.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .filter_map(Option::as_mut)
}

/// What is known of an operation before its answers are looked at.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and they come in any combination"
)]
struct Common {
    open: bool,
    for_admins: bool,
    /// A GET, which is answered from the cache.
    reads: bool,
    /// A page of a list.
    lists: bool,
    /// Of one resource, which may not exist.
    of_one: bool,
    has_body: bool,
    /// May be sent again under a key.
    once: bool,
    /// May be made to depend on what the caller has seen.
    conditional: bool,
}

impl Common {
    fn of(operation: &Operation) -> Self {
        let security = operation.security.as_deref().unwrap_or_default();
        let takes = |name: &str| {
            let mut parameters = operation.parameters.iter().flatten();
            parameters.any(|parameter| matches!(parameter, RefOr::T(own) if own.name == name))
        };
        Self {
            open: security.contains(&SecurityRequirement::default()),
            for_admins: security.contains(&SecurityRequirement::new("bearer", ["admin"])),
            reads: takes("If-None-Match"),
            lists: takes("cursor"),
            of_one: takes("id"),
            has_body: operation.request_body.is_some(),
            once: takes("Idempotency-Key"),
            conditional: takes("If-Match"),
        }
    }

    fn complete(self, operation: &mut Operation, shared: &mut Shared) -> Result<()> {
        if self.open {
            operation.security = Some(Vec::new());
        }
        let declared = declared(operation)?;
        share_parameters(operation, shared);
        for (status, kinds) in self.problems(&declared) {
            let names: Vec<_> = kinds.iter().map(|kind| name(*kind)).collect();
            let name = names.join("Or");
            let reference = Ref::from_response_name(&name).into();
            operation
                .responses
                .responses
                .insert(status.to_string(), reference);
            shared
                .responses
                .entry(name)
                .or_insert_with(|| response(&kinds));
        }
        self.complete_successes(operation);
        Ok(())
    }

    /// What goes well: in which words, and with which headers.
    fn complete_successes(self, operation: &mut Operation) {
        let responses = &mut operation.responses.responses;
        if self.reads {
            responses.insert("304".to_owned(), Response::new("").into());
        }
        for (status, response) in responses {
            let RefOr::T(response) = response else {
                continue;
            };
            if response.description.is_empty() {
                response.description = words(status).to_owned();
            }
            let headers = [
                (!self.open && status != "204", "ETag"),
                (true, "Cache-Control"),
                (self.reads, "Vary"),
                (self.lists, "Link"),
                (status == "201", "Location"),
                (self.once, "Idempotency-Replayed"),
            ];
            let sent = headers.into_iter().filter(|(sent, _)| *sent);
            send(response, sent.map(|(_, name)| name));
        }
    }

    /// Every problem that it can answer, by status.
    fn problems(self, declared: &[Kind]) -> BTreeMap<u16, Vec<Kind>> {
        let common = [
            // A parameter that is not known is refused everywhere, and so is a query that is no text.
            (true, Kind::MALFORMED_REQUEST),
            (true, Kind::VALIDATION_FAILED),
            (self.open, Kind::INVALID_CREDENTIALS),
            (!self.open, Kind::UNAUTHENTICATED),
            (self.for_admins, Kind::FORBIDDEN),
            (self.of_one, Kind::NOT_FOUND),
            (self.once, Kind::IDEMPOTENCY_IN_PROGRESS),
            (self.once, Kind::IDEMPOTENCY_MISMATCH),
            (self.conditional, Kind::PRECONDITION_FAILED),
            (self.has_body, Kind::PAYLOAD_TOO_LARGE),
            (self.has_body, Kind::UNSUPPORTED_MEDIA_TYPE),
            (true, Kind::RATE_LIMITED),
            (true, Kind::INTERNAL),
            (true, Kind::UNAVAILABLE),
            (!self.reads && !self.open, Kind::OUTCOME_UNKNOWN),
        ];
        let answers = |kind: &Kind| common.contains(&(true, *kind)) || declared.contains(kind);
        let mut by_status = BTreeMap::<_, Vec<_>>::new();
        for kind in Kind::ALL.into_iter().filter(answers) {
            by_status
                .entry(kind.status.as_u16())
                .or_default()
                .push(kind);
        }
        by_status
    }
}

/// Leads to the parameters that operations share.
fn share_parameters(operation: &mut Operation, shared: &mut Shared) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(own) = parameter else { continue };
        let name = match own.name.as_str() {
            "id" => "Id",
            "page" => "Page",
            "page_size" => "PageSize",
            "cursor" => "Cursor",
            "Idempotency-Key" => "IdempotencyKey",
            "If-Match" => "IfMatch",
            "If-None-Match" => "IfNoneMatch",
            _ => continue,
        };
        if own.parameter_in == ParameterIn::Query {
            shared.parameters.insert(name, own.clone());
        }
        *parameter = reference("parameters", name);
    }
}

/// The problems that the handler names, which are taken out of its answers.
fn declared(operation: &mut Operation) -> Result<Vec<Kind>> {
    let responses = &mut operation.responses.responses;
    let (problems, answers) = std::mem::take(responses)
        .into_iter()
        .partition(|(status, _)| status.starts_with(['4', '5']));
    *responses = answers;
    let mut kinds = Vec::new();
    for (status, response) in problems {
        let RefOr::T(response) = response else {
            continue;
        };
        for name in response.description.split(", ") {
            let kind = Kind::named(name).filter(|kind| kind.status.as_str() == status);
            kinds.push(kind.ok_or_else(|| {
                Error::Message(format!("there is no problem {name} of status {status}"))
            })?);
        }
    }
    Ok(kinds)
}

/// The answer that these problems give, which have one status.
fn response(kinds: &[Kind]) -> Response {
    let meanings: Vec<_> = kinds
        .iter()
        .map(|kind| format!("[{}]({}): {}", kind.name(), kind.uri, kind.meaning))
        .collect();
    let mut content = Content::new(Some(Ref::from_schema_name(ProblemBody::name())));
    content.examples = kinds
        .iter()
        .map(|kind| {
            let name = name(*kind);
            (name.clone(), example(&name))
        })
        .collect();
    let mut response = Response::new(meanings.join("\n\n"));
    response
        .content
        .insert(PROBLEM_JSON.to_owned(), content.into());
    let own = kinds.first().and_then(|kind| match kind.status {
        StatusCode::UNAUTHORIZED => Some("WWW-Authenticate"),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some("Retry-After"),
        _ => None,
    });
    send(&mut response, own.into_iter().chain(["Cache-Control"]));
    response
}

/// The name under which a problem is shared, such as `NotFound`.
pub fn name(kind: Kind) -> String {
    let words = kind.name().split('-');
    words
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

/// A reference to an example that operations share.
pub fn example(name: &str) -> RefOr<Example> {
    reference("examples", name)
}

fn send(response: &mut Response, headers: impl IntoIterator<Item = &'static str>) {
    let everywhere = ["RateLimit", "RateLimit-Policy", "X-Request-Id"];
    response.headers.extend(
        headers
            .into_iter()
            .chain(everywhere)
            .map(|name| (name.to_owned(), reference("headers", name))),
    );
}

fn reference<T>(room: &str, name: &str) -> RefOr<T> {
    RefOr::Ref(Ref::new(format!("#/components/{room}/{name}")))
}

const fn words(status: &str) -> &'static str {
    match status.as_bytes() {
        b"201" => "Created. `Location` is the path of the new resource.",
        b"204" => "Done. There is no body.",
        b"304" => "Not modified: the `ETag` in `If-None-Match` is still current. There is no body.",
        _ => "OK.",
    }
}

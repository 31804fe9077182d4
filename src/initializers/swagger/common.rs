//! What all operations have in common, by their method, their path and what their handlers declare: the
//! headers they take and send, and the problems they answer.
//!
//! A handler declares the role it asks for, `security(("bearer" = ["admin"]))`, and the problems that only
//! it knows, by their names: `(status = 409, description = "conflict, insufficient-stock")`.

use std::collections::{BTreeMap, BTreeSet};

use loco_rs::{Error, Result};
use utoipa::{
    ToSchema,
    openapi::{
        Content, Ref, RefOr, Response, SecurityRequirement,
        example::Example,
        path::{Operation, Parameter, PathItem},
    },
};

use super::settle::as_parameter;
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
pub fn complete(path: &str, item: &mut PathItem, shared: &mut Shared) -> Result<()> {
    for (method, operation) in operations(item) {
        Common::of(method, path, operation).complete(operation, shared)?;
    }
    Ok(())
}

/// The operations of one path, each with its method.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("put", &mut item.put),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
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
    reads: bool,
    of_one: bool,
    has_body: bool,
    /// May be sent again under a key.
    once: bool,
    /// May be made to depend on what the caller has seen.
    conditional: bool,
}

impl Common {
    fn of(method: &str, path: &str, operation: &Operation) -> Self {
        let security = operation.security.as_deref().unwrap_or_default();
        let (open, reads) = (
            security.contains(&SecurityRequirement::default()),
            method == "get",
        );
        let (of_one, posts) = (path.contains("{id}"), method == "post");
        Self {
            open,
            for_admins: security.contains(&SecurityRequirement::new("bearer", ["admin"])),
            reads,
            of_one,
            has_body: operation.request_body.is_some(),
            once: posts && !open && operation.request_body.is_some(),
            conditional: of_one && !reads && !posts,
        }
    }

    fn complete(self, operation: &mut Operation, shared: &mut Shared) -> Result<()> {
        if self.open {
            operation.security = Some(Vec::new());
        }
        let declared = declared(operation)?;
        self.complete_successes(operation);
        self.complete_parameters(operation, shared);
        for (status, kinds) in self.problems(declared) {
            let names: Vec<_> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
            let name = names.join("Or");
            operation
                .responses
                .responses
                .insert(status.to_string(), Ref::from_response_name(&name).into());
            shared
                .responses
                .entry(name)
                .or_insert_with(|| response(&kinds));
        }
        Ok(())
    }

    fn complete_parameters(self, operation: &mut Operation, shared: &mut Shared) {
        let mut parameters = operation.parameters.take().unwrap_or_default();
        for parameter in &mut parameters {
            let RefOr::T(own) = parameter else { continue };
            if let Some(schema) = &mut own.schema {
                as_parameter(schema);
            }
            let name = match own.name.as_str() {
                "id" => "Id",
                "page" => "Page",
                "page_size" => "PageSize",
                "cursor" => "Cursor",
                _ => continue,
            };
            if name != "Id" {
                shared.parameters.insert(name, own.clone());
            }
            *parameter = reference("parameters", name);
        }
        let headers = [
            (self.once, "IdempotencyKey"),
            (self.conditional, "IfMatch"),
            (self.reads, "IfNoneMatch"),
        ];
        let taken = headers.into_iter().filter(|(taken, _)| *taken);
        parameters.extend(taken.map(|(_, name)| reference("parameters", name)));
        operation.parameters = Some(parameters).filter(|parameters| !parameters.is_empty());
    }

    /// What goes well: in which words, and with which headers.
    fn complete_successes(self, operation: &mut Operation) {
        let lists = operation.parameters.iter().flatten().any(
            |parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == "cursor"),
        );
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
                (lists, "Link"),
                (status == "201", "Location"),
                (self.once, "Idempotency-Replayed"),
            ];
            let sent = headers.into_iter().filter(|(sent, _)| *sent);
            send(response, sent.map(|(_, name)| name));
        }
    }

    /// Every problem that it can answer, by status.
    fn problems(self, declared: BTreeSet<Kind>) -> BTreeMap<u16, BTreeSet<Kind>> {
        let common = [
            // A parameter that is not known is refused everywhere, and so is a query that is no text.
            (true, Kind::MalformedRequest),
            (true, Kind::ValidationFailed),
            (self.open, Kind::InvalidCredentials),
            (!self.open, Kind::Unauthenticated),
            (self.for_admins, Kind::Forbidden),
            (self.of_one, Kind::NotFound),
            (self.once, Kind::IdempotencyInProgress),
            (self.once, Kind::IdempotencyMismatch),
            (self.conditional, Kind::PreconditionFailed),
            (self.has_body, Kind::PayloadTooLarge),
            (self.has_body, Kind::UnsupportedMediaType),
            (true, Kind::RateLimited),
            (true, Kind::Internal),
            (true, Kind::Unavailable),
            (!self.reads && !self.open, Kind::OutcomeUnknown),
        ];
        let common = common.into_iter().filter(|(has, _)| *has);
        let mut by_status = BTreeMap::<_, BTreeSet<_>>::new();
        for kind in declared.into_iter().chain(common.map(|(_, kind)| kind)) {
            let status = kind.status().as_u16();
            by_status.entry(status).or_default().insert(kind);
        }
        by_status
    }
}

/// The problems that the handler names, which are taken out of its answers.
fn declared(operation: &mut Operation) -> Result<BTreeSet<Kind>> {
    let responses = &mut operation.responses.responses;
    let (problems, answers) = std::mem::take(responses)
        .into_iter()
        .partition(|(status, _)| status.starts_with(['4', '5']));
    *responses = answers;
    let mut kinds = BTreeSet::new();
    for (status, response) in problems {
        let RefOr::T(response) = response else {
            continue;
        };
        for name in response.description.split(", ") {
            let kind = Kind::named(name).filter(|kind| kind.status().as_str() == status);
            kinds.insert(kind.ok_or_else(|| {
                Error::Message(format!("there is no problem {name} of status {status}"))
            })?);
        }
    }
    Ok(kinds)
}

/// The answer that these problems give, which have one status.
fn response(kinds: &BTreeSet<Kind>) -> Response {
    let meanings: Vec<_> = kinds
        .iter()
        .map(|kind| format!("[{}]({}): {}", kind.name(), kind.uri(), kind.meaning()))
        .collect();
    let mut content = Content::new(Some(Ref::from_schema_name(ProblemBody::name())));
    content.examples = kinds
        .iter()
        .map(|kind| {
            let name = format!("{kind:?}");
            (name.clone(), example(&name))
        })
        .collect();
    let mut response = Response::new(meanings.join("\n\n"));
    response
        .content
        .insert(PROBLEM_JSON.to_owned(), content.into());
    let own = kinds.first().and_then(|kind| match kind {
        Kind::Unauthenticated | Kind::InvalidCredentials => Some("WWW-Authenticate"),
        Kind::RateLimited | Kind::Unavailable => Some("Retry-After"),
        _ => None,
    });
    send(&mut response, own.into_iter().chain(["Cache-Control"]));
    response
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
        b"201" => "It was made. `Location` says where it is.",
        b"204" => "It is done. There is no body.",
        b"304" => {
            "Nothing is new: what has the `ETag` in `If-None-Match` is still current. There is no body."
        }
        _ => "What was asked for, as it is now.",
    }
}

//! Renders every error as problem+json (RFC 9457): those that handlers return, and those of the
//! layers inside, which know no problems: the router's 404, a panic, the timeout.

use axum::{
    Json,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, Version, header},
    response::{IntoResponse, Response},
};

use crate::views::problem::{Kind, Problem, ProblemBody};

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

const AUTHORIZATION: HeaderValue = HeaderValue::from_static("authorization");

/// Answers, with every error as a problem. Not to be stored is what a change answers, what went wrong, and what does
/// not say otherwise.
pub async fn problem_details<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let uri = request.uri().clone();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = match check_host(&request) {
        Ok(()) => next(request).await,
        Err(problem) => problem.into_response(),
    };
    if !reads || !response.headers().contains_key(header::CACHE_CONTROL) {
        forbid_storing(response.headers_mut());
    }
    let problem = response.extensions_mut().remove::<Problem>();
    if problem.is_none()
        && !(response.status().is_client_error() || response.status().is_server_error())
    {
        return response;
    }
    let problem = problem.unwrap_or_else(|| Problem::of_status(response.status()));
    rendered(&problem, uri.path(), response.headers())
}

/// Refuses a request that does not say in one `Host` header which server it means (RFC 9112, section 3.2).
fn check_host(request: &Request) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    let is_one = hosts.next().is_none();
    let is_host = |host: &[u8]| {
        host.iter()
            .all(|byte| byte.is_ascii_graphic() || *byte >= 0x80)
    };
    // HTTP/1.0 did not know it yet.
    let may_be_missing = request.version() < Version::HTTP_11;
    if is_one && host.map_or(may_be_missing, is_host) {
        return Ok(());
    }
    let why = "An HTTP/1.1 request has exactly one Host header, without blanks in it.";
    Err(Problem::new(Kind::MALFORMED_REQUEST).because(why))
}

/// The problem as an answer, with the headers that the layers inside have set already.
fn rendered(problem: &Problem, instance: &str, set: &HeaderMap) -> Response {
    let request_id = set
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    let body = ProblemBody::new(problem, instance, request_id);
    let mut response = (problem.status, Json(body)).into_response();
    let headers = response.headers_mut();
    for (name, value) in set {
        if !matches!(name, &header::CONTENT_TYPE | &header::CONTENT_LENGTH) {
            headers.append(name, value.clone());
        }
    }
    headers.extend(problem.headers());
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    forbid_storing(headers);
    response
}

/// For one client, and for once (RFC 9111, section 5.2.2.5).
fn forbid_storing(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let varies = headers.get_all(header::VARY).iter();
    if !varies.into_iter().any(|vary| vary == AUTHORIZATION) {
        headers.append(header::VARY, AUTHORIZATION);
    }
}

//! Renders every error as problem+json (RFC 9457): those that handlers return, and those of the
//! layers inside, which know no problems: the router's 404, a panic, the timeout.

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use loco_rs::{
    Result,
    app::{AppContext, Initializer},
};

use crate::views::problem::{Problem, ProblemBody};

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The outermost layer.
#[derive(Clone, Copy, Debug)]
pub struct ProblemDetails;

#[async_trait]
impl Initializer for ProblemDetails {
    fn name(&self) -> String {
        "problem_details".to_owned()
    }

    async fn after_routes(&self, router: Router, _: &AppContext) -> Result<Router> {
        Ok(router.layer(middleware::from_fn(problem_details)))
    }
}

/// For one client, and for once: what a change answers, and what went wrong (RFC 9111, section 5.2.2.5).
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

async fn problem_details(request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = next.run(request).await;
    if !reads {
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, NO_STORE);
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
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    response
}

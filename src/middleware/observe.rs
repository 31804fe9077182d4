//! How long requests take, for the metrics.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    response::Response,
};

use crate::shared::metrics::{RequestLabels, Requests};

/// Where the metrics are read. It takes no token: who may read them is the proxy's business.
pub const METRICS: &str = "/metrics";

/// Answers, and counts it. Who reads the metrics is not in them.
pub async fn observe<F: Future<Output = Response>>(
    requests: Option<&Requests>,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let Some(requests) = requests.filter(|_| request.uri().path() != METRICS) else {
        return next(request).await;
    };
    let begun = Instant::now();
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next(request).await;
    let labels = RequestLabels {
        method,
        route: route
            .as_ref()
            .map_or("none", MatchedPath::as_str)
            .to_owned(),
        status: response.status().as_u16(),
    };
    requests.observe(&labels, begun.elapsed().as_secs_f64());
    response
}

/// The method, if it is one of HTTP: clients may make up others.
const fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

//! The log of requests: who asked for what, and what came of it.
//!
//! Every line that is written while a request is answered carries its id, method and path. Each request to
//! the API ends with one line of its own. Bodies, queries and headers are not logged: passwords, tokens and
//! people's data are in them. What a client has written stands in quotes, with everything escaped that could
//! look like another field or line.

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::Response,
};
use loco_rs::{Result, app::AppContext, controller::middleware::request_id::LocoRequestId};
use tracing::{Instrument, Span};

use super::is_login;
use crate::controllers::{
    BASE,
    extract::{Entry, entry::Facts},
};

/// Puts the layer on, in the place of Loco's logger, whose lines hold the query.
///
/// # Errors
/// None.
pub fn put_on(_: &AppContext, app: Router<AppContext>) -> Result<Router<AppContext>> {
    Ok(app.layer(middleware::from_fn(follow)))
}

async fn follow(mut request: Request, next: Next) -> Response {
    let span = span(&request);
    if !request.uri().path().starts_with(BASE) || request.method() == Method::OPTIONS {
        return next.run(request).instrument(span).await;
    }
    let line = Line {
        method: request.method().clone(),
        route: request.extensions().get::<MatchedPath>().cloned(),
        is_login: is_login(request.method(), request.extensions()),
        entry: Entry::default(),
        status: None,
        location: None,
    };
    request.extensions_mut().insert(line.entry.clone());
    async move {
        // The whole of it: of single fields only copies would move in here.
        let mut line = line;
        let response = next.run(request).await;
        line.status = Some(response.status());
        line.location = response.headers().get(header::LOCATION).cloned();
        response
    }
    .instrument(span)
    .await
}

/// What stands on every line of the request. A client may give its request an id, and the same to several:
/// then they have one of their own beside it.
fn span(request: &Request) -> Span {
    let id = request.extensions().get::<LocoRequestId>();
    let own_id = request
        .headers()
        .contains_key("x-request-id")
        .then(|| uuid::Uuid::new_v4().to_string());
    tracing::error_span!(
        "request",
        request_id = id.map(LocoRequestId::get),
        own_id,
        method = request.method().as_str(),
        path = request.uri().path(),
    )
}

/// The line at the end, also when the client has hung up before: what it asked for may be done all the same.
struct Line {
    method: Method,
    route: Option<MatchedPath>,
    is_login: bool,
    entry: Entry,
    /// None until there is an answer.
    status: Option<StatusCode>,
    location: Option<HeaderValue>,
}

impl Line {
    fn outcome(&self) -> &'static str {
        let Some(status) = self.status else {
            return "the client hung up";
        };
        match (self.is_login, status) {
            (true, StatusCode::OK) => "login succeeded",
            (true, StatusCode::UNAUTHORIZED) => "login failed",
            (
                _,
                StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
                | StatusCode::TOO_MANY_REQUESTS,
            ) => "refused",
            _ if matches!(self.method, Method::GET | Method::HEAD) => "read",
            _ => "write",
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Facts {
            address,
            account,
            username_digest,
            changed,
        } = self.entry.facts();
        let account = account.as_deref();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "boxcar::audit",
                    account_id = account.map(|account| account.id),
                    username = account.map(|account| account.username.as_str()),
                    role = account.map(|account| account.role.as_str()),
                    username_digest,
                    address = address.map(tracing::field::display),
                    method = self.method.as_str(),
                    route = self.route.as_ref().map(MatchedPath::as_str),
                    status = self.status.map(|status| status.as_u16()),
                    changed = (!changed.is_empty()).then(|| changed.join(",")),
                    location = self.location.as_ref().and_then(|to| to.to_str().ok()),
                    "{}", self.outcome()
                )
            };
        }
        if self.status.is_some_and(|status| status.is_server_error()) {
            line!(warn);
        } else {
            line!(info);
        }
    }
}

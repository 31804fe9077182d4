//! The log of requests: who asked for what, and what came of it.
//!
//! Every line that is written while a request is answered carries its id, method and path. Each request to
//! the API ends with one line of its own. Bodies, queries and headers are not logged: passwords, tokens and
//! people's data are in them. What a client has written stands in quotes, with everything escaped that could
//! look like another field or line. Of the id of a checkout only the beginning is written: who knows all of a visitor's
//! has the checkout.

use std::borrow::Cow;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::is_login;
use crate::controllers::{
    BASE,
    extract::{Entry, entry::Facts},
};

/// The header that names a request, which a client may choose.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long an id may be that a client gives.
const LONGEST_ID: usize = 255;

/// How many characters of a checkout's id are written: enough to tell it from others, and too few to guess the rest.
const SHOWN: usize = 8;

/// Answers, and names the request in its answer and in every line about it.
pub async fn follow<F: Future<Output = Response>>(
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let id = id(&request);
    let span = span(&request, &id);
    let line = (request.uri().path().starts_with(BASE) && request.method() != Method::OPTIONS)
        .then(|| Line::of(&mut request, &id));
    let mut response = async move {
        // The whole of it: of single fields only copies would move in here.
        let mut line = line;
        let response = next(request).await;
        if let Some(line) = &mut line {
            line.status = Some(response.status());
            line.location = response.headers().get(header::LOCATION).cloned();
        }
        response
    }
    .instrument(span)
    .await;
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// The id that the client sent, without all but letters, digits and `_-@`. If nothing is left, a new one.
fn id(request: &Request) -> String {
    let given = request.headers().get(X_REQUEST_ID);
    let given = given.and_then(|id| id.to_str().ok()).map(|id| {
        let kept = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@');
        id.chars().filter(kept).take(LONGEST_ID).collect::<String>()
    });
    given
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| Uuid::new_v4().to_string())
}

/// What stands on every line of the request. A client may give its request an id, and the same to several:
/// then they have one of their own beside it.
fn span(request: &Request, id: &str) -> Span {
    let own_id = request
        .headers()
        .contains_key(X_REQUEST_ID)
        .then(|| Uuid::new_v4().to_string());
    tracing::error_span!(
        "request",
        request_id = id,
        own_id,
        method = request.method().as_str(),
        path = &*without_checkouts(request.uri().path()),
    )
}

/// The path, with the ids of checkouts cut short. A path that leads nowhere may have one too, and one may be written in
/// other ways (`%63hk_`): so it is what comes after `checkouts`, and what looks like an id wherever it stands.
fn without_checkouts(path: &str) -> Cow<'_, str> {
    if !path.contains("checkouts") && !path.contains("chk_") {
        return path.into();
    }
    let mut follows = false;
    let segments = path.split('/').map(|segment| {
        let is_id = std::mem::replace(&mut follows, segment == "checkouts");
        let end = segment.char_indices().nth(SHOWN);
        match end.filter(|_| is_id || segment.contains("chk_")) {
            Some((end, _)) => format!("{}…", &segment[..end]),
            None => segment.to_owned(),
        }
    });
    segments.collect::<Vec<_>>().join("/").into()
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
    /// The line of a request, and what it will say.
    fn of(request: &mut Request, id: &str) -> Self {
        let entry = Entry::default();
        entry.note(|facts| facts.request_id = id.into());
        request.extensions_mut().insert(entry.clone());
        Self {
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            is_login: is_login(request.method(), request.extensions()),
            entry,
            status: None,
            location: None,
        }
    }

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
            // It stands on every line of the request already.
            request_id: _,
            address,
            account,
            api_key,
            username_digest,
            changed,
        } = self.entry.facts();
        let (account, api_key) = (account.as_deref(), api_key.as_deref());
        let location = self.location.as_ref().and_then(|to| to.to_str().ok());
        let location = location.map(without_checkouts);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "boxcar::audit",
                    account_id = account.map(|account| account.id),
                    username = account.map(|account| account.username.as_str()),
                    role = account.map(|account| account.role.as_str()),
                    api_key_id = api_key.map(|key| key.id),
                    api_key = api_key.map(|key| key.name.as_str()),
                    username_digest,
                    address = address.map(tracing::field::display),
                    method = self.method.as_str(),
                    route = self.route.as_ref().map(MatchedPath::as_str),
                    status = self.status.map(|status| status.as_u16()),
                    changed = (!changed.is_empty()).then(|| changed.join(",")),
                    location = location.as_deref(),
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

#[cfg(test)]
mod tests {
    use super::without_checkouts;

    #[test]
    fn of_a_checkouts_id_only_the_beginning_is_written() {
        for (path, written) in [
            (
                "/api/v1/checkouts/chk_0aZ9bY8cX7dW6eV5fU4gT3",
                "/api/v1/checkouts/chk_0aZ9…",
            ),
            (
                "/api/v1/checkouts/chk_0aZ9bY8cX7dW6eV5fU4gT3/items/7",
                "/api/v1/checkouts/chk_0aZ9…/items/7",
            ),
            (
                "/api/v1/checkouts/%63hk_0aZ9bY8cX7dW6eV5fU4gT3/hold",
                "/api/v1/checkouts/%63hk_0a…/hold",
            ),
            (
                "/api/v1//checkouts/chk_0aZ9bY8cX7dW6eV5fU4gT3/",
                "/api/v1//checkouts/chk_0aZ9…/",
            ),
            (
                "/API/Checkouts/chk_0aZ9bY8cX7dW6eV5fU4gT3",
                "/API/Checkouts/chk_0aZ9…",
            ),
        ] {
            assert_eq!(without_checkouts(path), written);
        }
    }

    #[test]
    fn what_is_no_id_of_a_checkout_is_written_as_it_is() {
        for path in [
            "/api/v1/checkouts",
            "/api/v1/checkouts/chk_0aZ9",
            "/api/v1/products/123456789",
            "",
        ] {
            assert_eq!(without_checkouts(path), path);
        }
    }
}

//! Problems: the one shape of every error (RFC 9457).
//!
//! A handler returns a [`Problem`]; the outermost layer renders it, because only there are the path
//! and the request's id known (`initializers/problem_details`).

use std::time::Duration;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sea_orm::DbErr;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{MOST_FAULTS, Rejection};
use crate::models::{
    self,
    error::{BrokenRule, is_outage},
};

/// What kind of problem it is. Each has a stable URI, a title and a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The request cannot be understood.
    MalformedRequest,
    /// There is no valid token.
    Unauthenticated,
    /// The login failed.
    InvalidCredentials,
    /// The role does not allow it.
    Forbidden,
    /// There is no such route or resource.
    NotFound,
    /// The route does not know the method.
    MethodNotAllowed,
    /// What is there is not what the caller has seen.
    PreconditionFailed,
    /// The body is too large.
    PayloadTooLarge,
    /// The body is not of a type that is understood.
    UnsupportedMediaType,
    /// A unique value is taken, or another request was faster.
    Conflict,
    /// There are not enough pieces.
    InsufficientStock,
    /// The order's state does not allow it.
    InvalidTransition,
    /// The first request with this key is still running.
    IdempotencyInProgress,
    /// The key stands for another request.
    IdempotencyMismatch,
    /// Rules are broken.
    ValidationFailed,
    /// The client's budget is used up.
    RateLimited,
    /// Something that should not happen.
    Internal,
    /// The store cannot work just now. Nothing was done.
    Unavailable,
    /// The database went away while it committed: the work is done, or it is not.
    OutcomeUnknown,
    /// A status that none of the others stands for.
    Other(StatusCode),
}

impl Kind {
    /// Every kind that has a name.
    pub const ALL: [Self; 19] = [
        Self::MalformedRequest,
        Self::Unauthenticated,
        Self::InvalidCredentials,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::InsufficientStock,
        Self::InvalidTransition,
        Self::IdempotencyInProgress,
        Self::PreconditionFailed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::ValidationFailed,
        Self::IdempotencyMismatch,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
        Self::OutcomeUnknown,
    ];

    /// The kind of that name, the last part of its URI.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name, such as `not-found`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.uri().trim_start_matches("/problems/")
    }

    /// The status it is answered with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::MalformedRequest => StatusCode::BAD_REQUEST,
            Self::Unauthenticated | Self::InvalidCredentials => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Conflict
            | Self::InsufficientStock
            | Self::InvalidTransition
            | Self::IdempotencyInProgress => StatusCode::CONFLICT,
            Self::ValidationFailed | Self::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::OutcomeUnknown => StatusCode::GATEWAY_TIMEOUT,
            Self::Other(status) => status,
        }
    }

    /// Its stable URI, relative to the server.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::MalformedRequest => "/problems/malformed-request",
            Self::Unauthenticated => "/problems/unauthenticated",
            Self::InvalidCredentials => "/problems/invalid-credentials",
            Self::Forbidden => "/problems/forbidden",
            Self::NotFound => "/problems/not-found",
            Self::MethodNotAllowed => "/problems/method-not-allowed",
            Self::PreconditionFailed => "/problems/precondition-failed",
            Self::PayloadTooLarge => "/problems/payload-too-large",
            Self::UnsupportedMediaType => "/problems/unsupported-media-type",
            Self::Conflict => "/problems/conflict",
            Self::InsufficientStock => "/problems/insufficient-stock",
            Self::InvalidTransition => "/problems/invalid-transition",
            Self::IdempotencyInProgress => "/problems/idempotency-in-progress",
            Self::IdempotencyMismatch => "/problems/idempotency-mismatch",
            Self::ValidationFailed => "/problems/validation-failed",
            Self::RateLimited => "/problems/rate-limited",
            Self::Internal => "/problems/internal",
            Self::Unavailable => "/problems/unavailable",
            Self::OutcomeUnknown => "/problems/outcome-unknown",
            Self::Other(_) => "about:blank",
        }
    }

    /// Its title, the same for all of its kind.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::MalformedRequest => "Malformed request",
            Self::Unauthenticated => "Unauthenticated",
            Self::InvalidCredentials => "Invalid credentials",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::PreconditionFailed => "Precondition failed",
            Self::PayloadTooLarge => "Payload too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::Conflict => "Conflict",
            Self::InsufficientStock => "Insufficient stock",
            Self::InvalidTransition => "Invalid transition",
            Self::IdempotencyInProgress => "Idempotency key in progress",
            Self::IdempotencyMismatch => "Idempotency key used for another request",
            Self::ValidationFailed => "Validation failed",
            Self::RateLimited => "Rate limited",
            Self::Internal => "Internal error",
            Self::Unavailable => "Unavailable",
            Self::OutcomeUnknown => "Outcome unknown",
            Self::Other(status) => status.canonical_reason().unwrap_or("Error"),
        }
    }

    /// The kind that an answer without a problem of its own stands for: the router's 404, say.
    #[must_use]
    pub const fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_REQUEST => Self::MalformedRequest,
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PRECONDITION_FAILED => Self::PreconditionFailed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::UNPROCESSABLE_ENTITY => Self::ValidationFailed,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            StatusCode::GATEWAY_TIMEOUT => Self::OutcomeUnknown,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            StatusCode::INTERNAL_SERVER_ERROR => Self::Internal,
            other => Self::Other(other),
        }
    }

    /// What it means, for people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::MalformedRequest => {
                "The server could not understand the request: the body is not JSON or ended early, the id in \
                 the path is no 64-bit whole number, a header is not written as it should be, or the cursor \
                 is not one that this list gave out in this order."
            }
            Self::Unauthenticated => {
                "The request had no token, or one that is good no more: it has expired, was not made by this \
                 store, or its account was deleted or got a new password or role."
            }
            Self::InvalidCredentials => {
                "There is no account with this username and password. Which of the two is wrong is not told."
            }
            Self::Forbidden => {
                "The token is good, but the role of its account does not allow this."
            }
            Self::NotFound => {
                "There is no such path, or nothing with this id: it never was, was deleted, or belongs to \
                 somebody else."
            }
            Self::MethodNotAllowed => "The path is there, but does not take this method.",
            Self::Conflict => {
                "What was asked does not go together with what is there: a value that has to be unique is \
                 taken, the last administrator would be gone, or the stock of the product is not tracked."
            }
            Self::InsufficientStock => {
                "There are fewer pieces than were asked for. Nothing was ordered or taken away; each entry of \
                 errors names a product with the pieces requested and available."
            }
            Self::InvalidTransition => {
                "An order goes from placed to paid, shipped and delivered, one step at a time, and can be \
                 cancelled while it is placed or paid. Where this order stands, it cannot go where it was sent."
            }
            Self::IdempotencyInProgress => {
                "A request with this Idempotency-Key came before and is still running."
            }
            Self::PreconditionFailed => {
                "Somebody has changed this since you read it: its ETag is not the one in If-Match. Nothing \
                 was written."
            }
            Self::PayloadTooLarge => "The body is larger than any that the server takes.",
            Self::UnsupportedMediaType => "The body is not said to be JSON.",
            Self::ValidationFailed => {
                "The request was understood and breaks rules. Each entry of errors names a field or parameter \
                 by its pointer, the rule by its code, and says in a sentence what is wrong."
            }
            Self::IdempotencyMismatch => {
                "This Idempotency-Key was used within the last 24 hours for a request that was not the same."
            }
            Self::RateLimited => {
                "The budget of requests for this route is used up, or too many logins have failed."
            }
            Self::Internal => "Something went wrong on the server's side.",
            Self::Unavailable => {
                "The store cannot answer just now: its database is away, busy or too slow, or too much work \
                 waits already. What was asked was not done, and will not be done later."
            }
            Self::OutcomeUnknown => {
                "The connection to the database broke while the change was being committed. The change was \
                 either made completely or not at all, and the store cannot know which."
            }
            Self::Other(_) => "The request was not carried out.",
        }
    }

    /// What whoever gets it can do, for people.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::MalformedRequest => "Correct what detail names, and send it again.",
            Self::Unauthenticated => {
                "Log in and send the new token, as Authorization: Bearer and the token."
            }
            Self::InvalidCredentials => {
                "Check both and try again. Too many failed logins are refused for a while. An administrator \
                 can set a new password."
            }
            Self::Forbidden => "Log in as somebody who may, or ask an administrator.",
            Self::NotFound => "Check the path and the id.",
            Self::MethodNotAllowed => "Use one of the methods in the Allow header.",
            Self::Conflict => {
                "Where errors names a field, choose another value for it; otherwise read detail."
            }
            Self::InsufficientStock => "Ask for no more than is available, or wait for new stock.",
            Self::InvalidTransition => "Read the order again and see where it stands.",
            Self::IdempotencyInProgress => {
                "Wait a moment and send the same request again: it will be answered as the first one was."
            }
            Self::PreconditionFailed => {
                "Read it again, make your change to what is there now, and send that with its ETag."
            }
            Self::PayloadTooLarge => "Send less.",
            Self::UnsupportedMediaType => {
                "Send JSON, with the header Content-Type: application/json."
            }
            Self::ValidationFailed => {
                "Correct what errors names, all of it at once, and send it again."
            }
            Self::IdempotencyMismatch => "Use a new key for a new request.",
            Self::RateLimited => "Wait as many seconds as the Retry-After header says.",
            Self::Internal => {
                "Try again. If it stays, tell the store's operators the request_id, which finds it in the log."
            }
            Self::Unavailable => "Try again after as many seconds as the Retry-After header says.",
            Self::OutcomeUnknown => {
                "Send a POST again with the same Idempotency-Key: it is carried out only once, and answered as \
                 the first time. Without a key, or after another method, look at what is there first."
            }
            Self::Other(_) => "Read detail.",
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::NotFound => "There is nothing here.",
            Self::MethodNotAllowed => {
                "This path does not take that method; the Allow header lists those it takes."
            }
            Self::PreconditionFailed => {
                "This has changed since you read it: it does not match the If-Match header any more."
            }
            Self::PayloadTooLarge => "The body is larger than the server takes.",
            Self::UnsupportedMediaType => {
                "The body has to be JSON, with the Content-Type application/json."
            }
            Self::Unauthenticated => "A valid bearer token is required.",
            Self::InvalidCredentials => "Username or password is wrong.",
            Self::Forbidden => "Your role does not allow this.",
            Self::IdempotencyInProgress => {
                "The first request with this Idempotency-Key is still running."
            }
            Self::IdempotencyMismatch => "This Idempotency-Key was used for another request.",
            Self::RateLimited => {
                "Too many requests: wait as many seconds as the Retry-After header says."
            }
            Self::Internal => {
                "Something went wrong on our side. The request_id finds it in the log."
            }
            Self::Unavailable => {
                "The store cannot answer just now. Nothing was done. Try again shortly."
            }
            Self::OutcomeUnknown => {
                "The store cannot know whether this was done. Repeat the request with the same \
                 Idempotency-Key, or look at what is there."
            }
            _ => "The request cannot be carried out.",
        }
    }
}

/// A problem on its way to the client.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What kind it is.
    pub kind: Kind,
    /// What is wrong this time.
    pub detail: String,
    /// What is wrong with which part of the request.
    pub errors: Vec<Fault>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one part of the request.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Fault {
    /// A JSON pointer (RFC 6901) to the field, or `/` and the parameter's name.
    pub pointer: String,
    /// A stable word for the broken rule.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The product that is short.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<i64>,
    /// How many pieces were asked for.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested: Option<i64>,
    /// How many pieces there are.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<i64>,
}

/// The body of every error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// What kind of problem it is: a stable URI, where the server says what it means and what to do.
    #[schema(format = "uri-reference")]
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The kind's title.
    pub title: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong this time.
    pub detail: &'a str,
    /// The path that was asked for.
    #[schema(format = "uri-reference")]
    pub instance: &'a str,
    /// What finds the request in the log.
    pub request_id: &'a str,
    /// What is wrong with which part of the request: the first 100 faults.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: &'a [Fault],
}

impl<'a> ProblemBody<'a> {
    /// The body of that problem.
    #[must_use]
    pub fn new(problem: &'a Problem, instance: &'a str, request_id: &'a str) -> Self {
        Self {
            kind: problem.kind.uri(),
            title: problem.kind.title(),
            status: problem.kind.status().as_u16(),
            detail: &problem.detail,
            instance,
            request_id,
            errors: &problem.errors,
        }
    }
}

impl Problem {
    /// A problem of that kind, with the words that always fit.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            detail: kind.detail().to_owned(),
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The same, with words for this time.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// There is no valid token; `error` is the code of RFC 6750, section 3.1, when one was sent.
    #[must_use]
    pub fn unauthenticated(error: Option<&'static str>) -> Self {
        let challenge = match error {
            None => HeaderValue::from_static("Bearer realm=\"boxcar\""),
            Some(_) => HeaderValue::from_static("Bearer realm=\"boxcar\", error=\"invalid_token\""),
        };
        let mut problem = Self::new(Kind::Unauthenticated);
        problem.headers.push((header::WWW_AUTHENTICATE, challenge));
        problem
    }

    /// The login failed.
    #[must_use]
    pub fn invalid_credentials() -> Self {
        let mut problem = Self::new(Kind::InvalidCredentials);
        problem.headers.push((
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"boxcar\""),
        ));
        problem
    }

    /// The client's budget is used up for that long. Whole seconds are told, rounded up.
    #[must_use]
    pub fn rate_limited(wait: Duration) -> Self {
        Self::new(Kind::RateLimited).until(wait)
    }

    /// There is so much to do already that this would have to wait for that long.
    fn busy(wait: Duration) -> Self {
        Self::new(Kind::Unavailable)
            .because("There is too much to do already. Try again after as many seconds as the Retry-After header says.")
            .until(wait)
    }

    fn until(mut self, wait: Duration) -> Self {
        let seconds = whole_seconds(wait).max(1);
        self.headers
            .push((header::RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    /// Something that should not happen. It is logged here, and nowhere else.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        // As text, in which quotes and line ends are escaped.
        tracing::error!(error = error.to_string(), "internal error");
        Self::new(Kind::Internal)
    }

    fn invalid(broken: Vec<BrokenRule>) -> Self {
        let detail = match broken.len() {
            1 => "1 field is invalid.".to_owned(),
            MOST_FAULTS.. => {
                format!(
                    "{MOST_FAULTS} fields or more are invalid; the first {MOST_FAULTS} are named."
                )
            }
            several => format!("{several} fields are invalid."),
        };
        let mut problem = Self::new(Kind::ValidationFailed).because(detail);
        problem.errors = broken.into_iter().map(Fault::from).collect();
        problem
    }

    /// The headers that belong to it.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        let says_when = || {
            self.headers
                .iter()
                .any(|(name, _)| name == header::RETRY_AFTER)
        };
        let retry_after = (self.kind == Kind::Unavailable && !says_when())
            .then_some((header::RETRY_AFTER, HeaderValue::from(1)));
        self.headers.iter().cloned().chain(retry_after)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<BrokenRule> for Fault {
    fn from(rule: BrokenRule) -> Self {
        Self {
            pointer: rule.pointer,
            code: rule.violation.code.to_owned(),
            message: rule.violation.message,
            ..Self::default()
        }
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Malformed(why) => Self::new(Kind::MalformedRequest).because(why),
            Rejection::Invalid(broken) => Self::invalid(broken),
        }
    }
}

impl From<models::Error> for Problem {
    fn from(error: models::Error) -> Self {
        use models::Error;
        match error {
            Error::NotFound => Self::new(Kind::NotFound),
            Error::Invalid(broken) => Self::invalid(broken),
            Error::Taken(rule) => {
                let mut problem =
                    Self::new(Kind::Conflict).because("A value that has to be unique is taken.");
                problem.errors = vec![rule.into()];
                problem
            }
            Error::LastAdministrator => Self::new(Kind::Conflict)
                .because("This is the last administrator, who can be neither deleted nor demoted."),
            Error::InsufficientStock(shortages) => {
                let mut problem = Self::new(Kind::InsufficientStock)
                    .because("There are not enough pieces in stock.");
                problem.errors = shortages.into_iter().map(Fault::from).collect();
                problem
            }
            Error::InvalidTransition { .. } => {
                Self::new(Kind::InvalidTransition).because(sentence(&error))
            }
            Error::KeyReused => Self::new(Kind::IdempotencyMismatch),
            Error::PreconditionFailed => Self::new(Kind::PreconditionFailed),
            Error::NotTracked | Error::Overtaken => {
                Self::new(Kind::Conflict).because(sentence(&error))
            }
            Error::Revoked => Self::unauthenticated(Some("invalid_token")),
            Error::OutOfTime => Self::new(Kind::Unavailable),
            Error::OutcomeUnknown(error) => {
                tracing::error!(%error, "the database did not say whether it committed");
                Self::new(Kind::OutcomeUnknown)
            }
            Error::WrongPassword => Self::invalid(vec![BrokenRule::at(
                "/current_password",
                "mismatch",
                "is not your password",
            )]),
            Error::Busy(wait) => Self::busy(wait),
            Error::Db(error) => error.into(),
            Error::Internal(error) => error.into(),
        }
    }
}

impl From<models::error::Shortage> for Fault {
    fn from(shortage: models::error::Shortage) -> Self {
        Self {
            pointer: shortage
                .line
                .map_or_else(|| "/delta".to_owned(), |line| format!("/items/{line}")),
            code: "insufficient_stock".to_owned(),
            message: format!(
                "{} requested, {} available",
                shortage.requested, shortage.available
            ),
            product_id: Some(shortage.product_id),
            requested: Some(shortage.requested),
            available: Some(shortage.available),
        }
    }
}

impl From<DbErr> for Problem {
    fn from(error: DbErr) -> Self {
        if is_outage(&error) {
            tracing::error!(error = error.to_string(), "the database is not available");
            return Self::new(Kind::Unavailable);
        }
        Self::internal(&error)
    }
}

impl From<loco_rs::Error> for Problem {
    /// By variant, not by the error's own answer, which logs every 404 as an error.
    fn from(error: loco_rs::Error) -> Self {
        match error {
            loco_rs::Error::NotFound => Self::new(Kind::NotFound),
            loco_rs::Error::Unauthorized(_) => Self::unauthenticated(None),
            loco_rs::Error::BadRequest(why) => Self::new(Kind::MalformedRequest).because(why),
            loco_rs::Error::DB(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

/// A time in seconds, rounded up.
#[must_use]
pub fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}

//! Problems: the one shape of every error (RFC 9457).
//!
//! A handler returns a [`Problem`]; the outermost layer renders it, because only there are the path
//! and the request's id known (`initializers/problem_details`).

mod kind;

use std::time::Duration;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sea_orm::DbErr;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

pub use self::kind::Kind;
use super::checkouts::Checkout;
use crate::models::{
    self,
    error::{FieldError, is_outage},
    input::MAX_ERRORS,
    types::KeyScope,
};

/// What kind of token is asked for.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"boxcar\"");

/// What is said to a key that may not do something.
const INSUFFICIENT: &str = "Bearer realm=\"boxcar\", error=\"insufficient_scope\"";

/// A problem on its way to the client.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What kind it is.
    pub kind: Kind,
    /// The status of its answer.
    pub status: StatusCode,
    /// What is wrong this time.
    pub detail: String,
    /// What is wrong with which part of the request.
    pub errors: Vec<FieldError>,
    /// The checkout as it is now, as JSON, where the problem is that it has changed.
    pub checkout: Option<Box<RawValue>>,
    headers: Vec<(HeaderName, HeaderValue)>,
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
    /// What is wrong with which part of the request: the first 100 errors.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: &'a [FieldError],
    /// The checkout as it is now: of `totals-changed` alone.
    #[schema(value_type = Option<Checkout>, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout: Option<&'a RawValue>,
}

impl<'a> ProblemBody<'a> {
    /// The body of that problem.
    pub fn new(problem: &'a Problem, instance: &'a str, request_id: &'a str) -> Self {
        Self {
            kind: problem.kind.uri,
            title: problem.title(),
            status: problem.status.as_u16(),
            detail: &problem.detail,
            instance,
            request_id,
            errors: &problem.errors,
            checkout: problem.checkout.as_deref(),
        }
    }
}

impl Problem {
    /// A problem of that kind, with the words that always fit.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            status: kind.status,
            detail: kind.detail.to_owned(),
            errors: Vec::new(),
            checkout: None,
            headers: Vec::new(),
        }
    }

    /// The problem that an answer of that status stands for, which has none of its own.
    pub fn of_status(status: StatusCode) -> Self {
        Self {
            status,
            ..Self::new(Kind::of_status(status))
        }
    }

    fn title(&self) -> &'static str {
        match self.kind {
            Kind::OTHER => self.status.canonical_reason().unwrap_or(self.kind.title),
            kind => kind.entry().title,
        }
    }

    /// The same, with words for this time.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// There is no valid token; `error` is the code of RFC 6750, section 3.1, when one was sent.
    pub fn unauthenticated(error: Option<&'static str>) -> Self {
        let challenge = match error {
            None => CHALLENGE,
            Some(_) => HeaderValue::from_static("Bearer realm=\"boxcar\", error=\"invalid_token\""),
        };
        Self::new(Kind::UNAUTHENTICATED).sending(header::WWW_AUTHENTICATE, challenge)
    }

    /// The key may not do this (RFC 6750, section 3.1): the scope that would be enough, if one would.
    pub fn insufficient_scope(scope: Option<KeyScope>) -> Self {
        let (detail, challenge) = scope.map_or_else(
            || {
                let detail = "No key may do this.".to_owned();
                (detail, INSUFFICIENT.to_owned())
            },
            |scope| {
                let detail = format!("This takes a key with the scope {scope}.");
                (detail, format!("{INSUFFICIENT}, scope=\"{scope}\""))
            },
        );
        let problem = Self::new(Kind::FORBIDDEN).because(detail);
        match HeaderValue::try_from(challenge) {
            Ok(challenge) => problem.sending(header::WWW_AUTHENTICATE, challenge),
            Err(_) => problem,
        }
    }

    /// The login failed.
    pub fn invalid_credentials() -> Self {
        Self::new(Kind::INVALID_CREDENTIALS).sending(header::WWW_AUTHENTICATE, CHALLENGE)
    }

    /// The client's budget is used up for that long. Whole seconds are told, rounded up.
    pub fn rate_limited(wait: Duration) -> Self {
        Self::new(Kind::RATE_LIMITED).until(wait)
    }

    /// There is so much to do already that this would have to wait for that long.
    fn busy(wait: Duration) -> Self {
        Self::new(Kind::UNAVAILABLE)
            .because("The server has too much to do already. Try again after as many seconds as the Retry-After header says.")
            .until(wait)
    }

    fn until(self, wait: Duration) -> Self {
        self.sending(header::RETRY_AFTER, whole_seconds(wait).max(1).into())
    }

    fn sending(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The checkout costs something else than the buyer expects.
    fn totals_changed(now: models::checkouts::Checkout) -> Self {
        let total = now.standing.totals.total;
        let detail = format!("The checkout costs {total} now. Look at it, and complete it anew.");
        let now = serde_json::value::to_raw_value(&Checkout::from(now));
        Self {
            checkout: now.ok(),
            ..Self::new(Kind::TOTALS_CHANGED).because(detail)
        }
    }

    /// Something that should not happen. It is logged here, and nowhere else.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        // As text, in which quotes and line ends are escaped.
        tracing::error!(error = error.to_string(), "internal error");
        Self::new(Kind::INTERNAL)
    }

    fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.len() {
            1 => "1 field is invalid.".to_owned(),
            MAX_ERRORS.. => format!(
                "{MAX_ERRORS} fields or more are invalid; the first {MAX_ERRORS} are named."
            ),
            several => format!("{several} fields are invalid."),
        };
        Self::new(Kind::VALIDATION_FAILED)
            .because(detail)
            .with(errors)
    }

    /// The same, and which fields are wrong.
    fn with(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }

    /// The headers that belong to it.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        let says_when = self
            .headers
            .iter()
            .any(|(name, _)| name == header::RETRY_AFTER);
        let retry_after = (self.kind == Kind::UNAVAILABLE && !says_when)
            .then_some((header::RETRY_AFTER, HeaderValue::from(1)));
        self.headers.iter().cloned().chain(retry_after)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<models::Error> for Problem {
    fn from(error: models::Error) -> Self {
        use models::Error;
        match error {
            Error::NotFound => Self::new(Kind::NOT_FOUND),
            Error::Malformed(why) => Self::new(Kind::MALFORMED_REQUEST).because(why),
            Error::Invalid(errors) => Self::invalid(errors),
            Error::NotUnique(error) => Self::new(Kind::CONFLICT)
                .because("A value that has to be unique is taken.")
                .with(vec![error]),
            Error::InsufficientStock(shortages) => {
                Self::new(Kind::INSUFFICIENT_STOCK).with(shortages)
            }
            Error::InvalidTransition { .. }
            | Error::NotOpen(_)
            | Error::Disabled
            | Error::NotRepeatable(_) => {
                Self::new(Kind::INVALID_TRANSITION).because(sentence(&error))
            }
            Error::LastAdministrator
            | Error::NotTracked
            | Error::ClassInUse
            | Error::LimitReached(_)
            | Error::WriteConflict => Self::new(Kind::CONFLICT).because(sentence(&error)),
            Error::HoldDisabled(_) => Self::new(Kind::HOLD_DISABLED).because(sentence(&error)),
            Error::TotalsChanged(now) => Self::totals_changed(*now),
            Error::OpenOrders => Self::new(Kind::OPEN_ORDERS),
            Error::KeyReused => Self::new(Kind::IDEMPOTENCY_MISMATCH),
            Error::PreconditionFailed => Self::new(Kind::PRECONDITION_FAILED),
            Error::Revoked => Self::unauthenticated(Some("invalid_token")),
            Error::OutOfReach => Self::insufficient_scope(None).because(sentence(&error)),
            Error::OutOfTime => Self::new(Kind::UNAVAILABLE),
            Error::OutcomeUnknown(error) => {
                tracing::error!(%error, "the database did not say whether it committed");
                Self::new(Kind::OUTCOME_UNKNOWN)
            }
            Error::WrongPassword => {
                let message = "must be your current password";
                Self::invalid(vec![FieldError::at(
                    "/current_password",
                    "mismatch",
                    message,
                )])
            }
            Error::Busy(wait) => Self::busy(wait),
            Error::Db(error) => error.into(),
            Error::Internal(error) => error.into(),
        }
    }
}

impl From<DbErr> for Problem {
    fn from(error: DbErr) -> Self {
        if is_outage(&error) {
            tracing::error!(error = error.to_string(), "the database is not available");
            return Self::new(Kind::UNAVAILABLE);
        }
        Self::internal(&error)
    }
}

impl From<loco_rs::Error> for Problem {
    /// By variant, not by the error's own answer, which logs every 404 as an error.
    fn from(error: loco_rs::Error) -> Self {
        match error {
            loco_rs::Error::NotFound => Self::new(Kind::NOT_FOUND),
            loco_rs::Error::Unauthorized(_) => Self::unauthenticated(None),
            loco_rs::Error::BadRequest(why) => Self::new(Kind::MALFORMED_REQUEST).because(why),
            loco_rs::Error::DB(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

/// A time in seconds, rounded up.
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

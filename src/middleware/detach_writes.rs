//! The end of a request: when its time is over, and when its client hangs up.
//!
//! * [`detach_writes`] begins the clock of each request, and finishes every write that has begun, though its client
//!   hangs up: otherwise the server would drop it in the middle of its commit, and no cache would learn what
//!   it had changed.
//! * [`in_time`], inside, answers 503 when the time is over. A transaction that has not begun to
//!   commit by then is taken back: a 503 says that nothing was done.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::Method,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use loco_rs::{Result, app::AppContext};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use super::is_login;
use crate::{
    context::Context,
    models::deadline::Deadline,
    views::problem::{Kind, Problem},
};

/// How long a request may take where `timeout_request` is off: longer than any connection lives.
const NO_TIMEOUT: Duration = Duration::from_hours(365 * 24);

/// The time that a request has, and who knows of the writes that run.
#[derive(Debug)]
pub struct Clock {
    time: Duration,
    writes: TaskTracker,
}

impl Clock {
    /// The clock of a server, whose end waits for the writes too.
    ///
    /// # Errors
    /// When the context is not installed.
    pub fn new(ctx: &AppContext) -> Result<Self> {
        Ok(Self {
            time: response_timeout(ctx),
            writes: Context::of(ctx)?.draining.writes.clone(),
        })
    }
}

/// How long a request may take: Loco's own setting. Its own layer answers although a write goes on.
#[must_use]
pub const fn response_timeout(ctx: &AppContext) -> Duration {
    match &ctx.config.server.middlewares.timeout_request {
        Some(timeout) if timeout.enable => Duration::from_millis(timeout.timeout),
        _ => NO_TIMEOUT,
    }
}

/// Answers, to its end where the request is a write.
pub async fn detach_writes<F: Future<Output = Response> + Send + 'static>(
    clock: &Clock,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let deadline = Arc::new(Deadline::after(clock.time));
    request.extensions_mut().insert(Arc::clone(&deadline));
    if !is_write(&request) {
        return next(request).await;
    }
    let hung_up = CancellationToken::new();
    // Dropped with this future, when the client hangs up.
    let _guard = hung_up.clone().drop_guard();
    let request = request.map(|body| abort_on(hung_up, body));
    let write = clock.writes.spawn(next(request).in_current_span());
    let answer = tokio::select! {
        answer = write => answer,
        () = deadline.commit_timed_out() => {
            tracing::error!("the database has not said in time whether it committed");
            return Problem::new(Kind::OUTCOME_UNKNOWN).into_response();
        }
    };
    match answer {
        Ok(answer) => answer,
        // A panic goes on to the layer that catches them.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Problem::new(Kind::UNAVAILABLE).into_response(),
        },
    }
}

/// Answers, or says that the time is over.
pub async fn in_time<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let Some(deadline) = request.extensions().get::<Arc<Deadline>>().map(Arc::clone) else {
        return next(request).await;
    };
    tokio::select! {
        biased;
        answer = next(request) => answer,
        () = deadline.passed() => {
            tracing::warn!("the request took too long: it is answered 503, and nothing was done");
            Problem::new(Kind::UNAVAILABLE).into_response()
        }
    }
}

/// Whether the request may change something. A login changes nothing, and is hard work.
fn is_write(request: &Request) -> bool {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    !reads && !is_login(request.method(), request.extensions())
}

/// The body, which ends in an error when its sender has hung up: what has not been read to its end has
/// not begun, and nothing waits for the rest.
fn abort_on(hung_up: CancellationToken, body: Body) -> Body {
    let state = (body.into_data_stream(), hung_up);
    Body::from_stream(stream::unfold(state, |(mut chunks, hung_up)| async move {
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk?,
            () = hung_up.cancelled() => Err(axum::Error::new("the client has hung up")),
        };
        Some((chunk, (chunks, hung_up)))
    }))
}

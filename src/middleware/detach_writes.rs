//! The end of a request: when its time is over, and when its client hangs up.
//!
//! * [`put_on`] begins the clock of each request, and finishes every write that has begun, though its client
//!   hangs up: otherwise the server would drop it in the middle of its commit, and no cache would learn what
//!   it had changed.
//! * [`put_on_timeout`], inside, answers 503 when the time is over. A transaction that has not begun to
//!   commit by then is taken back: a 503 says that nothing was done.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::Method,
    middleware::{self, Next},
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

/// Puts the layer on. The server's end waits for the writes too.
///
/// # Errors
/// When the context is not installed.
pub fn put_on(ctx: &AppContext, app: Router<AppContext>) -> Result<Router<AppContext>> {
    let clock = Clock {
        time: response_timeout(ctx),
        writes: Context::of(ctx)?.draining.writes.clone(),
    };
    Ok(app.layer(middleware::from_fn_with_state(clock, detach_writes)))
}

/// Puts the layer on that ends what takes too long.
///
/// # Errors
/// None.
pub fn put_on_timeout(_: &AppContext, app: Router<AppContext>) -> Result<Router<AppContext>> {
    Ok(app.layer(middleware::from_fn(in_time)))
}

#[derive(Clone)]
struct Clock {
    time: Duration,
    writes: TaskTracker,
}

/// How long a request may take: Loco's own setting. Its own layer answers although a write goes on.
#[must_use]
pub const fn response_timeout(ctx: &AppContext) -> Duration {
    match &ctx.config.server.middlewares.timeout_request {
        Some(timeout) if timeout.enable => Duration::from_millis(timeout.timeout),
        _ => NO_TIMEOUT,
    }
}

async fn detach_writes(State(clock): State<Clock>, mut request: Request, next: Next) -> Response {
    let deadline = Arc::new(Deadline::after(clock.time));
    request.extensions_mut().insert(Arc::clone(&deadline));
    if !is_write(&request) {
        return next.run(request).await;
    }
    let hung_up = CancellationToken::new();
    // Dropped with this future, when the client hangs up.
    let _guard = hung_up.clone().drop_guard();
    let request = request.map(|body| abort_on(hung_up, body));
    let write = clock.writes.spawn(next.run(request).in_current_span());
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

async fn in_time(request: Request, next: Next) -> Response {
    let Some(deadline) = request.extensions().get::<Arc<Deadline>>().map(Arc::clone) else {
        return next.run(request).await;
    };
    tokio::select! {
        biased;
        answer = next.run(request) => answer,
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

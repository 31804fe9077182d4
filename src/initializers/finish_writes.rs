//! Finishes every write that has begun, though its client hangs up: otherwise the server would drop it
//! in the middle of its commit, and nobody would tell the caches what it had changed.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use loco_rs::{Result, app::AppContext, controller::middleware::MiddlewareLayer};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use super::drain::draining;
use crate::views::problem::{Kind, Problem};

/// The innermost layer.
#[derive(Clone)]
pub struct FinishWrites {
    ctx: AppContext,
}

impl FinishWrites {
    /// The layer of that server, whose end waits for the writes too.
    #[must_use]
    pub fn new(ctx: &AppContext) -> Self {
        Self { ctx: ctx.clone() }
    }
}

impl MiddlewareLayer for FinishWrites {
    fn name(&self) -> &'static str {
        "finish_writes"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        let writes = draining(&self.ctx)?.writes.clone();
        Ok(app.layer(middleware::from_fn_with_state(writes, finish_writes)))
    }
}

async fn finish_writes(
    State(writes): State<TaskTracker>,
    request: Request,
    next: Next,
) -> Response {
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return next.run(request).await;
    }
    let hung_up = CancellationToken::new();
    // Dropped with this future, when the client hangs up or its time is over.
    let _guard = hung_up.clone().drop_guard();
    let request = request.map(|body| unless(hung_up, body));
    let write = next.run(request).in_current_span();
    match writes.spawn(write).await {
        Ok(answer) => answer,
        // A panic goes on to the layer that catches them.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Problem::new(Kind::Unavailable).into_response(),
        },
    }
}

/// The body, which ends in an error when its sender has hung up: what has not been read to its end has
/// not begun, and nobody waits for the rest.
fn unless(hung_up: CancellationToken, body: Body) -> Body {
    let state = (body.into_data_stream(), hung_up);
    Body::from_stream(stream::unfold(state, |(mut chunks, hung_up)| async move {
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk?,
            () = hung_up.cancelled() => Err(axum::Error::new("the client has hung up")),
        };
        Some((chunk, (chunks, hung_up)))
    }))
}

//! Finishes every write that has begun, though its client hangs up: otherwise the server would drop it
//! in the middle of its commit, and nobody would tell the caches what it had changed.

use axum::{
    Router,
    extract::{Request, State},
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use loco_rs::{Result, app::AppContext, controller::middleware::MiddlewareLayer};
use tokio_util::task::TaskTracker;
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

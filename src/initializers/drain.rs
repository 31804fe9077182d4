//! Ends the server so that no client notices.
//!
//! `/_readiness` fails first, and whoever spreads the load over several nodes sends it elsewhere; then
//! no more connections are taken, and what was asked before is answered ([`super::connections`]).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use loco_rs::{
    Error, Result,
    app::{AppContext, Initializer},
};
use tokio_util::task::TaskTracker;

use crate::views::problem::{Kind, Problem};

/// Loco's own route, which asks the database.
const READINESS: &str = "/_readiness";

/// Makes readiness fail while the server ends.
#[derive(Clone, Copy, Debug)]
pub struct Drain;

/// What the server knows of its end.
#[derive(Debug, Default)]
pub struct Draining {
    begun: AtomicBool,
    /// The writes that run, also those whose clients have hung up.
    pub writes: TaskTracker,
}

#[async_trait]
impl Initializer for Drain {
    fn name(&self) -> String {
        "drain".to_owned()
    }

    async fn after_routes(&self, router: Router, ctx: &AppContext) -> Result<Router> {
        Ok(router.layer(middleware::from_fn_with_state(draining(ctx)?, ready)))
    }
}

impl Draining {
    /// The server is about to end.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }
}

async fn ready(State(draining): State<Arc<Draining>>, request: Request, next: Next) -> Response {
    if draining.begun.load(Ordering::Relaxed) && request.uri().path() == READINESS {
        return Problem::new(Kind::Unavailable).into_response();
    }
    next.run(request).await
}

/// What the server knows of its end.
///
/// # Errors
/// When it was not kept with the context.
pub fn draining(ctx: &AppContext) -> Result<Arc<Draining>> {
    ctx.shared_store
        .get()
        .ok_or_else(|| Error::string("the end of the server was not prepared"))
}

//! Ends the server so that no client notices.
//!
//! `/_readiness` fails first, and whoever spreads the load over several nodes sends it elsewhere; then
//! no more connections are taken, and what was asked before is answered.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
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
    boot::{ServeParams, shutdown_signal},
};
use tokio::{net::TcpListener, sync::Notify, time::sleep};
use tokio_util::task::TaskTracker;

use crate::{
    settings::Settings,
    views::problem::{Kind, Problem},
};

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

async fn ready(State(draining): State<Arc<Draining>>, request: Request, next: Next) -> Response {
    if draining.begun.load(Ordering::Relaxed) && request.uri().path() == READINESS {
        return Problem::new(Kind::Unavailable).into_response();
    }
    next.run(request).await
}

/// Serves until a signal ends it. What Loco does, and one thing more: a client that stops in the middle
/// of a request cannot hold the end up for longer than a request may take.
///
/// # Errors
/// When nobody can listen there.
pub async fn serve(router: Router, ctx: &AppContext, at: &ServeParams) -> Result<()> {
    let draining = draining(ctx)?;
    let delay = Duration::from_secs(Settings::of(ctx)?.shutdown.delay_seconds);
    let timeout = &ctx.config.server.middlewares.timeout_request;
    let patience = Duration::from_millis(timeout.clone().unwrap_or_default().timeout);
    let listener = TcpListener::bind(format!("{}:{}", at.binding, at.port)).await?;

    let closed = Arc::new(Notify::new());
    let close = {
        let (draining, closed) = (Arc::clone(&draining), Arc::clone(&closed));
        async move {
            shutdown_signal().await;
            tracing::info!("shutting down");
            draining.begun.store(true, Ordering::Relaxed);
            sleep(delay).await;
            closed.notify_one();
        }
    };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = async {
        axum::serve(listener, service)
            .with_graceful_shutdown(close)
            .await?;
        draining.writes.close();
        draining.writes.wait().await;
        Ok(())
    };
    let overdue = async {
        closed.notified().await;
        sleep(patience).await;
    };
    tokio::select! {
        served = pin!(served) => served,
        () = overdue => {
            tracing::warn!("some clients have not sent or read to the end: they are cut off");
            Ok(())
        }
    }
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

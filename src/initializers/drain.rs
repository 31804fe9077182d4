//! Readiness: whether requests should be sent here.
//!
//! Loco's own route asks whether the database answers. Here it fails too while nothing can be written,
//! and first of all when the server ends: a load balancer sends requests elsewhere, then no more
//! connections are taken, and what was asked before is answered ([`super::connections`]).

use std::{
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
};
use sea_orm::DatabaseConnection;
use tokio::{sync::Mutex, time::Instant};
use tokio_util::task::TaskTracker;

use crate::{
    models::write_probe,
    views::problem::{Kind, Problem},
};

/// Loco's own route, which asks the database.
const READINESS: &str = "/_readiness";

/// How long the answer to a probe stands, however often it is asked for.
const PROBED_FOR: Duration = Duration::from_secs(1);

/// Makes readiness fail while the server ends, and while nothing can be written.
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
        let readiness = Arc::new(Readiness {
            draining: draining(ctx)?,
            db: ctx.db.clone(),
            probed: Mutex::default(),
        });
        Ok(router.layer(middleware::from_fn_with_state(readiness, ready)))
    }
}

struct Readiness {
    draining: Arc<Draining>,
    db: DatabaseConnection,
    /// When the database was last tried, and whether it took the write.
    probed: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    async fn is_writable(&self) -> bool {
        let mut probed = self.probed.lock().await;
        match *probed {
            Some((at, writable)) if at.elapsed() < PROBED_FOR => writable,
            _ => {
                let writable = write_probe::is_writable(&self.db).await;
                *probed = Some((Instant::now(), writable));
                writable
            }
        }
    }
}

impl Draining {
    /// The server is about to end.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }
}

async fn ready(State(readiness): State<Arc<Readiness>>, request: Request, next: Next) -> Response {
    if request.uri().path() != READINESS {
        return next.run(request).await;
    }
    if readiness.draining.begun.load(Ordering::Relaxed) {
        return Problem::new(Kind::Unavailable).into_response();
    }
    let answer = next.run(request).await;
    if answer.status().is_success() && !readiness.is_writable().await {
        return Problem::new(Kind::Unavailable).into_response();
    }
    answer
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

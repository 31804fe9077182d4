//! Whether the server runs, and whether requests should be sent to it.
//!
//! These routes are open. They take the place of Loco's, for which axum copies Loco's context, with the whole
//! configuration, for each request.
//!
//! Readiness fails while the database does not respond, lacks a migration or takes no writes, and as the first step
//! of a shutdown: load balancers send requests elsewhere before the server stops accepting them
//! ([`crate::server`]).

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, routing::get};
use loco_rs::controller::{Routes, monitoring::Health};
use sea_orm::DatabaseConnection;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    context::Context,
    models::write_probe,
    views::problem::{Kind, Problem},
};

/// How long the answer to a probe stands, however often it is asked for.
const PROBED_FOR: Duration = Duration::from_secs(1);

/// The routes that tell whether all is well.
#[must_use]
pub fn routes(ctx: &Context) -> Routes {
    let readiness = Arc::new(Readiness::new(ctx));
    Routes::new()
        .add("/_ping", get(healthy).with_state(()))
        .add("/_health", get(healthy).with_state(()))
        .add("/_readiness", get(ready).with_state(readiness))
}

/// Whether requests should be sent to the server.
pub struct Readiness {
    ctx: Context,
    /// When the database was last tried, and whether it could be used.
    probed: Mutex<Option<(Instant, bool)>>,
}

async fn healthy() -> Json<Health> {
    Json(Health { ok: true })
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> Result<Json<Health>, Problem> {
    if readiness.is_ready().await {
        Ok(healthy().await)
    } else {
        Err(Problem::new(Kind::UNAVAILABLE))
    }
}

impl Readiness {
    /// The readiness of a server.
    pub fn new(ctx: &Context) -> Self {
        Self {
            ctx: ctx.clone(),
            probed: Mutex::default(),
        }
    }

    /// Whether requests should be sent to it at this moment.
    pub async fn is_ready(&self) -> bool {
        if self.ctx.draining.has_begun() {
            return false;
        }
        if let Err(error) = self.ctx.db.ping().await {
            tracing::error!(%error, "the database does not answer");
            return false;
        }
        let mut probed = self.probed.lock().await;
        match *probed {
            Some((at, usable)) if at.elapsed() < PROBED_FOR => usable,
            _ => {
                let usable = is_usable(&self.ctx.db).await;
                *probed = Some((Instant::now(), usable));
                usable
            }
        }
    }
}

async fn is_usable(db: &DatabaseConnection) -> bool {
    match migration::is_behind(db).await {
        Ok(false) => write_probe::is_writable(db).await,
        Ok(true) => {
            tracing::warn!("the database lacks migrations: `boxcar-cli db migrate` runs them");
            false
        }
        Err(error) => {
            tracing::error!(%error, "the database does not say which migrations it has");
            false
        }
    }
}

//! Deletes the answers that are kept for retries when their time is over.

use std::{convert::Infallible, time::Duration};

use loco_rs::app::AppContext;
use tokio::time::{MissedTickBehavior, interval};

use crate::models::{connection::erased, idempotency_keys::Model};

/// How long a server waits before it looks again.
const EVERY: Duration = Duration::from_hours(1);

/// Deletes what is past its time now and every hour, as long as it is awaited. On several nodes each does:
/// one finds nothing left.
pub async fn hourly(ctx: &AppContext) -> Infallible {
    let mut clock = interval(EVERY);
    // A laptop that has slept for a day has missed nothing.
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        match Model::prune(ctx).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "expired idempotency keys were deleted"),
            Err(error) => {
                tracing::warn!(%error, "expired idempotency keys could not be deleted: the next attempt is in an hour");
            }
        }
        erased(&ctx.db).await;
    }
}

//! Says at start, and to `cargo loco doctor`, whether the Redis answers that nodes share.

use async_trait::async_trait;
use loco_rs::{
    Result,
    app::{AppContext, Initializer},
    doctor::{Check, CheckStatus},
};

use crate::context::Context;

/// The check.
#[derive(Clone, Copy, Debug)]
pub struct RedisCheck;

#[async_trait]
impl Initializer for RedisCheck {
    fn name(&self) -> String {
        "redis".to_owned()
    }

    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        // The server starts all the same, and connects as soon as Redis answers.
        if let Err(why) = Context::of(ctx)?.shared.check().await {
            tracing::error!(%why, "REDIS_URL: Redis is away: answers come from the database");
        }
        Ok(())
    }

    async fn check(&self, ctx: &AppContext) -> Result<Option<Check>> {
        let ctx = Context::of(ctx)?;
        if !ctx.shared.is_shared() {
            return Ok(None);
        }
        let (status, message, description) = match ctx.shared.check().await {
            Ok(()) => (CheckStatus::Ok, "Redis: success".to_owned(), None),
            Err(why) => (CheckStatus::NotOk, "Redis: fails".to_owned(), Some(why)),
        };
        Ok(Some(Check {
            status,
            message,
            description,
        }))
    }
}

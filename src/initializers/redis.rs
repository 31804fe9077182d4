//! Tells `cargo loco doctor` whether the Redis answers that nodes share.

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

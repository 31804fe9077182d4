//! `idempotency:prune`: forgets the answers whose time is over. The scheduler runs it every hour.

use async_trait::async_trait;
use loco_rs::{
    Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::begin;
use crate::models::idempotency_keys::{KEPT_HOURS, Model};

/// Forgets the answers whose time is over.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyPrune;

#[async_trait]
impl Task for IdempotencyPrune {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "idempotency:prune".to_owned(),
            detail: format!("Deletes the idempotency keys that are older than {KEPT_HOURS} hours."),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &[]).await?;
        println!("{} idempotency keys deleted.", Model::prune(&ctx.db).await?);
        Ok(())
    }
}

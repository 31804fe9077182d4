//! `idempotency:prune`: deletes the answers whose time is over, as a running server does by itself.

use async_trait::async_trait;
use loco_rs::{
    Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::{begin, counted};
use crate::models::idempotency_keys::{KEPT_HOURS, Model};

/// Deletes the answers whose time is over.
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
        let pruned = counted(Model::prune(ctx).await?, "idempotency key");
        println!("{pruned} deleted.");
        Ok(())
    }
}

//! `events:prune`: deletes the events whose time is over, as a running server does by itself.

use async_trait::async_trait;
use loco_rs::{
    Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::{begin, counted};
use crate::{
    models::{connection::erased, events::Model},
    settings::Settings,
};

/// Deletes the events whose time is over.
#[derive(Clone, Copy, Debug)]
pub struct EventsPrune;

#[async_trait]
impl Task for EventsPrune {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "events:prune".to_owned(),
            detail: "Deletes the events that are older than EVENTS_KEEP_DAYS (settings.events.keep_days); none where \
                     that is 0."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &[]).await?;
        let keep_days = Settings::of(ctx)?.events.keep_days;
        let pruned = Model::prune(ctx, keep_days).await?;
        erased(&ctx.db).await;
        println!("{} deleted.", counted(pruned, "event"));
        Ok(())
    }
}

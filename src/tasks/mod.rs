//! Commands for the store's operators: `boxcar-cli task` lists them.

use loco_rs::{Error, Result, app::AppContext, db, task::Vars};
use migration::{Migrator, MigratorTrait};

pub mod admin_create;
pub mod idempotency_prune;
pub mod products_export;
pub mod products_import;

/// Brings the database up to date, as the server does when it starts, and refuses arguments that the
/// task does not know: a typo is never ignored.
async fn begin(ctx: &AppContext, vars: &Vars, known: &[&str]) -> Result<()> {
    if let Some(unknown) = vars.cli.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(Error::Message(format!(
            "the argument {unknown} is not one of {}",
            known.join(", ")
        )));
    }
    // Asked first, because a migration that finds nothing to do says so on standard output.
    if ctx.config.database.auto_migrate
        && !Migrator::get_pending_migrations(&ctx.db).await?.is_empty()
    {
        db::migrate::<Migrator>(&ctx.db).await?;
    }
    Ok(())
}

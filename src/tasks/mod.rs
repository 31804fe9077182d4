//! Commands for the store's operators: `boxcar-cli task` lists them.

use std::{
    fmt,
    io::{IsTerminal, stdin},
    path::Path,
};

use loco_rs::{Error, Result, app::AppContext, db, task::Vars};
use migration::Migrator;
use tokio::task::spawn_blocking;

pub mod admin_create;
pub mod customers_export;
pub mod events_prune;
mod export;
pub mod idempotency_prune;
mod import;
pub mod keys_create;
pub mod keys_delete;
pub mod keys_list;
pub mod openapi_write;
pub mod orders_export;
pub mod products_export;
pub mod products_import;
pub mod rates_import;
pub mod store_backup;
pub mod store_copy;
pub mod webhooks_retry;

/// Refuses arguments that the task does not know: a typo is never ignored.
fn refuse_unknown(vars: &Vars, known: &[&str]) -> Result<()> {
    match vars.cli.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(Error::Message(format!(
            "the argument {unknown} is not one of {}",
            known.join(", ")
        ))),
    }
}

/// Refuses unknown arguments, and brings the database up to date, as the server does when it starts.
async fn begin(ctx: &AppContext, vars: &Vars, known: &[&str]) -> Result<()> {
    refuse_unknown(vars, known)?;
    if ctx.config.database.auto_migrate {
        db::migrate::<Migrator>(&ctx.db).await?;
    }
    Ok(())
}

/// What is wrong with a file.
fn named(path: &Path, why: impl fmt::Display) -> Error {
    Error::Message(format!("{}: {why}", path.display()))
}

/// `1 row`, `2 rows`.
fn counted(number: u64, thing: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{ending}")
}

/// One line from standard input, which a terminal does not show.
async fn read_secret(prompt: &'static str) -> Result<String> {
    let read = move || {
        if stdin().is_terminal() {
            return Ok(rpassword::prompt_password(prompt)?);
        }
        let mut line = String::new();
        stdin().read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    };
    // On a thread of its own, so that a signal ends a task that waits for its operator.
    spawn_blocking(read).await.map_err(Error::wrap)?
}

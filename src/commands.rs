//! Boxcar's own commands, which replace Loco's of the same names.

use loco_rs::{
    Error, Result,
    app::Hooks,
    boot::{self, ServeParams, StartMode, create_context},
    doctor::{Check, Resource, run_all},
    environment::Environment,
};
use sea_orm::DbErr;

use crate::{app::App, log, settings::address};

/// `boxcar-cli start`: serves until a signal ends it. `binding` and `port` replace those of the configuration.
///
/// Loco's command prints a picture and "listening" before the server listens, both as plain text among JSON logs.
///
/// # Errors
/// When the server cannot be started.
pub async fn start(
    environment: &Environment,
    mode: StartMode,
    binding: Option<String>,
    port: Option<i32>,
) -> Result<()> {
    let config = App::load_config(environment).await?;
    log::start(&config.logger)?;
    let at = ServeParams {
        binding: binding.unwrap_or_else(|| config.server.binding.clone()),
        port: port.unwrap_or(config.server.port),
    };
    let database = config.database.uri.clone();
    let booted = App::boot(mode, environment, config)
        .await
        .map_err(|error| located(error, &database))?;
    boot::start::<App>(booted, at, true).await
}

/// `boxcar-cli doctor`: prints whether the settings, the database and Redis are as they should be.
///
/// Loco's command also needs `Cargo.lock`, which a server does not have, and refuses a server that only its own machine
/// can reach, which is right behind a proxy.
///
/// # Errors
/// When a check has failed.
pub async fn doctor(environment: &Environment) -> Result<()> {
    let config = App::load_config(environment).await?;
    let database = config.database.uri.clone();
    let ctx = create_context::<App>(environment, config)
        .await
        .map_err(|error| located(error, &database))?;
    log::start(&ctx.config.logger)?;
    // In production Loco skips what is for developers alone.
    let mut checks = run_all::<App>(&ctx, true).await?;
    // `ConfigAudit` names the others.
    checks.remove(&Resource::ProductionSafety);
    for check in checks.values() {
        println!("{check}");
    }
    if checks.values().all(Check::valid) {
        Ok(())
    } else {
        Err(Error::string("a check has failed"))
    }
}

/// An error of the connection, with the setting and where the database was looked for.
fn located(error: Error, database: &str) -> Error {
    match (&error, address::server(database)) {
        (Error::DB(why @ (DbErr::Conn(_) | DbErr::ConnectionAcquire(_))), Some(server)) => {
            Error::Message(format!(
                "DATABASE_URL (database.uri): the database at {server}, cannot be reached: {why}"
            ))
        }
        _ => error,
    }
}

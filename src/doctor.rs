//! `boxcar-cli doctor`: whether the settings, the database and Redis are as they should be.

use loco_rs::{
    Error, Result,
    app::Hooks,
    boot::create_context,
    doctor::{Resource, run_all},
    environment::Environment,
    logger,
};

use crate::app::App;

/// Prints what it has checked.
///
/// Loco's own command also looks for `Cargo.lock`, which a server does not have, and takes a server that only this
/// machine reaches for a fault, which is right behind a proxy.
///
/// # Errors
/// When a check has failed.
pub async fn run(environment: &Environment) -> Result<()> {
    let config = App::load_config(environment).await?;
    let ctx = create_context::<App>(environment, config).await?;
    logger::init::<App>(&ctx.config.logger)?;
    // In production Loco skips what is for developers alone.
    let mut checks = run_all::<App>(&ctx, true).await?;
    // `ConfigAudit` names the others.
    checks.remove(&Resource::ProductionSafety);
    for check in checks.values() {
        println!("{check}");
    }
    if checks.values().all(loco_rs::doctor::Check::valid) {
        Ok(())
    } else {
        Err(Error::string("a check has failed"))
    }
}

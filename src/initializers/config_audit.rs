//! Says which settings are not safe where they are used: in `cargo loco doctor`, and at every start.

use std::net::IpAddr;

use async_trait::async_trait;
use loco_rs::{
    Result,
    app::{AppContext, Initializer},
    doctor::{Check, CheckStatus},
    environment::Environment,
};

use crate::settings::{OnError, Settings, address, is_public_secret, weakness};

/// The check.
#[derive(Clone, Copy, Debug)]
pub struct ConfigAudit;

#[async_trait]
impl Initializer for ConfigAudit {
    fn name(&self) -> String {
        "config_audit".to_owned()
    }

    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        let found = match ctx.environment {
            Environment::Production => unsafe_settings(ctx)?,
            _ => exposed(ctx)?,
        };
        for what in found {
            tracing::warn!("not safe: {what}");
        }
        Ok(())
    }

    async fn check(&self, ctx: &AppContext) -> Result<Option<Check>> {
        let unsafe_settings = unsafe_settings(ctx)?;
        let production = ctx.environment == Environment::Production;
        let (status, message) = match (unsafe_settings.is_empty(), production) {
            (true, _) => (CheckStatus::Ok, "every setting is safe"),
            (false, true) => (CheckStatus::NotOk, "some settings are not safe"),
            (false, false) => (
                CheckStatus::Ok,
                "some settings are safe for development only",
            ),
        };
        Ok(Some(Check {
            status,
            message: message.to_owned(),
            description: (!unsafe_settings.is_empty()).then(|| unsafe_settings.join("\n")),
        }))
    }
}

/// Warns when others than this machine can reach a server whose tokens anyone can forge.
///
/// # Errors
/// When there is no secret.
pub fn check_interface(ctx: &AppContext, address: IpAddr) -> Result<()> {
    let is_private = address.to_canonical().is_loopback();
    if !is_private && let Some(why) = weakness(&ctx.config.get_jwt_config()?.secret) {
        tracing::warn!(
            %address,
            "not safe: JWT_SECRET {why}, and the server listens to other machines: anyone who reaches it can \
             become an administrator"
        );
    }
    Ok(())
}

/// What other machines, or other users of this one, can read.
fn exposed(ctx: &AppContext) -> Result<Vec<&'static str>> {
    let settings = Settings::of(ctx)?;
    let database = &ctx.config.database.uri;
    let found = [
        (
            address::is_in_clear(database),
            "DATABASE_URL: ssl-mode or sslmode lets what is said to the database go through the network in clear",
        ),
        (
            settings.redis.url().is_some_and(address::is_in_clear),
            "REDIS_URL: what is said to Redis goes through the network in clear: rediss:// is with TLS",
        ),
        (
            settings.mail.is_in_clear(),
            "SMTP_URL: mails go through the network in clear: smtps:// is with TLS, and so is smtp:// with a user",
        ),
        (
            address::file(database).is_some_and(|path| address::is_open_to_others(&path)),
            "DATABASE_URL: other users of this machine can read the SQLite file: `chmod 600` it",
        ),
    ];
    Ok(named(found))
}

/// What would not do in production, each with the variable that mends it.
fn unsafe_settings(ctx: &AppContext) -> Result<Vec<&'static str>> {
    let settings = Settings::of(ctx)?;
    let config = &ctx.config;
    let database = &config.database;
    let secret = &config.get_jwt_config()?.secret;
    let found = [
        (
            is_public_secret(secret),
            "JWT_SECRET is the public one of the source",
        ),
        (
            !is_public_secret(secret) && weakness(secret).is_some(),
            "JWT_SECRET is easily guessed",
        ),
        (
            settings.security.previous_jwt_secret().is_some(),
            "JWT_SECRET_PREVIOUS: what it signed is still good: take it out when that has expired",
        ),
        (
            config.get_jwt_config()?.expiration > 86_400,
            "JWT_EXPIRATION: a token that is stolen is good for more than a day",
        ),
        (
            settings.rate_limit.requests == 0,
            "RATE_LIMIT_REQUESTS=0: clients may ask as often as they like",
        ),
        (
            settings.redis.url().is_some() && settings.rate_limit.on_error == OnError::Allow,
            "RATE_LIMIT_ON_ERROR=allow: without Redis clients may ask as often as they like",
        ),
        (
            settings.security.login_failures == 0,
            "LOGIN_FAILURES=0: passwords can be tried without end",
        ),
        (
            settings.security.password_min_length < 12,
            "settings.security.password_min_length is below 12",
        ),
        (
            config.server.middlewares.cors.as_ref().is_some_and(|cors| {
                cors.enable && cors.allow_origins.iter().any(|origin| origin == "*")
            }),
            "CORS_ALLOW_ORIGINS=*: every page may call the API from its visitors' browsers",
        ),
        (
            settings.connections.trusted_proxy_header.is_empty()
                && is_local(&config.server.binding),
            "TRUSTED_PROXY_HEADER is not set, and BINDING lets only this machine connect: all clients of a proxy \
             on it share one quota",
        ),
        (
            config.logger.pretty_backtrace,
            "logger.pretty_backtrace makes the server slower, and puts paths of the source into the log",
        ),
        (
            settings.metrics.enable,
            "METRICS=true: anyone who reaches the port can read the metrics",
        ),
        (
            settings.demo.seed,
            "SEED_DEMO=true: an empty store is filled with the demo",
        ),
        (
            settings.first_admin.generate,
            "settings.first_admin.generate prints a password",
        ),
        (
            settings
                .first_admin
                .password
                .as_ref()
                .is_some_and(|given| !given.is_empty()),
            "ADMIN_PASSWORD stays in the environment: take it out when the administrator is made",
        ),
        (
            database.enable_logging,
            "DB_LOGGING=true: people's data goes into the log",
        ),
        (
            database.dangerously_truncate || database.dangerously_recreate,
            "database.dangerously_truncate or dangerously_recreate empties the store at every start",
        ),
    ];
    Ok([named(found), exposed(ctx)?].concat())
}

/// Whether a server that is bound there can be reached from its own machine only, as behind a proxy.
fn is_local(binding: &str) -> bool {
    let address = binding.trim_matches(['[', ']']).parse::<IpAddr>();
    binding == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn named(found: impl IntoIterator<Item = (bool, &'static str)>) -> Vec<&'static str> {
    found
        .into_iter()
        .filter_map(|(is_found, what)| is_found.then_some(what))
        .collect()
}

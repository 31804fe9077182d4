//! The store's own settings: the `settings:` of `config/*.yaml`, typed once. Each key is explained
//! there; one that is not known here is refused.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use loco_rs::{Error, Result, app::AppContext, environment::Environment};
use serde::Deserialize;

/// The store's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What the store is.
    pub store: Store,
    /// What keeps it safe.
    pub security: Security,
    /// How often each client may ask.
    pub rate_limit: RateLimit,
    /// The server's own cache of answers.
    pub cache: Cache,
    /// The Redis that nodes share.
    pub redis: Redis,
    /// The first administrator.
    pub first_admin: FirstAdmin,
    /// The demo catalogue.
    pub demo: Demo,
    /// Figures for those who watch over the server.
    pub metrics: Metrics,
    /// Whom the server listens to.
    pub connections: Connections,
    /// How the server ends.
    pub shutdown: Shutdown,
}

/// What the store is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// The one currency (ISO 4217).
    pub currency: String,
}

/// What keeps the store safe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// The shortest password, in characters.
    pub password_min_length: usize,
    /// Failed logins per username and address before more are refused; 0 turns it off.
    pub login_failures: u32,
    /// Over how many seconds they are counted.
    pub login_failures_period_seconds: u64,
}

/// How often each client may ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per route and client; 0 turns the limit off.
    pub requests: u32,
    /// Over how many seconds they are counted.
    pub period_seconds: u64,
    /// What happens when the shared counter cannot be reached.
    pub on_error: OnError,
}

/// What the limiter does when it cannot count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Let requests through.
    Allow,
    /// Refuse them.
    Deny,
}

/// The server's own cache of answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// How much it holds, in bytes.
    pub max_bytes: u64,
    /// How long an answer is kept, in seconds.
    pub ttl_seconds: u64,
}

/// The Redis that nodes share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Where it is; without it, or when it is empty, the node keeps to itself.
    url: Option<String>,
    /// What every key begins with. Nodes that share a database share it; two stores never do.
    pub prefix: String,
}

/// The administrator that is made when there is none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstAdmin {
    /// The name to log in with.
    pub username: Option<String>,
    /// The password to log in with.
    pub password: Option<String>,
    /// Whether one is made with a random password when neither is given.
    pub generate: bool,
}

/// The demo catalogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demo {
    /// Whether an empty database is filled with it.
    pub seed: bool,
}

/// Figures for those who watch over the server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Whether they can be read, without a token.
    pub enable: bool,
}

/// Whom the server listens to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// How many connections there are at once at most.
    pub max: usize,
    /// For how many seconds a client may send no request, or take none of its answer.
    pub patience_seconds: u64,
    /// The header in which the proxy in front says for whom it asks; empty when there is none.
    pub trusted_proxy_header: String,
}

/// How the server ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// For how many seconds it takes requests when it no longer calls itself ready.
    pub delay_seconds: u64,
}

impl Redis {
    /// Where it is, if there is one.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| !url.is_empty())
    }
}

impl Settings {
    /// Reads the settings from the configuration, and keeps them with the context.
    ///
    /// # Errors
    /// When a key is missing, unknown, or has a value that cannot be.
    pub fn load(ctx: &AppContext) -> Result<()> {
        let settings = ctx
            .config
            .settings
            .clone()
            .ok_or_else(|| Error::string("the configuration has no `settings:`"))?;
        let settings: Self = serde_json::from_value(settings)
            .map_err(|error| Error::Message(format!("settings: {error}")))?;
        settings.check()?;
        check_secret(ctx)?;
        ctx.shared_store.insert(Arc::new(settings));
        Ok(())
    }

    /// The settings that were kept with the context.
    ///
    /// # Errors
    /// When they were never loaded.
    pub fn of(ctx: &AppContext) -> Result<Arc<Self>> {
        ctx.shared_store
            .get()
            .ok_or_else(|| Error::string("settings were not loaded"))
    }

    fn check(&self) -> Result<()> {
        let currency = &self.store.currency;
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(Error::Message(format!(
                "settings.store.currency: {currency} is no ISO 4217 code"
            )));
        }
        if !(8..=64).contains(&self.security.password_min_length) {
            return Err(Error::string(
                "settings.security.password_min_length: must be between 8 and 64",
            ));
        }
        if self.rate_limit.period_seconds == 0 || self.security.login_failures_period_seconds == 0 {
            return Err(Error::string(
                "settings: a budget's period_seconds has to be at least 1",
            ));
        }
        if self.connections.max == 0 || self.connections.patience_seconds == 0 {
            return Err(Error::string(
                "settings.connections: max and patience_seconds have to be at least 1",
            ));
        }
        Ok(())
    }
}

/// The secret that stands in the configuration of development and tests.
const PUBLIC_SECRET: &str =
    "Ym94Y2FyLWRldmVsb3BtZW50LW9ubHkta2V5LW5vdC1mb3ItcHJvZHVjdGlvbi1hdC1hbGwtMDEyMzQ1Njc4OQ==";

/// Whether everybody can read the secret in the source.
#[must_use]
pub fn is_public_secret(secret: &str) -> bool {
    secret == PUBLIC_SECRET
}

/// A secret that is missing, short or known would sign tokens that anybody can forge.
fn check_secret(ctx: &AppContext) -> Result<()> {
    let refused = |why: &str| {
        Err(Error::Message(format!(
            "JWT_SECRET (auth.jwt.secret) {why}; `openssl rand -base64 64 | tr -d '\\n'` makes one"
        )))
    };
    let secret = &ctx.config.get_jwt_config()?.secret;
    if secret.is_empty() {
        return refused("is missing");
    }
    match STANDARD.decode(secret) {
        Err(_) => return refused("is no base64"),
        Ok(key) if key.len() < 64 => return refused("is shorter than 64 bytes"),
        Ok(_) => {}
    }
    if ctx.environment == Environment::Production && is_public_secret(secret) {
        return refused("is the one of development, which everybody knows");
    }
    Ok(())
}

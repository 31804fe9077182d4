//! The store's own settings: the `settings:` of `config/*.yaml`, typed once. Each key is explained
//! there; one that is not known here is refused.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use chrono::TimeDelta;
use loco_rs::{Error, Result, app::AppContext, config::Config, environment::Environment};
use serde::Deserialize;

pub mod address;
mod file;
pub mod mail;
mod secret;

pub use self::{
    file::read,
    secret::{is_public_secret, weakness},
};

/// A year, in seconds: longer than any of the times that can be set.
const YEAR: u64 = 31_536_000;

/// For how many hours a link may be good: from some seconds to a year.
const HOURS: RangeInclusive<f64> = 0.001..=8_760.0;

/// How often a webhook is sent again at most.
const MOST_RETRIES: usize = 30;

/// The store's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What the store is.
    pub store: Shop,
    /// What keeps it safe.
    pub security: Security,
    /// How often each client may ask.
    pub rate_limit: RateLimit,
    /// The server's own cache of answers.
    pub cache: Cache,
    /// How long checkouts last, and what visitors may hold.
    pub checkout: Checkout,
    /// The Redis that nodes share.
    pub redis: Redis,
    /// The first administrator.
    pub first_admin: FirstAdmin,
    /// The demo catalogue.
    pub demo: Demo,
    /// What has happened.
    pub events: Events,
    /// What is sent to others.
    pub deliveries: Deliveries,
    /// How webhooks are sent.
    pub webhooks: Webhooks,
    /// How mails are sent.
    pub mail: mail::Mail,
    /// What Prometheus can read of the server.
    pub metrics: Metrics,
    /// Whom the server listens to.
    pub connections: Connections,
    /// How the server ends.
    pub shutdown: Shutdown,
}

/// What the store is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shop {
    /// The one currency (ISO 4217).
    pub currency: String,
    /// Whether prices include tax; otherwise it comes on top.
    pub prices_include_tax: bool,
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
    /// For how many hours the links are good that end a registration or move an account to another address.
    pub verify_hours: f64,
    /// For how many hours a link is good that sets a new password.
    pub reset_hours: f64,
    /// What signed tokens before; empty when those are not good any more.
    previous_jwt_secret: String,
}

/// How long checkouts last, and what visitors may hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkout {
    /// For how many minutes stock is held; 0 turns holds off.
    pub hold_minutes: f64,
    /// How many pieces a visitor may hold in one checkout.
    pub hold_pieces: u32,
    /// How many checkouts and holds a visitor may begin in an hour; 0: any number.
    pub holds_per_hour: u32,
    /// For how many days a checkout is open after its last change, and is shown to a visitor after its end.
    pub days: f64,
    /// After how many seconds what is past its time is ended again; 0: never by this node.
    pub sweep_seconds: u64,
}

impl Checkout {
    /// For how long stock is held.
    #[must_use]
    pub fn hold(&self) -> TimeDelta {
        seconds(self.hold_minutes * 60.0)
    }

    /// For how long a checkout is open.
    #[must_use]
    pub fn lasts(&self) -> TimeDelta {
        seconds(self.days * 86_400.0)
    }
}

/// A time of so many seconds, to the microsecond, as it is kept.
fn seconds(seconds: f64) -> TimeDelta {
    let time = Duration::from_secs_f64(seconds);
    TimeDelta::microseconds(i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
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

/// What has happened.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// For how many days it is kept; 0 is for ever.
    pub keep_days: u32,
}

/// What is sent to others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deliveries {
    /// Whether this node sends it.
    pub relay: bool,
    /// For how many days it is kept when it is done.
    pub keep_days: u32,
}

/// How webhooks are sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Whether they may be sent in clear, and to the inside network.
    pub allow_private: bool,
    /// How many seconds to wait after each failure, separated by commas; empty when nothing is sent again.
    retry_seconds: String,
    /// For how many seconds an old secret signs beside the new one.
    secret_overlap_seconds: u64,
    /// After how many seconds of nothing but failures an endpoint is disabled.
    disable_after_seconds: u64,
}

/// What Prometheus can read of the server.
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
    /// How many of them one address may have; 0 turns the limit off.
    max_per_address: usize,
    /// For how many seconds a client may send no request, or take none of its answer.
    pub timeout_seconds: u64,
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
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| !url.is_empty())
    }
}

impl Security {
    /// The secret that signed tokens before the current one, if its tokens are still good.
    pub fn previous_jwt_secret(&self) -> Option<&str> {
        Some(self.previous_jwt_secret.as_str()).filter(|secret| !secret.is_empty())
    }
}

impl Security {
    /// For how long the links are good that end a registration or move an account to another address.
    pub fn verify_within(&self) -> Duration {
        Duration::from_secs_f64(self.verify_hours * 3_600.0)
    }

    /// For how long a link is good that sets a new password.
    pub fn reset_within(&self) -> Duration {
        Duration::from_secs_f64(self.reset_hours * 3_600.0)
    }
}

impl Webhooks {
    /// How long to wait after each failure; `None` when that cannot be read.
    pub fn waits(&self) -> Option<Vec<Duration>> {
        if self.retry_seconds.is_empty() {
            return Some(Vec::new());
        }
        let waits = self.retry_seconds.split(',').map(|seconds| {
            let seconds = seconds.trim().parse().ok();
            let seconds = seconds.filter(|seconds| (0..=YEAR).contains(seconds))?;
            Some(Duration::from_secs(seconds))
        });
        waits.collect()
    }

    /// For how long an old secret signs beside the new one.
    pub const fn secret_overlap(&self) -> Duration {
        Duration::from_secs(self.secret_overlap_seconds)
    }

    /// After how long of nothing but failures an endpoint is disabled.
    pub const fn disable_after(&self) -> Duration {
        Duration::from_secs(self.disable_after_seconds)
    }
}

impl Connections {
    /// How many one address may have, or one /64 of IPv6, if there is such a limit.
    pub fn max_per_address(&self) -> Option<usize> {
        Some(self.max_per_address).filter(|max| *max > 0)
    }
}

impl Settings {
    /// Reads the settings from the configuration, and keeps them with the context.
    ///
    /// # Errors
    /// When a key is missing, unknown, or has a value that cannot be.
    pub fn load(ctx: &AppContext) -> Result<()> {
        let settings = Self::checked(&ctx.config, &ctx.environment)?;
        ctx.shared_store.insert(Arc::new(settings));
        Ok(())
    }

    /// The settings that were kept with the context.
    pub fn of(ctx: &AppContext) -> Result<Arc<Self>> {
        ctx.shared_store
            .get()
            .ok_or_else(|| Error::string("settings were not loaded"))
    }

    /// The settings in the configuration, if everything that is configured can be.
    fn checked(config: &Config, environment: &Environment) -> Result<Self> {
        let settings = config
            .settings
            .clone()
            .ok_or_else(|| Error::string("the configuration has no `settings:`"))?;
        let settings: Self = serde_path_to_error::deserialize(settings).map_err(|error| {
            let key = match error.path().to_string().as_str() {
                "." => "settings".to_owned(),
                path => format!("settings.{path}"),
            };
            fault(&key, &error.inner().to_string())
        })?;
        settings.check(config)?;
        settings.check_secrets(config, environment)?;
        Ok(settings)
    }

    fn check(&self, config: &Config) -> Result<()> {
        let (database, request) = (&config.database, &config.server.middlewares.timeout_request);
        let (security, connections) = (&self.security, &self.connections);
        let most_connections = u64::from(database.max_connections);
        let request_timeout = request.as_ref().map_or(1, |request| request.timeout);
        let port = u64::try_from(config.server.port).unwrap_or_default();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        #[rustfmt::skip]
        let numbers: [(&str, u64, RangeInclusive<u64>); 23] = [
            ("server.port", port, 1..=65_535),
            ("server.middlewares.timeout_request.timeout", request_timeout, 1..=YEAR),
            ("database.connect_timeout", database.connect_timeout, 1..=YEAR),
            ("database.idle_timeout", database.idle_timeout, 1..=YEAR * 1_000),
            ("database.max_connections", most_connections, 1..=100_000),
            ("database.min_connections", database.min_connections.into(), 0..=most_connections),
            ("auth.jwt.expiration", config.get_jwt_config()?.expiration, 1..=YEAR),
            ("settings.security.password_min_length", number(security.password_min_length), 8..=64),
            ("settings.security.login_failures_period_seconds", security.login_failures_period_seconds, 1..=YEAR),
            ("settings.rate_limit.period_seconds", self.rate_limit.period_seconds, 1..=YEAR),
            ("settings.checkout.hold_pieces", self.checkout.hold_pieces.into(), 1..=1_000_000),
            ("settings.checkout.holds_per_hour", self.checkout.holds_per_hour.into(), 0..=1_000_000),
            ("settings.checkout.sweep_seconds", self.checkout.sweep_seconds, 0..=YEAR),
            ("settings.cache.ttl_seconds", self.cache.ttl_seconds, 1..=YEAR),
            ("settings.events.keep_days", self.events.keep_days.into(), 0..=36_500),
            ("settings.deliveries.keep_days", self.deliveries.keep_days.into(), 1..=36_500),
            ("settings.webhooks.secret_overlap_seconds", self.webhooks.secret_overlap_seconds, 0..=YEAR),
            ("settings.webhooks.disable_after_seconds", self.webhooks.disable_after_seconds, 1..=YEAR),
            ("settings.connections.max", number(connections.max), 1..=1_000_000),
            ("settings.connections.max_per_address", number(connections.max_per_address), 0..=1_000_000),
            ("settings.connections.timeout_seconds", connections.timeout_seconds, 1..=YEAR),
            ("settings.shutdown.delay_seconds", self.shutdown.delay_seconds, 0..=YEAR),
            ("settings.cache.max_bytes", self.cache.max_bytes, 0..=1 << 50),
        ];
        for (key, value, range) in numbers {
            if !range.contains(&value) {
                let (least, most) = range.into_inner();
                return Err(fault(key, &format!("must be between {least} and {most}")));
            }
        }
        let checkout = &self.checkout;
        for (key, number, range) in [
            (
                "settings.security.verify_hours",
                security.verify_hours,
                HOURS,
            ),
            ("settings.security.reset_hours", security.reset_hours, HOURS),
            (
                "settings.checkout.hold_minutes",
                checkout.hold_minutes,
                0.0..=60.0,
            ),
            ("settings.checkout.days", checkout.days, 0.00001..=3_650.0),
        ] {
            if !range.contains(&number) {
                let (least, most) = range.into_inner();
                return Err(fault(key, &format!("must be between {least} and {most}")));
            }
        }
        let currency = &self.store.currency;
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(fault(
                "settings.store.currency",
                &format!("{currency} is not an ISO 4217 code"),
            ));
        }
        let waits = self.webhooks.waits();
        if waits.is_none_or(|waits| waits.len() > MOST_RETRIES) {
            return Err(fault(
                "settings.webhooks.retry_seconds",
                &format!("must be up to {MOST_RETRIES} numbers of seconds, separated by commas"),
            ));
        }
        if config.server.binding.is_empty() {
            return Err(fault("server.binding", "is empty"));
        }
        if let Some(url) = self.redis.url() {
            address::check_redis(url).map_err(|why| fault("settings.redis.url", &why))?;
        }
        let mail = self.mail.check();
        mail.map_err(|(key, why)| fault(&format!("settings.mail.{key}"), &why))
    }

    /// A secret that is missing, short or known would sign tokens that anybody can forge.
    fn check_secrets(&self, config: &Config, environment: &Environment) -> Result<()> {
        let secrets = [
            (
                "auth.jwt.secret",
                Some(config.get_jwt_config()?.secret.as_str()),
            ),
            (
                "settings.security.previous_jwt_secret",
                self.security.previous_jwt_secret(),
            ),
        ];
        for (key, secret) in secrets {
            let Some(secret) = secret else { continue };
            let weakness = || {
                let weakness = weakness(secret);
                weakness.filter(|_| *environment == Environment::Production)
            };
            if let Some(why) = secret::fault(secret).or_else(weakness) {
                let remedy = "`openssl rand -base64 64 | tr -d '\n'` makes one";
                return Err(fault(key, &format!("{why}; {remedy}")));
            }
        }
        Ok(())
    }
}

/// What is wrong with a setting, which is named with the variable that sets it.
fn fault(key: &str, why: &str) -> Error {
    Error::Message(match file::variable(key) {
        Some(variable) => format!("{variable} ({key}): {why}"),
        None => format!("{key}: {why}"),
    })
}

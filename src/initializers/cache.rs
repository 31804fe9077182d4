//! Plugs in what keeps answers and what nodes share: in memory, or in Redis when the settings name one.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::{AppContext, Initializer},
    doctor::{Check, CheckStatus},
};
use sea_orm::DatabaseConnection;

use crate::{
    controllers::extract::{
        cached::{Answers, Totals},
        caller::Accounts,
    },
    models::{Topic, transaction::Store},
    settings::Settings,
    shared::{SharedState, digest::Digest, metrics::Metrics, plugged_in, redis::Redis},
    views::answer::Representation,
};

/// How many bytes of accounts are kept: some ten thousand of them.
const ACCOUNTS_BYTES: u64 = 8 << 20;

/// How many bytes of lists' sizes are kept: of some thousand filters.
const TOTALS_BYTES: u64 = 1 << 20;

/// The cache.
#[derive(Clone, Copy, Debug)]
pub struct Cache;

#[async_trait]
impl Initializer for Cache {
    fn name(&self) -> String {
        "cache".to_owned()
    }

    async fn check(&self, ctx: &AppContext) -> Result<Option<Check>> {
        let stores = stores(ctx)?;
        if !stores.is_shared() {
            return Ok(None);
        }
        let (status, message, description) = match stores.check().await {
            Ok(()) => (CheckStatus::Ok, "Redis: success".to_owned(), None),
            Err(why) => (CheckStatus::NotOk, "Redis: fails".to_owned(), Some(why)),
        };
        Ok(Some(Check {
            status,
            message,
            description,
        }))
    }
}

/// Makes the stores, and keeps them with the context.
///
/// # Errors
/// When `REDIS_URL` is no address of a Redis.
pub fn plug_in(ctx: &AppContext) -> Result<()> {
    let settings = Settings::of(ctx)?;
    let ttl = Duration::from_secs(settings.cache.ttl_seconds);
    let metrics = Metrics::default();
    let digest = Digest::keyed(&ctx.config.get_jwt_config()?.secret, "names");
    let redis = match settings.redis.url() {
        None => None,
        Some(url) => Some(
            Redis::at(
                url,
                &settings.redis.prefix,
                digest.clone(),
                ttl,
                metrics.clone(),
            )
            .map_err(|error| Error::Message(format!("REDIS_URL: {error}")))?,
        ),
    };
    let stores = SharedState::new(redis, digest, metrics);
    let answers = Answers::new(
        settings.cache.max_bytes,
        ttl,
        stores.metrics.clone(),
        Representation::size,
    );
    let totals_bytes = TOTALS_BYTES.min(settings.cache.max_bytes);
    let totals = Totals::new(totals_bytes, ttl, Metrics::default(), |_| size_of::<u64>());
    let accounts = Accounts::new(ACCOUNTS_BYTES, ttl, Metrics::default(), |_| 512);
    ctx.shared_store.insert(Arc::new(answers));
    ctx.shared_store.insert(Arc::new(totals));
    ctx.shared_store.insert(Arc::new(accounts));
    ctx.shared_store.insert(Arc::new(stores));
    Ok(())
}

/// What this node knows and what it shares.
///
/// # Errors
/// When it was not plugged in.
pub fn stores(ctx: &AppContext) -> Result<Arc<SharedState>> {
    plugged_in(ctx)
}

impl Store for AppContext {
    fn db(&self) -> &DatabaseConnection {
        &self.db
    }

    async fn changed(&self, topics: BTreeSet<Topic>) {
        if let Ok(stores) = stores(self) {
            let everything = topics.contains(&Topic::Everything);
            let topics: Vec<_> = topics.into_iter().collect();
            stores.bump(&topics, everything).await;
        }
    }
}

//! The one typed state of a server: what its handlers, its middleware and the server itself work with.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use loco_rs::{Error, Result, app::AppContext, config::JWT};
use sea_orm::DatabaseConnection;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    models::{
        self, Actor, CacheTag, Transaction,
        api_keys::{Permit, Uses},
        checkouts::{Buyer, Rules},
        customer_accounts::{Model, Verifier},
        events::{self, Cause, Feed},
        growing::KeptBase,
        idempotency_keys::{Fingerprints, InFlight},
        mails::Letterhead,
        orders::Sale,
        reader::Reader,
        transaction::Database,
        types::{NewPassword, Sealer, WebhookUrl},
    },
    settings::Settings,
    shared::{SharedState, cache::VersionedCache, digest::Digest, metrics::Metrics, redis::Redis},
    views::{answer::CachedBody, events::EventData},
};

/// How many bytes of accounts are kept: some ten thousand of them.
const ACCOUNTS_BYTES: u64 = 8 << 20;

/// How many bytes of keys are kept: of as many as there may be.
const KEYS_BYTES: u64 = 2 << 20;

/// How long a key is kept at most: without a Redis nobody tells a server of what a command deletes.
const KEYS_TTL: Duration = Duration::from_secs(5);

/// How many bytes of lists' sizes are kept: of some thousand filters.
const TOTALS_BYTES: u64 = 1 << 20;

/// How many writes run at once when the node is busy.
const BUSY: usize = 8;

/// The answers that this node keeps.
pub type Answers = VersionedCache<CachedBody>;

/// How many rows lists have, as this node counted them.
pub type Totals = VersionedCache<u64>;

/// The beginnings of lists that only grow, as this node counted them.
pub type Bases = VersionedCache<Arc<KeptBase>>;

/// The accounts that have called lately, by their `pid`.
pub type Accounts = VersionedCache<Arc<Model>>;

/// The keys that were used lately, by their digests.
pub type Keys = VersionedCache<Arc<Permit>>;

/// What handlers work with. axum clones it for each request, which costs next to nothing.
///
/// It is not a [`Database`]: a handler changes data on behalf of its caller.
#[derive(Clone)]
pub struct Context(Arc<ServerState>);

/// What stands in a [`Context`].
pub struct ServerState {
    /// The database.
    pub db: Reader,
    /// How tokens are signed.
    pub jwt: JWT,
    /// The store's settings.
    pub settings: Arc<Settings>,
    /// What nodes share.
    pub shared: SharedState,
    /// The answers that are kept.
    pub answers: Answers,
    /// The sizes of lists that are kept.
    pub totals: Totals,
    /// The beginnings of lists that are kept.
    pub bases: Bases,
    /// The accounts that are kept.
    pub accounts: Accounts,
    /// The keys that are kept.
    pub keys: Keys,
    /// When keys were used.
    pub key_uses: Uses,
    /// What is known of the feed of events.
    pub feed: Feed,
    /// In whose name mails are sent, if they are.
    pub letterhead: Option<Letterhead>,
    /// What checks tokens.
    pub verifier: Verifier,
    /// What makes fingerprints of requests.
    pub fingerprints: Fingerprints,
    /// What seals the secrets of webhook endpoints.
    pub sealer: Sealer,
    /// Wakes those who send, when there is something to be sent.
    pub deliveries: Notify,
    /// Wakes those who send mails.
    pub mails: Notify,
    /// The requests with an `Idempotency-Key` that are running.
    pub in_flight: Arc<InFlight>,
    /// What the server knows of its end.
    pub draining: Draining,
    /// What the start has created.
    pub announcements: Announcements,
}

/// What a start has created: said at once, and once more when the server listens.
#[derive(Debug, Default)]
pub struct Announcements(Mutex<BTreeMap<&'static str, (String, Option<String>)>>);

impl Announcements {
    /// Prints what was created, with the administrator's password if that is new. Said again, it takes the place
    /// of what was said before of the same.
    pub fn say(&self, of: &'static str, text: String, password: Option<&str>) {
        println!("{text}");
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.insert(of, (text, password.map(str::to_owned)));
    }

    /// Takes back what was said: it was not created after all.
    pub fn take_back(&self, of: &'static str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.remove(of);
    }

    /// All that was said.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Option<String>)> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.values().cloned().collect()
    }
}

/// What the server knows of its end.
#[derive(Debug, Default)]
pub struct Draining {
    begun: CancellationToken,
    /// The writes that run, also those whose clients have hung up.
    pub writes: TaskTracker,
}

impl Context {
    /// Makes the context from Loco's, and leaves it there: Loco hands its own to every hook, and no other.
    ///
    /// # Errors
    /// When a setting is wrong, or `REDIS_URL` is not the address of a Redis.
    pub fn install(ctx: &AppContext) -> Result<()> {
        Settings::load(ctx)?;
        let settings = Settings::of(ctx)?;
        NewPassword::set_min_length(settings.security.password_min_length);
        WebhookUrl::set_allow_private(settings.webhooks.allow_private);
        let jwt = ctx.config.get_jwt_config()?.clone();
        let previous_secret = settings.security.previous_jwt_secret();
        let ttl = Duration::from_secs(settings.cache.ttl_seconds);
        let metrics = Metrics::default();
        let digest = Digest::keyed(&jwt.secret, "names");
        let redis = settings.redis.url().map(|url| {
            let prefix = &settings.redis.prefix;
            Redis::at(url, prefix, digest.clone(), ttl, metrics.clone())
                .map_err(|error| Error::Message(format!("REDIS_URL: {error}")))
        });
        let max_bytes = settings.cache.max_bytes;
        ctx.shared_store.insert(Self(Arc::new(ServerState {
            db: Reader::of(ctx.db.clone()),
            answers: Answers::new(max_bytes, ttl, metrics.clone(), CachedBody::size),
            totals: Totals::new(TOTALS_BYTES.min(max_bytes), ttl, Metrics::default(), |_| {
                size_of::<u64>()
            }),
            bases: Bases::new(TOTALS_BYTES.min(max_bytes), ttl, Metrics::default(), |_| {
                size_of::<KeptBase>()
            }),
            accounts: Accounts::new(ACCOUNTS_BYTES, ttl, Metrics::default(), |_| 512),
            keys: Keys::new(KEYS_BYTES, ttl.min(KEYS_TTL), Metrics::default(), |_| 256),
            key_uses: Uses::default(),
            feed: Feed::default(),
            letterhead: settings.mail.is_on().then(|| Letterhead {
                shop_name: settings.mail.shop_name.clone(),
                domain: settings.mail.sender().email.domain().to_owned(),
            }),
            verifier: Verifier::new(&jwt.secret, previous_secret)?,
            fingerprints: Fingerprints::keyed_with(&jwt.secret, previous_secret)?,
            sealer: Sealer::keyed_with(&jwt.secret, previous_secret)?,
            deliveries: Notify::new(),
            mails: Notify::new(),
            in_flight: Arc::default(),
            draining: Draining::default(),
            announcements: Announcements::default(),
            shared: SharedState::new(redis.transpose()?, digest, metrics),
            jwt,
            settings,
        })));
        Ok(())
    }

    /// The context that was left with Loco's.
    ///
    /// # Errors
    /// When it was not.
    pub fn of(ctx: &AppContext) -> Result<Self> {
        ctx.shared_store
            .get()
            .ok_or_else(|| Error::string("the context was not installed"))
    }

    /// On which terms somebody sells.
    #[must_use]
    pub fn sale<'a>(&'a self, actor: &'a Actor, by_customer: bool) -> Sale<'a> {
        Sale {
            currency: &self.settings.store.currency,
            prices_include_tax: self.settings.store.prices_include_tax,
            actor,
            by_customer,
        }
    }

    /// What the store says to a buyer, who may be a visitor from somewhere.
    #[must_use]
    pub fn checkout_rules<'a>(
        &'a self,
        actor: &'a Actor,
        buyer: Buyer,
        budget: Option<&'a str>,
    ) -> Rules<'a> {
        let settings = &self.settings.checkout;
        Rules {
            buyer,
            sale: self.sale(actor, buyer != Buyer::Staff),
            hold: settings.hold(),
            lasts: settings.lasts(),
            hold_pieces: settings.hold_pieces.into(),
            budget,
        }
    }

    /// The store, to be changed for that cause.
    #[must_use]
    pub fn caused_by(&self, cause: impl Into<Cause>) -> CausedBy {
        CausedBy {
            ctx: self.clone(),
            cause: cause.into(),
        }
    }

    /// Writes down what has happened in a transaction, as part of it.
    ///
    /// # Errors
    /// When the database refuses, or a subject cannot be shown.
    pub async fn record(&self, txn: &Transaction, cause: &Cause) -> models::Result<()> {
        let (currency, letterhead) = (&self.settings.store.currency, self.letterhead.as_ref());
        events::Model::record(txn, cause, letterhead, |happened, subject| {
            EventData::new(happened, subject, currency).json()
        })
        .await
    }

    /// Outdates what is kept of these, on every node.
    pub async fn invalidate(&self, mut tags: BTreeSet<CacheTag>) {
        if tags.remove(&CacheTag::Deliveries) {
            self.deliveries.notify_one();
        }
        if tags.remove(&CacheTag::Mails) {
            self.mails.notify_one();
        }
        if tags.is_empty() {
            return;
        }
        let everything = tags.contains(&CacheTag::Everything);
        let added: Vec<_> = tags.iter().filter_map(CacheTag::joins).collect();
        let mut tags: Vec<_> = tags.into_iter().collect();
        tags.retain(|tag| tag.joins().is_none());
        self.shared.bump(&tags, &added, everything).await;
    }
}

impl Deref for Context {
    type Target = ServerState;

    fn deref(&self) -> &ServerState {
        &self.0
    }
}

impl Draining {
    /// The server is about to end.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Whether so many writes run that others should wait.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.writes.len() >= BUSY
    }

    /// Comes when it is.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Whether it is.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }
}

/// The store, as the server changes it by itself.
impl Database for AppContext {
    fn db(&self) -> &DatabaseConnection {
        &self.db
    }

    async fn changed(&self, tags: BTreeSet<CacheTag>) {
        if let Ok(ctx) = Context::of(self) {
            ctx.invalidate(tags).await;
        }
    }

    async fn record(&self, txn: &Transaction) -> models::Result<()> {
        let cause = Actor::system().into();
        Context::of(self)?.record(txn, &cause).await
    }
}

/// The store, as the server or an operator's command changes it.
#[derive(Clone)]
pub struct CausedBy {
    ctx: Context,
    cause: Cause,
}

impl Database for CausedBy {
    fn db(&self) -> &DatabaseConnection {
        &self.ctx.db
    }

    async fn changed(&self, tags: BTreeSet<CacheTag>) {
        self.ctx.invalidate(tags).await;
    }

    async fn record(&self, txn: &Transaction) -> models::Result<()> {
        self.ctx.record(txn, &self.cause).await
    }
}

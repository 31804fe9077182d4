//! API keys: what programs prove themselves with, and what they may do.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, DbBackend, IntoActiveModel, QueryOrder,
    QuerySelect, QueryTrait, Statement, TryIntoModel, entity::prelude::*,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::api_keys::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, Error, Result, Transaction,
    error::violates,
    events, found,
    input::{Field, Fields, Input, Property},
    listing::{self, Listing, Page, Sort, SortKey},
    now,
    transaction::Database,
    types::{
        ActorKind, ApiKey, BoundedInt, EventType, Expiry, KeyKind, KeyName, KeyScope, KeyScopes,
        RateLimit, Scalar,
    },
    update,
};
use crate::transaction;

impl ActiveModelBehavior for ActiveModel {}

/// How many keys there may be.
const MOST: i64 = 1_000;

/// How often it is written down when a key was last used: once in so long, and a little less, so that what is shown is
/// a minute old at most.
const NOTED_EVERY: Duration = Duration::from_secs(55);

/// How many keys are written by one transaction, so that no order waits for long.
const BATCH: usize = 100;

/// What a key is created from.
#[derive(Clone, Debug, Input)]
#[input(schema = ApiKeyBody)]
pub struct NewKey {
    /// What it is for. It is shown as the actor of what is done with the key.
    pub name: KeyName,
    /// What it may do.
    #[input(flatten)]
    pub rights: Rights,
    /// How often it may be used, for each route and method; a publishable key by each client. `null`: as often as an
    /// account.
    #[input(nested)]
    pub rate_limit: Option<RateLimit>,
    /// When it ends. `null`: when it is deleted.
    pub expires_at: Option<Expiry>,
}

/// What a key may do, which is never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// What visitors may.
    Publishable,
    /// What its scopes say.
    Secret(Vec<KeyScope>),
}

/// What is to change of a key. A field that is missing stays as it is.
#[derive(Clone, Debug, Default, Input)]
#[input(schema = ApiKeyPatch)]
pub struct Changes {
    /// What it is for.
    #[input(change)]
    pub name: Option<KeyName>,
    /// How often it may be used, from the next request on. Without one it is as often as an account.
    #[input(nested)]
    pub rate_limit: Option<Option<RateLimit>>,
    /// When it ends.
    #[input(clearable)]
    pub expires_at: Option<Option<Expiry>>,
}

/// Which keys are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Input)]
pub struct Filter {
    /// For whom they are.
    pub kind: Option<KeyKind>,
    /// The account that made them, by its id.
    pub created_by: Option<i64>,
}

impl Input for Rights {
    const NAME: &'static str = "ApiKeyRights";
    const DESCRIPTION: &'static str = "What a key may do.";

    fn properties() -> Vec<Property> {
        let kind = "`publishable`: what a visitor may; it can be in a page's source. `secret`: what its scopes say.";
        let scopes =
            "What a secret key may do. `:write` contains `:read`. A publishable key has none.";
        vec![
            KeyKind::property("kind", kind),
            Property::values::<KeyScope>("scopes", scopes, 1..=KeyScope::COUNT, false).each_once(),
        ]
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let kind: Option<KeyKind> = fields.required("kind");
        let scopes: Option<Option<Vec<KeyScope>>> =
            fields.change_values("scopes", 1..=KeyScope::COUNT);
        match (kind?, scopes?) {
            (KeyKind::Publishable, None) => Some(Self::Publishable),
            (KeyKind::Publishable, Some(_)) => {
                fields.refuse("scopes", "forbidden", "is for secret keys only");
                None
            }
            (KeyKind::Secret, None) => {
                fields.refuse("scopes", "required", "is required for a secret key");
                None
            }
            (KeyKind::Secret, Some(scopes)) => {
                let is_double = |at: usize| scopes[..at].contains(&scopes[at]);
                if (0..scopes.len()).any(is_double) {
                    fields.refuse("scopes", "duplicate", "must name each scope once");
                    return None;
                }
                Some(Self::Secret(scopes))
            }
        }
    }
}

impl listing::Filter for Filter {
    fn condition(&self) -> Condition {
        let kind = self.kind.map(|kind| Column::Kind.eq(kind.as_str()));
        let created_by = self.created_by.map(|id| Column::CreatedById.eq(id));
        Condition::all().add_option(kind).add_option(created_by)
    }
}

/// What keys are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
    /// The name.
    Name,
    /// When they were made.
    CreatedAt,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::ascending(Self::Id);

    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::Name => Some(Column::Name),
            Self::CreatedAt => Some(Column::CreatedAt),
        }
    }
}

/// What a key lets its bearer do: what every request with it has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The key's id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// For whom it is.
    pub kind: KeyKind,
    /// What it may do.
    pub scopes: KeyScopes,
    /// How often, if it has a limit of its own.
    pub limit: Option<RateLimit>,
    /// When it ends.
    pub expires_at: Option<DateTimeWithTimeZone>,
}

impl Permit {
    /// Whether it has ended.
    pub fn has_expired(&self) -> bool {
        self.expires_at.is_some_and(|end| end <= now())
    }

    /// Whether it may do that.
    pub const fn includes(&self, scope: KeyScope) -> bool {
        self.scopes.include(scope)
    }

    /// The key, as it stands in history.
    pub fn actor(&self) -> Actor {
        Actor {
            kind: ActorKind::ApiKey,
            id: Some(self.id),
            name: self.name.clone(),
        }
    }
}

impl Model {
    /// The key with that id.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        found(db, Entity::find_by_id(id)).await
    }

    /// The key with that id, locked until the transaction ends.
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<Self> {
        found(txn, Entity::find_by_id(id).lock_exclusive()).await
    }

    /// What the key with that digest lets its bearer do.
    pub async fn permit(db: &impl ConnectionTrait, digest: &str) -> Result<Permit> {
        let key = found(db, Entity::find().filter(Column::Digest.eq(digest))).await?;
        Ok(Permit {
            id: key.id,
            // The table's CHECK allows no other word. A key that got past it may do the least.
            kind: key.kind().unwrap_or(KeyKind::Secret),
            scopes: key.scopes().into_iter().collect(),
            limit: key.rate_limit(),
            expires_at: key.expires_at,
            name: key.name,
        })
    }

    /// Refuses a key that was deleted or has expired since its request began. From then on it stays until the
    /// transaction ends, while other transactions may ask the same.
    ///
    /// # Errors
    /// [`Error::Revoked`].
    pub async fn assert_current(txn: &Transaction, id: i64) -> Result<()> {
        let backend = txn.get_database_backend();
        let key = match backend {
            // MariaDB does not know FOR SHARE.
            DbBackend::MySql => "id = ? LOCK IN SHARE MODE",
            // Deleting waits for it, and writing down when the key was used does not.
            DbBackend::Postgres => "id = $1 FOR KEY SHARE",
            _ => "id = ?",
        };
        let current = format!("SELECT expires_at FROM api_keys WHERE {key}");
        let current = Statement::from_sql_and_values(backend, current, [id.into()]);
        let current = txn.query_one_raw(current).await?.ok_or(Error::Revoked)?;
        let expires_at: Option<DateTimeWithTimeZone> = current.try_get_by_index(0)?;
        match expires_at {
            Some(end) if end <= now() => Err(Error::Revoked),
            _ => Ok(()),
        }
    }

    /// A page of keys.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, Entity::find(), listing).await
    }

    /// How many keys a list has.
    pub async fn count(db: &impl ConnectionTrait, filter: &Filter) -> Result<u64> {
        listing::count(db, Entity::find(), filter).await
    }

    /// All keys, the oldest first.
    pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Self>> {
        Ok(Entity::find().order_by_id_asc().all(db).await?)
    }

    /// The keys that an account has made, by id and name.
    pub async fn made_by(txn: &Transaction, account_id: i64) -> Result<Vec<(i64, String)>> {
        let keys = Entity::find().filter(Column::CreatedById.eq(account_id));
        let names = keys.select_only().columns([Column::Id, Column::Name]);
        let names = names.order_by_id_asc().into_tuple();
        Ok(names.all(txn).await?)
    }

    /// Adds what is stored of a key. A command is nobody whom it could name.
    ///
    /// # Errors
    /// [`Error::LimitReached`].
    pub async fn create(
        txn: &Transaction,
        new: &NewKey,
        key: &ApiKey,
        actor: &Actor,
    ) -> Result<Self> {
        let place = free_place(txn).await?;
        let account_id = actor.account_id();
        let row = ActiveModel {
            place: Set(place),
            name: Set(new.name.as_str().to_owned()),
            kind: Set(new.rights.kind().as_str().to_owned()),
            scopes: Set(new.rights.words()),
            digest: Set(key.digest()),
            prefix: Set(key.prefix().to_owned()),
            expires_at: Set(new.expires_at.map(|end| end.0.0)),
            last_used_at: Set(None),
            created_by_id: Set(account_id),
            created_by_name: Set(account_id.map(|_| actor.name.clone())),
            created_at: Set(now()),
            ..Default::default()
        };
        let row = row.limited(new.rate_limit);
        let row = match row.insert(txn).await {
            // Another one has taken the place.
            Err(error) if violates(&error, "uq_api_keys_place") => {
                return Err(Error::WriteConflict);
            }
            inserted => inserted?,
        };
        txn.happened(EventType::ApiKeyCreated, &row);
        Ok(row)
    }

    /// Changes some of the key, which has to be locked. Where nothing differs it stays as it is.
    pub async fn change(self, txn: &Transaction, changes: &Changes) -> Result<Self> {
        let mut key = self.clone().into_active_model();
        if let Some(name) = &changes.name {
            key.name = Set(name.as_str().to_owned());
        }
        if let Some(limit) = changes.rate_limit {
            key = key.limited(limit);
        }
        if let Some(end) = changes.expires_at {
            key.expires_at = Set(end.map(|end| end.0.0));
        }
        if key.clone().try_into_model()? == self {
            return Ok(self);
        }
        let key = update(txn, key).await?;
        txn.happened(EventType::ApiKeyUpdated, &key);
        Ok(key)
    }

    /// Deletes the key, which has to be locked: it ends at once.
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        Entity::delete_by_id(self.id).exec(txn).await?;
        txn.happened(EventType::ApiKeyDeleted, &self);
        Ok(())
    }

    /// Takes an account's name out of the keys that it has made; it is called `name` from now on.
    pub async fn anonymize_creator(txn: &Transaction, account_id: i64, name: &str) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::CreatedByName, Expr::value(name))
            .filter(Column::CreatedById.eq(account_id))
            .exec(txn)
            .await?;
        events::Model::anonymize_key_creator(txn, account_id, name).await
    }

    /// For whom it is.
    pub fn kind(&self) -> Result<KeyKind> {
        KeyKind::parse(&self.kind).map_err(|_| {
            loco_rs::Error::Message(format!("API key {} is {}", self.id, self.kind)).into()
        })
    }

    /// What it may do, as it was given.
    pub fn scopes(&self) -> Vec<KeyScope> {
        let words: Vec<String> = serde_json::from_str(&self.scopes).unwrap_or_default();
        let scopes = words.iter().map(|word| KeyScope::parse(word));
        scopes.filter_map(Result::ok).collect()
    }

    /// How often it may be used, if that is not as often as an account.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        Some(RateLimit {
            requests: BoundedInt::new(self.limit_requests?)?,
            period_seconds: BoundedInt::new(self.limit_seconds?)?,
        })
    }
}

impl Rights {
    const fn kind(&self) -> KeyKind {
        match self {
            Self::Publishable => KeyKind::Publishable,
            Self::Secret(_) => KeyKind::Secret,
        }
    }

    /// A key of that kind.
    pub fn key(&self) -> ApiKey {
        ApiKey::generated(self.kind())
    }

    fn words(&self) -> String {
        let scopes = match self {
            Self::Publishable => &[][..],
            Self::Secret(scopes) => scopes,
        };
        let words: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
        serde_json::json!(words).to_string()
    }
}

impl ActiveModel {
    fn limited(mut self, limit: Option<RateLimit>) -> Self {
        self.limit_requests = Set(limit.map(|limit| limit.requests.get()));
        self.limit_seconds = Set(limit.map(|limit| limit.period_seconds.get()));
        self
    }
}

/// A place that no key has. Those who add one wait for each other, and the index refuses whom that does not stop. They
/// do not wait for those who use keys, or change them: who deletes people does both.
async fn free_place(txn: &Transaction) -> Result<i64> {
    let ids = Entity::find().select_only().column(Column::Id);
    match txn.get_database_backend() {
        // Rows that another transaction has added meanwhile are seen by none that waits for rows in PostgreSQL.
        DbBackend::Postgres => {
            txn.execute_unprepared("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE")
                .await?;
        }
        DbBackend::MySql => {
            let oldest = ids.order_by_id_asc().limit(1).lock_exclusive();
            oldest.into_tuple::<i64>().all(txn).await?;
        }
        _ => {}
    }
    let taken: Vec<i64> = Entity::find()
        .select_only()
        .column(Column::Place)
        .order_by_asc(Column::Place)
        .into_tuple()
        .all(txn)
        .await?;
    let free = (1..=MOST).find(|place| taken.binary_search(place).is_err());
    free.ok_or(Error::LimitReached(
        "there are 1,000 API keys already, which is the most",
    ))
}

/// When keys were used, as this node knows and has not written down yet.
#[derive(Debug, Default)]
pub struct Uses(Mutex<BTreeMap<i64, Use>>);

#[derive(Clone, Copy, Debug)]
struct Use {
    /// The last time.
    at: DateTimeWithTimeZone,
    /// Whether that is written down.
    is_noted: bool,
    /// When something was written down of it.
    noted: Option<Instant>,
}

impl Uses {
    /// A key is used now.
    pub fn note(&self, id: i64) {
        let used = Use {
            at: now(),
            is_noted: false,
            noted: None,
        };
        let mut uses = self.uses();
        let last = uses.entry(id).or_insert(used);
        (last.at, last.is_noted) = (used.at, false);
        drop(uses);
    }

    /// Writes down what is due, or everything: when each key was last used. What cannot be written is tried again.
    pub async fn write(&self, database: &impl Database, everything: bool) -> Result<()> {
        for batch in self.due(everything).chunks(BATCH) {
            transaction!(database, |txn| write_uses(txn, batch).await)?;
            self.are_noted(batch);
        }
        Ok(())
    }

    fn due(&self, everything: bool) -> Vec<(i64, DateTimeWithTimeZone)> {
        let mut uses = self.uses();
        let is_recent = |last: &Use| last.noted.is_some_and(|at| at.elapsed() < NOTED_EVERY);
        // Of a key that is not used any more nothing need be remembered.
        uses.retain(|_, last| !last.is_noted || is_recent(last));
        let due = uses
            .iter()
            .filter(|(_, last)| !last.is_noted && (everything || !is_recent(last)));
        let due = due.map(|(id, last)| (*id, last.at)).collect();
        drop(uses);
        due
    }

    fn uses(&self) -> MutexGuard<'_, BTreeMap<i64, Use>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn are_noted(&self, written: &[(i64, DateTimeWithTimeZone)]) {
        let mut uses = self.uses();
        for (id, at) in written {
            if let Some(last) = uses.get_mut(id) {
                last.noted = Some(Instant::now());
                // It may have been used once more meanwhile.
                last.is_noted = last.at == *at;
            }
        }
    }
}

/// Another node may know of a later use, and a key may be gone.
async fn write_uses(txn: &Transaction, uses: &[(i64, DateTimeWithTimeZone)]) -> Result<()> {
    let backend = txn.get_database_backend();
    let updates = uses.iter().map(|(id, at)| {
        let earlier = Condition::any()
            .add(Column::LastUsedAt.is_null())
            .add(Column::LastUsedAt.lt(*at));
        let update = Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(*at))
            .filter(Column::Id.eq(*id))
            .filter(earlier)
            .into_query();
        backend.build(&update)
    });
    txn.execute_all(updates.collect()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is due of a key that was used so long after something was written down of it.
    fn is_due(after: Duration) -> bool {
        let uses = Uses::default();
        uses.note(1);
        uses.are_noted(&uses.due(false));
        if let Some(last) = uses.uses().get_mut(&1) {
            last.noted = last.noted.and_then(|at| at.checked_sub(after));
        }
        uses.note(1);
        !uses.due(false).is_empty()
    }

    #[test]
    fn when_a_key_was_used_is_written_down_once_in_55_seconds() {
        let uses = Uses::default();
        uses.note(1);
        assert_eq!(uses.due(false).len(), 1);
        for (after, is_expected) in [(0, false), (54, false), (55, true), (600, true)] {
            assert_eq!(is_due(Duration::from_secs(after)), is_expected, "{after}");
        }
    }

    #[test]
    fn what_is_not_used_any_more_is_forgotten() {
        let uses = Uses::default();
        uses.note(1);
        uses.are_noted(&uses.due(false));
        assert!(uses.due(true).is_empty());
        if let Some(last) = uses.uses().get_mut(&1) {
            last.noted = last.noted.and_then(|at| at.checked_sub(NOTED_EVERY));
        }
        assert!(uses.due(true).is_empty());
        assert!(uses.uses().is_empty());
    }
}

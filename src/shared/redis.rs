//! What nodes share through Redis: which versions are current, and budgets.
//!
//! **A version that is missing** is replaced by a new one, whether a writer has removed it, which is how
//! versions are bumped, or Redis has: when it was restarted, ran full, or its time was over. They are
//! random numbers: none comes back that was used before.
//!
//! **An outage.** When Redis does not answer, the node does without: no answer that was kept is trusted,
//! and budgets are as the settings say. A writer who could not bump a version has waited for
//! `RESPONSE_TIMEOUT`, in which no node was answered; and a node that was not answered for
//! `STALE_AFTER`, which is shorter, trusts no answer that was kept before. A node that has no requests
//! asks all the same, every `HEARTBEAT`, so that its silence means something. So whatever was written
//! while Redis was away, no node shows an older state when it is back.
//!
//! What this cannot see is a Redis that answers some nodes and not others: what those write who are cut
//! off shows at the others when their answers' time is over.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, RedisError, RedisResult, Script, aio::MultiplexedConnection,
};
use tokio::time::{sleep, timeout};

use super::{
    Name,
    digest::Digest,
    metrics::Metrics,
    quotas::{Charge, Decision, Quota},
    versions::{Version, VersionSnapshot},
};

/// How long Redis may take to answer. A request is not held up for longer.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// After how long without an answer no answer is trusted that was kept before.
const STALE_AFTER: Duration = Duration::from_millis(400);

/// How often Redis is asked at least.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// How long a node leaves Redis alone that did not answer. Only writes ask at once.
const RECONNECT_DELAY: Duration = Duration::from_millis(250);

/// What every script begins with.
///
/// `read` tells when a budget will be full again, between now and the time that a whole one takes. What is
/// no such moment (`nan`, an infinity, another type) does not end the limit: it counts as a full budget or as
/// one that is used up, and is replaced.
///
/// `take` takes one from each of the budgets, or from none of them, and answers the longest wait and when
/// the last will be full again. Their intervals and bursts are by turns in ARGV, behind `first`.
const BUDGETS: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function write(budget, full_at)
  redis.call('SET', budget, string.format('%.0f', full_at),
    'PX', string.format('%.0f', math.ceil((full_at - now) / 1000)))
end

local function read(budget, latest)
  local full_at = tonumber(redis.pcall('GET', budget)) or now
  if full_at > latest then
    full_at = latest
    write(budget, full_at)
  end
  if full_at > now then return full_at end
  return now
end

local function take(budgets, first)
  local wait, full_at, next_full_at = 0, now, {}
  for i, budget in ipairs(budgets) do
    local interval, burst = tonumber(ARGV[first + 2 * i - 1]), tonumber(ARGV[first + 2 * i])
    full_at = read(budget, now + burst * interval)
    next_full_at[i] = full_at + interval
    wait = math.max(wait, next_full_at[i] - burst * interval - now)
  end
  if wait == 0 then
    for i, budget in ipairs(budgets) do
      full_at = next_full_at[i]
      write(budget, full_at)
    end
  end
  return string.format('%.0f', wait), string.format('%.0f', full_at - now)
end
";

/// Answers the current versions of KEYS, the first `ARGV[1]` of them, making those that are missing; then
/// takes one from the budget that is the last key, if there is one more, with `ARGV[4]` and `ARGV[5]`.
///
/// The numbers from `ARGV[6]` on are the versions that the first KEYS have to have: otherwise none is taken.
const FETCH: &str = r"
local answer, proven = {}, true
for i = 1, tonumber(ARGV[1]) do
  local number = redis.call('GETEX', KEYS[i], 'PX', ARGV[3])
  if not number then
    number = ARGV[2]
    redis.call('SET', KEYS[i], number, 'PX', ARGV[3])
  end
  answer[i] = number
  proven = proven and (ARGV[5 + i] or number) == number
end
local budget = KEYS[tonumber(ARGV[1]) + 1]
if budget and proven then
  answer[#answer + 1], answer[#answer + 2] = take({ budget }, 3)
end
return answer
";

/// Removes the versions in KEYS. Behind `ARGV[1]`, for how many milliseconds an announcement is kept, stand the ids of
/// rows that were added, and at the end of KEYS, for each of them, what was announced and the version: that stays when
/// the row is beyond what was announced. When nothing is, that may have been lost, and the version goes.
const BUMP: &str = r"
local certain = #KEYS - 2 * (#ARGV - 1)
for i = 1, certain do redis.call('DEL', KEYS[i]) end
for i = 2, #ARGV do
  local key, version = KEYS[certain + 2 * i - 3], KEYS[certain + 2 * i - 2]
  local announced = tonumber(redis.call('GETEX', key, 'PX', ARGV[1]))
  if not announced then redis.call('SET', key, 0, 'PX', ARGV[1]) end
  if not announced or tonumber(ARGV[i]) <= announced then redis.call('DEL', version) end
end
return 0
";

/// Announces the id `ARGV[1]` under the first of KEYS, for `ARGV[2]` milliseconds, unless a higher one is there. When
/// none is, one may have been lost: what was kept under it is outdated with the version, which is the second key.
const ANNOUNCE: &str = r"
local id = tonumber(ARGV[1])
local announced = tonumber(redis.call('GET', KEYS[1]))
if not announced then redis.call('DEL', KEYS[2]) end
id = math.max(id, announced or id)
redis.call('SET', KEYS[1], string.format('%.0f', id), 'PX', ARGV[2])
return 0
";

/// Takes one from every budget in KEYS, or from none: the longest wait comes back.
const TAKE: &str = r"
return (take(KEYS, 0))
";

/// Takes nothing from the budgets in KEYS: the longest wait comes back.
const LOOK: &str = r"
local wait = 0
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  wait = math.max(wait, read(key, now + burst * interval) + interval - burst * interval - now)
end
return string.format('%.0f', wait)
";

/// Gives one back to every budget in KEYS. ARGV are their intervals and bursts by turns.
const GIVE_BACK: &str = r"
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local full_at = read(key, now + burst * interval)
  if full_at > now then
    redis.call('SET', key, string.format('%.0f', full_at - interval), 'KEEPTTL')
  end
end
return 0
";

/// The way to Redis.
#[derive(Debug)]
pub struct Redis {
    client: Client,
    prefix: String,
    /// What names budgets: usernames and addresses must not be readable there.
    digest: Digest,
    /// How long a version outlives its last use: longer than anything is kept under it.
    lifetime: Duration,
    metrics: Metrics,
    link: Mutex<Link>,
    /// Held while a connection is tried.
    trying: tokio::sync::Mutex<Tries>,
    tries_begun: AtomicU64,
    scripts: Scripts,
    heard: Mutex<Heard>,
    this: Weak<Self>,
}

/// When Redis was heard last, and how often it has been silent before.
#[derive(Debug)]
struct Heard {
    at: Instant,
    silences: u64,
}

#[derive(Debug)]
struct Scripts {
    fetch: Script,
    bump: Script,
    announce: Script,
    take: Script,
    look: Script,
    give_back: Script,
}

/// How many attempts at a connection have ended.
#[derive(Debug, Default)]
struct Tries(u64);

#[derive(Clone, Debug)]
enum Link {
    /// Connected, for that number of a time.
    Up(MultiplexedConnection, u64),
    /// Not connected, and not worth a try before then. Readers wait for a first try to end; when that
    /// was in vain they go on without.
    Down { until: Instant, tried: bool },
}

impl Redis {
    /// The Redis at `url`, in which every key begins with `prefix` and budgets are named by a digest, for a
    /// node that keeps what it makes for `ttl`. It is not asked before it is needed.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn at(
        url: &str,
        prefix: &str,
        digest: Digest,
        ttl: Duration,
        metrics: Metrics,
    ) -> RedisResult<Arc<Self>> {
        let client = Client::open(url)?;
        Ok(Arc::new_cyclic(|this| Self {
            client,
            prefix: prefix.to_owned(),
            digest,
            lifetime: ttl * 2 + Duration::from_secs(1),
            metrics,
            link: Mutex::new(Link::down()),
            trying: tokio::sync::Mutex::default(),
            tries_begun: AtomicU64::new(0),
            scripts: Scripts {
                fetch: Script::new(&[BUDGETS, FETCH].concat()),
                bump: Script::new(BUMP),
                announce: Script::new(ANNOUNCE),
                take: Script::new(&[BUDGETS, TAKE].concat()),
                look: Script::new(&[BUDGETS, LOOK].concat()),
                give_back: Script::new(&[BUDGETS, GIVE_BACK].concat()),
            },
            heard: Mutex::new(Heard {
                at: Instant::now(),
                silences: 0,
            }),
            this: Weak::clone(this),
        }))
    }

    /// The current versions of the names, and what the budget says: one round trip. `None` when Redis does
    /// not answer.
    pub async fn fetch<N: Name>(
        &self,
        names: &[N],
        charge: Option<&Charge>,
    ) -> Option<(VersionSnapshot, Option<Decision>)> {
        let (mut connection, link) = self.connection(false).await?;
        let mut invocation = self.scripts.fetch.prepare_invoke();
        invocation.key(self.everything());
        for name in names {
            invocation.key(self.version(name));
        }
        invocation
            .arg(names.len() + 1)
            .arg(rand::random::<u64>())
            .arg(millis(self.lifetime));
        if let Some(Charge { key, quota, under }) = charge {
            invocation.key(self.budget(key));
            invocation
                .arg(micros(quota.interval).max(1))
                .arg(quota.burst);
            for number in under.iter().flat_map(Version::shared) {
                invocation.arg(number);
            }
        }
        let (answer, silences): (Vec<u64>, _) = self
            .reply(link, invocation.invoke_async(&mut connection))
            .await?;
        let mut answer = answer.into_iter();
        let everything = [answer.next()?, silences];
        let versions = VersionSnapshot::shared(everything, names.iter().zip(answer.by_ref()));
        let decision = charge.and_then(|Charge { quota, .. }| {
            let [wait, full_in] = [answer.next()?, answer.next()?].map(Duration::from_micros);
            let refused_for = (!wait.is_zero()).then_some(wait);
            Some(Decision::new(*quota, full_in, refused_for))
        });
        Some((versions, decision))
    }

    /// Removes the versions of the names, those to which rows were added that are not beyond what was announced,
    /// and that of everything if that has changed. When the connection is dead a new one is made at once, which
    /// declares everything outdated: Redis may be back, and other nodes with it.
    pub async fn bump<N: Name>(&self, names: &[N], added: &[(N, i64)], everything: bool) {
        let Some((mut connection, link)) = self.connection(true).await else {
            return;
        };
        let mut removal = self.scripts.bump.prepare_invoke();
        removal.arg(millis(self.lifetime));
        for name in names {
            removal.key(self.version(name));
        }
        if everything {
            removal.key(self.everything());
        }
        for (name, id) in added {
            removal.key(self.announced(name)).key(self.version(name));
            removal.arg(*id);
        }
        let bumped = removal.invoke_async::<()>(&mut connection);
        if self.reply(link, bumped).await.is_none() {
            self.connection(true).await;
        }
    }

    /// Announces an id of the name, and tells whether Redis knows it.
    pub async fn announce(&self, name: &impl Name, id: i64) -> bool {
        let Some((mut connection, link)) = self.connection(false).await else {
            return false;
        };
        let mut announcement = self.scripts.announce.prepare_invoke();
        announcement
            .key(self.announced(name))
            .key(self.version(name))
            .arg(id)
            .arg(millis(self.lifetime));
        let announced = announcement.invoke_async::<()>(&mut connection);
        self.reply(link, announced).await.is_some()
    }

    /// Takes one from each budget or from none; `None` when Redis does not answer.
    pub async fn take(&self, budgets: &[(String, Quota)]) -> Option<Result<(), Duration>> {
        let wait = self.run(&self.scripts.take, budgets).await?;
        Some(allowed(wait))
    }

    /// Whether there is one in each budget; `None` when Redis does not answer.
    pub async fn look(&self, budgets: &[(String, Quota)]) -> Option<Result<(), Duration>> {
        let wait = self.run(&self.scripts.look, budgets).await?;
        Some(allowed(wait))
    }

    /// Gives one back to each budget, and tells whether Redis did.
    pub async fn give_back(&self, budgets: &[(String, Quota)]) -> bool {
        self.run(&self.scripts.give_back, budgets).await.is_some()
    }

    async fn run(&self, script: &Script, budgets: &[(String, Quota)]) -> Option<u64> {
        let (mut connection, link) = self.connection(false).await?;
        let mut invocation = script.prepare_invoke();
        for (key, quota) in budgets {
            invocation.key(self.budget(key));
            invocation
                .arg(micros(quota.interval).max(1))
                .arg(quota.burst);
        }
        let answer = invocation.invoke_async(&mut connection);
        let (number, _) = self.reply(link, answer).await?;
        Some(number)
    }

    /// Remembers the name for that long.
    pub async fn remember(&self, name: &str, time: Duration) {
        if let Some((mut connection, link)) = self.connection(false).await {
            let mut memory = redis::cmd("SET");
            memory.arg(self.memory(name)).arg(1);
            memory.arg("PX").arg(millis(time));
            self.reply(link, memory.exec_async(&mut connection)).await;
        }
    }

    /// Whether the name is remembered; `None` when Redis does not answer.
    pub async fn remembers(&self, name: &str) -> Option<bool> {
        let (mut connection, link) = self.connection(false).await?;
        let mut question = redis::cmd("EXISTS");
        question.arg(self.memory(name));
        let answer = question.query_async(&mut connection);
        let (remembered, _) = self.reply(link, answer).await?;
        Some(remembered)
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn check(&self) -> Result<(), String> {
        let connection = self.connect().await.map_err(|error| error.to_string());
        connection.map(|_| ())
    }

    fn everything(&self) -> String {
        format!("{}:everything", self.prefix)
    }

    fn version(&self, name: &impl Name) -> String {
        format!("{}:version:{name}", self.prefix)
    }

    fn announced(&self, name: &impl Name) -> String {
        format!("{}:announced:{name}", self.prefix)
    }

    fn budget(&self, key: &str) -> String {
        format!("{}:budget:{}", self.prefix, self.digest.of(key))
    }

    fn memory(&self, name: &str) -> String {
        format!("{}:memory:{}", self.prefix, self.digest.of(name))
    }

    /// What Redis answered, and how often it has been silent before. When it did not answer, the
    /// connection is given up.
    async fn reply<T>(
        &self,
        link: u64,
        answer: impl Future<Output = RedisResult<T>>,
    ) -> Option<(T, u64)> {
        let why = match timeout(RESPONSE_TIMEOUT, answer).await {
            Ok(Ok(answer)) => return Some((answer, self.hear(false))),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {RESPONSE_TIMEOUT:?}"),
        };
        self.metrics.errors.inc();
        let mut current = self.current();
        if matches!(*current, Link::Up(_, up) if up == link) {
            *current = Link::down();
            drop(current);
            tracing::error!(%why, "Redis is away: answers come from the database");
        }
        None
    }

    /// The connection, and which one it is. Without one, a reader has another made, unless that was in
    /// vain just now, or another request tries again; a writer does not give up before an attempt has failed that was
    /// begun after it came, because what it has to say outdates what others keep.
    async fn connection(&self, writing: bool) -> Option<(MultiplexedConnection, u64)> {
        let now = self.current().clone();
        let (rested, tried) = match now {
            Link::Up(connection, link) => return Some((connection, link)),
            Link::Down { until, tried } => (Instant::now() >= until, tried),
        };
        let begun = self.tries_begun.load(Ordering::SeqCst);
        let mut tries = if writing || !tried {
            self.trying.lock().await
        } else if rested {
            self.trying.try_lock().ok()?
        } else {
            return None;
        };
        let now = self.current().clone();
        if let Link::Up(connection, link) = now {
            return Some((connection, link));
        }
        if tries.0 > begun {
            return None;
        }
        let link = self.tries_begun.fetch_add(1, Ordering::SeqCst) + 1;
        let connected = timeout(RESPONSE_TIMEOUT, self.connect()).await;
        tries.0 = link;
        let outcome = match connected {
            Ok(Ok(connection)) => {
                self.hear(true);
                *self.current() = Link::Up(connection.clone(), link);
                // It only listens: nothing is lost with it when the process ends.
                tokio::spawn(heartbeat(Weak::clone(&self.this), link));
                tracing::info!("Redis answers");
                Some((connection, link))
            }
            failed => {
                *self.current() = Link::Down {
                    until: Instant::now() + RECONNECT_DELAY,
                    tried: true,
                };
                self.metrics.errors.inc();
                let why = failed.map_or_else(
                    |_| format!("no answer within {RESPONSE_TIMEOUT:?}"),
                    |error| error.map_or_else(|error| error.to_string(), |_| String::new()),
                );
                tracing::debug!(%why, "Redis is still away");
                None
            }
        };
        drop(tries);
        outcome
    }

    /// A new connection, behind which everything is outdated.
    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let timeouts = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&timeouts)
            .await?;
        redis::cmd("DEL")
            .arg(self.everything())
            .exec_async(&mut connection)
            .await?;
        Ok(connection)
    }

    /// Redis was heard just now. Tells how often it has been silent before.
    fn hear(&self, first: bool) -> u64 {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if first || now.duration_since(heard.at) > STALE_AFTER {
            heard.silences += 1;
        }
        heard.at = now;
        heard.silences
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    fn down() -> Self {
        Self::Down {
            until: Instant::now(),
            tried: false,
        }
    }
}

/// Asks Redis now and then, as long as that connection is the current one.
async fn heartbeat(redis: Weak<Redis>, link: u64) {
    loop {
        sleep(HEARTBEAT).await;
        let Some(redis) = redis.upgrade() else {
            return;
        };
        let now = redis.current().clone();
        match now {
            Link::Up(mut connection, up) if up == link => {
                let ping = redis::cmd("PING");
                redis.reply(link, ping.exec_async(&mut connection)).await;
            }
            _ => return,
        }
    }
}

/// Whether there is no wait, in microseconds.
const fn allowed(wait: u64) -> Result<(), Duration> {
    match wait {
        0 => Ok(()),
        wait => Err(Duration::from_micros(wait)),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

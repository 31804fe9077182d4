//! Limits how often each client may call each route and method.
//!
//! Who is calling is found out here, before anything else: a valid token's account has a budget of its
//! own, everybody else shares that of their address. A node alone counts with `tower_governor`; nodes
//! that share a Redis count there, in the round trip that also tells which generations are current.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use governor::middleware::StateInformationMiddleware;
use loco_rs::{
    Error, Result,
    app::AppContext,
    controller::middleware::{MiddlewareLayer, remote_ip::RemoteIP},
};
use tower::Service;
use tower_governor::{
    GovernorError,
    governor::{Governor, GovernorConfig, GovernorConfigBuilder},
    key_extractor::KeyExtractor,
};

use super::cache::stores;
use crate::{
    controllers::{
        BASE,
        extract::{
            Address,
            cached::topics,
            caller::{self, Accounts, Caller, Expiry},
        },
    },
    models::{
        Topic,
        customer_accounts::{Claims, Verifier},
    },
    settings::{OnError, RateLimit, Settings},
    stores::{
        Stores,
        budgets::{Charge, Quota, Verdict},
        generations::Noted,
        plugged_in,
    },
    views::problem::{Kind, Problem, whole_seconds},
};

/// The budget: how much, for how long (draft-ietf-httpapi-ratelimit-headers).
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of it.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// How many budgets of a kind a node counts. A client's takes some hundred bytes.
const MOST_BUDGETS: usize = 100_000;

/// After how many requests the budgets are looked through for those that are full again.
const SWEEP_AFTER: u32 = 10_000;

/// The limiter, as Loco's stack of middlewares takes it: the layers around it have given the request
/// its id and its line in the log, and know its address.
pub struct RateLimiter {
    ctx: AppContext,
}

/// What stands in the way of every request.
struct Limiter {
    ctx: AppContext,
    stores: Arc<Stores>,
    accounts: Arc<Accounts>,
    verifier: Verifier,
    /// Nothing when there is no limit.
    budget: Option<Budget>,
}

/// How large budgets are, and who counts them.
struct Budget {
    settings: RateLimit,
    policy: HeaderValue,
    quota: Quota,
    of_accounts: Counted,
    of_addresses: Counted,
}

/// The budgets of many clients, counted by this node.
struct Counted {
    quota: Quota,
    governor: RwLock<Arc<Governed>>,
    requests: AtomicU32,
}

type Governed = GovernorConfig<ByRoute, StateInformationMiddleware>;

/// Whose budget for what a request is taken from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct BudgetKey {
    client: Client,
    method: Method,
    route: Arc<str>,
}

/// Who has a budget.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Client {
    /// The account behind a valid token, by its `pid`.
    Account(Arc<str>),
    /// Whoever sends from an address.
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct ByRoute;

impl RateLimiter {
    /// The limiter that the settings describe.
    #[must_use]
    pub fn new(ctx: &AppContext) -> Self {
        Self { ctx: ctx.clone() }
    }
}

impl MiddlewareLayer for RateLimiter {
    fn name(&self) -> &'static str {
        "rate_limiter"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        let settings = self.ctx.config.settings.as_ref();
        Ok(settings
            .and_then(|settings| settings.get("rate_limit"))
            .cloned()
            .unwrap_or_default())
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        let settings = Settings::of(&self.ctx)?.rate_limit.clone();
        let budget = (settings.requests > 0).then(|| {
            let quota = Quota::per(
                settings.requests,
                Duration::from_secs(settings.period_seconds),
            );
            let (requests, period) = (settings.requests, settings.period_seconds);
            let policy = format!("\"default\";q={requests};w={period}");
            Ok::<_, Error>(Budget {
                settings,
                policy: HeaderValue::try_from(policy).map_err(Error::wrap)?,
                quota,
                of_accounts: Counted::new(quota)?,
                of_addresses: Counted::new(quota)?,
            })
        });
        let limiter = Limiter {
            ctx: self.ctx.clone(),
            stores: stores(&self.ctx)?,
            accounts: plugged_in(&self.ctx)?,
            verifier: Verifier::new(self.ctx.config.get_jwt_config()?)?,
            budget: budget.transpose()?,
        };
        Ok(app.layer(middleware::from_fn_with_state(Arc::new(limiter), limit)))
    }
}

async fn limit(State(limiter): State<Arc<Limiter>>, request: Request, next: Next) -> Response {
    // Health, Swagger and figures are not limited, nor is asking which methods there are.
    if !request.uri().path().starts_with(BASE) || request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    limiter.answer(request, next).await
}

impl Limiter {
    /// Lets the request through with what is known of its sender, if their budget allows it.
    async fn answer(&self, request: Request, next: Next) -> Response {
        let (mut parts, body) = request.into_parts();
        let address = address(&mut parts).await;
        let claims = caller::claims(&parts.headers, &self.verifier);
        let budget_of = |client| BudgetKey::new(client, &parts);
        let mut key = budget_of(match &claims {
            Ok(claims) => Client::Account(claims.pid.as_str().into()),
            Err(_) => Client::Address(address),
        });
        let topics = self.topics(&claims, &parts).await;
        let (noted, mut verdict) = self.look(&topics, &key).await;
        let caller = match &claims {
            Ok(claims) => caller::authenticated(claims, &noted, &self.ctx).await,
            Err(problem) => Err(problem.clone()),
        };
        let refused = matches!(&caller, Err(problem) if problem.kind == Kind::Unauthenticated);
        if refused && matches!(key.client, Client::Account(_)) {
            // A token that is good no more gives nobody a budget of their own.
            key = budget_of(Client::Address(address));
            (_, verdict) = self.look(&[], &key).await;
        }
        parts.extensions.insert(Address(address));
        parts.extensions.insert(Caller(caller));
        if let Ok(claims) = &claims {
            parts.extensions.insert(Expiry(claims.exp));
        }
        parts.extensions.insert(noted);
        let request = Request::from_parts(parts, body);
        match &self.budget {
            None => next.run(request).await,
            Some(budget) if self.stores.is_shared() => {
                self.answer_shared(budget, verdict, request, next).await
            }
            Some(budget) => self.answer_counted(budget, key, request, next).await,
        }
    }

    /// What the answer may show, for Redis to say which state of it is the current one: the account behind
    /// the token, and, to a GET, what the path names. A node alone looks when it has to know.
    async fn topics(&self, claims: &Result<Claims, Problem>, parts: &Parts) -> Vec<Topic> {
        let claims = match claims {
            Ok(claims) if self.stores.is_shared() => claims,
            _ => return Vec::new(),
        };
        let mut shown = vec![Topic::Login(claims.pid.clone())];
        if matches!(parts.method, Method::GET | Method::HEAD) {
            // Not proven yet: should it turn out to be out of date, the answer is not kept.
            let account = self.accounts.peek(&claims.pid).await;
            let scope = account.map(|account| caller::scope(&account));
            shown.extend(topics(parts.uri.path(), scope));
        }
        shown
    }

    async fn look(&self, topics: &[Topic], key: &BudgetKey) -> (Noted, Option<Verdict>) {
        let counted_there = self.budget.as_ref().filter(|_| self.stores.is_shared());
        let charge = counted_there.map(|budget| Charge {
            key: key.to_string(),
            quota: budget.quota,
        });
        self.stores.look(topics, charge.as_ref()).await
    }

    /// As Redis has said; when it has not, as the settings do.
    async fn answer_shared(
        &self,
        budget: &Budget,
        verdict: Option<Verdict>,
        request: Request,
        next: Next,
    ) -> Response {
        let mut response = match verdict {
            Some(Verdict {
                refused_for: Some(wait),
                ..
            }) => self.refusal(wait),
            None if budget.settings.on_error == OnError::Deny => {
                Problem::new(Kind::Unavailable).into_response()
            }
            _ => next.run(request).await,
        };
        budget.describe(verdict, &mut response);
        response
    }

    /// As this node counts.
    async fn answer_counted(
        &self,
        budget: &Budget,
        key: BudgetKey,
        mut request: Request,
        next: Next,
    ) -> Response {
        let counted = match key.client {
            Client::Account(_) => &budget.of_accounts,
            Client::Address(_) => &budget.of_addresses,
        };
        request.extensions_mut().insert(key);
        let mut governor =
            Governor::new(next, &counted.governor()).error_handler(|error| match error {
                GovernorError::TooManyRequests {
                    headers: Some(headers),
                    ..
                } => (headers, ()).into_response(),
                _ => Problem::new(Kind::Internal).into_response(),
            });
        let Ok(mut response) = governor.call(request).await;
        let mut figure = |name: &str| {
            let value = response.headers_mut().remove(name)?;
            value.to_str().ok()?.parse::<u32>().ok()
        };
        let remaining = figure("x-ratelimit-remaining").unwrap_or_default();
        let wait = figure("x-ratelimit-after");
        figure("x-ratelimit-limit");
        // The wait is rounded down, and whoever came back then would be refused again.
        let wait = wait.map(|seconds| Duration::from_secs(u64::from(seconds) + 1));
        if let Some(wait) = wait {
            response = self.refusal(wait);
        }
        let verdict = Verdict {
            remaining,
            full_in: budget.quota.interval * (budget.quota.burst - remaining),
            refused_for: wait,
        };
        budget.describe(Some(verdict), &mut response);
        response
    }

    fn refusal(&self, wait: Duration) -> Response {
        self.stores.counts.refusals.inc();
        Problem::rate_limited(wait).into_response()
    }
}

impl Budget {
    /// Tells the client how large its budget is, and what is left of it until when.
    fn describe(&self, verdict: Option<Verdict>, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(RATE_LIMIT_POLICY, self.policy.clone());
        let left = verdict.map(|verdict| {
            let until = verdict.refused_for.unwrap_or(verdict.full_in);
            let (remaining, seconds) = (verdict.remaining, whole_seconds(until));
            format!("\"default\";r={remaining};t={seconds}")
        });
        if let Some(left) = left.and_then(|left| HeaderValue::try_from(left).ok()) {
            headers.insert(RATE_LIMIT, left);
        }
    }
}

impl Counted {
    fn new(quota: Quota) -> Result<Self> {
        Ok(Self {
            quota,
            governor: RwLock::new(governed(quota)?),
            requests: AtomicU32::new(0),
        })
    }

    /// What counts. Now and then it forgets those whose budget is full again; and everybody when there
    /// are still more than can be remembered: whoever has so many addresses needs no budget to be
    /// forgotten, and the others get theirs back.
    fn governor(&self) -> Arc<Governed> {
        let governor = Arc::clone(&self.governor.read().unwrap_or_else(PoisonError::into_inner));
        if self.requests.fetch_add(1, Ordering::Relaxed) % SWEEP_AFTER != SWEEP_AFTER - 1 {
            return governor;
        }
        let limiter = governor.limiter();
        limiter.retain_recent();
        limiter.shrink_to_fit();
        if limiter.len() > MOST_BUDGETS
            && let Ok(empty) = governed(self.quota)
        {
            tracing::warn!("more than {MOST_BUDGETS} clients have budgets: all are full again");
            *self
                .governor
                .write()
                .unwrap_or_else(PoisonError::into_inner) = Arc::clone(&empty);
            return empty;
        }
        governor
    }
}

fn governed(quota: Quota) -> Result<Arc<Governed>> {
    let governed = GovernorConfigBuilder::default()
        .period(quota.interval)
        .burst_size(quota.burst)
        .key_extractor(ByRoute)
        .use_headers()
        .finish();
    governed.map(Arc::new).ok_or_else(|| {
        Error::string("settings.rate_limit: more requests than the period has nanoseconds")
    })
}

impl KeyExtractor for ByRoute {
    type Key = BudgetKey;

    fn extract<T>(&self, request: &axum::http::Request<T>) -> Result<BudgetKey, GovernorError> {
        let key = request.extensions().get();
        key.cloned().ok_or(GovernorError::UnableToExtractKey)
    }
}

impl BudgetKey {
    /// HEAD is a GET whose body is not sent. Methods that nobody has heard of share a budget.
    fn new(client: Client, parts: &Parts) -> Self {
        let method = match &parts.method {
            &Method::GET | &Method::HEAD => Method::GET,
            known @ (&Method::POST | &Method::PUT | &Method::PATCH | &Method::DELETE) => {
                known.clone()
            }
            _ => Method::TRACE,
        };
        let route = parts.extensions.get::<MatchedPath>();
        Self {
            client,
            method,
            route: route.map_or("", MatchedPath::as_str).into(),
        }
    }
}

impl fmt::Display for BudgetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.client {
            Client::Account(pid) => write!(f, "{pid} ")?,
            Client::Address(address) => write!(f, "{address} ")?,
        }
        write!(f, "{} {}", self.method, self.route)
    }
}

/// Where a request comes from: the socket's address, unless `remote_ip` names a proxy's header. Of an
/// IPv6 address the network counts, because one customer has 2⁶⁴ of them (RFC 6177).
async fn address(parts: &mut Parts) -> IpAddr {
    let socket = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let socket = socket.map(|ConnectInfo(address)| address.ip());
    let Ok(remote) = RemoteIP::from_request_parts(parts, &()).await;
    let address = match remote {
        RemoteIP::Forwarded(address) | RemoteIP::Socket(address) => Some(address),
        RemoteIP::None => socket,
    };
    match address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| {
        address.to_canonical()
    }) {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> BudgetKey {
        BudgetKey {
            client: Client::Address(IpAddr::V4(Ipv4Addr::from_bits(number))),
            method: Method::POST,
            route: "/api/v1/auth/login".into(),
        }
    }

    /// What the process has in memory.
    #[cfg(target_os = "linux")]
    fn resident_bytes() -> u64 {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4_096
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_million_addresses_do_not_fill_the_memory() {
        let counted = Counted::new(Quota::per(100, Duration::from_hours(24))).unwrap();
        let before = resident_bytes();
        let mut most = 0;
        for number in 0..1_000_000 {
            let governor = counted.governor();
            assert!(governor.limiter().check_key(&key(number)).is_ok());
            if number % 1_000 == 0 {
                most = most.max(resident_bytes());
            }
        }
        let left = counted.governor().limiter().len();
        assert!(
            left <= MOST_BUDGETS + SWEEP_AFTER as usize,
            "{left} budgets"
        );
        let grown = most.saturating_sub(before) >> 20;
        assert!(grown < 128, "{grown} MiB");
    }

    #[test]
    fn budgets_that_are_full_again_are_forgotten_and_others_are_not() {
        let counted = Counted::new(Quota::per(1, Duration::from_millis(1))).unwrap();
        let lasting = Counted::new(Quota::per(1, Duration::from_hours(24))).unwrap();
        for number in 0..SWEEP_AFTER {
            for counted in [&counted, &lasting] {
                assert!(counted.governor().limiter().check_key(&key(number)).is_ok());
            }
        }
        std::thread::sleep(Duration::from_millis(5));
        for _ in 0..SWEEP_AFTER {
            counted.governor();
            lasting.governor();
        }
        assert_eq!(counted.governor().limiter().len(), 0);
        assert_eq!(lasting.governor().limiter().len(), SWEEP_AFTER as usize);
    }
}

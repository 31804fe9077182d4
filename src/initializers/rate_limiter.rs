//! Limits how often each client may call each route and method.
//!
//! Who is calling is found out here, before anything else: a valid token's account has a budget of its
//! own, everybody else shares that of their address. A node alone metrics accounts with `tower_governor`, and
//! addresses, of which one client can have more than fit into memory, where those are forgotten first that
//! ask least. Nodes that share a Redis count there, in the round trip that also tells which generations are
//! current.
//!
//! A login that fails has budgets of its own, where passwords are checked, and one that succeeds costs
//! nothing. Otherwise one client who fails could keep everybody else behind its address out for the day.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use governor::middleware::StateInformationMiddleware;
use loco_rs::{Error, Result, app::AppContext, controller::middleware::MiddlewareLayer};
use tower::Service;
use tower_governor::{
    GovernorError,
    governor::{Governor, GovernorConfig, GovernorConfigBuilder},
    key_extractor::KeyExtractor,
};

use super::client_address::ClientAddress;
use crate::{
    context::Context,
    controllers::{
        BASE,
        auth::LOGIN,
        extract::{
            Address, Entry,
            cached::topics,
            caller::{self, Caller, Expiry},
        },
    },
    models::{
        Topic,
        customer_accounts::{Claims, Model},
    },
    settings::{OnError, RateLimit, Security, Settings},
    shared::{
        quotas::{Charge, Decision, LocalQuotas, Quota},
        versions::Version,
    },
    views::problem::{Kind, Problem, whole_seconds},
};

/// The budget: how much, for how long (draft-ietf-httpapi-ratelimit-headers).
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of it.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// How many budgets of accounts a node metrics. Each takes some hundred bytes.
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
    ctx: Context,
    client_address: ClientAddress,
    /// Nothing when there is no limit.
    budget: Option<Budget>,
    /// How many logins may fail; nothing when there is no limit.
    login_policy: Option<HeaderValue>,
}

/// How large budgets are, and who metrics them.
struct Budget {
    settings: RateLimit,
    policy: HeaderValue,
    quota: Quota,
    of_accounts: Counted,
    of_addresses: LocalQuotas,
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
                of_addresses: LocalQuotas::default(),
            })
        });
        let limiter = Limiter {
            ctx: Context::of(&self.ctx)?,
            client_address: ClientAddress::new(&self.ctx)?,
            budget: budget.transpose()?,
            login_policy: login_policy(&Settings::of(&self.ctx)?.security)?,
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
        let address = self.client_address.of(&parts);
        let claims = caller::claims(&parts.headers, &self.ctx.verifier);
        let known = self.known(&claims).await;
        let topics = self.topics(&claims, known.as_ref(), &parts);
        let login = is_login(&parts);
        let budget = self.budget.as_ref().filter(|_| !login);
        let shared = budget.filter(|_| self.ctx.shared.is_shared());
        // Whom to charge has to be proven; until then no account is charged.
        let client = match (&claims, &known) {
            (Err(_), _) => Some((Client::Address(address), None)),
            (Ok(_), Some((stamp, account))) => Some((Client::of(account), Some(stamp.clone()))),
            (Ok(_), None) => None,
        };
        let charge = shared
            .zip(client)
            .map(|(budget, (client, under))| budget.charge(&BudgetKey::new(client, &parts), under));
        let (versions, mut decision) = self.ctx.shared.fetch(&topics, charge.as_ref()).await;
        let caller = match &claims {
            Ok(claims) => caller::authenticated(claims, &versions, &self.ctx).await,
            Err(problem) => Err(problem.clone()),
        };
        let client = match &caller {
            Ok(account) => Client::of(account),
            Err(_) => Client::Address(address),
        };
        let key = BudgetKey::new(client, &parts);
        if let Some(budget) = shared
            && decision.is_none()
            && versions.is_known()
        {
            let charge = budget.charge(&key, None);
            (_, decision) = self.ctx.shared.fetch(&[] as &[Topic], Some(&charge)).await;
        }
        if let Some(entry) = parts.extensions.get::<Entry>() {
            entry.note(|facts| {
                facts.address = Some(address);
                facts.account = caller.as_ref().ok().cloned();
            });
        }
        parts.extensions.insert(Address(address));
        parts.extensions.insert(Caller(caller));
        if let Ok(claims) = &claims {
            parts.extensions.insert(Expiry(claims.exp));
        }
        parts.extensions.insert(versions);
        let request = Request::from_parts(parts, body);
        match budget {
            None if login => self.answer_login(&key, request, next).await,
            None => next.run(request).await,
            Some(budget) if shared.is_some() => self.judge(budget, decision, request, next).await,
            Some(budget) => self.answer_counted(budget, key, request, next).await,
        }
    }

    /// The account that a token names, where nodes share what they know, if it has called lately and the
    /// token was good then; and the generations that were current.
    async fn known(&self, claims: &Result<Claims, Problem>) -> Option<(Version, Arc<Model>)> {
        let claims = claims
            .as_ref()
            .ok()
            .filter(|_| self.ctx.shared.is_shared())?;
        let known = self.ctx.accounts.peek(&claims.pid).await;
        known.filter(|(_, account)| account.token_version == claims.version)
    }

    /// What the answer may show, for Redis to say which state of it is the current one: the account behind
    /// the token, and, to a GET, what the path names. A node alone looks when it has to know.
    fn topics(
        &self,
        claims: &Result<Claims, Problem>,
        known: Option<&(Version, Arc<Model>)>,
        parts: &Parts,
    ) -> Vec<Topic> {
        let claims = match claims {
            Ok(claims) if self.ctx.shared.is_shared() => claims,
            _ => return Vec::new(),
        };
        let mut shown = vec![Topic::Login(claims.pid.clone())];
        if matches!(parts.method, Method::GET | Method::HEAD) {
            // Not proven yet: should it turn out to be out of date, the answer is not kept.
            let scope = known.map(|(_, account)| caller::scope(account));
            let route = parts.extensions.get::<MatchedPath>();
            let route = route.map_or("", MatchedPath::as_str);
            shown.extend(topics(route, parts.uri.path(), scope).unwrap_or_default());
        }
        shown
    }

    /// As the decision says; without one, as the settings do.
    async fn judge(
        &self,
        budget: &Budget,
        decision: Option<Decision>,
        request: Request,
        next: Next,
    ) -> Response {
        let mut response = match decision {
            Some(Decision {
                refused_for: Some(wait),
                ..
            }) => self.refusal(wait),
            None if budget.settings.on_error == OnError::Deny => {
                Problem::new(Kind::UNAVAILABLE).into_response()
            }
            _ => next.run(request).await,
        };
        budget.describe(decision, &mut response);
        response
    }

    /// As this node metrics.
    async fn answer_counted(
        &self,
        budget: &Budget,
        key: BudgetKey,
        mut request: Request,
        next: Next,
    ) -> Response {
        if matches!(key.client, Client::Address(_)) {
            let decision = budget.of_addresses.charge(&key.to_string(), budget.quota);
            return self.judge(budget, Some(decision), request, next).await;
        }
        request.extensions_mut().insert(key);
        let mut governor = Governor::new(next, &budget.of_accounts.governor()).error_handler(
            |error| match error {
                GovernorError::TooManyRequests {
                    headers: Some(headers),
                    ..
                } => (headers, ()).into_response(),
                _ => Problem::new(Kind::INTERNAL).into_response(),
            },
        );
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
        let decision = Decision {
            remaining,
            full_in: budget.quota.interval * (budget.quota.burst - remaining),
            refused_for: wait,
        };
        budget.describe(Some(decision), &mut response);
        response
    }

    /// A login costs the address nothing when it succeeds, and a budget of its own when it fails. Anything
    /// else that is sent there costs the route's.
    async fn answer_login(&self, key: &BudgetKey, request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        let is_free = match response.status() {
            StatusCode::UNAUTHORIZED => self.login_policy.is_some(),
            status => !status.is_client_error() || status == StatusCode::TOO_MANY_REQUESTS,
        };
        match self.budget.as_ref().filter(|_| !is_free) {
            Some(budget) => {
                let decision = if self.ctx.shared.is_shared() {
                    let charge = budget.charge(key, None);
                    self.ctx
                        .shared
                        .fetch(&[] as &[Topic], Some(&charge))
                        .await
                        .1
                } else {
                    let charged = budget.of_addresses.charge(&key.to_string(), budget.quota);
                    Some(charged)
                };
                if let Some(wait) = decision.and_then(|decision| decision.refused_for) {
                    response = self.refusal(wait);
                }
                budget.describe(decision, &mut response);
            }
            None => {
                if let Some(policy) = self.login_policy.clone() {
                    response.headers_mut().insert(RATE_LIMIT_POLICY, policy);
                }
            }
        }
        response
    }

    fn refusal(&self, wait: Duration) -> Response {
        self.ctx.shared.metrics.refusals.inc();
        Problem::rate_limited(wait).into_response()
    }
}

/// How many logins may fail, for `RateLimit-Policy`: of one username, and from one address.
fn login_policy(security: &Security) -> Result<Option<HeaderValue>> {
    let (failures, period) = (
        security.login_failures,
        security.login_failures_period_seconds,
    );
    let all = failures.saturating_mul(10);
    let policy = format!(
        "\"failed-logins\";q={failures};w={period}, \"all-failed-logins\";q={all};w={period}"
    );
    let policy = (failures > 0).then(|| HeaderValue::try_from(policy));
    policy.transpose().map_err(Error::wrap)
}

fn is_login(parts: &Parts) -> bool {
    let route = parts.extensions.get::<MatchedPath>();
    parts.method == Method::POST && route.is_some_and(|route| route.as_str() == LOGIN)
}

impl Client {
    fn of(account: &Model) -> Self {
        Self::Account(account.pid.as_str().into())
    }
}

impl Budget {
    fn charge(&self, key: &BudgetKey, under: Option<Version>) -> Charge {
        Charge {
            key: key.to_string(),
            quota: self.quota,
            under,
        }
    }

    /// Tells the client how large its budget is, and what is left of it until when.
    fn describe(&self, decision: Option<Decision>, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(RATE_LIMIT_POLICY, self.policy.clone());
        let left = decision.map(|decision| {
            let until = decision.refused_for.unwrap_or(decision.full_in);
            let (remaining, seconds) = (decision.remaining, whole_seconds(until));
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

    /// What metrics. Now and then it forgets those whose budget is full again; and everybody when there
    /// are still more than can be remembered: administrators make accounts, not attackers.
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
            tracing::warn!(
                "more than {MOST_BUDGETS} budgets of accounts are in use: all are full again"
            );
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

#[cfg(test)]
mod tests {

    use super::*;

    fn key(client: Client) -> BudgetKey {
        BudgetKey {
            client,
            method: Method::POST,
            route: "/api/v1/orders".into(),
        }
    }

    fn account(number: u32) -> BudgetKey {
        key(Client::Account(number.to_string().into()))
    }

    #[test]
    fn accounts_without_number_do_not_fill_the_memory() {
        let counted = Counted::new(Quota::per(100, Duration::from_hours(24))).unwrap();
        let most = u32::try_from(MOST_BUDGETS).unwrap() + SWEEP_AFTER;
        for number in 0..most + most / 2 {
            let governor = counted.governor();
            assert!(governor.limiter().check_key(&account(number)).is_ok());
        }
        let left = counted.governor().limiter().len();
        assert!(left <= most as usize, "{left} budgets");
    }

    #[test]
    fn budgets_that_are_full_again_are_forgotten_and_others_are_not() {
        let counted = Counted::new(Quota::per(1, Duration::from_millis(1))).unwrap();
        let lasting = Counted::new(Quota::per(1, Duration::from_hours(24))).unwrap();
        for number in 0..SWEEP_AFTER {
            for counted in [&counted, &lasting] {
                let governor = counted.governor();
                assert!(governor.limiter().check_key(&account(number)).is_ok());
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

//! Limits how often each client may call each route and method.
//!
//! An account has a budget of its own, and so has a secret key; each address has one with a publishable key, and
//! requests without a valid credential share that of their address. A node alone counts accounts with
//! `tower_governor`, and all others, of which one client can have more than fit into memory, where those are
//! forgotten first that ask least. Where nodes share a Redis the budget has been asked already, when the caller
//! was [identified](mod@super::identify).
//!
//! A key can have a limit of its own, in place of the shop's.
//!
//! A login that fails has budgets of its own, where passwords are checked, and one that succeeds costs
//! nothing. Otherwise one client who fails could keep all others behind its address out for the day.

use std::{
    fmt::Display,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request},
    http::{
        self, Extensions, HeaderName, HeaderValue, Method, StatusCode, header::InvalidHeaderValue,
    },
    response::{IntoResponse, Response},
};
use governor::{clock::Clock, middleware::StateInformationMiddleware};
use loco_rs::{Error, Result, app::AppContext, environment::Environment};
use tower_governor::{
    GovernorError,
    governor::{GovernorConfig, GovernorConfigBuilder},
    key_extractor::KeyExtractor,
};

use super::is_login;
use crate::{
    context::Context,
    controllers::extract::{Identity, RequestContext},
    settings::{OnError, RateLimit, Security},
    shared::quotas::{Charge, Decision, LocalQuotas, Quota},
    views::problem::{Kind, Problem, whole_seconds},
};

/// The budget: how much, for how long (draft-ietf-httpapi-ratelimit-headers).
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of it.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// How many budgets of accounts a node counts. Each takes some hundred bytes.
const MAX_BUDGETS: usize = 100_000;

/// After how many requests the budgets are looked through for those that are full again.
const SWEEP_AFTER: u32 = 10_000;

/// How large each of the shop's budgets is; `None` when there is no limit.
#[must_use]
pub fn quota(settings: &RateLimit) -> Option<Quota> {
    let period = Duration::from_secs(settings.period_seconds);
    (settings.requests > 0).then(|| Quota::per(settings.requests, period))
}

/// What names the budget of a client for a request. HEAD is a GET whose body is not sent; unknown methods
/// share a budget.
#[must_use]
pub fn budget_key(client: &str, method: &Method, extensions: &Extensions) -> String {
    let method = match method {
        &Method::GET | &Method::HEAD => "GET",
        &Method::POST | &Method::PUT | &Method::PATCH | &Method::DELETE => method.as_str(),
        _ => "TRACE",
    };
    let route = extensions.get().map_or("", MatchedPath::as_str);
    format!("{client} {method} {route}")
}

/// What decides whether a request is answered.
pub struct Limiter {
    ctx: Context,
    /// The shop's budgets; `None` when it has no limit.
    shop: Option<Budgets>,
    /// What counts for keys where there is no Redis.
    keys: LocalQuotas,
    /// What counts for those who share a key. Attackers can have many addresses, but do not make others forgotten.
    visitors: LocalQuotas,
    /// How many logins may fail; `None` when there is no limit.
    login_policy: Option<HeaderValue>,
    /// Whether a refusal says how to raise the limit: in development, one person runs the clients and the server.
    in_development: bool,
}

/// How large the shop's budgets are, and what counts them where there is no Redis.
struct Budgets {
    quota: Quota,
    policy: HeaderValue,
    accounts: AccountQuotas,
    addresses: LocalQuotas,
}

/// The budgets of accounts, counted by this node.
struct AccountQuotas {
    quota: Quota,
    governor: RwLock<Arc<Governed>>,
    requests: AtomicU32,
}

type Governed = GovernorConfig<ByRoute, StateInformationMiddleware>;

#[derive(Clone, Copy, Debug)]
struct ByRoute;

/// Answers, if the client's budget allows it. Who is calling has to be known.
pub async fn limit<F: Future<Output = Response>>(
    limiter: &Limiter,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    match ByRoute.extract(&request) {
        Ok(key) if is_login(request.method(), request.extensions()) => {
            limiter.answer_login(&key, request, next).await
        }
        Ok(key) => limiter.answer(&key, request, next).await,
        // Who sends it was not asked: its route is open, and not limited.
        Err(_) => next(request).await,
    }
}

impl Limiter {
    /// The limits of a server.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub fn new(ctx: &AppContext) -> Result<Self> {
        let in_development = ctx.environment == Environment::Development;
        let ctx = Context::of(ctx)?;
        let settings = &ctx.settings.rate_limit;
        let budgets = quota(settings).map(|quota| {
            Ok::<_, Error>(Budgets {
                quota,
                policy: policy(settings.requests, settings.period_seconds).map_err(Error::wrap)?,
                accounts: AccountQuotas::new(quota)?,
                addresses: LocalQuotas::default(),
            })
        });
        Ok(Self {
            shop: budgets.transpose()?,
            keys: LocalQuotas::default(),
            visitors: LocalQuotas::default(),
            login_policy: login_policy(&ctx.settings.security)?,
            in_development,
            ctx,
        })
    }

    async fn answer<F: Future<Output = Response>>(
        &self,
        key: &Arc<str>,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        let known = request.extensions().get::<RequestContext>();
        let Some((known, quota)) = known.and_then(|known| Some((known, self.quota_of(known)?)))
        else {
            return next(request).await;
        };
        let policy = self.policy_of(known);
        let decision = if self.ctx.shared.is_shared() {
            known.decision
        } else {
            self.count(known, key, quota)
        };
        let mut response = match decision {
            Some(Decision {
                refused_for: Some(wait),
                ..
            }) => self.refusal(wait),
            None if self.ctx.settings.rate_limit.on_error == OnError::Deny => {
                Problem::new(Kind::UNAVAILABLE).into_response()
            }
            _ => next(request).await,
        };
        describe(policy, decision, &mut response);
        response
    }

    /// A login costs the address nothing when it succeeds, and a budget of its own when it fails. Anything
    /// else that is sent there costs the route's.
    async fn answer_login<F: Future<Output = Response>>(
        &self,
        key: &Arc<str>,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        let Some(known) = request.extensions().get::<RequestContext>().cloned() else {
            return next(request).await;
        };
        let mut response = next(request).await;
        let is_free = match response.status() {
            StatusCode::UNAUTHORIZED => self.login_policy.is_some(),
            status => !status.is_client_error() || status == StatusCode::TOO_MANY_REQUESTS,
        };
        if let Some(quota) = self.quota_of(&known).filter(|_| !is_free) {
            let decision = if self.ctx.shared.is_shared() {
                let charge = Charge {
                    key: key.to_string(),
                    quota,
                    under: None,
                };
                self.ctx.shared.charge(&charge).await
            } else {
                self.count(&known, key, quota)
            };
            if let Some(wait) = decision.and_then(|decision| decision.refused_for) {
                response = self.refusal(wait);
            }
            describe(self.policy_of(&known), decision, &mut response);
        } else if let Some(policy) = self.login_policy.clone() {
            response.headers_mut().insert(RATE_LIMIT_POLICY, policy);
        }
        response
    }

    fn quota_of(&self, known: &RequestContext) -> Option<Quota> {
        known.quota(self.shop.as_ref().map(|shop| shop.quota))
    }

    fn policy_of(&self, known: &RequestContext) -> Option<HeaderValue> {
        match known.caller.as_ref().ok().and_then(Identity::own_limit) {
            Some(own) => policy(own.requests.get(), own.period_seconds.get()).ok(),
            None => self.shop.as_ref().map(|shop| shop.policy.clone()),
        }
    }

    /// Takes one from the budget, if there is one, where this node counts for itself.
    fn count(&self, known: &RequestContext, key: &Arc<str>, quota: Quota) -> Option<Decision> {
        match &known.caller {
            Ok(Identity::Key(_)) if known.counts_visitors() => {
                Some(self.visitors.charge(key, quota))
            }
            Ok(Identity::Key(_)) => Some(self.keys.charge(key, quota)),
            Ok(Identity::Account(_)) => {
                let shop = self.shop.as_ref()?;
                Some(shop.accounts.charge(key))
            }
            Err(_) => Some(self.shop.as_ref()?.addresses.charge(key, quota)),
        }
    }

    fn refusal(&self, wait: Duration) -> Response {
        self.ctx.shared.metrics.refusals.inc();
        let problem = Problem::rate_limited(wait);
        if self.in_development {
            problem
                .because(
                    "There were too many requests. Wait as many seconds as the Retry-After header says, or start the \
                     server with a larger RATE_LIMIT_REQUESTS (0 turns the limit off).",
                )
                .into_response()
        } else {
            problem.into_response()
        }
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

/// How large a budget is, for `RateLimit-Policy`.
fn policy(requests: impl Display, period: impl Display) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::try_from(format!("\"default\";q={requests};w={period}"))
}

/// Tells the client how large its budget is, and what is left of it until when.
fn describe(policy: Option<HeaderValue>, decision: Option<Decision>, response: &mut Response) {
    let headers = response.headers_mut();
    headers.extend(policy.map(|policy| (RATE_LIMIT_POLICY, policy)));
    let left = decision.map(|decision| {
        let until = decision.refused_for.unwrap_or(decision.full_in);
        let (remaining, seconds) = (decision.remaining, whole_seconds(until));
        format!("\"default\";r={remaining};t={seconds}")
    });
    if let Some(left) = left.and_then(|left| HeaderValue::try_from(left).ok()) {
        headers.insert(RATE_LIMIT, left);
    }
}

impl AccountQuotas {
    fn new(quota: Quota) -> Result<Self> {
        Ok(Self {
            quota,
            governor: RwLock::new(governed(quota)?),
            requests: AtomicU32::new(0),
        })
    }

    /// Takes one from the budget, if there is one.
    fn charge(&self, key: &Arc<str>) -> Decision {
        let governor = self.governor();
        let limiter = governor.limiter();
        let (remaining, refused_for) = match limiter.check_key(key) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(refusal) => (0, Some(refusal.wait_time_from(limiter.clock().now()))),
        };
        Decision {
            remaining,
            full_in: self.quota.interval * self.quota.burst.saturating_sub(remaining),
            refused_for,
        }
    }

    /// What counts. Now and then it forgets those whose budget is full again; and all of them when there are
    /// still more than can be remembered: administrators make accounts, not attackers.
    fn governor(&self) -> Arc<Governed> {
        let governor = Arc::clone(&self.governor.read().unwrap_or_else(PoisonError::into_inner));
        if self.requests.fetch_add(1, Ordering::Relaxed) % SWEEP_AFTER != SWEEP_AFTER - 1 {
            return governor;
        }
        let limiter = governor.limiter();
        limiter.retain_recent();
        limiter.shrink_to_fit();
        if limiter.len() > MAX_BUDGETS
            && let Ok(empty) = governed(self.quota)
        {
            tracing::warn!(
                "more than {MAX_BUDGETS} budgets of accounts are in use: all are full again"
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
    type Key = Arc<str>;

    fn extract<T>(&self, request: &http::Request<T>) -> Result<Arc<str>, GovernorError> {
        let known = request.extensions().get::<RequestContext>();
        let known = known.ok_or(GovernorError::UnableToExtractKey)?;
        Ok(budget_key(&known.client(), request.method(), request.extensions()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge_many(quotas: &AccountQuotas, accounts: u32) {
        for account in 0..accounts {
            let key = format!("{account} POST /api/v1/orders").into();
            assert_eq!(quotas.charge(&key).refused_for, None);
        }
    }

    #[test]
    fn accounts_without_number_do_not_fill_the_memory() {
        let quotas = AccountQuotas::new(Quota::per(100, Duration::from_hours(24))).unwrap();
        let most = u32::try_from(MAX_BUDGETS).unwrap() + SWEEP_AFTER;
        charge_many(&quotas, most + most / 2);
        let left = quotas.governor().limiter().len();
        assert!(left <= most as usize, "{left} budgets");
    }

    #[test]
    fn budgets_that_are_full_again_are_forgotten_and_others_are_not() {
        let brief = AccountQuotas::new(Quota::per(1, Duration::from_millis(1))).unwrap();
        let lasting = AccountQuotas::new(Quota::per(1, Duration::from_hours(24))).unwrap();
        for quotas in [&brief, &lasting] {
            charge_many(quotas, SWEEP_AFTER);
        }
        std::thread::sleep(Duration::from_millis(5));
        for _ in 0..SWEEP_AFTER {
            brief.governor();
            lasting.governor();
        }
        assert_eq!(brief.governor().limiter().len(), 0);
        assert_eq!(lasting.governor().limiter().len(), SWEEP_AFTER as usize);
    }

    #[test]
    fn a_decision_says_what_is_left_and_how_long_to_wait() {
        let quotas = AccountQuotas::new(Quota::per(2, Duration::from_hours(2))).unwrap();
        let key = Arc::from("ada GET /api/v1/products");
        let [first, second, third] = [(); 3].map(|()| quotas.charge(&key));
        assert_eq!((first.remaining, second.remaining), (1, 0));
        assert_eq!(first.full_in, Duration::from_hours(1));
        assert_eq!(second.full_in, Duration::from_hours(2));
        let wait = third.refused_for.unwrap();
        assert!(
            wait <= Duration::from_hours(1) && wait > Duration::from_mins(59),
            "{wait:?}"
        );
    }
}

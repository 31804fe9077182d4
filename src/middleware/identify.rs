//! Finds out who is calling, once, before anything else is done for a request to the API: extractors and
//! the [rate limit](super::rate_limit) read what is found.
//!
//! Where nodes share a Redis, it is asked for the caller's budget too, in the one round trip that tells
//! which versions are current.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, request::Parts},
    response::Response,
};
use loco_rs::{Result, app::AppContext};

use super::{
    client_address::ClientAddress,
    is_login,
    rate_limit::{budget_key, quota},
};
use crate::{
    context::Context,
    controllers::{
        BASE,
        extract::{
            Entry, RequestContext,
            cached::tags,
            caller::{authenticated, claims, scope},
        },
    },
    models::{
        CacheTag,
        customer_accounts::{Claims, Model},
    },
    shared::{
        quotas::{Charge, Quota},
        versions::Version,
    },
    views::problem::Problem,
};

/// The one look-up of each request.
pub struct Lookup {
    ctx: Context,
    client_address: ClientAddress,
    /// The size of the budgets in Redis, if there are any.
    shared_quota: Option<Quota>,
}

/// Answers, knowing who asks.
pub async fn identify<F: Future<Output = Response>>(
    lookup: &Lookup,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    // The other routes are open: health, Swagger, the pages of problems. So is asking which methods there are.
    if !request.uri().path().starts_with(BASE) || request.method() == Method::OPTIONS {
        return next(request).await;
    }
    let (mut parts, body) = request.into_parts();
    // Boxed, because it is a kilobyte that every outer layer would copy, also for requests without a caller.
    let known = Box::pin(lookup.run(&parts)).await;
    if let Some(entry) = parts.extensions.get::<Entry>() {
        entry.note(|facts| {
            facts.address = Some(known.address);
            facts.account = known.caller.as_ref().ok().cloned();
        });
    }
    parts.extensions.insert(known);
    next(Request::from_parts(parts, body)).await
}

impl Lookup {
    /// The look-up of a server.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub fn new(ctx: &AppContext) -> Result<Self> {
        let client_address = ClientAddress::new(ctx)?;
        let ctx = Context::of(ctx)?;
        Ok(Self {
            client_address,
            shared_quota: quota(&ctx.settings.rate_limit).filter(|_| ctx.shared.is_shared()),
            ctx,
        })
    }

    async fn run(&self, parts: &Parts) -> RequestContext {
        let shared = &self.ctx.shared;
        let address = self.client_address.of(parts);
        let claims = claims(&parts.headers, &self.ctx.verifier);
        let recent = match &claims {
            Ok(claims) if shared.is_shared() => self.recent(claims).await,
            _ => None,
        };
        let tags = self.tags(&claims, recent.as_ref(), parts);
        let quota = self
            .shared_quota
            .filter(|_| !is_login(&parts.method, &parts.extensions));
        let charge = |quota, client: &str, under| Charge {
            key: budget_key(client, &parts.method, &parts.extensions),
            quota,
            under,
        };
        // Whom to charge has to be proven; until then no account is charged.
        let client = match (&claims, &recent) {
            (Err(_), _) => Some((address.to_string(), None)),
            (Ok(_), Some((version, account))) => Some((account.pid.clone(), Some(version.clone()))),
            (Ok(_), None) => None,
        };
        let first = quota
            .zip(client)
            .map(|(quota, (client, under))| charge(quota, &client, under));
        let (versions, mut decision) = shared.fetch(&tags, first.as_ref()).await;
        let caller = match &claims {
            Ok(claims) => authenticated(claims, &versions, &self.ctx).await,
            Err(problem) => Err(problem.clone()),
        };
        let mut known = RequestContext {
            expiry: claims.map_or(0, |claims| claims.exp),
            caller,
            address,
            versions,
            decision: None,
        };
        if let Some(quota) = quota
            && decision.is_none()
            && known.versions.is_known()
        {
            decision = shared.charge(&charge(quota, &known.client(), None)).await;
        }
        known.decision = decision;
        known
    }

    /// The account that a token names, where nodes share what they know, if it has called lately and the
    /// token was good then; and its version at that time.
    async fn recent(&self, claims: &Claims) -> Option<(Version, Arc<Model>)> {
        let recent = Box::pin(self.ctx.accounts.peek(&claims.pid)).await;
        recent.filter(|(_, account)| account.token_version == claims.version)
    }

    /// What the answer may show, for Redis to say which version of it is the current one: the account behind
    /// the token, and, to a GET, what the path names. A node alone looks when it has to know.
    fn tags(
        &self,
        claims: &Result<Claims, Problem>,
        recent: Option<&(Version, Arc<Model>)>,
        parts: &Parts,
    ) -> Vec<CacheTag> {
        let claims = match claims {
            Ok(claims) if self.ctx.shared.is_shared() => claims,
            _ => return Vec::new(),
        };
        let mut shown = vec![CacheTag::Login(claims.pid.clone())];
        if matches!(parts.method, Method::GET | Method::HEAD) {
            // Not proven yet: should it turn out to be out of date, the answer is not kept.
            let scope = recent.map(|(_, account)| scope(account));
            let route = parts.extensions.get::<MatchedPath>();
            let route = route.map_or("", MatchedPath::as_str);
            shown.extend(tags(route, parts.uri.path(), scope).unwrap_or_default());
        }
        shown
    }
}

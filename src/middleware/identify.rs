//! Finds out who is calling, once, before anything else is done for a request to the API: extractors and
//! the [rate limit](super::rate_limit) read what is found.
//!
//! Where nodes share a Redis, it is asked for the caller's budget too, in the one round trip that tells
//! which versions are current.

use std::net::IpAddr;

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, request::Parts},
    response::Response,
};
use loco_rs::{Result, app::AppContext};

use super::{
    client_address::{ClientAddress, network},
    is_login,
    rate_limit::{budget_key, quota},
};
use crate::{
    context::Context,
    controllers::{
        BASE, access,
        extract::{
            Entry, Identity, RequestContext,
            cached::tags,
            caller::{Credential, credential},
        },
    },
    models::CacheTag,
    shared::{
        quotas::{Charge, Quota},
        versions::{Version, VersionSnapshot},
    },
    views::problem::Problem,
};

/// The one look-up of each request.
pub struct Lookup {
    ctx: Context,
    client_address: ClientAddress,
    /// The size of the shop's budgets, if there are any.
    quota: Option<Quota>,
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
        entry.sent_by(known.caller.as_ref().ok(), known.address);
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
            quota: quota(&ctx.settings.rate_limit),
            ctx,
        })
    }

    async fn run(&self, parts: &Parts) -> RequestContext {
        let shared = &self.ctx.shared;
        let address = self.client_address.of(parts);
        let credential = credential(&parts.headers, &self.ctx.verifier);
        let recent = match &credential {
            Ok(credential) if shared.is_shared() => credential.recent(&self.ctx).await,
            _ => None,
        };
        let tags = self.tags(&credential, recent.as_ref(), parts);
        let mut known = RequestContext {
            access: access::of(&parts.method, route(parts)),
            caller: Err(Problem::unauthenticated(None)),
            expiry: credential.as_ref().map_or(0, Credential::expiry),
            address,
            is_for_visitor: false,
            versions: VersionSnapshot::unknown(),
            decision: None,
        };
        // Whom to charge has to be proven; until then no account is charged, and no key.
        let first = match (&credential, recent) {
            (Err(problem), _) => {
                known.caller = Err(problem.clone());
                self.charge(&known, parts, None)
            }
            (Ok(_), Some((version, identity))) => {
                sent_by(&mut known, Ok(identity), address, parts);
                self.charge(&known, parts, Some(version))
            }
            (Ok(_), None) => None,
        };
        (known.versions, known.decision) = shared.fetch(&tags, first.as_ref()).await;
        if let Ok(credential) = &credential {
            let proven = credential.proven(&known.versions, &self.ctx).await;
            sent_by(&mut known, proven, address, parts);
        }
        if known.decision.is_none()
            && known.versions.is_known()
            && let Some(charge) = self.charge(&known, parts, None)
        {
            known.decision = shared.charge(&charge).await;
        }
        known
    }

    /// What the request costs where nodes share budgets, if it has one. A login has its own.
    fn charge(
        &self,
        known: &RequestContext,
        parts: &Parts,
        under: Option<Version>,
    ) -> Option<Charge> {
        if !self.ctx.shared.is_shared() || is_login(&parts.method, &parts.extensions) {
            return None;
        }
        Some(Charge {
            quota: known.quota(self.quota)?,
            key: budget_key(&known.client(), &parts.method, &parts.extensions),
            under,
        })
    }

    /// What the answer may show, for Redis to say which version of it is the current one: who has sent the request,
    /// and, to a GET, what the path names. A node alone looks when it has to know.
    fn tags(
        &self,
        credential: &Result<Credential, Problem>,
        recent: Option<&(Version, Identity)>,
        parts: &Parts,
    ) -> Vec<CacheTag> {
        let credential = match credential {
            Ok(credential) if self.ctx.shared.is_shared() => credential,
            _ => return Vec::new(),
        };
        let mut shown = vec![credential.tag()];
        if matches!(parts.method, Method::GET | Method::HEAD) {
            // Not proven yet: should it turn out to be out of date, the answer is not kept.
            let scope = recent.map(|(_, identity)| identity.scope());
            shown.extend(tags(route(parts), parts.uri.path(), scope).unwrap_or_default());
        }
        shown
    }
}

/// Notes who has sent the request, and from where: for a visitor, if a storefront says so.
fn sent_by(
    known: &mut RequestContext,
    sender: Result<Identity, Problem>,
    address: IpAddr,
    parts: &Parts,
) {
    let visitor = match &sender {
        Ok(identity) => identity.visitor_address(&parts.headers),
        Err(_) => Ok(None),
    };
    match visitor {
        Ok(visitor) => {
            known.is_for_visitor = visitor.is_some();
            known.address = visitor.map_or(address, network);
            known.caller = sender;
        }
        Err(problem) => {
            (known.is_for_visitor, known.address) = (false, address);
            known.caller = Err(problem);
        }
    }
}

/// The path of the request's route, with the names of its parameters.
fn route(parts: &Parts) -> &str {
    parts
        .extensions
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str)
}

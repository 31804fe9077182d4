//! Answers to GET: kept while they are current, and not sent again to clients that have them.

use std::{fmt, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::{StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use sea_orm::EntityTrait;
use serde::Serialize;

use super::{
    caller::{Caller, RequestContext},
    conditional::Tags,
};
use crate::{
    context::{Context, ServerState},
    controllers::BASE,
    models::{
        self, CacheTag,
        growing::{Base, Growing, KeptBase},
        listing::{self, ByCursor, Filter, Listing, Paging, SortKey},
        orders::Scope,
        queue::{Client, turn_to_search},
    },
    shared::versions::VersionSnapshot,
    views::{
        answer::CachedBody,
        page::Page,
        problem::{Kind, Problem},
    },
};

/// Who may be shown the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All callers.
    Everybody,
    /// Administrators, and keys.
    Administrators,
    /// One customer.
    Customer(i64),
    /// One account.
    Account(i64),
}

/// A GET. It is answered with what was kept, if that is current and meant for the same audience.
pub struct Cached {
    ctx: Context,
    versions: VersionSnapshot,
    client: Client,
    route: Option<MatchedPath>,
    uri: Uri,
    if_none_match: Option<Tags>,
    if_match: Option<Tags>,
}

/// What an answer to GET shows: the tags whose change makes another answer of it.
///
/// The caller's customer matters where each has a list of their own. What a list's size is kept under is among
/// them: tags are outdated one after the other, and an answer with an old size must not outlast that. An answer
/// whose tags are not known is not kept.
#[must_use]
pub fn tags(route: &str, path: &str, scope: Option<Scope>) -> Option<Vec<CacheTag>> {
    let mut segments = route.split('/').zip(path.split('/'));
    let id = segments.find(|(name, _)| *name == "{id}");
    // An id that is written in another way than as a number (`%31`) may be one to the handler.
    let id = id.map_or(Some(0), |(_, id)| id.parse().ok())?;
    Some(match route.strip_prefix(BASE)? {
        // Every account, with the customer whom it shows.
        "/auth/me" | "/customer-accounts/{id}" => vec![CacheTag::Accounts],
        "/customer-accounts" => vec![CacheTag::Accounts, CacheTag::Membership],
        "/products" => vec![CacheTag::Products, CacheTag::Assortment],
        "/products/{id}" => vec![CacheTag::Product(id)],
        "/products/{id}/stock" => vec![CacheTag::Stock(id), CacheTag::People],
        "/discounts" => vec![CacheTag::Discounts],
        "/discounts/{id}" => vec![CacheTag::Discount(id)],
        "/shipping-rates" => vec![CacheTag::ShippingRates],
        "/shipping-rates/{id}" => vec![CacheTag::ShippingRate(id)],
        "/tax-rates" => vec![CacheTag::TaxRates],
        "/tax-rates/{id}" => vec![CacheTag::TaxRate(id)],
        "/customers" => vec![CacheTag::Customers, CacheTag::Clientele],
        "/customers/{id}" => vec![CacheTag::Customer(id)],
        "/customers/{id}/addresses" | "/customers/{id}/addresses/{address_id}" => {
            vec![CacheTag::Addresses(id)]
        }
        "/me" => match scope {
            Some(Scope::Customer(id)) => vec![CacheTag::Accounts, CacheTag::Addresses(id)],
            _ => return None,
        },
        "/me/addresses" | "/me/addresses/{id}" => match scope {
            Some(Scope::Customer(id)) => vec![CacheTag::Addresses(id)],
            _ => return None,
        },
        "/orders" => match scope {
            Some(Scope::Customer(id)) => {
                vec![
                    CacheTag::OrdersOf(id),
                    CacheTag::People,
                    CacheTag::PastOrders,
                ]
            }
            _ => vec![CacheTag::Orders, CacheTag::People, CacheTag::PastOrders],
        },
        "/orders/{id}" => vec![CacheTag::Order(id), CacheTag::People],
        // Also events, which each write would outdate, checkouts, which stand differently with each price, rate and code,
        // webhooks and mails, which change while they are sent, keys, which change when they are used, and exports, which
        // are long and asked for once.
        _ => return None,
    })
}

impl Cached {
    /// Responds from the cache, or with what `make` returns. That is cached, unless its [`tags`] are unknown.
    ///
    /// # Errors
    /// Those of `make`; 412 when `If-Match` is not what is there.
    pub async fn answer<F>(
        &self,
        audience: Audience,
        make: impl Fn() -> F + Send + Sync,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<CachedBody, Problem>> + Send,
    {
        let tags = self.tags(audience);
        let version = tags.and_then(|tags| self.versions.version(&tags));
        let path_and_query = self.uri.path_and_query().map_or("", |whole| whole.as_str());
        let key = format!("{audience} {path_and_query}");
        let answer = self
            .ctx
            .answers
            .get_or_insert_with(&key, version, make)
            .await?;
        if self
            .if_match
            .as_ref()
            .is_some_and(|tags| !tags.match_strongly(&answer.etag))
        {
            return Err(Problem::new(Kind::PRECONDITION_FAILED));
        }
        let unchanged = |tags: &Tags| tags.match_weakly(&answer.etag);
        if self.if_none_match.as_ref().is_some_and(unchanged) {
            Ok((StatusCode::NOT_MODIFIED, answer.headers()).into_response())
        } else {
            Ok(answer.into_response())
        }
    }

    /// Answers with a page of a list, as [`answer`](Self::answer) does.
    ///
    /// How many rows the list has is counted again only when something has changed on which that depends:
    /// counting a long list takes longer than all the rest of its answer. A search waits for its turn.
    ///
    /// # Errors
    /// Those of `fetch` and `count`.
    pub async fn page<F: Filter, K: SortKey, T, P, C, E>(
        &self,
        audience: Audience,
        listing: Listing<F, K>,
        fetch: impl Fn(Listing<F, K>) -> P + Send + Sync,
        count: impl Fn(F) -> C + Send + Sync,
    ) -> Result<Response, Problem>
    where
        P: Future<Output = models::Result<listing::Page<T>>> + Send,
        C: Future<Output = Result<u64, E>> + Send,
        E: Into<Problem> + Send,
        T: Serialize + Send,
    {
        let page = || async {
            let _turn = turn_to_search(listing.filter.search(), self.client).await?;
            let mut listing = listing.clone();
            if let Paging::Number(_) = listing.paging {
                listing.total_items = Some(self.total(audience, &listing.filter, &count).await?);
            }
            let page = fetch(listing.clone()).await?;
            Ok(Page::new(page, &listing, &self.uri).body()?)
        };
        self.answer(audience, page).await
    }

    /// How many rows a list has that only grows. What was there before is not counted again.
    ///
    /// A short list is counted whole. Of a long one the beginning is counted, up to its *base*; that is kept,
    /// and only what came after it is counted each time. Where rows are committed in another order than that of
    /// their ids, one may come among those before the base later. So the base is announced before it is counted,
    /// and whoever has committed a row compares. If the count has not seen a row before the base, its commit
    /// came after the announcement, and outdates the base before it is answered.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count<E>(&self, list: &Growing<E>) -> Result<u64, Problem>
    where
        E: EntityTrait<Model: Send + Sync>,
    {
        let ServerState { db, bases, .. } = &*self.ctx;
        let Some(version) = self.versions.version(list.past.as_slice()) else {
            return Ok(list.count(db).await?);
        };
        let key = list.key(db);
        let kept = if let Some(kept) = bases.find(&key, &version).await {
            kept
        } else {
            if let Some(short) = list.count_short(db).await? {
                return Ok(short);
            }
            let first = || async {
                let newest = list.newest(db).await?;
                let base = self.advance(list, Base::default(), newest).await?;
                Ok::<_, Problem>(Arc::new(KeptBase::from(base)))
            };
            bases.get_or_insert_with(&key, Some(version), first).await?
        };
        let base = kept.get();
        let (rows, newest) = list.count_since(db, base).await?;
        if base.is_far_behind(newest) {
            kept.set(self.advance(list, base, newest).await?);
        }
        Ok(base.rows + rows)
    }

    /// The base of a list of which that row is the newest, or the former one where none can be announced.
    async fn advance<E>(&self, list: &Growing<E>, base: Base, newest: i64) -> Result<Base, Problem>
    where
        E: EntityTrait<Model: Send + Sync>,
    {
        let id = base.next(newest);
        if let Some(past) = &list.past
            && !self.ctx.shared.announce(past, id).await
        {
            return Ok(base);
        }
        Ok(list.count_up_to(&self.ctx.db, base, id).await?)
    }

    /// Answers with a page of a list that goes on by cursor only.
    ///
    /// # Errors
    /// Those of `fetch`.
    pub async fn walk<F: Filter, K: SortKey, T, P>(
        &self,
        audience: Audience,
        ByCursor(listing): ByCursor<F, K>,
        fetch: impl Fn(ByCursor<F, K>) -> P + Send + Sync,
    ) -> Result<Response, Problem>
    where
        P: Future<Output = models::Result<listing::Page<T>>> + Send,
        T: Serialize + Send,
    {
        let fetch = |listing| fetch(ByCursor(listing));
        // There is nothing to count where pages have no numbers.
        self.page(audience, listing, fetch, async |_| Ok::<_, Problem>(0))
            .await
    }

    fn tags(&self, audience: Audience) -> Option<Vec<CacheTag>> {
        let scope = match audience {
            Audience::Customer(id) => Scope::Customer(id),
            _ => Scope::All,
        };
        let route = self.route.as_ref().map_or("", MatchedPath::as_str);
        tags(route, self.uri.path(), Some(scope))
    }

    async fn total<F: Filter, C, E>(
        &self,
        audience: Audience,
        filter: &F,
        count: impl Fn(F) -> C + Send + Sync,
    ) -> Result<u64, Problem>
    where
        C: Future<Output = Result<u64, E>> + Send,
        E: Into<Problem> + Send,
    {
        // Every field of a filter stands in its debug form, and no two filters have the same.
        let key = format!("{audience} {} {filter:?}", self.uri.path());
        let tags = filter.counted_by().map(|tag| vec![tag]);
        let tags = tags.or_else(|| self.tags(audience));
        let version = tags.and_then(|tags| self.versions.version(&tags));
        let count = || async { count(filter.clone()).await.map_err(Into::into) };
        self.ctx
            .totals
            .get_or_insert_with(&key, version, count)
            .await
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("everybody"),
            Self::Administrators => f.write_str("administrators"),
            Self::Customer(id) => write!(f, "customer {id}"),
            Self::Account(id) => write!(f, "account {id}"),
        }
    }
}

impl From<Scope> for Audience {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::All => Self::Administrators,
            Scope::Customer(id) => Self::Customer(id),
        }
    }
}

impl FromRequestParts<Context> for Cached {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ctx: &Context) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, ctx).await?;
        Ok(Self {
            ctx: ctx.clone(),
            client: caller.client(),
            versions: RequestContext::of(parts)?.versions.clone(),
            route: parts.extensions.get().cloned(),
            uri: parts.uri.clone(),
            // One that cannot be read only costs a body, which a client of old habits shall have.
            if_none_match: Tags::of(&parts.headers, &header::IF_NONE_MATCH)
                .ok()
                .flatten(),
            if_match: Tags::of(&parts.headers, &header::IF_MATCH)?,
        })
    }
}

//! Who is calling. A handler that takes a [`Caller`], an [`Account`] or an [`Admin`] cannot run without one whom
//! [the table](crate::controllers::access) lets in.

use std::{fmt::Write, net::IpAddr, ops::Deref, sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, header, request::Parts},
};

use super::entry::Entry;
use crate::{
    context::Context,
    controllers::access::{Access, Least},
    models::{
        Actor, CacheTag, Error, Transaction,
        api_keys::{self, Permit},
        checkouts::Buyer,
        customer_accounts::{Claims, Model, Verifier},
        deadline::Deadline,
        events::Cause,
        idempotency_keys::Owner,
        now,
        orders::Scope,
        queue::Client,
        types::{ApiKey, KeyKind, KeyScope, RateLimit, Role},
    },
    shared::{
        quotas::{Decision, Quota},
        versions::{Version, VersionSnapshot},
    },
    views::problem::{Kind, Problem},
};

/// For whom a storefront asks that renders on a server.
const VISITOR_ADDRESS: HeaderName = HeaderName::from_static("visitor-address");

/// What is known of a request before its handler runs.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Who its credential proves its sender to be.
    pub caller: Result<Identity, Problem>,
    /// Who may call the operation, if there is one.
    pub access: Option<Access>,
    /// When its token expires, in seconds since 1970; 0 without one.
    pub expiry: i64,
    /// Where it comes from: an address, or the network of an IPv6 address.
    pub address: IpAddr,
    /// Whether that is a visitor's, for whom the caller asks.
    pub is_for_visitor: bool,
    /// Which versions were current when it began.
    pub versions: VersionSnapshot,
    /// What its budget says, where nodes share one.
    pub decision: Option<Decision>,
}

/// Who somebody is.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Somebody in person.
    Account(Arc<Model>),
    /// A program.
    Key(Arc<Permit>),
}

/// What a request shows to prove who sends it.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An account's token.
    Token(Claims),
    /// A key, of which only the digest is kept.
    Key(String),
}

/// Where a request comes from: an address, or the network of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub IpAddr);

/// Whoever may call the operation: an account or a key.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who they are.
    pub who: Identity,
    request: Request,
}

/// Somebody in person, who may call the operation.
#[derive(Clone, Debug)]
pub struct Account(pub Arc<Model>, Caller);

/// The caller's request, and when it has to be over.
#[derive(Clone, Debug)]
struct Request {
    entry: Entry,
    expiry: i64,
    address: IpAddr,
    is_for_visitor: bool,
    deadline: Arc<Deadline>,
}

/// The caller of a request with the valid token of an account that has a customer.
#[derive(Clone, Debug)]
pub struct Oneself {
    account: Account,
    /// The customer.
    pub customer_id: i64,
}

/// An administrator in person.
#[derive(Clone, Debug)]
pub struct Admin {
    account: Account,
}

/// What the request shows: a token that is this store's and has not expired, or a key that was not mistyped.
///
/// # Errors
/// 401 `unauthenticated`.
pub fn credential(headers: &HeaderMap, verifier: &Verifier) -> Result<Credential, Problem> {
    let token = bearer(headers)?;
    let credential = if ApiKey::is_meant_by(token) {
        ApiKey::parse(token).map(|key| Credential::Key(key.digest()))
    } else {
        verifier.claims(token).map(Credential::Token)
    };
    credential.ok_or_else(refused)
}

impl Credential {
    /// What changes when it is good no more.
    #[must_use]
    pub fn tag(&self) -> CacheTag {
        match self {
            Self::Token(claims) => CacheTag::Login(claims.pid.clone()),
            Self::Key(digest) => CacheTag::ApiKey(digest.clone()),
        }
    }

    /// When it expires, in seconds since 1970; 0 where that is not said by itself.
    #[must_use]
    pub const fn expiry(&self) -> i64 {
        match self {
            Self::Token(claims) => claims.exp,
            Self::Key(_) => 0,
        }
    }

    /// Whom it has proven of late, if it was good then; and which version of them that was.
    pub async fn recent(&self, ctx: &Context) -> Option<(Version, Identity)> {
        match self {
            Self::Token(claims) => {
                let (version, account) = Box::pin(ctx.accounts.peek(&claims.pid)).await?;
                let is_good = account.token_version == claims.version;
                is_good.then_some((version, Identity::Account(account)))
            }
            Self::Key(digest) => {
                let (version, permit) = Box::pin(ctx.keys.peek(digest)).await?;
                let is_good = !permit.has_expired();
                is_good.then_some((version, Identity::Key(permit)))
            }
        }
    }

    /// Whom it proves, if it is still good: an account may be gone, and every new password, role or logout raises its
    /// version; a key may be gone, or have expired.
    ///
    /// # Errors
    /// 401 `unauthenticated`; 503 when the database does not answer.
    pub async fn proven(
        &self,
        versions: &VersionSnapshot,
        ctx: &Context,
    ) -> Result<Identity, Problem> {
        let version = versions.version(&[self.tag()]);
        match self {
            Self::Token(claims) => {
                let account = ctx
                    .accounts
                    .get_or_insert_with(&claims.pid, version, || async {
                        match Model::find_by_pid(&ctx.db, &claims.pid).await {
                            Err(Error::NotFound) => Err(refused()),
                            Err(error) => Err(error.into()),
                            Ok(account) => Ok(Arc::new(account.without_password())),
                        }
                    })
                    .await?;
                let is_good = claims.version == account.token_version;
                is_good.then_some(Identity::Account(account))
            }
            // Boxed, so that the requests of accounts do not carry it about.
            Self::Key(digest) => Box::pin(permitted(digest, version, ctx)).await?,
        }
        .ok_or_else(refused)
    }
}

async fn permitted(
    digest: &str,
    version: Option<Version>,
    ctx: &Context,
) -> Result<Option<Identity>, Problem> {
    let find = || async {
        match api_keys::Model::permit(&ctx.db, digest).await {
            Err(Error::NotFound) => Err(refused()),
            Err(error) => Err(error.into()),
            Ok(permit) => Ok(Arc::new(permit)),
        }
    };
    let permit = ctx.keys.get_or_insert_with(digest, version, find).await?;
    if permit.has_expired() {
        return Ok(None);
    }
    ctx.key_uses.note(permit.id);
    Ok(Some(Identity::Key(permit)))
}

impl Identity {
    /// Whose orders they may see.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Key(_) => Scope::All,
            Self::Account(account) => match (account.role(), account.customer_id) {
                (Role::Admin, _) => Scope::All,
                // An account without a customer is an administrator's; no customer has id 0.
                (Role::Customer, customer) => Scope::Customer(customer.unwrap_or_default()),
            },
        }
    }

    /// Who they are, for history.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Self::Account(account) => account.actor(),
            Self::Key(permit) => permit.actor(),
        }
    }

    /// The address of the visitor for whom they ask. It is believed from the keys of storefronts alone: anybody else
    /// could have another one for each request.
    ///
    /// # Errors
    /// 400 `malformed-request` when it is none.
    pub fn visitor_address(&self, headers: &HeaderMap) -> Result<Option<IpAddr>, Problem> {
        let Self::Key(permit) = self else {
            return Ok(None);
        };
        let mut given = headers.get_all(&VISITOR_ADDRESS).iter();
        let (first, second) = (given.next(), given.next());
        let Some(address) = first.filter(|_| permit.includes(KeyScope::Visitors)) else {
            return Ok(None);
        };
        let address = address.to_str().ok().filter(|_| second.is_none());
        let address = address.and_then(|address| address.trim().parse().ok());
        let malformed = || {
            Problem::new(Kind::MALFORMED_REQUEST)
                .because("Visitor-Address has to be one IPv4 or IPv6 address, without a port.")
        };
        address.map(Some).ok_or_else(malformed)
    }

    /// Whether each visitor has a budget of their own: of a key that many of them share.
    #[must_use]
    pub fn counts_visitors(&self, access: Option<Access>, is_for_visitor: bool) -> bool {
        match self {
            Self::Account(_) => false,
            Self::Key(permit) if permit.kind == KeyKind::Publishable => true,
            Self::Key(_) => is_for_visitor && access.is_some_and(Access::is_for_visitors),
        }
    }

    /// The limit that a key has of its own.
    #[must_use]
    pub fn own_limit(&self) -> Option<RateLimit> {
        match self {
            Self::Account(_) => None,
            Self::Key(permit) => permit.limit,
        }
    }

    /// What names their budgets.
    #[must_use]
    pub fn client(&self, address: IpAddr, counts_visitors: bool) -> String {
        match self {
            Self::Account(account) => account.pid.clone(),
            Self::Key(permit) => {
                let mut client = format!("key {}", permit.id);
                // Under another limit it begins anew.
                if let Some(limit) = permit.limit {
                    let (requests, seconds) = (limit.requests.get(), limit.period_seconds.get());
                    let _ = write!(client, " {requests}/{seconds}");
                }
                if counts_visitors {
                    let _ = write!(client, " {address}");
                }
                client
            }
        }
    }

    /// Refuses whom the table does not let in.
    fn assert_let_in(&self, access: Access) -> Result<(), Problem> {
        match self {
            Self::Account(account) => {
                if access.least == Least::Administrator && account.role() != Role::Admin {
                    return Err(Problem::new(Kind::FORBIDDEN));
                }
                Ok(())
            }
            Self::Key(permit) => {
                let as_visitor = access.is_for_visitors()
                    && (permit.kind == KeyKind::Publishable || permit.includes(KeyScope::Visitors));
                let by_scope = access.scope.is_some_and(|scope| permit.includes(scope));
                if as_visitor || by_scope || access.least == Least::Anybody {
                    return Ok(());
                }
                Err(Problem::insufficient_scope(access.asked()))
            }
        }
    }
}

impl Caller {
    /// Whose orders they may see.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.who.scope()
    }

    /// Who they are, for history.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.who.actor()
    }

    /// The account, if it is somebody in person.
    #[must_use]
    pub fn account(&self) -> Option<&Model> {
        match &self.who {
            Identity::Account(account) => Some(account),
            Identity::Key(_) => None,
        }
    }

    /// Whether it is a customer in person, who does not run the store.
    #[must_use]
    pub fn is_customer(&self) -> bool {
        self.account()
            .is_some_and(|account| account.role() == Role::Customer)
    }

    /// As who they buy. A key that may do what the scope says buys for the store, unless it asks for a visitor.
    #[must_use]
    pub fn buyer(&self, scope: KeyScope) -> Buyer {
        match &self.who {
            Identity::Account(account) => match (account.role(), account.customer_id) {
                (Role::Customer, Some(customer_id)) => Buyer::Customer(customer_id),
                _ => Buyer::Staff,
            },
            Identity::Key(permit) if permit.kind == KeyKind::Publishable => Buyer::Visitor,
            Identity::Key(permit) if permit.includes(scope) && !self.request.is_for_visitor => {
                Buyer::Staff
            }
            Identity::Key(_) => Buyer::Visitor,
        }
    }

    /// Where a visitor comes from: what they do often is counted by it.
    #[must_use]
    pub fn visitor(&self, buyer: Buyer) -> Option<String> {
        match &self.who {
            Identity::Key(permit) if buyer == Buyer::Visitor => {
                Some(format!("key {} {}", permit.id, self.request.address))
            }
            _ => None,
        }
    }

    /// Who buys, if it is not the store: a customer, or a visitor from somewhere.
    #[must_use]
    pub fn shopper(&self) -> Option<String> {
        match (self.buyer(KeyScope::CheckoutsWrite), self.account()) {
            (Buyer::Customer(_), Some(account)) => Some(format!("account {}", account.id)),
            (buyer, _) => self.visitor(buyer),
        }
    }

    /// Whether it is a program that keeps its key secret.
    #[must_use]
    pub fn is_secret_key(&self) -> bool {
        matches!(&self.who, Identity::Key(permit) if permit.kind == KeyKind::Secret)
    }

    /// Whose answers are kept for retries.
    #[must_use]
    pub fn owner(&self) -> Owner {
        match &self.who {
            Identity::Account(account) => Owner::Account(account.id),
            Identity::Key(permit) => Owner::ApiKey(permit.id),
        }
    }

    /// Who they are to a queue: visitors who share a key wait each for themselves.
    #[must_use]
    pub fn client(&self) -> Client {
        match &self.who {
            Identity::Account(account) => Client::Account(account.id),
            Identity::Key(permit)
                if permit.kind == KeyKind::Publishable || self.request.is_for_visitor =>
            {
                Client::at(self.request.address)
            }
            Identity::Key(permit) => Client::ApiKey(permit.id),
        }
    }

    /// Who they are and which request is theirs, for events.
    #[must_use]
    pub fn cause(&self) -> Cause {
        Cause {
            actor: self.actor(),
            request_id: Some(self.request.entry.facts().request_id.as_ref().to_owned()),
        }
    }

    /// The clock of their request.
    #[must_use]
    pub fn deadline(&self) -> &Deadline {
        &self.request.deadline
    }

    /// Refuses them in a transaction when their token or key has ended since their request began. In one that changes
    /// accounts nobody else can be admitted with theirs meanwhile.
    ///
    /// # Errors
    /// [`Error::Revoked`].
    pub async fn admit(&self, txn: &Transaction, changes_accounts: bool) -> Result<(), Error> {
        match &self.who {
            Identity::Account(account) => {
                if self.request.expiry <= now().timestamp() {
                    return Err(Error::Revoked);
                }
                let (id, version) = (account.id, account.token_version);
                if changes_accounts {
                    Model::assert_current_alone(txn, id, version).await
                } else {
                    Model::assert_current(txn, id, version).await
                }
            }
            Identity::Key(permit) => api_keys::Model::assert_current(txn, permit.id).await,
        }
    }
}

impl Deref for Account {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.1
    }
}

impl Account {
    /// Whether they run the store.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.0.role() == Role::Admin
    }
}

impl Deref for Admin {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl Deref for Oneself {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl RequestContext {
    /// What is known of that request.
    ///
    /// # Errors
    /// When the middleware has not identified its sender.
    pub fn of(parts: &Parts) -> Result<&Self, Problem> {
        parts.extensions.get().ok_or_else(not_identified)
    }

    /// Whose budget it is charged to: the account's, the key's, or else the address's.
    #[must_use]
    pub fn client(&self) -> String {
        let Ok(identity) = &self.caller else {
            return self.address.to_string();
        };
        identity.client(self.address, self.counts_visitors())
    }

    /// How large their budgets are: as large as the shop's, unless their key has a limit of its own. `None` when there
    /// is no limit.
    #[must_use]
    pub fn quota(&self, shop: Option<Quota>) -> Option<Quota> {
        match self.caller.as_ref().ok().and_then(Identity::own_limit) {
            None => shop,
            Some(own) => {
                let requests = u32::try_from(own.requests.get()).ok();
                let seconds = u64::try_from(own.period_seconds.get()).ok();
                let (requests, seconds) = requests.filter(|it| *it > 0).zip(seconds)?;
                Some(Quota::per(requests, Duration::from_secs(seconds)))
            }
        }
    }

    /// Whether the budget is one of several that belong to a key.
    #[must_use]
    pub fn counts_visitors(&self) -> bool {
        let caller = self.caller.as_ref();
        caller.is_ok_and(|caller| caller.counts_visitors(self.access, self.is_for_visitor))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let known = RequestContext::of(parts)?;
        let who = known.caller.clone()?;
        who.assert_let_in(known.access.ok_or_else(not_in_the_table)?)?;
        let deadline = parts.extensions.get::<Arc<Deadline>>();
        let request = Request {
            entry: parts.extensions.get().cloned().unwrap_or_default(),
            expiry: known.expiry,
            address: known.address,
            is_for_visitor: known.is_for_visitor,
            deadline: deadline.cloned().ok_or_else(not_identified)?,
        };
        Ok(Self { who, request })
    }
}

impl<S: Sync> FromRequestParts<S> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        match &caller.who {
            Identity::Account(account) => {
                let account = Arc::clone(account);
                Ok(Self(account, caller))
            }
            Identity::Key(_) => Err(Problem::insufficient_scope(None)),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let account = Account::from_request_parts(parts, state).await?;
        if account.is_admin() {
            Ok(Self { account })
        } else {
            Err(Problem::new(Kind::FORBIDDEN))
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Oneself {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let account = Account::from_request_parts(parts, state).await?;
        let customer_id = account.0.customer_id;
        let customer_id = customer_id.ok_or_else(|| Problem::new(Kind::NOT_FOUND))?;
        Ok(Self {
            account,
            customer_id,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(RequestContext::of(parts)?.address))
    }
}

/// The token of the one `Authorization: Bearer` header (RFC 6750, section 2.1).
///
/// # Errors
/// 401 `unauthenticated`.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(credentials) = given.next() else {
        return Err(Problem::unauthenticated(None));
    };
    if given.next().is_some() {
        return Err(refused());
    }
    let (scheme, token) = credentials
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(refused)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_start())
    } else {
        Err(refused())
    }
}

fn refused() -> Problem {
    Problem::unauthenticated(Some("invalid_token"))
}

fn not_in_the_table() -> Problem {
    Problem::internal(&loco_rs::Error::string(
        "access.rs does not say who may call this",
    ))
}

fn not_identified() -> Problem {
    Problem::internal(&loco_rs::Error::string("the sender was not identified"))
}

//! Who is calling. A handler that takes an [`Account`] or an [`Admin`] cannot run without one.

use std::{net::IpAddr, ops::Deref, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use super::entry::Entry;
use crate::{
    context::Context,
    models::{
        Actor, CacheTag, Error, Transaction,
        customer_accounts::{Claims, Model, Verifier},
        deadline::Deadline,
        events::Cause,
        now,
        orders::Scope,
        types::Role,
    },
    shared::{quotas::Decision, versions::VersionSnapshot},
    views::problem::{Kind, Problem},
};

/// What is known of a request before its handler runs.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Who its token proves its sender to be.
    pub caller: Result<Arc<Model>, Problem>,
    /// When its token expires, in seconds since 1970; 0 without one.
    pub expiry: i64,
    /// Where it comes from: an address, or the network of an IPv6 address.
    pub address: IpAddr,
    /// Which versions were current when it began.
    pub versions: VersionSnapshot,
    /// What its budget says, where nodes share one.
    pub decision: Option<Decision>,
}

/// Where a request comes from: an address, or the network of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub IpAddr);

/// The caller of a request with a valid token.
#[derive(Clone, Debug)]
pub struct Account(pub Arc<Model>, Request);

/// The caller's request, and when it has to be over.
#[derive(Clone, Debug)]
struct Request {
    entry: Entry,
    expiry: i64,
    deadline: Arc<Deadline>,
}

/// The caller of a request with the valid token of an account that has a customer.
#[derive(Clone, Debug)]
pub struct Oneself {
    account: Account,
    /// The customer.
    pub customer_id: i64,
}

/// The caller of a request with an administrator's valid token.
#[derive(Clone, Debug)]
pub struct Admin {
    account: Account,
}

/// What the request's token says, if it is this store's and not expired.
///
/// # Errors
/// 401 `unauthenticated`.
pub fn claims(headers: &HeaderMap, verifier: &Verifier) -> Result<Claims, Problem> {
    let token = bearer(headers)?;
    verifier.claims(token).ok_or_else(refused)
}

/// The account that a token names, if the token is still good: the account may be gone, and every new
/// password, role or logout raises its version.
///
/// # Errors
/// 401 `unauthenticated`; 503 when the database does not answer.
pub async fn authenticated(
    claims: &Claims,
    versions: &VersionSnapshot,
    ctx: &Context,
) -> Result<Arc<Model>, Problem> {
    let version = versions.version(&[CacheTag::Login(claims.pid.clone())]);
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
    if claims.version == account.token_version {
        Ok(account)
    } else {
        Err(refused())
    }
}

/// Whose orders an account may see.
#[must_use]
pub fn scope(account: &Model) -> Scope {
    match (account.role(), account.customer_id) {
        (Role::Admin, _) => Scope::All,
        // An account without a customer is an administrator's; no customer has id 0.
        (Role::Customer, customer) => Scope::Customer(customer.unwrap_or_default()),
    }
}

impl Account {
    /// Whose orders they may see.
    #[must_use]
    pub fn scope(&self) -> Scope {
        scope(&self.0)
    }

    /// Who they are, for history.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.0.actor()
    }

    /// Who they are and which request is theirs, for events.
    #[must_use]
    pub fn cause(&self) -> Cause {
        Cause {
            actor: self.actor(),
            request_id: Some(self.1.entry.facts().request_id.as_ref().to_owned()),
        }
    }

    /// Whether they run the store.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.0.role() == Role::Admin
    }

    /// The clock of their request.
    #[must_use]
    pub fn deadline(&self) -> &Deadline {
        &self.1.deadline
    }

    /// Refuses them in a transaction when their token has ended since their request began.
    ///
    /// # Errors
    /// [`Error::Revoked`].
    pub async fn admit(&self, txn: &Transaction) -> Result<(), Error> {
        if self.1.expiry <= now().timestamp() {
            return Err(Error::Revoked);
        }
        Model::assert_current(txn, self.0.id, self.0.token_version).await
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

    /// Whose budget it is charged to: the account's, or else the address's.
    #[must_use]
    pub fn client(&self) -> String {
        match &self.caller {
            Ok(account) => account.pid.clone(),
            Err(_) => self.address.to_string(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let known = RequestContext::of(parts)?;
        let deadline = parts.extensions.get::<Arc<Deadline>>();
        let request = Request {
            entry: parts.extensions.get().cloned().unwrap_or_default(),
            expiry: known.expiry,
            deadline: deadline.cloned().ok_or_else(not_identified)?,
        };
        Ok(Self(known.caller.clone()?, request))
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

fn not_identified() -> Problem {
    Problem::internal(&loco_rs::Error::string("the sender was not identified"))
}

//! Handlers, one file per resource: its `endpoints()` first. What they have in common:
//!
//! * routes and documents are one list, so that they cannot differ ([`endpoints`]);
//! * who may call is said by one table ([`access`]), and nobody else comes past the first argument:
//!   [`extract::Caller`], [`extract::Account`] or [`extract::Admin`];
//! * a handler reads, says one verb to a model, and shows a view.

use std::{
    collections::BTreeSet,
    fmt::Display,
    sync::{Mutex, PoisonError},
};

use loco_rs::controller::Routes;
use sea_orm::DatabaseConnection;
use utoipa_axum::router::UtoipaMethodRouter;

use self::extract::{Caller, Visitor};
use crate::{
    context::Context,
    models::{self, Actor, CacheTag, Transaction, deadline::Deadline, transaction::Database},
};

pub mod access;
pub mod api_keys;
pub mod auth;
pub mod budgets;
pub mod checkouts;
pub mod customer_accounts;
pub mod customer_addresses;
pub mod customers;
pub mod discounts;
pub mod events;
pub mod extract;
pub mod health;
mod mailing;
pub mod mails;
pub mod me;
pub mod orders;
pub mod problems;
pub mod products;
pub mod shipping_rates;
pub mod tax_rates;
pub mod webhook_deliveries;
pub mod webhook_endpoints;

/// Where the API begins.
pub const BASE: &str = "/api/v1";

/// The store, as the caller of a request changes it.
pub struct OnBehalf<'a> {
    ctx: &'a Context,
    caller: &'a Caller,
    changes_accounts: bool,
}

/// The store, as a visitor changes it. Who they are turns out while they do.
pub struct Visit<'a> {
    ctx: &'a Context,
    visitor: &'a Visitor,
    actor: Mutex<Option<Actor>>,
}

impl Visit<'_> {
    /// Says who the visitor is.
    pub fn is_by(&self, actor: Actor) {
        *self.actor.lock().unwrap_or_else(PoisonError::into_inner) = Some(actor);
    }

    fn actor(&self) -> Option<Actor> {
        self.actor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Context {
    /// The store, to be changed for that visitor, in the time that their request has.
    pub const fn visited_by<'a>(&'a self, visitor: &'a Visitor) -> Visit<'a> {
        Visit {
            ctx: self,
            visitor,
            actor: Mutex::new(None),
        }
    }

    /// The store, to be changed for that caller, in the time that their request has.
    pub const fn on_behalf_of<'a>(&'a self, caller: &'a Caller) -> OnBehalf<'a> {
        OnBehalf {
            ctx: self,
            caller,
            changes_accounts: false,
        }
    }
}

impl OnBehalf<'_> {
    /// The same, for what changes or deletes accounts, perhaps the caller's own: nobody shares the lock of that.
    #[must_use]
    pub const fn changing_accounts(self) -> Self {
        Self {
            changes_accounts: true,
            ..self
        }
    }
}

impl Database for OnBehalf<'_> {
    fn db(&self) -> &DatabaseConnection {
        &self.ctx.db
    }

    async fn changed(&self, tags: BTreeSet<CacheTag>) {
        self.ctx.invalidate(tags).await;
    }

    async fn record(&self, txn: &Transaction) -> models::Result<()> {
        self.ctx.record(txn, &self.caller.cause()).await
    }

    async fn admit(&self, txn: &Transaction) -> models::Result<()> {
        self.caller.admit(txn, self.changes_accounts).await
    }

    fn deadline(&self) -> Option<&Deadline> {
        Some(self.caller.deadline())
    }
}

impl Database for Visit<'_> {
    fn db(&self) -> &DatabaseConnection {
        &self.ctx.db
    }

    async fn changed(&self, tags: BTreeSet<CacheTag>) {
        self.ctx.invalidate(tags).await;
    }

    async fn record(&self, txn: &Transaction) -> models::Result<()> {
        let actor = self.actor().unwrap_or_else(Actor::system);
        self.ctx.record(txn, &self.visitor.cause(actor)).await
    }

    async fn admit(&self, txn: &Transaction) -> models::Result<()> {
        self.visitor.admit(txn).await
    }

    fn deadline(&self) -> Option<&Deadline> {
        Some(self.visitor.deadline())
    }
}

/// The methods of one path, with their documents.
pub type Endpoint = UtoipaMethodRouter<Context>;

/// All endpoints of the API, below [`BASE`].
pub fn endpoints() -> Vec<Endpoint> {
    [
        auth::endpoints(),
        me::endpoints(),
        products::endpoints(),
        orders::endpoints(),
        checkouts::endpoints(),
        customers::endpoints(),
        customer_addresses::endpoints(),
        customer_accounts::endpoints(),
        discounts::endpoints(),
        tax_rates::endpoints(),
        shipping_rates::endpoints(),
        api_keys::endpoints(),
        events::endpoints(),
        webhook_endpoints::endpoints(),
        webhook_deliveries::endpoints(),
        mails::endpoints(),
    ]
    .concat()
}

/// The same endpoints, as Loco takes them.
pub fn routes(ctx: &Context) -> Routes {
    endpoints()
        .into_iter()
        .fold(Routes::at(BASE), |routes, (_, paths, methods)| {
            paths.paths.keys().fold(routes, |routes, path| {
                routes.add(path, methods.clone().with_state(ctx.clone()))
            })
        })
}

/// The path of a resource, for the `Location` of a new one.
fn location(resource: &str, id: impl Display) -> String {
    format!("{BASE}/{resource}/{id}")
}

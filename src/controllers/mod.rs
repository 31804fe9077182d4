//! Handlers, one file per resource: its `endpoints()` first. What they have in common:
//!
//! * routes and documents are one list, so that they cannot differ ([`endpoints`]);
//! * who may call is said by the first argument, [`extract::Account`] or [`extract::Admin`];
//! * a handler reads, says one verb to a model, and shows a view.

use std::{collections::BTreeSet, ops::Deref, sync::Arc};

use loco_rs::{app::AppContext, controller::Routes};
use sea_orm::DatabaseConnection;
use utoipa_axum::router::UtoipaMethodRouter;

use self::extract::Account;
use crate::models::{self, Topic, Transaction, deadline::Deadline, transaction::Store};

pub mod auth;
pub mod customer_accounts;
pub mod customers;
pub mod extract;
pub mod orders;
pub mod problems;
pub mod products;

/// Where the API begins.
pub const BASE: &str = "/api/v1";

/// What a handler works with. Shared, because axum clones it for every request, and Loco's context has
/// the whole configuration inside.
///
/// It is no [`Store`]: what a handler changes, it changes [on behalf](Self::on_behalf_of) of its caller.
#[derive(Clone)]
pub struct Context(Arc<AppContext>);

/// The store, as the caller of a request changes it.
pub struct OnBehalf<'a> {
    ctx: &'a AppContext,
    account: &'a Account,
}

impl Context {
    /// The context that the handlers of a server share.
    #[must_use]
    pub fn new(ctx: &AppContext) -> Self {
        Self(Arc::new(ctx.clone()))
    }

    /// The store, to be changed for that caller, in the time that their request has.
    #[must_use]
    pub fn on_behalf_of<'a>(&'a self, account: &'a Account) -> OnBehalf<'a> {
        OnBehalf {
            ctx: &self.0,
            account,
        }
    }
}

impl Deref for Context {
    type Target = AppContext;

    fn deref(&self) -> &AppContext {
        &self.0
    }
}

impl Store for OnBehalf<'_> {
    fn db(&self) -> &DatabaseConnection {
        &self.ctx.db
    }

    async fn changed(&self, topics: BTreeSet<Topic>) {
        self.ctx.changed(topics).await;
    }

    async fn admit(&self, txn: &Transaction) -> models::Result<()> {
        self.account.admit(txn).await
    }

    fn deadline(&self) -> Option<&Deadline> {
        Some(self.account.deadline())
    }
}

/// The methods of one path, with their documents.
pub type Endpoint = UtoipaMethodRouter<Context>;

/// All endpoints of the API, below [`BASE`].
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    [
        auth::endpoints(),
        products::endpoints(),
        orders::endpoints(),
        customers::endpoints(),
        customer_accounts::endpoints(),
    ]
    .concat()
}

/// The same endpoints, as Loco takes them.
#[must_use]
pub fn routes(ctx: &AppContext) -> Routes {
    let ctx = Context::new(ctx);
    endpoints()
        .into_iter()
        .fold(Routes::at(BASE), |routes, (_, paths, methods)| {
            paths.paths.keys().fold(routes, |routes, path| {
                routes.add(path, methods.clone().with_state(ctx.clone()))
            })
        })
}

/// The path of a resource, for the `Location` of a new one.
fn location(resource: &str, id: i64) -> String {
    format!("{BASE}/{resource}/{id}")
}

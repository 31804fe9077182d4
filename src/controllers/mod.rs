//! Handlers, one file per resource: its `endpoints()` first. What they have in common:
//!
//! * routes and documents are one list, so that they cannot differ ([`endpoints`]);
//! * who may call is said by the first argument, [`extract::Account`] or [`extract::Admin`];
//! * a handler reads, says one verb to a model, and shows a view.

use std::sync::Arc;

use loco_rs::{app::AppContext, controller::Routes};
use utoipa_axum::router::UtoipaMethodRouter;

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
pub type Context = Arc<AppContext>;

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
    let ctx = Arc::new(ctx.clone());
    endpoints()
        .into_iter()
        .fold(Routes::at(BASE), |routes, (_, paths, methods)| {
            paths.paths.keys().fold(routes, |routes, path| {
                routes.add(path, methods.clone().with_state(Arc::clone(&ctx)))
            })
        })
}

/// The path of a resource, for the `Location` of a new one.
fn location(resource: &str, id: i64) -> String {
    format!("{BASE}/{resource}/{id}")
}

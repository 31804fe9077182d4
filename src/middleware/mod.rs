//! What every request passes on the way to its handler, and every answer on the way back.

use axum::{
    Router,
    extract::MatchedPath,
    http::{Extensions, Method},
};
use loco_rs::{Result, app::AppContext, controller::middleware::MiddlewareLayer};

use crate::controllers::auth::LOGIN;

pub mod client_address;
pub mod detach_writes;
pub mod identify;
pub mod problem_details;
pub mod rate_limit;
pub mod request_log;
pub mod revalidate;

/// Puts a layer on the routes of a server.
type PutOn = fn(&AppContext, Router<AppContext>) -> Result<Router<AppContext>>;

/// A layer as Loco's stack takes it.
#[must_use]
pub fn layer(name: &'static str, ctx: &AppContext, put_on: PutOn) -> Box<dyn MiddlewareLayer> {
    Box::new(Layer {
        name,
        ctx: ctx.clone(),
        put_on,
    })
}

struct Layer {
    name: &'static str,
    ctx: AppContext,
    put_on: PutOn,
}

impl MiddlewareLayer for Layer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        (self.put_on)(&self.ctx, app)
    }
}

/// Whether a request is an attempt to log in.
fn is_login(method: &Method, extensions: &Extensions) -> bool {
    let route = extensions.get::<MatchedPath>();
    method == Method::POST && route.is_some_and(|route| route.as_str() == LOGIN)
}

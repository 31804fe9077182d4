//! Who did what: one line in the log for every write that was asked for, with its outcome. The request's
//! id is in the span around it. Bodies are not logged: passwords and people's data are in them.

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{Method, header},
    middleware::{self, Next},
    response::Response,
};
use loco_rs::{Result, app::AppContext, controller::middleware::MiddlewareLayer};

use crate::controllers::{
    BASE,
    extract::{Address, caller::Caller},
};

/// The layer inside the limiter, which has found out who is calling.
#[derive(Clone, Copy, Debug)]
pub struct Audit;

impl MiddlewareLayer for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        Ok(app.layer(middleware::from_fn(audit)))
    }
}

async fn audit(request: Request, next: Next) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if reads || !request.uri().path().starts_with(BASE) {
        return next.run(request).await;
    }
    let extensions = request.extensions();
    let caller = extensions
        .get::<Caller>()
        .and_then(|caller| caller.0.clone().ok());
    let address = extensions.get::<Address>().map(|address| address.0);
    let route = extensions.get::<MatchedPath>().cloned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    tracing::info!(
        target: "boxcar::audit",
        account_id = caller.as_ref().map(|account| account.id),
        username = caller.as_ref().map(|account| account.username.as_str()),
        role = caller.as_ref().map(|account| account.role.as_str()),
        address = address.map(tracing::field::display),
        %method,
        route = route.as_ref().map(MatchedPath::as_str),
        path,
        status = response.status().as_u16(),
        location = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()),
        "write"
    );
    response
}

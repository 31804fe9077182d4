//! What every request passes on the way to its handler, and every answer on the way back.
//!
//! * [`Outside`]: problems, metrics, the log, the headers of every answer, panics;
//! * between them, what Loco has and the configuration turns on: CORS, the largest body;
//! * [`Inside`]: the end of the request's time, who is calling, and how often they may.
//!
//! Each is one layer, whose functions call each other. For every request axum copies and boxes all that is inside a
//! layer: with ten layers that took as long as their work.

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{Extensions, HeaderMap, Method},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use loco_rs::{
    Error, Result,
    app::{AppContext, Initializer},
    controller::middleware::{MiddlewareLayer, secure_headers::SecureHeaders},
};
use tower::{Layer, ServiceExt, service_fn};

use self::{
    detach_writes::{Clock, detach_writes, in_time},
    identify::{Lookup, identify},
    observe::observe,
    problem_details::problem_details,
    rate_limit::{Limiter, limit},
    request_log::follow,
};
use crate::{
    context::Context,
    controllers::auth::LOGIN,
    shared::metrics::Requests,
    views::problem::{Kind, Problem},
};

pub mod client_address;
pub mod detach_writes;
pub mod identify;
pub mod observe;
pub mod problem_details;
pub mod rate_limit;
pub mod request_log;
pub mod revalidate;

/// The outermost layer.
#[derive(Clone, Copy, Debug)]
pub struct Outside;

#[async_trait]
impl Initializer for Outside {
    fn name(&self) -> String {
        "outside".to_owned()
    }

    async fn after_routes(&self, router: Router, ctx: &AppContext) -> Result<Router> {
        let state = Context::of(ctx)?;
        let metrics = state.settings.metrics.enable;
        let surroundings = Arc::new(Surroundings {
            requests: metrics.then(|| state.shared.metrics.requests.clone()),
            headers: headers(ctx).await?,
        });
        Ok(router.layer(from_fn_with_state(surroundings, outside)))
    }
}

struct Surroundings {
    requests: Option<Requests>,
    /// What stands on every answer that has no other such header.
    headers: HeaderMap,
}

async fn outside(
    State(surroundings): State<Arc<Surroundings>>,
    request: Request,
    next: Next,
) -> Response {
    let Surroundings { requests, headers } = surroundings.as_ref();
    problem_details(request, |request| {
        observe(requests.as_ref(), request, |request| {
            follow(request, async |request| {
                let mut response = unless_it_panics(next.run(request)).await;
                for (name, value) in headers {
                    let header = response.headers_mut().entry(name);
                    header.or_insert_with(|| value.clone());
                }
                response
            })
        })
    })
    .await
}

/// The answer, or 500 where making it panics.
async fn unless_it_panics(answer: impl Future<Output = Response>) -> Response {
    let panic = match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => return response,
        Err(panic) => panic,
    };
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(err.msg = text.unwrap_or("no error details"), "server_panic");
    Problem::new(Kind::INTERNAL).into_response()
}

/// The headers of Loco's `secure_headers`, as its own layer sets them: that copies them all for every request, and
/// does not tell which they are.
async fn headers(ctx: &AppContext) -> Result<HeaderMap> {
    let settings = ctx.config.server.middlewares.secure_headers.as_ref();
    let Some(settings) = settings.filter(|settings| settings.enable) else {
        return Ok(HeaderMap::new());
    };
    let empty = service_fn(async |_: Request| Ok::<_, Error>(Response::new(Body::empty())));
    let layer = SecureHeaders::new(settings)?.layer(empty);
    let response = layer.oneshot(Request::new(Body::empty())).await?;
    Ok(response.into_parts().0.headers)
}

/// The innermost layer, for Loco's stack.
pub struct Inside(AppContext);

impl Inside {
    /// The layer of a server.
    #[must_use]
    pub fn new(ctx: &AppContext) -> Box<Self> {
        Box::new(Self(ctx.clone()))
    }
}

impl MiddlewareLayer for Inside {
    fn name(&self) -> &'static str {
        "inside"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        let gate = Arc::new(Gate {
            clock: Clock::new(&self.0)?,
            lookup: Lookup::new(&self.0)?,
            limiter: Limiter::new(&self.0)?,
        });
        Ok(app.layer(from_fn_with_state(gate, inside)))
    }
}

struct Gate {
    clock: Clock,
    lookup: Lookup,
    limiter: Limiter,
}

async fn inside(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    // A write goes on when this has ended.
    let inner = Arc::clone(&gate);
    detach_writes(&gate.clock, request, async move |request| {
        in_time(request, |request| {
            identify(&inner.lookup, request, |request| {
                limit(&inner.limiter, request, |request| next.run(request))
            })
        })
        .await
    })
    .await
}

/// Whether a request is an attempt to log in.
fn is_login(method: &Method, extensions: &Extensions) -> bool {
    let route = extensions.get::<MatchedPath>();
    method == Method::POST && route.is_some_and(|route| route.as_str() == LOGIN)
}

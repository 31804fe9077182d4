//! What has happened to the store, for administrators and the programs that follow it.

use axum::{extract::State, response::Response};
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    extract::{Cached, Caller, Id, Query, cached::Audience},
};
use crate::{
    models::{
        events::{self, Filter, Key},
        listing::ByCursor,
    },
    views::{answer::CachedBody, events::Event, page::Page, problem::Problem},
};

const TAG: &str = "Events";

/// The endpoints of events.
pub fn endpoints() -> Vec<Endpoint> {
    vec![routes!(list_events), routes!(show_event)]
}

/// List events
///
/// The newest first: each is there as soon as its change is acknowledged. `sort=id` is the feed: whoever follows its
/// cursor gets each event exactly once, within two seconds. There `next_cursor` is never `null`: ask again with it.
#[utoipa::path(
    get, path = "/events", tag = TAG,
    params(ByCursor<Filter, Key>, Cached),
    responses((status = 200, body = Page<Event>))
)]
async fn list_events(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<ByCursor<Filter, Key>>,
) -> Result<Response, Problem> {
    cached
        .walk(Audience::Administrators, listing, async |listing| {
            let page = ctx.feed.list(&ctx.db, &listing).await?;
            Ok(page.map(Event::from))
        })
        .await
}

/// Show an event
///
/// With what it happened to, as that was then.
#[utoipa::path(
    get, path = "/events/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = Event))
)]
async fn show_event(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let event = || async {
        let event = events::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&Event::from(event))?)
    };
    cached.answer(Audience::Administrators, event).await
}

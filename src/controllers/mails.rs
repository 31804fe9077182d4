//! The mails to customers, for administrators. What they say is not shown.

use axum::{extract::State, response::Response};
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    extract::{Cached, Caller, Id, Query, cached::Audience},
};
use crate::{
    models::{
        listing::ByCursor,
        mails::{self, Filter, Key},
    },
    views::{answer::CachedBody, mails::Mail, page::Page, problem::Problem},
};

const TAG: &str = "Mails";

/// The endpoints of mails.
pub fn endpoints() -> Vec<Endpoint> {
    vec![routes!(list_mails), routes!(show_mail)]
}

/// List mails
///
/// The newest first, and how far each has come.
#[utoipa::path(
    get, path = "/mails", tag = TAG,
    params(ByCursor<Filter, Key>, Cached),
    responses((status = 200, body = Page<Mail>))
)]
async fn list_mails(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<ByCursor<Filter, Key>>,
) -> Result<Response, Problem> {
    cached
        .walk(Audience::Administrators, listing, async |listing| {
            let page = mails::Model::list(&ctx.db, &listing).await?;
            Ok(page.map(Mail::from))
        })
        .await
}

/// Show a mail
///
/// With each attempt to send it.
#[utoipa::path(
    get, path = "/mails/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = Mail))
)]
async fn show_mail(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let mail = || async {
        let mail = mails::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&Mail::from(mail))?)
    };
    cached.answer(Audience::Administrators, mail).await
}

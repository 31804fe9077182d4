//! Tax rates: how many percent of tax what is sold bears.

use axum::{extract::State, response::Response};
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    extract::{
        Cached, Caller, Id, IdempotencyKey, Idempotent, IfMatch, Json, Query, cached::Audience,
    },
    location,
};
use crate::{
    idempotent,
    models::{
        listing::Listing,
        tax_rates::{self, Changes, Details, Filter, Key},
    },
    transaction,
    views::{
        answer::{Answer, CachedBody},
        page::Page,
        problem::Problem,
        tax_rates::TaxRate,
    },
};

const TAG: &str = "Tax rates";

/// The endpoints of tax rates.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_tax_rates, create_tax_rate),
        routes!(
            show_tax_rate,
            replace_tax_rate,
            change_tax_rate,
            delete_tax_rate
        ),
    ]
}

/// List tax rates
///
/// The oldest first, unless said otherwise.
#[utoipa::path(
    get, path = "/tax-rates", tag = TAG,
    params(Listing<Filter, Key>, Cached),
    responses((status = 200, body = Page<TaxRate>))
)]
async fn list_tax_rates(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Response, Problem> {
    let fetch = async |listing| {
        let page = tax_rates::Model::list(&ctx.db, &listing).await?;
        Ok(page.map(TaxRate::from))
    };
    let count = async |filter| tax_rates::Model::count(&ctx.db, &filter).await;
    cached
        .page(Audience::Administrators, listing, fetch, count)
        .await
}

/// Add a tax rate
///
/// Of the rates of a class and country, that of the region holds where there is one. Without a rate there is no tax.
#[utoipa::path(
    post, path = "/tax-rates", tag = TAG, params(IdempotencyKey),
    request_body = Details,
    responses((status = 201, body = TaxRate), (status = 409, description = "conflict"))
)]
async fn create_tax_rate(
    caller: Caller,
    State(ctx): State<Context>,
    Idempotent(details, key): Idempotent<Details>,
) -> Result<Answer, Problem> {
    idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let tax_rate = tax_rates::Model::create(txn, &details).await?;
        let location = location("tax-rates", tax_rate.id);
        Answer::created(location, &TaxRate::from(tax_rate))
    })
}

/// Show a tax rate
///
/// One that was deleted is not found.
#[utoipa::path(
    get, path = "/tax-rates/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = TaxRate))
)]
async fn show_tax_rate(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let tax_rate = || async {
        let tax_rate = tax_rates::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&TaxRate::from(tax_rate))?)
    };
    cached.answer(Audience::Administrators, tax_rate).await
}

/// Replace a tax rate
///
/// Every field is replaced; one that may be missing and is, is cleared.
#[utoipa::path(
    put, path = "/tax-rates/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Details,
    responses((status = 200, body = TaxRate), (status = 409, description = "conflict"))
)]
async fn replace_tax_rate(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(details): Json<Details>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &details.into()).await
}

/// Change a tax rate
///
/// Only the fields that are sent change (RFC 7396).
#[utoipa::path(
    patch, path = "/tax-rates/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Changes,
    responses((status = 200, body = TaxRate), (status = 409, description = "conflict"))
)]
async fn change_tax_rate(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &changes).await
}

/// Delete a tax rate
///
/// A class that something has keeps a rate: the last one cannot be deleted.
#[utoipa::path(
    delete, path = "/tax-rates/{id}", tag = TAG,
    params(Id, IfMatch),
    responses((status = 204), (status = 409, description = "conflict"))
)]
async fn delete_tax_rate(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    transaction!(&ctx.on_behalf_of(&caller), |txn| {
        let tax_rate = tax_rates::Model::find_locked(txn, id).await?;
        if_match.check(|| TaxRate::from(tax_rate.clone()))?;
        tax_rate.delete(txn).await
    })?;
    Ok(Answer::no_content())
}

async fn change(
    ctx: &Context,
    caller: &Caller,
    id: i64,
    if_match: &IfMatch,
    changes: &Changes,
) -> Result<Answer, Problem> {
    let tax_rate = transaction!(&ctx.on_behalf_of(caller), |txn| {
        let tax_rate = tax_rates::Model::find_locked(txn, id).await?;
        if_match.check(|| TaxRate::from(tax_rate.clone()))?;
        tax_rate.change(txn, changes).await
    })?;
    Ok(Answer::ok(&TaxRate::from(tax_rate))?)
}

//! Shipping rates: what it costs to send an order, and where to.

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
        listing::{Listing, NoFilter},
        shipping_rates::{self, Changes, Details, Key},
    },
    transaction,
    views::{
        answer::{Answer, CachedBody},
        page::Page,
        problem::Problem,
        shipping_rates::ShippingRate,
    },
};

const TAG: &str = "Shipping rates";

/// The endpoints of shipping rates.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_shipping_rates, create_shipping_rate),
        routes!(
            show_shipping_rate,
            replace_shipping_rate,
            change_shipping_rate,
            delete_shipping_rate
        ),
    ]
}

/// List shipping rates
///
/// The oldest first, unless said otherwise.
#[utoipa::path(
    get, path = "/shipping-rates", tag = TAG,
    params(Listing<NoFilter, Key>, Cached),
    responses((status = 200, body = Page<ShippingRate>))
)]
async fn list_shipping_rates(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<NoFilter, Key>>,
) -> Result<Response, Problem> {
    let fetch = async |listing| {
        let page = shipping_rates::Model::list(&ctx.db, &listing).await?;
        Ok(page.map(ShippingRate::from))
    };
    let count = async |filter| shipping_rates::Model::count(&ctx.db, &filter).await;
    cached
        .page(Audience::Administrators, listing, fetch, count)
        .await
}

/// Add a shipping rate
///
/// A checkout offers those whose `countries` name that of its shipping address, or have `*`.
#[utoipa::path(
    post, path = "/shipping-rates", tag = TAG, params(IdempotencyKey),
    request_body = Details,
    responses((status = 201, body = ShippingRate))
)]
async fn create_shipping_rate(
    caller: Caller,
    State(ctx): State<Context>,
    Idempotent(details, key): Idempotent<Details>,
) -> Result<Answer, Problem> {
    idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let shipping_rate = shipping_rates::Model::create(txn, &details).await?;
        let location = location("shipping-rates", shipping_rate.id);
        Answer::created(location, &ShippingRate::from(shipping_rate))
    })
}

/// Show a shipping rate
///
/// One that was deleted is not found.
#[utoipa::path(
    get, path = "/shipping-rates/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = ShippingRate))
)]
async fn show_shipping_rate(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let shipping_rate = || async {
        let shipping_rate = shipping_rates::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&ShippingRate::from(shipping_rate))?)
    };
    cached.answer(Audience::Administrators, shipping_rate).await
}

/// Replace a shipping rate
///
/// Every field is replaced; one that may be missing and is, is cleared.
#[utoipa::path(
    put, path = "/shipping-rates/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Details,
    responses((status = 200, body = ShippingRate))
)]
async fn replace_shipping_rate(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(details): Json<Details>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &details.into()).await
}

/// Change a shipping rate
///
/// Only the fields that are sent change (RFC 7396).
#[utoipa::path(
    patch, path = "/shipping-rates/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Changes,
    responses((status = 200, body = ShippingRate))
)]
async fn change_shipping_rate(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &changes).await
}

/// Delete a shipping rate
///
/// Orders that were sent with it keep its name and price.
#[utoipa::path(
    delete, path = "/shipping-rates/{id}", tag = TAG,
    params(Id, IfMatch),
    responses((status = 204))
)]
async fn delete_shipping_rate(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    transaction!(&ctx.on_behalf_of(&caller), |txn| {
        let shipping_rate = shipping_rates::Model::find_locked(txn, id).await?;
        if_match.check(|| ShippingRate::from(shipping_rate.clone()))?;
        shipping_rate.delete(txn).await
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
    let shipping_rate = transaction!(&ctx.on_behalf_of(caller), |txn| {
        let shipping_rate = shipping_rates::Model::find_locked(txn, id).await?;
        if_match.check(|| ShippingRate::from(shipping_rate.clone()))?;
        shipping_rate.change(txn, changes).await
    })?;
    Ok(Answer::ok(&ShippingRate::from(shipping_rate))?)
}

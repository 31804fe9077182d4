//! Discounts: codes that take something off an order.

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
        discounts::{self, Changes, Details, Filter, Key},
        listing::Listing,
    },
    transaction,
    views::{
        answer::{Answer, CachedBody},
        discounts::Discount,
        page::Page,
        problem::Problem,
    },
};

const TAG: &str = "Discounts";

/// The endpoints of discounts.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_discounts, create_discount),
        routes!(
            show_discount,
            replace_discount,
            change_discount,
            delete_discount
        ),
    ]
}

/// List discounts
///
/// The oldest first, unless said otherwise.
#[utoipa::path(
    get, path = "/discounts", tag = TAG,
    params(Listing<Filter, Key>, Cached),
    responses((status = 200, body = Page<Discount>))
)]
async fn list_discounts(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Response, Problem> {
    let fetch = async |listing| {
        let page = discounts::Model::list(&ctx.db, &listing).await?;
        Ok(page.map(Discount::from))
    };
    let count = async |filter| discounts::Model::count(&ctx.db, &filter).await;
    cached
        .page(Audience::Administrators, listing, fetch, count)
        .await
}

/// Add a discount
///
/// No two have the same code.
#[utoipa::path(
    post, path = "/discounts", tag = TAG, params(IdempotencyKey),
    request_body = Details,
    responses((status = 201, body = Discount), (status = 409, description = "conflict"))
)]
async fn create_discount(
    caller: Caller,
    State(ctx): State<Context>,
    Idempotent(details, key): Idempotent<Details>,
) -> Result<Answer, Problem> {
    idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let discount = discounts::Model::create(txn, &details).await?;
        let location = location("discounts", discount.id);
        Answer::created(location, &Discount::from(discount))
    })
}

/// Show a discount
///
/// One that was deleted is not found.
#[utoipa::path(
    get, path = "/discounts/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = Discount))
)]
async fn show_discount(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let discount = || async {
        let discount = discounts::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&Discount::from(discount))?)
    };
    cached.answer(Audience::Administrators, discount).await
}

/// Replace a discount
///
/// Every field is replaced; one that may be missing and is, is cleared.
#[utoipa::path(
    put, path = "/discounts/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Details,
    responses((status = 200, body = Discount), (status = 409, description = "conflict"))
)]
async fn replace_discount(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(details): Json<Details>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &details.into()).await
}

/// Change a discount
///
/// Only the fields that are sent change (RFC 7396).
#[utoipa::path(
    patch, path = "/discounts/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Changes,
    responses((status = 200, body = Discount), (status = 409, description = "conflict"))
)]
async fn change_discount(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &changes).await
}

/// Delete a discount
///
/// Its code is free again. Orders that have used it keep their text.
#[utoipa::path(
    delete, path = "/discounts/{id}", tag = TAG,
    params(Id, IfMatch),
    responses((status = 204))
)]
async fn delete_discount(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    transaction!(&ctx.on_behalf_of(&caller), |txn| {
        let discount = discounts::Model::find_locked(txn, id).await?;
        if_match.check(|| Discount::from(discount.clone()))?;
        discount.delete(txn).await
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
    let discount = transaction!(&ctx.on_behalf_of(caller), |txn| {
        let discount = discounts::Model::find_locked(txn, id).await?;
        if_match.check(|| Discount::from(discount.clone()))?;
        discount.change(txn, changes).await
    })?;
    Ok(Answer::ok(&Discount::from(discount))?)
}

//! The addresses of customers: their own for customers, everybody's for administrators and keys.

use axum::{extract::State, response::Response};
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    extract::{
        Cached, Caller, Id, IdempotencyKey, Idempotent, Ids, IfMatch, Json, Oneself, ParentId,
        Query, cached::Audience,
    },
    location,
};
use crate::{
    idempotent,
    models::{
        customer_addresses::{Changes, Details, Key, Model},
        customers,
        idempotency_keys::KeyGuard,
        listing::{Listing, NoFilter},
    },
    transaction,
    views::{
        answer::{Answer, CachedBody},
        customer_addresses::CustomerAddress,
        page::Page,
        problem::Problem,
    },
};

const TAG: &str = "Addresses";

/// The endpoints of addresses.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_own_addresses, create_own_address),
        routes!(
            show_own_address,
            replace_own_address,
            change_own_address,
            delete_own_address
        ),
        routes!(list_customer_addresses, create_customer_address),
        routes!(
            show_customer_address,
            replace_customer_address,
            change_customer_address,
            delete_customer_address
        ),
    ]
}

/// List your addresses
///
/// The oldest first, unless said otherwise. An account without a customer has none.
#[utoipa::path(
    get, path = "/me/addresses", tag = TAG,
    params(Listing<NoFilter, Key>, Cached),
    responses((status = 200, body = Page<CustomerAddress>), (status = 404, description = "not-found"))
)]
async fn list_own_addresses(
    me: Oneself,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<NoFilter, Key>>,
) -> Result<Response, Problem> {
    let audience = Audience::Customer(me.customer_id);
    list(&ctx, &cached, audience, me.customer_id, listing).await
}

/// Add an address of yours
///
/// The first one is your default. You can have 20.
#[utoipa::path(
    post, path = "/me/addresses", tag = TAG, params(IdempotencyKey), request_body = Details,
    responses(
        (status = 201, body = CustomerAddress), (status = 404, description = "not-found"),
        (status = 409, description = "conflict")
    )
)]
async fn create_own_address(
    me: Oneself,
    State(ctx): State<Context>,
    Idempotent(details, key): Idempotent<Details>,
) -> Result<Answer, Problem> {
    create(&ctx, &me, me.customer_id, "me/addresses", &details, key).await
}

/// Show an address of yours
///
/// That of another customer is not found.
#[utoipa::path(
    get, path = "/me/addresses/{id}", tag = TAG, params(Id, Cached),
    responses((status = 200, body = CustomerAddress))
)]
async fn show_own_address(
    me: Oneself,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let audience = Audience::Customer(me.customer_id);
    show(&ctx, &cached, audience, Ids(me.customer_id, id)).await
}

/// Replace an address of yours
///
/// Every field is replaced; one that may be missing and is, is cleared. Without `default` that stays as it is.
#[utoipa::path(
    put, path = "/me/addresses/{id}", tag = TAG, params(Id, IfMatch), request_body = Details,
    responses((status = 200, body = CustomerAddress))
)]
async fn replace_own_address(
    me: Oneself,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(details): Json<Details>,
) -> Result<Answer, Problem> {
    let ids = Ids(me.customer_id, id);
    change(&ctx, &me, ids, &if_match, &details.into()).await
}

/// Change an address of yours
///
/// Only the fields that are sent change (RFC 7396). `default: true` makes it your default instead of the one before.
#[utoipa::path(
    patch, path = "/me/addresses/{id}", tag = TAG, params(Id, IfMatch), request_body = Changes,
    responses((status = 200, body = CustomerAddress))
)]
async fn change_own_address(
    me: Oneself,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Answer, Problem> {
    change(&ctx, &me, Ids(me.customer_id, id), &if_match, &changes).await
}

/// Delete an address of yours
///
/// If it was your default, the oldest one left is that. Orders keep their copies.
#[utoipa::path(
    delete, path = "/me/addresses/{id}", tag = TAG, params(Id, IfMatch),
    responses((status = 204))
)]
async fn delete_own_address(
    me: Oneself,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    delete(&ctx, &me, Ids(me.customer_id, id), &if_match).await
}

/// List the addresses of a customer
///
/// The oldest first, unless said otherwise.
#[utoipa::path(
    get, path = "/customers/{id}/addresses", tag = TAG,
    params(ParentId, Listing<NoFilter, Key>, Cached),
    responses((status = 200, body = Page<CustomerAddress>))
)]
async fn list_customer_addresses(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    ParentId(id): ParentId,
    Query(listing): Query<Listing<NoFilter, Key>>,
) -> Result<Response, Problem> {
    list(&ctx, &cached, Audience::Administrators, id, listing).await
}

/// Add an address of a customer
///
/// The first one is the customer's default. A customer can have 20.
#[utoipa::path(
    post, path = "/customers/{id}/addresses", tag = TAG,
    params(Id, IdempotencyKey), request_body = Details,
    responses((status = 201, body = CustomerAddress), (status = 409, description = "conflict"))
)]
async fn create_customer_address(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    Idempotent(details, key): Idempotent<Details>,
) -> Result<Answer, Problem> {
    let list = format!("customers/{id}/addresses");
    create(&ctx, &caller, id, &list, &details, key).await
}

/// Show an address of a customer
///
/// That of another customer is not found.
#[utoipa::path(
    get, path = "/customers/{id}/addresses/{address_id}", tag = TAG,
    params(Ids, Cached),
    responses((status = 200, body = CustomerAddress))
)]
async fn show_customer_address(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    ids: Ids,
) -> Result<Response, Problem> {
    show(&ctx, &cached, Audience::Administrators, ids).await
}

/// Replace an address of a customer
///
/// Every field is replaced; one that may be missing and is, is cleared. Without `default` that stays as it is.
#[utoipa::path(
    put, path = "/customers/{id}/addresses/{address_id}", tag = TAG,
    params(Ids, IfMatch), request_body = Details,
    responses((status = 200, body = CustomerAddress))
)]
async fn replace_customer_address(
    caller: Caller,
    State(ctx): State<Context>,
    ids: Ids,
    if_match: IfMatch,
    Json(details): Json<Details>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, ids, &if_match, &details.into()).await
}

/// Change an address of a customer
///
/// Only the fields that are sent change (RFC 7396). `default: true` makes it the default instead of the one before.
#[utoipa::path(
    patch, path = "/customers/{id}/addresses/{address_id}", tag = TAG,
    params(Ids, IfMatch), request_body = Changes,
    responses((status = 200, body = CustomerAddress))
)]
async fn change_customer_address(
    caller: Caller,
    State(ctx): State<Context>,
    ids: Ids,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, ids, &if_match, &changes).await
}

/// Delete an address of a customer
///
/// If it was the default, the oldest one left is that. Orders keep their copies.
#[utoipa::path(
    delete, path = "/customers/{id}/addresses/{address_id}", tag = TAG,
    params(Ids, IfMatch),
    responses((status = 204))
)]
async fn delete_customer_address(
    caller: Caller,
    State(ctx): State<Context>,
    ids: Ids,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    delete(&ctx, &caller, ids, &if_match).await
}

async fn list(
    ctx: &Context,
    cached: &Cached,
    audience: Audience,
    customer_id: i64,
    listing: Listing<NoFilter, Key>,
) -> Result<Response, Problem> {
    let fetch = async |listing| {
        let page = Model::list(&ctx.db, customer_id, &listing).await?;
        Ok(page.map(CustomerAddress::from))
    };
    let count = async |_| Model::count(&ctx.db, customer_id).await;
    cached.page(audience, listing, fetch, count).await
}

async fn create(
    ctx: &Context,
    caller: &Caller,
    customer_id: i64,
    list: &str,
    details: &Details,
    key: KeyGuard,
) -> Result<Answer, Problem> {
    idempotent!(&ctx.on_behalf_of(caller), key, |txn| {
        customers::Model::find_locked_for(txn, customer_id, &caller.actor()).await?;
        let address = Model::create(txn, customer_id, details).await?;
        let location = location(list, address.id);
        let answer = Answer::created(location, &CustomerAddress::from(address))?;
        Ok(answer.about_customer(customer_id))
    })
}

async fn show(
    ctx: &Context,
    cached: &Cached,
    audience: Audience,
    Ids(customer_id, id): Ids,
) -> Result<Response, Problem> {
    let address = || async {
        let address = Model::find(&ctx.db, customer_id, id).await?;
        Ok(CachedBody::of(&CustomerAddress::from(address))?)
    };
    cached.answer(audience, address).await
}

async fn change(
    ctx: &Context,
    caller: &Caller,
    Ids(customer_id, id): Ids,
    if_match: &IfMatch,
    changes: &Changes,
) -> Result<Answer, Problem> {
    let address = transaction!(&ctx.on_behalf_of(caller), |txn| {
        customers::Model::find_locked_for(txn, customer_id, &caller.actor()).await?;
        let address = Model::find(txn, customer_id, id).await?;
        if_match.check(|| CustomerAddress::from(address.clone()))?;
        address.change(txn, changes).await
    })?;
    Ok(Answer::ok(&CustomerAddress::from(address))?)
}

async fn delete(
    ctx: &Context,
    caller: &Caller,
    Ids(customer_id, id): Ids,
    if_match: &IfMatch,
) -> Result<Answer, Problem> {
    transaction!(&ctx.on_behalf_of(caller), |txn| {
        customers::Model::find_locked_for(txn, customer_id, &caller.actor()).await?;
        let address = Model::find(txn, customer_id, id).await?;
        if_match.check(|| CustomerAddress::from(address.clone()))?;
        address.delete(txn).await
    })?;
    Ok(Answer::no_content())
}

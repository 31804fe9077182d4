//! API keys: what programs prove themselves with. For administrators in person: no key makes or reads keys.

use axum::{extract::State, response::Response};
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    extract::{
        Admin, Cached, Id, IdempotencyKey, Idempotent, IfMatch, Json, Query, cached::Audience,
    },
    location,
};
use crate::{
    idempotent,
    models::{
        api_keys::{self, Changes, Filter, Key, NewKey},
        listing::Listing,
    },
    transaction,
    views::{
        answer::{Answer, CachedBody},
        api_keys::{ApiKey, NewApiKey},
        page::Page,
        problem::Problem,
    },
};

const TAG: &str = "API keys";

/// The endpoints of API keys.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_api_keys, create_api_key),
        routes!(show_api_key, change_api_key, delete_api_key),
    ]
}

/// List API keys
///
/// The oldest first, unless said otherwise. The keys themselves are not shown.
#[utoipa::path(
    get, path = "/api-keys", tag = TAG,
    params(Listing<Filter, Key>, Cached),
    responses((status = 200, body = Page<ApiKey>))
)]
async fn list_api_keys(
    _: Admin,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Response, Problem> {
    let fetch = async |listing| {
        let page = api_keys::Model::list(&ctx.db, &listing).await?;
        Ok(page.map(ApiKey::from))
    };
    let count = async |filter| api_keys::Model::count(&ctx.db, &filter).await;
    cached
        .page(Audience::Administrators, listing, fetch, count)
        .await
}

/// Create an API key
///
/// The response shows the key, and no other does. A secret key has `scopes`, which are never changed. There may be 1,000
/// keys.
#[utoipa::path(
    post, path = "/api-keys", tag = TAG, params(IdempotencyKey), request_body = NewKey,
    responses((status = 201, body = NewApiKey), (status = 409, description = "conflict"))
)]
async fn create_api_key(
    admin: Admin,
    State(ctx): State<Context>,
    Idempotent(new, key): Idempotent<NewKey>,
) -> Result<Answer, Problem> {
    let (api_key, actor) = (new.rights.key(), admin.actor());
    let answer = idempotent!(&ctx.on_behalf_of(&admin), key, |txn| {
        let row = api_keys::Model::create(txn, &new, &api_key, &actor).await?;
        Answer::created(location("api-keys", row.id), &ApiKey::from(row))
    })?;
    Ok(answer.with_secret("key", api_key.reveal().to_owned()))
}

/// Show an API key
///
/// Without the key itself, which is shown only when it is made.
#[utoipa::path(
    get, path = "/api-keys/{id}", tag = TAG, params(Id, Cached), responses((status = 200, body = ApiKey))
)]
async fn show_api_key(
    _: Admin,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let key = || async {
        let key = api_keys::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&ApiKey::from(key))?)
    };
    cached.answer(Audience::Administrators, key).await
}

/// Change an API key
///
/// Only the fields that are sent change (RFC 7396). A new limit or end holds from the next request. What a key may do is
/// never changed: create another one.
#[utoipa::path(
    patch, path = "/api-keys/{id}", tag = TAG, params(Id, IfMatch), request_body = Changes,
    responses((status = 200, body = ApiKey))
)]
async fn change_api_key(
    admin: Admin,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Answer, Problem> {
    let key = transaction!(&ctx.on_behalf_of(&admin), |txn| {
        let key = api_keys::Model::find_locked(txn, id).await?;
        if_match.check(|| ApiKey::from(key.clone()))?;
        key.change(txn, &changes).await
    })?;
    Ok(Answer::ok(&ApiKey::from(key))?)
}

/// Delete an API key
///
/// It ends at once.
#[utoipa::path(
    delete, path = "/api-keys/{id}", tag = TAG, params(Id, IfMatch), responses((status = 204))
)]
async fn delete_api_key(
    admin: Admin,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    transaction!(&ctx.on_behalf_of(&admin), |txn| {
        let key = api_keys::Model::find_locked(txn, id).await?;
        if_match.check(|| ApiKey::from(key.clone()))?;
        key.delete(txn).await
    })?;
    Ok(Answer::no_content())
}

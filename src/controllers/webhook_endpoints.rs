//! Webhook endpoints: where other systems are told what happens.

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
        input::NoBody,
        listing::{Listing, NoFilter},
        transaction::Database,
        types::WebhookSecret,
        webhook_deliveries,
        webhook_endpoints::{self, Changes, Details, Key},
    },
    shared::quotas::Quota,
    transaction,
    views::{
        answer::{Answer, CachedBody},
        page::Page,
        problem::Problem,
        webhook_deliveries::WebhookDelivery,
        webhook_endpoints::{WebhookEndpoint, WebhookEndpointWithSecret},
    },
};

const TAG: &str = "Webhooks";

/// How many tests an endpoint is sent in a minute.
const TESTS: u32 = 10;

/// The endpoints of webhook endpoints.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_webhook_endpoints, create_webhook_endpoint),
        routes!(
            show_webhook_endpoint,
            replace_webhook_endpoint,
            change_webhook_endpoint,
            delete_webhook_endpoint
        ),
        routes!(rotate_webhook_secret),
        routes!(test_webhook_endpoint),
    ]
}

/// List webhook endpoints
///
/// The oldest first, unless said otherwise.
#[utoipa::path(
    get, path = "/webhook-endpoints", tag = TAG,
    params(Listing<NoFilter, Key>, Cached),
    responses((status = 200, body = Page<WebhookEndpoint>))
)]
async fn list_webhook_endpoints(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<NoFilter, Key>>,
) -> Result<Response, Problem> {
    let fetch = async |listing| {
        let page = webhook_endpoints::Model::list(&ctx.db, &listing).await?;
        Ok(page.map(WebhookEndpoint::from))
    };
    let count = async |_| webhook_endpoints::Model::count(&ctx.db).await;
    cached
        .page(Audience::Administrators, listing, fetch, count)
        .await
}

/// Add a webhook endpoint
///
/// The response shows the secret that signs what is sent, and no other does. There may be 32 endpoints.
#[utoipa::path(
    post, path = "/webhook-endpoints", tag = TAG, params(IdempotencyKey),
    request_body = Details,
    responses((status = 201, body = WebhookEndpointWithSecret), (status = 409, description = "conflict"))
)]
async fn create_webhook_endpoint(
    caller: Caller,
    State(ctx): State<Context>,
    Idempotent(details, key): Idempotent<Details>,
) -> Result<Answer, Problem> {
    let secret = WebhookSecret::generated();
    let sealed = ctx.sealer.seal(&secret)?;
    let answer = idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let endpoint = webhook_endpoints::Model::create(txn, &details, &sealed).await?;
        let location = location("webhook-endpoints", endpoint.id);
        Answer::created(location, &WebhookEndpoint::from(endpoint))
    })?;
    Ok(answer.with_secret("secret", secret.reveal()))
}

/// Show a webhook endpoint
///
/// Without its secret, which is shown only when it is made.
#[utoipa::path(
    get, path = "/webhook-endpoints/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = WebhookEndpoint))
)]
async fn show_webhook_endpoint(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let endpoint = || async {
        let endpoint = webhook_endpoints::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&WebhookEndpoint::from(endpoint))?)
    };
    cached.answer(Audience::Administrators, endpoint).await
}

/// Replace a webhook endpoint
///
/// Every field is replaced; a missing `description` is cleared. Without `enabled` that stays as it is.
#[utoipa::path(
    put, path = "/webhook-endpoints/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Details,
    responses((status = 200, body = WebhookEndpoint))
)]
async fn replace_webhook_endpoint(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(details): Json<Details>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &details.into()).await
}

/// Change a webhook endpoint
///
/// Only the fields that are sent change (RFC 7396). Disabling it cancels what has not been sent yet.
#[utoipa::path(
    patch, path = "/webhook-endpoints/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Changes,
    responses((status = 200, body = WebhookEndpoint))
)]
async fn change_webhook_endpoint(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &changes).await
}

/// Delete a webhook endpoint
///
/// What has not been sent yet is cancelled. Its deliveries are still shown.
#[utoipa::path(
    delete, path = "/webhook-endpoints/{id}", tag = TAG,
    params(Id, IfMatch),
    responses((status = 204))
)]
async fn delete_webhook_endpoint(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    transaction!(&ctx.on_behalf_of(&caller), |txn| {
        let endpoint = webhook_endpoints::Model::find_locked(txn, id).await?;
        if_match.check(|| WebhookEndpoint::from(endpoint.clone()))?;
        endpoint.delete(txn).await
    })?;
    Ok(Answer::no_content())
}

/// Rotate the secret of a webhook endpoint
///
/// The response shows the new secret, and no other does. For `WEBHOOK_SECRET_OVERLAP_SECONDS` the old one signs too.
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/rotate-secret", tag = TAG,
    params(Id, IdempotencyKey),
    responses((status = 200, body = WebhookEndpointWithSecret))
)]
async fn rotate_webhook_secret(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    Idempotent(NoBody {}, key): Idempotent<NoBody>,
) -> Result<Answer, Problem> {
    let secret = WebhookSecret::generated();
    let sealed = ctx.sealer.seal(&secret)?;
    let overlap = ctx.settings.webhooks.secret_overlap();
    let answer = idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let endpoint = webhook_endpoints::Model::find_locked(txn, id).await?;
        let endpoint = endpoint.rotate_secret(txn, &sealed, overlap).await?;
        Answer::ok(&WebhookEndpoint::from(endpoint))
    })?;
    Ok(answer.with_secret("secret", secret.reveal()))
}

/// Test a webhook endpoint
///
/// Sends an event `webhook_endpoint.test` to this endpoint alone, ten times a minute at most. The delivery shows what
/// comes of it.
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/test", tag = TAG,
    params(Id, IdempotencyKey),
    responses((status = 202, body = WebhookDelivery), (status = 409, description = "invalid-transition"))
)]
async fn test_webhook_endpoint(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    Idempotent(NoBody {}, key): Idempotent<NoBody>,
) -> Result<Answer, Problem> {
    let tests = format!("webhook tests of {id}");
    let budget = (tests, Quota::per(TESTS, std::time::Duration::from_mins(1)));
    let granted = ctx.shared.take(&[budget]).await;
    granted.map_err(Problem::rate_limited)?;
    let store = ctx.on_behalf_of(&caller);
    idempotent!(&store, key, |txn| {
        let endpoint = webhook_endpoints::Model::find_locked(txn, id).await?;
        endpoint.test(txn)?;
        // The delivery is written with its event.
        store.record(txn).await?;
        let delivery = webhook_deliveries::Model::last_to(txn, id).await?;
        let location = location("webhook-deliveries", delivery.id);
        Answer::accepted(location, &WebhookDelivery::from(delivery))
    })
}

async fn change(
    ctx: &Context,
    caller: &Caller,
    id: i64,
    if_match: &IfMatch,
    changes: &Changes,
) -> Result<Answer, Problem> {
    let endpoint = transaction!(&ctx.on_behalf_of(caller), |txn| {
        let endpoint = webhook_endpoints::Model::find_locked(txn, id).await?;
        if_match.check(|| WebhookEndpoint::from(endpoint.clone()))?;
        endpoint.change(txn, changes).await
    })?;
    Ok(Answer::ok(&WebhookEndpoint::from(endpoint))?)
}

//! Webhook deliveries: what was sent to webhook endpoints, and what came of it.

use axum::{extract::State, response::Response};
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    extract::{Cached, Caller, Id, IdempotencyKey, Idempotent, Query, cached::Audience},
};
use crate::{
    idempotent,
    models::{
        input::NoBody,
        listing::ByCursor,
        webhook_deliveries::{self, Filter, Key},
    },
    views::{
        answer::{Answer, CachedBody},
        page::Page,
        problem::Problem,
        webhook_deliveries::WebhookDelivery,
    },
};

const TAG: &str = "Webhooks";

/// The endpoints of webhook deliveries.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_webhook_deliveries),
        routes!(show_webhook_delivery),
        routes!(retry_webhook_delivery),
    ]
}

/// List webhook deliveries
///
/// The newest first.
#[utoipa::path(
    get, path = "/webhook-deliveries", tag = TAG,
    params(ByCursor<Filter, Key>, Cached),
    responses((status = 200, body = Page<WebhookDelivery>))
)]
async fn list_webhook_deliveries(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<ByCursor<Filter, Key>>,
) -> Result<Response, Problem> {
    cached
        .walk(Audience::Administrators, listing, async |listing| {
            let page = webhook_deliveries::Model::list(&ctx.db, &listing).await?;
            Ok(page.map(WebhookDelivery::from))
        })
        .await
}

/// Show a webhook delivery
///
/// With every attempt that was made.
#[utoipa::path(
    get, path = "/webhook-deliveries/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = WebhookDelivery))
)]
async fn show_webhook_delivery(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let delivery = || async {
        let delivery = webhook_deliveries::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&WebhookDelivery::from(delivery))?)
    };
    cached.answer(Audience::Administrators, delivery).await
}

/// Repeat a webhook delivery
///
/// At once, and on the schedule from its beginning: one that was delivered, or that has failed. The id and the body are
/// the same as before.
#[utoipa::path(
    post, path = "/webhook-deliveries/{id}/retry", tag = TAG,
    params(Id, IdempotencyKey),
    responses((status = 200, body = WebhookDelivery), (status = 409, description = "invalid-transition"))
)]
async fn retry_webhook_delivery(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    Idempotent(NoBody {}, key): Idempotent<NoBody>,
) -> Result<Answer, Problem> {
    idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let delivery = webhook_deliveries::Model::find_locked(txn, id).await?;
        let delivery = delivery.retry(txn).await?;
        Answer::ok(&WebhookDelivery::from(delivery))
    })
}

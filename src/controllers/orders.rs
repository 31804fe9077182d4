//! Orders: customers place and see their own, administrators and keys everybody's.

use axum::{extract::State, response::Response};
use utoipa_axum::routes;

use super::{
    Context, Endpoint, budgets,
    extract::{Cached, Caller, Id, IdempotencyKey, Idempotent, IfMatch, Json, Query},
    location,
};
use crate::{
    idempotent,
    models::{
        listing::Listing,
        orders::{self, Cancellation, Filter, Key, NewOrder, Scope, StatusChange},
        types::OrderStatus,
    },
    taking_stock, transaction,
    views::{
        answer::{Answer, CachedBody},
        orders::Order,
        page::Page,
        problem::Problem,
    },
};

const TAG: &str = "Orders";

/// The endpoints of orders.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_orders, place_order),
        routes!(show_order, change_order_status),
        routes!(cancel_order),
    ]
}

/// List orders
///
/// The newest first. Customers see their own.
#[utoipa::path(
    get, path = "/orders", tag = TAG,
    params(Listing<Filter, Key>, Cached),
    responses((status = 200, body = Page<Order>))
)]
async fn list_orders(
    caller: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Response, Problem> {
    let scope = caller.scope();
    listing.filter.check_for(scope)?;
    let fetch = async |listing| {
        let page = orders::Model::list_for(&ctx.db, scope, &listing).await?;
        Ok(page.map(Order::from))
    };
    let count = async |filter| match orders::Model::growing(scope, &filter) {
        Some(list) => cached.count(&list).await,
        None => Ok(orders::Model::count_for(&ctx.db, scope, &filter).await?),
    };
    cached.page(scope.into(), listing, fetch, count).await
}

/// Place an order
///
/// All of its lines or none: when there are not enough pieces of one product, nothing is ordered. A key has to name the
/// customer.
#[utoipa::path(
    post, path = "/orders", tag = TAG, params(IdempotencyKey), request_body = NewOrder,
    responses((status = 201, body = Order), (status = 409, description = "insufficient-stock"))
)]
async fn place_order(
    caller: Caller,
    State(ctx): State<Context>,
    Idempotent(order, key): Idempotent<NewOrder>,
) -> Result<Answer, Problem> {
    let customer_id = order.customer_for(caller.account())?;
    let (actor, by_customer) = (caller.actor(), caller.is_customer());
    budgets::try_code(&ctx, &caller, order.discount_code.as_ref()).await?;
    taking_stock!(
        ctx,
        idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
            let sale = ctx.sale(&actor, by_customer);
            let placed = orders::Model::place(txn, customer_id, &order, &sale).await?;
            let location = location("orders", placed.order.id);
            let answer = Answer::created(location, &Order::from(placed))?;
            Ok(answer.about_customer(customer_id))
        })
    )
}

/// Show an order
///
/// Customers see their own; others are not found.
#[utoipa::path(
    get, path = "/orders/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = Order))
)]
async fn show_order(
    caller: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let scope = caller.scope();
    let order = || async {
        let order = orders::Model::find_for(&ctx.db, scope, id).await?;
        Ok(CachedBody::of(&Order::from(order))?)
    };
    cached.answer(scope.into(), order).await
}

/// Change an order's status
///
/// From `placed` to `paid`, `shipped` and `delivered`; or to `cancelled`, from the first two.
#[utoipa::path(
    patch, path = "/orders/{id}", tag = TAG,
    params(Id, IfMatch), request_body = StatusChange,
    responses((status = 200, body = Order), (status = 409, description = "invalid-transition"))
)]
async fn change_order_status(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(StatusChange { status }): Json<StatusChange>,
) -> Result<Answer, Problem> {
    let actor = caller.actor();
    let order = transaction!(&ctx.on_behalf_of(&caller), |txn| {
        if if_match.is_given() {
            let order = orders::Model::find_locked(txn, Scope::All, id).await?;
            if_match.check(|| Order::from(order))?;
        }
        orders::Model::change_status(txn, Scope::All, id, status, None, &actor).await
    })?;
    Ok(Answer::ok(&Order::from(order))?)
}

/// Cancel an order
///
/// While it is `placed` or `paid`. Its stock is returned.
#[utoipa::path(
    post, path = "/orders/{id}/cancel", tag = TAG,
    params(Id, IdempotencyKey), request_body = Option<Cancellation>,
    responses((status = 200, body = Order), (status = 409, description = "invalid-transition"))
)]
async fn cancel_order(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    Idempotent(Cancellation { reason }, key): Idempotent<Cancellation>,
) -> Result<Answer, Problem> {
    let (scope, next, actor) = (caller.scope(), OrderStatus::Cancelled, caller.actor());
    idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let order =
            orders::Model::change_status(txn, scope, id, next, reason.clone(), &actor).await?;
        let customer_id = order.order.customer_id;
        Ok(Answer::ok(&Order::from(order))?.about_customer(customer_id))
    })
}

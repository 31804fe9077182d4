//! Orders: customers place and see their own, administrators everybody's.

use axum::{extract::State, http::Uri, response::Response};
use utoipa_axum::routes;

use super::{
    Endpoint,
    extract::{Account, Admin, Cached, Idempotent, IfMatch, Json, Path, Query},
    location,
};
use crate::{
    context::Context,
    models::{
        Error,
        error::BrokenRule,
        idempotency_keys::KeptAnswer,
        listing::Listing,
        orders::{Filter, Key, Model, NewOrder, Scope, Status},
    },
    once, transaction,
    views::{
        answer::{Changed, Representation, created, done},
        orders::{
            Advance, Cancellation, CancellationBody, Order, OrderBody, OrderFilter, OrderPatch,
            Placement,
        },
        page::{Page, PageParameters, SortParameter},
        problem::Problem,
    },
};

const TAG: &str = "Orders";

/// The endpoints of orders.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_orders, place_order),
        routes!(show_order, advance_order),
        routes!(cancel_order),
    ]
}

/// List orders
///
/// The newest first. Customers see their own.
#[utoipa::path(
    get, path = "/orders", tag = TAG,
    params(PageParameters, SortParameter<Key>, OrderFilter),
    responses((status = 200, body = Page<Order>))
)]
async fn list_orders(
    account: Account,
    State(ctx): State<Context>,
    cached: Cached,
    uri: Uri,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Response, Problem> {
    if listing.filter.customer_id.is_some() {
        for_administrators(&account)?;
    }
    let scope = account.scope();
    let page = || async {
        let page = Model::list_for(&ctx.db, scope, &listing).await?;
        Ok(Page::new(page.map(Order::from), &listing, &uri).representation()?)
    };
    cached.answer(scope.into(), page).await
}

/// Place an order
///
/// All of its lines or none: when there are not enough pieces of one product, nothing is ordered.
#[utoipa::path(
    post, path = "/orders", tag = TAG, request_body = OrderBody,
    responses((status = 201, body = Order), (status = 409, description = "insufficient-stock"))
)]
async fn place_order(
    account: Account,
    State(ctx): State<Context>,
    Idempotent {
        body: placement,
        once,
    }: Idempotent<Placement>,
) -> Result<KeptAnswer, Problem> {
    let claim = once.claim(&ctx, &account)?;
    let order = NewOrder {
        customer_id: orderer(&account, placement.customer_id)?,
        lines: placement.lines,
        shipping_address: placement.shipping_address,
        note: placement.note,
    };
    let actor = account.actor();
    let answer = once!(&ctx.on_behalf_of(&account), claim, |txn| {
        let placed = Model::place(txn, &order, &ctx.settings.store.currency, &actor).await?;
        let (id, customer_id) = (placed.order.id, placed.order.customer_id);
        created(
            location("orders", id),
            &Order::from(placed),
            Some(customer_id),
        )
    })?;
    Ok(answer)
}

/// Show an order
///
/// Customers see their own; others are not found.
#[utoipa::path(
    get, path = "/orders/{id}", tag = TAG,
    params(("id" = i64, Path)),
    responses((status = 200, body = Order))
)]
async fn show_order(
    account: Account,
    State(ctx): State<Context>,
    cached: Cached,
    Path(id): Path,
) -> Result<Response, Problem> {
    let scope = account.scope();
    let order = || async {
        let order = Model::find_for(&ctx.db, scope, id).await?;
        Ok(Representation::of(&Order::from(order))?)
    };
    cached.answer(scope.into(), order).await
}

/// Move an order on
///
/// From `placed` to `paid`, `shipped` and `delivered`; or to `cancelled`, from the first two.
#[utoipa::path(
    patch, path = "/orders/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)), request_body = OrderPatch,
    responses((status = 200, body = Order), (status = 409, description = "invalid-transition"))
)]
async fn advance_order(
    admin: Admin,
    State(ctx): State<Context>,
    Path(id): Path,
    if_match: IfMatch,
    Json(Advance { status }): Json<Advance>,
) -> Result<Changed, Problem> {
    let actor = admin.actor();
    let order = transaction!(&ctx.on_behalf_of(&admin), |txn| {
        if if_match.is_given() {
            let order = Model::find_locked(txn, Scope::All, id).await?;
            if_match.check(|| Order::from(order))?;
        }
        Model::advance(txn, Scope::All, id, status, None, &actor).await
    })?;
    Ok(Changed::to(&Order::from(order))?)
}

/// Cancel an order
///
/// While it is `placed` or `paid`. Its stock is returned.
#[utoipa::path(
    post, path = "/orders/{id}/cancel", tag = TAG,
    params(("id" = i64, Path)), request_body = Option<CancellationBody>,
    responses((status = 200, body = Order), (status = 409, description = "invalid-transition"))
)]
async fn cancel_order(
    account: Account,
    State(ctx): State<Context>,
    Path(id): Path,
    Idempotent {
        body: Cancellation { reason },
        once,
    }: Idempotent<Cancellation>,
) -> Result<KeptAnswer, Problem> {
    let claim = once.claim(&ctx, &account)?;
    let (scope, actor) = (account.scope(), account.actor());
    let answer = once!(&ctx.on_behalf_of(&account), claim, |txn| {
        let order =
            Model::advance(txn, scope, id, Status::Cancelled, reason.clone(), &actor).await?;
        let customer_id = order.order.customer_id;
        done(&Order::from(order), Some(customer_id))
    })?;
    Ok(answer)
}

/// For whom the order is: oneself, unless an administrator says otherwise.
fn orderer(account: &Account, named: Option<i64>) -> Result<i64, Problem> {
    if named.is_some() {
        for_administrators(account)?;
    }
    named
        .or(account.0.customer_id)
        .ok_or_else(|| broken("required", "is required: you are no customer yourself"))
}

fn for_administrators(account: &Account) -> Result<(), Problem> {
    if account.is_admin() {
        Ok(())
    } else {
        Err(broken("forbidden", "is for administrators"))
    }
}

fn broken(code: &'static str, message: &str) -> Problem {
    Error::Invalid(vec![BrokenRule::at("/customer_id", code, message)]).into()
}

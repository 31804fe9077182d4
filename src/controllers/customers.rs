//! Customers, for administrators.

use axum::{extract::State, http::Uri, response::Response};
use utoipa_axum::routes;

use super::{
    Endpoint,
    extract::{Admin, Cached, Idempotent, IfMatch, Json, Path, Query, cached::Audience},
    location,
};
use crate::{
    context::Context,
    models::{
        connection::erased,
        customers::{Changes, Details, Filter, Key, Model},
        idempotency_keys::KeptAnswer,
        listing::Listing,
        queue::{Client, turn_to_search},
    },
    once, transaction,
    views::{
        answer::{Changed, NoContent, Representation, created},
        customers::{Customer, CustomerBody, CustomerFilter, CustomerPatch},
        page::{Page, PageParameters, SortParameter},
        problem::Problem,
    },
};

const TAG: &str = "Customers";

/// The endpoints of customers.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_customers, create_customer),
        routes!(
            show_customer,
            replace_customer,
            change_customer,
            delete_customer
        ),
    ]
}

/// List customers
///
/// The oldest first, unless said otherwise.
#[utoipa::path(
    get, path = "/customers", tag = TAG, security(("bearer" = ["admin"])),
    params(PageParameters, SortParameter<Key>, CustomerFilter),
    responses((status = 200, body = Page<Customer>))
)]
async fn list_customers(
    admin: Admin,
    State(ctx): State<Context>,
    cached: Cached,
    uri: Uri,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Response, Problem> {
    let client = Client::Account(admin.0.id);
    let page = || async {
        let _turn = turn_to_search(listing.filter.q.as_deref(), client).await?;
        let page = Model::list(&ctx.db, &listing).await?;
        Ok(Page::new(page.map(Customer::from), &listing, &uri).representation()?)
    };
    cached.answer(Audience::Administrators, page).await
}

/// Add a customer
///
/// No two have the same email address, whatever the case of its letters. To log in, they need a customer
/// account too.
#[utoipa::path(
    post, path = "/customers", tag = TAG, security(("bearer" = ["admin"])),
    request_body = CustomerBody,
    responses((status = 201, body = Customer), (status = 409, description = "conflict"))
)]
async fn create_customer(
    admin: Admin,
    State(ctx): State<Context>,
    Idempotent {
        body: details,
        once,
    }: Idempotent<Details>,
) -> Result<KeptAnswer, Problem> {
    let claim = once.claim(&ctx, &admin)?;
    let answer = once!(&ctx.on_behalf_of(&admin), claim, |txn| {
        let customer = Model::create(txn, &details).await?;
        let id = customer.id;
        created(
            location("customers", id),
            &Customer::from(customer),
            Some(id),
        )
    })?;
    Ok(answer)
}

/// Show a customer
///
/// A customer who was deleted is not found, even where their orders stay.
#[utoipa::path(
    get, path = "/customers/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)),
    responses((status = 200, body = Customer))
)]
async fn show_customer(
    _: Admin,
    State(ctx): State<Context>,
    cached: Cached,
    Path(id): Path,
) -> Result<Response, Problem> {
    let customer = || async {
        let customer = Model::find(&ctx.db, id).await?;
        Ok(Representation::of(&Customer::from(customer))?)
    };
    cached.answer(Audience::Administrators, customer).await
}

/// Replace a customer
///
/// Every field is replaced; one that may be missing and is, is cleared.
#[utoipa::path(
    put, path = "/customers/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)), request_body = CustomerBody,
    responses((status = 200, body = Customer), (status = 409, description = "conflict"))
)]
async fn replace_customer(
    admin: Admin,
    State(ctx): State<Context>,
    Path(id): Path,
    if_match: IfMatch,
    Json(details): Json<Details>,
) -> Result<Changed, Problem> {
    let customer = transaction!(&ctx.on_behalf_of(&admin), |txn| {
        let customer = Model::find_locked(txn, id).await?;
        if_match.check(|| Customer::from(customer.clone()))?;
        customer.replace(txn, &details).await
    })?;
    Ok(Changed::to(&Customer::from(customer))?)
}

/// Change a customer
///
/// Only the fields that are sent change (RFC 7396).
#[utoipa::path(
    patch, path = "/customers/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)), request_body = CustomerPatch,
    responses((status = 200, body = Customer), (status = 409, description = "conflict"))
)]
async fn change_customer(
    admin: Admin,
    State(ctx): State<Context>,
    Path(id): Path,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Changed, Problem> {
    let customer = transaction!(&ctx.on_behalf_of(&admin), |txn| {
        let customer = Model::find_locked(txn, id).await?;
        if_match.check(|| Customer::from(customer.clone()))?;
        customer.change(txn, &changes).await
    })?;
    Ok(Changed::to(&Customer::from(customer))?)
}

/// Delete a customer
///
/// Their account goes too. Where there are orders, the personal data is erased and the orders stay.
#[utoipa::path(
    delete, path = "/customers/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)),
    responses((status = 204), (status = 409, description = "conflict"))
)]
async fn delete_customer(
    admin: Admin,
    State(ctx): State<Context>,
    Path(id): Path,
    if_match: IfMatch,
) -> Result<NoContent, Problem> {
    transaction!(&ctx.on_behalf_of(&admin), |txn| {
        let customer = Model::find_locked(txn, id).await?;
        if_match.check(|| Customer::from(customer.clone()))?;
        customer.delete(txn).await
    })?;
    erased(&ctx.db).await;
    Ok(NoContent)
}

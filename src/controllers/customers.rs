//! Customers, for administrators and keys.

use axum::{extract::State, response::Response};
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    extract::{
        Admin, Cached, Caller, Id, IdempotencyKey, Idempotent, IfMatch, Json, Query,
        cached::Audience,
    },
    location,
    me::export,
};
use crate::{
    idempotent,
    models::{
        connection::erased,
        customers::{self, Changes, Details, Filter, Key},
        listing::Listing,
    },
    transaction,
    views::{
        answer::{Answer, CachedBody},
        customers::Customer,
        page::Page,
        personal_data::PersonalDataFile,
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
        routes!(export_customer),
    ]
}

/// List customers
///
/// The oldest first, unless said otherwise.
#[utoipa::path(
    get, path = "/customers", tag = TAG,
    params(Listing<Filter, Key>, Cached),
    responses((status = 200, body = Page<Customer>))
)]
async fn list_customers(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Response, Problem> {
    let fetch = async |listing| {
        let page = customers::Model::list(&ctx.db, &listing).await?;
        Ok(page.map(Customer::from))
    };
    let count = async |filter| customers::Model::count(&ctx.db, &filter).await;
    cached
        .page(Audience::Administrators, listing, fetch, count)
        .await
}

/// Add a customer
///
/// No two have the same email address, whatever the case of its letters. To log in, they need a customer
/// account too.
#[utoipa::path(
    post, path = "/customers", tag = TAG, params(IdempotencyKey),
    request_body = Details,
    responses((status = 201, body = Customer), (status = 409, description = "conflict"))
)]
async fn create_customer(
    caller: Caller,
    State(ctx): State<Context>,
    Idempotent(details, key): Idempotent<Details>,
) -> Result<Answer, Problem> {
    idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let customer = customers::Model::create(txn, &details).await?;
        let id = customer.id;
        let answer = Answer::created(location("customers", id), &Customer::from(customer))?;
        Ok(answer.about_customer(id))
    })
}

/// Show a customer
///
/// A customer who was deleted is not found, even where their orders stay.
#[utoipa::path(
    get, path = "/customers/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = Customer))
)]
async fn show_customer(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let customer = || async {
        let customer = customers::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&Customer::from(customer))?)
    };
    cached.answer(Audience::Administrators, customer).await
}

/// Replace a customer
///
/// Every field is replaced; one that may be missing and is, is cleared.
#[utoipa::path(
    put, path = "/customers/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Details,
    responses((status = 200, body = Customer), (status = 409, description = "conflict"))
)]
async fn replace_customer(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(details): Json<Details>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &details.into()).await
}

/// Change a customer
///
/// Only the fields that are sent change (RFC 7396).
#[utoipa::path(
    patch, path = "/customers/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Changes,
    responses((status = 200, body = Customer), (status = 409, description = "conflict"))
)]
async fn change_customer(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &changes).await
}

/// Delete a customer
///
/// Their account and their addresses go too. Where there are orders, the personal data is erased and the orders stay.
#[utoipa::path(
    delete, path = "/customers/{id}", tag = TAG,
    params(Id, IfMatch),
    responses((status = 204), (status = 409, description = "conflict"))
)]
async fn delete_customer(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    let actor = caller.actor();
    transaction!(&ctx.on_behalf_of(&caller), |txn| {
        let (customer, account) = customers::Model::find_to_delete(txn, id, &actor).await?;
        if_match.check(|| Customer::from(customer.clone()))?;
        customer.delete(txn, account).await
    })?;
    erased(&ctx.db).await;
    Ok(Answer::no_content())
}

/// Export a customer
///
/// All that is kept of them, as a file.
#[utoipa::path(
    get, path = "/customers/{id}/export", tag = TAG, params(Id),
    responses((
        status = 200, body = PersonalDataFile,
        headers(("Content-Disposition", description = "That it is a file, and its name."))
    ))
)]
async fn export_customer(
    _: Admin,
    State(ctx): State<Context>,
    Id(id): Id,
) -> Result<Response, Problem> {
    export(&ctx, id).await
}

async fn change(
    ctx: &Context,
    caller: &Caller,
    id: i64,
    if_match: &IfMatch,
    changes: &Changes,
) -> Result<Answer, Problem> {
    let actor = caller.actor();
    let customer = transaction!(&ctx.on_behalf_of(caller), |txn| {
        let customer = customers::Model::find_locked_for(txn, id, &actor).await?;
        if_match.check(|| Customer::from(customer.clone()))?;
        customer.change(txn, changes).await
    })?;
    Ok(Answer::ok(&Customer::from(customer))?)
}

//! Customer accounts, for administrators and keys.

use axum::{extract::State, response::Response};
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    extract::{
        Cached, Caller, Entry, Id, IdempotencyKey, Idempotent, IfMatch, Json, Query,
        cached::Audience,
    },
    location,
};
use crate::{
    idempotent,
    models::{
        connection::erased,
        customer_accounts::{self, Changes, Credentials, Filter, Key, NewAccount, Registration},
        listing::Listing,
    },
    transaction,
    views::{
        answer::{Answer, CachedBody},
        customer_accounts::CustomerAccount,
        page::Page,
        problem::Problem,
    },
};

const TAG: &str = "Customer accounts";

/// The endpoints of customer accounts.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_customer_accounts, create_customer_account),
        routes!(
            show_customer_account,
            replace_customer_account,
            change_customer_account,
            delete_customer_account
        ),
    ]
}

/// List customer accounts
///
/// Each with its customer, the oldest first unless said otherwise.
#[utoipa::path(
    get, path = "/customer-accounts", tag = TAG,
    params(Listing<Filter, Key>, Cached),
    responses((status = 200, body = Page<CustomerAccount>))
)]
async fn list_customer_accounts(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Response, Problem> {
    let fetch = async |listing| {
        let page = customer_accounts::Model::list(&ctx.db, &listing).await?;
        Ok(page.map(CustomerAccount::from))
    };
    let count = async |filter| customer_accounts::Model::count(&ctx.db, &filter).await;
    cached
        .page(Audience::Administrators, listing, fetch, count)
        .await
}

/// Create an account for a customer
///
/// Each customer has one at most. The password is refused when it is easily guessed, with the reason. No key creates an
/// administrator.
#[utoipa::path(
    post, path = "/customer-accounts", tag = TAG, params(IdempotencyKey),
    request_body = Registration,
    responses((status = 201, body = CustomerAccount), (status = 409, description = "conflict"))
)]
async fn create_customer_account(
    caller: Caller,
    State(ctx): State<Context>,
    Idempotent(registration, key): Idempotent<Registration>,
) -> Result<Answer, Problem> {
    let account = NewAccount::from(registration);
    account.assert_within_reach_of(&caller.actor())?;
    let account = account.hashed(&ctx.db, caller.client()).await?;
    idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let account = customer_accounts::Model::create(txn, &account).await?;
        let (id, customer_id) = (account.0.id, account.0.customer_id);
        let location = location("customer-accounts", id);
        let answer = Answer::created(location, &CustomerAccount::from(account))?;
        Ok(answer.about_customer(customer_id))
    })
}

/// Show a customer account
///
/// With its customer. The password is never shown.
#[utoipa::path(
    get, path = "/customer-accounts/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = CustomerAccount))
)]
async fn show_customer_account(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let account = || async {
        let account = customer_accounts::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&CustomerAccount::from(account))?)
    };
    cached.answer(Audience::Administrators, account).await
}

/// Replace an account's name and password
///
/// Ends the tokens that are out.
#[utoipa::path(
    put, path = "/customer-accounts/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Credentials,
    responses((status = 200, body = CustomerAccount), (status = 409, description = "conflict"))
)]
async fn replace_customer_account(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    entry: Entry,
    Json(credentials): Json<Credentials>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &entry, credentials.into()).await
}

/// Change an account's name, password or role
///
/// Only the fields that are sent change (RFC 7396). A new password or role ends the tokens that are out. No key changes an
/// administrator's account, or makes somebody an administrator.
#[utoipa::path(
    patch, path = "/customer-accounts/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Changes,
    responses((status = 200, body = CustomerAccount), (status = 409, description = "conflict"))
)]
async fn change_customer_account(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    entry: Entry,
    Json(changes): Json<Changes>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &entry, changes).await
}

/// Delete a customer account
///
/// Ends the tokens that are out. The customer stays.
#[utoipa::path(
    delete, path = "/customer-accounts/{id}", tag = TAG,
    params(Id, IfMatch),
    responses((status = 204), (status = 409, description = "conflict"))
)]
async fn delete_customer_account(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    let actor = caller.actor();
    transaction!(&ctx.on_behalf_of(&caller).changing_accounts(), |txn| {
        let account = customer_accounts::Model::find_locked_for(txn, id, &actor).await?;
        if_match.check(|| CustomerAccount::from(account.clone()))?;
        account.0.delete(txn).await
    })?;
    erased(&ctx.db).await;
    Ok(Answer::no_content())
}

async fn change(
    ctx: &Context,
    caller: &Caller,
    id: i64,
    if_match: &IfMatch,
    entry: &Entry,
    changes: Changes,
) -> Result<Answer, Problem> {
    let actor = caller.actor();
    changes.assert_within_reach_of(&actor)?;
    let changes = changes.hashed(&ctx.db, id, caller.client()).await?;
    let (before, account) = transaction!(&ctx.on_behalf_of(caller).changing_accounts(), |txn| {
        let account = customer_accounts::Model::find_locked_for(txn, id, &actor).await?;
        if_match.check(|| CustomerAccount::from(account.clone()))?;
        let before = account.0.clone();
        Ok((before, account.0.change(txn, &changes).await?))
    })?;
    entry.note(|facts| facts.changed = account.0.changed_since(&before));
    Ok(Answer::ok(&CustomerAccount::from(account))?)
}

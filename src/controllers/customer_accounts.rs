//! Customer accounts, for administrators.

use axum::{extract::State, http::Uri, response::Response};
use utoipa_axum::routes;

use super::{
    Endpoint,
    extract::{Admin, Cached, Entry, Idempotent, IfMatch, Json, Path, Query, cached::Audience},
    location,
};
use crate::{
    context::Context,
    models::{
        connection::erased,
        customer_accounts::{Changes, Filter, Key, Model, Registration},
        idempotency_keys::KeptAnswer,
        listing::Listing,
        queue::{Client, turn_to_search},
    },
    once, transaction,
    views::{
        answer::{Changed, NoContent, Representation, created},
        customer_accounts::{
            Credentials, CredentialsBody, CustomerAccount, CustomerAccountBody,
            CustomerAccountFilter, CustomerAccountPatch,
        },
        page::{Page, PageParameters, SortParameter},
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
    get, path = "/customer-accounts", tag = TAG, security(("bearer" = ["admin"])),
    params(PageParameters, SortParameter<Key>, CustomerAccountFilter),
    responses((status = 200, body = Page<CustomerAccount>))
)]
async fn list_customer_accounts(
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
        Ok(Page::new(page.map(CustomerAccount::from), &listing, &uri).representation()?)
    };
    cached.answer(Audience::Administrators, page).await
}

/// Make an account for a customer
///
/// Each customer has one at most. The password is refused when it is easily guessed, with the reason.
#[utoipa::path(
    post, path = "/customer-accounts", tag = TAG, security(("bearer" = ["admin"])),
    request_body = CustomerAccountBody,
    responses((status = 201, body = CustomerAccount), (status = 409, description = "conflict"))
)]
async fn create_customer_account(
    admin: Admin,
    State(ctx): State<Context>,
    Idempotent {
        body: registration,
        once,
    }: Idempotent<Registration>,
) -> Result<KeptAnswer, Problem> {
    let claim = once.claim(&ctx, &admin)?;
    let registration = registration
        .hashed(&ctx.db, Client::Account(admin.0.id))
        .await?;
    let answer = once!(&ctx.on_behalf_of(&admin), claim, |txn| {
        let account = Model::create(txn, &registration).await?;
        let (id, customer_id) = (account.0.id, account.0.customer_id);
        created(
            location("customer-accounts", id),
            &CustomerAccount::from(account),
            customer_id,
        )
    })?;
    Ok(answer)
}

/// Show a customer account
///
/// With its customer. The password is never shown.
#[utoipa::path(
    get, path = "/customer-accounts/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)),
    responses((status = 200, body = CustomerAccount))
)]
async fn show_customer_account(
    _: Admin,
    State(ctx): State<Context>,
    cached: Cached,
    Path(id): Path,
) -> Result<Response, Problem> {
    let account = || async {
        let account = Model::find(&ctx.db, id).await?;
        Ok(Representation::of(&CustomerAccount::from(account))?)
    };
    cached.answer(Audience::Administrators, account).await
}

/// Replace an account's name and password
///
/// Ends the tokens that are out.
#[utoipa::path(
    put, path = "/customer-accounts/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)), request_body = CredentialsBody,
    responses((status = 200, body = CustomerAccount), (status = 409, description = "conflict"))
)]
async fn replace_customer_account(
    admin: Admin,
    State(ctx): State<Context>,
    Path(id): Path,
    if_match: IfMatch,
    entry: Entry,
    Json(credentials): Json<Credentials>,
) -> Result<Changed, Problem> {
    change(&ctx, &admin, id, &if_match, &entry, credentials.into()).await
}

/// Change an account's name, password or role
///
/// Only the fields that are sent change (RFC 7396). A new password or role ends the tokens that are out.
#[utoipa::path(
    patch, path = "/customer-accounts/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)), request_body = CustomerAccountPatch,
    responses((status = 200, body = CustomerAccount), (status = 409, description = "conflict"))
)]
async fn change_customer_account(
    admin: Admin,
    State(ctx): State<Context>,
    Path(id): Path,
    if_match: IfMatch,
    entry: Entry,
    Json(changes): Json<Changes>,
) -> Result<Changed, Problem> {
    change(&ctx, &admin, id, &if_match, &entry, changes).await
}

/// Delete a customer account
///
/// Ends the tokens that are out. The customer stays.
#[utoipa::path(
    delete, path = "/customer-accounts/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)),
    responses((status = 204), (status = 409, description = "conflict"))
)]
async fn delete_customer_account(
    admin: Admin,
    State(ctx): State<Context>,
    Path(id): Path,
    if_match: IfMatch,
) -> Result<NoContent, Problem> {
    transaction!(&ctx.on_behalf_of(&admin), |txn| {
        let account = Model::find_locked(txn, id).await?;
        if_match.check(|| CustomerAccount::from(account.clone()))?;
        account.0.delete(txn).await
    })?;
    erased(&ctx.db).await;
    Ok(NoContent)
}

async fn change(
    ctx: &Context,
    admin: &Admin,
    id: i64,
    if_match: &IfMatch,
    entry: &Entry,
    changes: Changes,
) -> Result<Changed, Problem> {
    let client = Client::Account(admin.0.id);
    let changes = changes.hashed(&ctx.db, id, client).await?;
    let (before, account) = transaction!(&ctx.on_behalf_of(admin), |txn| {
        let account = Model::find_locked(txn, id).await?;
        if_match.check(|| CustomerAccount::from(account.clone()))?;
        let before = account.0.clone();
        Ok((before, account.0.change(txn, &changes).await?))
    })?;
    entry.note(|facts| facts.changed = account.0.changed_since(&before));
    Ok(Changed::to(&CustomerAccount::from(account))?)
}

//! What people do with their own data.

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream::try_unfold;
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    auth::prove,
    extract::{
        Account, Address, Cached, Entry, IdempotencyKey, Idempotent, IfMatch, Json, Query,
        cached::Audience,
    },
    mailing::{Mailing, in_even_time},
};
use crate::{
    idempotent,
    models::{
        Actor,
        checkouts::Buyer,
        connection::erased,
        customer_addresses, customers,
        listing::NoFilter,
        personal_data::PersonalData,
        self_service::{EmailChange, Farewell, OwnChanges},
    },
    transaction,
    views::{
        answer::{Answer, CachedBody},
        me::Me,
        personal_data::{PersonalDataFile, PersonalDataText, file_name},
        problem::{Kind, Problem},
    },
};

const TAG: &str = "Me";

/// The endpoints of one's own data.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(show_own_data, change_own_data),
        routes!(move_email),
        routes!(erase_oneself),
        routes!(export_own_data),
    ]
}

/// Show one's own data
///
/// The customer whom the account belongs to, with their addresses. An account without a customer has none.
#[utoipa::path(
    get, path = "/me", tag = TAG, params(Cached),
    responses((status = 200, body = Me), (status = 404, description = "not-found"))
)]
async fn show_own_data(
    account: Account,
    State(ctx): State<Context>,
    cached: Cached,
    Query(NoFilter {}): Query<NoFilter>,
) -> Result<Response, Problem> {
    let id = customer_of(&account)?;
    let me = || async {
        let customer = customers::Model::find(&ctx.db, id).await?;
        let addresses = customer_addresses::Model::of_customer(&ctx.db, id).await?;
        Ok(CachedBody::of(&Me::new(customer, addresses))?)
    };
    cached.answer(Audience::Account(account.0.id), me).await
}

/// Change one's own data
///
/// Only the fields that are sent change (RFC 7396). Another email address needs the current password, and stays the old
/// one for now: a link is sent to the new one, which moves the account there.
#[utoipa::path(
    patch, path = "/me", tag = TAG, params(IfMatch), request_body = OwnChanges,
    responses((status = 200, body = Me), (status = 404, description = "not-found"))
)]
async fn change_own_data(
    account: Account,
    State(ctx): State<Context>,
    address: Address,
    if_match: IfMatch,
    entry: Entry,
    Json(changes): Json<OwnChanges>,
) -> Result<Answer, Problem> {
    let id = customer_of(&account)?;
    let customer = customers::Model::find(&ctx.db, id).await?;
    let Some(email) = changes.new_email(&customer) else {
        return change(&ctx, &account, id, &if_match, &changes, None).await;
    };
    let mailing = Mailing::new(&ctx, ctx.settings.security.verify_within())?;
    let password = changes.current_password.clone();
    prove(&ctx, &account, address, &entry, password).await?;
    let mailing = mailing.to(email, address).await;
    in_even_time(change(
        &ctx,
        &account,
        id,
        &if_match,
        &changes,
        Some(&mailing),
    ))
    .await
}

async fn change(
    ctx: &Context,
    account: &Account,
    id: i64,
    if_match: &IfMatch,
    changes: &OwnChanges,
    mailing: Option<&Mailing<'_>>,
) -> Result<Answer, Problem> {
    let changed = transaction!(&ctx.on_behalf_of(account), |txn| {
        let customer = customers::Model::find_locked(txn, id).await?;
        let addresses = customer_addresses::Model::of_customer(txn, id).await?;
        if_match.check(|| Me::new(customer.clone(), addresses.clone()))?;
        let envelope = mailing.and_then(Mailing::envelope);
        if let (Some(email), Some(envelope)) = (changes.new_email(&customer), envelope) {
            let account_id = account.0.id;
            customer
                .ask_to_move(txn, account_id, email, envelope)
                .await?;
        }
        let customer = customer.change(txn, &changes.at_once()).await?;
        Ok((customer, addresses))
    });
    match (changed, mailing) {
        (Ok((customer, addresses)), _) => Ok(Answer::ok(&Me::new(customer, addresses))?),
        (Err(error), Some(mailing)) => Err(mailing.failed(error).await),
        (Err(error), None) => Err(error.into()),
    }
}

/// Move to another email address
///
/// Takes the `token` of the link that was sent to the new address, with a token of the account that has asked for it.
/// From then on the new address is the one that mails go to, and that one can log in with.
#[utoipa::path(
    post, path = "/me/email", tag = TAG, params(IdempotencyKey), request_body = EmailChange,
    responses((status = 200, body = Me), (status = 404, description = "not-found"))
)]
async fn move_email(
    account: Account,
    State(ctx): State<Context>,
    Idempotent(proof, key): Idempotent<EmailChange>,
) -> Result<Answer, Problem> {
    let (id, account_id) = (customer_of(&account)?, account.0.id);
    idempotent!(&ctx.on_behalf_of(&account), key, |txn| {
        let customer = customers::Model::find_locked(txn, id).await?;
        let customer = customer.move_email(txn, account_id, &proof.token).await?;
        let addresses = customer_addresses::Model::of_customer(txn, id).await?;
        Ok(Answer::ok(&Me::new(customer, addresses))?.about_customer(id))
    })
}

/// Erase oneself
///
/// The account goes, and with it all personal data; orders keep what was ordered, without a person. That is refused while
/// an order is placed or paid.
#[utoipa::path(
    post, path = "/me/erase", tag = TAG, request_body = Farewell,
    responses(
        (status = 204), (status = 404, description = "not-found"),
        (status = 409, description = "open-orders, conflict")
    )
)]
async fn erase_oneself(
    account: Account,
    State(ctx): State<Context>,
    address: Address,
    entry: Entry,
    Json(farewell): Json<Farewell>,
) -> Result<Answer, Problem> {
    let id = customer_of(&account)?;
    let password = Some(farewell.current_password);
    prove(&ctx, &account, address, &entry, password).await?;
    let actor = account.actor();
    transaction!(&ctx.on_behalf_of(&account).changing_accounts(), |txn| {
        let (customer, account) = customers::Model::find_to_delete(txn, id, &actor).await?;
        customer.leave(txn, account).await
    })?;
    erased(&ctx.db).await;
    Ok(Answer::no_content())
}

/// Export one's own data
///
/// All that is kept of the customer whom the account belongs to, as a file.
#[utoipa::path(
    get, path = "/me/export", tag = TAG,
    responses(
        (
            status = 200, body = PersonalDataFile,
            headers(("Content-Disposition", description = "That it is a file, and its name."))
        ),
        (status = 404, description = "not-found")
    )
)]
async fn export_own_data(
    account: Account,
    State(ctx): State<Context>,
    Query(NoFilter {}): Query<NoFilter>,
) -> Result<Response, Problem> {
    export(&ctx, customer_of(&account)?).await
}

/// All that is kept of a customer, as a file that is written while it is sent.
///
/// # Errors
/// When there is no such customer.
pub(super) async fn export(ctx: &Context, customer_id: i64) -> Result<Response, Problem> {
    let person = PersonalData::of(&ctx.db, customer_id).await?;
    let text = PersonalDataText::of(&person);
    let written = try_unfold(
        (ctx.clone(), person, text),
        |(ctx, mut person, mut text)| async {
            let system = Actor::system();
            let rules = ctx.checkout_rules(&system, Buyer::Staff, None);
            let part = person.read(&ctx.db, &rules).await?;
            let written = text.write(part)?;
            Ok::<_, crate::models::Error>(written.map(|written| (written, (ctx, person, text))))
        },
    );
    let disposition = format!("attachment; filename=\"{}\"", file_name(customer_id));
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::VARY, "authorization".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(written)).into_response())
}

/// The caller's customer. Who has none is nobody here.
fn customer_of(account: &Account) -> Result<i64, Problem> {
    let customer = account.0.customer_id;
    customer.ok_or_else(|| Problem::new(Kind::NOT_FOUND))
}

//! Logging in, and who one is.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use loco_rs::app::AppContext;
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    extract::{Account, Address, Cached, Json, Query, cached::Audience},
};
use crate::{
    models::{
        self, customer_accounts,
        customer_accounts::PasswordChange,
        listing::NoFilter,
        queue::{Client, hashing},
        types::fold,
    },
    settings::Settings,
    stores::{Stores, budgets::Quota, plugged_in},
    transaction,
    views::{
        answer::{NoContent, Representation, Secret},
        auth::{Login, LoginBody, Nothing, PasswordChangeBody, Token},
        customer_accounts::CustomerAccount,
        problem::Problem,
    },
};

const TAG: &str = "Authentication";

/// The path of a login, below which nothing is written.
pub const LOGIN_PATH: &str = "/api/v1/auth/login";

/// The endpoints of authentication.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(login),
        routes!(show_me),
        routes!(log_out),
        routes!(change_password),
    ]
}

/// Log in
///
/// Gives a token for a name and a password. It goes into the `Authorization` header of every other
/// request.
#[utoipa::path(
    post, path = "/auth/login", tag = TAG, security(()), request_body = LoginBody,
    responses((status = 200, body = Token))
)]
async fn login(
    State(ctx): State<Context>,
    address: Address,
    Json(login): Json<Login>,
) -> Result<Secret<Token>, Problem> {
    let Login { username, password } = login;
    let turn = hashing().turn(Client::at(address.0)).await?;
    let attempt = Attempt::begin(&ctx, &username, address).await?;
    let account = customer_accounts::Model::authenticate(&ctx.db, &username, password, &turn).await;
    if !matches!(account, Ok(None)) {
        attempt.forget().await;
    }
    let account = account?.ok_or_else(Problem::invalid_credentials)?;
    let jwt = ctx.config.get_jwt_config()?;
    let token = account.token(jwt)?;
    Ok(Secret(Token::new(token, jwt.expiration, account)))
}

/// Show the account that is logged in
///
/// Who the token belongs to, with its customer.
#[utoipa::path(
    get, path = "/auth/me", tag = TAG, responses((status = 200, body = CustomerAccount))
)]
async fn show_me(
    account: Account,
    State(ctx): State<Context>,
    cached: Cached,
    Query(NoFilter): Query<NoFilter>,
) -> Result<Response, Problem> {
    let id = account.0.id;
    let account = || async {
        let account = customer_accounts::Model::find(&ctx.db, id).await?;
        Ok(Representation::of(&CustomerAccount::from(account))?)
    };
    cached.answer(Audience::Account(id), account).await
}

/// Log out
///
/// Ends all tokens of the account that are out.
#[utoipa::path(post, path = "/auth/logout", tag = TAG, responses((status = 204)))]
async fn log_out(
    account: Account,
    State(ctx): State<Context>,
    Json(Nothing): Json<Nothing>,
) -> Result<NoContent, Problem> {
    let id = account.0.id;
    transaction!(&ctx.on_behalf_of(&account), |txn| {
        let (account, _) = customer_accounts::Model::find_locked(txn, id).await?;
        account.log_out(txn).await
    })?;
    Ok(NoContent)
}

/// Change one's own password
///
/// Ends the tokens that are out: log in again with the new one.
#[utoipa::path(put, path = "/auth/password", tag = TAG, request_body = PasswordChangeBody,
    responses((status = 204)))]
async fn change_password(
    account: Account,
    State(ctx): State<Context>,
    address: Address,
    Json(change): Json<PasswordChange>,
) -> Result<NoContent, Problem> {
    let id = account.0.id;
    let turn = hashing().turn(Client::Account(id)).await?;
    // Whoever has found a token must not find out the password with it.
    let attempt = Attempt::begin(&ctx, &account.0.username, address).await?;
    let changes = change.hashed(&ctx.db, &account.0, &turn).await;
    if !matches!(changes, Err(models::Error::WrongPassword)) {
        attempt.forget().await;
    }
    let changes = changes?;
    drop(turn);
    transaction!(&ctx.on_behalf_of(&account), |txn| {
        let (account, _) = customer_accounts::Model::find_locked(txn, id).await?;
        account.change(txn, &changes).await
    })?;
    Ok(NoContent)
}

/// An attempt to show who one is by a password.
///
/// It counts as a failure until it turns out to be none, also when its client hangs up: so however many
/// are made at once, no more of them fail than may. It is made in its client's turn, which ends when the
/// outcome is known: so nobody is refused for attempts that have not failed.
struct Attempt {
    stores: Arc<Stores>,
    budgets: Vec<(String, Quota)>,
}

impl Attempt {
    /// Begins one, if not too many have failed: of the username from the address, so that nobody can
    /// lock out somebody who is elsewhere; and of all usernames from the address.
    async fn begin(
        ctx: &AppContext,
        username: &str,
        Address(address): Address,
    ) -> Result<Self, Problem> {
        let security = &Settings::of(ctx)?.security;
        let failures = security.login_failures;
        let period = Duration::from_secs(security.login_failures_period_seconds);
        let budgets = if failures == 0 {
            Vec::new()
        } else {
            // No account has a longer name.
            let username: String = username.chars().take(64).collect();
            let username = fold(&username);
            let of_username = format!("login {address} {username}");
            let of_address = format!("login {address}");
            vec![
                (of_username, Quota::per(failures, period)),
                (of_address, Quota::per(failures.saturating_mul(10), period)),
            ]
        };
        let stores = plugged_in::<Arc<Stores>>(ctx)?;
        match stores.take(&budgets).await {
            Ok(()) => Ok(Self { stores, budgets }),
            Err(wait) => Err(Problem::rate_limited(wait)),
        }
    }

    /// It was no failure.
    async fn forget(self) {
        self.stores.give_back(&self.budgets).await;
    }
}

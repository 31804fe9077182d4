//! Logging in, and who one is.

use axum::{extract::State, response::Response};
use loco_rs::app::AppContext;
use utoipa_axum::routes;

use super::{
    Endpoint,
    extract::{Account, Cached, Json, Query, cached::Audience},
};
use crate::{
    models::{customer_accounts, listing::NoFilter},
    views::{
        answer::{Representation, Secret},
        auth::{Login, LoginBody, Token},
        customer_accounts::CustomerAccount,
        problem::Problem,
    },
};

const TAG: &str = "Authentication";

/// The endpoints of authentication.
pub fn endpoints() -> Vec<Endpoint> {
    vec![routes!(login), routes!(show_me)]
}

/// Log in
///
/// Gives a token for a name and a password. It goes into the `Authorization` header of every other
/// request.
#[utoipa::path(post, path = "/auth/login", tag = TAG, security(()), request_body = LoginBody,
    responses((status = 200, body = Token)))]
async fn login(
    State(ctx): State<AppContext>,
    Json(login): Json<Login>,
) -> Result<Secret<Token>, Problem> {
    let account = customer_accounts::Model::authenticate(&ctx.db, &login.username, login.password)
        .await?
        .ok_or_else(Problem::invalid_credentials)?;
    let jwt = ctx.config.get_jwt_config()?;
    let token = account.token(jwt)?;
    Ok(Secret(Token::new(token, jwt.expiration, account)))
}

/// Show the account that is logged in
#[utoipa::path(get, path = "/auth/me", tag = TAG, responses((status = 200, body = CustomerAccount)))]
async fn show_me(
    account: Account,
    State(ctx): State<AppContext>,
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

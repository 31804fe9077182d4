//! Logging in, and who one is.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use tracing::Instrument;
use utoipa_axum::routes;

use super::{
    Endpoint,
    extract::{Account, Address, Cached, Entry, Json, Query, cached::Audience},
};
use crate::{
    context::Context,
    models::{
        self, Actor, customer_accounts,
        customer_accounts::{Login, PasswordChange},
        events::Cause,
        input::NoBody,
        listing::NoFilter,
        now,
        queue::{Client, hashing},
        types::{RawText, case_fold},
    },
    shared::quotas::Quota,
    transaction,
    views::{
        answer::{Answer, CachedBody},
        auth::Token,
        customer_accounts::CustomerAccount,
        problem::Problem,
    },
};

const TAG: &str = "Authentication";

/// Where one logs in. Nothing is written there.
pub const LOGIN: &str = "/api/v1/auth/login";

/// How many times as many logins may fail from an address, whatever the username, as of one username there.
const OF_ADDRESS: u32 = 10;

/// The same for the larger IPv6 networks that one customer can have (RFC 6177), by the bits that they share.
const OF_NETWORKS: [(u32, u32); 2] = [(56, 40), (48, 160)];

/// The same for a username, from all addresses together that have not logged in under it of late.
const OF_USERNAME: u32 = 10;

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
    post, path = "/auth/login", tag = TAG, request_body = Login,
    responses((status = 200, body = Token))
)]
async fn login(
    State(ctx): State<Context>,
    address: Address,
    entry: Entry,
    Json(login): Json<Login>,
) -> Result<axum::Json<Token>, Problem> {
    let Login { username, password } = login;
    let RawText(username) = username;
    let digest = ctx.shared.digest(&as_counted(&username));
    entry.note(|facts| {
        facts.account = None;
        facts.username_digest = Some(digest);
    });
    let turn = hashing().turn(Client::at(address.0)).await?;
    let attempt = LoginAttempt::begin(&ctx, &username, address, &entry).await?;
    let account = customer_accounts::Model::authenticate(&ctx.db, &username, password, &turn).await;
    match &account {
        Ok(Some(_)) => attempt.succeed().await,
        Ok(None) => {}
        Err(_) => attempt.forget().await,
    }
    let Some(account) = account? else {
        // Only the name of an account is logged: anything else may be a password that was typed there.
        let tried = customer_accounts::Model::find_by_username(&ctx.db, &username).await?;
        entry.note(|facts| facts.account = tried.map(|tried| Arc::new(tried.without_password())));
        return Err(Problem::invalid_credentials());
    };
    let known = Arc::new(account.clone().without_password());
    entry.note(|facts| facts.account = Some(known));
    let token = account.token(&ctx.jwt)?;
    Ok(axum::Json(Token::new(token, ctx.jwt.expiration, account)))
}

/// Show the account that is logged in
///
/// Who the token belongs to, with its customer.
#[utoipa::path(
    get, path = "/auth/me", tag = TAG, params(Cached), responses((status = 200, body = CustomerAccount))
)]
async fn show_me(
    account: Account,
    State(ctx): State<Context>,
    cached: Cached,
    Query(NoFilter {}): Query<NoFilter>,
) -> Result<Response, Problem> {
    let id = account.0.id;
    let account = || async {
        let account = customer_accounts::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&CustomerAccount::from(account))?)
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
    Json(NoBody {}): Json<NoBody>,
) -> Result<Answer, Problem> {
    let id = account.0.id;
    transaction!(&ctx.on_behalf_of(&account), |txn| {
        let (account, _) = customer_accounts::Model::find_locked(txn, id).await?;
        account.log_out(txn).await
    })?;
    Ok(Answer::no_content())
}

/// Change one's own password
///
/// Ends the tokens that are out: log in again with the new one.
#[utoipa::path(put, path = "/auth/password", tag = TAG, request_body = PasswordChange,
    responses((status = 204)))]
async fn change_password(
    account: Account,
    State(ctx): State<Context>,
    address: Address,
    entry: Entry,
    Json(change): Json<PasswordChange>,
) -> Result<Answer, Problem> {
    let id = account.0.id;
    let turn = hashing().turn(Client::Account(id)).await?;
    // Whoever has found a token must not find out the password with it.
    let attempt = LoginAttempt::begin(&ctx, &account.0.username, address, &entry).await?;
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
    entry.note(|facts| facts.changed = vec!["password"]);
    Ok(Answer::no_content())
}

/// A username as failures are counted for it, whatever was typed: no account has a longer name.
fn as_counted(username: &str) -> String {
    let username: String = username.chars().take(64).collect();
    case_fold(&username)
}

/// Writes down, beside the answer, that no more logins under a username are tried, if that is so: its own budgets are
/// used up, not only those of the address. The answer says and takes the same whether there is such an account.
fn tell_of_lockout(
    ctx: &Context,
    username: String,
    mut budgets: Vec<(String, Quota)>,
    period: Duration,
    entry: &Entry,
) {
    let ending = format!("as {username}");
    budgets.retain(|(key, _)| key.ends_with(&ending));
    let once = (format!("lockout of {username}"), Quota::per(1, period));
    let store = ctx.caused_by(Cause {
        actor: Actor::system(),
        request_id: Some(entry.facts().request_id.as_ref().to_owned()),
    });
    let context = ctx.clone();
    let work = async move {
        let shared = &context.shared;
        if shared.take(&budgets).await.is_ok() {
            shared.give_back(&budgets).await;
            return;
        }
        // Whoever goes on trying shall not make the database work.
        if shared.take(&[once]).await.is_err() {
            return;
        }
        let since = now() - period;
        let told = transaction!(&store, |txn| {
            customer_accounts::Model::lock_out(txn, &username, since).await
        });
        if let Err(error) = told {
            tracing::warn!(%error, "that an account is locked out could not be written down");
        }
    };
    ctx.draining.writes.spawn(work.in_current_span());
}

/// An attempt to show who one is by a password.
///
/// It counts as a failure until it turns out to be none, also when its client hangs up: so however many
/// are made at once, no more of them fail than may. It is made in its client's turn, which ends when the
/// outcome is known: so no attempt is refused for others that have not failed.
struct LoginAttempt<'a> {
    ctx: &'a Context,
    budgets: Vec<(String, Quota)>,
    /// Who tries it from where: remembered when it succeeds.
    client: String,
}

impl<'a> LoginAttempt<'a> {
    /// Begins a log-in, unless too many have failed: for the username from this address, so that an attacker cannot
    /// lock out a user who logs in from elsewhere; for all usernames from the address and the networks around it;
    /// and for the username from everywhere, except the addresses from which it has logged in before.
    async fn begin(
        ctx: &'a Context,
        username: &str,
        Address(address): Address,
        entry: &Entry,
    ) -> Result<Self, Problem> {
        let security = &ctx.settings.security;
        let failures = security.login_failures;
        let period = Duration::from_secs(security.login_failures_period_seconds);
        let times = |times: u32| Quota::per(failures.saturating_mul(times), period);
        let username = as_counted(username);
        let client = format!("login from {address} as {username}");
        let mut budgets = Vec::new();
        if failures > 0 {
            budgets.push((client.clone(), times(1)));
            budgets.push((format!("login from {address}"), times(OF_ADDRESS)));
            if let IpAddr::V6(address) = address {
                for (bits, of_network) in OF_NETWORKS {
                    let network = address.to_bits() >> (u128::BITS - bits);
                    budgets.push((format!("login from {network:x}/{bits}"), times(of_network)));
                }
            }
            if !ctx.shared.remembers(&client).await {
                budgets.push((format!("login as {username}"), times(OF_USERNAME)));
            }
        }
        match ctx.shared.take(&budgets).await {
            Ok(()) => Ok(Self {
                ctx,
                budgets,
                client,
            }),
            Err(wait) => {
                tell_of_lockout(ctx, username, budgets, period, entry);
                Err(Problem::rate_limited(wait))
            }
        }
    }

    /// The log-in succeeded: it counts as no failure, and the client is remembered.
    async fn succeed(self) {
        self.ctx.shared.remember(&self.client).await;
        self.forget().await;
    }

    /// The log-in did not fail.
    async fn forget(self) {
        self.ctx.shared.give_back(&self.budgets).await;
    }
}

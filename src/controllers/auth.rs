//! Logging in, registering, setting a new password, and who one is.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use tracing::Instrument;
use utoipa_axum::routes;

use super::{
    Endpoint,
    extract::{Account, Address, Cached, Entry, Json, Query, Visitor, cached::Audience},
    mailing::{Mailing, in_even_time},
};
use crate::{
    context::Context,
    models::{
        self, Actor, customer_accounts,
        customer_accounts::{Login, PasswordChange, PasswordReset},
        error::FieldError,
        events::Cause,
        input::NoBody,
        listing::NoFilter,
        now,
        queue::{Client, hashing},
        self_service::{ForgottenPassword, Registration, Verification},
        types::{Email, Password, RawText, Scalar, case_fold},
    },
    shared::quotas::Quota,
    transaction,
    views::{
        answer::{Answer, CachedBody},
        auth::Token,
        customer_accounts::CustomerAccount,
        me::Accepted,
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
        routes!(register),
        routes!(verify),
        routes!(request_password_reset),
        routes!(reset_password),
    ]
}

/// Log in
///
/// Gives a token for a name and a password. It goes into the `Authorization` header of every other
/// request. The email address of the customer does as well as the name of the account.
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
    let username = in_one_form(username);
    let digest = ctx.shared.digest(&as_counted(&username));
    entry.note(|facts| {
        facts.account = None;
        facts.username_digest = Some(digest);
    });
    let turn = hashing().turn(Client::at(address.0)).await?;
    // Both names of an account have one budget. That an email address is one is asked of the database first, in one
    // statement whether it is or not; a username needs no question.
    let is_email = username.contains('@');
    let by_email = if is_email {
        customer_accounts::Model::find_by_login(&ctx.db, &username).await?
    } else {
        None
    };
    let counted = by_email.as_ref().map_or(&username, |it| &it.username);
    let attempt = LoginAttempt::begin(&ctx, counted, address, &entry).await?;
    let account = async {
        let account = if is_email {
            by_email.clone()
        } else {
            customer_accounts::Model::find_by_login(&ctx.db, &username).await?
        };
        let is_theirs =
            customer_accounts::Model::authenticate(account.as_ref(), password, &turn).await?;
        Ok::<_, models::Error>((account, is_theirs))
    };
    let account = account.await;
    match &account {
        Ok((_, true)) => attempt.succeed().await,
        Ok((_, false)) => {}
        Err(_) => attempt.forget().await,
    }
    let (account, is_theirs) = account?;
    let Some(account) = account.filter(|tried| {
        // Only the name of an account is logged: anything else may be a password that was typed there.
        let known = Arc::new(tried.clone().without_password());
        entry.note(|facts| facts.account = Some(known));
        is_theirs
    }) else {
        return Err(Problem::invalid_credentials());
    };
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
    transaction!(&ctx.on_behalf_of(&account).changing_accounts(), |txn| {
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
    transaction!(&ctx.on_behalf_of(&account).changing_accounts(), |txn| {
        let (account, _) = customer_accounts::Model::find_locked(txn, id).await?;
        account.change(txn, &changes).await
    })?;
    entry.note(|facts| facts.changed = vec!["password"]);
    Ok(Answer::no_content())
}

/// Register
///
/// Sends a link to the address, which ends the registration. The answer is the same, and takes the same time, where the
/// address has an account: then a mail says so. No more than 3 such mails go to an address in an hour.
#[utoipa::path(
    post, path = "/auth/register", tag = TAG, request_body = Registration,
    responses((status = 202, body = Accepted, description = "Accepted. A mail is sent, if one can be."))
)]
async fn register(
    visitor: Visitor,
    State(ctx): State<Context>,
    Json(registration): Json<Registration>,
) -> Result<Answer, Problem> {
    let mailing = Mailing::new(&ctx, ctx.settings.security.verify_within())?;
    let mailing = mailing.to(&registration.email, visitor.address).await;
    in_even_time(async {
        if let Some(envelope) = mailing.envelope() {
            let begun = transaction!(&ctx.visited_by(&visitor), |txn| {
                registration.begin(txn, envelope).await
            });
            if let Err(error) = begun {
                return Err(mailing.failed(error).await);
            }
        }
        Ok(Answer::accepted_silently(&Accepted {})?)
    })
    .await
}

/// End a registration
///
/// Takes the `token` of the link in the mail. Makes the customer, unless the shop knows one with that address, and the
/// account, and logs in. The link stays good when the password or the name is refused.
#[utoipa::path(
    post, path = "/auth/verify", tag = TAG, request_body = Verification,
    responses((status = 200, body = Token), (status = 409, description = "conflict"))
)]
async fn verify(
    visitor: Visitor,
    State(ctx): State<Context>,
    entry: Entry,
    Json(verification): Json<Verification>,
) -> Result<Answer, Problem> {
    let verified = verification.hashed(&ctx.db, visitor.client()).await?;
    let store = ctx.visited_by(&visitor);
    let (account, _) = transaction!(&store, |txn| {
        let account = verified.register(txn).await?;
        store.is_by(account.0.actor());
        Ok(account)
    })?;
    let known = Arc::new(account.clone().without_password());
    entry.note(|facts| facts.account = Some(known));
    let token = account.token(&ctx.jwt)?;
    Ok(Answer::ok(&Token::new(token, ctx.jwt.expiration, account))?)
}

/// Ask for a new password
///
/// Sends a link to the address, if it is that of a customer with an account. The answer is the same, and takes the same
/// time, if it is not. No more than 3 such mails go to an address in an hour.
#[utoipa::path(
    post, path = "/auth/password-reset", tag = TAG, request_body = ForgottenPassword,
    responses((status = 202, body = Accepted, description = "Accepted. A mail is sent, if there is an account."))
)]
async fn request_password_reset(
    visitor: Visitor,
    State(ctx): State<Context>,
    Json(forgotten): Json<ForgottenPassword>,
) -> Result<Answer, Problem> {
    let mailing = Mailing::new(&ctx, ctx.settings.security.reset_within())?;
    let mailing = mailing.to(&forgotten.email, visitor.address).await;
    in_even_time(async {
        if let Some(envelope) = mailing.envelope() {
            let reminded = transaction!(&ctx.visited_by(&visitor), |txn| {
                forgotten.remind(txn, envelope).await
            });
            if let Err(error) = reminded {
                return Err(mailing.failed(error).await);
            }
        }
        Ok(Answer::accepted_silently(&Accepted {})?)
    })
    .await
}

/// Set a new password
///
/// Takes the `token` of the link in the mail. Ends the tokens that are out, and every other link of the account.
#[utoipa::path(
    post, path = "/auth/password-reset/confirm", tag = TAG, request_body = PasswordReset,
    responses((status = 204))
)]
async fn reset_password(
    visitor: Visitor,
    State(ctx): State<Context>,
    entry: Entry,
    Json(reset): Json<PasswordReset>,
) -> Result<Answer, Problem> {
    let code = reset.token.clone();
    let (id, changes) = reset.hashed(&ctx.db, visitor.client()).await?;
    let store = ctx.visited_by(&visitor);
    let (account, _) = transaction!(&store, |txn| {
        let account = customer_accounts::Model::reset_password(txn, id, &code, &changes).await?;
        store.is_by(account.0.actor());
        Ok(account)
    })?;
    let known = Arc::new(account.without_password());
    entry.note(|facts| {
        facts.account = Some(known);
        facts.changed = vec!["password"];
    });
    Ok(Answer::no_content())
}

/// Shows by their password that it is the owner of the account who calls. Whoever has found a token must not find out
/// the password with it: a wrong one, or none, counts as a failed login.
///
/// # Errors
/// 422 for `/current_password`; 429 when too many have failed.
pub(super) async fn prove(
    ctx: &Context,
    account: &Account,
    address: Address,
    entry: &Entry,
    password: Option<Password>,
) -> Result<(), Problem> {
    let turn = hashing().turn(Client::Account(account.0.id)).await?;
    let attempt = LoginAttempt::begin(ctx, &account.0.username, address, entry).await?;
    let Some(password) = password else {
        let error = FieldError::at("/current_password", "required", "is required");
        return Err(models::Error::from(error).into());
    };
    let proven = account.0.proven(&ctx.db, password, &turn).await;
    if !matches!(proven, Err(models::Error::WrongPassword)) {
        attempt.forget().await;
    }
    Ok(proven.map(drop)?)
}

/// An email address in the form in which the shop compares it, so that one that is not known has one budget too, however
/// it is written. Anything else as it is.
fn in_one_form(login: String) -> String {
    Email::parse(&login).map_or(login, |email| case_fold(email.as_str()))
}

/// A username as failures are counted for it, whatever was typed: no account has a longer name, nor a customer a longer
/// address.
fn as_counted(username: &str) -> String {
    let username: String = username.chars().take(254).collect();
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

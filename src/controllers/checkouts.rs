//! Checkouts: visitors, customers and those who run the store fill a cart, hold its stock, and complete it.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, FixedOffset};
use utoipa_axum::routes;

use super::{
    Context, Endpoint, budgets,
    extract::{
        Cached, Caller, CheckoutItemPath, CheckoutPath, IdempotencyKey, Idempotent, IfMatch, Json,
        Query, cached::Audience,
    },
    location,
};
use crate::{
    idempotent,
    models::{
        Actor, Result as Outcome, Transaction,
        checkouts::{self, Buyer, Changes, Completion, Filter, Key, NewQuantity, Rules},
        error::FieldError,
        input::{Input, NoBody},
        listing::Listing,
        orders::OrderLine,
        types::{
            CheckoutId, ExpectedTotal,
            KeyScope::{self, CheckoutsRead, CheckoutsWrite},
        },
    },
    taking_stock, transaction,
    views::{
        answer::{Answer, CachedBody},
        checkouts::Checkout,
        orders::Order,
        page::Page,
        problem::Problem,
    },
};

const TAG: &str = "Checkouts";

/// The endpoints of checkouts.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_checkouts, open_checkout),
        routes!(show_checkout, change_checkout),
        routes!(set_checkout_item, remove_checkout_item),
        routes!(hold_checkout),
        routes!(complete_checkout),
        routes!(cancel_checkout),
    ]
}

/// What a checkout is completed at.
#[derive(Clone, Copy, Debug, Input)]
#[input(schema = CompletionBody, may_be_missing)]
pub struct Agreement {
    /// The total that the buyer has seen. Only a secret key may leave it out, and means the one in the answer to the last
    /// change.
    pub expected_total: Option<ExpectedTotal>,
}

/// As who somebody buys, and from where.
struct Purchase {
    buyer: Buyer,
    actor: Actor,
    visitor: Option<String>,
}

impl Purchase {
    fn by(caller: &Caller, scope: KeyScope) -> Self {
        let buyer = caller.buyer(scope);
        Self {
            buyer,
            actor: caller.actor(),
            visitor: caller.visitor(buyer),
        }
    }

    fn rules<'a>(&'a self, ctx: &'a Context) -> Rules<'a> {
        ctx.checkout_rules(&self.actor, self.buyer, self.visitor.as_deref())
    }
}

/// List checkouts
///
/// The newest first. Those that nobody completes are abandoned carts. Customers see their own.
#[utoipa::path(
    get, path = "/checkouts", tag = TAG,
    params(Listing<Filter, Key>, Cached),
    responses((status = 200, body = Page<Checkout>))
)]
async fn list_checkouts(
    caller: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Response, Problem> {
    let purchase = Purchase::by(&caller, CheckoutsRead);
    let (buyer, rules) = (purchase.buyer, purchase.rules(&ctx));
    listing.filter.check_for(buyer)?;
    let fetch = async |listing| {
        let page = checkouts::Model::list(&ctx.db, &listing, &rules).await?;
        Ok(page.map(Checkout::from))
    };
    let count = async |filter| checkouts::Model::count(&ctx.db, buyer, &filter).await;
    let page = cached.page(audience(buyer), listing, fetch, count).await?;
    Ok(not_stored(page))
}

/// Open a checkout
///
/// An open checkout is a cart. Everything may come later: what is not right yet is said by its messages.
#[utoipa::path(
    post, path = "/checkouts", tag = TAG, params(IdempotencyKey), request_body = Option<Changes>,
    responses((status = 201, body = Checkout))
)]
async fn open_checkout(
    caller: Caller,
    State(ctx): State<Context>,
    Idempotent(changes, key): Idempotent<Changes>,
) -> Result<Response, Problem> {
    let purchase = Purchase::by(&caller, CheckoutsWrite);
    let rules = purchase.rules(&ctx);
    budgets::try_code(&ctx, &caller, changes.code()).await?;
    let opening = budgets::opening(&ctx, rules.budget).await?;
    let opened = idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let opened = checkouts::Model::open(txn, &changes, &rules).await?;
        let location = location("checkouts", &opened.checkout.token);
        answer(opened, |view| Answer::created(location, view))
    });
    opening.unless(opened.is_ok()).await;
    Ok(not_stored(opened?))
}

/// Show a checkout
///
/// As it stands now, at today's prices. That of another customer is not found, nor is a visitor's some time after its end.
#[utoipa::path(
    get, path = "/checkouts/{id}", tag = TAG,
    params(CheckoutPath, Cached),
    responses((status = 200, body = Checkout))
)]
async fn show_checkout(
    caller: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    CheckoutPath(id): CheckoutPath,
) -> Result<Response, Problem> {
    let purchase = Purchase::by(&caller, CheckoutsRead);
    let rules = purchase.rules(&ctx);
    let checkout = || async {
        let checkout = checkouts::Model::find(&ctx.db, &id, &rules).await?;
        Ok(CachedBody::of(&Checkout::from(checkout))?)
    };
    Ok(not_stored(
        cached.answer(audience(purchase.buyer), checkout).await?,
    ))
}

/// Change a checkout
///
/// Only the fields that are sent change. A visitor's becomes the customer's who changes it. A hold follows the items.
#[utoipa::path(
    patch, path = "/checkouts/{id}", tag = TAG,
    params(CheckoutPath, IfMatch), request_body = Changes,
    responses(
        (status = 200, body = Checkout), (status = 409, description = "insufficient-stock, invalid-transition")
    )
)]
async fn change_checkout(
    caller: Caller,
    State(ctx): State<Context>,
    CheckoutPath(id): CheckoutPath,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Response, Problem> {
    let purchase = Purchase::by(&caller, CheckoutsWrite);
    let rules = purchase.rules(&ctx);
    budgets::try_code(&ctx, &caller, changes.code()).await?;
    let changed = taking_stock!(
        ctx,
        transaction!(&ctx.on_behalf_of(&caller), |txn| {
            let seen = seen(txn, &id, &if_match, &rules).await?;
            checkouts::Model::change(txn, &id, &changes, &rules, seen).await
        })
        .map_err(Problem::from)
    );
    Ok(not_stored(answer(changed?, Answer::ok)?))
}

/// Set how many pieces of a product
///
/// Adds the product if it is not there. A line keeps its place.
#[utoipa::path(
    put, path = "/checkouts/{id}/items/{product_id}", tag = TAG,
    params(CheckoutItemPath, IfMatch), request_body = NewQuantity,
    responses(
        (status = 200, body = Checkout), (status = 409, description = "insufficient-stock, invalid-transition")
    )
)]
async fn set_checkout_item(
    caller: Caller,
    State(ctx): State<Context>,
    CheckoutItemPath(id, product_id): CheckoutItemPath,
    if_match: IfMatch,
    Json(NewQuantity { quantity }): Json<NewQuantity>,
) -> Result<Response, Problem> {
    let purchase = Purchase::by(&caller, CheckoutsWrite);
    let rules = purchase.rules(&ctx);
    let line = OrderLine {
        product_id,
        quantity,
    };
    let changed = taking_stock!(
        ctx,
        transaction!(&ctx.on_behalf_of(&caller), |txn| {
            let seen = seen(txn, &id, &if_match, &rules).await?;
            checkouts::Model::set_item(txn, &id, line, &rules, seen).await
        })
        .map_err(Problem::from)
    );
    Ok(not_stored(answer(changed?, Answer::ok)?))
}

/// Take a product out
///
/// What was held of it is given back.
#[utoipa::path(
    delete, path = "/checkouts/{id}/items/{product_id}", tag = TAG,
    params(CheckoutItemPath, IfMatch),
    responses((status = 200, body = Checkout), (status = 409, description = "invalid-transition"))
)]
async fn remove_checkout_item(
    caller: Caller,
    State(ctx): State<Context>,
    CheckoutItemPath(id, product_id): CheckoutItemPath,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let purchase = Purchase::by(&caller, CheckoutsWrite);
    let rules = purchase.rules(&ctx);
    let changed = transaction!(&ctx.on_behalf_of(&caller), |txn| {
        let seen = seen(txn, &id, &if_match, &rules).await?;
        checkouts::Model::remove_item(txn, &id, product_id, &rules, seen).await
    })?;
    Ok(not_stored(answer(changed, Answer::ok)?))
}

/// Hold the stock of a checkout
///
/// Of all lines or of none, for some minutes. Done again, from now on, and for an hour in all. Nobody needs a hold to complete
/// a checkout.
#[utoipa::path(
    post, path = "/checkouts/{id}/hold", tag = TAG,
    params(CheckoutPath, IdempotencyKey),
    responses(
        (status = 200, body = Checkout),
        (status = 409, description = "hold-disabled, insufficient-stock, invalid-transition")
    )
)]
async fn hold_checkout(
    caller: Caller,
    State(ctx): State<Context>,
    CheckoutPath(id): CheckoutPath,
    Idempotent(NoBody {}, key): Idempotent<NoBody>,
) -> Result<Response, Problem> {
    let purchase = Purchase::by(&caller, CheckoutsWrite);
    let rules = purchase.rules(&ctx);
    let opening = budgets::opening(&ctx, rules.budget).await?;
    let held = taking_stock!(
        ctx,
        idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
            let held = checkouts::Model::hold(txn, &id, &rules).await?;
            answer(held, Answer::ok)
        })
    );
    opening.unless(held.is_ok()).await;
    Ok(not_stored(held?))
}

/// Complete a checkout
///
/// Places its order, if it costs what the buyer has seen. Asked again for the same total, it is answered with the order as
/// it is now, and places no other.
#[utoipa::path(
    post, path = "/checkouts/{id}/complete", tag = TAG,
    params(CheckoutPath, IdempotencyKey), request_body = Agreement,
    responses(
        (status = 201, body = Order), (status = 200, body = Order),
        (status = 409, description = "totals-changed, insufficient-stock, invalid-transition")
    )
)]
async fn complete_checkout(
    caller: Caller,
    State(ctx): State<Context>,
    CheckoutPath(id): CheckoutPath,
    Idempotent(agreement, key): Idempotent<Agreement>,
) -> Result<Response, Problem> {
    let purchase = Purchase::by(&caller, CheckoutsWrite);
    let rules = purchase.rules(&ctx);
    let expected = agreement.expected_total.map(ExpectedTotal::money);
    if expected.is_none() && !caller.is_secret_key() {
        let missing = FieldError::at("/expected_total", "required", "is required");
        return Err(crate::models::Error::from(missing).into());
    }
    let completed = taking_stock!(
        ctx,
        idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
            let completed = checkouts::Model::complete(txn, &id, expected, &rules).await?;
            let (order, is_new) = match completed {
                Completion::Placed(order) => (order, true),
                Completion::Repeated(order) => (order, false),
            };
            let customer_id = order.order.customer_id;
            let order = match purchase.buyer {
                Buyer::Visitor => Order::from(order).for_visitor(),
                Buyer::Customer(_) | Buyer::Staff => Order::from(order),
            };
            let answer = if is_new {
                Answer::created(location("orders", order.id()), &order)?
            } else {
                Answer::ok(&order)?
            };
            Ok(answer.about_customer(customer_id))
        })
    );
    Ok(not_stored(completed?))
}

/// Cancel a checkout
///
/// What is held is given back.
#[utoipa::path(
    post, path = "/checkouts/{id}/cancel", tag = TAG,
    params(CheckoutPath, IdempotencyKey),
    responses((status = 200, body = Checkout), (status = 409, description = "invalid-transition"))
)]
async fn cancel_checkout(
    caller: Caller,
    State(ctx): State<Context>,
    CheckoutPath(id): CheckoutPath,
    Idempotent(NoBody {}, key): Idempotent<NoBody>,
) -> Result<Response, Problem> {
    let purchase = Purchase::by(&caller, CheckoutsWrite);
    let rules = purchase.rules(&ctx);
    let cancelled = idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let cancelled = checkouts::Model::cancel(txn, &id, &rules).await?;
        answer(cancelled, Answer::ok)
    });
    Ok(not_stored(cancelled?))
}

/// When what the caller has seen was written, if it has to be that still.
async fn seen(
    txn: &Transaction,
    id: &CheckoutId,
    if_match: &IfMatch,
    rules: &Rules<'_>,
) -> Outcome<Option<DateTime<FixedOffset>>> {
    if !if_match.is_given() {
        return Ok(None);
    }
    let shown = checkouts::Model::find(txn, id, rules).await?;
    let updated_at = shown.checkout.updated_at;
    if_match.check(|| Checkout::from(shown))?;
    Ok(Some(updated_at))
}

fn answer(
    checkout: checkouts::Checkout,
    make: impl FnOnce(&Checkout) -> Outcome<Answer>,
) -> Outcome<Answer> {
    let customer_id = checkout.checkout.customer_id;
    Ok(make(&Checkout::from(checkout))?.about_customer(customer_id))
}

/// The answer, which nobody may keep: it changes with every price, and shows a person.
fn not_stored(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

const fn audience(buyer: Buyer) -> Audience {
    match buyer {
        Buyer::Visitor => Audience::Everybody,
        Buyer::Customer(id) => Audience::Customer(id),
        Buyer::Staff => Audience::Administrators,
    }
}

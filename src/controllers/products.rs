//! The catalogue: everybody with a token reads it, administrators write it.

use axum::{extract::State, http::Uri, response::Response};
use utoipa_axum::routes;

use super::{
    Endpoint,
    extract::{
        Account, Admin, Cached, Idempotent, IfMatch, Json, ListOf, Path, Query, cached::Audience,
    },
    location,
};
use crate::{
    context::Context,
    models::{
        idempotency_keys::KeptAnswer,
        listing::{Listing, NoFilter, Paging},
        products::{Adjustment, Changes, Details, Filter, Key, Model},
        queue::{Client, turn_to_search},
        stock_movements,
    },
    once, transaction,
    views::{
        answer::{Changed, NoContent, Representation, created, done},
        page::{Page, PageParameters, SortParameter},
        problem::Problem,
        products::{Product, ProductBody, ProductFilter, ProductPatch, ProductSummary},
        stock_movements::{StockAdjustmentBody, StockMovement},
    },
};

const TAG: &str = "Products";

/// The endpoints of products.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        routes!(list_products, create_product),
        routes!(
            show_product,
            replace_product,
            change_product,
            delete_product
        ),
        routes!(list_stock_movements, adjust_stock),
    ]
}

/// List products
///
/// With the essentials: descriptions are left out.
#[utoipa::path(
    get, path = "/products", tag = TAG,
    params(PageParameters, SortParameter<Key>, ProductFilter),
    responses((status = 200, body = Page<ProductSummary>))
)]
async fn list_products(
    account: Account,
    State(ctx): State<Context>,
    cached: Cached,
    uri: Uri,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Response, Problem> {
    let count = || async { Ok(Model::count(&ctx.db, &listing.filter).await?) };
    let client = Client::Account(account.0.id);
    let page = || async {
        let _turn = turn_to_search(listing.filter.q.as_deref(), client).await?;
        let mut listing = listing.clone();
        if let Paging::Number(_) = listing.paging {
            let topic = listing.filter.topic();
            listing.total_items = Some(cached.total(&listing.filter, topic, count).await?);
        }
        let page = Model::list(&ctx.db, &listing).await?;
        let page = page.map(|product| ProductSummary::new(&product, &ctx.settings.store.currency));
        Ok(Page::new(page, &listing, &uri).representation()?)
    };
    cached.answer(Audience::Everybody, page).await
}

/// Add a product
///
/// Without a stock it is not tracked, and always available. One that is given is written into the ledger.
#[utoipa::path(
    post, path = "/products", tag = TAG, security(("bearer" = ["admin"])), request_body = ProductBody,
    responses((status = 201, body = Product), (status = 409, description = "conflict"))
)]
async fn create_product(
    admin: Admin,
    State(ctx): State<Context>,
    Idempotent {
        body: details,
        once,
    }: Idempotent<Details>,
) -> Result<KeptAnswer, Problem> {
    let claim = once.claim(&ctx, &admin)?;
    let actor = admin.actor();
    let answer = once!(&ctx.on_behalf_of(&admin), claim, |txn| {
        let product = Model::create(txn, &details, &actor).await?;
        created(
            location("products", product.id),
            &Product::new(product, &ctx.settings.store.currency),
            None,
        )
    })?;
    Ok(answer)
}

/// Show a product
///
/// With its description. Products that were taken off sale are not found.
#[utoipa::path(
    get, path = "/products/{id}", tag = TAG,
    params(("id" = i64, Path)),
    responses((status = 200, body = Product))
)]
async fn show_product(
    _: Account,
    State(ctx): State<Context>,
    cached: Cached,
    Path(id): Path,
) -> Result<Response, Problem> {
    let product = || async {
        let product = Model::find(&ctx.db, id).await?;
        Ok(Representation::of(&Product::new(
            product,
            &ctx.settings.store.currency,
        ))?)
    };
    cached.answer(Audience::Everybody, product).await
}

/// Replace a product
///
/// Every field is replaced; one that may be missing and is, is cleared. A new stock is written into
/// the ledger.
#[utoipa::path(
    put, path = "/products/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)), request_body = ProductBody,
    responses((status = 200, body = Product), (status = 409, description = "conflict"))
)]
async fn replace_product(
    admin: Admin,
    State(ctx): State<Context>,
    Path(id): Path,
    if_match: IfMatch,
    Json(details): Json<Details>,
) -> Result<Changed, Problem> {
    let actor = admin.actor();
    let currency = &ctx.settings.store.currency;
    let product = transaction!(&ctx.on_behalf_of(&admin), |txn| {
        let product = Model::find_locked(txn, id).await?;
        if_match.check(|| Product::new(product.clone(), currency))?;
        product.replace(txn, &details, &actor).await
    })?;
    Ok(Changed::to(&Product::new(product, currency))?)
}

/// Change a product
///
/// Only the fields that are sent change (RFC 7396). A new stock is written into the ledger.
#[utoipa::path(
    patch, path = "/products/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)), request_body = ProductPatch,
    responses((status = 200, body = Product), (status = 409, description = "conflict"))
)]
async fn change_product(
    admin: Admin,
    State(ctx): State<Context>,
    Path(id): Path,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Changed, Problem> {
    let actor = admin.actor();
    let currency = &ctx.settings.store.currency;
    let product = transaction!(&ctx.on_behalf_of(&admin), |txn| {
        let product = Model::find_locked(txn, id).await?;
        if_match.check(|| Product::new(product.clone(), currency))?;
        product.change(txn, &changes, &actor).await
    })?;
    Ok(Changed::to(&Product::new(product, currency))?)
}

/// Take a product off sale
///
/// It is not found any more and its SKU is free. Past orders keep what they showed.
#[utoipa::path(
    delete, path = "/products/{id}", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)),
    responses((status = 204))
)]
async fn delete_product(
    admin: Admin,
    State(ctx): State<Context>,
    Path(id): Path,
    if_match: IfMatch,
) -> Result<NoContent, Problem> {
    transaction!(&ctx.on_behalf_of(&admin), |txn| {
        let product = Model::find_locked(txn, id).await?;
        if_match.check(|| Product::new(product.clone(), &ctx.settings.store.currency))?;
        product.archive(txn).await
    })?;
    Ok(NoContent)
}

/// List a product's ledger
///
/// Every change of its stock, the newest first: by orders, cancellations and adjustments.
#[utoipa::path(
    get, path = "/products/{id}/stock", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path), PageParameters, SortParameter<stock_movements::Key>),
    responses((status = 200, body = Page<StockMovement>))
)]
async fn list_stock_movements(
    _: Admin,
    State(ctx): State<Context>,
    cached: Cached,
    ListOf(id): ListOf,
    uri: Uri,
    Query(listing): Query<Listing<NoFilter, stock_movements::Key>>,
) -> Result<Response, Problem> {
    let page = || async {
        Model::find(&ctx.db, id).await?;
        let page = stock_movements::Model::list(&ctx.db, id, &listing).await?;
        Ok(Page::new(page.map(StockMovement::from), &listing, &uri).representation()?)
    };
    cached.answer(Audience::Administrators, page).await
}

/// Change a product's stock
///
/// By a number of pieces, which is negative to take some away. The change is written into the ledger.
#[utoipa::path(
    post, path = "/products/{id}/stock", tag = TAG, security(("bearer" = ["admin"])),
    params(("id" = i64, Path)), request_body = StockAdjustmentBody,
    responses((status = 200, body = Product), (status = 409, description = "conflict, insufficient-stock"))
)]
async fn adjust_stock(
    admin: Admin,
    State(ctx): State<Context>,
    Path(id): Path,
    Idempotent {
        body: adjustment,
        once,
    }: Idempotent<Adjustment>,
) -> Result<KeptAnswer, Problem> {
    let claim = once.claim(&ctx, &admin)?;
    let actor = admin.actor();
    let answer = once!(&ctx.on_behalf_of(&admin), claim, |txn| {
        let product = Model::find_locked(txn, id).await?;
        let product = product.adjust_stock(txn, &adjustment, &actor).await?;
        done(&Product::new(product, &ctx.settings.store.currency), None)
    })?;
    Ok(answer)
}

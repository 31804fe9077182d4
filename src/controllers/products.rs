//! The catalogue: everybody with a credential reads it, administrators and keys write it.

use axum::{extract::State, response::Response};
use utoipa_axum::routes;

use super::{
    Context, Endpoint,
    extract::{
        Cached, Caller, Id, IdempotencyKey, Idempotent, IfMatch, Json, ParentId, Query,
        cached::Audience,
    },
    location,
};
use crate::{
    idempotent,
    models::{
        checkouts::Buyer,
        listing::{Listing, NoFilter},
        products::{self, Adjustment, Changes, Details, Filter, Key},
        stock_movements,
        types::KeyScope,
    },
    taking_stock, transaction,
    views::{
        answer::{Answer, CachedBody},
        page::Page,
        problem::Problem,
        products::{Product, ProductSummary},
        stock_movements::StockMovement,
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
    params(Listing<Filter, Key>, Cached),
    responses((status = 200, body = Page<ProductSummary>))
)]
async fn list_products(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Response, Problem> {
    let currency = &ctx.settings.store.currency;
    let fetch = async |listing| {
        let page = products::Summary::list(&ctx.db, &listing).await?;
        Ok(page.map(|product| ProductSummary::new(product, currency)))
    };
    let count = async |filter| products::Model::count(&ctx.db, &filter).await;
    cached
        .page(Audience::Everybody, listing, fetch, count)
        .await
}

/// Add a product
///
/// Without a stock it is not tracked, and always available. One that is given is written into the ledger.
#[utoipa::path(
    post, path = "/products", tag = TAG, params(IdempotencyKey), request_body = Details,
    responses((status = 201, body = Product), (status = 409, description = "conflict"))
)]
async fn create_product(
    caller: Caller,
    State(ctx): State<Context>,
    Idempotent(details, key): Idempotent<Details>,
) -> Result<Answer, Problem> {
    idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
        let product = products::Model::create(txn, &details, &caller.actor()).await?;
        let location = location("products", product.id);
        Answer::created(
            location,
            &Product::new(product, &ctx.settings.store.currency),
        )
    })
}

/// Show a product
///
/// With its description. Products that were taken off sale are not found.
#[utoipa::path(
    get, path = "/products/{id}", tag = TAG,
    params(Id, Cached),
    responses((status = 200, body = Product))
)]
async fn show_product(
    _: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    Id(id): Id,
) -> Result<Response, Problem> {
    let product = || async {
        let product = products::Model::find(&ctx.db, id).await?;
        Ok(CachedBody::of(&Product::new(
            product,
            &ctx.settings.store.currency,
        ))?)
    };
    cached.answer(Audience::Everybody, product).await
}

/// Replace a product
///
/// Every field is replaced; one that may be missing and is, is cleared, except the stock: it stays as it is.
/// A new stock is written into the ledger.
#[utoipa::path(
    put, path = "/products/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Details,
    responses((status = 200, body = Product), (status = 409, description = "conflict"))
)]
async fn replace_product(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(details): Json<Details>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &details.into()).await
}

/// Change a product
///
/// Only the fields that are sent change (RFC 7396). A new stock is written into the ledger.
#[utoipa::path(
    patch, path = "/products/{id}", tag = TAG,
    params(Id, IfMatch), request_body = Changes,
    responses((status = 200, body = Product), (status = 409, description = "conflict"))
)]
async fn change_product(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
    Json(changes): Json<Changes>,
) -> Result<Answer, Problem> {
    change(&ctx, &caller, id, &if_match, &changes).await
}

/// Take a product off sale
///
/// It is not found any more and its SKU is free. Past orders keep what they showed.
#[utoipa::path(
    delete, path = "/products/{id}", tag = TAG,
    params(Id, IfMatch),
    responses((status = 204))
)]
async fn delete_product(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    transaction!(&ctx.on_behalf_of(&caller), |txn| {
        let product = products::Model::find_locked(txn, id).await?;
        if_match.check(|| Product::new(product.clone(), &ctx.settings.store.currency))?;
        product.archive(txn).await
    })?;
    Ok(Answer::no_content())
}

/// List a product's ledger
///
/// Every change of its stock, the newest first: by orders, cancellations, adjustments and holds.
#[utoipa::path(
    get, path = "/products/{id}/stock", tag = TAG,
    params(Id, Listing<NoFilter, stock_movements::Key>, Cached),
    responses((status = 200, body = Page<StockMovement>))
)]
async fn list_stock_movements(
    caller: Caller,
    State(ctx): State<Context>,
    cached: Cached,
    ParentId(id): ParentId,
    Query(listing): Query<Listing<NoFilter, stock_movements::Key>>,
) -> Result<Response, Problem> {
    let reads_checkouts = caller.buyer(KeyScope::CheckoutsRead) == Buyer::Staff;
    let fetch = async |listing| {
        products::Model::find(&ctx.db, id).await?;
        let page = stock_movements::Model::list(&ctx.db, id, &listing).await?;
        let page = page.map(StockMovement::from);
        Ok(if reads_checkouts {
            page
        } else {
            page.map(StockMovement::without_checkout)
        })
    };
    let count = async |NoFilter {}| cached.count(&stock_movements::Model::growing(id)).await;
    // What all may be shown who may read a ledger is kept apart from what shows checkouts.
    let audience = if reads_checkouts {
        Audience::Administrators
    } else {
        Audience::Everybody
    };
    cached.page(audience, listing, fetch, count).await
}

/// Change a product's stock
///
/// By a number of pieces, which is negative to take some away. The change is written into the ledger.
#[utoipa::path(
    post, path = "/products/{id}/stock", tag = TAG,
    params(Id, IdempotencyKey), request_body = Adjustment,
    responses((status = 200, body = Product), (status = 409, description = "conflict, insufficient-stock"))
)]
async fn adjust_stock(
    caller: Caller,
    State(ctx): State<Context>,
    Id(id): Id,
    Idempotent(adjustment, key): Idempotent<Adjustment>,
) -> Result<Answer, Problem> {
    taking_stock!(
        ctx,
        idempotent!(&ctx.on_behalf_of(&caller), key, |txn| {
            let product = products::Model::find_locked(txn, id).await?;
            let product = product
                .adjust_stock(txn, &adjustment, &caller.actor())
                .await?;
            Answer::ok(&Product::new(product, &ctx.settings.store.currency))
        })
    )
}

async fn change(
    ctx: &Context,
    caller: &Caller,
    id: i64,
    if_match: &IfMatch,
    changes: &Changes,
) -> Result<Answer, Problem> {
    let currency = &ctx.settings.store.currency;
    let product = transaction!(&ctx.on_behalf_of(caller), |txn| {
        let product = products::Model::find_locked(txn, id).await?;
        if_match.check(|| Product::new(product.clone(), currency))?;
        product.change(txn, changes, &caller.actor()).await
    })?;
    Ok(Answer::ok(&Product::new(product, currency))?)
}

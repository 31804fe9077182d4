//! The catalogue: everybody with a token reads it, administrators write it.

use axum::{Json as Answer, extract::State, http::Uri};
use loco_rs::app::AppContext;
use utoipa_axum::routes;

use super::{
    Endpoint,
    extract::{Account, Admin, Idempotent, Json, ListOf, Path, Query},
    location,
};
use crate::{
    models::{
        idempotency_keys::KeptAnswer,
        listing::{Listing, NoFilter},
        products::{Adjustment, Changes, Details, Filter, Key, Model},
        stock_movements,
    },
    once,
    settings::Settings,
    transaction,
    views::{
        answer::{NoContent, created, done},
        page::{Page, PageParameters},
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
#[utoipa::path(get, path = "/products", tag = TAG, params(PageParameters, ProductFilter),
    responses((status = 200, body = Page<ProductSummary>)))]
async fn list_products(
    _: Account,
    State(ctx): State<AppContext>,
    uri: Uri,
    Query(listing): Query<Listing<Filter, Key>>,
) -> Result<Page<ProductSummary>, Problem> {
    let settings = Settings::of(&ctx)?;
    let page = Model::list(&ctx.db, &listing).await?;
    let page = page.map(|product| ProductSummary::new(&product, &settings.store.currency));
    Ok(Page::new(page, &listing, &uri))
}

/// Add a product
#[utoipa::path(post, path = "/products", tag = TAG, request_body = ProductBody,
    responses((status = 201, body = Product)))]
async fn create_product(
    admin: Admin,
    State(ctx): State<AppContext>,
    Idempotent {
        body: details,
        once,
    }: Idempotent<Details>,
) -> Result<KeptAnswer, Problem> {
    let claim = once.claim(&ctx, admin.0.id)?;
    let (settings, actor) = (Settings::of(&ctx)?, admin.actor());
    let answer = once!(&ctx.db, claim, |txn| {
        let product = Model::create(txn, &details, &actor).await?;
        created(
            location("products", product.id),
            &Product::new(product, &settings.store.currency),
        )
    })?;
    Ok(answer)
}

/// Show a product
#[utoipa::path(get, path = "/products/{id}", tag = TAG, params(("id" = i64, Path)),
    responses((status = 200, body = Product)))]
async fn show_product(
    _: Account,
    State(ctx): State<AppContext>,
    Path(id): Path,
) -> Result<Answer<Product>, Problem> {
    Ok(Answer(shown(&ctx, Model::find(&ctx.db, id).await?)?))
}

/// Replace a product
///
/// Every field is replaced; one that may be missing and is, is cleared. A new stock is written into
/// the ledger.
#[utoipa::path(put, path = "/products/{id}", tag = TAG, params(("id" = i64, Path)), request_body = ProductBody,
    responses((status = 200, body = Product)))]
async fn replace_product(
    admin: Admin,
    State(ctx): State<AppContext>,
    Path(id): Path,
    Json(details): Json<Details>,
) -> Result<Answer<Product>, Problem> {
    let actor = admin.actor();
    let product = transaction!(&ctx.db, |txn| Model::find_locked(txn, id)
        .await?
        .replace(txn, &details, &actor)
        .await)?;
    Ok(Answer(shown(&ctx, product)?))
}

/// Change a product
///
/// Only the fields that are sent change (RFC 7396). A new stock is written into the ledger.
#[utoipa::path(patch, path = "/products/{id}", tag = TAG, params(("id" = i64, Path)), request_body = ProductPatch,
    responses((status = 200, body = Product)))]
async fn change_product(
    admin: Admin,
    State(ctx): State<AppContext>,
    Path(id): Path,
    Json(changes): Json<Changes>,
) -> Result<Answer<Product>, Problem> {
    let actor = admin.actor();
    let product = transaction!(&ctx.db, |txn| Model::find_locked(txn, id)
        .await?
        .change(txn, &changes, &actor)
        .await)?;
    Ok(Answer(shown(&ctx, product)?))
}

/// Take a product off sale
///
/// It is not found any more and its SKU is free. Past orders keep what they showed.
#[utoipa::path(delete, path = "/products/{id}", tag = TAG, params(("id" = i64, Path)), responses((status = 204)))]
async fn delete_product(
    _: Admin,
    State(ctx): State<AppContext>,
    Path(id): Path,
) -> Result<NoContent, Problem> {
    transaction!(&ctx.db, |txn| Model::find_locked(txn, id)
        .await?
        .archive(txn)
        .await)?;
    Ok(NoContent)
}

/// List a product's ledger
///
/// Every change of its stock, the newest first: by orders, cancellations and adjustments.
#[utoipa::path(get, path = "/products/{id}/stock", tag = TAG, params(("id" = i64, Path), PageParameters),
    responses((status = 200, body = Page<StockMovement>)))]
async fn list_stock_movements(
    _: Admin,
    State(ctx): State<AppContext>,
    ListOf(id): ListOf,
    uri: Uri,
    Query(listing): Query<Listing<NoFilter, stock_movements::Key>>,
) -> Result<Page<StockMovement>, Problem> {
    Model::find(&ctx.db, id).await?;
    let page = stock_movements::Model::list(&ctx.db, id, &listing).await?;
    Ok(Page::new(page.map(StockMovement::from), &listing, &uri))
}

/// Change a product's stock
///
/// By a number of pieces, which is negative to take some away. The change is written into the ledger.
#[utoipa::path(post, path = "/products/{id}/stock", tag = TAG, params(("id" = i64, Path)),
    request_body = StockAdjustmentBody, responses((status = 200, body = Product)))]
async fn adjust_stock(
    admin: Admin,
    State(ctx): State<AppContext>,
    Path(id): Path,
    Idempotent {
        body: adjustment,
        once,
    }: Idempotent<Adjustment>,
) -> Result<KeptAnswer, Problem> {
    let claim = once.claim(&ctx, admin.0.id)?;
    let (settings, actor) = (Settings::of(&ctx)?, admin.actor());
    let answer = once!(&ctx.db, claim, |txn| {
        let product = Model::find_locked(txn, id).await?;
        let product = product.adjust_stock(txn, &adjustment, &actor).await?;
        done(&Product::new(product, &settings.store.currency))
    })?;
    Ok(answer)
}

fn shown(ctx: &AppContext, product: Model) -> Result<Product, Problem> {
    Ok(Product::new(product, &Settings::of(ctx)?.store.currency))
}

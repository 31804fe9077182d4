//! `products:export`: writes the catalogue, as CSV as `products:import` reads it or as JSON.

use std::sync::Arc;

use async_trait::async_trait;
use loco_rs::{
    Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::{
    begin,
    export::{Source, export},
};
use crate::{
    models::{
        listing::{Listing, Page, SortKey},
        products::{Filter, Key, Model},
    },
    settings::Settings,
    views::{
        csv::{product_columns, product_rows},
        products::Product,
    },
};

/// Writes the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct ProductsExport;

#[async_trait]
impl Task for ProductsExport {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "products:export".to_owned(),
            detail: "Writes all products as CSV, as products:import reads them. [file:PATH, otherwise to \
                     standard output] [format:ndjson, one JSON object a line, as the API shows a product]. In CSV, \
                     a text that a spreadsheet would take for a formula begins with an apostrophe, which \
                     products:import takes away."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["file", "format"]).await?;
        let products = Products {
            ctx,
            settings: Settings::of(ctx)?,
        };
        export(vars, &products, Filter::default(), Key::DEFAULT).await
    }
}

struct Products<'a> {
    ctx: &'a AppContext,
    settings: Arc<Settings>,
}

impl Source for Products<'_> {
    type Item = Product;
    type Filter = Filter;
    type Key = Key;

    const NAME: &'static str = "product";

    fn columns() -> Vec<&'static str> {
        product_columns()
    }

    fn rows(product: &Product) -> Result<Vec<Vec<String>>> {
        Ok(product_rows(product)?)
    }

    async fn page(&self, listing: &Listing<Filter, Key>) -> Result<Page<Product>> {
        let page = Model::list(&self.ctx.db, listing).await?;
        Ok(page.map(|product| Product::new(product, &self.settings.store.currency)))
    }
}

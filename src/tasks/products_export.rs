//! `products:export`: writes the catalogue as CSV, as `products:import` reads it.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use async_trait::async_trait;
use indicatif::ProgressBar;
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::begin;
use crate::{
    models::{
        listing::{Listing, Paging, Place, Sort},
        products::{Filter, Key, Model},
    },
    views::rows::ProductRow,
};

/// How many products are read at once.
const BATCH: u64 = 1_000;

/// Writes the catalogue as CSV.
#[derive(Clone, Copy, Debug)]
pub struct ProductsExport;

#[async_trait]
impl Task for ProductsExport {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "products:export".to_owned(),
            detail: "Writes all products as CSV, as products:import reads them. [file:PATH, otherwise to \
                     standard output]."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["file"]).await?;
        let Some(path) = vars.cli.get("file").map(Path::new) else {
            write_products(ctx, io::stdout()).await?;
            return Ok(());
        };
        // Under another name until it is whole: nobody finds half a catalogue.
        let partial = path.with_extension("partial");
        let written = write_file(ctx, &partial, path).await;
        if written.is_err() {
            // There may be none, and the error that counts is the other one.
            drop(fs::remove_file(&partial));
        }
        let written = written?;
        println!("{written} products written to {}.", path.display());
        Ok(())
    }
}

async fn write_file(ctx: &AppContext, partial: &Path, path: &Path) -> Result<u64> {
    let written = write_products(ctx, BufWriter::new(File::create(partial)?)).await?;
    fs::rename(partial, path)?;
    Ok(written)
}

async fn write_products(ctx: &AppContext, target: impl Write + Send) -> Result<u64> {
    let progress = ProgressBar::new_spinner();
    // By itself the writer names the columns with the first row: an empty catalogue has none.
    let mut table = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(target);
    table
        .write_record(ProductRow::COLUMNS)
        .map_err(Error::wrap)?;
    let mut listing = Listing {
        filter: Filter::default(),
        sort: Sort {
            key: Key::Id,
            descending: false,
        },
        paging: Paging::After(None),
        page_size: BATCH,
        total_items: None,
    };
    let mut written = 0;
    loop {
        let page = Model::list(&ctx.db, &listing).await?;
        for product in page.items {
            table
                .serialize(ProductRow::from(product))
                .map_err(Error::wrap)?;
            written += 1;
        }
        progress.set_message(format!("{written} products"));
        progress.tick();
        match page.place {
            Place::Walk { next: Some(next) } => listing.paging = Paging::After(Some(next)),
            _ => break,
        }
    }
    table.flush()?;
    progress.finish_and_clear();
    Ok(written)
}

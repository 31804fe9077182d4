//! `products:export`: writes the catalogue as CSV, as `products:import` reads it.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use indicatif::ProgressBar;
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::{begin, counted};
use crate::{
    models::{
        listing::{Listing, PageInfo, Paging, SortKey},
        products::{Filter, Key, Model},
    },
    views::csv::{product_cells, product_columns},
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
                     standard output]. A text that a spreadsheet would take for a formula begins with an \
                     apostrophe, which products:import takes away."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["file"]).await?;
        let Some(path) = vars.cli.get("file").map(Path::new) else {
            write_products(ctx, Path::new("standard output"), &mut io::stdout()).await?;
            return Ok(());
        };
        let written = write_file(ctx, path).await?;
        // The table itself may go to standard output: file:/dev/stdout.
        let products = counted(written, "product");
        eprintln!("{products} written to {}.", path.display());
        Ok(())
    }
}

/// Writes a file, under another name until it is whole, so that there is never half a catalogue. What is no
/// file, a pipe or a device, is written into.
async fn write_file(ctx: &AppContext, path: &Path) -> Result<u64> {
    let named = |error: io::Error| named(path, &error);
    let target = resolved(path).map_err(named)?;
    let older = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        older => Some(older.map_err(named)?),
    };
    if older.as_ref().is_some_and(|older| !older.is_file()) {
        let mut target = File::options().write(true).open(path).map_err(named)?;
        return write_products(ctx, path, &mut target).await;
    }
    let directory = target.parent().unwrap_or_else(|| Path::new(""));
    let mut partial = tempfile::Builder::new();
    let partial = partial.permissions(Permissions::from_mode(0o666));
    let mut partial = partial.tempfile_in(directory).map_err(named)?;
    if let Some(older) = older {
        let file = partial.as_file();
        // Only root may give a file away; any other's export becomes its own.
        let _ = fchown(file, Some(older.uid()), Some(older.gid()));
        file.set_permissions(older.permissions()).map_err(named)?;
    }
    let written = write_products(ctx, path, partial.as_file_mut()).await?;
    partial.as_file().sync_all().map_err(named)?;
    let persisted = partial.persist(target);
    persisted.map_err(|error| named(error.error))?;
    Ok(written)
}

/// What a path leads to through all links, of which the last may lead to nothing yet.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(target) => resolved(&path.with_file_name("").join(target)),
            Err(_) => Ok(path.to_owned()),
        },
        resolved => resolved,
    }
}

fn named(path: &Path, error: &io::Error) -> Error {
    Error::Message(format!("{}: {error}", path.display()))
}

async fn write_products(
    ctx: &AppContext,
    path: &Path,
    target: &mut (impl Write + Send),
) -> Result<u64> {
    let named = |error: csv::Error| named(path, &error.into());
    let progress = ProgressBar::new_spinner();
    // By itself the writer names the columns with the first row: an empty catalogue has none.
    let mut table = csv::WriterBuilder::new();
    let mut table = table.has_headers(false).from_writer(target);
    table.write_record(product_columns()).map_err(named)?;
    let mut listing = Listing {
        paging: Paging::After(None),
        page_size: BATCH,
        ..Listing::new(Filter::default(), Key::DEFAULT)
    };
    let mut written = 0;
    loop {
        let page = Model::list(&ctx.db, &listing).await?;
        for product in page.items {
            table.write_record(product_cells(product)?).map_err(named)?;
            written += 1;
        }
        progress.set_message(counted(written, "product"));
        progress.tick();
        match page.info {
            PageInfo::Cursor { next: Some(next) } => listing.paging = Paging::After(Some(next)),
            _ => break,
        }
    }
    table.flush().map_err(|error| named(error.into()))?;
    progress.finish_and_clear();
    Ok(written)
}

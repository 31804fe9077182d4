//! `products:import`: adds and changes products from a CSV file, however large.

use std::{
    collections::BTreeSet,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use indicatif::{ProgressBar, ProgressBarIter, ProgressStyle};
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::begin;
use crate::{
    models::{
        Actor,
        products::{Imported, Model, Row},
    },
    transaction,
    views::rows::Rows,
};

/// How many rows go to the database at once: few statements, and no lock held for long.
const BATCH: usize = 500;

/// Adds and changes products from a CSV file.
#[derive(Clone, Copy, Debug)]
pub struct ProductsImport;

#[async_trait]
impl Task for ProductsImport {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "products:import".to_owned(),
            detail: "Adds products from a CSV file, and changes those whose SKU is known. file:PATH \
                     [atomic:true to import all rows or none]. Columns: sku, name, price, and if wanted \
                     description and stock (empty: not tracked)."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["file", "atomic"]).await?;
        let file = PathBuf::from(
            vars.cli_arg("file")
                .map_err(|_| Error::string("file:PATH is required"))?,
        );
        let atomic = match vars.cli.get("atomic").map(String::as_str) {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                return Err(Error::Message(format!(
                    "atomic:{other} is neither true nor false"
                )));
            }
        };
        let (imported, refused) = if atomic {
            all_or_none(ctx, &file).await?
        } else {
            row_by_row(ctx, &file).await?
        };
        println!(
            "{} products added, {} changed, {} the same already.",
            imported.added, imported.changed, imported.unchanged
        );
        match refused {
            0 => Ok(()),
            _ if atomic => Err(Error::Message(format!(
                "{refused} rows were refused: nothing was imported"
            ))),
            _ => Err(Error::Message(format!(
                "{refused} rows were refused, all others were imported"
            ))),
        }
    }
}

/// Imports every row that is good. What is imported stays, whatever comes after it.
async fn row_by_row(ctx: &AppContext, file: &Path) -> Result<(Imported, u64)> {
    let mut batches = Batches::open(file)?;
    let mut imported = Imported::default();
    while let Some(rows) = batches.next() {
        imported += transaction!(ctx, |txn| Model::import(txn, &rows, &Actor::system()).await)?;
    }
    Ok((imported, batches.done()))
}

/// Reads the whole file first, and imports it in one transaction when every row is good.
async fn all_or_none(ctx: &AppContext, file: &Path) -> Result<(Imported, u64)> {
    let mut trial = Batches::open(file)?;
    while trial.next().is_some() {}
    let refused = trial.done();
    if refused > 0 {
        return Ok((Imported::default(), refused));
    }
    let imported = transaction!(ctx, |txn| {
        let mut batches = Batches::open(file)?;
        let mut imported = Imported::default();
        while let Some(rows) = batches.next() {
            imported += Model::import(txn, &rows, &Actor::system()).await?;
        }
        // Somebody may have changed the file since it was read first.
        match batches.done() {
            0 => Ok(imported),
            _ => Err(Error::string("the file changed while it was read").into()),
        }
    })?;
    Ok((imported, 0))
}

/// A file's good rows, some at a time; the others are reported as they are met.
struct Batches {
    rows: Rows<BufReader<ProgressBarIter<File>>, Row>,
    /// A row whose SKU the last batch had already: in a batch each product stands once.
    held_back: Option<Row>,
    refused: u64,
    progress: ProgressBar,
}

impl Batches {
    fn open(path: &Path) -> Result<Self> {
        let unreadable =
            |error: std::io::Error| Error::Message(format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        // It draws on a terminal only.
        let progress = ProgressBar::new(size).with_style(
            ProgressStyle::with_template(
                "{bar:40} {percent}% {bytes} of {total_bytes}, {eta} left",
            )
            .map_err(Error::wrap)?,
        );
        let rows = Rows::new(BufReader::new(progress.wrap_read(file)))
            .map_err(|refused| Error::Message(format!("{}: {refused}", path.display())))?;
        Ok(Self {
            rows,
            held_back: None,
            refused: 0,
            progress,
        })
    }

    fn next(&mut self) -> Option<Vec<Row>> {
        let mut batch: Vec<_> = self.held_back.take().into_iter().collect();
        let mut skus: BTreeSet<_> = batch
            .iter()
            .map(|row| row.sku.as_str().to_owned())
            .collect();
        while batch.len() < BATCH {
            match self.rows.next() {
                None => break,
                Some(Err(refused)) => {
                    self.refused += 1;
                    self.progress.suspend(|| eprintln!("{refused}"));
                }
                Some(Ok(row)) if !skus.insert(row.sku.as_str().to_owned()) => {
                    self.held_back = Some(row);
                    break;
                }
                Some(Ok(row)) => batch.push(row),
            }
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// How many rows were refused.
    fn done(self) -> u64 {
        self.progress.finish_and_clear();
        self.refused
    }
}

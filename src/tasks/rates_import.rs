//! `rates:import`: adds and changes tax rates and shipping rates from CSV files, all of them or none.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};
use tokio::task::spawn_blocking;

use super::{
    begin,
    import::{Report, nothing_if, refused},
    named,
};
use crate::{
    context::Context,
    models::{self, Actor, imported::Imported, input::Input, shipping_rates, tax_rates},
    transaction,
    views::csv::{Rows, columns, records::RowError},
};

const NAME: &str = "rates:import";

/// Adds and changes tax rates and shipping rates from CSV files.
#[derive(Clone, Copy, Debug)]
pub struct RatesImport;

#[async_trait]
impl Task for RatesImport {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: NAME.to_owned(),
            detail: format!(
                "Adds tax rates and shipping rates from CSV files, and changes those that are known: all rows or none. \
                 [tax:PATH] [shipping:PATH]. Columns of tax rates, which are known by country, region and class: {}. \
                 Columns of shipping rates, which are known by their name: {}; blanks separate countries. What has no \
                 column stays.",
                columns::<tax_rates::Changes>().join(", "),
                columns::<shipping_rates::Changes>().join(", ")
            ),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["tax", "shipping"]).await?;
        let (tax, shipping) = (vars.cli.get("tax"), vars.cli.get("shipping"));
        if tax.or(shipping).is_none() {
            return Err(Error::string("tax:PATH or shipping:PATH is required"));
        }
        let mut tax = Table::<tax_rates::Changes>::read(tax, "tax rate").await?;
        let mut shipping =
            Table::<shipping_rates::Changes>::read(shipping, "shipping rate").await?;
        let done = all_or_none(ctx, &mut tax, &mut shipping).await;
        tax.print_report();
        shipping.print_report();
        done
    }
}

async fn all_or_none(
    ctx: &AppContext,
    tax: &mut Table<tax_rates::Changes>,
    shipping: &mut Table<shipping_rates::Changes>,
) -> Result<()> {
    nothing_if(tax.report.refused + shipping.report.refused)?;
    let store = Context::of(ctx)?.caused_by(Actor::task(NAME));
    let mut imported = (Imported::default(), Imported::default());
    let done = transaction!(&store, |txn| {
        // Those of taxes first: a shipping rate may have the class of a new one.
        imported = (
            tax_rates::Model::import(txn, &tax.rows).await?,
            shipping_rates::Model::import(txn, &shipping.rows).await?,
        );
        let refused = imported.0.refused.len() + imported.1.refused.len();
        Ok(nothing_if(refused as u64)?)
    });
    tax.conclude(&imported.0, &done);
    shipping.conclude(&imported.1, &done);
    Ok(done?)
}

/// The rows of a file, and what has become of them.
struct Table<T> {
    path: Option<PathBuf>,
    lines: Vec<u64>,
    rows: Vec<T>,
    report: Report,
}

impl<T: Input + Send + 'static> Table<T> {
    /// Reads a file, if one is named. Rows that break rules are refused.
    async fn read(path: Option<&String>, thing: &'static str) -> Result<Self> {
        let mut table = Self {
            path: path.map(PathBuf::from),
            lines: Vec::new(),
            rows: Vec::new(),
            report: Report::of(thing),
        };
        let Some(path) = table.path.clone() else {
            return Ok(table);
        };
        // On a thread of its own, so that a signal ends a task that waits for a pipe.
        let read = move || {
            let file = File::open(&path).map_err(|error| named(&path, error))?;
            let rows = Rows::<_, T>::new(BufReader::new(file));
            let rows = rows.map_err(|refused| named(&path, refused))?;
            Ok::<Vec<_>, Error>(rows.collect())
        };
        for row in spawn_blocking(read).await.map_err(Error::wrap)?? {
            table.report.rows += 1;
            match row {
                Ok((line, row)) => {
                    table.lines.push(line);
                    table.rows.push(row);
                }
                Err(refused) => table.refuse(&refused),
            }
        }
        Ok(table)
    }

    /// Notes what the store has made of the rows.
    fn conclude(&mut self, imported: &Imported, done: &models::Result<()>) {
        for refused in refused(imported, &self.lines) {
            self.refuse(&refused);
        }
        match done {
            Ok(()) => self.report.add(imported),
            Err(models::Error::OutcomeUnknown(_)) => self.report.unknown = self.report.rows,
            Err(_) => {}
        }
    }

    fn refuse(&mut self, refused: &RowError) {
        self.report.refused += 1;
        let path = self.path.as_deref().unwrap_or_else(|| Path::new(""));
        eprintln!("{}: {refused}", path.display());
    }

    fn print_report(&self) {
        if self.path.is_some() {
            println!("{}", self.report);
        }
    }
}

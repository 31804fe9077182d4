//! `products:import`: adds and changes products from a CSV file, however large.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::BufReader,
    path::Path,
    pin::{Pin, pin},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use indicatif::{ProgressBar, ProgressBarIter, ProgressStyle};
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};
use tokio::{select, sync::mpsc, time::timeout};

use super::{
    begin,
    import::{Report, nothing_if, refused, were},
    named,
};
use crate::{
    context::{CausedBy, Context},
    models::{
        self, Actor,
        products::{Model, Row},
        transaction::Database,
    },
    signals, transaction,
    views::csv::{Rows, product_columns, records::RowError},
};

const NAME: &str = "products:import";

/// How many rows go to the database at once: few statements, and no lock held for long.
const BATCH: usize = 500;

/// How long an import that is broken off counts what is left of its file, which may be a pipe without end.
const COUNTING: Duration = Duration::from_secs(2);

/// Adds and changes products from a CSV file.
#[derive(Clone, Copy, Debug)]
pub struct ProductsImport;

#[async_trait]
impl Task for ProductsImport {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: NAME.to_owned(),
            detail: format!(
                "Adds products from a CSV file, and changes those whose SKU is known. file:PATH [atomic:true to \
                 import all rows or none]. Columns: {}. A new product needs a name and a price; of others, what has \
                 no column stays. An empty stock is not tracked. The id, as products:export writes it, says which \
                 product a row without a SKU is.",
                product_columns().join(", ")
            ),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["file", "atomic"]).await?;
        let file = vars.cli.get("file").map(Path::new);
        let file = file.ok_or_else(|| Error::string("file:PATH is required"))?;
        let atomic = vars.cli.get("atomic").map_or("false", String::as_str);
        let atomic = atomic
            .parse()
            .map_err(|_| Error::Message(format!("atomic:{atomic} is neither true nor false")))?;
        let stop = pin!(signals::asked_to_end());
        let store = Context::of(ctx)?.caused_by(Actor::task(NAME));
        let mut report = Report::of("row");
        let done = if atomic {
            all_or_none(&store, file, stop, &mut report).await
        } else {
            row_by_row(&store, file, stop, &mut report).await
        };
        if done.is_ok() || report.rows > 0 {
            println!("{report}");
        }
        done
    }
}

/// Imports every row that is good. What is imported stays, whatever comes after it.
async fn row_by_row(
    store: &CausedBy,
    file: &Path,
    mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    report: &mut Report,
) -> Result<()> {
    let mut table = Table::read(file)?;
    let done = async {
        loop {
            let batch = table.batch(stop.as_mut(), report).await?;
            if batch.rows.is_empty() {
                return Ok::<_, Error>(());
            }
            let imported = transaction!(store, |txn| {
                Model::import(txn, &batch.rows, &Actor::system()).await
            });
            if matches!(imported, Err(models::Error::OutcomeUnknown(_))) {
                report.unknown = batch.rows.len() as u64;
            }
            let imported = imported?;
            for refused in refused(&imported, &batch.lines) {
                report.refuse(&refused, &table.progress);
            }
            report.add(&imported);
        }
    }
    .await;
    if done.is_err() {
        table.count_rest(report).await;
    }
    table.progress.finish_and_clear();
    match report.refused {
        0 => done,
        refused => {
            let refused = format!("{} refused, all others were imported", were(refused));
            done.and(Err(Error::Message(refused)))
        }
    }
}

/// Reads the whole file first, and imports it in one transaction when every row is good.
async fn all_or_none(
    store: &CausedBy,
    file: &Path,
    mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    report: &mut Report,
) -> Result<()> {
    if fs::metadata(file).is_ok_and(|file| !file.is_file()) {
        let why = "atomic:true reads the file twice, which only a regular file allows";
        return Err(named(file, why));
    }
    let mut trial = Table::read(file)?;
    let read = async {
        while !trial.batch(stop.as_mut(), report).await?.rows.is_empty() {}
        Ok::<_, Error>(())
    }
    .await;
    if read.is_err() {
        trial.count_rest(report).await;
    }
    trial.progress.finish_and_clear();
    read?;
    nothing_if(report.refused)?;
    let mut bad_rows = Vec::new();
    let imported = transaction!(store, |txn| {
        bad_rows.clear();
        let mut table = Table::read(file)?;
        let mut again = Report::of("row");
        loop {
            let batch = table.batch(stop.as_mut(), &mut again).await?;
            if batch.rows.is_empty() {
                break;
            }
            let imported = Model::import(txn, &batch.rows, &Actor::system()).await?;
            store.record(txn).await?;
            bad_rows.extend(refused(&imported, &batch.lines));
            again.add(&imported);
        }
        table.progress.finish_and_clear();
        // Another program may have changed the file since it was read first.
        if (again.rows, again.refused) != (report.rows, 0) {
            Err(Error::string("the file changed while it was read"))?;
        }
        nothing_if(bad_rows.len() as u64)?;
        Ok(again)
    });
    for row in &bad_rows {
        report.refuse(row, &ProgressBar::hidden());
    }
    if matches!(imported, Err(models::Error::OutcomeUnknown(_))) {
        report.unknown = report.rows;
    }
    *report = imported?;
    Ok(())
}

/// Rows that go to the database together, and their lines.
#[derive(Default)]
struct Batch {
    lines: Vec<u64>,
    rows: Vec<Row>,
}

/// The rows of a file. A thread of its own reads them, because a pipe may keep it waiting.
struct Table {
    rows: mpsc::Receiver<Result<Result<(u64, Row), RowError>>>,
    progress: ProgressBar,
}

impl Table {
    fn read(path: &Path) -> Result<Self> {
        // It draws on a terminal only.
        let style = "{bar:40} {percent}% {bytes} of {total_bytes}, {eta} left";
        let style = ProgressStyle::with_template(style).map_err(Error::wrap)?;
        let progress = ProgressBar::no_length().with_style(style);
        let (sender, rows) = mpsc::channel(BATCH);
        let (path, bar) = (path.to_owned(), progress.clone());
        thread::spawn(move || match open(&path, &bar) {
            Ok(rows) => {
                let mut seen = Seen::default();
                for row in rows {
                    let row = row.and_then(|(line, row)| seen.once(line, row));
                    if sender.blocking_send(Ok(row)).is_err() {
                        break;
                    }
                }
            }
            // When the import is over already, there is no one to tell.
            Err(error) => drop(sender.blocking_send(Err(error))),
        });
        Ok(Self { rows, progress })
    }

    /// The next good rows; none when the file is at its end. Others are reported as they are met.
    async fn batch(
        &mut self,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        report: &mut Report,
    ) -> Result<Batch> {
        let mut batch = Batch::default();
        while batch.rows.len() < BATCH {
            let row = select! {
                biased;
                () = stop.as_mut() => return Err(Error::string("the import was interrupted")),
                row = self.rows.recv() => row,
            };
            let Some(row) = row.transpose()? else {
                break;
            };
            report.rows += 1;
            match row {
                Ok((line, row)) => {
                    batch.lines.push(line);
                    batch.rows.push(row);
                }
                Err(refused) => report.refuse(&refused, &self.progress),
            }
        }
        Ok(batch)
    }

    /// Counts the rows that are left, for a while.
    async fn count_rest(&mut self, report: &mut Report) {
        let count = async {
            while let Some(Ok(_)) = self.rows.recv().await {
                report.rows += 1;
            }
        };
        let counted = timeout(COUNTING, count).await;
        report.has_more = counted.is_err();
    }
}

fn open(
    path: &Path,
    progress: &ProgressBar,
) -> Result<Rows<BufReader<ProgressBarIter<File>>, Row>> {
    let file = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (length, file) = file.map_err(|error| named(path, error))?;
    progress.set_length(length);
    let rows = Rows::new(BufReader::new(progress.wrap_read(file)));
    rows.map_err(|refused| named(path, refused))
}

/// On which line each product stood first. Hashes make do with 16 bytes each; that two of a million products
/// have the same one happens once in 37 million files.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    lines: HashMap<u64, u64>,
}

impl Seen {
    /// The row, unless an earlier one says the same of which product it is.
    fn once(&mut self, line: u64, row: Row) -> Result<(u64, Row), RowError> {
        for identity in row.identities() {
            match self.lines.entry(self.hasher.hash_one(identity.key())) {
                Entry::Vacant(place) => {
                    place.insert(line);
                }
                Entry::Occupied(first) => {
                    let reason = format!("{identity} stands on line {} already", first.get());
                    return Err(RowError::at(line, reason));
                }
            }
        }
        Ok((line, row))
    }
}

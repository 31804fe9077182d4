//! What all exports share: their arguments, the file they write, and the walk through the rows.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use indicatif::ProgressBar;
use loco_rs::{Error, Result, task::Vars};
use serde::Serialize;
use strum::EnumString;

use super::{counted, named};
use crate::models::listing::{Filter, Listing, Page, PageInfo, Paging, Sort, SortKey};

/// How many things are read at once.
const BATCH: u64 = 1_000;

/// What can be exported.
pub trait Source: Sync {
    /// One of them, as the API shows it.
    type Item: Serialize + Send;
    /// Which of them.
    type Filter: Filter;
    /// What they can be sorted by.
    type Key: SortKey;

    /// What one of them is called.
    const NAME: &'static str;
    /// The permissions of a new file, before the umask.
    const MODE: u32 = 0o666;

    /// The columns of the table.
    fn columns() -> Vec<&'static str>;

    /// One of them as rows of the table.
    fn rows(item: &Self::Item) -> Result<Vec<Vec<String>>>;

    /// A page of them.
    fn page(
        &self,
        listing: &Listing<Self::Filter, Self::Key>,
    ) -> impl Future<Output = Result<Page<Self::Item>>> + Send;
}

/// Writes everything that the filter leaves, in that order, to where and how the arguments `file` and
/// `format` say.
///
/// # Errors
/// When the format is not known, or the source or the file fails.
pub async fn export<S: Source>(
    vars: &Vars,
    source: &S,
    filter: S::Filter,
    sort: Sort<S::Key>,
) -> Result<()> {
    let mut listing = Listing::new(filter, sort);
    listing.paging = Paging::After(None);
    listing.page_size = BATCH;
    let format = Format::of(vars)?;
    let export = Export {
        source,
        listing,
        format,
    };
    let Some(path) = vars.cli.get("file").map(Path::new) else {
        let path = Path::new("standard output");
        export.write(path, &mut io::stdout()).await?;
        return Ok(());
    };
    let written = export.write_file(path).await?;
    // The export itself may go to standard output: file:/dev/stdout.
    let things = counted(written, S::NAME);
    eprintln!("{things} written to {}.", path.display());
    Ok(())
}

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "lowercase")]
enum Format {
    /// A table for spreadsheets (RFC 4180).
    Csv,
    /// One JSON object a line.
    Ndjson,
}

impl Format {
    fn of(vars: &Vars) -> Result<Self> {
        let format = vars.cli.get("format").map_or("csv", String::as_str);
        let neither = |_| Error::Message(format!("format:{format} is neither csv nor ndjson"));
        format.parse().map_err(neither)
    }
}

struct Export<'a, S: Source> {
    source: &'a S,
    listing: Listing<S::Filter, S::Key>,
    format: Format,
}

impl<S: Source> Export<'_, S> {
    /// Writes a file, under another name until it is whole, so that there is never half an export. What is no
    /// file, a pipe or a device, is written into.
    async fn write_file(self, path: &Path) -> Result<u64> {
        let named = |error: io::Error| named(path, error);
        let target = resolved(path).map_err(named)?;
        let older = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            older => Some(older.map_err(named)?),
        };
        if older.as_ref().is_some_and(|older| !older.is_file()) {
            let mut target = File::options().write(true).open(path).map_err(named)?;
            return self.write(path, &mut target).await;
        }
        let directory = target.parent().unwrap_or_else(|| Path::new(""));
        let mut partial = tempfile::Builder::new();
        let partial = partial.permissions(Permissions::from_mode(S::MODE));
        let mut partial = partial.tempfile_in(directory).map_err(named)?;
        if let Some(older) = older {
            let file = partial.as_file();
            // Only root may give a file away; any other's export becomes its own.
            let _ = fchown(file, Some(older.uid()), Some(older.gid()));
            file.set_permissions(older.permissions()).map_err(named)?;
        }
        let written = self.write(path, partial.as_file_mut()).await?;
        partial.as_file().sync_all().map_err(named)?;
        let persisted = partial.persist(target);
        persisted.map_err(|error| named(error.error))?;
        Ok(written)
    }

    async fn write(mut self, path: &Path, target: &mut (impl Write + Send)) -> Result<u64> {
        let named = |error: io::Error| named(path, error);
        let progress = ProgressBar::new_spinner();
        if self.format == Format::Csv {
            let columns = csv([S::columns()])?;
            target.write_all(&columns).map_err(named)?;
        }
        let mut written = 0;
        loop {
            let page = self.source.page(&self.listing).await?;
            written += page.items.len() as u64;
            let batch = match self.format {
                Format::Csv => {
                    let rows: Result<Vec<_>> = page.items.iter().map(S::rows).collect();
                    csv(rows?.into_iter().flatten())?
                }
                Format::Ndjson => ndjson(&page.items)?,
            };
            target.write_all(&batch).map_err(named)?;
            progress.set_message(counted(written, S::NAME));
            progress.tick();
            match page.info {
                PageInfo::Cursor { next: Some(next) } => {
                    self.listing.paging = Paging::After(Some(next));
                }
                _ => break,
            }
        }
        target.flush().map_err(named)?;
        progress.finish_and_clear();
        Ok(written)
    }
}

fn csv<C: AsRef<[u8]>>(rows: impl IntoIterator<Item = Vec<C>>) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for row in rows {
        table.write_record(row).map_err(Error::wrap)?;
    }
    table.into_inner().map_err(Error::wrap)
}

fn ndjson(items: &[impl Serialize]) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for item in items {
        serde_json::to_writer(&mut lines, item)?;
        lines.push(b'\n');
    }
    Ok(lines)
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

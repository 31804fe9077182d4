//! What all imports share: the report of what became of the rows.

use std::fmt;

use indicatif::ProgressBar;
use loco_rs::{Error, Result};

use super::counted;
use crate::{models::imported::Imported, views::csv::records::RowError};

/// What has become of the rows of a file.
#[derive(Debug)]
pub struct Report {
    /// What a row is called.
    thing: &'static str,
    /// How many there are.
    pub rows: u64,
    imported: Imported,
    /// How many are refused.
    pub refused: u64,
    /// Rows whose commit the database did not answer: all of them are imported, or none.
    pub unknown: u64,
    /// Whether the file has rows that were not counted.
    pub has_more: bool,
}

impl Report {
    /// That of a file in which a row is called that.
    pub fn of(thing: &'static str) -> Self {
        Self {
            thing,
            rows: 0,
            imported: Imported::default(),
            refused: 0,
            unknown: 0,
            has_more: false,
        }
    }

    /// Counts what was imported.
    pub const fn add(&mut self, imported: &Imported) {
        self.imported.added += imported.added;
        self.imported.changed += imported.changed;
        self.imported.unchanged += imported.unchanged;
    }

    /// Counts a row that is refused, and says why.
    pub fn refuse(&mut self, refused: &RowError, progress: &ProgressBar) {
        self.refused += 1;
        progress.suspend(|| eprintln!("{refused}"));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Imported {
            added,
            changed,
            unchanged,
            ..
        } = self.imported;
        let (refused, unknown) = (self.refused, self.unknown);
        write!(
            f,
            "{}: {added} added, {changed} changed, {unchanged} the same, {refused} refused",
            counted(self.rows, self.thing)
        )?;
        match self.rows - added - changed - unchanged - refused - unknown {
            0 => {}
            left_out => write!(f, ", {left_out} left out")?,
        }
        if unknown > 0 {
            write!(
                f,
                ", {unknown} of which it is not known whether they were imported: import the file again"
            )?;
        }
        f.write_str(if self.has_more {
            ". The file has more rows, which were left out and not counted."
        } else {
            "."
        })
    }
}

/// The refused rows by their lines, which are those of all rows in their order.
pub fn refused(imported: &Imported, lines: &[u64]) -> Vec<RowError> {
    let refused = imported.refused.iter();
    refused
        .map(|(at, broken)| RowError::breaking(lines[*at], broken.clone()))
        .collect()
}

/// Ends an import of all rows or none.
///
/// # Errors
/// When rows were refused.
pub fn nothing_if(refused: u64) -> Result<()> {
    match refused {
        0 => Ok(()),
        _ => Err(Error::Message(format!(
            "{} refused: nothing was imported",
            were(refused)
        ))),
    }
}

/// `1 row was`, `2 rows were`.
pub fn were(rows: u64) -> String {
    let verb = if rows == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(rows, "row"))
}

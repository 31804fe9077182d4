//! What becomes of the rows of a table that is imported.

use super::{Error, Result, error::FieldError};

/// What became of imported rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Things that were added.
    pub added: u64,
    /// Things that were changed.
    pub changed: u64,
    /// Things that were the same already.
    pub unchanged: u64,
    /// The rows that were refused, by their place among all from 0, and every reason.
    pub refused: Vec<(usize, Vec<FieldError>)>,
}

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// It was added.
    Added,
    /// It was changed.
    Changed,
    /// It was the same already.
    Unchanged,
}

impl Became {
    /// What became of something that was there.
    pub fn of<T: PartialEq>(before: &T, after: &T) -> Self {
        if before == after {
            Self::Unchanged
        } else {
            Self::Changed
        }
    }
}

impl Imported {
    /// Notes what became of the row at that place: one that breaks rules is refused.
    ///
    /// # Errors
    /// When it is something else that went wrong.
    pub fn note(&mut self, at: usize, outcome: Result<Became>) -> Result<()> {
        match outcome {
            Ok(Became::Added) => self.added += 1,
            Ok(Became::Changed) => self.changed += 1,
            Ok(Became::Unchanged) => self.unchanged += 1,
            Err(Error::Invalid(broken)) => self.refused.push((at, broken)),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// What is wrong with a row that lacks what a new thing needs.
pub fn missing(thing: &str, names: Vec<&'static str>) -> Vec<FieldError> {
    let missing = |name| {
        let message = format!("is required, for the {thing} is new");
        FieldError::at(format!("/{name}"), "required", message)
    };
    names.into_iter().map(missing).collect()
}

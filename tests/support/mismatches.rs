//! What a table says, held against what is found: every row that differs is named, not only the first.

use std::fmt::{Debug, Display};

use super::Answer;

/// The rows of a table that differ. When this goes out of scope with any, the test fails and names them all.
#[derive(Default)]
pub struct Mismatches(Vec<String>);

impl Mismatches {
    /// Compares what was found for a row with what the table says.
    #[allow(clippy::needless_pass_by_value, reason = "callers make it on the spot")]
    pub fn compare<T: Debug + PartialEq<U>, U: Debug>(
        &mut self,
        row: impl Display,
        found: T,
        expected: U,
    ) {
        if found != expected {
            self.0
                .push(format!("{row}: {found:?} instead of {expected:?}"));
        }
    }

    /// Compares an answer's [outcome](Answer::outcome) with what the table says.
    pub fn answer(&mut self, row: impl Display, answer: &Answer, expected: impl AsRef<str>) {
        self.compare(row, answer.outcome(), expected.as_ref());
    }
}

impl Drop for Mismatches {
    fn drop(&mut self) {
        // A test that has failed already says why.
        if !std::thread::panicking() {
            assert!(
                self.0.is_empty(),
                "{} rows differ:\n{}",
                self.0.len(),
                self.0.join("\n")
            );
        }
    }
}

#[test]
#[should_panic(expected = "2 rows differ:\nb: 2 instead of 3\nc: 3 instead of 4")]
fn every_row_that_differs_is_named() {
    let mut mismatches = Mismatches::default();
    for (row, found, expected) in [("a", 1, 1), ("b", 2, 3), ("c", 3, 4)] {
        mismatches.compare(row, found, expected);
    }
}

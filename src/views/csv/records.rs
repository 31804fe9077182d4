//! CSV (RFC 4180) read strictly, in bounded memory.
//!
//! The `csv` crate takes a quote that is never closed, and
//! text after one that is, without a word, and counts lines by LF alone: rows would be lost unseen.

use std::{
    fmt,
    io::{self, BufRead, Cursor, Read},
    mem,
};

/// The longest row, in bytes: many times what the texts of a row may have.
const MAX_LENGTH: usize = 1 << 20;

/// The records of a table, one at a time. Those without any text are left out.
///
/// Columns are separated by commas; or by semicolons or tabs, when the first record has them and no comma,
/// as spreadsheets write them where the comma is the decimal mark. LF, CRLF and CR end a line. A quote
/// within a cell that does not begin with one is text (`6" nail`), and blanks around a quoted cell are none.
#[derive(Debug)]
pub struct Records<R> {
    bytes: io::Bytes<io::Chain<Cursor<Vec<u8>>, R>>,
    separator: u8,
    line: u64,
    after_cr: bool,
    ended: bool,
}

/// One row's cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// What stands in its cells, blanks and all.
    pub cells: Vec<String>,
}

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Every reason.
    pub reasons: Vec<String>,
}

impl RowError {
    /// The row that begins on that line is refused for one reason.
    pub fn at(line: u64, reason: impl Into<String>) -> Self {
        Self {
            line,
            reasons: vec![reason.into()],
        }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reasons.join("; "))
    }
}

/// Where in a cell the next byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Outside quotes.
    Plain,
    /// Inside quotes.
    Quoted,
    /// Right behind a quote that closes the cell, or is the first of two that mean one.
    Closing,
    /// Behind a quoted cell and a blank.
    Closed,
}

impl<R: BufRead> Records<R> {
    /// Finds out what separates the columns.
    pub fn new(mut source: R) -> Self {
        let (mut head, mut quoted) = (Vec::new(), false);
        let beginning = source.by_ref().take(MAX_LENGTH as u64).bytes();
        // An error that ends this comes again, or did not matter.
        for byte in beginning.map_while(Result::ok) {
            head.push(byte);
            quoted ^= byte == b'"';
            if !quoted && matches!(byte, b'\n' | b'\r') && !head.trim_ascii().is_empty() {
                break;
            }
        }
        let mut separators = b",;\t".iter();
        let separator = separators.find(|separator| head.contains(separator));
        if head.starts_with("\u{feff}".as_bytes()) {
            head.drain(.."\u{feff}".len());
        }
        Self {
            bytes: Cursor::new(head).chain(source).bytes(),
            separator: *separator.unwrap_or(&b','),
            line: 1,
            after_cr: false,
            ended: false,
        }
    }

    fn byte(&mut self) -> Option<io::Result<u8>> {
        let byte = self.bytes.next()?;
        if let Ok(byte) = byte {
            let second_half = byte == b'\n' && self.after_cr;
            self.line += u64::from(matches!(byte, b'\n' | b'\r') && !second_half);
            self.after_cr = byte == b'\r';
        }
        Some(byte)
    }

    /// What stands before the end of a line. Between CR and LF that is nothing.
    fn record(&mut self) -> Result<Record, RowError> {
        let line = self.line;
        let (mut cells, mut cell, mut length) = (Vec::new(), Vec::new(), 0);
        let (mut place, mut opened) = (Position::Plain, line);
        let mut reasons = Vec::new();
        loop {
            let byte = match self.byte() {
                Some(Ok(byte)) => byte,
                end => {
                    self.ended = true;
                    if let Some(Err(error)) = end {
                        reasons.push(format!(
                            "cannot be read: {error}; nothing after it was read"
                        ));
                    } else if place == Position::Quoted {
                        reasons.push(format!(
                            "the quote that opens on line {opened} is never closed: nothing after it was read"
                        ));
                    }
                    break;
                }
            };
            let is_text = match (place, byte) {
                (Position::Quoted, b'"') => {
                    place = Position::Closing;
                    false
                }
                (Position::Quoted, _) => true,
                (_, b'\n' | b'\r') => break,
                (_, separator) if separator == self.separator => {
                    place = Position::Plain;
                    if length < MAX_LENGTH {
                        cells.push(mem::take(&mut cell));
                    }
                    false
                }
                (Position::Plain, b'"') if cell.trim_ascii().is_empty() => {
                    cell.clear();
                    (place, opened) = (Position::Quoted, self.line);
                    false
                }
                (Position::Plain, _) => true,
                (Position::Closing, b'"') => {
                    place = Position::Quoted;
                    true
                }
                (Position::Closing | Position::Closed, b' ' | b'\t') => {
                    place = Position::Closed;
                    false
                }
                (Position::Closing | Position::Closed, _) => {
                    place = Position::Plain;
                    if reasons.is_empty() {
                        reasons.push(format!(
                            "text follows a quoted cell on line {}: a quote before it is not closed, or one in \
                             the text is not doubled",
                            self.line
                        ));
                    }
                    true
                }
            };
            if is_text && length < MAX_LENGTH {
                cell.push(byte);
            }
            length += 1;
        }
        cells.push(cell);
        if length > MAX_LENGTH {
            reasons.push(format!("has more than {MAX_LENGTH} bytes"));
        }
        match cells.into_iter().map(String::from_utf8).collect() {
            Ok(cells) if reasons.is_empty() => return Ok(Record { line, cells }),
            // Cut where it is too long, a text may be none.
            Err(_) if length <= MAX_LENGTH => reasons.push("is not UTF-8".to_owned()),
            _ => {}
        }
        Err(RowError { line, reasons })
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<Record, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.record() {
                Ok(record) if record.cells.iter().all(|cell| cell.trim().is_empty()) => {}
                record => return Some(record),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: impl AsRef<[u8]>) -> Vec<Result<Record, RowError>> {
        Records::new(bytes.as_ref()).collect()
    }

    /// Each record's line and cells, or what is wrong with it.
    fn shown(bytes: impl AsRef<[u8]>) -> Vec<String> {
        let shown = |record| match record {
            Ok(Record { line, cells }) => format!("{line} {}", cells.join("|")),
            Err(refused) => RowError::to_string(&refused),
        };
        read(bytes).into_iter().map(shown).collect()
    }

    #[test]
    fn a_quote_that_is_never_closed_is_refused_with_its_line() {
        assert_eq!(
            shown("a,b\n1,2\n\"x\ny\",\"6 inch\nB,2\nC,3\n"),
            [
                "1 a|b",
                "2 1|2",
                "line 3: the quote that opens on line 4 is never closed: nothing after it was read"
            ]
        );
    }

    #[test]
    fn text_after_a_quoted_cell_is_refused_with_its_line_and_the_next_row_is_read() {
        for row in ["\"x\ny\"z,1", "\"x\ny\" \"z\",1", "\"x\ny\" 6,\"1\""] {
            assert_eq!(
                shown(format!("a,b\n{row}\n3,4\n"))[1..],
                [
                    "line 2: text follows a quoted cell on line 3: a quote before it is not closed, or one in the text is not doubled",
                    "4 3|4"
                ],
                "{row}"
            );
        }
    }

    #[test]
    fn lines_are_counted_alike_whatever_ends_them_within_quotes_too() {
        for end in ["\n", "\r\n", "\r"] {
            let text = "a,b\n\n1,2\n\"x\n\ny\",\"z\"\n,\n3,4\n5,6".replace('\n', end);
            let lines = read(text).into_iter().map(|record| record.unwrap().line);
            assert!(lines.eq([1, 3, 4, 8, 9]), "{end:?}");
        }
        assert_eq!(shown("a\r\r\n\nb\n\rc"), ["1 a", "4 b", "6 c"]);
    }

    #[test]
    fn a_quote_within_a_cell_that_does_not_begin_with_one_is_text() {
        assert_eq!(
            shown("a,b\n6\" nail,5' 3\"\n"),
            ["1 a|b", "2 6\" nail|5' 3\""]
        );
    }

    #[test]
    fn blanks_around_a_quoted_cell_are_no_part_of_it_and_those_of_any_other_are() {
        assert_eq!(
            shown("a,b, \"c\"\n \"x, y\" , \"\"\"z\"\"\"\t, w \n"),
            ["1 a|b|c", "2 x, y|\"z\"| w "]
        );
    }

    #[test]
    fn rows_without_text_are_left_out() {
        assert_eq!(
            shown("\n \na,b\n,\n , \n\"\",\"\"\n1,2\n,,\n\n"),
            ["3 a|b", "7 1|2"]
        );
        assert_eq!(shown(""), [""; 0]);
        assert_eq!(shown("\u{feff}"), [""; 0]);
    }

    #[test]
    fn semicolons_and_tabs_separate_where_the_first_row_has_no_comma() {
        assert_eq!(shown("a;b\n1,5;2\n"), ["1 a|b", "2 1,5|2"]);
        assert_eq!(shown("\"a\"\t\"b\"\n1,5\t2;\n"), ["1 a|b", "2 1,5|2;"]);
        assert_eq!(shown("a,b;c\n1;2,3\n"), ["1 a|b;c", "2 1;2|3"]);
        assert_eq!(shown("\r\n\u{feff}a;b"), ["2 \u{feff}a|b"]);
        assert_eq!(shown("\u{feff}\"a\";b"), ["1 a|b"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_and_the_next_row_is_read() {
        assert_eq!(
            shown(b"a,b\n1,\xff\n3,4\n"),
            ["1 a|b", "line 2: is not UTF-8", "3 3|4"]
        );
        assert_eq!(shown("a\0b\n"), ["1 a\0b"]);
    }

    #[test]
    fn a_row_that_is_too_long_is_refused_and_the_next_is_read() {
        let long = "x".repeat(MAX_LENGTH);
        assert!(read(format!("a\n{long}\n"))[1].is_ok());
        let commas = ",".repeat(MAX_LENGTH);
        for row in [
            format!("{long}x"),
            format!("\"{long}\""),
            format!("1{commas}"),
        ] {
            assert_eq!(
                shown(format!("a\n{row}\n1\n"))[1..],
                ["line 2: has more than 1048576 bytes", "3 1"]
            );
        }
    }

    #[test]
    fn a_source_that_fails_ends_the_table_with_the_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let source = io::BufReader::new((&b"a\n1\n2"[..]).chain(Broken));
        let last = Records::new(source).nth(2).unwrap().unwrap_err();
        assert_eq!(
            last.to_string(),
            "line 3: cannot be read: the disk is gone; nothing after it was read"
        );
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read_as_it_was(
            rows in prop::collection::vec(prop::collection::vec("[ a\",;\t\r\n\u{e9}]{0,6}", 2..4), 0..6),
            crlf: bool,
        ) {
            let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
            let mut writer = csv::WriterBuilder::new()
                .terminator(terminator)
                .flexible(true)
                .from_writer(b"a,b".to_vec());
            writer.write_record(["", ""]).unwrap();
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let read: Vec<_> = read(text).into_iter().skip(1).map(|record| record.unwrap().cells).collect();
            let written: Vec<_> = rows
                .into_iter()
                .filter(|row| row.iter().any(|cell| !cell.trim().is_empty()))
                .collect();
            prop_assert_eq!(read, written);
        }

        #[test]
        fn what_is_not_refused_reads_as_the_csv_crate_does(text in "([a1\n\r]|\"|\"\"|,){0,24}") {
            let Ok(ours) = read(&text).into_iter().collect::<Result<Vec<_>, _>>() else {
                return Ok(());
            };
            let theirs: Vec<Vec<_>> = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(text.as_bytes())
                .into_records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .filter(|cells: &Vec<String>| cells.iter().any(|cell| !cell.trim().is_empty()))
                .collect();
            let ours: Vec<_> = ours.into_iter().map(|record| record.cells).collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}

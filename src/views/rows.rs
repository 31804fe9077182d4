//! Tables as CSV (RFC 4180): rows in, each with its own broken rules, and products out.

use std::{collections::BTreeSet, fmt, io, marker::PhantomData};

use super::fields::{FromFields, Rejection, from_cells};
use crate::models::products;

/// The rows of a table whose first line names its columns, one at a time.
pub struct Rows<R, T> {
    reader: csv::Reader<R>,
    columns: csv::StringRecord,
    record: csv::StringRecord,
    row: PhantomData<T>,
}

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Every reason.
    pub reasons: Vec<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reasons.join("; "))
    }
}

impl<R: io::Read, T: FromFields> Rows<R, T> {
    /// Reads the names of the columns.
    ///
    /// # Errors
    /// When there are none, one stands there twice, or one is not known.
    pub fn new(source: R) -> Result<Self, Refused> {
        let mut reader = csv::Reader::from_reader(source);
        let columns = reader
            .headers()
            .map_err(|error| unreadable(&error, 1))?
            .clone();
        let refused = |reason: String| {
            Err(Refused {
                line: 1,
                reasons: vec![reason],
            })
        };
        if columns.is_empty() {
            return refused("there is no line that names the columns".to_owned());
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = columns.iter().find(|column| !seen.insert(*column)) {
            return refused(format!("the column {twice} stands there twice"));
        }
        let unknown = unknown::<T>(&columns);
        if !unknown.is_empty() {
            return refused(unknown.join("; "));
        }
        Ok(Self {
            reader,
            columns,
            record: csv::StringRecord::new(),
            row: PhantomData,
        })
    }

    /// How many bytes have been read.
    pub fn position(&self) -> u64 {
        self.reader.position().byte()
    }
}

impl<R: io::Read, T: FromFields> Iterator for Rows<R, T> {
    type Item = Result<T, Refused>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.reader.position().line();
        match self.reader.read_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => {
                let line = self.record.position().map_or(from, csv::Position::line);
                let row = from_cells(self.columns.iter().zip(self.record.iter()));
                Some(row.map_err(|rejection| Refused {
                    line,
                    reasons: reasons(rejection),
                }))
            }
            Err(error) => Some(Err(unreadable(&error, from))),
        }
    }
}

/// Which columns a row is never asked for. An empty cell is missing, so that the rows cannot tell.
fn unknown<T: FromFields>(columns: &csv::StringRecord) -> Vec<String> {
    let filled = columns.iter().map(|column| (column, "?"));
    let Err(Rejection::Invalid(broken)) = from_cells::<T>(filled) else {
        return Vec::new();
    };
    let unknown = broken
        .into_iter()
        .filter(|rule| rule.violation.code == "unknown")
        .collect();
    reasons(Rejection::Invalid(unknown))
}

fn reasons(rejection: Rejection) -> Vec<String> {
    match rejection {
        Rejection::Malformed(why) => vec![why],
        Rejection::Invalid(broken) => broken
            .into_iter()
            .map(|rule| {
                format!(
                    "{} {}",
                    rule.pointer.trim_start_matches('/'),
                    rule.violation.message
                )
            })
            .collect(),
    }
}

fn unreadable(error: &csv::Error, from: u64) -> Refused {
    let line = error.position().map_or(from, csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("has {len} cells where there are {expected_len} columns")
        }
        _ => error.to_string(),
    };
    Refused {
        line,
        reasons: vec![reason],
    }
}

/// A product, as `products:import` reads and `products:export` writes it.
#[derive(Debug, serde::Serialize)]
pub struct ProductRow {
    sku: Option<String>,
    name: String,
    description: Option<String>,
    price: String,
    stock: Option<i64>,
}

impl ProductRow {
    /// The names of its columns.
    pub const COLUMNS: [&str; 5] = ["sku", "name", "description", "price", "stock"];
}

impl From<products::Model> for ProductRow {
    fn from(product: products::Model) -> Self {
        Self {
            price: product.price().to_string(),
            sku: product.sku,
            name: product.name,
            description: product.description,
            stock: product.stock,
        }
    }
}

impl FromFields for products::Row {
    fn read(fields: &mut super::fields::Fields<'_>) -> Option<Self> {
        let details = products::Details::read(fields);
        if !fields.has("sku") {
            fields.refuse(
                "sku",
                "required",
                "is required: it says which product the row is",
            );
        }
        let (describes, counts) = (fields.has_column("description"), fields.has_column("stock"));
        let details = details?;
        Some(Self {
            sku: details.sku.clone()?,
            details,
            describes,
            counts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Result<products::Row, Refused>> {
        Rows::new(text.as_bytes()).unwrap().collect()
    }

    fn refusal(text: &str) -> String {
        rows(text)
            .into_iter()
            .find_map(Result::err)
            .unwrap()
            .to_string()
    }

    #[test]
    fn reads_each_row_whatever_the_order_of_its_columns() {
        let rows = rows("price,sku,name,stock\n1.50,A-1,\"Tea, black\",\n2,B-1,Cup,7\n");
        let first = rows[0].as_ref().unwrap();
        assert_eq!(first.sku.as_str(), "A-1");
        assert_eq!(first.details.name.as_str(), "Tea, black");
        assert_eq!(first.details.stock, None);
        assert_eq!(rows[1].as_ref().unwrap().details.stock.unwrap().get(), 7);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_column() {
        assert!(rows("\u{feff}sku,name,price\nA-1,Tea,1\n")[0].is_ok());
    }

    #[test]
    fn a_refused_row_has_its_line_and_every_reason_and_the_next_is_read() {
        let text = "sku,name,price\nA-1,\"Tea\nbag\",1\nB-1,,x\nC-1,Cup,1\n";
        let rows = rows(text);
        assert_eq!(rows[0].as_ref().unwrap_err().line, 2);
        assert_eq!(
            rows[1].as_ref().unwrap_err().to_string(),
            "line 4: name is required; price must be a decimal number such as 19.99"
        );
        assert!(rows[2].is_ok());
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert_eq!(
            refusal("sku,name,price\nA-1,Tea\n"),
            "line 2: has 2 cells where there are 3 columns"
        );
        assert_eq!(
            refusal("name,price\nTea,1\n"),
            "line 2: sku is required: it says which product the row is"
        );
        let Err(refused) = Rows::<_, products::Row>::new(&b"sku,sku\n"[..]) else {
            panic!()
        };
        assert_eq!(
            refused.to_string(),
            "line 1: the column sku stands there twice"
        );
        let Err(refused) = Rows::<_, products::Row>::new(&b""[..]) else {
            panic!()
        };
        assert_eq!(
            refused.to_string(),
            "line 1: there is no line that names the columns"
        );
    }

    #[test]
    fn a_column_that_is_not_known_is_refused_even_when_it_is_empty() {
        let Err(refused) = Rows::<_, products::Row>::new(&b"sku,name,price,stok\nA-1,Tea,1,\n"[..])
        else {
            panic!()
        };
        assert_eq!(refused.to_string(), "line 1: stok is not known here");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_and_the_next_row_is_read() {
        let rows: Vec<_> =
            Rows::<_, products::Row>::new(&b"sku,name,price\nA-1,\xff,1\nB-1,Cup,1\n"[..])
                .unwrap()
                .collect();
        assert_eq!(
            rows[0].as_ref().unwrap_err().to_string(),
            "line 2: is not UTF-8"
        );
        assert!(rows[1].is_ok());
    }
}

//! Tables as CSV (RFC 4180): rows in, each with its own broken rules; products and orders out.

pub mod records;

use std::{collections::BTreeSet, io::BufRead, marker::PhantomData};

use serde_json::Value;

use self::records::{Record, Records, RowError};
use super::{orders::Order, products::Product};
use crate::models::{
    Error, Result,
    error::FieldError,
    input::{Input, from_cells},
    products,
};

/// The rows of a table whose first line names its columns, one at a time.
#[derive(Debug)]
pub struct Rows<R, T> {
    records: Records<R>,
    columns: Vec<String>,
    row: PhantomData<T>,
}

impl<R: BufRead, T: Input> Rows<R, T> {
    /// Reads the names of the columns, in capital or small letters.
    ///
    /// # Errors
    /// When there are none, one stands there twice, or one is not known.
    pub fn new(source: R) -> Result<Self, RowError> {
        let mut records = Records::new(source);
        let missing = || {
            Err(RowError::at(
                1,
                "the line that names the columns is missing",
            ))
        };
        let Record { line, cells } = records.next().unwrap_or_else(missing)?;
        let mut columns: Vec<_> = cells
            .iter()
            .map(|column| column.trim().to_lowercase())
            .collect();
        // Spreadsheets write empty columns where one was cleared.
        while columns.pop_if(|column| column.is_empty()).is_some() {}
        let mut seen = BTreeSet::new();
        if let Some(twice) = columns.iter().find(|column| !seen.insert(*column)) {
            let reason = format!("the column {twice} stands there twice");
            return Err(RowError::at(line, reason));
        }
        let reasons = unknown::<T>(&columns);
        if !reasons.is_empty() {
            return Err(RowError { line, reasons });
        }
        Ok(Self {
            records,
            columns,
            row: PhantomData,
        })
    }

    fn row(&self, cells: &[String]) -> Result<T, Vec<String>> {
        let (columns, count) = (self.columns.len(), cells.len());
        match cells.split_at_checked(columns) {
            Some((cells, beyond)) if beyond.iter().all(|cell| cell.trim().is_empty()) => {
                let names = self.columns.iter().map(String::as_str);
                let cells = cells.iter().map(|cell| without_apostrophe(cell));
                from_cells(names.zip(cells)).map_err(reasons)
            }
            _ => Err(vec![format!(
                "has {count} cells where there are {columns} columns"
            )]),
        }
    }
}

impl<R: BufRead, T: Input> Iterator for Rows<R, T> {
    /// A row and the line on which it begins.
    type Item = Result<(u64, T), RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        Some(record.and_then(|Record { line, cells }| {
            self.row(&cells)
                .map(|row| (line, row))
                .map_err(|reasons| RowError { line, reasons })
        }))
    }
}

/// Which columns a row does not have.
fn unknown<T: Input>(columns: &[String]) -> Vec<String> {
    let known = T::properties();
    let is_known = |column: &&String| known.iter().any(|property| property.name == *column);
    let unknown = columns.iter().filter(|column| !is_known(column));
    unknown
        .map(|column| format!("{column} is not known here"))
        .collect()
}

fn reasons(error: Error) -> Vec<String> {
    match error {
        Error::Invalid(errors) => RowError::breaking(0, errors).reasons,
        other => vec![other.to_string()],
    }
}

impl RowError {
    /// The row that begins on that line breaks these rules.
    pub fn breaking(line: u64, errors: impl IntoIterator<Item = FieldError>) -> Self {
        let reason = |error: FieldError| {
            let column = error.pointer.trim_start_matches('/');
            format!("{column} {}", error.message)
        };
        Self {
            line,
            reasons: errors.into_iter().map(reason).collect(),
        }
    }
}

/// The columns of a table of such rows.
pub fn columns<T: Input>() -> Vec<&'static str> {
    let properties = T::properties();
    properties.iter().map(|property| property.name).collect()
}

/// The columns of a table of products, which `products:export` writes and `products:import` reads.
pub fn product_columns() -> Vec<&'static str> {
    columns::<products::Row>()
}

/// A product as a row of those columns.
///
/// # Errors
/// When the product cannot be made JSON.
pub fn product_rows(product: &Product) -> Result<Vec<Vec<String>>> {
    let product = serde_json::to_value(product).map_err(loco_rs::Error::from)?;
    let columns = product_columns().into_iter();
    let row = columns.map(|column| cell(product.get(column)));
    Ok(vec![row.collect()])
}

/// The columns of a table of orders, and where an order shows each: below `/items` in one of its items.
const ORDER_COLUMNS: [(&str, &str); 43] = [
    ("order_id", "/id"),
    ("status", "/status"),
    ("placed_at", "/placed_at"),
    ("customer_id", "/customer/id"),
    ("customer_name", "/customer/name"),
    ("email", "/email"),
    ("currency", "/currency"),
    ("product_id", "/items/product_id"),
    ("sku", "/items/sku"),
    ("name", "/items/name"),
    ("unit_price", "/items/unit_price"),
    ("quantity", "/items/quantity"),
    ("line_total", "/items/line_total"),
    ("line_discount", "/items/discount"),
    ("line_tax_rate", "/items/tax_rate"),
    ("line_tax", "/items/tax"),
    ("subtotal", "/subtotal"),
    ("discount", "/discount"),
    ("shipping", "/shipping"),
    ("tax", "/tax"),
    ("total", "/total"),
    ("prices_include_tax", "/prices_include_tax"),
    ("discount_code", "/discount_code"),
    ("shipping_option", "/shipping_name"),
    ("shipping_name", "/shipping_address/name"),
    ("shipping_company", "/shipping_address/company"),
    ("shipping_line1", "/shipping_address/line1"),
    ("shipping_line2", "/shipping_address/line2"),
    ("shipping_city", "/shipping_address/city"),
    ("shipping_region", "/shipping_address/region"),
    ("shipping_postal_code", "/shipping_address/postal_code"),
    ("shipping_country", "/shipping_address/country"),
    ("shipping_phone", "/shipping_address/phone"),
    ("billing_name", "/billing_address/name"),
    ("billing_company", "/billing_address/company"),
    ("billing_line1", "/billing_address/line1"),
    ("billing_line2", "/billing_address/line2"),
    ("billing_city", "/billing_address/city"),
    ("billing_region", "/billing_address/region"),
    ("billing_postal_code", "/billing_address/postal_code"),
    ("billing_country", "/billing_address/country"),
    ("note", "/note"),
    ("updated_at", "/updated_at"),
];

/// The columns of a table of orders, which `orders:export` writes.
pub fn order_columns() -> Vec<&'static str> {
    ORDER_COLUMNS.map(|(column, _)| column).to_vec()
}

/// An order as rows of those columns, one for each of its items.
///
/// # Errors
/// When the order cannot be made JSON.
pub fn order_rows(order: &Order) -> Result<Vec<Vec<String>>> {
    let order = serde_json::to_value(order).map_err(loco_rs::Error::from)?;
    let items = order.get("items").and_then(Value::as_array);
    let row = |item: &Value| {
        let cells = ORDER_COLUMNS.map(|(_, pointer)| {
            cell(match pointer.strip_prefix("/items") {
                Some(of_item) => item.pointer(of_item),
                None => order.pointer(pointer),
            })
        });
        cells.to_vec()
    };
    Ok(items.into_iter().flatten().map(row).collect())
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => with_apostrophe(text.clone()),
        Some(other) => other.to_string(),
    }
}

/// Whether a spreadsheet may calculate the text, or would without the apostrophes before it
/// (OWASP, CSV Injection).
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'')
        .trim_start()
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// The text as it is written down: one more apostrophe keeps a formula from being calculated.
fn with_apostrophe(mut text: String) -> String {
    if is_formula(&text) {
        text.insert(0, '\'');
    }
    text
}

/// The text that was meant by what [`with_apostrophe`] has written.
fn without_apostrophe(cell: &str) -> &str {
    cell.strip_prefix('\'')
        .filter(|_| is_formula(cell))
        .unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::types::{Money, Stock};

    /// Each row's line, SKU, name, price and stock; or what is wrong with it.
    fn shown(text: &str) -> Vec<String> {
        let rows = match Rows::<_, products::Row>::new(text.as_bytes()) {
            Ok(rows) => rows,
            Err(refused) => return vec![refused.to_string()],
        };
        let shown = |(line, row): (u64, products::Row)| {
            let (sku, name) = (row.changes.sku.flatten(), row.changes.name);
            let (sku, name) = (sku.map(String::from), name.map(String::from));
            let (price, stock) = (row.changes.price.map(Money::minor), row.changes.stock);
            let stock = stock.map(|stock| stock.map(Stock::get));
            format!(
                "{line} {:?} {:?} {price:?} {stock:?}",
                sku.unwrap_or_default(),
                name.unwrap_or_default()
            )
        };
        rows.map(|row| row.map_or_else(|refused| refused.to_string(), shown))
            .collect()
    }

    #[test]
    fn reads_each_row_whatever_the_order_of_its_columns() {
        assert_eq!(
            shown("price,sku,name,stock\n1.50,A-1,\"Tea, black\",\n2,B-1,Cup,7\n"),
            [
                r#"2 "A-1" "Tea, black" Some(150) Some(None)"#,
                r#"3 "B-1" "Cup" Some(200) Some(Some(7))"#
            ]
        );
    }

    #[test]
    fn a_refused_row_has_its_line_and_every_reason_and_the_next_is_read() {
        assert_eq!(
            shown("sku,name,price\n\"A\n1\",Tea,1\nB-1,,x\nA-1,Tea\nC-1,Cup,1\n"),
            [
                "line 2: sku must be one line without invisible characters such as U+000A",
                "line 4: name is required; price must be a decimal number such as 19.99",
                "line 5: has 2 cells where there are 3 columns",
                r#"6 "C-1" "Cup" Some(100) None"#
            ]
        );
        assert_eq!(
            shown("name,price\nTea,1\n"),
            ["line 2: sku is required: it says which product the row is"]
        );
    }

    #[test]
    fn what_is_no_table_of_known_columns_is_refused() {
        for (text, refusal) in [
            ("", "the line that names the columns is missing"),
            ("sku,sku\n", "the column sku stands there twice"),
            (
                "sku,name,price,stok\nA-1,Tea,1,\n",
                "stok is not known here",
            ),
        ] {
            assert_eq!(shown(text), [format!("line 1: {refusal}")]);
        }
    }

    #[test]
    fn columns_may_have_capital_letters_blanks_and_empty_ones_behind_them() {
        assert_eq!(
            shown("\u{feff} SKU ,Name,price,,\nA-1,Tea,1,,\nB-1,Cup,1\nC-1,Pot,1,,5\n"),
            [
                r#"2 "A-1" "Tea" Some(100) None"#,
                r#"3 "B-1" "Cup" Some(100) None"#,
                "line 4: has 5 cells where there are 3 columns"
            ]
        );
    }

    #[test]
    fn blanks_around_a_cell_are_no_part_of_numbers_names_and_skus() {
        assert_eq!(
            shown("sku,name,price,stock\n A-1 , Lamp , 19.99 , 5 \nB-1,Cup,1,\u{a0}\n"),
            [
                r#"2 "A-1" "Lamp" Some(1999) Some(Some(5))"#,
                r#"3 "B-1" "Cup" Some(100) Some(None)"#
            ]
        );
    }

    #[test]
    fn a_price_with_a_decimal_comma_is_refused_and_the_report_says_how_it_is_written() {
        assert_eq!(
            shown("sku;name;price\nA-1;Tea;19,99\n"),
            ["line 2: price must be a decimal number such as 19.99"]
        );
    }

    #[test]
    fn a_formula_is_written_as_text_and_read_as_it_was() {
        for (text, written) in [
            ("=SUM(A1)", "'=SUM(A1)"),
            ("'=SUM(A1)", "''=SUM(A1)"),
            (" \t@x", "' \t@x"),
            ("-1", "'-1"),
            ("+49", "'+49"),
            ("＝1", "'＝1"),
            ("'80s jeans", "'80s jeans"),
            ("' '=1", "' '=1"),
            ("a=b", "a=b"),
            ("", ""),
        ] {
            assert_eq!(with_apostrophe(text.to_owned()), written);
            assert_eq!(without_apostrophe(written), text);
        }
        assert_eq!(without_apostrophe("'x"), "'x");
    }
}

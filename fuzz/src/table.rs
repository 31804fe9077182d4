//! Tables of products: `Rows`. For any bytes:
//!
//! * every row, good or refused, has its own line, later than that of the row before, and a refused one
//!   has a reason;
//! * cells that are not refused are those that the `csv` crate reads, when it reads the same separator and the
//!   bytes have no blanks, which it keeps around quotes.

use boxcar::{
    models::products,
    views::csv::{Rows, records::Records},
};

/// Reads the bytes as a table.
pub fn check(data: &[u8]) {
    let mut before = 0;
    for row in Rows::<_, products::Row>::new(data).into_iter().flatten() {
        let line = match row {
            Ok((line, _)) => line,
            Err(refused) => {
                assert!(!refused.reasons.is_empty());
                refused.line
            }
        };
        assert!(line > before);
        before = line;
    }
    let odd = |byte: &u8| {
        matches!(byte, b' ' | b'\t' | b';')
            || !byte.is_ascii()
            || byte.is_ascii_control() && !b"\r\n".contains(byte)
    };
    if data.iter().any(odd) {
        return;
    }
    if let Ok(ours) = Records::new(data).collect::<Result<Vec<_>, _>>() {
        let theirs = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(data)
            .into_records()
            .map(|record| record.expect("reads anything"))
            .filter(|cells| cells.iter().any(|cell| !cell.trim().is_empty()));
        assert!(
            ours.iter().map(|record| &record.cells).eq(theirs
                .map(|cells| cells.iter().map(str::to_owned).collect::<Vec<_>>())
                .collect::<Vec<_>>()
                .iter())
        );
    }
}

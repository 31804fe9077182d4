//! The inputs that fuzzing found worth keeping, and some that people thought of: what has to hold for
//! any input holds for each of them.

use std::{fs, panic::catch_unwind, path::Path};

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

#[test]
fn amounts_are_what_was_written() {
    replay("money", fuzz::money::check);
}

#[test]
fn every_link_of_a_list_leads_on_in_the_same_list() {
    replay("cursor", fuzz::cursor::check);
}

#[test]
fn headers_are_read_one_way_only() {
    replay("headers", fuzz::headers::check);
}

#[test]
fn bodies_are_accepted_or_refused_with_every_reason() {
    replay("body", fuzz::body::check);
}

#[test]
fn tables_are_read_row_by_row_or_refused_with_every_reason() {
    replay("table", fuzz::table::check);
}

/// Checks every file of a target's corpus, and names those that fail.
fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut inputs: Vec<_> = fs::read_dir(corpus.join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty());
    inputs.retain(|input| {
        let data = fs::read(input).unwrap();
        catch_unwind(|| check(&data)).is_err()
    });
    assert!(inputs.is_empty(), "{inputs:#?}");
}

//! What the documents promise is shown by tests that exist.

use std::process::Command;

/// Those that promise something.
const DOCUMENTS: [&str; 2] = [
    include_str!("../../docs/consistency.md"),
    include_str!("../../docs/security.md"),
];

/// The folders of tests, as the documents begin the path of a test.
const ROOMS: [&str; 5] = ["requests::", "proofs::", "models::", "tasks::", "mailers::"];

#[test]
fn each_test_that_a_document_names_exists() {
    let this = std::env::current_exe().unwrap();
    let listed = Command::new(this).arg("--list").output().unwrap();
    let tests = String::from_utf8(listed.stdout).unwrap();
    for document in DOCUMENTS {
        let quoted = document
            .lines()
            .flat_map(|line| line.split('`').skip(1).step_by(2));
        let named: Vec<_> = quoted.filter(|quoted| is_test(quoted)).collect();
        assert!(named.len() > 10, "more are named than {named:?}");
        let missing = named.iter().filter(|name| !tests.contains(**name));
        assert_eq!(missing.collect::<Vec<_>>(), [&""; 0]);
    }
}

/// Whether that is the path of a test, or the name of one alone: a sentence.
fn is_test(quoted: &str) -> bool {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
    let is_path = ROOMS.iter().any(|room| quoted.starts_with(room));
    quoted.chars().all(is_name) && (is_path || quoted.matches('_').count() > 3)
}

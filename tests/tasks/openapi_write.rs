//! `openapi:write`: R14.

use std::fs;

use boxcar::{initializers::swagger::document, tasks::openapi_write::OpenapiWrite};

use super::run;
use crate::support::Shop;

const TASK: OpenapiWrite = OpenapiWrite(|| Ok(&document()?.yaml));

#[tokio::test]
async fn the_document_is_written_where_it_was_asked_for() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api.yaml");
    run(TASK, &shop, &[("file", path.to_str().unwrap())])
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), document().unwrap().yaml);
}

#[tokio::test]
async fn a_place_that_is_not_there_is_named_and_a_typo_refused() {
    let shop = Shop::open().await;
    let refusal = run(TASK, &shop, &[("file", "/nowhere/api.yaml")]).await;
    assert!(refusal.unwrap_err().starts_with("/nowhere/api.yaml: "));
    let refusal = run(TASK, &shop, &[("flie", "api.yaml")]).await;
    assert_eq!(refusal.unwrap_err(), "the argument flie is not one of file");
}

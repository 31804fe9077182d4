//! Commands, one file each.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use boxcar::{models::products, tasks::products_import::ProductsImport};
use loco_rs::task::{Task, Vars};
use sea_orm::{EntityTrait, QueryOrder};
use tempfile::TempDir;

use crate::support::{Client, Program, Shop};

mod admin_create;
mod keys;
mod logs;
mod openapi_write;
mod orders_export;
mod products_export;
mod products_import;
mod rates_import;
mod settings;
mod start;
mod store_backup;
mod store_copy;
mod webhooks_retry;

/// Runs a task in the shop; a refusal is its message.
async fn run(task: impl Task, shop: &Shop, arguments: &[(&str, &str)]) -> Result<(), String> {
    let arguments = arguments
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    task.run(&shop.ctx, &Vars::from_cli_args(arguments))
        .await
        .map_err(|error| error.to_string())
}

/// What the program writes to standard output, where its log goes too, when it runs that task.
async fn printed(shop: &Shop, task: &str, arguments: &[&str]) -> String {
    let outcome = Program::new("development")
        .on(&shop.ctx.config.database.uri)
        .run(&[&["task", task], arguments].concat())
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.stdout
}

/// What the API answers for each of those ids, one a line.
async fn answers(client: &Client, path: &str, ids: &[i64]) -> String {
    let mut lines = Vec::new();
    for id in ids {
        lines.extend(client.get(&format!("/{path}/{id}")).await.bytes);
        lines.push(b'\n');
    }
    String::from_utf8(lines).unwrap()
}

/// A named pipe in that directory.
fn pipe_in(directory: &TempDir) -> PathBuf {
    let pipe = directory.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    pipe
}

/// Imports that file.
async fn import_file(shop: &Shop, path: &Path) -> Result<(), String> {
    run(ProductsImport, shop, &[("file", path.to_str().unwrap())]).await
}

/// Imports a file of those bytes.
async fn import(shop: &Shop, bytes: impl AsRef<[u8]>) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("products.csv");
    std::fs::write(&path, bytes).unwrap();
    import_file(shop, &path).await
}

/// The products of the shop, in the order in which they came.
async fn products(shop: &Shop) -> Vec<products::Model> {
    products::Entity::find()
        .order_by_asc(products::Column::Id)
        .all(&shop.ctx.db)
        .await
        .unwrap()
}

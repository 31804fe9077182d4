//! `products:export`: R3.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    path::Path,
};

use boxcar::{
    models::products::Model,
    tasks::{products_export::ProductsExport, products_import::ProductsImport},
    views::{csv::product_columns, products::Product},
};
use sea_orm::ConnectionTrait;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::{answers, import, import_file, pipe_in, products, run};
use crate::{
    models::rows,
    support::{Program, Shop, assert_invariants},
};

const EMPTY: &str = "id,sku,name,description,price,stock,tax_class\n";

const CATALOGUE: &str = "sku,name,description,price,stock,tax_class\n\
    A-1,\"Tea, \"\"black\"\"\",\"one\r\ntwo\",4.50,7,zero\n\
    Ä-2,Cup ☕,,0.00,0,\n\
    B-1,=SUM(A1),  blanks  ,99999999.99,,standard\n";

#[test]
fn every_column_is_one_that_a_product_shows() {
    let shown = serde_json::to_value(Product::new(rows::product(), "")).unwrap();
    let mut columns = product_columns();
    columns.retain(|column| shown.get(column).is_none());
    assert_eq!(columns, [""; 0], "the view of a product has to show these");
}

#[tokio::test]
async fn another_shop_that_imports_the_file_has_the_same_catalogue() {
    let (here, there) = (Shop::open().await, Shop::open().await);
    import(&here, CATALOGUE).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("products.csv");
    export(&here, &path).await.unwrap();
    import_file(&there, &path).await.unwrap();
    assert_eq!(described(&there).await, described(&here).await);
}

#[tokio::test]
async fn the_same_shop_that_imports_the_file_changes_nothing() {
    let shop = Shop::open().await;
    import(&shop, CATALOGUE).await.unwrap();
    let before = products(&shop).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("products.csv");
    export(&shop, &path).await.unwrap();
    import_file(&shop, &path).await.unwrap();
    assert_eq!(products(&shop).await, before);
}

#[tokio::test]
async fn every_product_is_written_once_however_many_there_are() {
    let shop = Shop::open().await;
    let rows: Vec<_> = (0..2_500)
        .map(|row| format!("S-{row:04},Product,1.00\n"))
        .collect();
    import(&shop, format!("sku,name,price\n{}", rows.concat()))
        .await
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("products.csv");
    export(&shop, &path).await.unwrap();
    let rows = (0..2_500).map(|row| format!("{},S-{row:04},Product,,1.00,", row + 1));
    let expected = table(&rows.collect::<Vec<_>>());
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[tokio::test]
async fn an_archived_product_is_left_out() {
    let shop = Shop::open().await;
    import(&shop, "sku,name,price\nA-1,Tea,1\nB-1,Cup,2\n")
        .await
        .unwrap();
    shop.admin().await.delete("/products/1").await;
    assert_eq!(printed(&shop).await, table(&["2,B-1,Cup,,2.00,"]));
}

#[tokio::test]
async fn an_empty_catalogue_is_a_table_without_rows() {
    let shop = Shop::open().await;
    assert_eq!(printed(&shop).await, EMPTY);
}

#[tokio::test]
async fn without_a_file_nothing_but_the_table_goes_to_standard_output() {
    let shop = Shop::open().await;
    shop.admin()
        .await
        .add_product(json!({ "sku": "A-1", "name": "Tea", "price": "4.50", "stock": 7 }))
        .await;
    assert_eq!(printed(&shop).await, table(&["1,A-1,Tea,,4.50,7"]));
}

#[tokio::test]
async fn an_older_file_is_replaced_and_nothing_else_is_left() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("products.csv");
    fs::write(
        &path,
        "older, and much longer than what comes now".repeat(9),
    )
    .unwrap();
    export(&shop, &path).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), EMPTY);
    assert_eq!(names(directory.path()), ["products.csv"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_leaves_nothing_behind() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("products");
    fs::create_dir(&path).unwrap();
    let why = export(&shop, &path).await.unwrap_err();
    assert_eq!(
        why,
        format!("{}: Is a directory (os error 21)", path.display())
    );
    assert_eq!(names(directory.path()), ["products"]);
}

#[tokio::test]
async fn a_directory_that_is_missing_is_named() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing/products.csv");
    let why = export(&shop, &path).await.unwrap_err();
    assert!(why.starts_with(path.to_str().unwrap()), "{why}");
    assert!(why.contains("No such file or directory"), "{why}");
}

#[tokio::test]
async fn a_link_stays_and_what_it_leads_to_is_written() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let inside = |name: &str| directory.path().join(name);
    fs::create_dir(inside("elsewhere")).unwrap();
    fs::write(inside("elsewhere/old.csv"), "older").unwrap();
    symlink("elsewhere/old.csv", inside("link.csv")).unwrap();
    symlink("elsewhere/new.csv", inside("dangling.csv")).unwrap();
    symlink("dangling.csv", inside("twice.csv")).unwrap();
    for (link, target) in [
        ("link.csv", "elsewhere/old.csv"),
        ("twice.csv", "elsewhere/new.csv"),
    ] {
        export(&shop, &inside(link)).await.unwrap();
        assert!(inside(link).is_symlink());
        assert_eq!(fs::read_to_string(inside(target)).unwrap(), EMPTY);
    }
    assert_eq!(names(&inside("elsewhere")), ["new.csv", "old.csv"]);
}

#[tokio::test]
async fn a_link_beside_the_file_is_not_followed() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let precious = directory.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, directory.path().join("products.partial")).unwrap();
    export(&shop, &directory.path().join("products.csv"))
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

#[tokio::test]
async fn a_pipe_stays_and_is_written_into() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let path = pipe_in(&directory);
    let reader = path.clone();
    let read = spawn_blocking(move || fs::read_to_string(reader).unwrap());
    let outcome = Program::new("test")
        .on(&shop.ctx.config.database.uri)
        .run(&[
            "task",
            "products:export",
            &format!("file:{}", path.display()),
        ])
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(read.await.unwrap(), EMPTY);
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
}

#[tokio::test]
async fn the_permissions_of_an_older_file_stay() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("products.csv");
    fs::write(&path, "older").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    export(&shop, &path).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_a_spreadsheet_would_calculate_is_written_as_text() {
    let shop = Shop::open().await;
    let product =
        json!({ "sku": "-A", "name": "=cmd|' /C calc'!A0", "price": "1", "description": "@x" });
    shop.admin().await.add_product(product).await;
    assert_eq!(
        printed(&shop).await,
        table(&["1,'-A,'=cmd|' /C calc'!A0,'@x,1.00,"])
    );
}

#[tokio::test]
async fn products_without_a_sku_come_back_as_the_same_here_and_are_added_elsewhere() {
    let (here, there) = (Shop::open().await, Shop::open().await);
    import(&here, CATALOGUE).await.unwrap();
    let admin = here.admin().await;
    admin
        .add_product(json!({ "name": "Tea", "price": "1", "stock": 3, "description": "  " }))
        .await;
    admin
        .add_product(json!({ "name": "Cup", "price": "2", "description": "" }))
        .await;
    let before = products(&here).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("products.csv");
    export(&here, &path).await.unwrap();
    let arguments = [("file", path.to_str().unwrap()), ("atomic", "true")];
    run(ProductsImport, &here, &arguments).await.unwrap();
    assert_eq!(products(&here).await, before);
    run(ProductsImport, &there, &arguments).await.unwrap();
    let names = |products: Vec<Model>| {
        let mut names: Vec<_> = products
            .into_iter()
            .map(|product| (product.name, product.stock))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(products(&there).await), names(before));
    assert_invariants(&there.ctx.db).await;
}

#[tokio::test]
async fn a_failed_export_keeps_the_older_file_and_leaves_nothing_behind() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("products.csv");
    fs::write(&path, "older").unwrap();
    shop.ctx
        .db
        .execute_unprepared("ALTER TABLE products RENAME TO elsewhere")
        .await
        .unwrap();
    let arguments = [("file", path.to_str().unwrap())];
    run(ProductsExport, &shop, &arguments).await.unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "older");
    assert_eq!(names(directory.path()), ["products.csv"]);
}

#[tokio::test]
async fn an_argument_that_is_not_known_is_refused() {
    let shop = Shop::open().await;
    let why = run(ProductsExport, &shop, &[("flie", "products.csv")])
        .await
        .unwrap_err();
    assert_eq!(why, "the argument flie is not one of file, format");
}

#[tokio::test]
async fn a_line_of_json_is_what_the_api_answers() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let tea = json!({ "sku": "=1", "name": "Tea ☕", "price": "4.50", "stock": 7, "description": "\"black\"\n" });
    admin.post("/products", tea).await;
    admin.sell("Cup", "0", None).await;
    let lines = super::printed(&shop, "products:export", &["format:ndjson"]).await;
    assert_eq!(lines, answers(&admin, "products", &[1, 2]).await);
}

#[tokio::test]
async fn an_empty_catalogue_has_no_line_of_json() {
    let shop = Shop::open().await;
    let lines = super::printed(&shop, "products:export", &["format:ndjson"]).await;
    assert_eq!(lines, "");
}

#[tokio::test]
async fn a_format_that_is_not_known_is_refused_and_the_older_file_stays() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("products.csv");
    fs::write(&path, "older").unwrap();
    let arguments = [("file", path.to_str().unwrap()), ("format", "xml")];
    let why = run(ProductsExport, &shop, &arguments).await.unwrap_err();
    assert_eq!(why, "format:xml is neither csv nor ndjson");
    assert_eq!(fs::read_to_string(&path).unwrap(), "older");
}

/// A table of those rows, whose products are of the standard class, with empty cells in columns after it.
fn table(rows: &[impl AsRef<str>]) -> String {
    let (_, later) = EMPTY.split_once("tax_class").unwrap();
    let later = ",".repeat(later.matches(',').count());
    let rows = rows
        .iter()
        .map(|row| format!("{},standard{later}\n", row.as_ref()));
    EMPTY.to_owned() + &rows.collect::<String>()
}

async fn export(shop: &Shop, path: &Path) -> Result<(), String> {
    run(ProductsExport, shop, &[("file", path.to_str().unwrap())]).await
}

async fn printed(shop: &Shop) -> String {
    super::printed(shop, "products:export", &[]).await
}

/// What is known of each product, without its id and its times.
async fn described(shop: &Shop) -> Vec<impl PartialEq + std::fmt::Debug + use<>> {
    let products = products(shop).await.into_iter();
    let described = products.map(|product| {
        (
            product.sku,
            product.name,
            product.description,
            product.price_minor,
            product.stock,
            product.tax_class,
        )
    });
    described.collect()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

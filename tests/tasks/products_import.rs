//! `products:import`: R3.

use std::{
    fmt::Write,
    fs::File,
    io::Write as _,
    time::{Duration, Instant},
};

use boxcar::{models::stock_movements, tasks::products_import::ProductsImport};
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder};
use serde_json::json;
use tokio::{task::spawn_blocking, time::sleep};

use super::{import, import_file, pipe_in, products, run};
use crate::support::{Outcome, Program, Shop, assert_invariants};

const TWO: &str = "sku,name,price,stock\nA-1,Tea,4.50,7\nB-1,Cup,12.00,\n";

#[tokio::test]
async fn a_row_with_a_new_sku_is_a_new_product() {
    let shop = Shop::open().await;
    import(
        &shop,
        "sku,name,description,price,stock\nA-1,Tea,Black,4.50,7\n",
    )
    .await
    .unwrap();
    let product = shop.admin().await.get("/products/1").await.body;
    assert_eq!(product["sku"], "A-1");
    assert_eq!(product["name"], "Tea");
    assert_eq!(product["description"], "Black");
    assert_eq!(product["price"], "4.50");
    assert_eq!(product["stock"], 7);
}

#[tokio::test]
async fn a_row_with_a_known_sku_changes_the_product() {
    let shop = Shop::open().await;
    import(&shop, TWO).await.unwrap();
    import(&shop, "sku,name,price,stock\nA-1,Green tea,5,3\n")
        .await
        .unwrap();
    assert_eq!(
        catalogue(&shop).await,
        ["A-1 Green tea 500 3", "B-1 Cup 1200 -"]
    );
    assert_eq!(products(&shop).await[0].id, 1);
}

#[tokio::test]
async fn each_product_that_is_added_or_changed_is_an_event_of_the_command() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let mut last = 1;
    for (csv, atomic, expected) in [
        (
            "sku,name,price,stock\nA-1,Tea,4.50,7\nB-1,Cup,12.00,\n",
            "false",
            "product.created A-1, product.created B-1",
        ),
        ("sku,name,price,stock\nA-1,Tea,4.50,7\n", "true", ""),
        (
            "sku,name,price,stock\nA-1,Tea,4.50,0\nB-1,Mug,12.00,3\nC-1,Jar,2,\n",
            "true",
            "product.stock_changed A-1, product.sold_out A-1, product.updated B-1, product.created C-1",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("products.csv");
        std::fs::write(&path, csv).unwrap();
        let file = [("file", path.to_str().unwrap()), ("atomic", atomic)];
        run(ProductsImport, &shop, &file).await.unwrap();
        let newest = admin.get("/events?page_size=100").await.body;
        let mut news = newest["items"].as_array().unwrap().clone();
        news.retain(|event| event["id"].as_i64().unwrap() > last);
        news.reverse();
        let said = news.iter().map(|event| {
            let product = format!("/products/{}", event["subject"]["id"]);
            let (happened, sku) = (event["type"].as_str(), event["data"]["sku"].as_str());
            (product, format!("{} {}", happened.unwrap(), sku.unwrap()))
        });
        let (paths, said): (Vec<_>, Vec<_>) = said.unzip();
        let mut expected: Vec<_> = expected
            .split(", ")
            .filter(|word| !word.is_empty())
            .collect();
        let mut said: Vec<_> = said.iter().map(String::as_str).collect();
        expected.sort_unstable();
        said.sort_unstable();
        assert_eq!(said, expected);
        for (event, path) in news.iter().zip(paths) {
            let by = json!({ "kind": "task", "id": null, "name": "products:import" });
            assert_eq!((&event["actor"], &event["request_id"]), (&by, &json!(null)));
            assert_eq!(event["data"], admin.get(&path).await.body);
        }
        last = newest["items"][0]["id"].as_i64().unwrap();
    }
}

#[tokio::test]
async fn a_changed_product_is_found_by_its_new_name() {
    let shop = Shop::open().await;
    import(&shop, TWO).await.unwrap();
    import(&shop, "sku,name,price\nB-1,Beaker,12\n")
        .await
        .unwrap();
    let found = shop.admin().await.get("/products?q=BEAK").await.body;
    assert_eq!(found["total_items"], 1);
}

#[tokio::test]
async fn a_product_that_is_the_same_already_is_left_alone() {
    let shop = Shop::open().await;
    import(&shop, TWO).await.unwrap();
    let before = products(&shop).await;
    import(&shop, TWO).await.unwrap();
    assert_eq!(products(&shop).await, before);
    assert_eq!(movements(&shop).await, ["1 initial 7"]);
}

#[tokio::test]
async fn what_became_of_the_rows_is_counted() {
    let shop = Shop::open().await;
    import(&shop, TWO).await.unwrap();
    let text = "sku,name,price,stock\nA-1,Tea,4.50,7\nB-1,Mug,12.00,\nC-1,Pot,30,1\nD-1,Jug,8,\n";
    let outcome = import_by_program(&shop, text).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(
        outcome.stdout,
        "4 rows: 2 added, 1 changed, 1 the same, 0 refused.\n"
    );
}

#[tokio::test]
async fn the_second_row_of_a_sku_is_refused_with_the_line_of_the_first() {
    let shop = Shop::open().await;
    let outcome =
        import_by_program(&shop, "sku,name,price\nA-1,Tea,1\nB-1,Cup,2\nA-1,Chai,3\n").await;
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.stderr.lines().next(),
        Some("line 4: the SKU A-1 stands on line 2 already")
    );
    assert_eq!(
        outcome.stdout,
        "3 rows: 2 added, 0 changed, 0 the same, 1 refused.\n"
    );
    assert_eq!(catalogue(&shop).await, ["A-1 Tea 100 -", "B-1 Cup 200 -"]);
}

#[tokio::test]
async fn the_second_row_of_a_sku_is_refused_however_far_it_is_from_the_first() {
    let shop = Shop::open().await;
    let text = format!("{}S-00000,Last,9.99,1\n", table(1_200));
    let why = import(&shop, &text).await.unwrap_err();
    assert_eq!(why, "1 row was refused, all others were imported");
    let products = products(&shop).await;
    assert_eq!(products.len(), 1_200);
    assert_eq!(products[0].name, "Product 0");
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn an_atomic_import_with_two_rows_of_a_sku_imports_nothing() {
    let shop = Shop::open().await;
    let text = format!("{}S-00000,Last,9.99,1\n", table(3));
    let why = import_atomically(&shop, &text).await.unwrap_err();
    assert_eq!(why, "1 row was refused: nothing was imported");
    assert_eq!(products(&shop).await, []);
}

#[tokio::test]
async fn a_quote_left_open_is_reported_and_the_rows_before_it_are_imported() {
    let shop = Shop::open().await;
    let text = "sku,name,price,description\nA-1,Tea,1,\nB-1,Nail,2,\"6 inch nail\nC-1,Cup,3,\nD-1,Pot,4,\n";
    let outcome = import_by_program(&shop, text).await;
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.stderr.lines().next(),
        Some("line 3: the quote that opens on line 3 is never closed: nothing after it was read")
    );
    assert_eq!(
        outcome.stdout,
        "2 rows: 1 added, 0 changed, 0 the same, 1 refused.\n"
    );
    assert_eq!(catalogue(&shop).await, ["A-1 Tea 100 -"]);
    import_atomically(&shop, text).await.unwrap_err();
}

#[tokio::test]
async fn lines_are_right_whatever_ends_them() {
    let shop = Shop::open().await;
    for end in ["\n", "\r\n", "\r"] {
        let text = "sku,name,price\nA-1,Tea,1\nB-1,,1\nC-1,Cup,x\nD-1,\"Pot\nlid\",1\nE-1,Jug,y\n";
        let outcome = import_by_program(&shop, &text.replace('\n', end)).await;
        let lines: Vec<_> = outcome
            .stderr
            .lines()
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(
            lines[..4],
            ["line 3", "line 4", "line 5", "line 7"],
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn rows_of_nothing_but_commas_are_left_out() {
    let shop = Shop::open().await;
    import_atomically(&shop, "sku,name,price,stock\nA-1,Tea,1,\n,,,\n,,,\n")
        .await
        .unwrap();
    assert_eq!(catalogue(&shop).await, ["A-1 Tea 100 -"]);
}

#[tokio::test]
async fn a_table_as_european_spreadsheets_write_it_is_read() {
    let shop = Shop::open().await;
    import(
        &shop,
        "SKU;Name;Price;Stock\r\n A-1 ; Lamp, big ; 19.99 ; 5 \r\n",
    )
    .await
    .unwrap();
    assert_eq!(catalogue(&shop).await, ["A-1 Lamp, big 1999 5"]);
}

#[tokio::test]
async fn a_list_of_stocks_changes_nothing_else_and_refuses_skus_that_are_new() {
    let shop = Shop::open().await;
    import(&shop, TWO).await.unwrap();
    let outcome = import_by_program(&shop, "sku,stock\nA-1,3\nC-1,4\nB-1,\n").await;
    assert_eq!(
        outcome.stderr.lines().next(),
        Some(
            "line 3: name is required, for the product is new; price is required, for the product is new"
        )
    );
    assert_eq!(
        outcome.stdout,
        "3 rows: 0 added, 1 changed, 1 the same, 1 refused.\n"
    );
    assert_eq!(catalogue(&shop).await, ["A-1 Tea 450 3", "B-1 Cup 1200 -"]);
    let why = import_atomically(&shop, "sku,stock\nA-1,9\nC-1,4\n")
        .await
        .unwrap_err();
    assert_eq!(why, "1 row was refused: nothing was imported");
    assert_eq!(catalogue(&shop).await[0], "A-1 Tea 450 3");
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn a_product_without_a_sku_is_known_by_its_id_and_its_name() {
    let (shop, admin) = Shop::open_with_admin().await;
    admin.sell("Tea", "1", None).await;
    admin
        .add_product(json!({ "name": "Cup", "price": "2", "sku": "B-1" }))
        .await;
    admin.sell("Pot", "3", 1).await;
    let text =
        "id,sku,name,price,stock\n1,,Tea,5,7\n2,,Cup,5,\n3,,Jug,5,\n3,P-1,Pot,4,2\n9,,Mug,6,8\n";
    let outcome = import_by_program(&shop, text).await;
    let lines: Vec<_> = outcome.stderr.lines().take(3).collect();
    assert_eq!(
        lines,
        [
            "line 5: the id 3 stands on line 4 already",
            "line 3: id is that of a product that has a SKU or another name",
            "line 4: id is that of a product that has a SKU or another name",
        ]
    );
    import(&shop, "id,sku,name,price,stock\n3,P-1,Pot,4,2\n")
        .await
        .unwrap();
    assert_eq!(
        catalogue(&shop).await,
        [" Tea 500 7", "B-1 Cup 200 -", "P-1 Pot 400 2", " Mug 600 8"]
    );
    let found = admin.get("/products?q=p-1").await.body;
    assert_eq!(found["total_items"], 1);
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn an_import_that_the_database_breaks_off_counts_every_row() {
    let shop = Shop::open().await;
    let one_of_a_name = "CREATE UNIQUE INDEX one_of_a_name ON products (name)";
    shop.ctx.db.execute_unprepared(one_of_a_name).await.unwrap();
    let text = table(1_200).replace("Product 700", "Product 3");
    let outcome = import_by_program(&shop, &text).await;
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.stdout,
        "1200 rows: 500 added, 0 changed, 0 the same, 0 refused, 700 left out.\n"
    );
    assert_eq!(products(&shop).await.len(), 500);
}

#[tokio::test]
async fn an_import_that_a_signal_ends_counts_what_it_has_read() {
    let shop = Shop::open().await;
    let program = Program::new("test").on(&shop.ctx.config.database.uri);
    let directory = tempfile::tempdir().unwrap();
    let pipe = pipe_in(&directory);
    let mut running = program.start(&[
        "task",
        "products:import",
        &format!("file:{}", pipe.display()),
    ]);
    let open = spawn_blocking(move || File::options().write(true).open(pipe).unwrap());
    let mut writer = open.await.unwrap();
    writer.write_all(table(700).as_bytes()).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while products(&shop).await.is_empty() {
        assert!(Instant::now() < deadline && running.ended().is_none());
        sleep(Duration::from_millis(20)).await;
    }
    running.terminate();
    let outcome = loop {
        if let Some(outcome) = running.ended() {
            break outcome;
        }
        assert!(Instant::now() < deadline, "it does not end");
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(
        outcome.stdout,
        "700 rows: 500 added, 0 changed, 0 the same, 0 refused, 200 left out. \
         The file has more rows, which were left out and not counted.\n"
    );
    assert!(outcome.stderr.contains("the import was interrupted"));
    assert_eq!(products(&shop).await.len(), 500);
}

#[tokio::test]
async fn an_atomic_import_from_a_pipe_is_refused() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let pipe = pipe_in(&directory);
    let arguments = [("file", pipe.to_str().unwrap()), ("atomic", "true")];
    let why = run(ProductsImport, &shop, &arguments).await.unwrap_err();
    assert!(
        why.ends_with("atomic:true reads the file twice, which only a regular file allows"),
        "{why}"
    );
}

#[tokio::test]
async fn a_product_is_found_by_its_sku_in_any_case_and_form() {
    let shop = Shop::open().await;
    import(&shop, "sku,name,price\nCAFÉ,Tea,1\n").await.unwrap();
    import(&shop, "sku,price\ncafe\u{301},2\n").await.unwrap();
    assert_eq!(catalogue(&shop).await, ["café Tea 200 -"]);
    let text = "sku,name,price\nA-1,Tea,1\na-1,Cup,2\n";
    let outcome = import_by_program(&shop, text).await;
    assert_eq!(
        outcome.stderr.lines().next(),
        Some("line 3: the SKU a-1 stands on line 2 already")
    );
}

#[tokio::test]
async fn the_sku_of_an_archived_product_is_free() {
    let shop = Shop::open().await;
    import(&shop, TWO).await.unwrap();
    shop.admin().await.delete("/products/1").await;
    import(&shop, "sku,name,price\nA-1,New tea,5\n")
        .await
        .unwrap();
    assert_eq!(products(&shop).await[2].name, "New tea");
}

#[tokio::test]
async fn every_bad_row_is_reported_with_its_line_and_every_reason() {
    let shop = Shop::open().await;
    let text = "sku,name,price,stock\nA-1,Tea,4.50,7\nB-1,,x,\n,Cup,1,-2\nC-1,Pot\nD-1,Jug,8,\n";
    let outcome = import_by_program(&shop, text).await;
    let mut lines: Vec<_> = outcome.stderr.lines().collect();
    let last = lines.pop().unwrap();
    assert_eq!(
        lines,
        [
            "line 3: name is required; price must be a decimal number such as 19.99",
            "line 4: stock must be between 0 and 1000000000000; sku is required: it says which product the row is",
            "line 5: has 2 cells where there are 4 columns",
        ]
    );
    assert!(last.contains("3 rows were refused, all others were imported"));
}

#[tokio::test]
async fn good_rows_are_imported_beside_bad_ones_and_the_exit_code_is_1() {
    let shop = Shop::open().await;
    let text = "sku,name,price\nA-1,Tea,4.50\nB-1,Cup,x\nC-1,Pot,30\n";
    let outcome = import_by_program(&shop, text).await;
    assert_eq!(outcome.code, Some(1));
    assert_eq!(catalogue(&shop).await, ["A-1 Tea 450 -", "C-1 Pot 3000 -"]);
}

#[tokio::test]
async fn an_atomic_import_with_a_bad_row_imports_nothing() {
    let shop = Shop::open().await;
    let why = import_atomically(&shop, &format!("{}X,No price,\n", table(600)))
        .await
        .unwrap_err();
    assert_eq!(why, "1 row was refused: nothing was imported");
    assert_eq!(products(&shop).await, []);
}

#[tokio::test]
async fn an_atomic_import_without_bad_rows_imports_all() {
    let shop = Shop::open().await;
    import_atomically(&shop, &table(600)).await.unwrap();
    assert_eq!(products(&shop).await.len(), 600);
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn atomic_is_true_or_false() {
    let shop = Shop::open().await;
    let why = run(
        ProductsImport,
        &shop,
        &[("file", "products.csv"), ("atomic", "yes")],
    )
    .await
    .unwrap_err();
    assert_eq!(why, "atomic:yes is neither true nor false");
}

#[tokio::test]
async fn every_change_of_stock_stands_in_the_ledger() {
    let shop = Shop::open().await;
    let head = "sku,name,price,stock\n";
    import(
        &shop,
        format!("{head}A-1,Tea,1,7\nB-1,Cup,2,\nC-1,Pot,3,4\n"),
    )
    .await
    .unwrap();
    import(
        &shop,
        format!("{head}A-1,Tea,1,2\nB-1,Cup,2,5\nC-1,Pot,3,\n"),
    )
    .await
    .unwrap();
    assert_eq!(
        movements(&shop).await,
        [
            "1 initial 7",
            "3 initial 4",
            "1 adjustment -5",
            "2 initial 5",
            "3 adjustment -4"
        ]
    );
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn an_import_between_orders_keeps_stock_and_ledger_together() {
    let shop = Shop::open().await;
    import(&shop, TWO).await.unwrap();
    let order = json!({ "items": [{ "product_id": 1, "quantity": 2 }] });
    shop.customer("ada").await.post("/orders", order).await;
    import(&shop, TWO).await.unwrap();
    assert_eq!(products(&shop).await[0].stock, Some(7));
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn twenty_thousand_rows_are_imported_in_one_go() {
    let shop = Shop::open().await;
    import(&shop, table(20_000)).await.unwrap();
    assert_eq!(products(&shop).await.len(), 20_000);
    assert_invariants(&shop.ctx.db).await;
}

#[tokio::test]
async fn a_file_is_required() {
    let shop = Shop::open().await;
    let why = run(ProductsImport, &shop, &[]).await.unwrap_err();
    assert_eq!(why, "file:PATH is required");
}

#[tokio::test]
async fn an_argument_that_is_not_known_is_refused() {
    let shop = Shop::open().await;
    let arguments = [("file", "products.csv"), ("atomc", "true")];
    let why = run(ProductsImport, &shop, &arguments).await.unwrap_err();
    assert_eq!(why, "the argument atomc is not one of file, atomic");
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let shop = Shop::open().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nowhere.csv");
    let why = import_file(&shop, &path).await.unwrap_err();
    assert!(why.starts_with(path.to_str().unwrap()), "{why}");
    assert!(why.contains("No such file"), "{why}");
}

#[tokio::test]
async fn an_empty_file_has_no_columns() {
    let shop = Shop::open().await;
    let why = import(&shop, "").await.unwrap_err();
    assert!(
        why.ends_with("line 1: the line that names the columns is missing"),
        "{why}"
    );
}

#[tokio::test]
async fn a_file_without_a_header_imports_nothing() {
    let shop = Shop::open().await;
    import(&shop, "A-1,Tea,4.50\nB-1,Cup,12\n")
        .await
        .unwrap_err();
    assert_eq!(products(&shop).await, []);
}

#[tokio::test]
async fn an_unknown_column_is_refused_even_when_it_is_empty() {
    let shop = Shop::open().await;
    let outcome = import_by_program(&shop, "sku,name,price,stok\nA-1,Tea,4.50,\n").await;
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("stok is not known here"),
        "{outcome:?}"
    );
    assert_eq!(products(&shop).await, []);
}

#[tokio::test]
async fn a_row_that_is_not_utf_8_is_refused_and_the_next_is_imported() {
    let shop = Shop::open().await;
    import(&shop, b"sku,name,price\nA-1,Th\xe9,1\nB-1,Cup,2\n")
        .await
        .unwrap_err();
    assert_eq!(catalogue(&shop).await, ["B-1 Cup 200 -"]);
}

#[tokio::test]
async fn a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_text() {
    let shop = Shop::open().await;
    import(
        &shop,
        "\u{feff}sku,name,price,stock\r\nA-1,Tea,4.50,7\r\nB-1,Cup,12,\r\n",
    )
    .await
    .unwrap();
    assert_eq!(catalogue(&shop).await, ["A-1 Tea 450 7", "B-1 Cup 1200 -"]);
}

#[tokio::test]
async fn quoted_cells_may_hold_line_breaks_quotes_and_commas() {
    let shop = Shop::open().await;
    import(
        &shop,
        "sku,name,price,description\nA-1,\"Tea, \"\"black\"\"\",1,\"one\ntwo\"\n",
    )
    .await
    .unwrap();
    let product = &products(&shop).await[0];
    assert_eq!(product.name, "Tea, \"black\"");
    assert_eq!(product.description.as_deref(), Some("one\ntwo"));
}

async fn import_by_program(shop: &Shop, text: &str) -> Outcome {
    Program::new("test")
        .on(&shop.ctx.config.database.uri)
        .input(text)
        .run(&["task", "products:import", "file:/dev/stdin"])
        .await
}

async fn import_atomically(shop: &Shop, text: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("products.csv");
    std::fs::write(&path, text).unwrap();
    let arguments = [("file", path.to_str().unwrap()), ("atomic", "true")];
    run(ProductsImport, shop, &arguments).await
}

/// A table of that many products.
fn table(rows: usize) -> String {
    let mut text = "sku,name,price,stock\n".to_owned();
    for row in 0..rows {
        writeln!(
            text,
            "S-{row:05},Product {row},{}.50,{}",
            row % 100,
            row % 7
        )
        .unwrap();
    }
    text
}

async fn catalogue(shop: &Shop) -> Vec<String> {
    let products = products(shop).await;
    let shown = products.into_iter().map(|product| {
        let stock = product
            .stock
            .map_or_else(|| "-".to_owned(), |stock| stock.to_string());
        let sku = product.sku.unwrap_or_default();
        format!("{sku} {} {} {stock}", product.name, product.price_minor)
    });
    shown.collect()
}

async fn movements(shop: &Shop) -> Vec<String> {
    let movements = stock_movements::Entity::find()
        .order_by_asc(stock_movements::Column::Id)
        .all(&shop.ctx.db)
        .await
        .unwrap();
    let shown = movements.into_iter().map(|movement| {
        format!(
            "{} {} {}",
            movement.product_id, movement.kind, movement.delta
        )
    });
    shown.collect()
}

#[tokio::test]
async fn a_table_without_a_column_leaves_what_it_would_have_said_as_it_was() {
    let (shop, admin) = Shop::open_with_admin().await;
    let known = admin
        .add_product(json!({ "name": "Tea", "price": "1", "sku": "T-1", "stock": 7, "description": "Black." }))
        .await;
    import(&shop, "sku,name,price\nT-1,Green tea,2\n")
        .await
        .unwrap();
    let product = admin.get(&format!("/products/{known}")).await.body;
    assert_eq!(product["name"], "Green tea");
    assert_eq!(
        (&product["stock"], &product["description"]),
        (&json!(7), &json!("Black."))
    );
}

#[tokio::test]
async fn a_product_has_the_class_of_its_cell_and_the_standard_one_where_that_is_empty() {
    let shop = Shop::open().await;
    import(
        &shop,
        "sku,name,price,tax_class\nA-1,Tea,1,zero\nB-1,Cup,2,\nC-1,Pot,3,standard\n",
    )
    .await
    .unwrap();
    import(&shop, "sku,name,price\nA-1,Green tea,1\nD-1,Jug,4\n")
        .await
        .unwrap();
    assert_eq!(
        classes(&shop).await,
        ["A-1 zero", "B-1 standard", "C-1 standard", "D-1 standard"]
    );
    import(&shop, "sku,tax_class\nA-1,\nB-1,zero\n")
        .await
        .unwrap();
    assert_eq!(classes(&shop).await[..2], ["A-1 standard", "B-1 zero"]);
}

#[tokio::test]
async fn a_row_with_a_class_that_has_no_rate_is_refused() {
    let (shop, admin) = Shop::open_with_admin().await;
    import(&shop, TWO).await.unwrap();
    let rate = json!({ "name": "VAT", "country": "DE", "tax_class": "reduced", "rate": 7 });
    assert_eq!(admin.post("/tax-rates", rate).await.outcome(), "201");
    let text = "sku,name,tax_class\nA-1,Tea,reducde\nB-1,Cup,reduced\nC-1,Pot,Zero\n";
    let outcome = import_by_program(&shop, text).await;
    let lines: Vec<_> = outcome.stderr.lines().take(2).collect();
    let why = "tax_class must be `standard`, `zero`, or the class of a tax rate";
    assert_eq!(
        lines,
        [
            format!("line 2: {why}"),
            format!("line 4: price is required, for the product is new; {why}"),
        ]
    );
    assert_eq!(
        outcome.stdout,
        "3 rows: 0 added, 1 changed, 0 the same, 2 refused.\n"
    );
    assert_eq!(classes(&shop).await, ["A-1 standard", "B-1 reduced"]);
}

async fn classes(shop: &Shop) -> Vec<String> {
    let products = products(shop).await.into_iter();
    let shown = products
        .map(|product| format!("{} {}", product.sku.unwrap_or_default(), product.tax_class));
    shown.collect()
}

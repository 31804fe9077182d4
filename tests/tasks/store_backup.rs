//! `store:backup`: a SQLite store in one new file, while it is written to.

use std::{
    cell::Cell,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::Duration,
};

use boxcar::tasks::store_backup::StoreBackup;
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use super::run;
use crate::support::{
    Client, Mismatches, PASSWORD, Program, Server, Shop, SmallDisk, TestDatabase, assert_invariants,
};

#[tokio::test]
async fn a_backup_while_orders_are_placed_is_of_one_moment_and_a_whole_store() {
    let (shop, admin) = sqlite_shop().await;
    let lamp = admin.sell("Lamp", "9", 1_000_000).await;
    let buyer = shop.customer("buyer").await;
    let directory = tempfile::tempdir().unwrap();
    for number in 0..5 {
        let path = directory.path().join(format!("{number}.sqlite"));
        let made = Cell::new(false);
        let backup = async {
            back_up(&shop, &path).await.unwrap();
            made.set(true);
        };
        let orders = async {
            while !made.get() {
                let answer = buyer.order(&[(lamp, 1)]).await;
                assert_eq!(answer.status, 201, "{}", answer.body);
            }
        };
        tokio::join!(backup, orders);
        let copy = Database::connect(format!("sqlite://{}", path.display()));
        let copy = copy.await.unwrap();
        assert_invariants(&copy).await;
        copy.close().await.unwrap();
    }
    assert_eq!(
        names(&directory),
        (0..5)
            .map(|number| format!("{number}.sqlite"))
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_server_goes_on_from_a_backup_that_takes_the_place_of_its_file() {
    let (shop, admin) = sqlite_shop().await;
    let lamp = admin.sell("Lamp", "9", 3).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backup.sqlite");
    back_up(&shop, &path).await.unwrap();
    // What comes after it is not in it.
    admin.sell("Later", "9", 3).await;
    let address = format!("sqlite://{}", path.display());
    let server = Server::start(Program::new("test").on(&address)).await;
    let restored = Shop::open_on(TestDatabase::create().await, {
        let mut config = shop.ctx.config.clone();
        config.database.uri = address;
        config
    })
    .await;
    let admin = restored.logged_in("root", PASSWORD).await;
    let products = admin.get("/products").await;
    assert_eq!(products.body["total_items"], 1);
    assert_eq!(products.body["items"][0]["id"], lamp);
    let answer = admin
        .patch(&format!("/products/{lamp}"), json!({ "stock": 4 }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    drop(server);
}

#[tokio::test]
async fn a_backup_says_how_much_is_in_it_and_is_for_its_owner_alone() {
    let (shop, admin) = sqlite_shop().await;
    admin.sell("Lamp", "9", 3).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("it's a backup?.sqlite");
    let outcome = Program::new("test")
        .on(&shop.ctx.config.database.uri)
        .run(&["task", "store:backup", &format!("file:{}", path.display())])
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let said = format!("The backup {} is complete: ", path.display());
    let said = outcome
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix(&said));
    assert!(said.unwrap().ends_with(" tables."), "{outcome:?}");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(names(&directory), ["it's a backup?.sqlite"]);
}

#[tokio::test]
async fn a_path_at_which_something_stands_is_refused_and_untouched() {
    let (shop, _) = sqlite_shop().await;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), "older").unwrap();
    symlink("file", at("link")).unwrap();
    symlink("nothing", at("loose link")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    let before = names(&directory);
    let mut mismatches = Mismatches::default();
    for name in &before {
        let why = back_up(&shop, &at(name)).await.unwrap_err();
        mismatches.compare(
            name,
            why,
            format!("{}: it exists already", at(name).display()),
        );
    }
    mismatches.compare("files", names(&directory), before);
    mismatches.compare(
        "file",
        fs::read_to_string(at("file")).unwrap(),
        "older".to_owned(),
    );
}

#[tokio::test]
async fn a_directory_that_is_missing_is_named() {
    let (shop, _) = sqlite_shop().await;
    let why = back_up(&shop, Path::new("/no/such/place/backup.sqlite"))
        .await
        .unwrap_err();
    assert!(
        why.starts_with("/no/such/place/backup.sqlite: No such file or directory"),
        "{why}"
    );
}

#[tokio::test]
async fn arguments_that_are_missing_or_unknown_are_refused() {
    let (shop, _) = sqlite_shop().await;
    let why = run(StoreBackup, &shop, &[]).await.unwrap_err();
    assert_eq!(why, "file:PATH is required");
    let why = run(StoreBackup, &shop, &[("to", "x")]).await.unwrap_err();
    assert_eq!(why, "the argument to is not one of file");
}

#[tokio::test]
async fn a_store_without_tables_has_no_backup() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backup.sqlite");
    let program = Program::new("test");
    let outcome = program
        .run(&["task", "store:backup", &format!("file:{}", path.display())])
        .await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains("there are no tables in the store"),
        "{outcome:?}"
    );
    assert!(names(&directory).is_empty());
}

#[tokio::test]
async fn a_damaged_store_has_no_backup() {
    let (shop, admin) = sqlite_shop().await;
    admin.sell("Lamp", "9", 3).await;
    let damage = "PRAGMA ignore_check_constraints = ON; UPDATE products SET stock = -1; \
                  PRAGMA ignore_check_constraints = OFF";
    shop.ctx.db.execute_unprepared(damage).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let why = back_up(&shop, &directory.path().join("backup.sqlite"))
        .await
        .unwrap_err();
    assert!(
        why.contains("the copy is damaged: CHECK constraint failed in products"),
        "{why}"
    );
    assert!(names(&directory).is_empty());
}

#[tokio::test]
async fn a_signal_leaves_no_part_of_a_backup() {
    let (shop, _) = sqlite_shop().await;
    // More than is written before the signal comes.
    let ballast = "CREATE TABLE ballast AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                   WHERE i < 40000) SELECT i, randomblob(2000) FROM n";
    shop.ctx.db.execute_unprepared(ballast).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backup.sqlite");
    let program = Program::new("test").on(&shop.ctx.config.database.uri);
    let backup = program.start(&["task", "store:backup", &format!("file:{}", path.display())]);
    while names(&directory).is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    backup.terminate();
    let outcome = backup.end().await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(names(&directory).is_empty(), "{:?}", names(&directory));
}

#[tokio::test]
async fn a_full_disk_leaves_no_part_of_a_backup() {
    let Some(disk) = SmallDisk::mount(1) else {
        return;
    };
    let (shop, admin) = sqlite_shop().await;
    admin.sell("Lamp", "9", 3).await;
    disk.fill();
    let path = disk.path().join("backup.sqlite");
    let why = back_up(&shop, &path).await.unwrap_err();
    assert!(why.starts_with(&format!("{}: ", path.display())), "{why}");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_store_on_a_server_has_no_backup_but_its_own_tools() {
    let shop = Shop::open().await;
    let tool = match shop.ctx.config.database.uri.split_once(':').unwrap().0 {
        "sqlite" => return,
        "mysql" => "mariadb-dump ",
        _ => "pg_dump ",
    };
    let why = back_up(&shop, Path::new("/backups/monday.dump"))
        .await
        .unwrap_err();
    assert!(
        why.starts_with("no backup was made") && why.contains(tool),
        "{why}"
    );
}

async fn back_up(shop: &Shop, path: &Path) -> Result<(), String> {
    run(StoreBackup, shop, &[("file", path.to_str().unwrap())]).await
}

/// A shop in a SQLite file, whatever `DATABASE_URL` says, and its administrator.
async fn sqlite_shop() -> (Shop, Client) {
    let database = TestDatabase::create_on("sqlite:".to_owned()).await;
    let config = database.configuration().await;
    let shop = Shop::open_on(database, config).await;
    let admin = shop.admin_named("root").await;
    (shop, admin)
}

fn names(directory: &TempDir) -> Vec<String> {
    let names = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

//! `rates:import`.

use boxcar::tasks::rates_import::RatesImport;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::run;
use crate::support::{Client, Outcome, Program, Shop};

const TAX: &str = "name,country,region,tax_class,rate\n\
    VAT,DE,,,19\n\
    Reduced VAT,DE,,reduced,7\n\
    Sales tax,US,New York,standard,8.875\n";

const SHIPPING: &str = "name,countries,price,free_from,tax_class,position\n\
    Standard,DE,4.90,50.00,,1\n\
    Books,\"DE, AT\",1.90,,reduced,2\n\
    World,*,19.90,,zero,3\n";

#[tokio::test]
async fn rates_that_are_not_known_are_added() {
    let (shop, admin) = Shop::open_with_admin().await;
    let files = Files::of(&[("tax", TAX), ("shipping", SHIPPING)]);
    let outcome = files.import_by_program(&shop).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(
        outcome.stdout,
        "3 tax rates: 3 added, 0 changed, 0 the same, 0 refused.\n\
         3 shipping rates: 3 added, 0 changed, 0 the same, 0 refused.\n"
    );
    assert_eq!(
        tax_rates(&admin).await,
        [
            "VAT DE null standard 19",
            "Reduced VAT DE null reduced 7",
            r#"Sales tax US "New York" standard 8.875"#
        ]
    );
    assert_eq!(
        shipping_rates(&admin).await,
        [
            r#"Standard ["DE"] 4.90 "50.00" standard 1"#,
            r#"Books ["DE","AT"] 1.90 null reduced 2"#,
            r#"World ["*"] 19.90 null zero 3"#
        ]
    );
}

#[tokio::test]
async fn a_tax_rate_of_a_known_country_region_and_class_is_changed() {
    let (shop, admin) = Shop::open_with_admin().await;
    import(&shop, "tax", TAX).await.unwrap();
    let text = "country,region,tax_class,name,rate\n\
                de,,,VAT,19\n\
                DE,,reduced,Half VAT,5\n\
                US, NEW york ,,Sales tax,9\n\
                US,,,Sales tax,1\n";
    let outcome = Files::of(&[("tax", text)]).import_by_program(&shop).await;
    assert_eq!(
        outcome.stdout,
        "4 tax rates: 1 added, 2 changed, 1 the same, 0 refused.\n"
    );
    assert_eq!(
        tax_rates(&admin).await,
        [
            "VAT DE null standard 19",
            "Half VAT DE null reduced 5",
            r#"Sales tax US "NEW york" standard 9"#,
            "Sales tax US null standard 1"
        ]
    );
}

#[tokio::test]
async fn a_shipping_rate_of_a_known_name_is_changed() {
    let (shop, admin) = Shop::open_with_admin().await;
    import(&shop, "tax", TAX).await.unwrap();
    import(&shop, "shipping", SHIPPING).await.unwrap();
    let text = "name,countries,price,free_from,tax_class,position\n\
                World,*,24.90,200,standard,4\n\
                Standard,DE,4.90,50.00,standard,1\n";
    let outcome = Files::of(&[("shipping", text)])
        .import_by_program(&shop)
        .await;
    assert_eq!(
        outcome.stdout,
        "2 shipping rates: 0 added, 1 changed, 1 the same, 0 refused.\n"
    );
    assert_eq!(
        shipping_rates(&admin).await[2],
        r#"World ["*"] 24.90 "200.00" standard 4"#
    );
}

#[tokio::test]
async fn a_table_without_a_column_leaves_what_it_would_have_said_as_it_was() {
    let (shop, admin) = Shop::open_with_admin().await;
    import(&shop, "tax", TAX).await.unwrap();
    import(&shop, "shipping", SHIPPING).await.unwrap();
    import(&shop, "tax", "country,tax_class,rate\nDE,reduced,5\n")
        .await
        .unwrap();
    import(&shop, "shipping", "name,price\nBooks,2\n")
        .await
        .unwrap();
    assert_eq!(tax_rates(&admin).await[1], "Reduced VAT DE null reduced 5");
    assert_eq!(
        shipping_rates(&admin).await[1],
        r#"Books ["DE","AT"] 2.00 null reduced 2"#
    );
}

#[tokio::test]
async fn every_bad_row_is_reported_with_its_file_and_line_and_nothing_is_imported() {
    let (shop, admin) = Shop::open_with_admin().await;
    let files = Files::of(&[
        ("tax", "name,country,rate\nVAT,DE,19\nVAT,UK,101\n"),
        (
            "shipping",
            "name,countries,price\nBad,DE Austria,x\nGood,*,1\n",
        ),
    ]);
    let outcome = files.import_by_program(&shop).await;
    assert_eq!(outcome.code, Some(1));
    let country = "must be the code of a country in two letters (ISO 3166-1 alpha-2), such as DE";
    let lines: Vec<_> = outcome.stderr.lines().take(2).collect();
    assert_eq!(
        lines,
        [
            format!(
                "{}: line 3: country {country}; rate must be between 0 and 100",
                files.path("tax")
            ),
            format!(
                "{}: line 2: countries/1 {}; price must be a decimal number such as 19.99",
                files.path("shipping"),
                country.replacen("the code", "* or the code", 1)
            ),
        ]
    );
    assert!(
        outcome
            .stderr
            .contains("2 rows were refused: nothing was imported"),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.stdout,
        "2 tax rates: 0 added, 0 changed, 0 the same, 1 refused, 1 left out.\n\
         2 shipping rates: 0 added, 0 changed, 0 the same, 1 refused, 1 left out.\n"
    );
    assert_eq!(tax_rates(&admin).await, [""; 0]);
}

#[tokio::test]
async fn a_row_that_the_store_refuses_leaves_both_files_out() {
    let (shop, admin) = Shop::open_with_admin().await;
    for price in [1, 2] {
        let twin = json!({ "name": "Twin", "countries": ["*"], "price": price });
        admin.post("/shipping-rates", twin).await;
    }
    let files = Files::of(&[
        (
            "tax",
            "name,country,rate\nVAT,DE,19\n,,\nVAT,AT,20\nTwice,de,5\n",
        ),
        (
            "shipping",
            "name,countries,price,tax_class\nBooks,DE,1,books\nTwin,DE,1,zero\nOnce,DE,1,\nOnce,DE DE,1,\nNice,DE de,1,\n",
        ),
    ]);
    let outcome = files.import_by_program(&shop).await;
    assert_eq!(outcome.code, Some(1));
    let (tax, shipping) = (files.path("tax"), files.path("shipping"));
    let lines: Vec<_> = outcome.stderr.lines().take(5).collect();
    assert_eq!(
        lines,
        [
            format!("{tax}: line 5: country has that region and class in an earlier row already"),
            format!(
                "{shipping}: line 2: tax_class must be `standard`, `zero`, or the class of a tax rate"
            ),
            format!("{shipping}: line 3: name is that of several shipping rates"),
            format!("{shipping}: line 5: name stands in an earlier row already"),
            format!("{shipping}: line 6: countries/1 is named twice"),
        ]
    );
    assert_eq!(
        outcome.stdout,
        "3 tax rates: 0 added, 0 changed, 0 the same, 1 refused, 2 left out.\n\
         5 shipping rates: 0 added, 0 changed, 0 the same, 4 refused, 1 left out.\n"
    );
    assert_eq!(tax_rates(&admin).await, [""; 0]);
    assert_eq!(shipping_rates(&admin).await.len(), 2);
}

#[tokio::test]
async fn a_new_rate_lacks_nothing_that_it_needs() {
    let shop = Shop::open().await;
    let files = Files::of(&[
        ("tax", "tax_class,country\n,DE\n"),
        ("shipping", "name,position\nStandard,1\n"),
    ]);
    let outcome = files.import_by_program(&shop).await;
    let lines: Vec<_> = outcome.stderr.lines().take(2).collect();
    assert_eq!(
        lines,
        [
            format!(
                "{}: line 2: name is required, for the tax rate is new; rate is required, for the tax rate is new",
                files.path("tax")
            ),
            format!(
                "{}: line 2: countries is required, for the shipping rate is new; price is required, for the shipping rate is new",
                files.path("shipping")
            ),
        ]
    );
}

#[tokio::test]
async fn a_row_that_does_not_say_which_rate_it_is_is_refused() {
    let shop = Shop::open().await;
    for (kind, text, line) in [
        (
            "tax",
            "name,rate\nVAT,19\n",
            "country is required: it says which tax rate the row is",
        ),
        (
            "shipping",
            "countries,price\nDE,1\n",
            "name is required: it says which shipping rate the row is",
        ),
    ] {
        let files = Files::of(&[(kind, text)]);
        let outcome = files.import_by_program(&shop).await;
        let first = outcome.stderr.lines().next();
        let expected = format!("{}: line 2: {line}", files.path(kind));
        assert_eq!(first, Some(&*expected));
    }
}

#[tokio::test]
async fn each_rate_that_is_added_or_changed_is_an_event_of_the_command() {
    let (shop, admin) = Shop::open_with_admin().await;
    import(&shop, "tax", TAX).await.unwrap();
    import(&shop, "shipping", SHIPPING).await.unwrap();
    import(&shop, "tax", "country,name,rate\nDE,VAT,16\nFR,TVA,20\n")
        .await
        .unwrap();
    let news = admin.get("/events?page_size=100&sort=id&cursor=").await;
    let news = news.body["items"].as_array().unwrap().clone();
    let by = json!({ "kind": "task", "id": null, "name": "rates:import" });
    let news = news.iter().filter(|event| event["actor"] == by);
    let said: Vec<_> = news
        .map(|event| format!("{} {}", text(&event["type"]), text(&event["data"]["name"])))
        .collect();
    assert_eq!(
        said,
        [
            "tax_rate.created VAT",
            "tax_rate.created Reduced VAT",
            "tax_rate.created Sales tax",
            "shipping_rate.created Standard",
            "shipping_rate.created Books",
            "shipping_rate.created World",
            "tax_rate.updated VAT",
            "tax_rate.created TVA"
        ]
    );
}

#[tokio::test]
async fn a_file_of_either_kind_is_required() {
    let shop = Shop::open().await;
    let why = run(RatesImport, &shop, &[]).await.unwrap_err();
    assert_eq!(why, "tax:PATH or shipping:PATH is required");
}

#[tokio::test]
async fn an_argument_that_is_not_known_is_refused() {
    let shop = Shop::open().await;
    let why = run(RatesImport, &shop, &[("file", "rates.csv")])
        .await
        .unwrap_err();
    assert_eq!(why, "the argument file is not one of tax, shipping");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let shop = Shop::open().await;
    let why = run(RatesImport, &shop, &[("tax", "/nowhere/tax.csv")])
        .await
        .unwrap_err();
    assert!(why.starts_with("/nowhere/tax.csv: No such file"), "{why}");
    let why = import(&shop, "shipping", TAX).await.unwrap_err();
    assert!(
        why.ends_with(
            "line 1: country is not known here; region is not known here; rate is not known here"
        ),
        "{why}"
    );
}

/// Files of rates, by what they are for.
struct Files {
    directory: TempDir,
    kinds: Vec<&'static str>,
}

impl Files {
    fn of(files: &[(&'static str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (kind, text) in files {
            let path = directory.path().join(format!("{kind}.csv"));
            std::fs::write(path, text).unwrap();
        }
        let kinds = files.iter().map(|(kind, _)| *kind).collect();
        Self { directory, kinds }
    }

    fn path(&self, kind: &str) -> String {
        let path = self.directory.path().join(format!("{kind}.csv"));
        path.to_str().unwrap().to_owned()
    }

    async fn import_by_program(&self, shop: &Shop) -> Outcome {
        let kinds = self.kinds.iter();
        let arguments: Vec<_> = kinds
            .map(|kind| format!("{kind}:{}", self.path(kind)))
            .collect();
        let mut words = vec!["task", "rates:import"];
        words.extend(arguments.iter().map(String::as_str));
        Program::new("test")
            .on(&shop.ctx.config.database.uri)
            .run(&words)
            .await
    }
}

async fn import(shop: &Shop, kind: &'static str, text: &str) -> Result<(), String> {
    let files = Files::of(&[(kind, text)]);
    run(RatesImport, shop, &[(kind, &files.path(kind))]).await
}

async fn tax_rates(admin: &Client) -> Vec<String> {
    let list = admin.get("/tax-rates").await.body;
    let rates = list["items"].as_array().unwrap().iter();
    let shown = rates.map(|rate| {
        let [name, country, class, percent] =
            ["name", "country", "tax_class", "rate"].map(|field| text(&rate[field]));
        format!("{name} {country} {} {class} {percent}", rate["region"])
    });
    shown.collect()
}

async fn shipping_rates(admin: &Client) -> Vec<String> {
    let list = admin.get("/shipping-rates").await.body;
    let rates = list["items"].as_array().unwrap().iter();
    let shown = rates.map(|rate| {
        let [name, price, class] = ["name", "price", "tax_class"].map(|field| text(&rate[field]));
        let (countries, free_from) = (&rate["countries"], &rate["free_from"]);
        format!(
            "{name} {countries} {price} {free_from} {class} {}",
            rate["position"]
        )
    });
    shown.collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

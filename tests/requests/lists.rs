//! Lists: filtered, sorted, and paged by number or by cursor.

use std::{collections::BTreeMap, time::Duration};

use axum::http::StatusCode;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use boxcar::{
    models::{
        Actor,
        products::{self, Changes, Row},
        queue::{Client as Asker, searching},
        types::{Money, ProductName, Scalar, Sku, Stock, search_fold},
    },
    transaction,
};
use futures_util::future::join_all;
use proptest::{prelude::*, test_runner::TestRunner};
use sea_orm::{EntityTrait, ExprTrait, QueryFilter, QueryOrder, sea_query::Expr};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{Answer, Client, Mismatches, Shop};

/// How long a test looks at what should not move.
const SHORT: Duration = Duration::from_millis(300);

/// Every order that products are listed in.
const SORTS: [&str; 8] = [
    "id",
    "-id",
    "name",
    "-name",
    "price",
    "-price",
    "created_at",
    "-created_at",
];

#[tokio::test]
async fn a_search_waits_for_its_turn_and_nothing_else_does() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let id = admin.sell("Kettle", "1.00", None).await;
    let searches = [
        "/products?q=k",
        "/customers?q=k",
        "/customer-accounts?q=k",
        "/products?q=k&cursor=",
    ];
    let mut turns = vec![searching().turn(Asker::System).await.unwrap()];
    while let Ok(turn) = timeout(SHORT, searching().turn(Asker::System)).await {
        turns.push(turn.unwrap());
    }
    for search in searches {
        assert!(timeout(SHORT, admin.get(search)).await.is_err(), "{search}");
    }
    for path in [
        &*format!("/products/{id}"),
        "/products",
        "/customers?cursor=",
    ] {
        assert_eq!(admin.get(path).await.status, 200, "{path}");
    }
    drop(turns);
    for answer in join_all(searches.map(|search| admin.get(search))).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn pages_by_number_and_by_cursor_show_the_same() {
    let (_shop, admin, _) = shop_with_catalogue().await;
    for sort in SORTS {
        let list = format!("/products?page_size=13&sort={sort}");
        let pages = read_on(&admin, &list).await;
        let by_cursor = read_on(&admin, &format!("{list}&cursor=")).await;
        assert_eq!(pages, by_cursor, "{sort}");
    }
}

#[tokio::test]
async fn a_list_shows_every_row_once_in_order_and_equal_rows_by_id() {
    let (_shop, admin, rows) = shop_with_catalogue().await;
    for sort in SORTS {
        let listed = read_on(&admin, &format!("/products?page_size=13&sort={sort}")).await;
        assert_eq!(listed, ids(&sorted(rows.iter().collect(), sort)), "{sort}");
    }
}

#[tokio::test]
async fn an_unsorted_list_is_in_the_order_of_ids() {
    let (_shop, admin, rows) = shop_with_catalogue().await;
    let listed = read_on(&admin, "/products").await;
    assert_eq!(listed, ids(&rows.iter().collect::<Vec<_>>()));
}

#[tokio::test]
async fn names_are_sorted_without_regard_to_case() {
    let (_shop, admin) =
        shop_with_names(&["banana", "Éclair", "Apple", "éclaf", "apricot", "Banjo"]).await;
    assert_eq!(
        names(&admin.get("/products?sort=name").await),
        ["Apple", "apricot", "banana", "Banjo", "éclaf", "Éclair"]
    );
}

#[tokio::test]
async fn by_cursor_each_old_row_is_seen_once_while_rows_are_added_around_it() {
    let (_shop, admin, rows) = shop_with_catalogue().await;
    let mut seen = Vec::new();
    let mut next = Some("/products?sort=price&page_size=10&cursor=".to_owned());
    while let Some(page) = next {
        let answer = admin.get(&page).await;
        seen.extend(ids_of(&answer));
        for price in ["0.00", "2.00", "10.50", "99.00"] {
            let product = json!({ "name": "Newcomer", "price": price });
            // It would never end if something new were always at its end.
            if seen.len() < rows.len() {
                admin.add_product(product).await;
            }
        }
        next = links(&answer).remove("next");
    }
    seen.sort_unstable();
    let all = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), all, "a row was seen twice");
    assert!(rows.iter().all(|row| seen.contains(&row.id)));
    assert!(all > rows.len(), "what was added further on is seen, too");
}

#[tokio::test]
async fn a_page_by_number_says_where_it_stands() {
    let (_shop, admin, _) = shop_with_catalogue().await;
    let mut page = admin.get("/products?page=6&page_size=10").await.body;
    assert_eq!(page["items"].take().as_array().unwrap().len(), 7);
    assert_eq!(
        page,
        json!({ "items": null, "page": 6, "page_size": 10, "total_pages": 6, "total_items": 57 })
    );
}

#[tokio::test]
async fn a_page_by_cursor_says_where_it_goes_on() {
    let (_shop, admin, _) = shop_with_catalogue().await;
    let mut page = admin.get("/products?cursor=&page_size=10").await.body;
    assert_eq!(page["items"].take().as_array().unwrap().len(), 10);
    assert!(page["next_cursor"].take().is_string());
    assert_eq!(
        page,
        json!({ "items": null, "page_size": 10, "next_cursor": null })
    );
}

#[tokio::test]
async fn cursor_pagination_ends_with_the_last_row_even_when_that_fills_a_page() {
    let (_shop, admin, _) = shop_with_catalogue().await;
    for page_size in [57, 58] {
        let page = format!("/products?cursor=&page_size={page_size}");
        let answer = admin.get(&page).await.body;
        assert_eq!(answer["items"].as_array().unwrap().len(), 57);
        assert_eq!(answer.get("next_cursor"), Some(&Value::Null));
    }
}

#[tokio::test]
async fn a_page_beyond_the_end_is_empty_and_knows_the_totals() {
    let (_shop, admin, _) = shop_with_catalogue().await;
    for page in [7, 1_000_000_000] {
        let answer = admin
            .get(&format!("/products?page={page}&page_size=10"))
            .await;
        assert_eq!(
            (answer.status, answer.body),
            (
                StatusCode::OK,
                json!({
                    "items": [], "page": page, "page_size": 10, "total_pages": 6, "total_items": 57,
                })
            )
        );
    }
}

#[tokio::test]
async fn an_empty_list_is_a_page_without_items() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = admin.get("/products").await;
    assert_eq!(
        answer.body,
        json!({ "items": [], "page": 1, "page_size": 25, "total_pages": 0, "total_items": 0 })
    );
    let rels: Vec<_> = links(&answer).into_keys().collect();
    assert_eq!(rels, ["first", "last"]);
}

#[tokio::test]
async fn links_lead_to_the_neighbours_that_there_are() {
    let (_shop, admin, _) = shop_with_catalogue().await;
    for (page, neighbours) in [
        (1, vec![("first", 1), ("last", 6), ("next", 2)]),
        (3, vec![("first", 1), ("last", 6), ("next", 4), ("prev", 2)]),
        (6, vec![("first", 1), ("last", 6), ("prev", 5)]),
        (9, vec![("first", 1), ("last", 6), ("prev", 6)]),
    ] {
        let answer = admin
            .get(&format!("/products?page={page}&page_size=10"))
            .await;
        let expected = neighbours.into_iter().map(|(rel, page)| {
            let target = format!("/products?page_size=10&page={page}");
            (rel.to_owned(), target)
        });
        assert_eq!(links(&answer), expected.collect(), "{page}");
    }
}

#[tokio::test]
async fn links_of_a_page_by_cursor_lead_to_the_first_and_on() {
    let (_shop, admin, _) = shop_with_catalogue().await;
    let answer = admin.get("/products?cursor=&page_size=50").await;
    let mut beginning = links(&answer);
    let next = beginning.remove("next").unwrap();
    let cursor = answer.body["next_cursor"].as_str().unwrap();
    assert_eq!(next, format!("/products?page_size=50&cursor={cursor}"));
    let first = (
        "first".to_owned(),
        "/products?page_size=50&cursor=".to_owned(),
    );
    let end = links(&admin.get(&next).await);
    assert_eq!([beginning, end], [[first.clone()].into(), [first].into()]);
}

#[tokio::test]
async fn links_keep_the_other_parameters() {
    let (_shop, admin, rows) = shop_with_catalogue().await;
    let listed = read_on(
        &admin,
        "/products?page_size=5&q=%C3%89%20T&sort=-name&available=true&min_price=2",
    )
    .await;
    let wanted = rows.iter().filter(|row| {
        search_fold(&row.name).contains("e t") && row.price >= 200 && row.stock != Some(0)
    });
    let wanted = sorted(wanted.collect(), "-name");
    assert!(wanted.len() > 5, "there is more than one page");
    assert_eq!(listed, ids(&wanted));
}

#[tokio::test]
async fn a_page_has_one_to_a_hundred_rows() {
    let (_shop, admin, _) = shop_with_catalogue().await;
    for (page_size, count) in [(1, 1), (100, 57)] {
        for paging in ["page=1", "cursor="] {
            let list = format!("/products?{paging}&page_size={page_size}");
            assert_eq!(ids_of(&admin.get(&list).await).len(), count, "{list}");
        }
    }
}

#[tokio::test]
async fn a_page_has_25_rows_unless_said_otherwise() {
    let (_shop, admin, _) = shop_with_catalogue().await;
    for list in ["/products", "/products?cursor="] {
        assert_eq!(ids_of(&admin.get(list).await).len(), 25);
    }
}

#[tokio::test]
async fn a_parameter_that_breaks_a_rule_is_named_with_the_rule() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let mut mismatches = Mismatches::default();
    for (query, pointer, code) in [
        ("page=0", "/page", "range"),
        ("page=-1", "/page", "range"),
        ("page=two", "/page", "type"),
        ("page=1&page=2", "/page", "duplicate"),
        ("page_size=0", "/page_size", "range"),
        ("page_size=101", "/page_size", "range"),
        ("page_size=1.5", "/page_size", "type"),
        ("page=1&cursor=", "/cursor", "exclusive"),
        ("sort=colour", "/sort", "choice"),
        ("sort=", "/sort", "choice"),
        ("sort=stock", "/sort", "choice"),
        ("min_price=cheap", "/min_price", "format"),
        ("max_price=1.999", "/max_price", "precision"),
        ("max_price=-1", "/max_price", "range"),
        ("available=maybe", "/available", "type"),
        ("pgae=2", "/pgae", "unknown"),
    ] {
        let answer = admin.get(&format!("/products?{query}")).await;
        mismatches.answer(
            query,
            &answer,
            format!("422 validation-failed {pointer} {code}"),
        );
    }
}

#[tokio::test]
async fn a_search_has_up_to_200_characters() {
    let (_shop, admin) = Shop::open_with_admin().await;
    let answer = admin.get(&search(&"é".repeat(200))).await;
    assert_eq!(answer.status, 200);
    let answer = admin.get(&search(&"é".repeat(201))).await;
    answer.assert_invalid(&[("/q", "length")]);
}

#[tokio::test]
async fn a_cursor_that_this_list_did_not_give_out_is_malformed() {
    let (_shop, admin, _) = shop_with_catalogue().await;
    let page = admin.get("/products?cursor=&sort=price").await.body;
    let of_price = page["next_cursor"].as_str().unwrap();
    let of_time = |micros: i64| {
        // Before, and after, all times that a row can have.
        BASE64_URL_SAFE_NO_PAD.encode(format!("[\"created_at\",{micros},7]"))
    };
    let mut mismatches = Mismatches::default();
    for (sort, cursor) in [
        ("-price", of_price),
        ("name", of_price),
        ("id", of_price),
        ("created_at", of_price),
        ("created_at", &of_time(i64::MIN)),
        ("created_at", &of_time(-210_866_803_200_000_001)),
        ("created_at", &of_time(253_402_300_800_000_000)),
        ("id", "x"),
        ("id", "null"),
        ("id", "e30"),
        ("id", "W10"),
        ("id", "WyJpZCIsbnVsbF0"),
        ("id", "WyJpZCIsbnVsbCwxXQ=="),
        ("id", "%00"),
        ("id", "../../etc"),
    ] {
        let path = format!("/products?sort={sort}&cursor={cursor}");
        mismatches.answer(&path, &admin.get(&path).await, "400 malformed-request");
    }
}

#[tokio::test]
async fn a_search_finds_text_anywhere_in_the_name() {
    let (_shop, admin) = shop_with_names(&["Teapot", "Pot holder", "Spotlight", "Kettle"]).await;
    assert_eq!(
        found(&admin, "pot").await,
        ["Teapot", "Pot holder", "Spotlight"]
    );
}

#[tokio::test]
async fn a_search_finds_text_anywhere_in_the_sku() {
    let (_shop, admin) = shop_with_names(&["Teapot"]).await;
    let product = json!({ "name": "Kettle", "price": 1, "sku": "K-007/Ü" });
    admin.add_product(product).await;
    for q in ["K-007/Ü", "007", "k-0", "/ü"] {
        assert_eq!(found(&admin, q).await, ["Kettle"], "{q}");
    }
}

#[tokio::test]
async fn a_search_does_not_find_text_in_the_description() {
    let (_shop, admin) = shop_with_names(&[]).await;
    let product = json!({ "name": "Kettle", "price": 1, "description": "Whistles." });
    admin.add_product(product).await;
    assert!(found(&admin, "whistles").await.is_empty());
}

#[tokio::test]
async fn a_search_does_not_regard_case_in_any_script() {
    let (_shop, admin) =
        shop_with_names(&["CRÈME Brûlée", "ΣΊΣΥΦΟΣ", "Молоко", "İstanbul", "日本茶"]).await;
    for (q, name) in [
        ("crème BRÛ", "CRÈME Brûlée"),
        ("e\u{300}me", "CRÈME Brûlée"),
        ("σίσυφο", "ΣΊΣΥΦΟΣ"),
        ("МОЛО", "Молоко"),
        ("İST", "İstanbul"),
        ("本", "日本茶"),
    ] {
        assert_eq!(found(&admin, q).await, [name], "{q}");
    }
}

#[tokio::test]
async fn a_search_ignores_accents_blanks_and_other_forms_of_letters() {
    for (q, name) in [
        ("rossle", "Rössle Sauerkraut"),
        ("guarana fantastica", "Guaraná Fantástica"),
        ("creme brulee", "Crème brûlée"),
        ("STRASSE", "Straße"),
        (" sku-7\n", "SKU-7"),
        ("a\u{a0}b", "A  B"),
        ("fine", "ﬁne"),
    ] {
        let (_shop, admin) = shop_with_names(&[name, "Pavlova"]).await;
        assert_eq!(found(&admin, q).await, [name], "{q}");
    }
}

#[tokio::test]
async fn names_are_sorted_without_accents_and_case() {
    let names = ["Pavlova", "Zebra", "Pâté chinois", "äpfel", "Apple"];
    let (_shop, admin) = shop_with_names(&names).await;
    let sorted = admin.get("/products?sort=name").await.body;
    let items = sorted["items"].as_array().unwrap().iter();
    let sorted: Vec<_> = items.map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(
        sorted,
        ["äpfel", "Apple", "Pâté chinois", "Pavlova", "Zebra"]
    );
}

#[tokio::test]
async fn every_character_of_a_search_is_ordinary() {
    let name = r#"50% off_"now"! C:\new 'x' [a-z]* ?"#;
    let (_shop, admin) = shop_with_names(&[name, "50 off now C:new x a-z"]).await;
    for q in [
        "%", "_", "!", r"\", r"\n", "'", "\"", "*", "?", "[a-z]", "0%", "f_", "\"!", "50% off_",
        r"C:\NEW",
    ] {
        assert_eq!(found(&admin, q).await, [name], "{q}");
    }
    for q in ["5%f", "o_f", r"\%", r"\\", "!%", "!!", "''", "' OR 1=1 --"] {
        assert!(found(&admin, q).await.is_empty(), "{q}");
    }
}

#[tokio::test]
async fn an_empty_search_finds_everything() {
    let (_shop, admin) = shop_with_names(&["Teapot", "Kettle"]).await;
    assert_eq!(found(&admin, "").await, ["Teapot", "Kettle"]);
}

#[tokio::test]
async fn prices_are_filtered_from_and_to_and_both_count() {
    let (_shop, admin, rows) = shop_with_catalogue().await;
    for (query, least, most) in [
        ("min_price=4.50", 450, 99_999),
        ("min_price=4.51", 451, 99_999),
        ("max_price=4.5", 0, 450),
        ("max_price=4.49", 0, 449),
        ("min_price=4.50&max_price=4.50", 450, 450),
        ("min_price=5&max_price=4", 500, 400),
    ] {
        let listed = read_on(&admin, &format!("/products?{query}")).await;
        let wanted = rows
            .iter()
            .filter(|row| row.price >= least && row.price <= most);
        assert_eq!(listed, ids(&wanted.collect::<Vec<_>>()), "{query}");
    }
}

#[tokio::test]
async fn products_are_listed_by_whether_they_can_be_ordered_now() {
    let (_shop, admin, rows) = shop_with_catalogue().await;
    for available in [true, false] {
        let listed = read_on(&admin, &format!("/products?available={available}")).await;
        let wanted = rows
            .iter()
            .filter(|row| (row.stock != Some(0)) == available);
        assert_eq!(listed, ids(&wanted.collect::<Vec<_>>()), "{available}");
    }
}

#[test]
fn a_list_answers_what_a_plain_search_through_all_rows_would() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Connections are closed on the runtime that they were opened on.
    let _entered = runtime.enter();
    let (_shop, admin, rows) = runtime.block_on(shop_with_catalogue());
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(24)
    };
    TestRunner::new(config)
        .run(&wishes(), |wish| {
            let wanted = wish.of(&rows);
            let list = wish.path();
            let page = runtime.block_on(admin.get(&wish.page_of(&list)));
            let (page, total) = (ids_of(&page), page.body["total_items"].clone());
            prop_assert_eq!(page, wish.slice(&wanted), "{}", &list);
            prop_assert_eq!(total, wanted.len());
            let by_cursor =
                runtime.block_on(read_on(&admin, &format!("{list}&page_size=20&cursor=")));
            prop_assert_eq!(by_cursor, wanted, "{}", list);
            Ok(())
        })
        .unwrap();
}

/// A product as the plain search sees it.
#[derive(Debug)]
struct Plain {
    id: i64,
    name: String,
    sku: String,
    price: i64,
    stock: Option<i64>,
    created_at: sea_orm::prelude::DateTimeWithTimeZone,
}

/// A list that is asked for.
#[derive(Debug)]
struct Wish {
    q: &'static str,
    min_price: Option<i64>,
    max_price: Option<i64>,
    available: Option<bool>,
    sort: &'static str,
    page: usize,
    page_size: usize,
}

fn wishes() -> impl Strategy<Value = Wish> {
    let q = prop::sample::select(vec!["", "", "e", "É", "TEA", "é t", "-1", "sku-05", "%"]);
    let price = || prop::option::of(prop::sample::select(vec![0, 199, 450, 451, 1_250, 10_000]));
    let available = prop::option::of(any::<bool>());
    let sort = prop::sample::select(SORTS.to_vec());
    let wish = (
        q,
        price(),
        price(),
        available,
        sort,
        1..5_usize,
        1..40_usize,
    );
    wish.prop_map(
        |(q, min_price, max_price, available, sort, page, page_size)| Wish {
            q,
            min_price,
            max_price,
            available,
            sort,
            page,
            page_size,
        },
    )
}

impl Wish {
    fn path(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", self.q);
        query.append_pair("sort", self.sort);
        for (name, price) in [("min_price", self.min_price), ("max_price", self.max_price)] {
            query.extend_pairs(price.map(|price| (name, Money::from_minor(price).to_string())));
        }
        query.extend_pairs(self.available.map(|yes| ("available", yes.to_string())));
        format!("/products?{}", query.finish())
    }

    fn page_of(&self, list: &str) -> String {
        format!("{list}&page={}&page_size={}", self.page, self.page_size)
    }

    fn of(&self, rows: &[Plain]) -> Vec<i64> {
        let q = search_fold(self.q);
        let q = q.trim();
        let found = rows.iter().filter(|row| {
            [&row.name, &row.sku]
                .iter()
                .any(|text| search_fold(text).contains(q))
                && self.min_price.is_none_or(|price| row.price >= price)
                && self.max_price.is_none_or(|price| row.price <= price)
                && self
                    .available
                    .is_none_or(|yes| yes == (row.stock != Some(0)))
        });
        ids(&sorted(found.collect(), self.sort))
    }

    fn slice(&self, wanted: &[i64]) -> Vec<i64> {
        let before = (self.page - 1) * self.page_size;
        let page = wanted.iter().skip(before).take(self.page_size);
        page.copied().collect()
    }
}

/// A shop with 57 products, many of which have the same name, price or time.
async fn shop_with_catalogue() -> (Shop, Client, Vec<Plain>) {
    let (shop, admin) = Shop::open_with_admin().await;
    let names = [
        "Éclair tin",
        "teapot",
        "Café tray",
        "TEAPOT",
        "éclair TIN",
        "Mug",
    ];
    let prices = [450, 1_250, 199, 450, 10_000];
    let stocks = [None, Some(0), Some(3), Some(40)];
    let rows: Vec<_> = (0..57)
        .map(|at| {
            let sku = format!("SKU-{at:03}");
            row(&sku, names[at % 6], prices[at % 5], stocks[at % 4])
        })
        .collect();
    let system = Actor::system();
    transaction!(&shop.ctx, |txn| products::Model::import(
        txn, &rows, &system
    )
    .await)
    .unwrap();
    make_times_equal(&shop).await;
    let rows = plain(&shop).await;
    (shop, admin, rows)
}

fn row(sku: &str, name: &str, price: i64, stock: Option<i64>) -> Row {
    let changes = Changes {
        name: Some(ProductName::parse(name).unwrap()),
        price: Some(Money::from_minor(price)),
        sku: Some(Some(Sku::parse(sku).unwrap())),
        stock: Some(stock.and_then(Stock::new)),
        ..Changes::default()
    };
    Row { id: None, changes }
}

/// Every third product was added at the same moment, before the others.
async fn make_times_equal(shop: &Shop) {
    let id = Expr::col(products::Column::Id);
    products::Entity::update_many()
        .col_expr(
            products::Column::CreatedAt,
            Expr::value(boxcar::models::now() - chrono::Duration::hours(1)),
        )
        .filter(id.modulo(3).eq(0))
        .exec(&shop.ctx.db)
        .await
        .unwrap();
}

/// Every product, by id.
async fn plain(shop: &Shop) -> Vec<Plain> {
    let rows = products::Entity::find().order_by_asc(products::Column::Id);
    let rows = rows.all(&shop.ctx.db).await.unwrap().into_iter();
    rows.map(|row| Plain {
        id: row.id,
        name: row.name,
        sku: row.sku.unwrap(),
        price: row.price_minor,
        stock: row.stock,
        created_at: row.created_at,
    })
    .collect()
}

/// A shop with products of those names, one after the other.
async fn shop_with_names(names: &[&str]) -> (Shop, Client) {
    let (shop, admin) = Shop::open_with_admin().await;
    for name in names {
        admin.sell(name, "1", None).await;
    }
    (shop, admin)
}

fn sorted<'a>(mut rows: Vec<&'a Plain>, sort: &str) -> Vec<&'a Plain> {
    rows.sort_by_key(|row| row.id);
    match sort.trim_start_matches('-') {
        "name" => rows.sort_by_key(|row| search_fold(&row.name)),
        "price" => rows.sort_by_key(|row| row.price),
        "created_at" => rows.sort_by_key(|row| row.created_at),
        _ => {}
    }
    if sort.starts_with('-') {
        rows.reverse();
    }
    rows
}

fn ids(rows: &[&Plain]) -> Vec<i64> {
    rows.iter().map(|row| row.id).collect()
}

fn ids_of(answer: &Answer) -> Vec<i64> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let items = answer.body["items"].as_array().unwrap().iter();
    items.map(|item| item["id"].as_i64().unwrap()).collect()
}

fn names(answer: &Answer) -> Vec<&str> {
    let items = answer.body["items"].as_array().unwrap().iter();
    items.map(|item| item["name"].as_str().unwrap()).collect()
}

fn search(q: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("q", q)
        .finish();
    format!("/products?{query}")
}

/// The names of what a search finds.
async fn found(client: &Client, q: &str) -> Vec<String> {
    let answer = client.get(&search(q)).await;
    names(&answer).into_iter().map(str::to_owned).collect()
}

/// The ids of a list from that page on, by its links.
async fn read_on(client: &Client, page: &str) -> Vec<i64> {
    let mut read = Vec::new();
    let mut next = Some(page.to_owned());
    while let Some(page) = next {
        let answer = client.get(&page).await;
        read.extend(ids_of(&answer));
        next = links(&answer).remove("next");
    }
    read
}

/// Where an answer's links lead (RFC 8288), below the base path.
fn links(answer: &Answer) -> BTreeMap<String, String> {
    let links = answer.header("link").unwrap().split(", ");
    links
        .map(|link| {
            let (target, rel) = link.split_once(">; rel=\"").unwrap();
            let target = target.strip_prefix("</api/v1").unwrap();
            (rel.trim_end_matches('"').to_owned(), target.to_owned())
        })
        .collect()
}

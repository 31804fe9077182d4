//! What the database is asked, how often, and what comes of a connection that is lost. A real database has
//! the last word on what the statements mean: here it only counts them.

use std::collections::BTreeMap;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use boxcar::{
    models::{
        Actor, Error, Result as Outcome,
        checkouts::{self, Buyer, Changes, Rules},
        customer_accounts, customers,
        listing::{Listing, PageInfo, Paging, Sort},
        order_events::Step,
        order_items::Item,
        orders::{self, NewOrder, Order, OrderLine, Scope},
        products,
        queue::{Client, Queue},
        types::{CheckoutId, Money, OrderStatus, Password, Percentage, Quantity, Scalar},
    },
    transaction,
};
use chrono::{TimeDelta, Utc};
use http_body_util::BodyExt;
use sea_orm::{DatabaseConnection, DbErr, Iterable, MockDatabase, ModelTrait, RuntimeErr, Value};
use serde_json::Value as Json;
use tower::ServiceExt;

use super::{
    mock::{
        asked, by_place, changed, counted, knowing, knowing_nothing, lost, none, postgres,
        routes_on, unreachable,
    },
    rows,
};
use crate::support::PASSWORD;

#[tokio::test]
async fn one_thing_takes_one_statement() {
    let db = knowing(rows::product());
    products::Model::find(&db, 7).await.unwrap();
    assert_eq!(asked(db).len(), 1);
    let db = knowing(rows::customer());
    customers::Model::find(&db, 5).await.unwrap();
    assert_eq!(asked(db).len(), 1);
    let db = knowing((rows::account(), rows::customer()));
    let found = customer_accounts::Model::find(&db, 3).await.unwrap();
    assert_eq!(found, (rows::account(), Some(rows::customer())));
    assert_eq!(asked(db).len(), 1);
    let db = knowing(rows::account());
    customer_accounts::Model::find_by_pid(&db, "some-pid")
        .await
        .unwrap();
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn an_order_takes_three_statements() {
    let db = knowing_the_order(postgres()).into_connection();
    let order = orders::Model::find_for(&db, Scope::All, 9).await.unwrap();
    assert_eq!(
        (order.customer_name.as_str(), order.items, order.history),
        ("Ada", vec![two_kettles()], vec![placed()])
    );
    assert_eq!(asked(db).len(), 3);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_by_one_statement() {
    for what in ALL {
        let db = knowing_nothing();
        let error = find(&db, what).await.unwrap_err();
        assert!(matches!(error, Error::NotFound), "{what}: {error:?}");
        assert_eq!(asked(db).len(), 1, "{what}");
    }
}

#[tokio::test]
async fn a_lost_connection_makes_nothing_absent() {
    for what in ALL {
        let error = find(&unreachable(), what).await.unwrap_err();
        assert!(matches!(error, Error::Db(_)), "{what}: {error:?}");
    }
}

#[tokio::test]
async fn an_order_is_never_shown_without_the_items_that_could_not_be_read() {
    let db = postgres()
        .append_query_results([[of_ada(&rows::order())]])
        .append_query_errors([lost()])
        .into_connection();
    let outcome = orders::Model::find_for(&db, Scope::All, 9).await;
    assert!(matches!(outcome, Err(Error::Db(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_list_takes_as_many_statements_however_many_rows_it_has() {
    for (paging, more) in [(Paging::Number(1), 1), (Paging::After(None), 0)] {
        let start = || match more {
            0 => postgres(),
            _ => postgres().append_query_results([counted(2)]),
        };
        let kettles = [rows::product(), second_kettle()].map(summary);
        let db = start().append_query_results([kettles]).into_connection();
        let listing = listing(products::Key::Price, paging.clone());
        let page = products::Summary::list(&db, &listing).await.unwrap();
        assert_eq!((page.items.len(), asked(db).len()), (2, 1 + more));

        let db = start().append_query_results([[rows::customer()]]);
        let db = db.into_connection();
        let listing = self::listing(customers::Key::Name, paging.clone());
        let page = customers::Model::list(&db, &listing).await.unwrap();
        assert_eq!((page.items.len(), asked(db).len()), (1, 1 + more));

        let db = start()
            .append_query_results([[rows::admin(), rows::account()]])
            .append_query_results([[rows::customer()]])
            .into_connection();
        let listing = self::listing(customer_accounts::Key::Id, paging.clone());
        let page = customer_accounts::Model::list(&db, &listing).await.unwrap();
        let whose: Vec<_> = page
            .items
            .into_iter()
            .map(|(_, customer)| customer)
            .collect();
        assert_eq!(whose, [None, Some(rows::customer())]);
        assert_eq!(asked(db).len(), 2 + more);

        let db = knowing_two_orders(start()).into_connection();
        let listing = self::listing(orders::Key::PlacedAt, paging);
        let page = orders::Model::list_for(&db, Scope::All, &listing)
            .await
            .unwrap();
        assert_eq!((page.items.len(), asked(db).len()), (2, 3 + more));
    }
}

#[tokio::test]
async fn a_list_without_rows_takes_one_statement() {
    let db = knowing_nothing();
    let listing = listing(orders::Key::PlacedAt, Paging::After(None));
    let page = orders::Model::list_for(&db, Scope::All, &listing)
        .await
        .unwrap();
    assert_eq!((page.items.len(), asked(db).len()), (0, 1));
    let db = knowing_nothing();
    let listing = self::listing(customer_accounts::Key::Id, Paging::After(None));
    let page = customer_accounts::Model::list(&db, &listing).await.unwrap();
    assert_eq!((page.items.len(), asked(db).len()), (0, 1));
}

#[tokio::test]
async fn a_page_beyond_the_end_is_only_counted() {
    let db = postgres()
        .append_query_results([counted(30)])
        .into_connection();
    let listing = listing(customers::Key::Name, Paging::Number(4));
    let page = customers::Model::list(&db, &listing).await.unwrap();
    let place = PageInfo::Number {
        page: 4,
        total_items: 30,
    };
    assert_eq!((page.items.len(), page.info), (0, place));
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_login_takes_one_statement_and_none_for_a_name_that_cannot_be() {
    let db = knowing_nothing();
    assert_eq!(log_in(&db, "nobody").await.unwrap(), None);
    assert_eq!(asked(db).len(), 1);
    let db = postgres().into_connection();
    assert_eq!(log_in(&db, "' OR 1=1").await.unwrap(), None);
    assert_eq!(asked(db), [""; 0]);
}

#[tokio::test]
async fn a_lost_connection_is_not_a_wrong_password() {
    let error = log_in(&unreachable(), "ada").await.unwrap_err();
    assert!(matches!(error, Error::Db(_)), "{error:?}");
}

#[tokio::test]
async fn an_order_of_two_products_takes_eight_statements_and_its_stock_in_the_order_of_ids() {
    let db = postgres()
        .append_query_results([[by_place(["Ada", "ada@example.com"].map(Value::from))]])
        .append_query_results([[rows::product(), second_kettle()].map(offer)])
        .append_query_results([[rows::order()]])
        .append_query_results([[left()], [left()]])
        .append_exec_results([1, 2, 2].map(changed))
        .into_connection();
    let order = place(&db, &[(8, 1), (7, 2)]).await.unwrap();
    let items: Vec<_> = order
        .items
        .iter()
        .map(|item| (item.product_id, item.quantity))
        .collect();
    assert_eq!((order.order.id, items), (9, vec![(8, 1), (7, 2)]));
    let asked = asked(db);
    assert_eq!(asked.len(), 8);
    let taken = asked
        .iter()
        .filter(|sql| sql.starts_with(r#"UPDATE "products""#));
    let taken: Vec<_> = taken.map(|sql| sql.contains(r#""id" = 7"#)).collect();
    assert_eq!(taken, [true, false]);
}

#[tokio::test]
async fn a_step_that_is_not_allowed_writes_nothing() {
    let db = postgres()
        .append_query_results([[rows::order()]])
        .into_connection();
    let outcome = advance(&db, OrderStatus::Delivered).await;
    let refused = matches!(
        outcome,
        Err(Error::InvalidTransition {
            from: OrderStatus::Placed,
            to: OrderStatus::Delivered
        })
    );
    assert!(refused, "{outcome:?}");
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_step_that_another_request_took_first_is_refused() {
    let db = postgres()
        .append_query_results([[rows::order()]])
        .append_exec_results([changed(0)])
        .into_connection();
    let outcome = advance(&db, OrderStatus::Paid).await;
    assert!(
        matches!(outcome, Err(Error::InvalidTransition { .. })),
        "{outcome:?}"
    );
    assert_eq!(asked(db).len(), 2);
}

#[tokio::test]
async fn an_account_that_another_request_deleted_is_not_found() {
    let db = postgres()
        .append_query_results([none(), none(), none(), none(), none()])
        .append_exec_results([0; 7].map(changed))
        .into_connection();
    let outcome = transaction!(&db, |txn| rows::account().delete(txn).await);
    assert!(matches!(outcome, Err(Error::NotFound)), "{outcome:?}");
}

#[tokio::test]
async fn a_get_takes_one_statement_and_none_while_its_answer_is_current() {
    let other = products::Model {
        id: 8,
        ..rows::product()
    };
    let db = postgres()
        .append_query_results([[rows::account()]])
        .append_query_results([[rows::product()], [other]])
        .into_connection();
    let shop = routes_on(&db).await;
    for path in ["/products/7", "/products/8", "/products/7"] {
        let (status, body) = get(&shop, path).await;
        assert_eq!((status, &body["price"]), (StatusCode::OK, &"19.99".into()));
    }
    // The first is for the account, once for all requests.
    assert_eq!(asked(db).len(), 3);
}

#[tokio::test]
async fn what_a_get_cannot_answer_is_a_problem() {
    let account = || postgres().append_query_results([[rows::account()]]);
    let secret = DbErr::Query(RuntimeErr::Internal("no such column: margin".to_owned()));
    for (what, db, status, kind) in [
        (
            "no account",
            postgres().append_query_results([none()]),
            401,
            "unauthenticated",
        ),
        (
            "no product",
            account().append_query_results([none()]),
            404,
            "not-found",
        ),
        (
            "lost for the product",
            account().append_query_errors([lost()]),
            503,
            "unavailable",
        ),
        // It does not make the token invalid.
        (
            "lost for the account",
            postgres().append_query_errors([lost()]),
            503,
            "unavailable",
        ),
        (
            "an unexpected error",
            account().append_query_errors([secret]),
            500,
            "internal",
        ),
    ] {
        let db = db.into_connection();
        let (answered, body) = get(&routes_on(&db).await, "/products/7").await;
        let expected = (status, format!("/problems/{kind}").into());
        assert_eq!(
            (answered.as_u16(), body["type"].clone()),
            expected,
            "{what}"
        );
        assert!(!body.to_string().contains("margin"), "{body}");
    }
}

const ALL: [&str; 4] = ["product", "customer", "account", "order"];

async fn find(db: &DatabaseConnection, what: &str) -> Result<(), Error> {
    match what {
        "product" => products::Model::find(db, 7).await.map(drop),
        "customer" => customers::Model::find(db, 5).await.map(drop),
        "account" => customer_accounts::Model::find(db, 3).await.map(drop),
        _ => orders::Model::find_for(db, Scope::All, 9).await.map(drop),
    }
}

fn listing<F: Default, K>(key: K, paging: Paging) -> Listing<F, K> {
    Listing {
        filter: F::default(),
        sort: Sort {
            key,
            descending: false,
        },
        paging,
        page_size: 10,
        total_items: None,
    }
}

fn second_kettle() -> products::Model {
    products::Model {
        id: 8,
        sku: None,
        ..rows::product()
    }
}

fn offer(product: products::Model) -> BTreeMap<String, Value> {
    by_place([
        product.id.into(),
        product.sku.into(),
        product.name.into(),
        product.price_minor.into(),
        product.stock.into(),
        product.tax_class.into(),
    ])
}

fn summary(product: products::Model) -> BTreeMap<String, Value> {
    by_place([
        product.id.into(),
        product.sku.into(),
        product.name.into(),
        product.price_minor.into(),
        product.stock.into(),
        product.tax_class.into(),
        product.created_at.into(),
        product.updated_at.into(),
    ])
}

/// That there are pieces left of a product.
fn left() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([("stock", 5_i64.into())])
}

/// Goes on to answer with the order, its items and its events.
fn knowing_the_order(db: MockDatabase) -> MockDatabase {
    knowing_items_and_history(db.append_query_results([[of_ada(&rows::order())]]))
}

/// Goes on to answer with two orders, their items and their events.
fn knowing_two_orders(db: MockDatabase) -> MockDatabase {
    let earlier = orders::Model {
        id: 8,
        ..rows::order()
    };
    let orders = [rows::order(), earlier].map(|order| of_ada(&order));
    knowing_items_and_history(db.append_query_results([orders]))
}

fn knowing_items_and_history(db: MockDatabase) -> MockDatabase {
    let (item, event) = (two_kettles(), placed());
    let item = by_place([
        9_i64.into(),
        item.product_id.into(),
        item.sku.into(),
        item.name.into(),
        item.unit_price.minor().into(),
        item.quantity.into(),
        item.line_total.minor().into(),
        item.discount.minor().into(),
        item.tax_rate.thousandths().into(),
        item.tax.minor().into(),
    ]);
    let event = by_place([
        9_i64.into(),
        event.status.into(),
        event.at.into(),
        event.by.into(),
        event.reason.into(),
    ]);
    db.append_query_results([[item]])
        .append_query_results([[event]])
}

/// An order and the name of its customer.
fn of_ada(order: &orders::Model) -> BTreeMap<String, Value> {
    let columns = orders::Column::iter().map(|column| order.get(column));
    by_place(columns.chain(["Ada".into()]))
}

/// The one item of the order.
fn two_kettles() -> Item {
    Item {
        product_id: 7,
        sku: Some("KET-1".to_owned()),
        name: "Kettle".to_owned(),
        unit_price: Money::from_minor(1_999),
        quantity: 2,
        line_total: Money::from_minor(3_998),
        discount: Money::default(),
        tax_rate: Percentage::ZERO,
        tax: Money::default(),
    }
}

/// The one step in the history of the order.
fn placed() -> Step {
    Step {
        status: "placed".to_owned(),
        at: rows::moment(),
        by: "ada".to_owned(),
        reason: None,
    }
}

async fn advance(db: &DatabaseConnection, next: OrderStatus) -> Result<Order, Error> {
    let system = Actor::system();
    transaction!(db, |txn| orders::Model::change_status(
        txn,
        Scope::All,
        9,
        next,
        None,
        &system
    )
    .await)
}

/// Places an order of those products in those quantities for Ada.
async fn place(db: &DatabaseConnection, lines: &[(i64, i64)]) -> Result<Order, Error> {
    let lines = lines.iter().map(|(product_id, quantity)| OrderLine {
        product_id: *product_id,
        quantity: Quantity::new(*quantity).unwrap(),
    });
    let order = NewOrder {
        customer_id: None,
        items: lines.collect(),
        shipping_address: None,
        shipping_address_id: None,
        shipping_option_id: None,
        discount_code: None,
        note: None,
    };
    let system = Actor::system();
    let sale = rows::sale(&system);
    transaction!(db, |txn| orders::Model::place(txn, 5, &order, &sale).await)
}

async fn log_in(
    db: &DatabaseConnection,
    username: &str,
) -> Result<Option<customer_accounts::Model>, Error> {
    let queue = Queue::new(1, 1, std::time::Duration::ZERO);
    let turn = queue.turn(Client::System).await.unwrap();
    let account = customer_accounts::Model::find_by_login(db, username).await?;
    let password = Password::given(PASSWORD);
    let is_theirs =
        customer_accounts::Model::authenticate(account.as_ref(), password, &turn).await?;
    Ok(account.filter(|_| is_theirs))
}

async fn get((router, token): &(Router, String), path: &str) -> (StatusCode, Json) {
    let request = Request::get(format!("/api/v1{path}"))
        .header(header::HOST, "localhost")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_cart_without_a_hold_writes_one_row() {
    let two_kettles = OrderLine {
        product_id: 7,
        quantity: Quantity::new(2).unwrap(),
    };
    let system = Actor::system();
    let rules = Rules {
        buyer: Buyer::Staff,
        sale: rows::sale(&system),
        hold: TimeDelta::minutes(15),
        lasts: TimeDelta::days(30),
        hold_pieces: 100,
        budget: None,
    };
    // The product, as the line is set and as it is calculated, and no rates.
    let calculated = |db: MockDatabase| {
        let kettle = || [offer(rows::product())];
        let db = db.append_query_results([kettle(), kettle()]);
        db.append_query_results([none(), none()])
    };

    let db = calculated(postgres())
        .append_query_results([[rows::checkout()]])
        .into_connection();
    let changes = Changes {
        items: Some(vec![two_kettles]),
        ..Changes::default()
    };
    let opened: Outcome<_> = transaction!(&db, |txn| checkouts::Model::open(txn, &changes, &rules)
        .await);
    assert_eq!(opened.unwrap().standing.totals.total.minor(), 3_998);
    assert_eq!(written(db), ["INSERT INTO checkouts"]);

    let open = checkouts::Model {
        expires_at: (Utc::now() + TimeDelta::days(1)).into(),
        ..rows::checkout()
    };
    let id = CheckoutId::parse(&open.token).unwrap();
    let db = calculated(postgres().append_query_results([[open]]))
        .append_exec_results([changed(1)])
        .into_connection();
    let set: Outcome<_> = transaction!(&db, |txn| checkouts::Model::set_item(
        txn,
        &id,
        two_kettles,
        &rules,
        None
    )
    .await);
    assert_eq!(set.unwrap().standing.totals.total.minor(), 3_998);
    assert_eq!(written(db), ["UPDATE checkouts SET"]);
}

/// The first three words of each statement that writes.
fn written(db: DatabaseConnection) -> Vec<String> {
    let mut asked = asked(db);
    asked.retain(|sql| !sql.starts_with("SELECT"));
    let begin = |sql: &String| sql.split(' ').take(3).collect::<Vec<_>>().join(" ");
    asked.iter().map(begin).collect()
}

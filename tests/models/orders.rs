//! Orders, on a database that only pretends.

use std::collections::BTreeMap;

use boxcar::{
    models::{
        Actor, Error,
        listing::{Listing, Paging, Place, Sort},
        orders::{Filter, Key, Line, Model, NewOrder, Order, Scope, Status},
        products,
        types::Quantity,
    },
    transaction,
};
use sea_orm::{DatabaseConnection, MockDatabase, Value};

use super::{
    mock::{asked, changed, counted, knowing_nothing, lost, postgres, unreachable},
    rows,
};

#[tokio::test]
async fn an_order_is_read_with_three_statements() {
    let db = knowing_the_order(postgres()).into_connection();
    let order = Model::find_for(&db, Scope::All, 9).await.unwrap();
    assert_eq!(
        (order.customer_name.as_str(), order.items, order.events),
        ("Ada", vec![rows::item().into()], vec![rows::event().into()])
    );
    assert_eq!(asked(db).len(), 3);
}

#[tokio::test]
async fn an_order_that_is_not_there_is_not_found_by_one_statement() {
    let db = knowing_nothing();
    let error = Model::find_for(&db, Scope::All, 9).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "{error:?}");
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_lost_connection_does_not_make_an_order_absent() {
    let error = Model::find_for(&unreachable(), Scope::All, 9)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Db(_)), "{error:?}");
}

#[tokio::test]
async fn an_order_is_never_shown_without_the_items_that_could_not_be_read() {
    let db = postgres()
        .append_query_results([[(rows::order(), rows::customer())]])
        .append_query_errors([lost()])
        .into_connection();
    let outcome = Model::find_for(&db, Scope::All, 9).await;
    assert!(matches!(outcome, Err(Error::Db(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_customer_s_query_sees_their_own_orders_only() {
    let db = knowing_nothing();
    let _ = Model::find_for(&db, Scope::Customer(5), 9).await;
    let asked = asked(db);
    assert!(
        asked[0].contains(r#"WHERE "orders"."id" = 9 AND "orders"."customer_id" = 5"#),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_customer_s_list_counts_and_shows_their_own_orders_only() {
    let db = knowing_a_page(postgres().append_query_results([counted(1)])).into_connection();
    Model::list_for(&db, Scope::Customer(5), &listing(Paging::Number(1)))
        .await
        .unwrap();
    for sql in &asked(db)[..2] {
        assert!(sql.contains(r#""orders"."customer_id" = 5"#), "{sql}");
    }
}

#[tokio::test]
async fn a_page_by_number_takes_five_statements_however_many_orders_it_has() {
    let db = knowing_a_page(postgres().append_query_results([counted(2)])).into_connection();
    let page = list(&db, Paging::Number(1)).await;
    let place = Place::Number {
        page: 1,
        total_items: 2,
    };
    assert_eq!(page, (2, place));
    assert_eq!(asked(db).len(), 5);
}

#[tokio::test]
async fn a_page_by_cursor_takes_four_statements_however_many_orders_it_has() {
    let db = knowing_a_page(postgres()).into_connection();
    assert_eq!(
        list(&db, Paging::After(None)).await,
        (2, Place::Walk { next: None })
    );
    assert_eq!(asked(db).len(), 4);
}

#[tokio::test]
async fn nobody_asks_for_the_items_of_no_orders() {
    let db = knowing_nothing();
    assert_eq!(
        list(&db, Paging::After(None)).await,
        (0, Place::Walk { next: None })
    );
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_list_is_filtered_by_status_and_time() {
    let db = knowing_nothing();
    let mut listing = listing(Paging::After(None));
    listing.filter = Filter {
        status: Some(Status::Paid),
        customer_id: Some(5),
        placed_from: Some(rows::moment()),
        placed_to: Some(rows::moment()),
    };
    Model::list_for(&db, Scope::All, &listing).await.unwrap();
    let sql = asked(db)
        .remove(0)
        .replace(r#""orders"."#, "")
        .replace('"', "");
    assert!(
        sql.contains(
            "status = 'paid' AND customer_id = 5 \
             AND placed_at >= '2026-01-31 12:00:00.123456 +00:00' \
             AND placed_at <= '2026-01-31 12:00:00.123456 +00:00'"
        ),
        "{sql}"
    );
}

#[tokio::test]
async fn an_order_that_is_to_be_moved_on_is_locked_within_the_scope() {
    let db = knowing_nothing();
    let outcome = advance(&db, Scope::Customer(5), Status::Cancelled).await;
    assert!(matches!(outcome, Err(Error::NotFound)), "{outcome:?}");
    let asked = asked(db);
    assert!(
        asked[0].contains(r#""orders"."customer_id" = 5"#) && asked[0].ends_with("FOR UPDATE"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_step_that_is_not_allowed_writes_nothing() {
    let db = postgres()
        .append_query_results([[rows::order()]])
        .into_connection();
    let outcome = advance(&db, Scope::All, Status::Delivered).await;
    assert!(
        matches!(
            outcome,
            Err(Error::InvalidTransition {
                from: Status::Placed,
                to: Status::Delivered
            })
        ),
        "{outcome:?}"
    );
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_step_that_somebody_else_took_first_is_refused() {
    let db = postgres()
        .append_query_results([[rows::order()]])
        .append_exec_results([changed(0)])
        .into_connection();
    let outcome = advance(&db, Scope::All, Status::Paid).await;
    assert!(
        matches!(outcome, Err(Error::InvalidTransition { .. })),
        "{outcome:?}"
    );
    let asked = asked(db);
    assert!(
        asked[1].ends_with(r#""orders"."id" = 9 AND "orders"."status" = 'placed'"#),
        "{}",
        asked[1]
    );
}

#[tokio::test]
async fn a_step_is_written_into_the_history_with_its_reason() {
    let db = knowing_the_order(
        postgres()
            .append_query_results([[rows::order()]])
            .append_exec_results([changed(1), changed(1)]),
    )
    .into_connection();
    advance(&db, Scope::All, Status::Paid).await.unwrap();
    let asked = asked(db);
    assert!(
        asked[2].starts_with(r#"INSERT INTO "order_events""#)
            && asked[2].contains("(9, 'paid', NULL, 'system', NULL,"),
        "{}",
        asked[2]
    );
}

#[tokio::test]
async fn an_order_for_nobody_is_refused() {
    let db = knowing_nothing();
    let outcome = place(&db, &[(7, 2)]).await;
    assert_eq!(broken(&outcome), [("/customer_id", "reference")]);
}

#[tokio::test]
async fn every_line_whose_product_is_not_on_sale_is_named() {
    let db = postgres()
        .append_query_results([[rows::customer()]])
        .append_query_results([[rows::product()]])
        .into_connection();
    let outcome = place(&db, &[(1, 2), (7, 2), (2, 2)]).await;
    assert_eq!(
        broken(&outcome),
        [
            ("/items/0/product_id", "reference"),
            ("/items/2/product_id", "reference")
        ]
    );
}

#[tokio::test]
async fn stock_is_taken_in_the_order_of_the_products_ids() {
    let taken_and_written = [changed(1), changed(1), changed(2), changed(2)];
    let db = with_two_kettles_on_sale(postgres())
        .append_exec_results(taken_and_written)
        .into_connection();
    place(&db, &[(8, 1), (7, 2)]).await.unwrap();
    let taken: Vec<_> = asked(db)
        .into_iter()
        .filter(|sql| sql.starts_with(r#"UPDATE "products""#))
        .map(|sql| sql.contains(r#""products"."id" = 7"#))
        .collect();
    assert_eq!(taken, [true, false]);
}

#[tokio::test]
async fn an_order_of_two_products_is_placed_with_eight_statements() {
    let taken_and_written = [changed(1), changed(1), changed(2), changed(2)];
    let db = with_two_kettles_on_sale(postgres())
        .append_exec_results(taken_and_written)
        .into_connection();
    let order = place(&db, &[(8, 1), (7, 2)]).await.unwrap();
    let items: Vec<_> = order
        .items
        .iter()
        .map(|item| (item.product_id, item.quantity))
        .collect();
    assert_eq!((order.order.id, items), (9, vec![(8, 1), (7, 2)]));
    assert_eq!(asked(db).len(), 8);
}

#[tokio::test]
async fn every_short_line_is_named_where_it_was_sent() {
    let both = [vec![rows::product(), second_kettle()]];
    let db = with_two_kettles_on_sale(postgres())
        .append_exec_results([changed(0), changed(0)])
        .append_query_results(both)
        .into_connection();
    let outcome = place(&db, &[(8, 11), (7, 6), (7, 6)]).await;
    let Err(Error::InsufficientStock(short)) = outcome else {
        panic!("{outcome:?}");
    };
    let short: Vec<_> = short
        .iter()
        .map(|short| {
            (
                short.line,
                short.product_id,
                short.requested,
                short.available,
            )
        })
        .collect();
    assert_eq!(short, [(Some(0), 8, 11, 10), (Some(1), 7, 12, 10)]);
}

#[tokio::test]
async fn cancelling_puts_back_what_the_ledger_says_was_taken() {
    let db = knowing_the_order(
        postgres()
            .append_query_results([[rows::order()]])
            .append_exec_results([changed(1), changed(1), changed(1), changed(1)])
            .append_query_results([[rows::movement()]]),
    )
    .into_connection();
    advance(&db, Scope::All, Status::Cancelled).await.unwrap();
    let asked = asked(db);
    assert!(
        asked[4].starts_with(r#"UPDATE "products" SET "stock" = "stock" + 2"#),
        "{}",
        asked[4]
    );
    assert!(
        asked[5].contains("(7, 'cancellation', 2, NULL, 9, NULL, 'system'"),
        "{}",
        asked[5]
    );
}

fn listing(paging: Paging) -> Listing<Filter, Key> {
    Listing {
        filter: Filter::default(),
        sort: Sort {
            key: Key::PlacedAt,
            descending: true,
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

/// Goes on to answer with the order, its items and its events.
fn knowing_the_order(db: MockDatabase) -> MockDatabase {
    db.append_query_results([[(rows::order(), rows::customer())]])
        .append_query_results([[rows::item()]])
        .append_query_results([[rows::event()]])
}

/// Goes on to answer with two orders, their items, their events and their customer's name.
fn knowing_a_page(db: MockDatabase) -> MockDatabase {
    let earlier = Model {
        id: 8,
        ..rows::order()
    };
    let name = BTreeMap::from([("id", Value::from(5_i64)), ("name", "Ada".into())]);
    db.append_query_results([[rows::order(), earlier]])
        .append_query_results([[rows::item()]])
        .append_query_results([[rows::event()]])
        .append_query_results([[name]])
}

/// Goes on to know the customer and two kettles, and to accept an order of them.
fn with_two_kettles_on_sale(db: MockDatabase) -> MockDatabase {
    db.append_query_results([[rows::customer()]])
        .append_query_results([[rows::product(), second_kettle()]])
        .append_query_results([[rows::order()]])
        .append_exec_results([changed(1)])
}

async fn list(db: &DatabaseConnection, paging: Paging) -> (usize, Place) {
    let page = Model::list_for(db, Scope::All, &listing(paging))
        .await
        .unwrap();
    (page.items.len(), page.place)
}

async fn advance(db: &DatabaseConnection, scope: Scope, next: Status) -> Result<Order, Error> {
    transaction!(db, |txn| Model::advance(
        txn,
        scope,
        9,
        next,
        None,
        &Actor::system()
    )
    .await)
}

/// Places an order of those products in those quantities for Ada.
async fn place(db: &DatabaseConnection, lines: &[(i64, i64)]) -> Result<Order, Error> {
    let order = NewOrder {
        customer_id: 5,
        lines: lines
            .iter()
            .map(|(product_id, quantity)| Line {
                product_id: *product_id,
                quantity: Quantity::new(*quantity).unwrap(),
            })
            .collect(),
        shipping_address: None,
        note: None,
    };
    transaction!(db, |txn| Model::place(txn, &order, "USD", &Actor::system())
        .await)
}

fn broken(outcome: &Result<Order, Error>) -> Vec<(&str, &str)> {
    let Err(Error::Invalid(rules)) = outcome else {
        panic!("{outcome:?}");
    };
    rules
        .iter()
        .map(|rule| (rule.pointer.as_str(), rule.violation.code))
        .collect()
}

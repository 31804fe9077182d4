//! Products, on a database that only pretends.

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use boxcar::{
    models::{
        Actor, Error,
        listing::{Listing, Mark, Paging, Place, Position, Sort},
        products::{Filter, Key, Model},
        types::Money,
    },
    transaction,
};
use http_body_util::BodyExt;
use sea_orm::{DatabaseConnection, DbBackend, DbErr, MockDatabase, RuntimeErr};
use serde_json::Value;
use tower::ServiceExt;

use super::{
    mock::{
        asked, changed, counted, knowing, knowing_nothing, lost, none, postgres, routes_on,
        unreachable,
    },
    rows,
};

#[tokio::test]
async fn a_product_is_found_with_one_statement() {
    let db = knowing(rows::product());
    assert_eq!(Model::find(&db, 7).await.unwrap(), rows::product());
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_product_that_is_not_there_is_not_found() {
    let error = Model::find(&knowing_nothing(), 7).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "{error:?}");
}

#[tokio::test]
async fn a_lost_connection_does_not_make_a_product_absent() {
    let error = Model::find(&unreachable(), 7).await.unwrap_err();
    assert!(matches!(error, Error::Db(_)), "{error:?}");
}

#[tokio::test]
async fn an_archived_product_is_not_looked_for() {
    let db = knowing_nothing();
    let _ = Model::find(&db, 7).await;
    let asked = asked(db);
    assert!(
        asked[0].contains(r#"WHERE "products"."archived" = FALSE AND "products"."id" = 7"#),
        "{asked:?}"
    );
}

#[tokio::test]
async fn an_archived_product_is_not_ordered() {
    let db = knowing_nothing();
    let products = Model::find_all(&db, [7, 8]).await.unwrap();
    assert!(products.is_empty());
    let asked = asked(db);
    assert!(
        asked[0].contains(r#""archived" = FALSE AND "products"."id" IN (7, 8)"#),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_sku_is_looked_for_among_the_products_on_sale() {
    let db = knowing(rows::product());
    Model::find_by_sku(&db, "KET-1").await.unwrap();
    let asked = asked(db);
    assert!(
        asked[0].contains(r#""archived" = FALSE AND "products"."sku" = 'KET-1'"#),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_product_that_is_to_be_changed_is_locked() {
    let db = knowing(rows::product());
    transaction!(&db, |txn| Model::find_locked(txn, 7).await).unwrap();
    let asked = asked(db);
    assert!(asked[0].ends_with("FOR UPDATE"), "{asked:?}");
}

#[tokio::test]
async fn a_page_by_number_takes_two_statements() {
    let db = postgres()
        .append_query_results([counted(30)])
        .append_query_results([[rows::product()]])
        .into_connection();
    let page = Model::list(&db, &listing(Paging::Number(2))).await.unwrap();
    let place = Place::Number {
        page: 2,
        total_items: 30,
    };
    assert_eq!((page.place, page.items.len()), (place, 1));
    assert_eq!(asked(db).len(), 2);
}

#[tokio::test]
async fn a_page_by_cursor_takes_one_statement() {
    let db = knowing(rows::product());
    let page = Model::list(&db, &listing(Paging::After(None)))
        .await
        .unwrap();
    assert_eq!(page.place, Place::Walk { next: None });
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_page_by_cursor_goes_on_after_its_last_row_when_there_is_one_more() {
    let rows = (1..=11).map(|id| boxcar::models::products::Model {
        id,
        ..rows::product()
    });
    let db = postgres().append_query_results([rows]).into_connection();
    let page = Model::list(&db, &listing(Paging::After(None)))
        .await
        .unwrap();
    let next = Some(Position {
        mark: Mark::Number(1_999),
        id: 10,
    });
    assert_eq!((page.items.len(), page.place), (10, Place::Walk { next }));
    assert!(asked(db)[0].ends_with("LIMIT 11"));
}

#[tokio::test]
async fn every_order_is_made_total_by_the_id() {
    let db = knowing_nothing();
    let mut listing = listing(Paging::After(None));
    listing.sort.descending = true;
    Model::list(&db, &listing).await.unwrap();
    let asked = asked(db);
    assert!(
        asked[0].contains(r#"ORDER BY "products"."price_minor" DESC, "products"."id" DESC"#),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_walk_compares_pairs_where_the_database_seeks_to_them() {
    for backend in [DbBackend::Postgres, DbBackend::Sqlite] {
        let sql = walk_on(backend).await.replace('"', "");
        assert!(
            sql.contains("(products.price_minor, products.id) > (1999, 7)"),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_walk_on_mysql_spells_the_comparison_out() {
    let sql = walk_on(DbBackend::MySql).await.replace('`', "");
    assert!(
        sql.contains(
            "products.price_minor > 1999 OR (products.price_minor = 1999 AND products.id > 7)"
        ),
        "{sql}"
    );
}

#[tokio::test]
async fn a_list_is_filtered_by_price_and_availability() {
    let db = knowing_nothing();
    let mut listing = listing(Paging::After(None));
    listing.filter = Filter {
        q: None,
        min_price: Some(Money::from_minor(100)),
        max_price: Some(Money::from_minor(2_000)),
        available: Some(true),
    };
    Model::list(&db, &listing).await.unwrap();
    let sql = asked(db)
        .remove(0)
        .replace(r#""products"."#, "")
        .replace('"', "");
    assert!(
        sql.contains(
            "archived = FALSE AND price_minor >= 100 AND price_minor <= 2000 \
             AND (stock IS NULL OR stock > 0)"
        ),
        "{sql}"
    );
}

#[tokio::test]
async fn a_product_whose_stock_is_tracked_begins_with_a_movement() {
    let db = postgres()
        .append_query_results([[rows::product()]])
        .append_exec_results([changed(1)])
        .into_connection();
    create(&db, Some(10)).await;
    let asked = asked(db);
    assert_eq!(asked.len(), 2);
    assert!(
        asked[1].starts_with(r#"INSERT INTO "stock_movements""#)
            && asked[1].contains("(7, 'initial', 10, NULL, NULL, NULL, 'system'"),
        "{}",
        asked[1]
    );
}

#[tokio::test]
async fn a_product_whose_stock_is_not_tracked_has_no_movement() {
    let db = knowing(boxcar::models::products::Model {
        stock: None,
        ..rows::product()
    });
    create(&db, None).await;
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn pieces_are_taken_by_one_update_that_cannot_go_below_zero() {
    let (taken, sql) = take(1).await;
    assert!(taken);
    let sql = sql.replace('"', "");
    assert!(
        sql.starts_with("UPDATE products SET stock = stock - 3,")
            && sql.ends_with(
                "WHERE products.id = 7 AND products.archived = FALSE AND products.stock >= 3"
            ),
        "{sql}"
    );
}

#[tokio::test]
async fn pieces_that_are_not_there_are_not_taken() {
    let (taken, _) = take(0).await;
    assert!(!taken);
}

#[tokio::test]
async fn pieces_are_put_back_only_where_stock_is_tracked() {
    let db = postgres()
        .append_exec_results([changed(0)])
        .into_connection();
    let returned = transaction!(&db, |txn| Model::put_back(txn, 7, 3).await).unwrap();
    assert!(!returned);
    let asked = asked(db);
    assert!(
        asked[0].ends_with(r#""products"."stock" IS NOT NULL"#),
        "{asked:?}"
    );
}

#[tokio::test]
async fn archiving_frees_the_sku_and_deletes_nothing() {
    let db = knowing(rows::product());
    transaction!(&db, |txn| rows::product().archive(txn).await).unwrap();
    let asked = asked(db);
    assert!(
        asked[0].starts_with(r#"UPDATE "products" SET "sku" = NULL, "archived" = TRUE"#),
        "{asked:?}"
    );
}

#[tokio::test]
async fn showing_a_product_takes_one_statement_and_none_as_long_as_it_is_current() {
    let other = Model {
        id: 8,
        ..rows::product()
    };
    let db = postgres()
        .append_query_results([[rows::account()]])
        .append_query_results([[rows::product()], [other]])
        .into_connection();
    let shop = routes_on(&db).await;
    for (path, price) in [
        ("/products/7", "19.99"),
        ("/products/8", "19.99"),
        ("/products/7", "19.99"),
    ] {
        let (status, body) = get(&shop, path).await;
        assert_eq!((status, &body["price"]), (StatusCode::OK, &price.into()));
    }
    let asked = asked(db);
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(
        asked[0].contains(r#"FROM "customer_accounts""#),
        "once, for all requests"
    );
    assert!(asked[1].contains(r#""id" = 7"#) && asked[2].contains(r#""id" = 8"#));
}

#[tokio::test]
async fn a_token_whose_account_is_gone_shows_no_product() {
    let db = knowing_nothing();
    let (status, body) = show(&db).await;
    assert_eq!(
        (status, &body["type"]),
        (
            StatusCode::UNAUTHORIZED,
            &"/problems/unauthenticated".into()
        )
    );
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_product_that_is_not_there_is_a_404() {
    let db = postgres()
        .append_query_results([[rows::account()]])
        .append_query_results([none()])
        .into_connection();
    let (status, body) = show(&db).await;
    assert_eq!(
        (status, &body["type"]),
        (StatusCode::NOT_FOUND, &"/problems/not-found".into())
    );
}

#[tokio::test]
async fn a_lost_connection_is_a_503() {
    let db = postgres()
        .append_query_results([[rows::account()]])
        .append_query_errors([lost()])
        .into_connection();
    let (status, body) = show(&db).await;
    assert_eq!(
        (status, &body["type"]),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            &"/problems/unavailable".into()
        )
    );
}

#[tokio::test]
async fn a_lost_connection_does_not_make_a_token_invalid() {
    let (status, body) = show(&unreachable()).await;
    assert_eq!(
        (status, &body["type"]),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            &"/problems/unavailable".into()
        )
    );
}

#[tokio::test]
async fn an_unexpected_error_is_a_500_that_tells_nothing() {
    let secret = "no such column: margin";
    let db = postgres()
        .append_query_results([[rows::account()]])
        .append_query_errors([DbErr::Query(RuntimeErr::Internal(secret.to_owned()))])
        .into_connection();
    let (status, body) = show(&db).await;
    assert_eq!(
        (status, &body["type"]),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            &"/problems/internal".into()
        )
    );
    assert!(!body.to_string().contains("margin"), "{body}");
}

fn listing(paging: Paging) -> Listing<Filter, Key> {
    Listing {
        filter: Filter::default(),
        sort: Sort {
            key: Key::Price,
            descending: false,
        },
        paging,
        page_size: 10,
        total_items: None,
    }
}

/// What a walk that goes on after the kettle asks such a database.
async fn walk_on(backend: DbBackend) -> String {
    let db = MockDatabase::new(backend)
        .append_query_results([none()])
        .into_connection();
    let position = Position {
        mark: Mark::Number(1_999),
        id: 7,
    };
    Model::list(&db, &listing(Paging::After(Some(position))))
        .await
        .unwrap();
    asked(db).remove(0)
}

async fn create(db: &DatabaseConnection, stock: Option<i64>) {
    let details = rows::kettle(None, stock);
    transaction!(db, |txn| Model::create(txn, &details, &Actor::system())
        .await)
    .unwrap();
}

/// Takes three kettles from a database that says how many rows it changed.
async fn take(rows_changed: u64) -> (bool, String) {
    let db = postgres()
        .append_exec_results([changed(rows_changed)])
        .into_connection();
    let taken = transaction!(&db, |txn| Model::take(txn, 7, 3).await).unwrap();
    (taken, asked(db).remove(0))
}

/// `GET` of the kettle with Ada's token.
async fn show(db: &DatabaseConnection) -> (StatusCode, Value) {
    get(&routes_on(db).await, "/products/7").await
}

async fn get((router, token): &(Router, String), path: &str) -> (StatusCode, Value) {
    let request = Request::get(format!("/api/v1{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

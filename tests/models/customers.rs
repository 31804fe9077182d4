//! Customers, on a database that only pretends.

use boxcar::{
    models::{
        Error,
        customers::{Changes, Filter, Key, Model},
        listing::{Listing, Mark, Paging, Place, Position, Sort},
        types::{CustomerName, Scalar},
    },
    transaction,
};

use super::{
    mock::{asked, changed, counted, knowing, knowing_nothing, none, postgres, unreachable},
    rows,
};

#[tokio::test]
async fn a_customer_is_found_with_one_statement() {
    let db = knowing(rows::customer());
    assert_eq!(Model::find(&db, 5).await.unwrap(), rows::customer());
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_customer_who_is_not_there_is_not_found() {
    let error = Model::find(&knowing_nothing(), 5).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "{error:?}");
}

#[tokio::test]
async fn a_lost_connection_does_not_make_a_customer_absent() {
    let error = Model::find(&unreachable(), 5).await.unwrap_err();
    assert!(matches!(error, Error::Db(_)), "{error:?}");
}

#[tokio::test]
async fn an_erased_customer_is_not_looked_for() {
    let db = knowing_nothing();
    let _ = Model::find(&db, 5).await;
    let asked = asked(db);
    assert!(
        asked[0].contains(r#"WHERE "customers"."erased" = FALSE AND "customers"."id" = 5"#),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_customer_who_is_to_be_changed_is_locked() {
    let db = knowing(rows::customer());
    transaction!(&db, |txn| Model::find_locked(txn, 5).await).unwrap();
    let asked = asked(db);
    assert!(
        asked[0].contains(r#""erased" = FALSE"#) && asked[0].ends_with("FOR UPDATE"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_page_by_number_takes_two_statements() {
    let db = postgres()
        .append_query_results([counted(30)])
        .append_query_results([[rows::customer()]])
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
async fn a_page_past_the_end_is_only_counted() {
    let db = postgres()
        .append_query_results([counted(30)])
        .into_connection();
    let page = Model::list(&db, &listing(Paging::Number(4))).await.unwrap();
    assert!(page.items.is_empty());
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_page_by_cursor_takes_one_statement() {
    let db = knowing(rows::customer());
    let position = Position {
        mark: Mark::Text("ab".to_owned()),
        id: 4,
    };
    let page = Model::list(&db, &listing(Paging::After(Some(position))))
        .await
        .unwrap();
    assert_eq!(page.place, Place::Walk { next: None });
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_list_leaves_out_the_erased() {
    let db = postgres()
        .append_query_results([counted(1)])
        .append_query_results([[rows::customer()]])
        .into_connection();
    Model::list(&db, &listing(Paging::Number(1))).await.unwrap();
    for sql in asked(db) {
        assert!(sql.contains(r#""erased" = FALSE"#), "{sql}");
    }
}

#[tokio::test]
async fn a_search_is_folded_and_takes_wildcards_for_characters() {
    let db = knowing_nothing();
    let mut listing = listing(Paging::After(None));
    listing.filter.q = Some("50%_ÄDA!".to_owned());
    Model::list(&db, &listing).await.unwrap();
    let asked = asked(db);
    assert!(
        asked[0].contains("LIKE '%50!%!_äda!!%' ESCAPE '!'"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_change_leaves_the_other_fields_as_they_are() {
    let db = postgres()
        .append_query_results([[rows::customer()], [rows::customer()]])
        .into_connection();
    let changes = Changes {
        name: Some(CustomerName::parse("Ada King").unwrap()),
        ..Changes::default()
    };
    transaction!(&db, |txn| Model::find_locked(txn, 5)
        .await?
        .change(txn, &changes)
        .await)
    .unwrap();
    let asked = asked(db);
    for part in [
        r#""name" = 'Ada King'"#,
        r#""name_key" = 'ada king'"#,
        r#""email" = 'ada@example.com'"#,
        r#""phone" = '+44 20 7946 0018'"#,
    ] {
        assert!(asked[1].contains(part), "{part} in {}", asked[1]);
    }
}

#[tokio::test]
async fn a_customer_without_orders_is_dropped() {
    let db = postgres()
        .append_query_results([none()])
        .append_query_results([counted(0)])
        .append_exec_results([changed(1), changed(0)])
        .into_connection();
    transaction!(&db, |txn| rows::customer().delete(txn).await).unwrap();
    let asked = asked(db);
    assert_eq!(
        asked[asked.len() - 2..],
        [
            r#"DELETE FROM "customers" WHERE "customers"."id" = 5"#,
            r#"DELETE FROM "idempotency_keys" WHERE "idempotency_keys"."customer_id" = 5"#,
        ]
    );
}

#[tokio::test]
async fn a_customer_with_orders_is_overwritten() {
    let db = postgres()
        .append_query_results([none()])
        .append_query_results([counted(2)])
        .append_exec_results([changed(1), changed(1), changed(0)])
        .append_query_results([[rows::customer()]])
        .into_connection();
    transaction!(&db, |txn| rows::customer().delete(txn).await).unwrap();
    let asked = asked(db);
    let overwritten = &asked[asked.len() - 2];
    assert!(
        overwritten.starts_with(r#"UPDATE "customers""#),
        "{overwritten}"
    );
    for part in [
        r#""name" = 'erased'"#,
        r#""email" = 'erased-5@erased.invalid'"#,
        r#""phone" = NULL"#,
        r#""search_text" = ''"#,
        r#""erased" = TRUE"#,
    ] {
        assert!(overwritten.contains(part), "{part} in {overwritten}");
    }
}

#[tokio::test]
async fn the_orders_of_an_erased_customer_lose_their_address_and_note_only() {
    let db = postgres()
        .append_query_results([none()])
        .append_query_results([counted(2)])
        .append_exec_results([changed(1), changed(1), changed(0)])
        .append_query_results([[rows::customer()]])
        .into_connection();
    transaction!(&db, |txn| rows::customer().delete(txn).await).unwrap();
    let asked = asked(db);
    assert!(
        asked[2].starts_with(
            r#"UPDATE "orders" SET "shipping_address" = NULL, "note" = NULL, "updated_at" ="#
        ) && asked[2].ends_with(r#"WHERE "orders"."customer_id" = 5"#),
        "{}",
        asked[2]
    );
}

fn listing(paging: Paging) -> Listing<Filter, Key> {
    Listing {
        filter: Filter::default(),
        sort: Sort {
            key: Key::Name,
            descending: false,
        },
        paging,
        page_size: 10,
        total_items: None,
    }
}

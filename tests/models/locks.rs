//! In which order rows are locked: everybody in the same, or they wait for each other.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use boxcar::{
    models::{
        Actor, customers,
        mails::Letterhead,
        self_service::{Envelope, ForgottenPassword},
        types::{ActorKind, Email, Scalar, Sealer},
    },
    transaction,
};
use sea_orm::{DatabaseConnection, MockDatabase, Value};
use tower::ServiceExt;

use super::{
    mock::{asked, changed, postgres, routes_on},
    rows,
};

#[tokio::test]
async fn who_deletes_a_customer_locks_the_account_first() {
    let db = postgres()
        .append_query_results([[id(3)]])
        .append_query_results([[rows::account()], [rows::account()]])
        .append_query_results([[rows::customer()]])
        .into_connection();
    let system = Actor::system();
    let found = transaction!(&db, |txn| customers::Model::find_to_delete(txn, 5, &system)
        .await);
    assert_eq!(
        found.unwrap(),
        (rows::customer(), Some(rows::account())),
        "both are found"
    );
    let expected = ["customer_accounts FOR UPDATE", "customers FOR UPDATE"];
    assert_eq!(locks(db), expected);
}

#[tokio::test]
async fn a_key_that_changes_a_customer_locks_the_account_first() {
    let db = knowing_both(postgres().append_query_results([[id(3)]])).into_connection();
    let key = Actor {
        kind: ActorKind::ApiKey,
        id: Some(1),
        name: "Robot".to_owned(),
    };
    let found = transaction!(&db, |txn| customers::Model::find_locked_for(txn, 5, &key)
        .await);
    assert_eq!(found.unwrap(), rows::customer());
    assert_eq!(locks(db), ACCOUNT_THEN_CUSTOMER);
}

#[tokio::test]
async fn who_asks_for_a_new_password_locks_the_account_first() {
    let db = postgres().append_query_results([[id(5)], [id(3)]]);
    let db = knowing_both(db)
        .append_exec_results([1, 1].map(changed))
        .into_connection();
    let letterhead = Letterhead {
        shop_name: "Boxcar".to_owned(),
        domain: "example.com".to_owned(),
    };
    let sealer = Sealer::keyed_with("c2VjcmV0", None).unwrap();
    let envelope = Envelope::new(&letterhead, &sealer, Duration::from_hours(1)).unwrap();
    let forgotten = ForgottenPassword {
        email: Email::parse("ada@example.com").unwrap(),
    };
    let reminded = transaction!(&db, |txn| forgotten.remind(txn, &envelope).await);
    reminded.unwrap();
    assert_eq!(locks(db), ACCOUNT_THEN_CUSTOMER);
}

#[tokio::test]
async fn who_changes_their_account_shares_its_lock_with_nobody() {
    let account = || [[rows::account()], [rows::account()]];
    let db = postgres()
        .append_query_results([[rows::account()]])
        .append_query_results(account())
        .append_query_results(account())
        .append_query_results([[(rows::account(), rows::customer())]])
        .append_exec_results([changed(1)])
        .into_connection();
    let (router, token) = routes_on(&db).await;
    let request = Request::post("/api/v1/auth/logout")
        .header(header::HOST, "localhost")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(locks(db), ["customer_accounts FOR UPDATE"; 2]);
}

const ACCOUNT_THEN_CUSTOMER: [&str; 2] = ["customer_accounts FOR SHARE", "customers FOR UPDATE"];

/// Goes on to answer with Ada's account and Ada.
fn knowing_both(db: MockDatabase) -> MockDatabase {
    db.append_query_results([[rows::account()]])
        .append_query_results([[rows::customer()]])
}

/// The id of a row.
fn id(id: i64) -> BTreeMap<&'static str, Value> {
    BTreeMap::from([("id", id.into())])
}

/// What was locked, and how, in that order.
fn locks(db: DatabaseConnection) -> Vec<String> {
    let lock = |sql: String| {
        let how = ["FOR UPDATE", "FOR SHARE"];
        let how = how.into_iter().find(|how| sql.ends_with(how))?;
        let (_, table) = sql.split_once(" FROM ")?;
        let table = table.split(' ').next()?.trim_matches('"');
        Some(format!("{table} {how}"))
    };
    asked(db).into_iter().filter_map(lock).collect()
}

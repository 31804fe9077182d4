//! Customer accounts, on a database that only pretends.

use std::time::Duration;

use boxcar::{
    models::{
        Error,
        customer_accounts::{Changes, Filter, Key, Model, PasswordChange},
        listing::{Listing, Paging, Sort},
        queue::{Client, Queue, Turn},
        types::{Password, Role},
    },
    transaction,
};
use sea_orm::{DatabaseConnection, IntoMockRow};

use super::{
    mock::{asked, changed, counted, knowing, knowing_nothing, none, postgres, unreachable},
    rows,
};
use crate::support::PASSWORD;

#[tokio::test]
async fn an_account_is_found_with_its_customer_by_one_statement() {
    let db = knowing((rows::account(), rows::customer()));
    let (account, customer) = Model::find(&db, 3).await.unwrap();
    assert_eq!(
        (account, customer),
        (rows::account(), Some(rows::customer()))
    );
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn an_administrator_may_have_no_customer() {
    let db = knowing(without_customer(rows::admin()));
    let (_, customer) = Model::find(&db, 1).await.unwrap();
    assert_eq!(customer, None);
}

#[tokio::test]
async fn an_account_that_is_not_there_is_not_found() {
    let error = Model::find(&knowing_nothing(), 3).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "{error:?}");
}

#[tokio::test]
async fn a_lost_connection_does_not_make_an_account_absent() {
    let error = Model::find(&unreachable(), 3).await.unwrap_err();
    assert!(matches!(error, Error::Db(_)), "{error:?}");
}

#[tokio::test]
async fn a_token_s_account_is_found_with_one_statement() {
    let db = knowing(rows::account());
    Model::find_by_pid(&db, "some-pid").await.unwrap();
    let asked = asked(db);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].contains(r#""pid" = 'some-pid'"#), "{asked:?}");
}

#[tokio::test]
async fn nobody_logs_in_by_an_unknown_name() {
    let db = knowing_nothing();
    assert_eq!(log_in(&db, "nobody").await.unwrap(), None);
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_name_that_cannot_be_is_not_looked_for() {
    let db = postgres().into_connection();
    assert_eq!(log_in(&db, "' OR 1=1").await.unwrap(), None);
    assert!(asked(db).is_empty());
}

#[tokio::test]
async fn nobody_logs_in_with_a_wrong_password() {
    let db = knowing(with_password("another password entirely").await);
    assert_eq!(log_in(&db, "ada").await.unwrap(), None);
}

#[tokio::test]
async fn name_and_password_log_in_by_one_statement() {
    let account = with_password(PASSWORD).await;
    let db = knowing(account.clone());
    assert_eq!(log_in(&db, "ADA").await.unwrap(), Some(account));
    let asked = asked(db);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].contains(r#""username" = 'ada'"#), "{asked:?}");
}

#[tokio::test]
async fn a_lost_connection_is_no_wrong_password() {
    let error = log_in(&unreachable(), "ada").await.unwrap_err();
    assert!(matches!(error, Error::Db(_)), "{error:?}");
}

#[tokio::test]
async fn a_page_by_number_takes_three_statements() {
    let db = postgres()
        .append_query_results([counted(2)])
        .append_query_results([[rows::admin(), rows::account()]])
        .append_query_results([[rows::customer()]])
        .into_connection();
    let page = Model::list(&db, &listing(Paging::Number(1))).await.unwrap();
    let customers: Vec<_> = page
        .items
        .into_iter()
        .map(|(_, customer)| customer)
        .collect();
    assert_eq!(customers, [None, Some(rows::customer())]);
    assert_eq!(asked(db).len(), 3);
}

#[tokio::test]
async fn a_page_by_cursor_takes_two_statements() {
    let db = postgres()
        .append_query_results([[rows::account()]])
        .append_query_results([[rows::customer()]])
        .into_connection();
    Model::list(&db, &listing(Paging::After(None)))
        .await
        .unwrap();
    assert_eq!(asked(db).len(), 2);
}

#[tokio::test]
async fn nobody_asks_for_the_customers_of_no_accounts() {
    let db = knowing_nothing();
    let page = Model::list(&db, &listing(Paging::After(None)))
        .await
        .unwrap();
    assert!(page.items.is_empty());
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_list_is_filtered_by_name_and_role() {
    let db = knowing_nothing();
    let mut listing = listing(Paging::After(None));
    listing.filter = Filter {
        q: Some("A_a".to_owned()),
        role: Some(Role::Admin),
    };
    Model::list(&db, &listing).await.unwrap();
    let asked = asked(db);
    assert!(
        asked[0].contains(r#"LIKE '%a!_a%' ESCAPE '!' AND "customer_accounts"."role" = 'admin'"#),
        "{asked:?}"
    );
}

#[tokio::test]
async fn the_last_administrator_is_not_deleted() {
    let db = knowing(rows::admin());
    let outcome = transaction!(&db, |txn| rows::admin().delete(txn).await);
    assert!(
        matches!(outcome, Err(Error::LastAdministrator)),
        "{outcome:?}"
    );
    let asked = asked(db);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].ends_with("FOR UPDATE"), "{asked:?}");
}

#[tokio::test]
async fn the_last_administrator_is_not_demoted() {
    let db = postgres()
        .append_query_results([[rows::admin()]])
        .append_query_results([[without_customer(rows::admin())]])
        .append_query_results([[rows::admin()]])
        .into_connection();
    let outcome = change(&db, 1, demotion()).await;
    assert!(
        matches!(outcome, Err(Error::LastAdministrator)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_administrator_who_is_no_customer_does_not_become_one() {
    let other = Model {
        id: 2,
        ..rows::admin()
    };
    let db = postgres()
        .append_query_results([[rows::admin(), other.clone()]])
        .append_query_results([[without_customer(rows::admin())]])
        .append_query_results([[rows::admin(), other]])
        .into_connection();
    let outcome = change(&db, 1, demotion()).await;
    assert!(
        matches!(&outcome, Err(Error::Invalid(rules)) if rules[0].pointer == "/role"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_account_that_somebody_else_deleted_is_not_found() {
    let db = postgres()
        .append_query_results([[rows::admin()]])
        .append_query_results([none()])
        .append_exec_results([changed(0), changed(0), changed(0), changed(0)])
        .into_connection();
    let outcome = transaction!(&db, |txn| rows::account().delete(txn).await);
    assert!(matches!(outcome, Err(Error::NotFound)), "{outcome:?}");
}

#[tokio::test]
async fn another_role_ends_the_tokens_that_are_out() {
    let promotion = Changes {
        role: Some(Role::Admin),
        ..Changes::default()
    };
    let update = update_of_ada(promotion).await;
    assert!(update.contains(r#""token_version" = 4"#), "{update}");
}

#[tokio::test]
async fn the_same_role_leaves_the_tokens_that_are_out() {
    let same = Changes {
        role: Some(Role::Customer),
        ..Changes::default()
    };
    let db = postgres()
        .append_query_results([[rows::admin(), rows::account()]])
        .append_query_results([[(rows::account(), rows::customer())]])
        .append_query_results([[rows::account()]])
        .append_query_results([[(rows::account(), rows::customer())]])
        .into_connection();
    change(&db, 3, same).await.unwrap();
    let asked = asked(db);
    assert!(!asked[2].contains(r#""token_version" ="#), "{}", asked[2]);
}

#[tokio::test]
async fn a_new_password_is_kept_as_a_hash_and_ends_the_tokens_that_are_out() {
    let db = postgres()
        .append_query_results([[(rows::account(), rows::customer())]])
        .append_query_results([[rows::account()]])
        .append_query_results([[(rows::account(), rows::customer())]])
        .append_query_results([[rows::account()]])
        .append_query_results([[(rows::account(), rows::customer())]])
        .into_connection();
    let changes = Changes {
        password: Some(Password::given(PASSWORD)),
        ..Changes::default()
    };
    change(&db, 3, changes).await.unwrap();
    let asked = asked(db);
    assert!(
        asked[3].contains(r#""password_hash" = '$argon2id$"#)
            && asked[3].contains(r#""token_version" = 4"#)
            && !asked[3].contains(PASSWORD),
        "{}",
        asked[3]
    );
}

#[tokio::test]
async fn a_password_made_of_the_customer_s_own_name_is_refused_without_a_write() {
    let db = knowing((rows::account(), rows::customer()));
    let changes = Changes {
        password: Some(Password::given("ada@example.com")),
        ..Changes::default()
    };
    let outcome = change(&db, 3, changes).await;
    assert!(
        matches!(&outcome, Err(Error::Invalid(rules)) if rules[0].violation.code == "guessable"),
        "{outcome:?}"
    );
    assert_eq!(asked(db).len(), 1);
}

#[tokio::test]
async fn a_change_is_not_made_when_the_password_that_allowed_it_has_been_replaced() {
    let ada = Model {
        password_hash: with_password(PASSWORD).await.password_hash,
        ..rows::account()
    };
    let db = knowing((ada.clone(), rows::customer()));
    let change = PasswordChange {
        current: Password::given(PASSWORD),
        new: Password::given("gravel otter 3 plinth dune"),
    };
    let changes = change.hashed(&db, &ada, &turn().await).await.unwrap();
    let replaced = Model {
        token_version: ada.token_version + 1,
        ..ada
    };
    let outcome = transaction!(&db, |txn| replaced.clone().change(txn, &changes).await);
    assert!(matches!(outcome, Err(Error::Revoked)), "{outcome:?}");
    assert_eq!(asked(db).len(), 1, "nothing is written");
}

fn listing(paging: Paging) -> Listing<Filter, Key> {
    Listing {
        filter: Filter::default(),
        sort: Sort {
            key: Key::Id,
            descending: false,
        },
        paging,
        page_size: 10,
        total_items: None,
    }
}

fn demotion() -> Changes {
    Changes {
        role: Some(Role::Customer),
        ..Changes::default()
    }
}

/// The account joined with a customer that it does not have.
fn without_customer(account: Model) -> impl IntoMockRow {
    (account, None::<boxcar::models::customers::Model>)
}

/// Ada's account with that password.
async fn with_password(password: &str) -> Model {
    let hash = Password::given(password).hash(&turn().await).await.unwrap();
    Model {
        password_hash: hash.into(),
        ..rows::account()
    }
}

/// A turn in a queue of one's own.
async fn turn() -> Turn {
    let queue = Queue::new(1, 1, Duration::ZERO);
    queue.turn(Client::System).await.unwrap()
}

async fn log_in(db: &DatabaseConnection, username: &str) -> Result<Option<Model>, Error> {
    Model::authenticate(db, username, Password::given(PASSWORD), &turn().await).await
}

async fn change(db: &DatabaseConnection, id: i64, changes: Changes) -> Result<(), Error> {
    let changes = changes.hashed(db, id, Client::System).await?;
    transaction!(db, |txn| {
        let (account, _) = Model::find_locked(txn, id).await?;
        account.change(txn, &changes).await
    })
    .map(drop)
}

/// What is written when Ada's account changes so, for which no administrator is asked.
async fn update_of_ada(changes: Changes) -> String {
    let db = postgres()
        .append_query_results([[rows::account()]])
        .append_query_results([[(rows::account(), rows::customer())]])
        .append_query_results([[rows::account()]])
        .append_query_results([[(rows::account(), rows::customer())]])
        .into_connection();
    change(&db, 3, changes).await.unwrap();
    asked(db).remove(2)
}

//! Races: promises that hold when sixteen ask at once.

use std::sync::Arc;

use boxcar::{
    models::{
        Actor, Error, customer_accounts,
        customer_accounts::{Hashed, NewAccount},
        customers,
        orders::{self, NewOrder, Order, OrderLine},
        products,
        queue::Client,
        tax_rates,
        types::{
            CountryCode, NewPassword, Percentage, Quantity, RateName, Role, Scalar, TaxClass,
            Username,
        },
    },
    transaction,
};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter};
use tokio::{sync::Barrier, task::JoinSet};

use super::rows::{self, add_customer, add_product, kettle, person};
use crate::support::{PASSWORD, Shop, assert_invariants};

const CONTENDERS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixteen_gets_an_email() {
    let shop = Shop::open().await;
    let outcomes = race(contenders().map(|n| {
        let db = shop.ctx.db.clone();
        let details = person(if n % 2 == 0 {
            "ada@example.com"
        } else {
            "ADA@example.com"
        });
        async move { transaction!(&db, |txn| customers::Model::create(txn, &details).await) }
    }));
    assert_one_got(outcomes.await, "/email");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixteen_gets_a_username() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    let account = registration(db, "ada").await;
    let mut registrations = Vec::new();
    for n in contenders() {
        let customer = add_customer(db, &format!("ada{n}@example.com")).await;
        registrations.push(account.clone().for_customer(customer.id));
    }
    let outcomes = race(
        registrations
            .into_iter()
            .map(|account| register(db, account)),
    );
    assert_one_got(outcomes.await, "/username");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixteen_gets_an_account_for_a_customer() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    let customer = add_customer(db, "ada@example.com").await;
    let mut registrations = Vec::new();
    for n in contenders() {
        let account = registration(db, &format!("ada{n}")).await;
        registrations.push(account.for_customer(customer.id));
    }
    let outcomes = race(
        registrations
            .into_iter()
            .map(|account| register(db, account)),
    );
    assert_one_got(outcomes.await, "/customer_id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixteen_gets_a_sku() {
    let shop = Shop::open().await;
    let outcomes = race(contenders().map(|_| {
        let db = shop.ctx.db.clone();
        async move {
            let details = kettle(Some("KET-1"), Some(10));
            transaction!(&db, |txn| products::Model::create(
                txn,
                &details,
                &Actor::system()
            )
            .await)
        }
    }));
    assert_one_got(outcomes.await, "/sku");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_that_a_product_gets_while_its_rate_is_deleted_has_a_rate_or_no_product() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    for turn in [0, 4, 8, CONTENDERS - 1] {
        let class = TaxClass::parse(&format!("class {turn}")).unwrap();
        let rate = tax_rates::Details {
            name: RateName::parse("VAT").unwrap(),
            country: CountryCode::parse("DE").unwrap(),
            region: None,
            tax_class: Some(class.clone()),
            rate: Percentage::parse("7").unwrap(),
        };
        let rate = transaction!(db, |txn| tax_rates::Model::create(txn, &rate).await);
        let rate = rate.unwrap().id;
        let outcomes = race(contenders().map(|n| {
            let (db, class) = (db.clone(), Some(class.clone()));
            async move {
                if n == turn {
                    return transaction!(&db, |txn| {
                        let rate = tax_rates::Model::find_locked(txn, rate).await?;
                        rate.delete(txn).await
                    });
                }
                let details = products::Details {
                    tax_class: class,
                    ..kettle(None, None)
                };
                let actor = Actor::system();
                let added = transaction!(&db, |txn| products::Model::create(txn, &details, &actor)
                    .await);
                added.map(drop)
            }
        }));
        for outcome in outcomes.await {
            match outcome {
                Ok(()) | Err(Error::ClassInUse) => {}
                Err(Error::Invalid(rules)) => assert_eq!(rules[0].pointer, "/tax_class"),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    assert_invariants(db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_order_outlives_its_customer() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    for customer in ordering_and_deleted(db).await {
        let mut kept = orders_of(db, customer.id).await;
        kept.sort_unstable();
        assert_eq!(kept, customer.acknowledged);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_orders_while_being_deleted_is_erased_or_gone() {
    let shop = Shop::open().await;
    let db = &shop.ctx.db;
    for customer in ordering_and_deleted(db).await {
        let row = customers::Entity::find_by_id(customer.id)
            .one(db)
            .await
            .unwrap();
        // Erased when there are orders, gone when there are none.
        let erased = row.map(|row| row.erased);
        let expected = (!customer.acknowledged.is_empty()).then_some(true);
        assert_eq!(erased, expected, "{:?}", customer.acknowledged);
    }
}

/// A customer who was deleted while orders were placed for them.
struct Deleted {
    id: i64,
    /// The orders that were answered with success, by id.
    acknowledged: Vec<i64>,
}

/// Lets fifteen orders race with their customer's deletion, from another place among them each time.
async fn ordering_and_deleted(db: &DatabaseConnection) -> Vec<Deleted> {
    let product = add_product(db, &kettle(None, Some(1_000))).await.id;
    let mut customers = Vec::new();
    for turn in [0, 4, 8, CONTENDERS - 1] {
        let id = add_customer(db, &format!("ada{turn}@example.com")).await.id;
        let outcomes = race(contenders().map(|n| {
            let db = db.clone();
            async move {
                if n == turn {
                    delete(&db, id).await.map(|()| None)
                } else {
                    place(&db, id, product).await.map(Some)
                }
            }
        }));
        let mut acknowledged = acknowledged(outcomes.await);
        acknowledged.sort_unstable();
        customers.push(Deleted { id, acknowledged });
    }
    customers
}

/// The orders that were placed, when the others were refused for want of a customer.
fn acknowledged(outcomes: Vec<Result<Option<Order>, Error>>) -> Vec<i64> {
    let mut ids = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(order) => ids.extend(order.map(|order| order.order.id)),
            Err(Error::Invalid(rules)) => assert_eq!(rules[0].pointer, "/customer_id"),
            Err(error) => panic!("{error:?}"),
        }
    }
    ids
}

async fn delete(db: &DatabaseConnection, id: i64) -> Result<(), Error> {
    transaction!(db, |txn| {
        let found = customers::Model::find_to_delete(txn, id, &Actor::system()).await;
        let (customer, account) = found?;
        customer.delete(txn, account).await
    })
}

async fn place(db: &DatabaseConnection, customer_id: i64, product_id: i64) -> Result<Order, Error> {
    let order = NewOrder {
        customer_id: None,
        items: vec![OrderLine {
            product_id,
            quantity: Quantity::new(1).unwrap(),
        }],
        shipping_address: None,
        shipping_address_id: None,
        shipping_option_id: None,
        discount_code: None,
        note: None,
    };
    let system = Actor::system();
    let sale = rows::sale(&system);
    transaction!(db, |txn| orders::Model::place(
        txn,
        customer_id,
        &order,
        &sale
    )
    .await)
}

async fn orders_of(db: &DatabaseConnection, customer_id: i64) -> Vec<i64> {
    let orders = orders::Entity::find()
        .filter(orders::Column::CustomerId.eq(customer_id))
        .all(db)
        .await
        .unwrap();
    orders.into_iter().map(|order| order.id).collect()
}

/// An account that is yet to be given a customer.
async fn registration(db: &DatabaseConnection, username: &str) -> Hashed<NewAccount> {
    let registration = NewAccount {
        customer_id: None,
        username: Username::parse(username).unwrap(),
        password: NewPassword::parse(PASSWORD).unwrap(),
        role: Role::Customer,
    };
    registration.hashed(db, Client::System).await.unwrap()
}

fn register(
    db: &DatabaseConnection,
    account: Hashed<NewAccount>,
) -> impl Future<Output = Result<customer_accounts::WithCustomer, Error>> + use<> {
    let db = db.clone();
    async move {
        transaction!(&db, |txn| customer_accounts::Model::create(txn, &account)
            .await)
    }
}

fn contenders() -> impl ExactSizeIterator<Item = usize> {
    0..CONTENDERS
}

/// Starts all of them at the same moment, and waits until all are done.
async fn race<T: Send + 'static>(
    contenders: impl ExactSizeIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let start = Arc::new(Barrier::new(contenders.len()));
    let mut running = JoinSet::new();
    for contender in contenders {
        let start = Arc::clone(&start);
        running.spawn(async move {
            start.wait().await;
            contender.await
        });
    }
    running.join_all().await
}

/// One of them succeeded, and the others were told which field is taken.
fn assert_one_got<T>(outcomes: Vec<Result<T, Error>>, pointer: &str) {
    assert_eq!(outcomes.len(), CONTENDERS);
    let refusals: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!(refusals.len(), CONTENDERS - 1);
    for refusal in refusals {
        assert!(
            matches!(&refusal, Error::NotUnique(rule) if rule.pointer == pointer),
            "{refusal:?}"
        );
    }
}

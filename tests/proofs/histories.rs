//! Random histories of a store, held against a simple store in memory: after every operation the two
//! have to have given the same answer.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::json;

use crate::support::{Client, Shop, assert_invariants};

const PRODUCTS: usize = 3;

#[derive(Clone, Debug)]
enum Operation {
    Order(Vec<(usize, i64)>),
    Cancel(usize),
    Advance(usize, &'static str),
    Adjust(usize, i64),
    SetStock(usize, Option<i64>),
    Archive(usize),
}

/// The store as one would write it on a napkin.
#[derive(Debug, Default)]
struct Napkin {
    /// Stock by product; `None` is not tracked.
    stock: Vec<Option<i64>>,
    archived: Vec<bool>,
    /// Each order's status, and what it took.
    orders: Vec<(&'static str, BTreeMap<usize, i64>)>,
}

impl Napkin {
    /// The status that the store has to answer with.
    fn carry_out(&mut self, operation: &Operation) -> StatusCode {
        match operation {
            Operation::Order(lines) => self.order(lines),
            Operation::Cancel(order) => self.advance(*order, "cancelled"),
            Operation::Advance(order, status) => self.advance(*order, status),
            Operation::Adjust(product, delta) => match self.stock[*product] {
                _ if self.archived[*product] => StatusCode::NOT_FOUND,
                Some(stock) if stock + delta >= 0 => {
                    self.stock[*product] = Some(stock + delta);
                    StatusCode::OK
                }
                _ => StatusCode::CONFLICT,
            },
            Operation::SetStock(product, stock) => {
                if self.archived[*product] {
                    return StatusCode::NOT_FOUND;
                }
                self.stock[*product] = *stock;
                StatusCode::OK
            }
            Operation::Archive(product) => {
                if std::mem::replace(&mut self.archived[*product], true) {
                    return StatusCode::NOT_FOUND;
                }
                StatusCode::NO_CONTENT
            }
        }
    }

    fn order(&mut self, lines: &[(usize, i64)]) -> StatusCode {
        if lines.iter().any(|(product, _)| self.archived[*product]) {
            return StatusCode::UNPROCESSABLE_ENTITY;
        }
        let mut wanted = BTreeMap::<usize, i64>::new();
        for (product, quantity) in lines {
            *wanted.entry(*product).or_default() += quantity;
        }
        if wanted
            .iter()
            .any(|(product, quantity)| self.stock[*product].is_some_and(|stock| stock < *quantity))
        {
            return StatusCode::CONFLICT;
        }
        wanted.retain(|product, _| self.stock[*product].is_some());
        for (product, quantity) in &wanted {
            self.stock[*product] = self.stock[*product].map(|stock| stock - quantity);
        }
        self.orders.push(("placed", wanted));
        StatusCode::CREATED
    }

    fn advance(&mut self, order: usize, next: &'static str) -> StatusCode {
        let Some((status, taken)) = self.orders.get_mut(order) else {
            return StatusCode::NOT_FOUND;
        };
        let allowed = matches!(
            (*status, next),
            ("placed", "paid" | "cancelled")
                | ("paid", "shipped" | "cancelled")
                | ("shipped", "delivered")
        );
        if !allowed {
            return StatusCode::CONFLICT;
        }
        *status = next;
        if next == "cancelled" {
            for (product, quantity) in taken {
                self.stock[*product] = self.stock[*product].map(|stock| stock + *quantity);
            }
        }
        StatusCode::OK
    }
}

#[test]
fn the_store_answers_like_the_napkin() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (shop, admin) = runtime.block_on(async {
        let (shop, mut admin) = Shop::open_with_admin().await;
        admin.customer_id = shop.customer("buyer").await.customer_id;
        (shop, admin)
    });
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    });
    let histories = proptest::collection::vec(operation(), 1..40);
    let outcome = runner.run(&histories, |history| {
        runtime.block_on(live_through(&admin, &history));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    runtime.block_on(assert_invariants(&shop.ctx.db));
}

async fn live_through(admin: &Client, history: &[Operation]) {
    let mut napkin = Napkin {
        stock: vec![Some(4), Some(20), None],
        archived: vec![false; PRODUCTS],
        orders: vec![],
    };
    let (mut products, mut orders) = (Vec::new(), Vec::new());
    for stock in &napkin.stock {
        products.push(
            admin
                .add_product(json!({ "name": "Thing", "price": "1.10", "stock": stock }))
                .await,
        );
    }
    for operation in history {
        let answer = match operation {
            Operation::Order(lines) => {
                let items: Vec<_> = lines
                    .iter()
                    .map(|(product, quantity)| json!({ "product_id": products[*product], "quantity": quantity }))
                    .collect();
                let answer = admin
                    .post(
                        "/orders",
                        json!({ "customer_id": admin.customer_id, "items": items }),
                    )
                    .await;
                orders.extend(
                    answer.body["id"]
                        .as_i64()
                        .filter(|_| answer.status == StatusCode::CREATED),
                );
                answer
            }
            Operation::Cancel(order) => {
                let id = orders.get(*order).copied().unwrap_or(i64::MAX);
                admin.post(&format!("/orders/{id}/cancel"), json!({})).await
            }
            Operation::Advance(order, status) => {
                let id = orders.get(*order).copied().unwrap_or(i64::MAX);
                admin
                    .patch(&format!("/orders/{id}"), json!({ "status": status }))
                    .await
            }
            Operation::Adjust(product, delta) => {
                let path = format!("/products/{}/stock", products[*product]);
                admin
                    .post(&path, json!({ "delta": delta, "reason": "counted" }))
                    .await
            }
            Operation::SetStock(product, stock) => {
                admin
                    .patch(
                        &format!("/products/{}", products[*product]),
                        json!({ "stock": stock }),
                    )
                    .await
            }
            Operation::Archive(product) => {
                admin
                    .delete(&format!("/products/{}", products[*product]))
                    .await
            }
        };
        let expected = napkin.carry_out(operation);
        assert_eq!(
            answer.status, expected,
            "{operation:?} of {history:?}: {}",
            answer.body
        );
        for (product, id) in products
            .iter()
            .enumerate()
            .filter(|(product, _)| !napkin.archived[*product])
        {
            let stock = &admin.get(&format!("/products/{id}")).await.body["stock"];
            assert_eq!(
                *stock,
                json!(napkin.stock[product]),
                "after {operation:?} of {history:?}"
            );
        }
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let line = (0..PRODUCTS, 1..=4_i64);
    let order = 0..8_usize;
    let status = proptest::sample::select(vec!["paid", "shipped", "delivered", "cancelled"]);
    prop_oneof![
        6 => proptest::collection::vec(line, 1..=4).prop_map(Operation::Order),
        3 => order.clone().prop_map(Operation::Cancel),
        3 => (order, status).prop_map(|(order, status)| Operation::Advance(order, status)),
        2 => (0..PRODUCTS, -6..=6_i64).prop_filter_map("not 0", |(product, delta)| {
            (delta != 0).then_some(Operation::Adjust(product, delta))
        }),
        2 => (0..PRODUCTS, proptest::option::of(0..=9_i64)).prop_map(|(product, stock)| Operation::SetStock(product, stock)),
        1 => (0..PRODUCTS).prop_map(Operation::Archive),
    ]
}

//! Model-based test: random sequences of operations on the store and on a reference model, a simple store in
//! memory. After every operation the two have to have given the same answer.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::json;

use crate::support::{Answer, Client, Shop, assert_invariants, order_lines};

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

/// The reference model: what has to be true of the store, without a database.
#[derive(Debug, Default)]
struct Model {
    /// Stock by product; `None` is not tracked.
    stock: Vec<Option<i64>>,
    archived: Vec<bool>,
    /// Each order's status, and what it took.
    orders: Vec<(&'static str, BTreeMap<usize, i64>)>,
}

impl Model {
    /// Does it, and answers the status that the store has to answer with.
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
fn the_store_answers_as_the_reference_model_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (shop, mut admin) = runtime.block_on(Shop::open_with_admin());
    admin.customer_id = runtime.block_on(shop.customer("buyer")).customer_id;
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    });
    let sequences = proptest::collection::vec(operation(), 1..40);
    let outcome = runner.run(&sequences, |operations| {
        runtime.block_on(compare(&admin, &operations));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    runtime.block_on(assert_invariants(&shop.ctx.db));
}

/// Has the store and the model do the same, and compares the two after each operation.
async fn compare(admin: &Client, operations: &[Operation]) {
    let mut model = Model {
        stock: vec![Some(4), Some(20), None],
        archived: vec![false; PRODUCTS],
        orders: vec![],
    };
    let (mut products, mut orders) = (Vec::new(), Vec::new());
    for stock in &model.stock {
        products.push(admin.sell("Thing", "1.10", *stock).await);
    }
    for operation in operations {
        let answer = ask(admin, operation, &products, &orders).await;
        if matches!(operation, Operation::Order(_)) && answer.status == 201 {
            orders.push(answer.id());
        }
        let expected = model.carry_out(operation);
        let which = format!("{operation:?} of {operations:?}");
        assert_eq!(answer.status, expected, "{which}: {}", answer.body);
        for (product, id) in products.iter().enumerate() {
            if !model.archived[product] {
                let shown = admin.get(&format!("/products/{id}")).await.body;
                assert_eq!(shown["stock"], json!(model.stock[product]), "after {which}");
            }
        }
    }
}

async fn ask(admin: &Client, operation: &Operation, products: &[i64], orders: &[i64]) -> Answer {
    let path_of = |product: &usize| format!("/products/{}", products[*product]);
    let path_of_order = |order: &usize| {
        let id = orders.get(*order).copied().unwrap_or(i64::MAX);
        format!("/orders/{id}")
    };
    match operation {
        Operation::Order(lines) => {
            let lines = lines
                .iter()
                .map(|(product, quantity)| (products[*product], *quantity));
            let items = order_lines(&lines.collect::<Vec<_>>());
            let order = json!({ "customer_id": admin.customer_id, "items": items });
            admin.post("/orders", order).await
        }
        Operation::Cancel(order) => {
            let path = format!("{}/cancel", path_of_order(order));
            admin.post(&path, json!({})).await
        }
        Operation::Advance(order, status) => {
            admin
                .patch(&path_of_order(order), json!({ "status": status }))
                .await
        }
        Operation::Adjust(product, delta) => {
            let path = format!("{}/stock", path_of(product));
            admin
                .post(&path, json!({ "delta": delta, "reason": "counted" }))
                .await
        }
        Operation::SetStock(product, stock) => {
            admin
                .patch(&path_of(product), json!({ "stock": stock }))
                .await
        }
        Operation::Archive(product) => admin.delete(&path_of(product)).await,
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

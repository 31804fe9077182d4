//! Checkouts, attacked: by many shoppers at once who want the same few pieces and the same few uses of a code, who give up,
//! come back and ask twice, while prices change and holds end.

use std::{collections::BTreeMap, time::Duration};

use boxcar::{context::Context, models::hold_budgets, workers::sweeper};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use crate::support::{Answer, Client, OVERLOADED, Shop, address, assert_invariants, order_lines};

/// How many want the same.
const MANY: usize = 24;

/// How many shoppers the great run has, unless it is said otherwise: all are answered in time.
const MANY_AT_ONCE: u64 = 60;

/// How often a code of the great run may be used.
const USES: i64 = 10;

/// A store that ships and taxes.
struct Store {
    shop: Shop,
    admin: Client,
    visitor: Client,
    lamp: i64,
    shipping: i64,
}

impl Store {
    async fn open(stock: i64, settings: &[(&str, &str, Value)]) -> Self {
        let mut all = vec![
            ("checkout", "holds_per_hour", json!(0)),
            ("checkout", "hold_pieces", json!(1_000)),
        ];
        all.extend(settings.iter().cloned());
        let shop = Shop::open_with(&all).await;
        let admin = shop.admin().await;
        let lamp = admin.sell("Lamp", "9.99", stock).await;
        let rate =
            json!({ "name": "Post", "countries": ["*"], "price": "4.90", "free_from": "50.00" });
        let shipping = admin.post("/shipping-rates", rate).await.id();
        let rate = json!({ "name": "VAT", "country": "GB", "rate": "19" });
        admin.post("/tax-rates", rate).await;
        Self {
            visitor: admin.publishable_key().await,
            shop,
            admin,
            lamp,
            shipping,
        }
    }

    fn body(&self, lamps: i64, email: &str) -> Value {
        json!({
            "items": order_lines(&[(self.lamp, lamps)]), "email": email,
            "shipping_address": address("12 Hill Street"), "shipping_option_id": self.shipping,
        })
    }

    /// Opens a checkout that can be completed, and answers its path and its total.
    async fn cart(&self, body: &Value) -> (String, String) {
        let opened = self.visitor.post("/checkouts", body.clone()).await;
        assert_eq!(opened.outcome(), "201", "{}", opened.body);
        let total = opened.body["totals"]["total"].as_str().unwrap();
        (path(&opened.body), total.to_owned())
    }

    async fn stock(&self) -> i64 {
        let lamp = self.admin.get(&format!("/products/{}", self.lamp)).await;
        lamp.body["stock"].as_i64().unwrap()
    }

    async fn sweep(&self) {
        let ctx = Context::of(&self.shop.ctx).unwrap();
        sweeper::sweep(&ctx).await.unwrap();
    }
}

fn path(checkout: &Value) -> String {
    format!("/checkouts/{}", checkout["id"].as_str().unwrap())
}

async fn complete(client: &Client, path: &str, total: &str) -> Answer {
    let body = json!({ "expected_total": total });
    client.post(&format!("{path}/complete"), body).await
}

/// How often each answer was given.
fn tally(answers: &[Answer]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for answer in answers {
        *tally.entry(answer.outcome()).or_default() += 1;
    }
    tally
}

/// What all of them are answered at once.
async fn at_once<F: Future<Output = Answer> + Send + 'static>(
    attempts: impl IntoIterator<Item = F>,
) -> Vec<Answer> {
    let mut tasks = JoinSet::new();
    for attempt in attempts {
        tasks.spawn(attempt);
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_that_many_complete_at_once_is_one_order_and_all_are_told() {
    let store = Store::open(100, &[]).await;
    let (path, total) = store.cart(&store.body(1, "ada@example.com")).await;
    let answers = at_once((0..MANY).map(|number| {
        let (client, path, total) = (store.visitor.clone(), path.clone(), total.clone());
        async move {
            let complete = format!("{path}/complete");
            let body = json!({ "expected_total": total });
            match number % 2 {
                0 => client.post(&complete, body).await,
                // Some of them with the same key.
                _ => {
                    client
                        .post_once("0123456789012345678901", &complete, &body)
                        .await
                }
            }
        }
    }))
    .await;
    let mut orders: Vec<_> = Vec::new();
    for answer in &answers {
        // The twin of a request that is still running is told so.
        if answer.outcome() == "409 idempotency-in-progress" {
            continue;
        }
        assert!(
            [200, 201].contains(&answer.status.as_u16()),
            "{}",
            answer.body
        );
        orders.push(answer.body["id"].clone());
    }
    orders.dedup();
    assert_eq!(orders.len(), 1);
    assert_eq!(store.admin.get("/orders").await.body["total_items"], 1);
    assert_eq!(store.stock().await, 99);
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_many_use_at_once_is_used_as_often_as_it_may_be() {
    let store = Store::open(1_000, &[]).await;
    let code = json!({ "code": "FEW", "kind": "amount", "value": "1.00", "usage_limit": 3 });
    let code = format!(
        "/discounts/{}",
        store.admin.post("/discounts", code).await.id()
    );
    let mut carts = Vec::new();
    for number in 0..MANY {
        let mut body = store.body(1, &format!("shopper{number}@example.com"));
        body["discount_code"] = json!("few");
        carts.push(store.cart(&body).await);
    }
    let answers = at_once(carts.into_iter().map(|(path, total)| {
        let client = store.visitor.clone();
        async move { complete(&client, &path, &total).await }
    }))
    .await;
    let expected = [("201", 3), ("409 totals-changed", MANY - 3)];
    let expected = expected.map(|(outcome, times)| (outcome.to_owned(), times));
    assert_eq!(tally(&answers), expected.into());
    assert_eq!(store.admin.get(&code).await.body["used"], 3);
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_uses_a_code_in_many_checkouts_at_once_uses_it_as_often_as_they_may() {
    let store = Store::open(1_000, &[]).await;
    let code =
        json!({ "code": "MINE", "kind": "percentage", "value": "10", "per_customer_limit": 2 });
    store.admin.post("/discounts", code).await;
    let mut body = store.body(1, "Ada@example.com");
    body["discount_code"] = json!("MINE");
    let mut carts = Vec::new();
    for _ in 0..MANY {
        carts.push(store.cart(&body).await);
    }
    let answers = at_once(carts.into_iter().map(|(path, total)| {
        let client = store.visitor.clone();
        async move { complete(&client, &path, &total).await }
    }))
    .await;
    assert_eq!(tally(&answers)["201"], 2, "{:?}", tally(&answers));
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_that_many_hold_order_and_cancel_at_once_are_there_once() {
    let store = Store::open(10, &[]).await;
    let mut carts = Vec::new();
    for number in 0..MANY {
        let body = store.body(1, &format!("shopper{number}@example.com"));
        carts.push(store.cart(&body).await);
    }
    let held = at_once(
        carts
            .iter()
            .cloned()
            .enumerate()
            .map(|(number, (path, total))| {
                let client = store.visitor.clone();
                async move {
                    match number % 3 {
                        0 => complete(&client, &path, &total).await,
                        _ => client.post(&format!("{path}/hold"), json!({})).await,
                    }
                }
            }),
    )
    .await;
    let got: usize = held
        .iter()
        .filter(|answer| answer.status.is_success())
        .count();
    assert_eq!((got, store.stock().await), (10, 0), "{:?}", tally(&held));
    let refused = held.iter().filter(|answer| !answer.status.is_success());
    assert!(
        refused
            .clone()
            .all(|answer| answer.problem() == "insufficient-stock")
    );
    assert_invariants(&store.shop.ctx.db).await;
    at_once(carts.iter().cloned().map(|(path, _)| {
        let client = store.visitor.clone();
        async move { client.post(&format!("{path}/cancel"), json!({})).await }
    }))
    .await;
    let orders = store.admin.get("/orders").await.body["total_items"]
        .as_i64()
        .unwrap();
    assert_eq!(store.stock().await, 10 - orders);
    store.sweep().await;
    assert_eq!(
        hold_budgets::Entity::find()
            .count(&store.shop.ctx.db)
            .await
            .unwrap(),
        0
    );
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_one_address_no_more_is_held_at_once_than_may_be() {
    let store = Store::open(1_000, &[("checkout", "hold_pieces", json!(4))]).await;
    let mut carts = Vec::new();
    for number in 0..MANY {
        let body = store.body(2, &format!("shopper{number}@example.com"));
        carts.push(store.cart(&body).await.0);
    }
    let held = at_once(carts.into_iter().map(|path| {
        let client = store.visitor.clone();
        async move { client.post(&format!("{path}/hold"), json!({})).await }
    }))
    .await;
    let expected = [("200", 6), ("422 validation-failed /items range", MANY - 6)];
    let expected = expected.map(|(outcome, times)| (outcome.to_owned(), times));
    assert_eq!(tally(&held), expected.into());
    assert_eq!(store.stock().await, 1_000 - 12);
    assert_invariants(&store.shop.ctx.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitors_checkout_that_many_customers_change_at_once_becomes_one_customers() {
    let store = Store::open(1_000, &[]).await;
    let mut customers = Vec::new();
    for number in 0..6 {
        customers.push(store.shop.customer(&format!("shopper{number}")).await);
    }
    for _ in 0..5 {
        let (path, _) = store.cart(&store.body(1, "ada@example.com")).await;
        let answers = at_once(customers.iter().cloned().map(|client| {
            let path = path.clone();
            async move { client.patch(&path, json!({ "note": "Mine." })).await }
        }))
        .await;
        let won: Vec<_> = answers
            .iter()
            .filter(|answer| answer.status == 200)
            .collect();
        assert_eq!(won.len(), 1, "{:?}", tally(&answers));
        let shown = store.admin.get(&path).await.body;
        assert_eq!(shown["customer_id"], won[0].body["customer_id"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_that_end_are_released_once_by_nodes_that_sweep_and_sell_at_once() {
    let store = Store::open(30, &[("checkout", "hold_minutes", json!(0.0005))]).await;
    for round in 0..4 {
        let mut carts = Vec::new();
        for number in 0..10 {
            let body = store.body(2, &format!("shopper{round}-{number}@example.com"));
            let (path, total) = store.cart(&body).await;
            store.visitor.post(&format!("{path}/hold"), json!({})).await;
            carts.push((path, total));
        }
        sleep(Duration::from_millis(40)).await;
        let ctx = Context::of(&store.shop.ctx).unwrap();
        let mut sweeps = JoinSet::new();
        for _ in 0..3 {
            let ctx = ctx.clone();
            sweeps.spawn(async move { sweeper::sweep(&ctx).await.unwrap() });
        }
        let (path, total) = carts.swap_remove(0);
        let own = complete(&store.visitor, &path, &total).await;
        assert_eq!(own.outcome(), "201", "{}", own.body);
        sweeps.join_all().await;
        let sold = 2 * (round + 1);
        assert_eq!(store.stock().await, 30 - sold);
        assert_invariants(&store.shop.ctx.db).await;
    }
}

/// What one shopper of the great run has seen.
#[derive(Default)]
struct Seen {
    /// Orders, and what was answered when they were placed.
    orders: Vec<Value>,
    answers: BTreeMap<String, usize>,
}

/// By hand: `SHOPPERS=1000 cargo test --test mod -- proofs::checkouts::many --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_shoppers_who_want_the_same_few_things_are_sold_what_there_is_at_what_it_costs() {
    let shoppers = std::env::var("SHOPPERS").map_or(MANY_AT_ONCE, |number| number.parse().unwrap());
    let stock = 100.min(i64::try_from(shoppers / 2).unwrap());
    let settings = [("checkout", "hold_minutes", json!(0.01))];
    let store = Store::open(stock, &settings).await;
    let rug = store.admin.sell("Rug", "100.00", None).await;
    let code = json!({ "code": "FEW", "kind": "percentage", "value": "12.5", "usage_limit": USES });
    let code = format!(
        "/discounts/{}",
        store.admin.post("/discounts", code).await.id()
    );
    let began = std::time::Instant::now();
    let mut tasks = JoinSet::new();
    for shopper in 0..shoppers {
        let task = shop(shopper, store.visitor.clone(), store.body(1, ""), rug);
        tasks.spawn(task);
    }
    let (admin, lamp, ctx) = (
        store.admin.clone(),
        store.lamp,
        Context::of(&store.shop.ctx).unwrap(),
    );
    let meanwhile = tokio::spawn(async move {
        for number in 0_u64.. {
            let price = json!({ "price": format!("9.{:02}", 90 + number % 10) });
            let changed = admin.patch(&format!("/products/{lamp}"), price).await;
            assert_eq!(changed.outcome(), "200");
            sweeper::sweep(&ctx).await.unwrap();
            sleep(Duration::from_millis(50)).await;
        }
    });
    let seen = tasks.join_all().await;
    meanwhile.abort();
    let _ = meanwhile.await;
    let took = began.elapsed();

    // What was abandoned is given back.
    sleep(Duration::from_millis(700)).await;
    store.sweep().await;
    assert_invariants(&store.shop.ctx.db).await;
    let (mut answers, mut orders) = (BTreeMap::<_, usize>::new(), BTreeMap::new());
    for Seen {
        orders: placed,
        answers: given,
    } in seen
    {
        for (answer, times) in given {
            *answers.entry(answer).or_default() += times;
        }
        for order in placed {
            let twice = orders.insert(order["id"].as_i64().unwrap(), order);
            assert!(twice.is_none(), "one order for two shoppers: {twice:?}");
        }
    }
    println!(
        "{shoppers} shoppers, {} orders in {took:.1?}: {answers:?}",
        orders.len()
    );
    let mut lamps = 0;
    let mut with_code = 0;
    for order in orders.values() {
        assert_eq!(order["total"], recomputed(order), "{order}");
        for item in order["items"].as_array().unwrap() {
            if item["product_id"] == lamp {
                lamps += item["quantity"].as_i64().unwrap();
            }
        }
        with_code += i64::from(order["discount_code"].is_string());
    }
    assert_eq!(store.stock().await, stock - lamps);
    let used = store.admin.get(&code).await.body["used"].clone();
    assert_eq!(used, with_code);
    assert!(with_code <= USES && lamps > 0);
    let mut only = vec![
        "200",
        "201",
        "409 insufficient-stock /items/0 insufficient_stock",
        "409 totals-changed",
    ];
    if shoppers > MANY_AT_ONCE {
        // More than a small machine answers in time.
        only.push(OVERLOADED);
    }
    for answer in answers.keys() {
        assert!(only.contains(&&**answer), "{answers:?}");
    }
}

/// What one shopper does: fills a cart, perhaps holds it, perhaps gives up, and completes it, perhaps twice.
async fn shop(shopper: u64, client: Client, mut body: Value, rug: i64) -> Seen {
    let mut seen = Seen::default();
    let mut random = StdRng::seed_from_u64(shopper);
    body["email"] = json!(format!("shopper{}@example.com", shopper % 700));
    if random.random_ratio(1, 2) {
        body["discount_code"] = json!("few");
    }
    let opened = sent(&mut seen, || client.post("/checkouts", body.clone())).await;
    assert_eq!(opened.outcome(), "201", "{}", opened.body);
    let path = path(&opened.body);
    if random.random_ratio(1, 3) {
        let item = format!("{path}/items/{rug}");
        let quantity = json!({ "quantity": random.random_range(1..=3) });
        sent(&mut seen, || client.put(&item, quantity.clone())).await;
    }
    if random.random_ratio(1, 2) {
        let hold = format!("{path}/hold");
        sent(&mut seen, || client.post(&hold, json!({}))).await;
    }
    if random.random_ratio(1, 4) {
        return seen;
    }
    let shown = sent(&mut seen, || client.get(&path)).await.body;
    let mut total = shown["totals"]["total"].as_str().unwrap().to_owned();
    for _ in 0..20 {
        let answer = if random.random_ratio(1, 3) {
            // Impatient: both are answered, and one order is placed.
            let (one, other) = tokio::join!(
                complete(&client, &path, &total),
                complete(&client, &path, &total)
            );
            seen.note(&one);
            seen.note(&other);
            if one.status == 503 { other } else { one }
        } else {
            sent(&mut seen, || complete(&client, &path, &total)).await
        };
        match answer.outcome().as_str() {
            "200" | "201" => {
                seen.orders.push(answer.body);
                return seen;
            }
            "409 totals-changed" => {
                let now = &answer.body["checkout"]["totals"]["total"];
                now.as_str().unwrap().clone_into(&mut total);
            }
            OVERLOADED => {}
            _ => return seen,
        }
    }
    seen
}

/// Sends a request, and again as long as the store has too much to do.
async fn sent<F: Future<Output = Answer>>(seen: &mut Seen, request: impl Fn() -> F) -> Answer {
    loop {
        let answer = request().await;
        seen.note(&answer);
        if answer.outcome() != OVERLOADED {
            return answer;
        }
        let pause = rand::rng().random_range(100..1_000);
        sleep(Duration::from_millis(pause)).await;
    }
}

impl Seen {
    fn note(&mut self, answer: &Answer) {
        *self.answers.entry(answer.outcome()).or_default() += 1;
    }
}

/// The total of an order, calculated another way: in thousandths of a cent, from what the store sells for how much.
fn recomputed(order: &Value) -> String {
    let cents = |amount: &Value| -> i128 {
        let text = amount.as_str().unwrap();
        text.replace('.', "").parse().unwrap()
    };
    let has_code = order["discount_code"].is_string();
    let (mut goods, mut off) = (0, 0);
    for item in order["items"].as_array().unwrap() {
        let line = cents(&item["unit_price"]) * i128::from(item["quantity"].as_i64().unwrap());
        goods += line;
        if has_code {
            // An eighth, half up.
            off += (line + 4) / 8;
        }
    }
    let shipping = if goods - off >= 5_000 { 0 } else { 490 };
    let total = goods - off + shipping;
    format!("{}.{:02}", total / 100, total % 100)
}

//! One row of each table, valid as it is; and the details that new ones are made from.

use boxcar::{
    models::{
        Actor, api_keys, checkouts, codes, customer_accounts, customer_addresses, customers,
        discount_uses, discounts, events, hold_budgets, idempotency_keys, mails, order_events,
        order_items, orders, products, stock_movements,
        types::{CustomerName, Email, Money, ProductName, Scalar, Sku, Stock},
    },
    transaction,
};
use sea_orm::{DatabaseConnection, prelude::DateTimeWithTimeZone};

/// A moment that has microseconds.
pub fn moment() -> DateTimeWithTimeZone {
    chrono::DateTime::parse_from_rfc3339("2026-01-31T12:00:00.123456Z").unwrap()
}

/// Ada, customer 5.
pub fn customer() -> customers::Model {
    customers::Model {
        id: 5,
        name: "Ada".to_owned(),
        email: "ada@example.com".to_owned(),
        email_key: "ada@example.com".to_owned(),
        phone: Some("+44 20 7946 0018".to_owned()),
        name_key: "ada".to_owned(),
        search_text: "ada\nada@example.com\n+44 20 7946 0018".to_owned(),
        erased: false,
        created_at: moment(),
        updated_at: moment(),
    }
}

/// Ada's account, number 3, of the role `customer`.
pub fn account() -> customer_accounts::Model {
    customer_accounts::Model {
        id: 3,
        pid: "5f0c7f5e-3c1e-4b1b-9d5a-111111111111".to_owned(),
        customer_id: Some(5),
        username: "ada".to_owned(),
        password_hash: "$argon2id$".to_owned(),
        role: "customer".to_owned(),
        token_version: 3,
        created_at: moment(),
        updated_at: moment(),
    }
}

/// Ada's default address, number 23.
pub fn address() -> customer_addresses::Model {
    customer_addresses::Model {
        id: 23,
        customer_id: 5,
        default_of: Some(5),
        name: "Ada".to_owned(),
        company: None,
        line1: "1 Elm Road".to_owned(),
        line2: None,
        city: "London".to_owned(),
        region: None,
        postal_code: None,
        country: "GB".to_owned(),
        phone: None,
    }
}

/// An administrator who is no customer, account 1.
pub fn admin() -> customer_accounts::Model {
    customer_accounts::Model {
        id: 1,
        pid: "5f0c7f5e-3c1e-4b1b-9d5a-222222222222".to_owned(),
        customer_id: None,
        username: "admin".to_owned(),
        role: "admin".to_owned(),
        ..account()
    }
}

/// A kettle, product 7, at 19.99, of which there are ten.
pub fn product() -> products::Model {
    products::Model {
        id: 7,
        sku: Some("KET-1".to_owned()),
        name: "Kettle".to_owned(),
        description: None,
        price_minor: 1_999,
        stock: Some(10),
        sku_key: Some("ket-1".to_owned()),
        name_key: "kettle".to_owned(),
        search_text: "kettle\nket-1".to_owned(),
        tax_class: "standard".to_owned(),
        archived: false,
        created_at: moment(),
        updated_at: moment(),
    }
}

/// Ada's order of two kettles, number 9.
pub fn order() -> orders::Model {
    orders::Model {
        id: 9,
        customer_id: 5,
        status: "placed".to_owned(),
        currency: "USD".to_owned(),
        total_minor: 3_998,
        shipping_address: None,
        note: None,
        placed_at: moment(),
        updated_at: moment(),
        discount_minor: 0,
        shipping_minor: 0,
        tax_minor: 0,
        prices_include_tax: true,
        taxes: Some(r#"[{"rate":"0","net":"39.98","tax":"0.00"}]"#.to_owned()),
        email: Some("Ada@example.com".to_owned()),
        billing_address: None,
        shipping_name: None,
        discount_code: None,
        checkout_id: None,
    }
}

/// A sale by the store itself, in dollars.
pub const fn sale(actor: &Actor) -> orders::Sale<'_> {
    orders::Sale {
        currency: "USD",
        prices_include_tax: true,
        actor,
        by_customer: false,
    }
}

/// The one item of the order.
pub fn item() -> order_items::Model {
    order_items::Model {
        id: 11,
        order_id: 9,
        line: 1,
        product_id: 7,
        sku: Some("KET-1".to_owned()),
        name: "Kettle".to_owned(),
        unit_price_minor: 1_999,
        quantity: 2,
        line_total_minor: 3_998,
        discount_minor: 0,
        tax_rate_thousandths: 0,
        tax_minor: 0,
    }
}

/// The one step in the order's history.
pub fn step() -> order_events::Model {
    order_events::Model {
        id: 13,
        order_id: 9,
        status: "placed".to_owned(),
        account_id: Some(3),
        actor: "ada".to_owned(),
        reason: None,
        created_at: moment(),
    }
}

/// What the order took from the stock.
pub fn movement() -> stock_movements::Model {
    stock_movements::Model {
        id: 15,
        product_id: 7,
        kind: "order".to_owned(),
        delta: -2,
        reason: None,
        order_id: Some(9),
        account_id: Some(3),
        actor: "ada".to_owned(),
        created_at: moment(),
        checkout_id: None,
    }
}

/// A code for one euro off, number 25, which has been used once.
pub fn discount() -> discounts::Model {
    discounts::Model {
        id: 25,
        code: "Welcome".to_owned(),
        code_key: "welcome".to_owned(),
        kind: "amount".to_owned(),
        value_thousandths: Some(1_000),
        starts_at: None,
        ends_at: None,
        min_subtotal_minor: None,
        usage_limit: Some(1),
        per_customer_limit: None,
        used: 1,
        enabled: true,
        created_at: moment(),
        updated_at: moment(),
    }
}

/// That the order has used the code: Ada's first use of it.
pub const fn discount_use() -> discount_uses::Model {
    discount_uses::Model {
        id: 27,
        discount_id: 25,
        order_id: 9,
        customer_id: 5,
        number: 1,
    }
}

/// An open checkout of Ada's.
pub fn checkout() -> checkouts::Model {
    checkouts::Model {
        id: 31,
        token: "chk_0000000000000000000000".to_owned(),
        status: "open".to_owned(),
        customer_id: Some(5),
        email: Some("Ada@example.com".to_owned()),
        email_key: Some("ada@example.com".to_owned()),
        name: None,
        phone: None,
        items: r#"[{"product_id":7,"quantity":1,"unit_price_minor":1999,"sku":"KET-1","name":"Kettle"}]"#.to_owned(),
        shipping_address: None,
        billing_address: None,
        note: None,
        shipping_option_id: None,
        discount_code: None,
        quoted_total_minor: 1_999,
        held: None,
        held_until: None,
        first_held_at: None,
        budget: None,
        created_at: moment(),
        updated_at: moment(),
        expires_at: moment(),
    }
}

/// That three pieces are held from an address.
pub fn hold_budget() -> hold_budgets::Model {
    hold_budgets::Model {
        id: 33,
        budget: "key 23 192.0.2.1".to_owned(),
        pieces: 3,
    }
}

/// That Ada has placed the order.
pub fn event() -> events::Model {
    events::Model {
        id: 19,
        r#type: "order.placed".to_owned(),
        occurred_at: moment(),
        subject_kind: "order".to_owned(),
        subject_id: 9,
        customer_id: Some(5),
        actor_kind: "account".to_owned(),
        actor_id: Some(3),
        actor_name: "ada".to_owned(),
        request_id: None,
        data: "{}".to_owned(),
    }
}

/// That Ada is told of it.
pub fn mail() -> mails::Model {
    mails::Model {
        id: 21,
        event_id: Some(19),
        template: "order_placed".to_owned(),
        recipient: "ada@example.com".to_owned(),
        subject: "Boxcar: we have your order 9".to_owned(),
        customer_id: Some(5),
        message_id: "<5f0c7f5e@example.com>".to_owned(),
        status: "delivered".to_owned(),
        tries: 0,
        attempts: "[]".to_owned(),
        next_attempt_at: None,
        lease: None,
        leased_until: None,
        created_at: moment(),
        updated_at: moment(),
        recipient_key: None,
        sealed_code: None,
    }
}

/// What proves that somebody called Ada, who registers, reads the mails to an address.
pub fn code() -> codes::Model {
    codes::Model {
        id: 23,
        digest: "0".repeat(64),
        kind: "registration".to_owned(),
        account_id: None,
        email: Some("Ada@example.org".to_owned()),
        email_key: Some("ada@example.org".to_owned()),
        name: Some("Ada".to_owned()),
        expires_at: moment(),
        created_at: moment(),
    }
}

/// What was answered to a request of Ada's account.
pub fn idempotency_key() -> idempotency_keys::Model {
    idempotency_keys::Model {
        id: 17,
        account_id: Some(3),
        idempotency_key: "once".to_owned(),
        fingerprint: "0".repeat(64),
        status: 201,
        location: None,
        body: "{}".to_owned(),
        created_at: moment(),
        customer_id: None,
        api_key_id: None,
    }
}

/// A key that may read orders, number 23.
pub fn api_key() -> api_keys::Model {
    api_keys::Model {
        id: 23,
        place: 1,
        name: "Robot".to_owned(),
        kind: "secret".to_owned(),
        scopes: "[\"orders:read\"]".to_owned(),
        digest: "0".repeat(64),
        prefix: "sk_0qVbT".to_owned(),
        limit_requests: None,
        limit_seconds: None,
        expires_at: None,
        last_used_at: None,
        created_by_id: Some(1),
        created_by_name: Some("admin".to_owned()),
        created_at: moment(),
    }
}

/// A kettle that is yet to be added.
pub fn kettle(sku: Option<&str>, stock: Option<i64>) -> products::Details {
    products::Details {
        name: ProductName::parse("Kettle").unwrap(),
        price: Money::from_minor(1_999),
        sku: sku.map(|sku| Sku::parse(sku).unwrap()),
        description: None,
        stock: Some(stock.map(|stock| Stock::new(stock).unwrap())),
        tax_class: None,
    }
}

/// A customer who is yet to be added.
pub fn person(email: &str) -> customers::Details {
    customers::Details {
        name: CustomerName::parse("Ada").unwrap(),
        email: Email::parse(email).unwrap(),
        phone: None,
    }
}

/// Adds a product.
pub async fn add_product(db: &DatabaseConnection, details: &products::Details) -> products::Model {
    transaction!(db, |txn| products::Model::create(
        txn,
        details,
        &Actor::system()
    )
    .await)
    .unwrap()
}

/// Adds a customer.
pub async fn add_customer(db: &DatabaseConnection, email: &str) -> customers::Model {
    transaction!(db, |txn| customers::Model::create(txn, &person(email))
        .await)
    .unwrap()
}

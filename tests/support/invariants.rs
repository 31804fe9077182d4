//! What has to be true of a store at every moment, asked of its database in SQL.

use boxcar::models::types::OrderStatus;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

/// What may not be found, and the query that would find it.
const NEVER: [(&str, &str); 18] = [
    (
        "a stock below zero",
        "SELECT id FROM products WHERE stock < 0",
    ),
    (
        // What is not tracked has been taken to zero.
        "a stock that is not the sum of its movements",
        "SELECT p.id FROM products p LEFT JOIN stock_movements m ON m.product_id = p.id \
         GROUP BY p.id, p.stock HAVING COALESCE(p.stock, 0) <> COALESCE(SUM(m.delta), 0)",
    ),
    (
        "a product on sale whose tax class has no rate",
        "SELECT p.id FROM products p LEFT JOIN tax_rates r ON r.tax_class = p.tax_class \
         WHERE NOT p.archived AND p.tax_class NOT IN ('standard', 'zero') AND r.id IS NULL",
    ),
    (
        "a shipping rate whose tax class has no rate",
        "SELECT s.id FROM shipping_rates s LEFT JOIN tax_rates r ON r.tax_class = s.tax_class \
         WHERE s.tax_class NOT IN ('standard', 'zero') AND r.id IS NULL",
    ),
    (
        "stock that is held or released for no checkout",
        "SELECT id FROM stock_movements WHERE kind IN ('hold', 'release') AND checkout_id IS NULL",
    ),
    (
        "an order without items, or whose total is not their sum",
        "SELECT o.id FROM orders o LEFT JOIN order_items i ON i.order_id = o.id \
         GROUP BY o.id, o.total_minor HAVING COUNT(i.id) = 0 OR o.total_minor <> SUM(i.line_total_minor)",
    ),
    (
        "an item that is not its price times its quantity",
        "SELECT id FROM order_items WHERE line_total_minor <> unit_price_minor * quantity",
    ),
    (
        "an order that was not placed exactly once",
        "SELECT o.id FROM orders o LEFT JOIN order_events e ON e.order_id = o.id AND e.status = 'placed' \
         GROUP BY o.id HAVING COUNT(e.id) <> 1",
    ),
    (
        "an order that had one status twice",
        "SELECT order_id AS id FROM order_events GROUP BY order_id, status HAVING COUNT(*) > 1",
    ),
    (
        "an order whose status is not that of its last event",
        "SELECT o.id FROM orders o JOIN order_events e ON e.order_id = o.id \
         WHERE e.id = (SELECT MAX(id) FROM order_events WHERE order_id = o.id) AND e.status <> o.status",
    ),
    (
        "an order that took another quantity than was ordered, or took it twice",
        "SELECT i.order_id AS id FROM order_items i JOIN stock_movements m \
         ON m.order_id = i.order_id AND m.product_id = i.product_id AND m.kind = 'order' \
         GROUP BY i.order_id, i.product_id, i.quantity HAVING COUNT(m.id) > 1 OR SUM(m.delta) <> -i.quantity",
    ),
    (
        "stock that was returned for an order that is not cancelled",
        "SELECT m.order_id AS id FROM stock_movements m JOIN orders o ON o.id = m.order_id \
         WHERE m.kind = 'cancellation' AND o.status <> 'cancelled'",
    ),
    (
        "stock that was returned twice, or in another quantity than was taken",
        "SELECT c.order_id AS id FROM stock_movements c LEFT JOIN stock_movements t \
         ON t.order_id = c.order_id AND t.product_id = c.product_id AND t.kind = 'order' \
         WHERE c.kind = 'cancellation' GROUP BY c.order_id, c.product_id \
         HAVING COUNT(DISTINCT c.id) <> 1 OR COALESCE(SUM(t.delta), 0) <> -SUM(c.delta)",
    ),
    (
        "an order without a customer",
        "SELECT o.id FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE c.id IS NULL",
    ),
    (
        "a customer with addresses of whom not exactly one is the default",
        "SELECT customer_id AS id FROM customer_addresses GROUP BY customer_id HAVING COUNT(default_of) <> 1",
    ),
    (
        "a customer with more than twenty addresses, or one who was erased and has some",
        "SELECT a.customer_id AS id FROM customer_addresses a JOIN customers c ON c.id = a.customer_id \
         GROUP BY a.customer_id, c.erased HAVING COUNT(*) > 20 OR c.erased",
    ),
    (
        "a step of an order that is not exactly one event",
        "SELECT s.order_id AS id FROM order_events s LEFT JOIN events e ON e.subject_kind = 'order' \
         AND e.subject_id = s.order_id AND e.type = CONCAT('order.', s.status) \
         GROUP BY s.order_id, s.status HAVING COUNT(e.id) <> 1",
    ),
    (
        "an event of an order that has not had that step",
        "SELECT e.id FROM events e LEFT JOIN order_events s ON s.order_id = e.subject_id \
         AND CONCAT('order.', s.status) = e.type WHERE e.subject_kind = 'order' AND s.id IS NULL",
    ),
];

/// Asserts everything that has to be true of the store.
pub async fn assert_invariants(db: &DatabaseConnection) {
    for (what, query) in NEVER {
        let found = db
            .query_all_raw(Statement::from_string(db.get_database_backend(), query))
            .await
            .unwrap();
        let ids: Vec<i64> = found
            .iter()
            .map(|row| row.try_get("", "id").unwrap())
            .collect();
        assert!(ids.is_empty(), "there is {what}: {ids:?}");
    }
    assert_histories(db).await;
}

/// Every step of every order is one of the arrows.
async fn assert_histories(db: &DatabaseConnection) {
    use boxcar::models::{order_events, types::Scalar};
    use sea_orm::{EntityTrait, QueryOrder};

    let events = order_events::Entity::find()
        .order_by_asc(order_events::Column::OrderId)
        .order_by_asc(order_events::Column::Id)
        .all(db)
        .await
        .unwrap();
    for step in events
        .windows(2)
        .filter(|step| step[0].order_id == step[1].order_id)
    {
        let [from, to] =
            [&step[0], &step[1]].map(|event| OrderStatus::parse(&event.status).unwrap());
        assert!(
            from.can_become(to),
            "order {} went from {from} to {to}",
            step[0].order_id
        );
    }
}

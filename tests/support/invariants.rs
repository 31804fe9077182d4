//! What has to be true of a store at every moment, asked of its database in SQL.

use boxcar::models::types::OrderStatus;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

/// What may not be found, and the query that would find it.
const NEVER: [(&str, &str); 25] = [
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
        "an order without items, or whose total does not add up",
        "SELECT o.id FROM orders o LEFT JOIN order_items i ON i.order_id = o.id \
         GROUP BY o.id, o.total_minor, o.discount_minor, o.shipping_minor, o.tax_minor, o.prices_include_tax \
         HAVING COUNT(i.id) = 0 OR o.total_minor <> SUM(i.line_total_minor) - o.discount_minor + o.shipping_minor \
         + CASE WHEN o.prices_include_tax THEN 0 ELSE o.tax_minor END",
    ),
    (
        "an order whose discount is not that of its items, or whose items have more tax than it has",
        "SELECT o.id FROM orders o JOIN order_items i ON i.order_id = o.id \
         GROUP BY o.id, o.discount_minor, o.tax_minor \
         HAVING o.discount_minor <> SUM(i.discount_minor) OR o.tax_minor < SUM(i.tax_minor)",
    ),
    (
        "a discount that was not used as often as it is counted, or more often than it may be",
        "SELECT d.id FROM discounts d LEFT JOIN discount_uses u ON u.discount_id = d.id \
         GROUP BY d.id, d.used, d.usage_limit HAVING d.used <> COUNT(u.id) OR d.used > d.usage_limit",
    ),
    (
        "a customer who has used a discount more often than they may",
        "SELECT d.id FROM discounts d JOIN discount_uses u ON u.discount_id = d.id \
         GROUP BY d.id, d.per_customer_limit, u.customer_id HAVING COUNT(u.id) > d.per_customer_limit",
    ),
    (
        "a cancelled order that uses a discount",
        "SELECT o.id FROM discount_uses u JOIN orders o ON o.id = u.order_id WHERE o.status = 'cancelled'",
    ),
    (
        "a completed checkout without an order, or an order of one that is not completed",
        "SELECT c.id FROM checkouts c LEFT JOIN orders o ON o.checkout_id = c.token \
         WHERE (c.status = 'completed') <> (o.id IS NOT NULL)",
    ),
    (
        "a checkout that holds stock and does not say so",
        "SELECT c.id FROM checkouts c JOIN stock_movements m ON m.checkout_id = c.token \
         WHERE c.status <> 'completed' AND c.held IS NULL GROUP BY c.id HAVING SUM(m.delta) <> 0",
    ),
    (
        "a checkout that has ended and holds stock",
        "SELECT id FROM checkouts WHERE status <> 'open' AND (held IS NOT NULL OR budget IS NOT NULL)",
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
        // Itself, or its checkout for it.
        "an order that took another quantity than was ordered, or took it twice",
        "SELECT o.id FROM orders o JOIN order_items i ON i.order_id = o.id JOIN stock_movements m \
         ON m.product_id = i.product_id AND (m.order_id = o.id AND m.kind = 'order' OR m.checkout_id = o.checkout_id) \
         GROUP BY o.id, i.product_id, i.quantity HAVING SUM(m.delta) <> -i.quantity \
         OR SUM(CASE WHEN m.kind = 'order' THEN 1 ELSE 0 END) > 1",
    ),
    (
        "stock that was returned for an order that is not cancelled",
        "SELECT m.order_id AS id FROM stock_movements m JOIN orders o ON o.id = m.order_id \
         WHERE m.kind = 'cancellation' AND o.status <> 'cancelled'",
    ),
    (
        "stock that was returned twice, or in another quantity than was taken",
        "SELECT c.order_id AS id FROM stock_movements c JOIN orders o ON o.id = c.order_id \
         LEFT JOIN stock_movements t ON t.product_id = c.product_id \
         AND (t.order_id = o.id AND t.kind = 'order' OR t.checkout_id = o.checkout_id) \
         WHERE c.kind = 'cancellation' GROUP BY c.order_id, c.product_id \
         HAVING COUNT(DISTINCT c.id) <> 1 OR COALESCE(SUM(t.delta), 0) <> -MAX(c.delta)",
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

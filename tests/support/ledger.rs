//! The stock ledger.

use std::collections::BTreeMap;

use boxcar::models::{products, stock_movements};
use sea_orm::{DatabaseConnection, EntityTrait};

/// Every product's stock is the sum of its movements; that of one that is not tracked is zero.
pub async fn assert_balanced(db: &DatabaseConnection) {
    let mut sums = BTreeMap::<i64, i64>::new();
    for movement in stock_movements::Entity::find().all(db).await.unwrap() {
        *sums.entry(movement.product_id).or_default() += movement.delta;
    }
    for product in products::Entity::find().all(db).await.unwrap() {
        let sum = sums.get(&product.id).copied().unwrap_or_default();
        assert_eq!(product.stock.unwrap_or_default(), sum, "{product:?}");
    }
}

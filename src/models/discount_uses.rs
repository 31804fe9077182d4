//! Uses of discounts: which order has used which code. Those of one discount are counted one after the other, because
//! whoever counts one has locked it.

use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, ExprTrait, PaginatorTrait, QueryOrder,
    QuerySelect, entity::prelude::*, sea_query::Expr,
};

pub use super::_entities::discount_uses::{ActiveModel, Column, Entity, Model};
use super::{CacheTag, Error, Result, Transaction, discounts};

impl ActiveModelBehavior for ActiveModel {}

fn of(discount_id: i64, customer_id: i64) -> Select<Entity> {
    Entity::find()
        .filter(Column::DiscountId.eq(discount_id))
        .filter(Column::CustomerId.eq(customer_id))
}

impl Model {
    /// How many orders of a customer have used a discount.
    pub async fn count(
        db: &impl ConnectionTrait,
        discount_id: i64,
        customer_id: i64,
    ) -> Result<u64> {
        Ok(of(discount_id, customer_id).count(db).await?)
    }

    /// Counts an order's use of a discount that was read in the same transaction.
    ///
    /// # Errors
    /// [`Error::WriteConflict`] when the discount has changed since it was read, or is used up: who reads it again sees
    /// why.
    pub async fn add(
        txn: &Transaction,
        discount: &discounts::Model,
        customer_id: i64,
        order_id: i64,
    ) -> Result<()> {
        use discounts::Column as Discount;
        let uses_left = Condition::any()
            .add(Discount::UsageLimit.is_null())
            .add(Expr::col(Discount::Used).lt(Expr::col(Discount::UsageLimit)));
        let counted = discounts::Entity::update_many()
            .col_expr(Discount::Used, Expr::col(Discount::Used).add(1))
            .filter(Discount::Id.eq(discount.id))
            .filter(Discount::UpdatedAt.eq(discount.updated_at))
            .filter(uses_left)
            .exec(txn)
            .await?;
        if counted.rows_affected != 1 {
            return Err(Error::WriteConflict);
        }
        let earlier: Vec<i64> = of(discount.id, customer_id)
            .select_only()
            .column(Column::Number)
            .order_by_asc(Column::Number)
            .into_tuple()
            .all(txn)
            .await?;
        // The first number that is free: an order that was cancelled has given its own back.
        let taken = (1..)
            .zip(&earlier)
            .take_while(|(number, taken)| number == *taken);
        let number = i64::try_from(taken.count()).unwrap_or(i64::MAX) + 1;
        if discount
            .per_customer_limit
            .is_some_and(|limit| number > limit)
        {
            return Err(Error::WriteConflict);
        }
        let one = ActiveModel {
            discount_id: Set(discount.id),
            customer_id: Set(customer_id),
            number: Set(number),
            order_id: Set(order_id),
            ..Default::default()
        };
        Entity::insert(one).exec_without_returning(txn).await?;
        outdate(txn, discount.id);
        Ok(())
    }

    /// Gives back what an order has used, if it has.
    pub async fn give_back(txn: &Transaction, order_id: i64) -> Result<()> {
        use discounts::Column as Discount;
        let of_order = || Column::OrderId.eq(order_id);
        let Some(used) = Entity::find().filter(of_order()).one(txn).await? else {
            return Ok(());
        };
        discounts::Entity::update_many()
            .col_expr(Discount::Used, Expr::col(Discount::Used).sub(1))
            .filter(Discount::Id.eq(used.discount_id))
            .exec(txn)
            .await?;
        Entity::delete_many().filter(of_order()).exec(txn).await?;
        outdate(txn, used.discount_id);
        Ok(())
    }
}

/// What shows how often the discount was used.
fn outdate(txn: &Transaction, discount_id: i64) {
    txn.touch([CacheTag::Discounts, CacheTag::Discount(discount_id)]);
}

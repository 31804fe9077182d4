//! Budgets of held pieces: how many the checkouts of one address hold together.

use sea_orm::{ActiveValue::Set, ExprTrait, entity::prelude::*, sea_query::Expr};

pub use super::_entities::hold_budgets::{ActiveModel, Column, Entity, Model};
use super::{Error, Result, Transaction, error::violates};

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Takes pieces from a budget, if there are not more than `most` taken then; and says whether.
    ///
    /// # Errors
    /// [`Error::WriteConflict`] when another one takes the first pieces of the same budget.
    pub async fn take(txn: &Transaction, budget: &str, pieces: i64, most: i64) -> Result<bool> {
        let taken = Entity::update_many()
            .col_expr(Column::Pieces, Expr::col(Column::Pieces).add(pieces))
            .filter(Column::Budget.eq(budget))
            .filter(Column::Pieces.lte(most.saturating_sub(pieces)))
            .exec(txn)
            .await?;
        if taken.rows_affected == 1 {
            return Ok(true);
        }
        let there = Entity::find().filter(Column::Budget.eq(budget));
        let is_there = there.one(txn).await?.is_some();
        if is_there || pieces > most {
            return Ok(false);
        }
        let first = ActiveModel {
            budget: Set(budget.to_owned()),
            pieces: Set(pieces),
            ..Default::default()
        };
        match Entity::insert(first).exec_without_returning(txn).await {
            Ok(_) => Ok(true),
            Err(error) if violates(&error, "uq_hold_budgets_budget") => Err(Error::WriteConflict),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives pieces back to a budget.
    pub async fn give_back(txn: &Transaction, budget: &str, pieces: i64) -> Result<()> {
        if pieces == 0 {
            return Ok(());
        }
        Entity::update_many()
            .col_expr(Column::Pieces, Expr::col(Column::Pieces).sub(pieces))
            .filter(Column::Budget.eq(budget))
            .exec(txn)
            .await?;
        Ok(())
    }

    /// Deletes the budgets of which nothing is taken: they name addresses. Not when the last piece is given back, because
    /// whoever takes the next one then would wait for that on MySQL, and both in turn for each other.
    pub async fn delete_unused(txn: &Transaction) -> Result<()> {
        Entity::delete_many()
            .filter(Column::Pieces.eq(0))
            .exec(txn)
            .await?;
        Ok(())
    }
}

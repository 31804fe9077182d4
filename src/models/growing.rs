//! Lists that only grow, such as that of the orders. They are counted up to a row, their *base*, and from there on:
//! what was there before does not have to be counted again.

use std::{
    cmp::max,
    sync::{Mutex, PoisonError},
};

use sea_orm::{
    Condition, ConnectionTrait, ExprTrait, PaginatorTrait, QuerySelect, QueryTrait, Select,
    TryGetable,
    entity::prelude::*,
    sea_query::{Asterisk, CaseStatement, Expr, Func, Query, SelectStatement},
};

use super::{CacheTag, Result};

/// A list of up to so many rows is counted whole.
const SHORT: u64 = 1_000;

/// A base is moved when more ids than these have come after it.
const FAR: i64 = 500;

/// How many ids are left after a base when it is made: of the orders that are being placed, none should get an
/// id before it.
const UNSETTLED: i64 = 100;

/// A list to which rows are added, under ids that grow, and from which none is taken.
#[derive(Clone, Debug)]
pub struct Growing<E: EntityTrait> {
    /// The column of the id.
    pub id: E::Column,
    /// The rows that its own stand among. An index leads to these in the order of their ids.
    pub among: Condition,
    /// Which of these are its own.
    pub own: Condition,
    /// What a row outdates that was committed after one with a higher id. `None` where no row is.
    pub past: Option<CacheTag>,
}

/// How many rows a list has up to an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// The id.
    pub id: i64,
    /// How many rows there are up to there.
    pub rows: u64,
}

/// A base that is kept, and moved as the list grows.
#[derive(Debug)]
pub struct KeptBase(Mutex<Base>);

impl<E: EntityTrait<Model: Send + Sync>> Growing<E> {
    /// What tells it from every other list.
    pub fn key(&self, db: &impl ConnectionTrait) -> String {
        self.rows().build(db.get_database_backend()).to_string()
    }

    /// How many rows it has.
    pub async fn count(&self, db: &impl ConnectionTrait) -> Result<u64> {
        Ok(self.rows().count(db).await?)
    }

    /// How many rows it has, if it is short.
    pub async fn count_short(&self, db: &impl ConnectionTrait) -> Result<Option<u64>> {
        let rows = self.rows().select_only().column(self.id).limit(SHORT + 1);
        let count = Query::select()
            .expr(Func::count(Expr::val(1)))
            .from_subquery(rows.into_query(), "counted")
            .take();
        let rows = first::<i64>(db, &count).await?.unsigned_abs();
        Ok((rows <= SHORT).then_some(rows))
    }

    /// The highest id among its rows, and those that they stand among.
    pub async fn newest(&self, db: &impl ConnectionTrait) -> Result<i64> {
        let newest = self.among().expr(Expr::col(self.id).max()).take();
        Ok(first::<Option<i64>>(db, &newest).await?.unwrap_or_default())
    }

    /// How many rows come after the base, and the highest id after it.
    pub async fn count_since(&self, db: &impl ConnectionTrait, base: Base) -> Result<(u64, i64)> {
        let count = self.since(base).expr(Expr::col(self.id).max()).take();
        let row = db.query_one(&count).await?.ok_or_else(no_row)?;
        let newest: Option<i64> = row.try_get_by_index(1)?;
        let rows: i64 = row.try_get_by_index(0)?;
        Ok((rows.unsigned_abs(), newest.unwrap_or(base.id)))
    }

    /// The base at that id, counted on from another.
    pub async fn count_up_to(
        &self,
        db: &impl ConnectionTrait,
        base: Base,
        id: i64,
    ) -> Result<Base> {
        if base == Base::default() {
            return self.first_base(db, id).await;
        }
        let up_to = Expr::col(self.id).lte(id);
        let count = self.since(base).and_where(up_to).take();
        let rows = base.rows + first::<i64>(db, &count).await?.unsigned_abs();
        Ok(Base { id, rows })
    }

    /// Counts all that is there, and takes away what comes after the base at that moment: SQLite counts a whole
    /// table ten times as fast as most of it.
    async fn first_base(&self, db: &impl ConnectionTrait, id: i64) -> Result<Base> {
        let all = self
            .among()
            .cond_where(self.own.clone())
            .expr(Func::count(Expr::col(Asterisk)))
            .take();
        let later = self.since(Base { id, rows: 0 });
        let both = Query::select().exprs([all, later].map(value)).take();
        let row = db.query_one(&both).await?.ok_or_else(no_row)?;
        let (all, later): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let rows = all.abs_diff(later);
        Ok(Base { id, rows })
    }

    fn rows(&self) -> Select<E> {
        E::find().filter(self.among.clone().add(self.own.clone()))
    }

    fn among(&self) -> SelectStatement {
        Query::select()
            .from(E::default())
            .cond_where(self.among.clone())
            .take()
    }

    /// Counts what comes after the base. Which rows are its own is not said in the WHERE: the database might take
    /// the index of these, in which they stand in another order, and read all of them.
    fn since(&self, base: Base) -> SelectStatement {
        let own = CaseStatement::new().case(self.own.clone(), 1);
        let counted = if self.own.is_empty() {
            Expr::val(1)
        } else {
            own.into()
        };
        self.among()
            .and_where(Expr::col(self.id).gt(base.id))
            .expr(Func::count(counted))
            .take()
    }
}

impl Base {
    /// Whether a new one is worth it.
    #[must_use]
    pub const fn is_far_behind(self, newest: i64) -> bool {
        newest - self.id > FAR
    }

    /// Where the next one stands, in a list of which that row is the newest.
    #[must_use]
    pub fn next(self, newest: i64) -> i64 {
        max(self.id, newest - UNSETTLED)
    }
}

impl KeptBase {
    /// Where it stands.
    #[must_use]
    pub fn get(&self) -> Base {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves it on. One that has been moved further stays there.
    pub fn set(&self, base: Base) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if base.id > kept.id {
            *kept = base;
        }
    }
}

impl From<Base> for KeptBase {
    fn from(base: Base) -> Self {
        Self(Mutex::new(base))
    }
}

/// The first column of the one row that is selected.
async fn first<T: TryGetable>(db: &impl ConnectionTrait, select: &SelectStatement) -> Result<T> {
    let row = db.query_one(select).await?.ok_or_else(no_row)?;
    Ok(row.try_get_by_index(0)?)
}

/// What the statement selects, as a value in another.
fn value(select: SelectStatement) -> Expr {
    Expr::SubQuery(None, Box::new(select.into()))
}

fn no_row() -> DbErr {
    DbErr::RecordNotFound("a count has one row".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_moved_forward_and_never_back() {
        let kept = KeptBase::from(Base { id: 900, rows: 90 });
        assert!(!kept.get().is_far_behind(1_400));
        assert!(kept.get().is_far_behind(1_401));
        let next = kept.get().next(1_401);
        assert_eq!((next, kept.get().next(5)), (1_301, 900));
        let next = Base {
            id: next,
            rows: 120,
        };
        kept.set(next);
        kept.set(Base {
            id: 1_300,
            rows: 119,
        });
        assert_eq!(kept.get(), next);
    }
}

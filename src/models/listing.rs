//! Lists: filtered, sorted, and a page at a time. By number for people, by cursor for long walks.

use sea_orm::{
    Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Select, Value,
    prelude::DateTimeWithTimeZone,
    sea_query::{Expr, LikeExpr, Order},
};

/// What part of a list is wanted, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<F, K> {
    /// Which rows.
    pub filter: F,
    /// In which order.
    pub sort: Sort<K>,
    /// Where to begin, and how many at most.
    pub paging: Paging,
    /// How many rows a page has.
    pub page_size: u64,
    /// How many rows there are in all, when that is known.
    pub total_items: Option<u64>,
}

/// Every row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoFilter;

/// The order of a list. Rows that are equal by `key` stand in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort<K> {
    /// What is compared.
    pub key: K,
    /// The greatest first.
    pub descending: bool,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paging {
    /// The page of that number, from 1.
    Number(u64),
    /// What follows that position, or the beginning.
    After(Option<Position>),
}

/// A row's place in a sorted list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// What the list is sorted by.
    pub mark: Mark,
    /// The row's id.
    pub id: i64,
}

/// What a row is sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing but its id.
    Id,
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
    /// A time.
    Time(DateTimeWithTimeZone),
}

impl Mark {
    fn value(self) -> Option<Value> {
        match self {
            Self::Id => None,
            Self::Number(number) => Some(number.into()),
            Self::Text(text) => Some(text.into()),
            Self::Time(time) => Some(time.into()),
        }
    }
}

/// What a list of `E` can be sorted by.
pub trait SortKey<E: EntityTrait>: Copy + Send + Sync {
    /// The column to compare, or nothing for the id alone.
    fn column(self) -> Option<E::Column>;
    /// The column of the id.
    fn id() -> E::Column;
    /// Where `row` stands.
    fn position(self, row: &E::Model) -> Position;
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// How many rows a page has.
    pub page_size: u64,
    /// Where it stands in the list.
    pub place: Place,
}

/// Where a page stands in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The page of that number, of that many rows in all.
    Number {
        /// The page, from 1.
        page: u64,
        /// How many rows the list has.
        total_items: u64,
    },
    /// Within a walk, which goes on at `next`, unless this is the end.
    Walk {
        /// The last row of this page, when there is more.
        next: Option<Position>,
    },
}

impl<T> Page<T> {
    /// The same page with every item made into something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            page_size: self.page_size,
            place: self.place,
        }
    }
}

/// Fetches one page of `select`. By number it takes two queries, one of which counts, unless how many rows
/// there are is known; by cursor one, which costs the same however deep it goes.
///
/// # Errors
/// When the database does not answer.
pub async fn fetch<E, K, F>(
    db: &impl ConnectionTrait,
    mut select: Select<E>,
    listing: &Listing<F, K>,
) -> Result<Page<E::Model>, DbErr>
where
    E: EntityTrait,
    E::Model: Send + Sync,
    K: SortKey<E>,
    F: Sync,
{
    let Listing {
        sort, page_size, ..
    } = listing;
    let order = if sort.descending {
        Order::Desc
    } else {
        Order::Asc
    };
    let total_items = match (&listing.paging, listing.total_items) {
        (Paging::Number(_), None) => select.clone().count(db).await?,
        (_, known) => known.unwrap_or_default(),
    };
    if let Some(column) = sort.key.column() {
        select = select.order_by(column, order.clone());
    }
    select = select.order_by(K::id(), order);
    match &listing.paging {
        Paging::Number(page) => {
            let before = (page - 1).saturating_mul(*page_size);
            // Past the end there is nothing to ask for, and OFFSET is a signed number to the databases.
            let items = if before < total_items {
                select.offset(before).limit(*page_size).all(db).await?
            } else {
                Vec::new()
            };
            Ok(Page {
                items,
                page_size: *page_size,
                place: Place::Number {
                    page: *page,
                    total_items,
                },
            })
        }
        Paging::After(position) => {
            if let Some(position) = position {
                select = select.filter(beyond::<E, K>(
                    db.get_database_backend(),
                    *sort,
                    position.clone(),
                ));
            }
            let mut items = select.limit(page_size + 1).all(db).await?;
            let more = items.len() as u64 > *page_size;
            items.truncate(usize::try_from(*page_size).unwrap_or(usize::MAX));
            let next = items
                .last()
                .filter(|_| more)
                .map(|last| sort.key.position(last));
            Ok(Page {
                items,
                page_size: *page_size,
                place: Place::Walk { next },
            })
        }
    }
}

/// The rows that come after `position`, said so that each database seeks to it in its index: MySQL
/// understands the long form, SQLite and PostgreSQL the comparison of pairs.
fn beyond<E, K>(backend: DbBackend, sort: Sort<K>, position: Position) -> Condition
where
    E: EntityTrait,
    K: SortKey<E>,
{
    let compare = |left: Expr, right: Expr| {
        if sort.descending {
            left.lt(right)
        } else {
            left.gt(right)
        }
    };
    let id = Expr::col((E::default(), K::id()));
    let after_id = position.id;
    let (Some(column), Some(value)) = (sort.key.column(), position.mark.value()) else {
        return Condition::all().add(compare(id, after_id.into()));
    };
    let column = Expr::col((E::default(), column));
    let value = Expr::val(value);
    if backend == DbBackend::MySql {
        return Condition::any()
            .add(compare(column.clone(), value.clone()))
            .add(column.eq(value).and(compare(id, after_id.into())));
    }
    Condition::all().add(compare(
        Expr::tuple([column, id]),
        Expr::tuple([value, after_id.into()]),
    ))
}

/// The pattern that finds `text` anywhere: `%` and `_` in it are ordinary characters.
#[must_use]
pub fn containing(text: &str) -> LikeExpr {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        // Not the backslash, which MySQL would also take for an escape in the string itself.
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('!')
}

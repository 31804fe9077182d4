//! Lists: filtered, sorted, and a page at a time. By number for people, by cursor for long walks.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
pub use boxcar_derive::Columns;
use sea_orm::{
    ColumnTrait, ColumnType, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait,
    FromQueryResult, IdenStatic, PaginatorTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect,
    QueryTrait, Select, Value,
    prelude::DateTimeWithTimeZone,
    sea_query::{Expr, LikeExpr, Order},
};
use serde_json::{Value as Json, json};
use strum::VariantNames;
use utoipa::{
    IntoParams,
    openapi::{
        Schema,
        path::{Parameter, ParameterIn},
    },
};

use super::{
    CacheTag, Result,
    input::{Field, Fields, Input, Property, parameters},
    types::{BoundedInt, RawText, RuleViolation, Scalar, Search, Timestamp, search_fold, string},
};

type PageNumber = BoundedInt<1, 1_000_000_000>;
type PageSize = BoundedInt<1, 100>;

const DEFAULT_PAGE_SIZE: u64 = 25;

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

/// A listing that goes on by cursor only. Without one it begins at the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByCursor<F, K>(pub Listing<F, K>);

/// Which rows of a list are wanted.
pub trait Filter: Input + fmt::Debug + Clone + PartialEq + Send + Sync {
    /// What has to be true of them.
    fn condition(&self) -> Condition {
        Condition::all()
    }

    /// The text that is searched for, which takes long in a large table.
    fn search(&self) -> Option<&str> {
        None
    }

    /// What has to change before the list has more rows, or fewer, where that is less than what its rows
    /// show.
    fn counted_by(&self) -> Option<CacheTag> {
        None
    }
}

/// Every row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Input)]
pub struct NoFilter {}

impl Filter for NoFilter {}

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
    /// What the row is sorted by; `None` where that is its id alone.
    pub value: Option<Value>,
    /// The row's id.
    pub id: i64,
}

/// What a list can be sorted by: each variant is a word of the `sort` parameter.
pub trait SortKey:
    Copy + FromStr + Into<&'static str> + PartialEq + Send + Sync + VariantNames + 'static
{
    /// The table.
    type Entity: EntityTrait<Model: Send + Sync>;

    /// The column of the id.
    const ID: Column<Self>;

    /// The order of a list when the client names none.
    const DEFAULT: Sort<Self>;

    /// The column to compare, or `None` for the id alone.
    fn column(self) -> Option<Column<Self>>;
}

type Column<K> = <<K as SortKey>::Entity as EntityTrait>::Column;

impl<K> Sort<K> {
    /// The least first.
    pub const fn ascending(key: K) -> Self {
        let descending = false;
        Self { key, descending }
    }

    /// The greatest first.
    pub const fn descending(key: K) -> Self {
        let descending = true;
        Self { key, descending }
    }
}

impl<F, K: SortKey> Listing<F, K> {
    /// The first page.
    pub const fn new(filter: F, sort: Sort<K>) -> Self {
        Self {
            filter,
            sort,
            paging: Paging::Number(1),
            page_size: DEFAULT_PAGE_SIZE,
            total_items: None,
        }
    }
}

impl<F: Filter, K: SortKey> Input for Listing<F, K> {
    const NAME: &'static str = "Listing";
    const DESCRIPTION: &'static str = "Which part of a list is wanted, and in which order.";

    fn properties() -> Vec<Property> {
        let cursor = "Where the list goes on: the last answer's `next_cursor`; empty to start. Excludes `page`.";
        let page = Property::change::<PageNumber>("page", "The page, from 1. Excludes `cursor`.");
        let others = Self::properties_but_page(cursor);
        std::iter::once(page).chain(others).collect()
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let page = Option::<PageNumber>::read(fields, "page");
        Self::read_but_page(fields, page)
    }
}

impl<F: Filter, K: SortKey> Listing<F, K> {
    fn properties_but_page(cursor: &'static str) -> Vec<Property> {
        let sort = "What to sort by; `-` before it reverses the order.";
        let own = [
            Property::change::<PageSize>("page_size", "How many items a page has.")
                .with_default(DEFAULT_PAGE_SIZE),
            Property::change::<RawText>("cursor", cursor),
            Property::change::<Sort<K>>("sort", sort).with_default(K::DEFAULT.to_string()),
        ];
        own.into_iter().chain(F::properties()).collect()
    }

    fn read_but_page(fields: &mut Fields<'_>, page: Option<Option<PageNumber>>) -> Option<Self> {
        let by_cursor = fields.has("cursor");
        let page_size = Option::<PageSize>::read(fields, "page_size");
        let cursor = Option::<RawText>::read(fields, "cursor");
        let sort = Option::<Sort<K>>::read(fields, "sort");
        let filter = F::read(fields);
        if by_cursor && fields.has("page") {
            fields.refuse("cursor", "exclusive", "excludes page");
        }
        let sort = sort?.unwrap_or(K::DEFAULT);
        let paging = match cursor? {
            None => Paging::Number(page?.map_or(1, |page| page.get().unsigned_abs())),
            Some(RawText(cursor)) if cursor.is_empty() => Paging::After(None),
            Some(RawText(cursor)) => {
                let Some(position) = Position::decode(&cursor, sort) else {
                    fields.malformed("The cursor was not given out by this list in this order.");
                    return None;
                };
                Paging::After(Some(position))
            }
        };
        Some(Self {
            paging,
            page_size: page_size?.map_or(DEFAULT_PAGE_SIZE, |size| size.get().unsigned_abs()),
            ..Self::new(filter?, sort)
        })
    }
}

impl<F: Filter, K: SortKey> IntoParams for Listing<F, K> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        parameters::<Self>()
    }
}

impl<F: Filter, K: SortKey> Input for ByCursor<F, K> {
    const NAME: &'static str = "ListingByCursor";
    const DESCRIPTION: &'static str = "Where a list goes on, and in which order.";

    fn properties() -> Vec<Property> {
        let cursor = "Where the list goes on: the last answer's `next_cursor`; empty to start.";
        Listing::<F, K>::properties_but_page(cursor)
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mut listing = Listing::read_but_page(fields, Some(None))?;
        if let Paging::Number(_) = listing.paging {
            listing.paging = Paging::After(None);
        }
        Some(Self(listing))
    }
}

impl<F: Filter, K: SortKey> IntoParams for ByCursor<F, K> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        parameters::<Self>()
    }
}

impl<K: SortKey> fmt::Display for Sort<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word: &str = self.key.into();
        write!(f, "{}{word}", if self.descending { "-" } else { "" })
    }
}

impl<K: SortKey> Scalar for Sort<K> {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let (descending, word) = text
            .strip_prefix('-')
            .map_or((false, text), |word| (true, word));
        let key = word.parse().map_err(|_| {
            let words = K::VARIANTS.join(", ");
            let message = format!("must be one of {words}, or one of them after a -");
            RuleViolation::new("choice", message)
        })?;
        Ok(Self { key, descending })
    }

    fn schema() -> Schema {
        let words = K::VARIANTS.iter();
        let words = words.flat_map(|word| [(*word).to_owned(), format!("-{word}")]);
        string().enum_values(Some(words)).into()
    }
}

impl Position {
    fn of<K: SortKey>(row: &QueryResult, key: K) -> Result<Self, DbErr> {
        let value = |column: Column<K>| {
            let name = column.as_str();
            Ok(match column.def().get_column_type() {
                ColumnType::BigInteger => row.try_get::<i64>("", name)?.into(),
                ColumnType::TimestampWithTimeZone => {
                    row.try_get::<DateTimeWithTimeZone>("", name)?.into()
                }
                _ => row.try_get::<String>("", name)?.into(),
            })
        };
        let value: Result<_, DbErr> = key.column().map(value).transpose();
        Ok(Self {
            value: value?,
            id: row.try_get("", K::ID.as_str())?,
        })
    }

    /// The position as a cursor, which says the order too and is opaque to clients.
    pub fn encode<K: SortKey>(&self, sort: Sort<K>) -> String {
        let value = match &self.value {
            Some(Value::BigInt(Some(number))) => json!(number),
            Some(Value::String(Some(text))) => json!(text),
            Some(Value::ChronoDateTimeWithTimeZone(Some(time))) => json!(time.timestamp_micros()),
            _ => Json::Null,
        };
        let cursor = json!([sort.to_string(), value, self.id]);
        BASE64_URL_SAFE_NO_PAD.encode(cursor.to_string())
    }

    /// The position of a cursor that was given out in that order.
    pub fn decode<K: SortKey>(cursor: &str, sort: Sort<K>) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (order, value, id): (String, Json, i64) = serde_json::from_slice(&bytes).ok()?;
        if order != sort.to_string() {
            return None;
        }
        let column = sort.key.column();
        let kind = column.map(|column| column.def().get_column_type().clone());
        let value: Option<Value> = match (kind, value) {
            (None, Json::Null) => None,
            (Some(ColumnType::BigInteger), number) => Some(number.as_i64()?.into()),
            // PostgreSQL cannot compare with NUL, and no row has one.
            (Some(ColumnType::String(_) | ColumnType::Text), Json::String(text))
                if !text.contains('\0') =>
            {
                Some(text.into())
            }
            (Some(ColumnType::TimestampWithTimeZone), micros) => {
                Some(Timestamp::from_micros(micros.as_i64()?)?.0.into())
            }
            _ => return None,
        };
        Some(Self { value, id })
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// How many rows a page has.
    pub page_size: u64,
    /// Where it stands in the list.
    pub info: PageInfo,
}

/// Where a page stands in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageInfo {
    /// The page of that number, of that many rows in all.
    Number {
        /// The page, from 1.
        page: u64,
        /// How many rows the list has.
        total_items: u64,
    },
    /// By cursor: it goes on at `next`, unless this is the end.
    Cursor {
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
            info: self.info,
        }
    }
}

/// Fetches one page of `select`, whose columns are those that `R` reads and the id.
///
/// By number it takes two queries, one of which counts, unless how many rows there are is known; by cursor one, which costs the
/// same however deep it goes.
pub async fn fetch<R: FromQueryResult, K: SortKey, F: Filter>(
    db: &impl ConnectionTrait,
    select: Select<K::Entity>,
    listing: &Listing<F, K>,
) -> Result<Page<R>> {
    let mut select = select.filter(listing.filter.condition());
    let (sort, page_size) = (listing.sort, listing.page_size);
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
    select = select.order_by(K::ID, order);
    let (items, info) = match &listing.paging {
        Paging::Number(page) => {
            let before = (page - 1).saturating_mul(page_size);
            // Past the end there is nothing to ask for, and OFFSET is a signed number to the databases.
            let items = if before < total_items {
                let select = select.offset(before).limit(page_size);
                select.into_model().all(db).await?
            } else {
                Vec::new()
            };
            let page = *page;
            (items, PageInfo::Number { page, total_items })
        }
        Paging::After(position) => {
            if let Some(position) = position {
                let after = after_cursor(db.get_database_backend(), sort, position.clone());
                select = select.filter(after);
            }
            // Not every row shows what it is sorted by.
            if let Some(column) = sort.key.column() {
                select = select.column(column);
            }
            let select = select.limit(page_size + 1).into_query();
            let mut rows = db.query_all(&select).await?;
            let more = rows.len() as u64 > page_size;
            rows.truncate(usize::try_from(page_size).unwrap_or(usize::MAX));
            let last = rows.last().filter(|_| more);
            let next = last.map(|row| Position::of(row, sort.key)).transpose()?;
            let items = rows.iter().map(|row| R::from_query_result(row, ""));
            (items.collect::<Result<_, _>>()?, PageInfo::Cursor { next })
        }
    };
    Ok(Page {
        items,
        page_size,
        info,
    })
}

/// How many rows of `select` the filter leaves.
pub async fn count<E>(
    db: &impl ConnectionTrait,
    select: Select<E>,
    filter: &impl Filter,
) -> Result<u64>
where
    E: EntityTrait<Model: Send + Sync>,
{
    Ok(select.filter(filter.condition()).count(db).await?)
}

/// The rows that come after `position`, said so that each database seeks to it in its index: MySQL
/// understands the long form, SQLite and PostgreSQL the comparison of pairs.
fn after_cursor<K: SortKey>(backend: DbBackend, sort: Sort<K>, position: Position) -> Condition {
    let compare = |left: Expr, right: Expr| {
        if sort.descending {
            left.lt(right)
        } else {
            left.gt(right)
        }
    };
    let column = |column: Column<K>| Expr::col((K::Entity::default(), column));
    let (row_id, id) = (column(K::ID), position.id);
    let (Some(key), Some(value)) = (sort.key.column(), position.value) else {
        return Condition::all().add(compare(row_id, id.into()));
    };
    let (key, value) = (column(key), Expr::val(value));
    if backend == DbBackend::MySql {
        return Condition::any()
            .add(compare(key.clone(), value.clone()))
            .add(key.eq(value).and(compare(row_id, id.into())));
    }
    Condition::all().add(compare(
        Expr::tuple([key, row_id]),
        Expr::tuple([value, id.into()]),
    ))
}

/// That a column of folded text has the one that is searched for anywhere, if there is one: `%` and `_` in
/// it are ordinary characters.
pub fn contains(column: impl ColumnTrait, text: Option<&Search>) -> Option<Expr> {
    let text = search_fold(text?.as_str());
    let text = text.trim();
    // Not the backslash, which MySQL would also take for an escape in the string itself.
    let text = text
        .replace('!', "!!")
        .replace('%', "!%")
        .replace('_', "!_");
    let pattern = LikeExpr::new(format!("%{text}%")).escape('!');
    Some(Expr::col(column).like(pattern))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::models::{
        Error,
        input::from_query,
        products::{Filter, Key},
    };

    fn listing(query: &str) -> Listing<Filter, Key> {
        from_query(query).unwrap()
    }

    #[test]
    fn a_list_begins_at_its_first_page() {
        let first = Listing::new(Filter::default(), Sort::ascending(Key::Id));
        assert_eq!(listing(""), first);
        assert_eq!(first.page_size, 25);
        assert_eq!(listing("cursor=&sort=-price").paging, Paging::After(None));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let queries =
            "page=0 page_size=101 page_size=0 page=1&cursor= sort=colour sort=--price pgae=1";
        for query in queries.split(' ') {
            let error = from_query::<Listing<Filter, Key>>(query).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{query}: {error:?}");
        }
    }

    #[test]
    fn a_cursor_is_good_for_its_own_order_only() {
        let position = Position {
            value: Some(1_999_i64.into()),
            id: 7,
        };
        let cursor = position.encode(Sort::descending(Key::Price));
        assert_eq!(
            listing(&format!("sort=-price&cursor={cursor}")).paging,
            Paging::After(Some(position))
        );
        for query in [
            format!("cursor={cursor}"),
            format!("sort=price&cursor={cursor}"),
            "cursor=x".to_owned(),
        ] {
            let error = from_query::<Listing<Filter, Key>>(&query).unwrap_err();
            assert!(matches!(error, Error::Malformed(_)), "{query}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn every_position_survives_its_cursor(name in "[^\\x00]{0,30}", number: i64, id: i64) {
            let time = Timestamp::from_micros(number % 60_000_000_000_000_000).unwrap().0;
            let values = [
                (Key::Id, None),
                (Key::Name, Some(name.into())),
                (Key::Price, Some(number.into())),
                (Key::CreatedAt, Some(time.into())),
            ];
            for (key, value) in values {
                let position = Position { value, id };
                let order = Sort { key, descending: number < 0 };
                prop_assert_eq!(Position::decode(&position.encode(order), order), Some(position));
            }
        }

        #[test]
        fn no_cursor_makes_it_panic(cursor in "\\PC{0,60}") {
            let _ = Position::decode(&cursor, Sort::ascending(Key::Price));
        }
    }
}

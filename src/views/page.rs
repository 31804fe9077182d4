//! Pages of lists: which one is wanted, what is answered, and where the neighbours are.

use std::marker::PhantomData;

use axum::http::{HeaderValue, Uri};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
    },
};

use super::{
    answer::Representation,
    fields::{Fields, FromFields},
};
use crate::models::{
    self,
    listing::{self, Listing, Mark, Paging, Place, Position, Sort},
    types::{Moment, Scalar, Violation, Whole},
};

type PageNumber = Whole<1, 1_000_000_000>;
type PageSize = Whole<1, 100>;

const DEFAULT_PAGE_SIZE: u64 = 25;

/// The words that a list can be sorted by.
pub trait SortWords: Copy + PartialEq + 'static {
    /// Each key with its word.
    const WORDS: &'static [(&'static str, Self)];
    /// The order of a list that nobody sorted.
    const DEFAULT: Sort<Self>;
    /// What kind of mark the key leaves in a cursor.
    fn kind(self) -> MarkKind;
}

/// What kind of mark a sort key leaves in a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// The id alone.
    Id,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A time, in microseconds since 1970.
    Time,
}

/// The parameters that every list takes.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documents what `Listing` reads")]
pub struct PageParameters {
    /// The page, from 1. Excludes `cursor`.
    #[param(minimum = 1, maximum = 1_000_000_000)]
    page: Option<u64>,
    /// How many items a page has.
    #[param(minimum = 1, maximum = 100, default = 25)]
    page_size: Option<u64>,
    /// Walks the list from where the last answer's `next_cursor` says; empty to start. Excludes `page`.
    cursor: Option<String>,
}

/// What a list is sorted by, as its document says it.
#[derive(Debug)]
pub struct SortParameter<K>(PhantomData<K>);

impl<K: SortWords> IntoParams for SortParameter<K> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let words = K::WORDS
            .iter()
            .flat_map(|(word, _)| [(*word).to_owned(), format!("-{word}")]);
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(words))
            .default(Some(word(K::DEFAULT).into()));
        let sort = ParameterBuilder::new()
            .name("sort")
            .parameter_in(ParameterIn::Query)
            .description(Some(
                "What to sort by; `-` before it turns the order around.",
            ))
            .schema(Some(schema));
        vec![sort.build()]
    }
}

/// A page of a list: by number with the list's size, or by cursor with what comes next.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on it.
    items: Vec<T>,
    /// Which page it is, from 1. Not in a walk by cursor.
    #[schema(nullable = false, minimum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u64>,
    /// How many items a page has; the last may have fewer.
    #[schema(minimum = 1, maximum = 100)]
    page_size: u64,
    /// How many pages there are. Not in a walk by cursor.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    total_pages: Option<u64>,
    /// How many items there are in all. Not in a walk by cursor.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    total_items: Option<u64>,
    /// In a walk by cursor only: where it goes on; `null` at its end.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<Option<String>>,
    #[serde(skip)]
    links: Vec<(&'static str, String)>,
}

impl<F: FromFields, K: SortWords> FromFields for Listing<F, K> {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let by_cursor = fields.has("cursor");
        let page = fields.optional::<PageNumber>("page");
        let page_size = fields.optional::<PageSize>("page_size");
        let cursor = fields.optional::<Text>("cursor");
        let sort = fields.optional::<SortWord<K>>("sort");
        let filter = F::read(fields);
        if by_cursor && fields.has("page") {
            fields.refuse("cursor", "exclusive", "excludes page");
        }
        let sort = sort?.map_or(K::DEFAULT, |word| word.0);
        let paging = match cursor? {
            None => Paging::Number(page?.map_or(1, |page| page.get().unsigned_abs())),
            Some(cursor) if cursor.0.is_empty() => Paging::After(None),
            Some(cursor) => {
                let Some(position) = decode(&cursor.0, sort) else {
                    fields
                        .malformed("The cursor is not one that this list gave out in this order.");
                    return None;
                };
                Paging::After(Some(position))
            }
        };
        let page_size = page_size?.map_or(DEFAULT_PAGE_SIZE, |size| size.get().unsigned_abs());
        Some(Self {
            filter: filter?,
            sort,
            paging,
            page_size,
            total_items: None,
        })
    }
}

impl<T: Serialize> Page<T> {
    /// The page that answers `uri`.
    pub fn new<F, K: SortWords>(
        page: listing::Page<T>,
        listing: &Listing<F, K>,
        uri: &Uri,
    ) -> Self {
        let listing::Page {
            items,
            page_size,
            place,
        } = page;
        match place {
            Place::Number { page, total_items } => {
                let total_pages = total_items.div_ceil(page_size);
                let link = |number: u64| link(uri, "page", &number.to_string());
                let mut links = vec![("first", link(1))];
                if page > 1 {
                    links.push(("prev", link((page - 1).min(total_pages.max(1)))));
                }
                if page < total_pages {
                    links.push(("next", link(page + 1)));
                }
                links.push(("last", link(total_pages.max(1))));
                Self {
                    items,
                    page: Some(page),
                    page_size,
                    total_pages: Some(total_pages),
                    total_items: Some(total_items),
                    next_cursor: None,
                    links,
                }
            }
            Place::Walk { next } => {
                let next = next.map(|position| encode(&position, listing.sort));
                let mut links = vec![("first", link(uri, "cursor", ""))];
                links.extend(
                    next.iter()
                        .map(|cursor| ("next", link(uri, "cursor", cursor))),
                );
                Self {
                    items,
                    page: None,
                    page_size,
                    total_pages: None,
                    total_items: None,
                    next_cursor: Some(next),
                    links,
                }
            }
        }
    }
}

impl<T: Serialize> Page<T> {
    /// The page as it is shown, with the links to its neighbours.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn representation(&self) -> Result<Representation, models::Error> {
        let links: Vec<_> = self
            .links
            .iter()
            .map(|(rel, uri)| format!("<{uri}>; rel=\"{rel}\""))
            .collect();
        Ok(Representation {
            link: HeaderValue::from_str(&links.join(", ")).ok(),
            ..Representation::of(self)?
        })
    }
}

/// The same list from elsewhere: `uri` with one parameter replaced (RFC 8288).
fn link(uri: &Uri, name: &str, value: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let others = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.extend_pairs(others.filter(|(other, _)| !matches!(other.as_ref(), "page" | "cursor")));
    query.append_pair(name, value);
    format!("{}?{}", uri.path(), query.finish())
}

/// A cursor: the order and the position, opaque to clients.
fn encode<K: SortWords>(position: &Position, sort: Sort<K>) -> String {
    let mark = match &position.mark {
        Mark::Id => Value::Null,
        Mark::Number(number) => json!(number),
        Mark::Text(text) => json!(text),
        Mark::Time(time) => json!(time.timestamp_micros()),
    };
    BASE64_URL_SAFE_NO_PAD.encode(json!([word(sort), mark, position.id]).to_string())
}

fn decode<K: SortWords>(cursor: &str, sort: Sort<K>) -> Option<Position> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (order, mark, id): (String, Value, i64) = serde_json::from_slice(&bytes).ok()?;
    if order != word(sort) {
        return None;
    }
    let mark = match (sort.key.kind(), mark) {
        (MarkKind::Id, Value::Null) => Mark::Id,
        (MarkKind::Number, mark) => Mark::Number(mark.as_i64()?),
        // PostgreSQL cannot compare with NUL, and no row has one.
        (MarkKind::Text, Value::String(text)) if !text.contains('\0') => Mark::Text(text),
        (MarkKind::Time, mark) => Mark::Time(Moment::from_micros(mark.as_i64()?)?.0),
        _ => return None,
    };
    Some(Position { mark, id })
}

fn word<K: SortWords>(sort: Sort<K>) -> String {
    let word = K::WORDS
        .iter()
        .find(|(_, key)| *key == sort.key)
        .map_or("", |(word, _)| word);
    format!("{}{word}", if sort.descending { "-" } else { "" })
}

struct Text(String);

impl Scalar for Text {
    fn parse(text: &str) -> Result<Self, Violation> {
        Ok(Self(text.to_owned()))
    }
}

struct SortWord<K>(Sort<K>);

impl<K: SortWords> Scalar for SortWord<K> {
    fn parse(text: &str) -> Result<Self, Violation> {
        let (descending, word) = text
            .strip_prefix('-')
            .map_or((false, text), |word| (true, word));
        let known = K::WORDS.iter().find(|(known, _)| *known == word);
        known
            .map(|(_, key)| {
                Self(Sort {
                    key: *key,
                    descending,
                })
            })
            .ok_or_else(|| {
                let words: Vec<_> = K::WORDS.iter().map(|(word, _)| *word).collect();
                Violation::new(
                    "choice",
                    format!(
                        "must be one of {}, or one of them after a -",
                        words.join(", ")
                    ),
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        models::products::{Filter, Key},
        views::fields::{Rejection, from_query},
    };

    fn listing(query: &str) -> Listing<Filter, Key> {
        from_query(query).unwrap()
    }

    fn sort(key: Key, descending: bool) -> Sort<Key> {
        Sort { key, descending }
    }

    fn links(uri: &str, page: listing::Page<i64>) -> Vec<(&'static str, String)> {
        let uri: Uri = uri.parse().unwrap();
        Page::new(page, &listing(uri.query().unwrap_or_default()), &uri).links
    }

    fn numbered(page: u64, total_items: u64) -> listing::Page<i64> {
        listing::Page {
            items: vec![],
            page_size: 10,
            place: Place::Number { page, total_items },
        }
    }

    #[test]
    fn a_list_begins_at_its_first_page() {
        let listing = listing("");
        assert_eq!(
            (listing.paging, listing.page_size, listing.sort),
            (Paging::Number(1), 25, sort(Key::Id, false))
        );
    }

    #[test]
    fn an_empty_cursor_begins_a_walk() {
        assert_eq!(listing("cursor=&sort=-price").paging, Paging::After(None));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for query in [
            "page=0",
            "page_size=101",
            "page_size=0",
            "page=1&cursor=",
            "sort=colour",
            "sort=--price",
            "pgae=1",
        ] {
            let rejection = from_query::<Listing<Filter, Key>>(query).unwrap_err();
            assert!(
                matches!(rejection, Rejection::Invalid(_)),
                "{query}: {rejection:?}"
            );
        }
    }

    #[test]
    fn a_cursor_is_good_for_its_own_order_only() {
        let position = Position {
            mark: Mark::Number(1_999),
            id: 7,
        };
        let cursor = encode(&position, sort(Key::Price, true));
        assert_eq!(
            listing(&format!("sort=-price&cursor={cursor}")).paging,
            Paging::After(Some(position))
        );
        for query in [
            format!("cursor={cursor}"),
            format!("sort=price&cursor={cursor}"),
            "cursor=x".to_owned(),
        ] {
            let rejection = from_query::<Listing<Filter, Key>>(&query).unwrap_err();
            assert!(
                matches!(rejection, Rejection::Malformed(_)),
                "{query}: {rejection:?}"
            );
        }
    }

    #[test]
    fn neighbours_are_linked_as_they_apply() {
        let rels = |page| {
            links("/p?page=1", page)
                .into_iter()
                .map(|(rel, _)| rel)
                .collect::<Vec<_>>()
        };
        assert_eq!(rels(numbered(1, 30)), ["first", "next", "last"]);
        assert_eq!(rels(numbered(2, 30)), ["first", "prev", "next", "last"]);
        assert_eq!(rels(numbered(3, 30)), ["first", "prev", "last"]);
        assert_eq!(rels(numbered(1, 0)), ["first", "last"]);
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let links = links("/p?q=tea%20%26%20cake&page=2&sort=-name", numbered(2, 30));
        assert_eq!(
            links[0],
            ("first", "/p?q=tea+%26+cake&sort=-name&page=1".to_owned())
        );
        assert_eq!(
            links[3],
            ("last", "/p?q=tea+%26+cake&sort=-name&page=3".to_owned())
        );
    }

    proptest! {
        #[test]
        fn every_position_survives_its_cursor(name in "[^\\x00]{0,30}", number: i64, id: i64) {
            let time = Moment::from_micros(number % 60_000_000_000_000_000).unwrap().0;
            let marks = [
                (Key::Id, Mark::Id),
                (Key::Name, Mark::Text(name)),
                (Key::Price, Mark::Number(number)),
                (Key::CreatedAt, Mark::Time(time)),
            ];
            for (key, mark) in marks {
                let position = Position { mark, id };
                let order = sort(key, number < 0);
                prop_assert_eq!(decode(&encode(&position, order), order), Some(position));
            }
        }

        #[test]
        fn no_cursor_makes_it_panic(cursor in "\\PC{0,60}") {
            let _ = decode(&cursor, sort(Key::Price, false));
        }
    }
}

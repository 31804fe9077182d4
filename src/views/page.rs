//! Pages of lists: what is answered, and where the neighbours are.

use axum::http::{HeaderValue, Uri};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::CachedBody;
use crate::models::{
    Result,
    listing::{self, Listing, PageInfo, SortKey},
};

/// A page of a list: by number with the list's size, or by cursor with what comes next.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items on this page.
    items: Vec<T>,
    /// The number of this page, from 1. Not when paging by cursor.
    #[schema(nullable = false, minimum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u64>,
    /// How many items a page has; the last may have fewer.
    #[schema(minimum = 1, maximum = 100)]
    page_size: u64,
    /// How many pages there are. Not when paging by cursor.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    total_pages: Option<u64>,
    /// How many items there are in all. Not when paging by cursor.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    total_items: Option<u64>,
    /// When paging by cursor only: the cursor of the next page; `null` on the last.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<Option<String>>,
    #[serde(skip)]
    links: Vec<(&'static str, String)>,
}

impl<T: Serialize> Page<T> {
    /// The page that answers `uri`.
    pub fn new<F, K: SortKey>(page: listing::Page<T>, listing: &Listing<F, K>, uri: &Uri) -> Self {
        let listing::Page {
            items,
            page_size,
            info,
        } = page;
        match info {
            PageInfo::Number { page, total_items } => {
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
            PageInfo::Cursor { next } => {
                let next = next.map(|position| position.encode(listing.sort));
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

    /// The page as it is shown, with the links to its neighbours.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn body(&self) -> Result<CachedBody> {
        let links: Vec<_> = self
            .links
            .iter()
            .map(|(rel, uri)| format!("<{uri}>; rel=\"{rel}\""))
            .collect();
        Ok(CachedBody {
            link: HeaderValue::from_str(&links.join(", ")).ok(),
            ..CachedBody::of(self)?
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{
        input::from_query,
        products::{Filter, Key},
    };

    fn links(uri: &str, page: u64, total_items: u64) -> Vec<(&'static str, String)> {
        let uri: Uri = uri.parse().unwrap();
        let listing: Listing<Filter, Key> = from_query(uri.query().unwrap_or_default()).unwrap();
        let page = listing::Page::<i64> {
            items: vec![],
            page_size: 10,
            info: PageInfo::Number { page, total_items },
        };
        Page::new(page, &listing, &uri).links
    }

    #[test]
    fn neighbours_are_linked_as_they_apply() {
        let rels = |page, total_items| {
            let links = links("/p?page=1", page, total_items);
            links.into_iter().map(|(rel, _)| rel).collect::<Vec<_>>()
        };
        assert_eq!(rels(1, 30), ["first", "next", "last"]);
        assert_eq!(rels(2, 30), ["first", "prev", "next", "last"]);
        assert_eq!(rels(3, 30), ["first", "prev", "last"]);
        assert_eq!(rels(1, 0), ["first", "last"]);
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let links = links("/p?q=tea%20%26%20cake&page=2&sort=-name", 2, 30);
        assert_eq!(
            links[0],
            ("first", "/p?q=tea+%26+cake&sort=-name&page=1".to_owned())
        );
        assert_eq!(
            links[3],
            ("last", "/p?q=tea+%26+cake&sort=-name&page=3".to_owned())
        );
    }
}

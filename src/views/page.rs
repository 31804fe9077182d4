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
        let mut shown = Self {
            items,
            page: None,
            page_size,
            total_pages: None,
            total_items: None,
            next_cursor: None,
            links: Vec::new(),
        };
        match info {
            PageInfo::Number { page, total_items } => {
                let total_pages = total_items.div_ceil(page_size);
                let last = total_pages.max(1);
                shown.page = Some(page);
                shown.total_pages = Some(total_pages);
                shown.total_items = Some(total_items);
                let mut lead = |rel, page: u64| {
                    let link = link(uri, "page", &page.to_string());
                    shown.links.push((rel, link));
                };
                lead("first", 1);
                if page > 1 {
                    lead("prev", last.min(page - 1));
                }
                if page < total_pages {
                    lead("next", page + 1);
                }
                lead("last", last);
            }
            PageInfo::Cursor { next } => {
                let next = next.map(|position| position.encode(listing.sort));
                shown.links.push(("first", link(uri, "cursor", "")));
                if let Some(cursor) = &next {
                    shown.links.push(("next", link(uri, "cursor", cursor)));
                }
                shown.next_cursor = Some(next);
            }
        }
        shown
    }

    /// The page as it is shown, with the links to its neighbours.
    pub fn body(&self) -> Result<CachedBody> {
        let links = self.links.iter();
        let links: Vec<_> = links
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
        let uris: Vec<_> = links.iter().map(|(_, uri)| uri.as_str()).collect();
        let others = "/p?q=tea+%26+cake&sort=-name";
        assert_eq!(
            uris,
            [1, 1, 3, 3].map(|page| format!("{others}&page={page}"))
        );
    }
}

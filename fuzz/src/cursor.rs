//! The parameters of lists: `from_query` of a `Listing`, and the links of its page. The first line is a
//! query; a second one, if there is one, is what the query's cursor says, before base64. For any two
//! lines and each of the store's lists:
//!
//! * what is refused says why;
//! * what is accepted asks for a page from 1 and for 1 to 100 items;
//! * every link on the page that answers it leads to the same list: the same filter, order and size;
//! * the link to the next page of a list by cursor leads to the position that the last page ended at, so that a
//!   cursor which is accepted is given out and accepted again.

use std::fmt::Debug;

use axum::http::Uri;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use boxcar::{
    models::{
        customer_accounts, customers,
        error::Error,
        input::from_query,
        listing::{self, Filter, Listing, NoFilter, PageInfo, Paging, SortKey},
        orders, products, stock_movements,
    },
    views::page::Page,
};

const LAST_PAGE: u64 = 1_000_000_000;

/// Reads the bytes as the parameters of each list.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let query = match text.split_once('\n') {
        None => text.to_owned(),
        Some((query, cursor)) => {
            format!("{query}&cursor={}", BASE64_URL_SAFE_NO_PAD.encode(cursor))
        }
    };
    // What is no URI does not reach the store.
    let Ok(uri) = format!("/list?{query}").parse::<Uri>() else {
        return;
    };
    list::<customer_accounts::Filter, customer_accounts::Key>(&uri);
    list::<customers::Filter, customers::Key>(&uri);
    list::<orders::Filter, orders::Key>(&uri);
    list::<products::Filter, products::Key>(&uri);
    list::<NoFilter, stock_movements::Key>(&uri);
}

fn list<F, K>(uri: &Uri)
where
    F: Filter,
    K: Debug + SortKey,
{
    let listing = match from_query::<Listing<F, K>>(uri.query().unwrap_or_default()) {
        Ok(listing) => listing,
        Err(Error::Malformed(why)) => return assert!(!why.is_empty()),
        Err(Error::Invalid(errors)) => return assert!(!errors.is_empty()),
        Err(other) => panic!("{other:?}"),
    };
    assert!((1..=100).contains(&listing.page_size));
    for info in infos(&listing) {
        follow(&listing, uri, info);
    }
}

/// Where a page that answers `listing` may stand.
fn infos<F, K>(listing: &Listing<F, K>) -> Vec<PageInfo> {
    match &listing.paging {
        Paging::Number(page) => {
            assert!((1..=LAST_PAGE).contains(page));
            let more = (page + 1).min(LAST_PAGE) * listing.page_size;
            [0, 1, more]
                .map(|total_items| PageInfo::Number {
                    page: *page,
                    total_items,
                })
                .to_vec()
        }
        Paging::After(position) => vec![PageInfo::Cursor {
            next: position.clone(),
        }],
    }
}

fn follow<F, K>(listing: &Listing<F, K>, uri: &Uri, info: PageInfo)
where
    F: Filter,
    K: Debug + SortKey,
{
    let page = listing::Page {
        items: Vec::<i64>::new(),
        page_size: listing.page_size,
        info,
    };
    let shown = Page::new(page, listing, uri).body().unwrap();
    let links = shown.link.unwrap();
    for link in links.to_str().unwrap().split(", ") {
        let (uri, rel) = link.split_once('>').unwrap();
        let uri: Uri = uri.trim_start_matches('<').parse().unwrap();
        let there = from_query::<Listing<F, K>>(uri.query().unwrap()).unwrap();
        assert!(leads_on(&listing.paging, rel, &there.paging), "{link}");
        let same_list = Listing {
            paging: there.paging.clone(),
            ..listing.clone()
        };
        assert_eq!(there, same_list);
    }
}

fn leads_on(from: &Paging, rel: &str, to: &Paging) -> bool {
    match from {
        Paging::Number(_) => matches!(to, Paging::Number(_)),
        Paging::After(_) if rel.contains("first") => *to == Paging::After(None),
        Paging::After(_) => to == from,
    }
}

//! The pages that the types of problems lead to.

use axum::{body::Body, http::Request};
use boxcar::views::problem::Kind;

use crate::support::{Answer, Shop};

#[tokio::test]
async fn every_type_of_problem_leads_to_its_page() {
    let shop = Shop::open().await;
    for kind in Kind::ALL {
        assert_eq!(Kind::named(kind.name()), Some(kind));
        let page = page(&shop, kind.uri).await;
        for part in [kind.title, kind.meaning, kind.remedy] {
            assert!(page.contains(part), "{}: {part}", kind.uri);
        }
        assert!(page.contains(kind.status.as_str()), "{}", kind.uri);
    }
}

#[tokio::test]
async fn all_types_of_problems_are_listed() {
    let shop = Shop::open().await;
    let page = page(&shop, "/problems").await;
    for kind in Kind::ALL {
        assert!(page.contains(&format!("href=\"{}\"", kind.uri)));
    }
}

#[tokio::test]
async fn the_pages_load_nothing_and_run_nothing() {
    let shop = Shop::open().await;
    for path in ["/problems", "/problems/not-found"] {
        let answer = get(&shop, path).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"));
    }
}

#[tokio::test]
async fn a_type_that_is_not_known_is_not_found() {
    let shop = Shop::open().await;
    for name in ["nothing", "about:blank", "%2e%2e", "NOT-FOUND"] {
        let answer = get(&shop, &format!("/problems/{name}")).await;
        answer.assert_problem(404, "not-found");
    }
}

async fn page(shop: &Shop, path: &str) -> String {
    let answer = get(shop, path).await;
    assert_eq!(answer.status, 200, "{path}");
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    String::from_utf8(answer.bytes).unwrap()
}

async fn get(shop: &Shop, path: &str) -> Answer {
    let request = Request::get(path).body(Body::empty()).unwrap();
    shop.stranger().request(request).await
}

//! The pages that the types of problems lead to, for people.

use std::{fmt::Write, sync::LazyLock};

use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use super::problem::Kind;

const STYLE: &str = ":root{color-scheme:light dark}\
    body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}\
    dt{font-weight:bold}dd{margin:0 0 .75rem}";

/// Nothing but the style above, which is told from any other by its digest.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let digest = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).ok()
});

/// The page of one kind of problem.
#[derive(Clone, Copy, Debug)]
pub struct ProblemPage(pub Kind);

/// The page that lists them all.
#[derive(Clone, Copy, Debug)]
pub struct ProblemIndex;

impl IntoResponse for ProblemPage {
    fn into_response(self) -> Response {
        let kind = self.0;
        let body = format!(
            "<p>Status {}, type <code>{}</code></p>\n<h2>What it means</h2>\n<p>{}</p>\n\
             <h2>What to do</h2>\n<p>{}</p>\n<p><a href=\"/problems\">All problems</a></p>",
            kind.status, kind.uri, kind.meaning, kind.remedy
        );
        page(kind.title, &body)
    }
}

impl IntoResponse for ProblemIndex {
    fn into_response(self) -> Response {
        let mut list = String::new();
        for kind in Kind::ALL {
            // Writing into a string cannot fail.
            let _ = write!(
                list,
                "<dt>{} <a href=\"{}\">{}</a></dt>\n<dd>{}</dd>\n",
                kind.status.as_u16(),
                kind.uri,
                kind.title,
                kind.meaning
            );
        }
        page("Problems", &format!("<dl>\n{list}</dl>"))
    }
}

fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<h1>{title}</h1>\n{body}\n</html>\n"
    );
    let mut response = Html(html).into_response();
    if let Some(policy) = POLICY.clone() {
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

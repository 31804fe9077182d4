//! What is sent by mail, and how it is handed on.

mod letters;
mod post;
mod relay;

use boxcar::settings::mail::Mail;
use serde_json::json;

/// How mails are sent: by the server at that address, or to that directory.
fn settings(smtp_url: &str, dir: &str) -> Mail {
    serde_json::from_value(json!({
        "smtp_url": smtp_url,
        "from": "Bücher & Tee <shop@example.com>",
        "shop_name": "Bücher & Tee",
        "shop_url": "",
        "dir": dir,
    }))
    .unwrap()
}

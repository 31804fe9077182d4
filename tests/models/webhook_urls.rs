//! URLs of webhook endpoints: what is taken, in which form, and what is refused.

use boxcar::models::types::{RuleViolation, Scalar, WebhookUrl};

use crate::support::Mismatches;

#[test]
fn a_url_is_shown_in_its_normal_form() {
    let mut mismatches = Mismatches::default();
    for (text, expected) in [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com:443/Hooks", "https://example.com/Hooks"),
        (
            "https://example.com:8443/a?b=c",
            "https://example.com:8443/a?b=c",
        ),
        ("https://example.com/a/../b/./c", "https://example.com/b/c"),
        ("https://example.com/ä", "https://example.com/%C3%A4"),
        (
            "https://münchen.example/",
            "https://xn--mnchen-3ya.example/",
        ),
        (
            "https://MÜNCHEN.example/",
            "https://xn--mnchen-3ya.example/",
        ),
        ("https://exa\u{ad}mple.com/", "https://example.com/"),
        ("https://ｅxample。com/", "https://example.com/"),
        ("https://example.com\\a", "https://example.com/a"),
        ("https://example.com./", "https://example.com./"),
        ("https://localhost/", "https://localhost/"),
        ("https://@example.com/", "https://example.com/"),
        ("https://example.com/@a", "https://example.com/@a"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://0x8.0x8.0x8.0x8/", "https://8.8.8.8/"),
        ("https://134744072/", "https://8.8.8.8/"),
        (
            "https://[2001:4860:4860:0:0::8888]/",
            "https://[2001:4860:4860::8888]/",
        ),
    ] {
        let url = WebhookUrl::parse_where(text, false).map(String::from);
        mismatches.compare(text, url, Ok::<_, RuleViolation>(expected.to_owned()));
    }
}

#[test]
fn what_is_no_url_of_an_endpoint_is_refused() {
    let long = format!("https://example.com/{}", "a".repeat(2_029));
    // Short as it is typed, and long in its normal form.
    let grows = format!("https://example.com/{}", "ä".repeat(400));
    let mut mismatches = Mismatches::default();
    for (text, code) in [
        ("", "format"),
        ("example.com", "format"),
        ("/hooks", "format"),
        ("http://example.com/", "format"),
        ("ftp://example.com/", "format"),
        ("wss://example.com/", "format"),
        ("file:///etc/passwd", "format"),
        ("javascript:alert(1)", "format"),
        ("https:", "format"),
        ("https://", "format"),
        ("https:example.com", "format"),
        ("https:/example.com", "format"),
        ("https:///example.com", "format"),
        ("https:\\\\example.com", "format"),
        ("https://\\example.com", "format"),
        ("https://:443/", "format"),
        ("https://?a", "format"),
        ("https://user@example.com/", "format"),
        ("https://user:password@example.com/", "format"),
        ("https://:password@example.com/", "format"),
        ("https://example.com/#a", "format"),
        ("https://example.com/#", "format"),
        ("https://example.com:0/", "format"),
        ("https://example.com:65536/", "format"),
        ("https://example.com:a/", "format"),
        (" https://example.com/", "format"),
        ("https://example.com/ ", "format"),
        ("https://example.com/a b", "format"),
        ("https://example.com/a\u{a0}b", "format"),
        ("https://exam\tple.com/", "format"),
        ("https://example.com/\r\nHost: a", "format"),
        ("https://example.com/\0", "format"),
        ("https://exa%00mple.com/", "format"),
        ("https://exa mple.com/", "format"),
        ("https://[::1/", "format"),
        ("https://[fe80::1%25eth0]/", "format"),
        ("https://256.0.0.1/", "format"),
        ("https://1.2.3.4.5/", "format"),
        ("https://xn--a/", "format"),
        (long.as_str(), "length"),
        (grows.as_str(), "length"),
        ("https://127.0.0.1/", "address"),
    ] {
        let url = WebhookUrl::parse_where(text, false).map_err(|violation| violation.code);
        mismatches.compare(format!("{text:.60}"), url, Err::<WebhookUrl, _>(code));
    }
    let longest = &long[..2_048];
    assert!(WebhookUrl::parse_where(longest, false).is_ok());
}

#[test]
fn where_private_addresses_are_allowed_http_is_allowed_too() {
    for text in [
        "http://127.0.0.1:5150/",
        "http://localhost/",
        "https://[::1]/",
    ] {
        let url = WebhookUrl::parse_where(text, true).unwrap();
        assert_eq!(url.as_str(), text);
    }
    for text in [
        "ftp://127.0.0.1/",
        "http://user@127.0.0.1/",
        "http:///127.0.0.1/",
    ] {
        assert!(WebhookUrl::parse_where(text, true).is_err(), "{text}");
    }
}

#[test]
fn a_normal_form_is_its_own_normal_form() {
    use proptest::prelude::*;
    proptest!(|(text in "https?://[^/\\\\]{1,20}(/[ -~äß]{0,20})?")| {
        if let Ok(url) = WebhookUrl::parse_where(&text, true) {
            let again = WebhookUrl::parse_where(url.as_str(), true).unwrap();
            prop_assert_eq!(&url, &again);
            prop_assert!(url.as_str().is_ascii());
        }
        // Reading never panics, whatever the setting of the process is.
        let _ = WebhookUrl::parse(&text);
    });
}

//! Webhooks on the wire: what a receiver gets, and what is made of what it answers, or does not.

use std::{
    future::pending,
    io,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderName};
use boxcar::{
    models::types::WebhookSecret,
    workers::wire::{Outcome, Resolver, Wire, retry_after, sign},
};
use chrono::{TimeDelta, Utc};
use standardwebhooks::Webhook;
use tokio::time::Instant;

use crate::support::{Authority, Mismatches, Receiver, Reply, free_port};

/// Every name has these addresses; without any, no lookup ever ends.
#[derive(Debug)]
struct Everywhere(Vec<Ipv4Addr>);

#[async_trait]
impl Resolver for Everywhere {
    async fn addresses(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        if self.0.is_empty() {
            pending::<()>().await;
        }
        Ok(self.0.iter().copied().map(IpAddr::from).collect())
    }
}

fn wire() -> Wire {
    Wire::new(true).unwrap()
}

/// What comes of a request to a receiver that answers so, within a second.
async fn outcome(reply: Reply) -> Outcome {
    let receiver = Receiver::start(move |_| reply.clone()).await;
    let wire = wire().within(Duration::from_secs(1)).unwrap();
    wire.post(&receiver.url(), HeaderMap::new(), "{}").await
}

fn closed(text: &str) -> Reply {
    Reply::Closed(text.to_owned())
}

#[tokio::test]
async fn a_request_arrives_signed_with_each_secret_in_force() {
    let receiver = Receiver::start(|_| Reply::status(204)).await;
    let secrets = [WebhookSecret::generated(), WebhookSecret::generated()];
    let body = r#"{"id":271,"type":"order.placed","data":{"name":"Zoë"}}"#;
    let headers = sign(&secrets, 271, Utc::now(), body).unwrap();
    let url = format!("{}?a=b%20c", receiver.url());
    let outcome = wire().post(&url, headers, body).await;
    assert_eq!(outcome.status_code, Some(204));
    assert!(outcome.is_success());
    assert_eq!((outcome.retry_after, outcome.error), (None, None));

    let request = &receiver.requests()[0];
    assert_eq!(request.line, "POST /hooks?a=b%20c HTTP/1.1");
    assert_eq!(request.body, body);
    let mut names: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    ];
    assert_eq!(names, expected);
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["webhook-id"], "evt_271");
    let version = concat!("Boxcar/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.headers["user-agent"], version);
    for secret in &secrets {
        let webhook = Webhook::new(&secret.reveal()).unwrap();
        webhook.verify(body.as_bytes(), &request.headers).unwrap();
        assert!(webhook.verify(b"{}", &request.headers).is_err());
    }
    let other = Webhook::new(&WebhookSecret::generated().reveal()).unwrap();
    assert!(other.verify(body.as_bytes(), &request.headers).is_err());
}

#[tokio::test]
async fn two_requests_are_two_connections() {
    let receiver = Receiver::start(|_| {
        Reply::Held("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n".into())
    })
    .await;
    let wire = wire();
    for _ in 0..2 {
        assert!(
            wire.post(&receiver.url(), HeaderMap::new(), "{}")
                .await
                .is_success()
        );
    }
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn any_2xx_is_success_whatever_its_body_does() {
    let mut mismatches = Mismatches::default();
    let held = |text: &str| Reply::Held(text.to_owned());
    let flood = |head: &str, more| Reply::Flood(head.to_owned(), more);
    for reply in [
        closed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        closed("HTTP/1.1 200 OK\r\n\r\nwell"),
        closed("HTTP/1.0 299 Hm\r\n\r\n"),
        closed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 OK\r\n\r\n"),
        closed("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nclosed early"),
        closed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk"),
        closed("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nno gzip"),
        held("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nheld"),
        held("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        flood("HTTP/1.1 200 OK\r\n\r\n", "more and more"),
        flood(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "4\r\nmore\r\n",
        ),
    ] {
        let row = format!("{reply:?}");
        let start = Instant::now();
        let outcome = outcome(reply).await;
        mismatches.compare(&row, (outcome.is_success(), outcome.error), (true, None));
        // It is not waited for longer than for any answer.
        assert!(start.elapsed() < Duration::from_secs(5), "{row}");
    }
}

#[tokio::test]
async fn an_answer_is_read_no_further_than_64_kilobytes() {
    // A body without end is left at once, and not when its time is over.
    let start = Instant::now();
    let body = Reply::Flood("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "more and more");
    assert!(outcome(body).await.is_success());
    assert!(start.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn any_other_status_is_a_failure() {
    for code in [101, 300, 304, 400, 401, 404, 410, 429, 500, 503, 599, 999] {
        let outcome = outcome(Reply::status(code)).await;
        assert_eq!(outcome.status_code, Some(code));
        assert!(!outcome.is_success(), "{code}");
    }
}

#[tokio::test]
async fn what_goes_wrong_is_said_in_a_sentence() {
    let mut mismatches = Mismatches::default();
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "a".repeat(1 << 20));
    let late = "No answer within 1 seconds.";
    let early = "The connection was closed before the answer.";
    for (reply, expected) in [
        (closed(""), early),
        (Reply::Cut, early),
        (closed("HTTP/1.1 200"), early),
        (
            closed("SSH-2.0-OpenSSH_10.0\r\n"),
            "The answer is not HTTP.",
        ),
        (closed(&long), "The head of the answer is too long."),
        (Reply::Held(String::new()), late),
        (Reply::Held("HTTP/1.1 200 OK\r\nA: b\r\n".to_owned()), late),
        (
            Reply::Flood(String::new(), "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"),
            late,
        ),
    ] {
        let row = format!("{reply:.60?}");
        let outcome = outcome(reply).await;
        assert_eq!(outcome.status_code, None);
        mismatches.compare(row, outcome.error.as_deref(), Some(expected));
    }
    let wire = wire().within(Duration::from_secs(1)).unwrap();
    let post = async |url: &str| wire.post(url, HeaderMap::new(), "{}").await.error;
    let refused = format!("http://127.0.0.1:{}/", free_port());
    mismatches.compare(
        "refused",
        post(&refused).await.as_deref(),
        Some("The connection was refused."),
    );
    let unknown = post("http://shop.invalid/").await;
    mismatches.compare(
        "unknown",
        unknown.as_deref(),
        Some("The name could not be resolved."),
    );
    let wire = wire.clone().resolving_with(Everywhere(vec![])).unwrap();
    let slow = wire
        .post("http://shop.invalid/", HeaderMap::new(), "{}")
        .await;
    mismatches.compare(
        "slow name",
        slow.error.as_deref(),
        Some("No connection could be made."),
    );
    assert!(slow.duration < Duration::from_secs(2));
}

#[tokio::test]
async fn an_address_that_refuses_gives_way_to_the_next_one() {
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let addresses = vec![Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::LOCALHOST];
    let wire = wire().resolving_with(Everywhere(addresses)).unwrap();
    let url = format!("http://shop.invalid:{}/", receiver.port());
    assert!(wire.post(&url, HeaderMap::new(), "{}").await.is_success());
}

#[test]
fn a_receiver_may_ask_for_at_most_a_day() {
    let day = TimeDelta::hours(24);
    let seconds = TimeDelta::seconds;
    // 1994-11-06T08:49:37Z, the example of RFC 9110, 5.6.7, less a minute.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
    let mut mismatches = Mismatches::default();
    for (value, expected) in [
        ("120", Some(seconds(120))),
        (" 120 ", Some(seconds(120))),
        ("1", Some(seconds(1))),
        ("86400", Some(day)),
        ("86401", Some(day)),
        ("99999999999999999999999", Some(day)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(seconds(60))),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(seconds(60))),
        ("Sun Nov  6 08:49:37 1994", Some(seconds(60))),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(day)),
        ("Sun, 06 Nov 1994 08:48:37 GMT", None),
        ("Sat, 05 Nov 1994 08:49:37 GMT", None),
        ("0", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e3", None),
        ("soon", None),
        ("120, 60", None),
        ("1994-11-06T08:49:37Z", None),
        ("٣", None),
    ] {
        mismatches.compare(value, retry_after(value, now), expected);
    }
}

#[tokio::test]
async fn what_a_receiver_asks_for_is_heard_but_after_a_success() {
    let asks = |code| outcome(Reply::with(code, "Retry-After: 120\r\n"));
    for code in [429, 500, 503, 302] {
        assert_eq!(asks(code).await.retry_after, Some(TimeDelta::seconds(120)));
    }
    assert_eq!(asks(200).await.retry_after, None);
    let nonsense = outcome(Reply::with(503, "Retry-After: \u{fc}\r\n")).await;
    assert_eq!(nonsense.retry_after, None);
}

#[tokio::test]
async fn a_certificate_has_to_be_valid_for_the_name_and_of_a_known_authority() {
    let authority = Authority::new();
    let secure = async |name: &str| {
        let tls = Some(authority.acceptor(name));
        Receiver::start_at("127.0.0.1:0", tls, |_| Reply::status(200)).await
    };
    let (good, expired) = (secure("good").await, secure("expired").await);
    let wire = wire()
        .resolving_with(Everywhere(vec![Ipv4Addr::LOCALHOST]))
        .unwrap();
    let trusting = wire.clone().trusting(authority.roots()).unwrap();

    let unknown = "The certificate is not of a known authority.";
    let mut mismatches = Mismatches::default();
    for (wire, receiver, host, expected) in [
        (&trusting, &good, "shop.invalid", None),
        (&trusting, &good, "127.0.0.1", None),
        (
            &trusting,
            &good,
            "other.invalid",
            Some("The certificate is not for this name."),
        ),
        (
            &trusting,
            &expired,
            "shop.invalid",
            Some("The certificate has expired."),
        ),
        (&wire, &good, "shop.invalid", Some(unknown)),
    ] {
        let url = format!("https://{host}:{}/", receiver.port());
        let wire = wire.clone().within(Duration::from_secs(5)).unwrap();
        let outcome = wire.post(&url, HeaderMap::new(), "{}").await;
        assert_eq!(outcome.is_success(), expected.is_none(), "{outcome:?}");
        mismatches.compare(url, outcome.error.as_deref(), expected);
    }
    let cut = Receiver::start_at("127.0.0.1:0", Some(authority.acceptor("good")), |_| {
        Reply::Cut
    })
    .await;
    let url = format!("https://shop.invalid:{}/", cut.port());
    let outcome = trusting.post(&url, HeaderMap::new(), "{}").await;
    let early = "The connection was closed before the answer.";
    mismatches.compare("cut", outcome.error.as_deref(), Some(early));
    // A receiver whose certificate is wrong has got nothing.
    assert_eq!(expired.requests().len(), 0);
    assert_eq!(good.requests().len(), 2);
}

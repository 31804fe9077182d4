//! No webhook leads into the inside network: neither by an address, however it is written, nor by a name, whatever it
//! means, nor by an answer. Receivers on this machine count the connections that are made to them.

use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::http::{HeaderMap, Method};
use boxcar::{
    models::types::{WebhookUrl, is_globally_reachable},
    workers::wire::{Resolver, Wire},
};
use ipnet::IpNet;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{
    Answer, Authority, Mismatches, PASSWORD, Program, Receiver, Reply, Server, free_port,
};

const PRIVATE: &str = "The name has an address that is not public.";

/// Each lookup finds the next of these; the last one stays.
#[derive(Clone, Debug)]
struct Names {
    found: Arc<Mutex<VecDeque<Vec<IpAddr>>>>,
    lookups: Arc<AtomicUsize>,
}

impl Names {
    fn new(found: &[&[&str]]) -> Self {
        let addresses = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Self {
            found: Arc::new(Mutex::new(found.iter().map(addresses).collect())),
            lookups: Arc::default(),
        }
    }

    fn lookups(&self) -> usize {
        self.lookups.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Resolver for Names {
    async fn addresses(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let mut found = self.found.lock().unwrap();
        if found.len() > 1 {
            return Ok(found.pop_front().unwrap());
        }
        Ok(found.front().cloned().unwrap_or_default())
    }
}

async fn receiver() -> Receiver {
    Receiver::start(|_| Reply::status(200)).await
}

/// What an attempt comes to: its status or its error.
async fn post(wire: &Wire, url: &str) -> Result<u16, String> {
    let outcome = wire.post(url, HeaderMap::new(), "{}").await;
    outcome
        .status_code
        .ok_or_else(|| outcome.error.expect("a failure has its reason"))
}

/// Every block of IANA's registries that is not globally reachable, and whether the addresses just before and just
/// after it are.
const CLOSED: &[(&str, bool, bool)] = &[
    ("0.0.0.0/8", false, true),
    ("10.0.0.0/8", true, true),
    ("100.64.0.0/10", true, true),
    ("127.0.0.0/8", true, true),
    ("169.254.0.0/16", true, true),
    ("172.16.0.0/12", true, true),
    ("192.0.0.0/29", true, false),
    ("192.0.0.8/32", false, true),
    ("192.0.0.170/31", false, false),
    ("192.0.0.11/32", true, false),
    ("192.0.0.128/25", false, true),
    ("192.0.2.0/24", true, true),
    ("192.88.99.0/24", true, true),
    ("192.168.0.0/16", true, true),
    ("198.18.0.0/15", true, true),
    ("198.51.100.0/24", true, true),
    ("203.0.113.0/24", true, true),
    ("224.0.0.0/4", true, false),
    ("240.0.0.0/4", false, false),
    ("255.255.255.255/32", false, false),
    ("::/128", false, false),
    ("::1/128", false, false),
    ("64:ff9b:1::/48", false, false),
    ("100::/64", false, false),
    ("100:0:0:1::/64", false, false),
    ("2001:1::/128", false, true),
    ("2001:1::4/128", true, false),
    ("2001:2::/48", false, false),
    ("2001:4:113::/48", true, false),
    ("2001:10::/28", false, true),
    ("2001:40::/26", true, false),
    ("2001:100::/24", false, true),
    ("2001:db8::/32", true, true),
    ("3fff::/20", true, true),
    ("4000::/2", true, false),
    ("5f00::/16", false, false),
    ("fc00::/7", false, false),
    ("fe80::/10", false, false),
    ("fec0::/10", false, false),
    ("ff00::/8", false, false),
];

/// What is reachable though it stands beside or inside of a block that is not.
const OPEN: &[&str] = &[
    "8.8.8.8",
    "192.0.0.9",
    "192.0.0.10",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "2001:1::1",
    "2001:1::2",
    "2001:1::3",
    "2001:3::1",
    "2001:3:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:4:112::1",
    "2001:20::1",
    "2001:2f:ffff::1",
    "2001:30::1",
    "2001:3f:ffff::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2000::1",
    "2620:4f:8000::1",
    "2a00:1450::1",
    "3ffe:ffff::1",
];

#[test]
fn an_address_is_public_as_the_registries_say() {
    let mut mismatches = Mismatches::default();
    let mut check = |address: IpAddr, expected: bool, what: &str| {
        let row = format!("{address}, {what}");
        mismatches.compare(row, is_globally_reachable(address), expected);
    };
    for (block, before, after) in CLOSED {
        let net: IpNet = block.parse().unwrap();
        let (first, last) = (net.network(), net.broadcast());
        check(first, false, block);
        check(last, false, block);
        if let Some(address) = neighbour(first, -1) {
            check(address, *before, &format!("before {block}"));
        }
        if let Some(address) = neighbour(last, 1) {
            check(address, *after, &format!("after {block}"));
        }
    }
    for open in OPEN {
        check(open.parse().unwrap(), true, "open");
    }
}

/// The address before or after another, if there is one.
fn neighbour(address: IpAddr, step: i8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits().checked_add_signed(step.into())?;
            Some(std::net::Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits().checked_add_signed(step.into())?;
            Some(std::net::Ipv6Addr::from_bits(bits).into())
        }
    }
}

#[test]
fn an_address_that_stands_for_another_is_public_as_the_one_inside() {
    let mut mismatches = Mismatches::default();
    // The same IPv4 in each form that it has in IPv6: mapped, compatible, NAT64, 6to4, Teredo's server and its client,
    // whose bits are inverted.
    for (address, public) in [
        ("8.8.8.8", true),
        ("127.0.0.1", false),
        ("10.1.2.3", false),
        ("169.254.169.254", false),
        ("192.168.0.1", false),
        ("0.0.0.0", false),
        ("224.0.0.1", false),
        ("192.0.0.9", true),
    ] {
        let inside: std::net::Ipv4Addr = address.parse().unwrap();
        let [a, b, c, d] = inside.octets();
        let [na, nb, nc, nd] = inside.octets().map(|octet| !octet);
        for form in [
            format!("::ffff:{address}"),
            format!("::{address}"),
            format!("64:ff9b::{address}"),
            format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
            format!("2001:0:{a:02x}{b:02x}:{c:02x}{d:02x}:8000:f227:f7f7:f7f7"),
            format!("2001:0:808:808:8000:f227:{na:02x}{nb:02x}:{nc:02x}{nd:02x}"),
        ] {
            let found = is_globally_reachable(form.parse().unwrap());
            mismatches.compare(form, found, public);
        }
    }
}

#[tokio::test]
async fn a_private_address_is_refused_in_every_form_when_it_is_typed_and_when_it_is_used() {
    let receiver = receiver().await;
    let wire = Wire::new(false).unwrap();
    let mut mismatches = Mismatches::default();
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "0177.0.0.1",
        "017700000001",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "10.0.0.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ] {
        let url = format!("https://{host}:{}/", receiver.port());
        let typed = WebhookUrl::parse_where(&url, false).map_err(|violation| violation.code);
        mismatches.compare(&url, typed, Err::<WebhookUrl, _>("address"));
        let error = "The URL must be a public address.".to_owned();
        mismatches.compare(&url, post(&wire, &url).await, Err::<u16, _>(error));
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_is_refused_when_any_of_its_addresses_is_private() {
    let receiver = receiver().await;
    let url = format!("https://shop.example:{}/", receiver.port());
    for addresses in [
        &["127.0.0.1"][..],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["0.0.0.0"],
        &["::"],
        &["8.8.8.8", "127.0.0.1"],
        &["127.0.0.1", "2001:4860:4860::8888"],
    ] {
        let wire = Wire::new(false)
            .unwrap()
            .resolving_with(Names::new(&[addresses]))
            .unwrap();
        let outcome = post(&wire, &url).await;
        assert_eq!(outcome, Err(PRIVATE.to_owned()), "{addresses:?}");
    }
    assert_eq!(receiver.connections(), 0);
    // Where they are allowed, the same name leads to the same receiver.
    let names = Names::new(&[&["127.0.0.1"]]);
    let wire = Wire::new(true).unwrap().resolving_with(names).unwrap();
    let url = url.replace("https", "http");
    assert_eq!(post(&wire, &url).await, Ok(200));
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn the_name_of_this_machine_is_refused_too() {
    let receiver = receiver().await;
    let wire = Wire::new(false).unwrap();
    for name in ["localhost", "LOCALHOST", "localhost."] {
        let url = format!("https://{name}:{}/", receiver.port());
        let error = post(&wire, &url).await.unwrap_err();
        let unknown = name.ends_with('.') && error == "The name could not be resolved.";
        assert!(error == PRIVATE || unknown, "{name}: {error}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_that_turns_private_between_two_attempts_is_refused() {
    let receiver = receiver().await;
    let url = format!("https://shop.example:{}/", receiver.port());
    // The first address is public; nobody answers there.
    let names = Names::new(&[&["192.0.0.9"], &["127.0.0.1"]]);
    let wire = Wire::new(false)
        .unwrap()
        .resolving_with(names.clone())
        .unwrap()
        .within(Duration::from_millis(300))
        .unwrap();
    let first = post(&wire, &url).await.unwrap_err();
    assert!(first != PRIVATE, "{first}");
    // It was not looked up again between the check and the connection.
    assert_eq!(names.lookups(), 1);
    assert_eq!(post(&wire, &url).await, Err(PRIVATE.to_owned()));
    assert_eq!(names.lookups(), 2);
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_connection_goes_to_the_address_that_was_checked_and_is_not_used_again() {
    // Free at both addresses: it is below those that the system gives to others.
    let port = free_port();
    let at = |address: &str| format!("{address}:{port}");
    let first = Receiver::start_at(&at("127.0.0.1"), None, |_| Reply::status(200)).await;
    let second = Receiver::start_at(&at("127.0.0.2"), None, |_| Reply::status(204)).await;
    // `.invalid` is a name that no other resolver knows (RFC 6761).
    let url = format!("http://shop.invalid:{}/", first.port());
    let names = Names::new(&[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1"]]);
    let wire = Wire::new(true)
        .unwrap()
        .resolving_with(names.clone())
        .unwrap();
    assert_eq!(post(&wire, &url).await, Ok(200));
    assert_eq!(post(&wire, &url).await, Ok(204));
    assert_eq!(post(&wire, &url).await, Ok(200));
    assert_eq!(names.lookups(), 3);
    assert_eq!((first.connections(), second.connections()), (2, 1));
    let host = format!("shop.invalid:{}", first.port());
    assert_eq!(first.requests()[0].headers["host"], host);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_leads_nowhere() {
    let inside = receiver().await;
    let port = inside.port();
    for code in [301, 302, 303, 307, 308] {
        let location = format!("Location: http://127.0.0.1:{port}/\r\n");
        let outside = Receiver::start(move |_| Reply::with(code, &location)).await;
        let wire = Wire::new(true).unwrap();
        let outcome = wire.post(&outside.url(), HeaderMap::new(), "{}").await;
        assert_eq!(outcome.status_code, Some(code));
        assert!(!outcome.is_success());
        assert_eq!(
            outcome.error.as_deref(),
            Some("Redirects are not followed.")
        );
        assert_eq!(outside.connections(), 1);
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn without_encryption_nothing_is_sent_where_private_addresses_are_not_allowed() {
    let receiver = receiver().await;
    let names = Names::new(&[&["127.0.0.1"]]);
    let wire = Wire::new(false)
        .unwrap()
        .resolving_with(names.clone())
        .unwrap();
    let url = format!("http://shop.example:{}/", receiver.port());
    let error = "The URL must begin with https://.".to_owned();
    assert_eq!(post(&wire, &url).await, Err(error));
    assert_eq!((names.lookups(), receiver.connections()), (0, 0));
}

/// A server in a process of its own, with an administrator.
struct Shop {
    server: Server,
    token: String,
}

impl Shop {
    async fn start(program: Program) -> Self {
        let program = program
            .env("ADMIN_USERNAME", "pat")
            .env("ADMIN_PASSWORD", PASSWORD);
        let server = Server::start(program).await;
        let login = json!({ "username": "pat", "password": PASSWORD });
        let path = "/api/v1/auth/login";
        let login = server.request(Method::POST, path, None, Some(&login)).await;
        let token = login.body["token"].as_str().unwrap().to_owned();
        Self { server, token }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let path = format!("/api/v1{path}");
        let token = Some(self.token.as_str());
        self.server
            .request(method, &path, token, body.as_ref())
            .await
    }

    async fn add(&self, url: &str) -> Answer {
        let endpoint = json!({ "url": url, "types": ["order.placed"] });
        self.send(Method::POST, "/webhook-endpoints", Some(endpoint))
            .await
    }

    /// The first attempt to deliver a test event to a URL.
    async fn attempt(&self, url: &str) -> Value {
        let endpoint = self.add(url).await;
        assert_eq!(endpoint.status, 201, "{}", endpoint.body);
        self.test(endpoint.id()).await
    }

    /// The first attempt to deliver a test event to an endpoint.
    async fn test(&self, endpoint: i64) -> Value {
        let path = format!("/webhook-endpoints/{endpoint}/test");
        let delivery = self.send(Method::POST, &path, None).await;
        assert_eq!(delivery.status, 202, "{}", delivery.body);
        let path = format!("/webhook-deliveries/{}", delivery.body["id"]);
        for _ in 0..200 {
            let delivery = self.send(Method::GET, &path, None).await;
            if let Some(attempt) = delivery.body["attempts"].get(0) {
                return attempt.clone();
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the endpoint was not tried");
    }
}

#[tokio::test]
async fn a_server_reaches_no_private_address_unless_its_operator_allows_it() {
    let receiver = receiver().await;
    let shop = Shop::start(Program::production()).await;
    let port = receiver.port();
    for url in [
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::ffff:7f00:1]:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("http://localhost:{port}/"),
    ] {
        let refused = shop.add(&url).await;
        refused.assert_problem(422, "validation-failed");
        let pointers: Vec<_> = refused.faults().into_iter().map(|fault| fault.0).collect();
        assert_eq!(pointers, ["/url"], "{url}");
    }
    let attempt = shop.attempt(&format!("https://localhost:{port}/")).await;
    assert_eq!(attempt["error"], PRIVATE);
    assert_eq!(attempt["status_code"], Value::Null);
    assert_eq!(receiver.connections(), 0);

    // An endpoint that was added while it was allowed is not reached when it is not any more.
    let database = tempfile::tempdir().unwrap();
    let database = format!(
        "sqlite://{}/shop.sqlite?mode=rwc",
        database.path().display()
    );
    let program = || Program::new("development").on(&database);
    let shop = Shop::start(program()).await;
    let endpoint = shop.add(&receiver.url()).await.id();
    let attempt = shop.test(endpoint).await;
    assert_eq!(attempt["status_code"], 200, "{attempt}");
    assert_eq!(receiver.connections(), 1);
    shop.server.terminate();
    shop.server.ended().await;
    let shop = Shop::start(program().env("WEBHOOK_ALLOW_PRIVATE", "false")).await;
    let attempt = shop.test(endpoint).await;
    assert_eq!(attempt["error"], "The URL must begin with https://.");
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_used_and_its_authorities_are() {
    let authority = Authority::new();
    let tls = Some(authority.acceptor("good"));
    let secure = Receiver::start_at("127.0.0.1:0", tls, |_| Reply::status(200)).await;
    let (plain, proxy) = (receiver().await, receiver().await);
    let mut program = Program::new("development");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        let url = format!("http://127.0.0.1:{}", proxy.port());
        program = program.env(name, &url).env(&name.to_lowercase(), &url);
    }
    program = program.env("SSL_CERT_FILE", authority.file().to_str().unwrap());
    let shop = Shop::start(program).await;
    let attempt = shop.attempt(&plain.url()).await;
    assert_eq!(attempt["status_code"], 200, "{attempt}");
    let url = format!("https://localhost:{}/", secure.port());
    let attempt = shop.attempt(&url).await;
    assert_eq!(attempt["status_code"], 200, "{attempt}");
    assert_eq!(proxy.connections(), 0);

    // The authority is trusted because it is named.
    let shop = Shop::start(Program::new("development")).await;
    let attempt = shop.attempt(&url).await;
    assert_eq!(
        attempt["error"],
        "The certificate is not of a known authority."
    );
}

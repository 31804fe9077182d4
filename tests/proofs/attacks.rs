//! The real server under clients who mean it no good: too many, too slow, too large.

use std::{future::Future, time::Duration};

use axum::http::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::support::Mismatches;
use crate::support::{PASSWORD, Program, Server};

/// How many attack at once where memory is watched.
const ATTACKERS: usize = 200;

/// For how long they attack in each way: long enough to have sent everything.
const ATTACK: Duration = Duration::from_millis(1_500);

/// By how much the server may grow under them, in bytes. Bodies take most of it: up to 128 kB each.
const MOST_GROWTH: u64 = 128 << 20;

/// How long a test waits for what has to happen.
const DEADLINE: Duration = Duration::from_secs(20);

const PING: &str = "GET /_ping HTTP/1.1\r\nHost: shop\r\n\r\n";

#[tokio::test]
async fn a_client_that_comes_when_there_are_enough_connections_is_turned_away() {
    let server = start(&[("MAX_CONNECTIONS", "3"), ("METRICS", "true")]).await;
    let mut served = Vec::new();
    let deadline = Instant::now() + DEADLINE;
    // The server may not have noticed yet that the client of its start has left.
    while served.len() < 3 {
        assert!(Instant::now() < deadline, "there is no room");
        served.extend(served_at(&server).await);
    }
    assert!(served_at(&server).await.is_none());
    served.pop();
    let deadline = Instant::now() + DEADLINE;
    while served_at(&server).await.is_none() {
        assert!(Instant::now() < deadline, "no client is let in any more");
    }
    drop(served);
    let figures = loop {
        // Refused too, as long as the server has not noticed who has left.
        if let Ok(answer) = server.ask(Method::GET, "/metrics").await {
            break answer;
        }
    };
    let text = String::from_utf8(figures.bytes).unwrap();
    assert!(
        !text.contains("boxcar_refused_connections_total 0"),
        "{text}"
    );
}

#[tokio::test]
async fn one_address_cannot_have_every_connection() {
    let server = start(&[
        ("MAX_CONNECTIONS", "30"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "20"),
    ])
    .await;
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = connect(&server).await;
        // The server has hung up on most of them.
        let _ = stream.write_all(b"G").await;
        held.push(stream);
    }
    let deadline = Instant::now() + DEADLINE;
    // Those that are turned away count until they have gone.
    while served_from(&server, [127, 0, 0, 2]).await.is_none() {
        assert!(Instant::now() < deadline, "another address is shut out");
    }
    assert!(served_at(&server).await.is_none());
    drop(held);
    let deadline = Instant::now() + DEADLINE;
    while served_at(&server).await.is_none() {
        assert!(Instant::now() < deadline, "no client is let in any more");
    }
}

#[tokio::test]
async fn a_client_that_leaves_makes_room_for_others_of_the_same_address() {
    let server = start(&[("MAX_CONNECTIONS_PER_ADDRESS", "1")]).await;
    for _ in 0..20 {
        let deadline = Instant::now() + DEADLINE;
        while served_at(&server).await.is_none() {
            assert!(Instant::now() < deadline, "no client is let in any more");
        }
    }
}

#[tokio::test]
async fn a_limit_of_zero_connections_for_an_address_is_none() {
    let server = start(&[("MAX_CONNECTIONS_PER_ADDRESS", "0")]).await;
    let mut served = Vec::new();
    for _ in 0..50 {
        served.push(served_at(&server).await.expect("there is room"));
    }
    assert_eq!(served.len(), 50);
}

#[tokio::test]
async fn a_client_that_does_not_ask_is_not_waited_for() {
    let server = start(&[("CONNECTION_TIMEOUT_SECONDS", "1")]).await;
    let silent = connect(&server).await;
    let mut half = connect(&server).await;
    half.write_all(&PING.as_bytes()[..20]).await.unwrap();
    let idle = served_at(&server).await.unwrap();
    for (who, stream) in [("silent", silent), ("half", half), ("idle", idle)] {
        closed(stream).await.unwrap_or_else(|| panic!("{who}"));
    }
}

#[tokio::test]
async fn a_head_that_comes_letter_by_letter_is_not_waited_for() {
    let server = start(&[("CONNECTION_TIMEOUT_SECONDS", "1")]).await;
    let mut stream = connect(&server).await;
    let trickle = async {
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: ").await?;
        loop {
            sleep(Duration::from_millis(50)).await;
            stream.write_all(b"x").await?;
        }
    };
    let outcome: Result<std::io::Result<()>, _> = timeout(DEADLINE, trickle).await;
    assert!(outcome.expect("the server hangs up").is_err());
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = start(&[("REQUEST_TIMEOUT", "1000")]).await;
    let mut stream = connect(&server).await;
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: shop\r\n\
                Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = closed(stream).await.expect("the server hangs up");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("/problems/unavailable"), "{answer}");
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_not_waited_for() {
    let server = start(&[
        ("CONNECTION_TIMEOUT_SECONDS", "1"),
        ("MAX_CONNECTIONS", "1"),
    ])
    .await;
    let mut greedy = connect(&server).await;
    let request = "GET /api-docs/openapi.json HTTP/1.1\r\nHost: shop\r\n\r\n";
    // Some 30 MB of answers: more than any buffer between the two.
    greedy
        .write_all(request.repeat(200).as_bytes())
        .await
        .unwrap();
    let deadline = Instant::now() + DEADLINE;
    while served_at(&server).await.is_none() {
        assert!(Instant::now() < deadline, "the server still waits");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = start(&[]).await;
    let large = "x".repeat(20_000);
    for (head, what) in [
        (format!("GET /_ping?{large} HTTP/1.1\r\n\r\n"), "a query"),
        (
            format!("GET /_ping HTTP/1.1\r\nCookie: {large}\r\n\r\n"),
            "a header",
        ),
        (
            format!("GET /_ping HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(200)),
            "headers",
        ),
    ] {
        let mut stream = connect(&server).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = closed(stream).await.unwrap();
        let status = if what == "a query" { "414" } else { "431" };
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{what}: {answer}"
        );
        assert!(
            answer.contains("application/problem+json"),
            "{what}: {answer}"
        );
    }
    assert!(served_at(&server).await.is_some());
}

#[tokio::test]
async fn what_is_no_request_is_answered_with_a_problem() {
    let server = start(&[]).await;
    let long = "x".repeat(70_000);
    let mut mismatches = Mismatches::default();
    for (head, status) in [
        ("GARBAGE\r\n\r\n".to_owned(), "400"),
        (
            "GET /_ping HTTP/9.9\r\nHost: shop\r\n\r\n".to_owned(),
            "400",
        ),
        ("GET /a b HTTP/1.1\r\nHost: shop\r\n\r\n".to_owned(), "400"),
        (
            "GET /_ping HTTP/1.1\r\nHost: shop\r\nBad Header: x\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "GET /_ping HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "GET /_ping HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "GET /_ping HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n".to_owned(),
            "400",
        ),
        (format!("GET /{long} HTTP/1.1\r\nHost: shop\r\n\r\n"), "414"),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: shop\r\nCookie: {}\r\n\r\n",
                long.repeat(8)
            ),
            "431",
        ),
    ] {
        let mut stream = connect(&server).await;
        // The server may hang up before it has read all of it.
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = closed(stream).await.unwrap_or_default();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let found = head.get(9..12).unwrap_or_default();
        let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let shown = problem["status"].to_string();
        mismatches.compare(head, (found, shown.as_str()), (status, status));
    }
}

/// The flood and the owner come from different addresses of this machine.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_that_hung_up_do_not_keep_an_owner_out() {
    let server = start(&[("LOGIN_FAILURES", "0"), ("REQUEST_TIMEOUT", "5000")]).await;
    let wrong = json!({ "username": "root", "password": "no-such-password" });
    for _ in 0..1_500 {
        let mut attacker = connect_from([127, 0, 0, 2], &server).await;
        let request = login_request(&wrong);
        attacker.write_all(request.as_bytes()).await.unwrap();
    }
    let mut owner = connect_from([127, 0, 0, 3], &server).await;
    let right = json!({ "username": "root", "password": PASSWORD });
    let request = login_request(&right);
    owner.write_all(request.as_bytes()).await.unwrap();
    let answer = closed(owner).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_that_would_have_to_wait_long_are_refused_at_once() {
    let server = start(&[("LOGIN_FAILURES", "0")]).await;
    let wrong = json!({ "username": "root", "password": "no-such-password" });
    let mut flood = JoinSet::new();
    for _ in 0..600 {
        let mut attacker = connect_from([127, 0, 0, 2], &server).await;
        let request = login_request(&wrong);
        flood.spawn(async move {
            attacker.write_all(request.as_bytes()).await.unwrap();
            closed(attacker).await
        });
    }
    // Those that are let in may take as long as this machine needs.
    while let Some(answer) = flood.join_next().await {
        let answer = answer.unwrap().unwrap_or_default();
        let wait = answer.split("retry-after: ").nth(1);
        let wait = wait.and_then(|rest| rest.split("\r\n").next()?.parse::<u64>().ok());
        if wait.is_some_and(|seconds| seconds >= 3) {
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            return;
        }
    }
    panic!("none was refused");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_under_every_attack() {
    let server = start(&[("LOGIN_FAILURES", "0"), ("REQUEST_TIMEOUT", "5000")]).await;
    let port = server.port;
    let wrong = json!({ "username": "root", "password": "no-such-password" }).to_string();
    let login = |framing: &str, body: &str| {
        format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\
             Content-Type: application/json\r\n{framing}\r\n\r\n{body}"
        )
    };
    let sized = |body: &str| login(&format!("Content-Length: {}", body.len()), body);
    let nested = format!("{{\"username\":{}", "[".repeat(100_000));
    let chunk = format!("40000\r\n{}\r\n", "x".repeat(0x4_0000));
    let attacks = [
        (
            "heads that do not end",
            format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(16_000)),
        ),
        (
            "bodies that do not end",
            login("Content-Length: 120000", &"x".repeat(110_000)),
        ),
        (
            "bodies that are too large",
            login("Content-Length: 99999999999", &chunk.repeat(8)),
        ),
        (
            "chunks without an end",
            login("Transfer-Encoding: chunked", &chunk.repeat(8)),
        ),
        ("nested bodies", sized(&nested)),
        (
            "long queries",
            format!(
                "GET /api/v1/products?q={} HTTP/1.1\r\n\r\n",
                "x".repeat(15_000)
            ),
        ),
        ("logins", sized(&wrong)),
    ];
    let before = server.resident_bytes();
    for (what, request) in attacks {
        let mut attackers = JoinSet::new();
        for _ in 0..ATTACKERS {
            let request = request.clone();
            attackers.spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
                // The server hangs up on most of them in the middle.
                let _ = stream.write_all(request.as_bytes()).await;
                stream.read_to_end(&mut Vec::new()).await
            });
        }
        let attack = timeout(ATTACK, async {
            while attackers.join_next().await.is_some() {}
        });
        let most = watched(&server, attack).await;
        let grown = most.saturating_sub(before);
        println!("{what}: {} MiB", grown >> 20);
        assert!(grown < MOST_GROWTH, "{what}: {} MiB", grown >> 20);
    }
    let answer = server.request(Method::GET, "/_ping", None, None).await;
    assert_eq!(answer.status, 200);
}

/// The most memory that the server had while something was going on.
#[cfg(target_os = "linux")]
async fn watched<T>(server: &Server, attack: impl Future<Output = T>) -> u64 {
    let mut attack = std::pin::pin!(attack);
    let mut most = 0;
    loop {
        most = most.max(server.resident_bytes());
        if timeout(Duration::from_millis(20), &mut attack)
            .await
            .is_ok()
        {
            return most;
        }
    }
}

async fn start(variables: &[(&str, &str)]) -> Server {
    let program = Program::new("development")
        .env("SEED_DEMO", "false")
        .env("RATE_LIMIT_REQUESTS", "0")
        .env("LOG_LEVEL", "error")
        .env("ADMIN_USERNAME", "root")
        .env("ADMIN_PASSWORD", PASSWORD);
    let program = variables
        .iter()
        .fold(program, |program, (name, value)| program.env(name, value));
    Server::start(program).await
}

#[cfg(target_os = "linux")]
async fn connect_from(address: [u8; 4], server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    let server = ([127, 0, 0, 1], server.port).into();
    socket.connect(server).await.unwrap()
}

#[cfg(target_os = "linux")]
fn login_request(credentials: &serde_json::Value) -> String {
    let body = credentials.to_string();
    format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap()
}

/// A connection on which something has been asked and answered, if the server has let it in.
async fn served_at(server: &Server) -> Option<TcpStream> {
    served(connect(server).await).await
}

/// The same from another address of this machine.
async fn served_from(server: &Server, address: [u8; 4]) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    let server = ([127, 0, 0, 1], server.port).into();
    served(socket.connect(server).await.unwrap()).await
}

async fn served(mut stream: TcpStream) -> Option<TcpStream> {
    stream.write_all(PING.as_bytes()).await.ok()?;
    let read = stream.read(&mut [0; 1024]).await.ok()?;
    (read > 0).then_some(stream)
}

/// What the server still said until it hung up; nothing when it does not.
async fn closed(mut stream: TcpStream) -> Option<String> {
    let mut answer = Vec::new();
    // An error is an end too.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut answer))
        .await
        .ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

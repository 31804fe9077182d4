//! The real server, in a process of its own, and HTTP/1.1 to talk to it.

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use rand::Rng;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{
    Answer,
    program::{InFlight, Outcome, Program},
};

/// How long a server may take to answer first.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server that runs as long as this is.
pub struct Server {
    running: InFlight,
    /// The address at which it is asked.
    address: IpAddr,
    /// The port that it listens on.
    pub port: u16,
}

fn answering(started: Result<Server, Outcome>) -> Server {
    match started {
        Ok(server) => server,
        Err(outcome) => panic!("the server ended instead of answering: {outcome:?}"),
    }
}

impl Server {
    /// Starts the program on a free port and waits until it answers.
    pub async fn start(program: Program) -> Self {
        answering(Self::try_start(program).await)
    }

    /// The same, listening where the program says, and asked at that address.
    pub async fn start_at(program: Program, address: IpAddr) -> Self {
        answering(Self::try_start_at(program, address).await)
    }

    /// Starts the program as well, or answers what it came to when it ended instead.
    pub async fn try_start(program: Program) -> Result<Self, Outcome> {
        let program = program.env("BINDING", "127.0.0.1");
        Self::try_start_at(program, Ipv4Addr::LOCALHOST.into()).await
    }

    async fn try_start_at(program: Program, address: IpAddr) -> Result<Self, Outcome> {
        let port = free_port();
        let running = program.env("PORT", &port.to_string()).start(&["start"]);
        let mut server = Self {
            running,
            address,
            port,
        };
        let deadline = Instant::now() + PATIENCE;
        while !server.answers().await {
            if let Some(outcome) = server.running.ended() {
                return Err(outcome);
            }
            assert!(Instant::now() < deadline, "the server does not answer");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(server)
    }

    /// What a start came to that is expected to fail.
    pub async fn refused(program: Program) -> Outcome {
        let program = program.env("PORT", &free_port().to_string());
        program.run(&["start"]).await
    }

    /// Asks it to end, as an operator or an orchestrator would.
    pub fn terminate(&self) {
        self.running.terminate();
    }

    /// What it came to. It was asked to end.
    pub async fn ended(self) -> Outcome {
        self.running.end().await
    }

    /// The path of a file in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.running.path(name)
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        self.running.stdout()
    }

    /// Sends a request, with its whole path, and reads the answer.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        json: Option<&Value>,
    ) -> Answer {
        let authorization = token.map_or_else(String::new, |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        self.exchange(method, path, &authorization, json)
            .await
            .expect("the server answers")
    }

    /// The same; no answer is an answer too: the server was killed.
    pub async fn try_post(&self, path: &str, token: &str, json: &Value) -> Option<Answer> {
        let headers = format!("Authorization: Bearer {token}\r\n");
        self.exchange(Method::POST, path, &headers, Some(json))
            .await
            .ok()
    }

    /// The same without a token; there is none when the server does not answer.
    pub async fn ask(&self, method: Method, path: &str) -> std::io::Result<Answer> {
        self.exchange(method, path, "", None).await
    }

    /// How much memory it has, in bytes.
    #[cfg(target_os = "linux")]
    pub fn resident_bytes(&self) -> u64 {
        self.running.resident_bytes()
    }

    /// Kills it, as a crash or an operator in a hurry would: it has no time to finish anything.
    pub fn kill(&self) {
        self.running.kill();
    }

    /// Makes it stand still: connections stay, and nothing is answered.
    pub fn freeze(&self) {
        self.running.signal("-STOP");
    }

    /// Lets it go on as if nothing had happened.
    pub fn thaw(&self) {
        self.running.signal("-CONT");
    }

    /// Places an order under an `Idempotency-Key`. No answer is an answer too: the server was killed.
    pub async fn place(&self, token: &str, key: &str, order: &Value) -> Option<Answer> {
        let headers = format!("Authorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n");
        self.exchange(Method::POST, "/api/v1/orders", &headers, Some(order))
            .await
            .ok()
    }

    async fn answers(&self) -> bool {
        self.exchange(Method::GET, "/_ping", "", None)
            .await
            .is_ok_and(|answer| answer.status == StatusCode::OK)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &str,
        json: Option<&Value>,
    ) -> std::io::Result<Answer> {
        request_to((self.address, self.port), method, path, headers, json).await
    }
}

/// Sends a request to a port on 127.0.0.1, with more headers if need be, and reads the answer.
pub async fn request_at(
    port: u16,
    method: Method,
    path: &str,
    headers: &str,
    json: Option<&Value>,
) -> std::io::Result<Answer> {
    request_to(
        (Ipv4Addr::LOCALHOST.into(), port),
        method,
        path,
        headers,
        json,
    )
    .await
}

async fn request_to(
    at: (IpAddr, u16),
    method: Method,
    path: &str,
    headers: &str,
    json: Option<&Value>,
) -> std::io::Result<Answer> {
    let port = at.1;
    let body = json.map(Value::to_string).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    parsed(&bytes).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

/// An answer, if it came to its end.
fn parsed(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let bytes = bytes[end + 4..].to_vec();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers: HeaderMap = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (
                name.parse::<HeaderName>().unwrap(),
                value.parse::<HeaderValue>().unwrap(),
            )
        })
        .collect();
    // No answer is sent in chunks.
    let length = headers.get(header::CONTENT_LENGTH);
    if length.map_or(!bytes.is_empty(), |length| {
        length != &bytes.len().to_string()
    }) {
        return None;
    }
    Some(Answer {
        status: status.parse().unwrap(),
        headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        bytes,
    })
}

/// A port that nobody listens on, below the range that the system gives to clients by itself.
pub fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(20_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

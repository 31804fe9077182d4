//! A receiver of webhooks, which answers as a test likes: well, badly, never.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// Listens on a port of its own as long as this is.
pub struct Receiver {
    port: u16,
    seen: Arc<Seen>,
    listening: JoinHandle<()>,
}

/// A request that was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its first line.
    pub line: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

/// How a request is answered: with these bytes, and then …
#[derive(Clone, Debug)]
pub enum Reply {
    /// … the connection is closed.
    Closed(String),
    /// … nothing happens.
    Held(String),
    /// … with these without end.
    Flood(String, &'static str),
    /// Not at all: the connection is gone.
    Cut,
}

impl Reply {
    /// An answer of that status, without a body.
    pub fn status(code: u16) -> Self {
        Self::with(code, "")
    }

    /// The same, with more headers, each with its `\r\n`.
    pub fn with(code: u16, headers: &str) -> Self {
        Self::Closed(format!(
            "HTTP/1.1 {code} So\r\nContent-Length: 0\r\n{headers}\r\n"
        ))
    }
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<Received>>,
}

impl Receiver {
    /// One at 127.0.0.1. `reply` is told how many requests came before.
    pub async fn start(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", None, reply).await
    }

    /// One at that address; one that speaks TLS, if it has the means.
    pub async fn start_at(
        address: &str,
        tls: Option<TlsAcceptor>,
        reply: impl Fn(usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Seen>::default();
        let reply = Arc::new(reply);
        let listening = tokio::spawn(listen(listener, tls, Arc::clone(&seen), reply));
        Self {
            port,
            seen,
            listening,
        }
    }

    /// The port that it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks", self.port)
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// What it has received.
    pub fn requests(&self) -> Vec<Received> {
        self.seen.requests.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    seen: Arc<Seen>,
    reply: Arc<impl Fn(usize) -> Reply + Send + Sync + 'static>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let (tls, seen, reply) = (tls.clone(), Arc::clone(&seen), Arc::clone(&reply));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, &seen, &*reply).await,
                Some(tls) => {
                    let stream = tls.accept(stream).await.ok()?;
                    serve(stream, &seen, &*reply).await
                }
            }
        });
    }
}

/// Reads one request and answers it. `None` when the client has gone.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Seen,
    reply: &(impl Fn(usize) -> Reply + Sync),
) -> Option<()> {
    let request = read(&mut stream).await?;
    let nth = {
        let mut requests = seen.requests.lock().unwrap();
        requests.push(request);
        requests.len() - 1
    };
    match reply(nth) {
        Reply::Closed(text) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            stream.shutdown().await.ok()
        }
        Reply::Held(text) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            // Until the client goes.
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.ok().map(drop)
        }
        Reply::Cut => None,
        Reply::Flood(text, more) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            loop {
                stream.write_all(more.as_bytes()).await.ok()?;
            }
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Received> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let (line, headers) = text.split_once("\r\n").unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = headers.split("\r\n").map(header).collect();
    let length = headers.get("content-length")?.to_str().ok()?.parse().ok()?;
    let mut body = bytes.split_off(head + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received {
        line: line.to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

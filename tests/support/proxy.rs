//! A wire to a server, which a test may cut wherever it likes.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Listens on a port of its own and passes everything on to a server, as long as this is.
pub struct Proxy {
    uri: String,
    wire: Arc<Wire>,
    listening: JoinHandle<()>,
}

/// Where a connection is to be cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// At that packet from the client, counted from 1 over all connections.
    Packet(usize, Lost),
    /// At the next packet in which a transaction is committed.
    Commit(Lost),
}

/// What a cut takes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The packet: the server has not heard of it.
    Request,
    /// The second half of the packet.
    HalfOfRequest,
    /// The answer to the packet: the server has done what it says.
    Answer,
    /// The second half of the answer.
    HalfOfAnswer,
}

impl Lost {
    /// Each of them.
    pub const ALL: [Self; 4] = [
        Self::Request,
        Self::HalfOfRequest,
        Self::Answer,
        Self::HalfOfAnswer,
    ];
}

struct Wire {
    server: String,
    /// The cut that is to come, and the packet at which the last one was made.
    cuts: Mutex<(Option<Cut>, Option<Vec<u8>>)>,
    all: watch::Sender<()>,
}

impl Proxy {
    /// Before the server at that URI, which names a port.
    pub async fn before(uri: &str) -> Self {
        let (head, tail) = uri.rsplit_once(':').unwrap();
        let (port, database) = match tail.split_once('/') {
            Some((port, database)) => (port, format!("/{database}")),
            None => (tail, String::new()),
        };
        let host = head.rsplit(['@', '/']).next().unwrap();
        let wire = Arc::new(Wire {
            server: format!("{host}:{port}"),
            cuts: Mutex::default(),
            all: watch::Sender::new(()),
        });
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let listening = tokio::spawn(listen(listener, Arc::clone(&wire)));
        Self {
            uri: format!("{head}:{port}{database}"),
            wire,
            listening,
        }
    }

    /// The server's URI, by way of this.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Cuts every connection that there is.
    pub fn cut_all(&self) {
        self.wire.all.send_replace(());
    }

    /// Cuts one connection, there.
    pub fn cut(&self, cut: Cut) {
        *self.wire.cuts.lock().unwrap() = (Some(cut), None);
    }

    /// Cuts none any more. The packet at which the last cut was made, if it has come to it.
    pub fn mend(&self) -> Option<Vec<u8>> {
        std::mem::take(&mut *self.wire.cuts.lock().unwrap()).1
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut_all();
    }
}

/// Whether a transaction is committed in that packet.
pub fn commits(packet: &[u8]) -> bool {
    packet.windows(6).any(|word| word == b"COMMIT")
}

impl Wire {
    /// What is lost with this packet, if it is the one.
    #[allow(
        clippy::significant_drop_tightening,
        reason = "no other packet may be the one meanwhile"
    )]
    fn lost_at(&self, packet: &[u8]) -> Option<Lost> {
        let mut cuts = self.cuts.lock().unwrap();
        let lost = match &mut cuts.0 {
            Some(Cut::Packet(1, lost)) => *lost,
            Some(Cut::Commit(lost)) if commits(packet) => *lost,
            Some(Cut::Packet(number, _)) => {
                *number -= 1;
                return None;
            }
            _ => return None,
        };
        *cuts = (None, Some(packet.to_vec()));
        Some(lost)
    }
}

async fn listen(listener: TcpListener, wire: Arc<Wire>) {
    while let Ok((client, _)) = listener.accept().await {
        let (wire, mut all) = (Arc::clone(&wire), wire.all.subscribe());
        tokio::spawn(async move {
            // Whatever ends it, both sides find their connection closed.
            let Ok(server) = TcpStream::connect(&wire.server).await else {
                return;
            };
            tokio::select! {
                _ = carry(client, server, &wire) => {}
                _ = all.changed() => {}
            }
        });
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, wire: &Wire) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut request, mut answer) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let packet = &request[..read?];
                if packet.is_empty() {
                    return Ok(());
                }
                let lost = wire.lost_at(packet);
                match lost {
                    None => server.write_all(packet).await?,
                    Some(Lost::Request) => return Ok(()),
                    Some(Lost::HalfOfRequest) => return server.write_all(half(packet)).await,
                    Some(Lost::Answer | Lost::HalfOfAnswer) => {
                        server.write_all(packet).await?;
                        let read = server.read(&mut answer).await?;
                        if lost == Some(Lost::HalfOfAnswer) {
                            client.write_all(half(&answer[..read])).await?;
                        }
                        return Ok(());
                    }
                }
            }
            read = server.read(&mut answer) => match read? {
                0 => return Ok(()),
                read => client.write_all(&answer[..read]).await?,
            },
        }
    }
}

fn half(packet: &[u8]) -> &[u8] {
    &packet[..packet.len() / 2]
}

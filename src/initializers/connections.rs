//! Connections: how many there are at once, how long the server waits for those who are slow, and how
//! all of them end.
//!
//! Serves in Loco's stead, whose server waits for ever for the head of a request and for a client that
//! takes none of its answer.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::{Ready, pending, ready},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Extension, Router, middleware::AddExtension};
use axum_server::{Handle, accept::Accept};
use loco_rs::{Error, Result, app::AppContext, boot::ServeParams};
use prometheus_client::metrics::counter::Counter;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tower::Layer;

use super::{client_address::network, finish_writes::time_for_an_answer, prune, safety};
use crate::{context::Context, signals};

/// The largest head of a request, in bytes: a path, a token, and what browsers and proxies add. A larger
/// one is answered 431.
const MAX_HEAD: usize = 16 * 1024;

/// Files and connections that the server needs beside those to its clients.
const OTHER_FILES: usize = 256;

/// How long the last requests may take at most when the server ends.
const LONGEST_END: Duration = Duration::from_mins(1);

/// Serves until a signal ends it: readiness fails first, then nobody else is let in, and what was asked
/// is answered, unless its client takes longer than a request may.
///
/// # Errors
/// When nobody can listen there.
pub async fn serve(router: Router, ctx: &AppContext, at: &ServeParams) -> Result<()> {
    let state = Context::of(ctx)?;
    let (settings, draining) = (&state.settings, &state.draining);
    let patience = Duration::from_secs(settings.connections.patience_seconds);
    let delay = Duration::from_secs(settings.shutdown.delay_seconds);
    let request = time_for_an_answer(ctx).min(LONGEST_END);
    make_room(settings.connections.max);

    let listener = listen(at).await?;
    safety::check_interface(ctx, listener.local_addr()?.ip())?;
    let handle = Handle::new();
    // Behind a proxy all of them come from one address.
    let proxied = !settings.connections.trusted_proxy_header.is_empty();
    let door = Door {
        handle: handle.clone(),
        max: settings.connections.max,
        max_per_address: settings.connections.max_per_address().filter(|_| !proxied),
        guests: Guests::default(),
        patience,
        refused: state.shared.metrics.refused_connections.clone(),
    };
    let mut server = axum_server::from_tcp(listener.into_std()?)?
        .handle(handle.clone())
        .acceptor(door)
        .http1_only()
        .first_request_timeout(patience);
    let mut http = server.http_builder().http1();
    http.header_read_timeout(patience).max_buf_size(MAX_HEAD);

    let end = async {
        signals::asked_to_end().await;
        tracing::info!("shutting down");
        draining.begin();
        sleep(delay).await;
        handle.graceful_shutdown(Some(request));
        // The server ends when its connections have.
        pending::<()>().await;
    };
    tokio::select! {
        served = server.serve(router.into_make_service_with_connect_info::<SocketAddr>()) => served?,
        () = end => {}
        never = prune::hourly(ctx) => match never {},
    }
    if handle.connection_count() > 0 {
        tracing::warn!("some clients have not sent or read to the end: they are cut off");
    }
    draining.writes.close();
    if timeout(request, draining.writes.wait()).await.is_err() {
        tracing::warn!("some writes have not come to an end: they are cut off");
    }
    Ok(())
}

/// Who lets connections in.
#[derive(Clone)]
struct Door {
    handle: Handle<SocketAddr>,
    max: usize,
    max_per_address: Option<usize>,
    guests: Guests,
    patience: Duration,
    refused: Counter,
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection's place among those of its address, which is free again when the last of these is gone.
#[derive(Clone)]
struct Seat {
    _taken: Arc<Taken>,
}

struct Taken {
    guests: Guests,
    address: IpAddr,
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Pin<Box<TimeoutStream<TcpStream>>>;
    type Service = AddExtension<S, Option<Seat>>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // The one that knocks is counted already.
        if self.handle.connection_count() > self.max {
            return self.refuse("there are too many connections");
        }
        let seat = match self.seat(&stream) {
            Ok(seat) => seat,
            Err(why) => return self.refuse(why),
        };
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream
            .as_mut()
            .set_write_timeout_pinned(Some(self.patience));
        // The service lives as long as its connection.
        ready(Ok((stream, Extension(seat).layer(service))))
    }
}

impl Door {
    /// A seat for the connection, if seats are counted.
    fn seat(&self, stream: &TcpStream) -> Result<Option<Seat>, &'static str> {
        let Some(max) = self.max_per_address else {
            return Ok(None);
        };
        let address = stream.peer_addr().map_err(|_| "the client has gone")?;
        let seat = self.guests.seat(network(address.ip()), max);
        seat.map(Some).ok_or("its address has too many connections")
    }

    fn refuse<T>(&self, why: &'static str) -> Ready<io::Result<T>> {
        self.refused.inc();
        ready(Err(io::Error::other(why)))
    }
}

impl Guests {
    fn seat(&self, address: IpAddr, max: usize) -> Option<Seat> {
        let mut seats = self.seats();
        let taken = seats.entry(address).or_default();
        if *taken >= max {
            return None;
        }
        *taken += 1;
        drop(seats);
        let guests = self.clone();
        Some(Seat {
            _taken: Arc::new(Taken { guests, address }),
        })
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut seats = self.guests.seats();
        if let Entry::Occupied(mut taken) = seats.entry(self.address) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }
}

/// Listens where the settings say, or the command line.
async fn listen(at: &ServeParams) -> Result<TcpListener> {
    let host = at.binding.trim_matches(['[', ']']);
    let port = u16::try_from(at.port).map_err(|_| Error::string("PORT (server.port) is none"))?;
    TcpListener::bind((host, port)).await.map_err(|why| {
        Error::Message(format!(
            "BINDING and PORT (server.binding, server.port): the server cannot listen at {host}, port {port}: {why}"
        ))
    })
}

/// Asks the system for as many open files as it allows: a shell often begins with 1,024.
fn make_room(connections: usize) {
    let wanted = u64::try_from(connections + OTHER_FILES).unwrap_or(u64::MAX);
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed >= wanted => {}
        Ok(allowed) => tracing::warn!(
            allowed,
            wanted,
            "the system allows too few open files for settings.connections.max"
        ),
        Err(error) => tracing::warn!(%error, "how many files may be open is not known"),
    }
}

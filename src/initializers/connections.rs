//! Connections: how many there are at once, how long the server waits for those who are slow, and how
//! all of them end.
//!
//! Serves in Loco's stead, whose server waits for ever for the head of a request and for a client that
//! takes none of its answer.

use std::{
    future::{Ready, pending, ready},
    io,
    net::SocketAddr,
    pin::Pin,
    time::Duration,
};

use axum::Router;
use axum_server::{Handle, accept::Accept};
use loco_rs::{Result, app::AppContext, boot::ServeParams};
use prometheus_client::metrics::counter::Counter;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;

use super::{cache::stores, drain::draining, finish_writes::time_for_an_answer, prune};
use crate::{settings::Settings, signals};

/// The largest head of a request, in bytes: a path, a token, and what browsers and proxies add. A larger
/// one is answered 431.
const MAX_HEAD: usize = 16 * 1024;

/// Files and connections that the server needs beside those to its clients.
const OTHER_FILES: usize = 256;

/// How long the last requests may take at most when the server ends.
const LONGEST_END: Duration = Duration::from_secs(60);

/// Serves until a signal ends it: readiness fails first, then nobody else is let in, and what was asked
/// is answered, unless its client takes longer than a request may.
///
/// # Errors
/// When nobody can listen there.
pub async fn serve(router: Router, ctx: &AppContext, at: &ServeParams) -> Result<()> {
    let (settings, draining, stores) = (Settings::of(ctx)?, draining(ctx)?, stores(ctx)?);
    let patience = Duration::from_secs(settings.connections.patience_seconds);
    let delay = Duration::from_secs(settings.shutdown.delay_seconds);
    let request = time_for_an_answer(ctx).min(LONGEST_END);
    make_room(settings.connections.max);

    let listener = TcpListener::bind(format!("{}:{}", at.binding, at.port)).await?;
    let handle = Handle::new();
    let door = Door {
        handle: handle.clone(),
        max: settings.connections.max,
        patience,
        refused: stores.counts.refused_connections.clone(),
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
    patience: Duration,
    refused: Counter,
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Pin<Box<TimeoutStream<TcpStream>>>;
    type Service = S;
    type Future = Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // The one that knocks is counted already.
        if self.handle.connection_count() > self.max {
            self.refused.inc();
            return ready(Err(io::Error::other("there are too many connections")));
        }
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream
            .as_mut()
            .set_write_timeout_pinned(Some(self.patience));
        ready(Ok((stream, service)))
    }
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

//! The server: how many connections there are at once, how long it waits for slow clients, and how it ends.
//!
//! It serves in Loco's stead, whose server waits for ever for the head of a request and for a client that
//! takes none of its answer.

mod parse_errors;

use std::{
    collections::{HashMap, hash_map::Entry},
    convert::Infallible,
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
    time::{self, MissedTickBehavior, interval, sleep},
};
use tokio_io_timeout::TimeoutStream;
use tower::Layer;

use self::parse_errors::ProblemStream;
use crate::{
    context::Context,
    initializers::{banner, config_audit::check_interface},
    middleware::{client_address::network, detach_writes::response_timeout},
    models::{codes, connection::erased, events, idempotency_keys, mails, webhook_deliveries},
    settings::Settings,
    signals,
    workers::{mails::Mails, relay, sweeper, webhooks::Webhooks, wire::Wire},
};

/// The largest head of a request, in bytes: a path, a token, and what browsers and proxies add. A larger
/// one is answered 431.
const MAX_HEAD: usize = 16 * 1024;

/// Files and connections that the server needs beside those to its clients.
const OTHER_FILES: usize = 256;

/// How often what is kept for a time is looked through for what is past it.
const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// How often it is looked whether an API key was used that is not written down.
const NOTE_EVERY: Duration = Duration::from_secs(4);

/// How long the last requests may take at most when the server ends.
const LONGEST_END: Duration = Duration::from_mins(1);

/// Serves until a signal ends it: readiness fails first, then no other connection is let in, and what was
/// asked is answered, unless its client takes longer than a request may.
///
/// # Errors
/// When the server cannot listen there.
pub async fn serve(router: Router, ctx: &AppContext, at: &ServeParams) -> Result<()> {
    let state = Context::of(ctx)?;
    let (settings, draining) = (&state.settings, &state.draining);
    let timeout = Duration::from_secs(settings.connections.timeout_seconds);
    let delay = Duration::from_secs(settings.shutdown.delay_seconds);
    let request = response_timeout(ctx).min(LONGEST_END);
    raise_fd_limit(settings.connections.max);

    let listener = listen(at).await?;
    let address = listener.local_addr()?;
    check_interface(ctx, address.ip())?;
    let handle = Handle::new();
    // Behind a proxy all of them come from one address.
    let proxied = !settings.connections.trusted_proxy_header.is_empty();
    let limit = ConnectionLimit {
        handle: handle.clone(),
        max: settings.connections.max,
        max_per_address: settings.connections.max_per_address().filter(|_| !proxied),
        per_address: AddressCounts::default(),
        timeout,
        refused: state.shared.metrics.refused_connections.clone(),
    };
    let mut server = axum_server::from_tcp(listener.into_std()?)?
        .handle(handle.clone())
        .acceptor(limit)
        .http1_only()
        .first_request_timeout(timeout);
    let mut http = server.http_builder().http1();
    http.header_read_timeout(timeout).max_buf_size(MAX_HEAD);

    if settings.deliveries.relay {
        draining.writes.spawn(send_webhooks(
            state.clone(),
            Wire::new(settings.webhooks.allow_private)?,
        ));
        if settings.mail.is_on() {
            let (mails, state) = (Mails::of(ctx)?, state.clone());
            draining.writes.spawn(async move {
                relay::run(mails, &state.mails, state.draining.begun()).await;
            });
        }
    }

    if settings.checkout.sweep_seconds > 0 {
        let every = Duration::from_secs(settings.checkout.sweep_seconds);
        draining.writes.spawn(sweeper::run(state.clone(), every));
    }

    tracing::info!(%address, "listening");
    banner::print(ctx, address)?;
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
        never = prune_hourly(ctx, settings) => match never {},
        never = note_key_uses(ctx, &state) => match never {},
    }
    if handle.connection_count() > 0 {
        tracing::warn!("some clients have not sent or read to the end: they are cut off");
    }
    draining.writes.close();
    if time::timeout(request, draining.writes.wait())
        .await
        .is_err()
    {
        tracing::warn!("some writes have not come to an end: they are cut off");
    }
    let last = state.key_uses.write(ctx, true);
    if !matches!(time::timeout(request, last).await, Ok(Ok(()))) {
        tracing::warn!("when some API keys were last used could not be written down");
    }
    Ok(())
}

/// Sends webhooks until the server ends.
async fn send_webhooks(ctx: Context, wire: Wire) {
    let webhooks = Webhooks::over(wire, &ctx);
    if let Err(error) = webhooks.reseal().await {
        tracing::warn!(%error, "the secrets of webhook endpoints could not be sealed anew");
    }
    relay::run(webhooks, &ctx.deliveries, ctx.draining.begun()).await;
}

/// Lets connections in, as many as there may be.
#[derive(Clone)]
struct ConnectionLimit {
    handle: Handle<SocketAddr>,
    max: usize,
    max_per_address: Option<usize>,
    per_address: AddressCounts,
    timeout: Duration,
    refused: Counter,
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct AddressCounts(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection's place among those of its address, which is free again when it is dropped.
struct Slot {
    per_address: AddressCounts,
    address: IpAddr,
}

impl<S> Accept<TcpStream, S> for ConnectionLimit {
    type Stream = ProblemStream<Pin<Box<TimeoutStream<TcpStream>>>>;
    type Service = AddExtension<S, Option<Arc<Slot>>>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // The new one is counted already.
        if self.handle.connection_count() > self.max {
            return self.refuse("there are too many connections");
        }
        let slot = match self.slot(&stream) {
            Ok(slot) => slot,
            Err(why) => return self.refuse(why),
        };
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream.as_mut().set_write_timeout_pinned(Some(self.timeout));
        // The service lives as long as its connection.
        ready(Ok((
            ProblemStream::new(stream),
            Extension(slot).layer(service),
        )))
    }
}

impl ConnectionLimit {
    /// A slot for the connection, if there is such a limit.
    fn slot(&self, stream: &TcpStream) -> Result<Option<Arc<Slot>>, &'static str> {
        let Some(max) = self.max_per_address else {
            return Ok(None);
        };
        let address = stream.peer_addr().map_err(|_| "the client has gone")?;
        let slot = self.per_address.slot(network(address.ip()), max);
        slot.map(Some).ok_or("its address has too many connections")
    }

    fn refuse<T>(&self, why: &'static str) -> Ready<io::Result<T>> {
        self.refused.inc();
        ready(Err(io::Error::other(why)))
    }
}

impl AddressCounts {
    fn slot(&self, address: IpAddr, max: usize) -> Option<Arc<Slot>> {
        let mut counts = self.counts();
        let taken = counts.entry(address).or_default();
        if *taken >= max {
            return None;
        }
        *taken += 1;
        drop(counts);
        let per_address = self.clone();
        Some(Arc::new(Slot {
            per_address,
            address,
        }))
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.per_address.counts();
        if let Entry::Occupied(mut taken) = counts.entry(self.address) {
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
fn raise_fd_limit(connections: usize) {
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

/// Writes down when API keys were last used, and goes on when the database does not answer.
async fn note_key_uses(ctx: &AppContext, state: &Context) -> Infallible {
    let mut is_well = true;
    loop {
        sleep(NOTE_EVERY).await;
        let noted = state.key_uses.write(ctx, false).await;
        if let Err(error) = &noted
            && is_well
        {
            tracing::warn!(%error, "when API keys were last used cannot be written down just now: this is tried again");
        }
        is_well = noted.is_ok();
    }
}

/// Deletes what is past its time, now and every hour: the answers that were kept for retries, old events, and what was
/// sent long ago. On several nodes each does: the first leaves none to the others.
async fn prune_hourly(ctx: &AppContext, settings: &Settings) -> Infallible {
    let (events, deliveries) = (settings.events.keep_days, settings.deliveries.keep_days);
    let mut clock = interval(PRUNE_EVERY);
    // A laptop that has slept for a day has missed nothing.
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        for (what, pruned) in [
            (
                "idempotency keys",
                idempotency_keys::Model::prune(ctx).await,
            ),
            (
                "webhook deliveries",
                webhook_deliveries::Model::prune(ctx, deliveries).await,
            ),
            ("mails", mails::Model::prune(ctx, deliveries).await),
            ("codes", codes::Model::prune(ctx).await),
            ("events", events::Model::prune(ctx, events).await),
        ] {
            match pruned {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "expired {what} were deleted"),
                Err(error) => {
                    tracing::warn!(%error, "expired {what} could not be deleted: the next attempt is in an hour");
                }
            }
        }
        erased(&ctx.db).await;
    }
}

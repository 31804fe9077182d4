//! One attempt to deliver a webhook: a signed request to a URL that an administrator has typed.
//!
//! Such a URL must not lead the server into its own network. The name is resolved anew for each request, every address
//! that it has is checked, and the connection goes to one of those. There is no proxy, no redirect and no connection
//! that is used again.

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{
    Body, Client, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{
        CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
    },
    redirect::Policy,
    retry,
};
use rustls::{CertificateError, ClientConfig, RootCertStore, client::Resumption, crypto::ring};
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

use crate::models::types::{WebhookSecret, WebhookUrl, is_globally_reachable};

/// How long an attempt may take, from the name to the head of the answer.
pub const LIMIT: Duration = Duration::from_secs(15);

/// How much of the body of an answer is read. The client itself limits the head, to 100 headers.
const MAX_BODY: usize = 64 * 1024;

/// For how long the body of an answer is read. What it says does not matter, but a receiver that is not heard to its end
/// would log an error.
const COURTESY: Duration = Duration::from_secs(1);

/// How many names are looked up at once. The system's resolver blocks a thread, for long when nothing answers, and of
/// tokio's 512 such threads others need some.
const MAX_LOOKUPS: usize = 128;

/// The longest wait that a receiver may ask for.
const MAX_RETRY_AFTER: TimeDelta = TimeDelta::hours(24);

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The status of the answer, if there was one.
    pub status_code: Option<u16>,
    /// How long it took until the head of the answer was there, or until it was clear that none would come.
    pub duration: Duration,
    /// How long the receiver asks to wait, from now, unless it was a success.
    pub retry_after: Option<TimeDelta>,
    /// Why there was no answer, or what is wrong with it beside its status: a sentence for people.
    pub error: Option<String>,
}

impl Outcome {
    /// Whether the webhook is delivered: any 2xx (Standard Webhooks 1.0), whatever the body did.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status_code
            .is_some_and(|code| (200..300).contains(&code))
    }
}

/// Sends webhooks.
#[derive(Clone)]
pub struct Wire {
    client: Client,
    checked: Checked,
    authorities: RootCertStore,
    limit: Duration,
}

impl Wire {
    /// One that resolves names as the system does, and verifies certificates. Only where private addresses are allowed
    /// it speaks HTTP, and to addresses that are not public.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(allow_private: bool) -> loco_rs::Result<Self> {
        let checked = Checked {
            resolver: Arc::new(SystemResolver::default()),
            allow_private,
        };
        let authorities = authorities();
        Ok(Self {
            client: client(&checked, &authorities, LIMIT)?,
            checked,
            authorities,
            limit: LIMIT,
        })
    }

    /// With another resolver.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn resolving_with(mut self, resolver: impl Resolver + 'static) -> loco_rs::Result<Self> {
        self.checked.resolver = Arc::new(resolver);
        self.rebuilt()
    }

    /// With another limit than [`LIMIT`].
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn within(mut self, limit: Duration) -> loco_rs::Result<Self> {
        self.limit = limit;
        self.rebuilt()
    }

    /// Trusting these authorities alone.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn trusting(mut self, authorities: RootCertStore) -> loco_rs::Result<Self> {
        self.authorities = authorities;
        self.rebuilt()
    }

    fn rebuilt(self) -> loco_rs::Result<Self> {
        Ok(Self {
            client: client(&self.checked, &self.authorities, self.limit)?,
            ..self
        })
    }

    /// Sends one request, once. It ends within the limit, and the connection with it.
    pub async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: impl Into<Body> + Send,
    ) -> Outcome {
        let start = Instant::now();
        let asking = self.ask(url, headers, body.into());
        let answer = timeout_at(start + self.limit, asking).await;
        let answer = answer.unwrap_or(Err(Failure::Late(self.limit)));
        let duration = start.elapsed();
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                return Outcome {
                    status_code: None,
                    duration,
                    retry_after: None,
                    error: Some(failure.to_string()),
                };
            }
        };
        let status = answer.status();
        let asked = answer.headers().get(RETRY_AFTER);
        let asked = asked.and_then(|asked| asked.to_str().ok());
        let asked = asked.and_then(|asked| retry_after(asked, SystemTime::now()));
        let _ = timeout_at(start + self.limit, timeout(COURTESY, hear_out(answer))).await;
        Outcome {
            status_code: Some(status.as_u16()),
            duration,
            retry_after: asked.filter(|_| !status.is_success()),
            error: status
                .is_redirection()
                .then(|| Failure::Redirect.to_string()),
        }
    }

    /// Sends the request and waits for the head of the answer.
    async fn ask(&self, url: &str, headers: HeaderMap, body: Body) -> Result<Response, Failure> {
        // It was checked when it was stored, perhaps under other settings. The client asks its resolver for names
        // only, not for what is an address already.
        let url = WebhookUrl::parse_where(url, self.checked.allow_private)
            .map_err(|violation| Failure::Url(violation.message))?;
        let request = self.client.post(url.parts().clone()).headers(headers);
        let answer = request.body(body).send().await;
        answer.map_err(|error| Failure::of(&error))
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("checked", &self.checked)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// The client, with everything off that could send a request elsewhere, or twice.
fn client(
    checked: &Checked,
    authorities: &RootCertStore,
    limit: Duration,
) -> loco_rs::Result<Client> {
    let provider = Arc::new(ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(loco_rs::Error::wrap)?
        .with_root_certificates(authorities.clone())
        .with_no_client_auth();
    // A session that is resumed would not verify the certificate again.
    tls.resumption = Resumption::disabled();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(checked.clone()))
        .no_proxy()
        .redirect(Policy::none())
        .retry(retry::never())
        .pool_max_idle_per_host(0)
        .http1_only()
        // Of which each address has its share.
        .connect_timeout(limit * 4 / 5)
        .build()
        .map_err(loco_rs::Error::wrap)
}

/// Reads the body, and forgets it.
async fn hear_out(mut answer: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read >= MAX_BODY {
            return;
        }
    }
}

/// Finds the addresses of names.
#[async_trait]
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses that a name has at this moment.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the system, with its `hosts` file and its search list.
#[derive(Debug)]
pub struct SystemResolver(Arc<Semaphore>);

impl Default for SystemResolver {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LOOKUPS)))
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        let name = name.to_owned();
        let lookup = move || {
            // Until the thread is free again: nobody may be waiting for it any more.
            let _permit = permit;
            let found = (name.as_str(), 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        };
        tokio::task::spawn_blocking(lookup).await?
    }
}

/// A resolver whose addresses may all be connected to. The client connects to one of those that it is given.
#[derive(Clone, Debug)]
struct Checked {
    resolver: Arc<dyn Resolver>,
    allow_private: bool,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let checked = self.clone();
        Box::pin(async move {
            let addresses = checked.addresses(name.as_str()).await?;
            // The port is that of the URL.
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

impl Checked {
    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let addresses = self.resolver.addresses(name).await;
        let addresses = addresses.map_err(|_| Failure::Unresolved)?;
        if addresses.is_empty() {
            return Err(Failure::Unresolved);
        }
        // Even one of several: a connection is made to any of them.
        if !self.allow_private && !addresses.iter().copied().all(is_globally_reachable) {
            return Err(Failure::Private);
        }
        Ok(addresses)
    }
}

/// The headers of an attempt, signed with each secret in force (Standard Webhooks 1.0): the receiver knows one of them.
///
/// # Errors
/// Never in practice: what is signed is text, and headers are made of ASCII.
pub fn sign(
    secrets: &[WebhookSecret],
    event_id: i64,
    at: DateTime<Utc>,
    body: &str,
) -> loco_rs::Result<HeaderMap> {
    let id = format!("evt_{event_id}");
    let at = at.timestamp();
    let sign = |secret: &WebhookSecret| {
        Webhook::from_bytes(secret.as_bytes().to_vec())?.sign(&id, at, body.as_bytes())
    };
    let signatures = secrets.iter().map(sign).collect::<Result<Vec<_>, _>>();
    let signatures = signatures.map_err(loco_rs::Error::wrap)?;
    let headers = [
        (CONNECTION, "close".to_owned()),
        (CONTENT_TYPE, "application/json".to_owned()),
        (
            USER_AGENT,
            concat!("Boxcar/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        (HeaderName::from_static(HEADER_WEBHOOK_ID), id),
        (
            HeaderName::from_static(HEADER_WEBHOOK_TIMESTAMP),
            at.to_string(),
        ),
        (
            HeaderName::from_static(HEADER_WEBHOOK_SIGNATURE),
            signatures.join(" "),
        ),
    ];
    headers
        .into_iter()
        .map(|(name, value)| {
            Ok((
                name,
                value.parse::<HeaderValue>().map_err(loco_rs::Error::wrap)?,
            ))
        })
        .collect()
}

/// For how long a receiver asks to wait (`Retry-After`, RFC 9110, 10.2.3).
///
/// A number of seconds, or a date in any of the three forms of HTTP. At most 24 hours; anything else, and what is past,
/// says nothing.
#[must_use]
pub fn retry_after(value: &str, now: SystemTime) -> Option<TimeDelta> {
    let value = value.trim();
    let wait = if value.is_empty() {
        return None;
    } else if value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more than a day.
        let seconds = value.parse().unwrap_or(i64::MAX);
        TimeDelta::try_seconds(seconds).unwrap_or(MAX_RETRY_AFTER)
    } else {
        let wait = httpdate::parse_http_date(value)
            .ok()?
            .duration_since(now)
            .ok()?;
        TimeDelta::from_std(wait).unwrap_or(MAX_RETRY_AFTER)
    };
    (wait > TimeDelta::zero()).then(|| wait.min(MAX_RETRY_AFTER))
}

/// Why an attempt has failed. No text names an address or a secret: administrators read them.
#[derive(Clone, Debug, thiserror::Error)]
enum Failure {
    #[error("The URL {0}.")]
    Url(String),
    #[error("The name could not be resolved.")]
    Unresolved,
    #[error("The name has an address that is not public.")]
    Private,
    #[error("The connection was refused.")]
    Refused,
    #[error("No connection could be made.")]
    Unreachable,
    #[error("The certificate has expired.")]
    Expired,
    #[error("The certificate is not for this name.")]
    OtherName,
    #[error("The certificate is not of a known authority.")]
    UnknownAuthority,
    #[error("The certificate is not valid.")]
    Certificate,
    #[error("No secure connection could be made.")]
    Insecure,
    #[error("The connection was closed before the answer.")]
    Closed,
    #[error("The answer is not HTTP.")]
    NotHttp,
    #[error("The head of the answer is too long.")]
    TooLong,
    #[error("No answer within {} seconds.", .0.as_secs())]
    Late(Duration),
    #[error("Redirects are not followed.")]
    Redirect,
}

impl Failure {
    /// What stands behind an error of the client.
    fn of(error: &reqwest::Error) -> Self {
        if let Some(failure) = cause::<Self>(error) {
            return failure.clone();
        }
        if let Some(error) = cause::<rustls::Error>(error) {
            return Self::of_tls(error);
        }
        if let Some(error) = cause::<hyper::Error>(error) {
            return Self::of_http(error);
        }
        match cause::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => Self::Refused,
            _ if error.is_connect() => Self::Unreachable,
            _ => Self::Closed,
        }
    }

    const fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::Expired
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
                CertificateError::UnknownIssuer => Self::UnknownAuthority,
                _ => Self::Certificate,
            },
            _ => Self::Insecure,
        }
    }

    fn of_http(error: &hyper::Error) -> Self {
        if error.is_parse_too_large() {
            Self::TooLong
        } else if error.is_parse() {
            Self::NotHttp
        } else {
            Self::Closed
        }
    }
}

/// The cause of that type, however deep it lies.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut error = Some(error);
    while let Some(one) = error {
        if let Some(found) = one.downcast_ref() {
            return Some(found);
        }
        // Whose own cause is not what it holds, but the cause of that.
        let held = one.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        error = match held {
            Some(held) => Some(held),
            None => one.source(),
        };
    }
    None
}

/// The authorities that are trusted: those of Mozilla, because a container has none of its own, and those of the system
/// or of `SSL_CERT_FILE`, because a shop may have its own.
fn authorities() -> RootCertStore {
    let mut trusted: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate of the system was not read");
    }
    trusted.add_parsable_certificates(found.certs);
    trusted
}

//! Where webhooks are sent.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use url::{Host, Url};
use utoipa::openapi::{Schema, schema::SchemaFormat};

use super::{RuleViolation, Scalar, is_globally_reachable, string};

/// The longest URL, in characters, as it is given and in its normal form.
pub const MAX_LENGTH: usize = 2_048;

/// A scheme in letters of any case, and a host.
const PATTERN: &str = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/\\]";

/// Whether endpoints may be in the inside network. One for the process: what is wrong with a URL is said with
/// everything else that is wrong with a body, where it is read.
static ALLOW_PRIVATE: AtomicBool = AtomicBool::new(false);

/// The URL of a webhook endpoint in its normal form (WHATWG URL, "URL serializing").
///
/// It is parsed once, and only what this parser made of it is stored, shown and used: two parsers that read one text
/// differently are how a check is evaded. Names are not resolved here: they can mean another address a moment later,
/// so they are checked at each attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// Says whether URLs may be `http` and name addresses of the inside network, from now on.
    pub fn set_allow_private(allow: bool) {
        ALLOW_PRIVATE.store(allow, Ordering::Relaxed);
    }

    /// Reads a URL where addresses of the inside network are allowed, or are not.
    ///
    /// # Errors
    /// The [`RuleViolation`] that says which rule the text breaks.
    pub fn parse_where(text: &str, allow_private: bool) -> Result<Self, RuleViolation> {
        let refused = |message: &str| RuleViolation::new("format", message);
        let check_length = |text: &str| {
            let message = || format!("must have at most {MAX_LENGTH} characters");
            if text.chars().count() > MAX_LENGTH {
                return Err(RuleViolation::new("length", message()));
            }
            Ok(())
        };
        check_length(text)?;
        // The parser would leave them out.
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(refused("must not contain blanks or control characters"));
        }
        let url = Url::parse(text).map_err(|error| refused(&format!("is not a URL: {error}")))?;
        match url.scheme() {
            "https" => {}
            "http" if allow_private => {}
            _ => return Err(refused("must begin with https://")),
        }
        // The parser would take `https:host` and `https:///host`, in which other programs see no host.
        let after = text.split_once("://").map(|(_, after)| after);
        if after.is_none_or(|after| after.starts_with(['/', '\\'])) {
            return Err(refused("must have a host after https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("must not contain a user name or a password"));
        }
        if url.fragment().is_some() {
            return Err(refused("must not have a fragment (#)"));
        }
        if url.port() == Some(0) {
            return Err(refused("must not have the port 0"));
        }
        check_length(url.as_str())?;
        let url = Self(url);
        if !allow_private && url.address().is_some_and(|ip| !is_globally_reachable(ip)) {
            return Err(RuleViolation::new("address", "must be a public address"));
        }
        Ok(url)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Its parts.
    pub const fn parts(&self) -> &Url {
        &self.0
    }

    /// The address that it names, if its host is no name. The parser has read every form of it: decimal, octal,
    /// hexadecimal and short ones.
    pub fn address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }
}

impl From<WebhookUrl> for String {
    fn from(url: WebhookUrl) -> Self {
        url.0.into()
    }
}

impl Scalar for WebhookUrl {
    /// Reads a URL as [`WebhookUrl::set_allow_private`] says: `https` and public unless the inside network is allowed.
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        Self::parse_where(text, ALLOW_PRIVATE.load(Ordering::Relaxed))
    }

    fn schema() -> Schema {
        string()
            .format(Some(SchemaFormat::Custom("uri".to_owned())))
            .max_length(Some(MAX_LENGTH))
            .pattern(Some(PATTERN))
            .into()
    }
}

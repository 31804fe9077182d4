//! Where a request comes from: the connection's address, or what a proxy in front says of it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Once,
};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use loco_rs::{Error, Result, app::AppContext};

use crate::settings::Settings;

/// What proxies say for whom they ask. Clients can write the same.
const FORWARDING: [HeaderName; 3] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// Finds out where requests come from.
#[derive(Debug)]
pub struct ClientAddress {
    /// The header that the proxy in front sets. Without one no header is believed.
    trusted: Option<HeaderName>,
    warned: Once,
}

impl ClientAddress {
    /// As the settings say.
    ///
    /// # Errors
    /// When they name what cannot be a header, or Loco's `remote_ip` is to find out the same.
    pub fn new(ctx: &AppContext) -> Result<Self> {
        let remote_ip = ctx.config.server.middlewares.remote_ip.as_ref();
        if remote_ip.is_some_and(|remote_ip| remote_ip.enable) {
            return Err(Error::string(
                "server.middlewares.remote_ip: turn it off, and name the proxy's header in \
                 settings.connections.trusted_proxy_header (TRUSTED_PROXY_HEADER)",
            ));
        }
        let name = &Settings::of(ctx)?.connections.trusted_proxy_header;
        let trusted = match name.as_str() {
            "" => None,
            name => Some(HeaderName::try_from(name).map_err(|_| {
                Error::Message(format!(
                    "settings.connections.trusted_proxy_header (TRUSTED_PROXY_HEADER): {name:?} cannot be \
                     the name of a header"
                ))
            })?),
        };
        Ok(Self {
            trusted,
            warned: Once::new(),
        })
    }

    /// The address that a request comes from.
    pub fn of(&self, parts: &Parts) -> IpAddr {
        let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let connected = connected.map(|ConnectInfo(address)| address.ip());
        let address = self.forwarded(&parts.headers).or(connected);
        network(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// What the trusted header says. What cannot be used is said once.
    fn forwarded(&self, headers: &HeaderMap) -> Option<IpAddr> {
        if let Some(header) = &self.trusted {
            let address = last_hop(headers, header);
            if address.is_none() {
                self.warned.call_once(|| {
                    tracing::warn!(
                        header = header.as_str(),
                        "a request came without an address in the header that TRUSTED_PROXY_HEADER names: \
                         all such requests count for the address that they come from, which may be the proxy's"
                    );
                });
            }
            return address;
        }
        if !self.warned.is_completed()
            && let Some(header) = FORWARDING.iter().find(|name| headers.contains_key(*name))
        {
            self.warned.call_once(|| {
                tracing::warn!(
                    header = header.as_str(),
                    "a request came with a header of proxies, and none is trusted: if there is a proxy in \
                     front, name its header in TRUSTED_PROXY_HEADER, or all its clients share one budget"
                );
            });
        }
        None
    }
}

/// The last address in a header, which the proxy in front has added: what stands before it is what the
/// client, or an unknown proxy, has written.
fn last_hop(headers: &HeaderMap, header: &HeaderName) -> Option<IpAddr> {
    let line = headers.get_all(header).iter().next_back()?.to_str().ok()?;
    if header != header::FORWARDED {
        return address(line.rsplit(',').next()?);
    }
    let element = unquoted_split(line, ',')?.pop()?;
    let node = unquoted_split(element, ';')?
        .into_iter()
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?
        .1;
    address(node)
}

/// An address, with or without a port, quotes, brackets and a zone (RFC 7239, section 6; RFC 4007, section
/// 11). `unknown` and obfuscated names are none.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let address = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        (port.is_empty() || port.starts_with(':')).then_some(address)?
    } else {
        match text.split_once(':') {
            Some((address, port)) if !port.contains(':') => address,
            _ => text,
        }
    };
    let zoneless = address.split('%').next()?;
    zoneless.parse().ok()
}

/// What stands between separators that are not in quotes (RFC 9110, section 5.6.4). `None` when a quote
/// does not end.
fn unquoted_split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text
        .split(|letter| {
            match letter {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ => return !quoted && letter == separator,
            }
            false
        })
        .collect();
    (!quoted).then_some(parts)
}

/// What counts as one client's address. Of IPv6 that is the network, because one customer has 2⁶⁴ addresses
/// (RFC 6177).
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(header: &'static str, lines: &[&str]) -> Option<String> {
        let header = HeaderName::from_static(header);
        let headers = lines
            .iter()
            .map(|line| (header.clone(), line.parse().unwrap()))
            .collect();
        last_hop(&headers, &header).map(|address| address.to_string())
    }

    #[test]
    fn the_last_address_of_the_last_line_counts_however_it_is_written() {
        for (line, address) in [
            ("198.51.100.7", "198.51.100.7"),
            ("198.51.100.7:4711", "198.51.100.7"),
            ("10.0.0.1, 198.51.100.7:4711", "198.51.100.7"),
            (" 203.0.113.9 ,\t198.51.100.7 ", "198.51.100.7"),
            ("\", 198.51.100.7", "198.51.100.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
        ] {
            let found = hop("x-forwarded-for", &["192.0.2.1", line]);
            assert_eq!(found.as_deref(), Some(address), "{line}");
        }
        for line in [
            "",
            "unknown",
            "_hidden",
            "198.51.100.7, ",
            "[2001:db8::1",
            "[::1]80",
            "1.2.3",
        ] {
            assert_eq!(hop("x-forwarded-for", &["192.0.2.1", line]), None, "{line}");
        }
    }

    #[test]
    fn the_last_element_of_forwarded_counts_whatever_its_quotes_say() {
        for (line, address) in [
            ("for=198.51.100.7", "198.51.100.7"),
            ("for=192.0.2.1, For=\"198.51.100.7:4711\"", "198.51.100.7"),
            (
                "for=192.0.2.1;by=192.0.2.2, proto=https;for=\"[2001:db8::1]:4711\"",
                "2001:db8::1",
            ),
            ("for=\"[2001:db8::1]:_port\"", "2001:db8::1"),
            ("for=198.51.100.7;host=\"a,for=192.0.2.1\"", "198.51.100.7"),
            (
                "for=198.51.100.7;host=\"a\\\",for=192.0.2.1\"",
                "198.51.100.7",
            ),
        ] {
            assert_eq!(
                hop("forwarded", &[line]).as_deref(),
                Some(address),
                "{line}"
            );
        }
        for line in [
            "for=unknown",
            "for=_hidden",
            "by=192.0.2.1",
            "for=\"192.0.2.1",
            "192.0.2.1",
        ] {
            assert_eq!(hop("forwarded", &[line]), None, "{line}");
        }
    }
}

//! How mails are sent: `settings.mail`, with what is wrong with it. There is a password in the address of the server:
//! nothing here repeats it.

use lettre::{Address, message::Mailbox};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::Url;

use super::address;

/// How long the name of the shop may be: it stands in the subject of each mail.
const NAME_LENGTH: usize = 100;

/// How mails are sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The server that takes them; empty when there is none.
    smtp_url: String,
    /// The address that they come from.
    from: String,
    /// The name of the shop.
    pub shop_name: String,
    /// Where the shop's pages are; empty when it has none.
    shop_url: String,
    /// Without a server, the directory that they are written to; empty when they are not sent at all.
    dir: String,
}

/// The server that takes mails.
#[derive(Clone, PartialEq, Eq)]
pub struct Smtp {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub tls: Tls,
    /// The user and the password to log in with.
    pub login: Option<(String, String)>,
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Encrypted from the first byte.
    Implicit,
    /// Encrypted by STARTTLS, or not at all.
    Required,
    /// In clear. Not by STARTTLS where there is one: a server on the same machine, which this is for, has a
    /// certificate that nobody has signed.
    None,
}

impl Mail {
    /// Whether there are mails.
    pub const fn is_on(&self) -> bool {
        !self.smtp_url.is_empty() || !self.dir.is_empty()
    }

    /// Whether mails can lead to a page of the shop. Those that are files have a link without the shop's address, unless
    /// it is known: who develops a shop reads the code there.
    pub fn is_linked(&self) -> bool {
        self.dir().is_some() || (self.is_on() && self.shop_url().is_some())
    }

    /// The server that takes mails, if there is one.
    pub fn smtp(&self) -> Option<Smtp> {
        Smtp::at(&self.smtp_url).ok()
    }

    /// Whether mails go through the network in clear.
    pub fn is_in_clear(&self) -> bool {
        let smtp = self.smtp();
        smtp.is_some_and(|smtp| smtp.tls == Tls::None && !address::is_local(&smtp.host))
    }

    /// The directory that mails are written to, if they are.
    pub fn dir(&self) -> Option<&str> {
        let dir = Some(self.dir.as_str()).filter(|dir| !dir.is_empty());
        dir.filter(|_| self.smtp_url.is_empty())
    }

    /// The address that mails come from. Mails that nobody gets may come from nowhere.
    pub fn sender(&self) -> Mailbox {
        sender(&self.from).unwrap_or_else(|| {
            let nowhere = Address::new_dangerous("shop", "localhost");
            Mailbox::new(Some(self.shop_name.clone()), nowhere)
        })
    }

    /// Where the shop's pages are, without a slash at the end.
    pub fn shop_url(&self) -> Option<String> {
        page(&self.shop_url).ok()
    }

    /// What is wrong, and with which key.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let (named, is_sent) = (!self.from.is_empty(), !self.smtp_url.is_empty());
        if is_sent {
            Smtp::at(&self.smtp_url).map_err(|why| ("smtp_url", why))?;
        }
        if is_sent && !named {
            let why = "is required with SMTP_URL: the address that mails come from, such as \
                       Shop <shop@example.com>";
            return Err(("from", why.to_owned()));
        }
        if named && sender(&self.from).is_none() {
            let why = "must be an address such as Shop <shop@example.com>";
            return Err(("from", why.to_owned()));
        }
        let name = &self.shop_name;
        let (length, edges) = (name.chars().count(), name.trim().len() < name.len());
        if !(1..=NAME_LENGTH).contains(&length) || edges || has_controls(name) {
            let why = format!("must have 1 to {NAME_LENGTH} characters, on one line");
            return Err(("shop_name", why));
        }
        if !self.shop_url.is_empty() {
            page(&self.shop_url).map_err(|why| ("shop_url", why))?;
        }
        Ok(())
    }
}

impl Smtp {
    /// The server at that address.
    ///
    /// # Errors
    /// What is wrong with the address, without the address.
    fn at(address: &str) -> Result<Self, String> {
        let url = address::parsed(address)?;
        let name = decoded(url.username())?;
        let login = match url.password() {
            Some(password) if !name.is_empty() => Some((name, decoded(password)?)),
            None if name.is_empty() => None,
            _ => return Err("a user and a password go together".to_owned()),
        };
        let (tls, usual) = match (url.scheme(), &login) {
            ("smtps", _) => (Tls::Implicit, 465),
            ("smtp", Some(_)) => (Tls::Required, 587),
            ("smtp", None) => (Tls::None, 25),
            _ => return Err("the address has to begin with smtp:// or smtps://".to_owned()),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| "there is no host in the address".to_owned())?;
        if !["", "/"].contains(&url.path()) || url.query().is_some() || url.fragment().is_some() {
            return Err("nothing may follow the host and the port".to_owned());
        }
        if url.port() == Some(0) {
            return Err("the port must be between 1 and 65535".to_owned());
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(usual),
            tls,
            login,
        })
    }
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} ({:?})", self.host, self.port, self.tls)
    }
}

/// The address that mails come from, with its domain in ASCII, as every server takes it.
fn sender(text: &str) -> Option<Mailbox> {
    let Mailbox { name, email } = text.parse().ok()?;
    let domain = idna::domain_to_ascii(email.domain()).ok()?;
    let email = Address::new(email.user(), domain).ok()?;
    let is_plain = email.user().is_ascii() && !has_controls(text);
    is_plain.then(|| Mailbox::new(name, email))
}

/// The text of a part of a URL.
fn decoded(part: &str) -> Result<String, String> {
    let decoded = percent_decode_str(part).decode_utf8();
    let decoded = decoded.map_err(|_| "invalid utf-8 in the user or the password".to_owned())?;
    // It would end the command that sends it.
    if has_controls(&decoded) {
        return Err("the user and the password have no control characters".to_owned());
    }
    Ok(decoded.into_owned())
}

/// The address of a page, without a slash at the end.
fn page(address: &str) -> Result<String, String> {
    let url = Url::parse(address).map_err(|why| why.to_string())?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err("must begin with https:// or http://".to_owned());
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.query().is_some() || url.fragment().is_some() {
        return Err("may have a host, a port and a path, and nothing else".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn has_controls(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp(address: &str) -> Result<Smtp, String> {
        Smtp::at(address)
    }

    #[test]
    fn a_server_is_read_from_its_address() {
        for (address, host, port, tls, login) in [
            ("smtp://localhost", "localhost", 25, Tls::None, None),
            ("smtp://[::1]:2525/", "::1", 2525, Tls::None, None),
            (
                "smtp://ada%40shop.example:p%3A%2F@mail.example",
                "mail.example",
                587,
                Tls::Required,
                Some(("ada@shop.example", "p:/")),
            ),
            (
                "smtps://u:p@mail.example:4650",
                "mail.example",
                4650,
                Tls::Implicit,
                Some(("u", "p")),
            ),
            ("smtps://relay", "relay", 465, Tls::Implicit, None),
        ] {
            let expected = Smtp {
                host: host.to_owned(),
                port,
                tls,
                login: login.map(|(user, password)| (user.to_owned(), password.to_owned())),
            };
            assert_eq!(smtp(address), Ok(expected), "{address}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_is_refused_and_not_repeated() {
        for address in [
            "http://u:s3cret@mail.example",
            "smtp://u@mail.example",
            "smtp://:s3cret@mail.example",
            "smtp://u:s3cret@",
            "smtp://",
            "smtp:mail.example",
            "mail.example",
            "smtp://u:s3cret@mail.example/box",
            "smtp://u:s3cret@mail.example?tls=none",
            "smtp://u:s3/cret@mail.example",
            "smtp://u:s3#cret@mail.example",
            "smtp://u:s3cret@mail.example:0",
            "smtp://u:s3cret@mail.example:99999",
            "smtp://u:s3cret%0d%0aQUIT@mail.example",
            "smtp://u:s3cret%ff@mail.example",
        ] {
            let why = smtp(address).unwrap_err();
            assert!(!why.contains("cret"), "{address}: {why}");
        }
    }

    #[test]
    fn a_debug_form_shows_no_password() {
        let smtp = smtp("smtps://u:s3cret@mail.example").unwrap();
        assert_eq!(format!("{smtp:?}"), "mail.example:465 (Implicit)");
    }

    #[test]
    fn mails_come_from_an_address_in_ascii() {
        for (text, expected) in [
            ("Shop <shop@example.com>", "Shop <shop@example.com>"),
            ("shop@example.com", "shop@example.com"),
            ("shop@müller.example", "shop@xn--mller-kva.example"),
        ] {
            assert_eq!(sender(text).unwrap().to_string(), expected);
        }
        for text in [
            "Shop",
            "Shop <shop>",
            "müller@example.com",
            "Shop <shop@example.com>\r\nBcc: eve@example.com",
            "Shop\n <shop@example.com>",
            "a@example.com, b@example.com",
        ] {
            assert_eq!(sender(text), None, "{text}");
        }
    }

    #[test]
    fn the_address_of_the_shop_ends_without_a_slash() {
        for (address, expected) in [
            ("https://shop.example", "https://shop.example"),
            ("https://shop.example/", "https://shop.example"),
            ("http://localhost:3000/de//", "http://localhost:3000/de"),
            ("https://Müller.example", "https://xn--mller-kva.example"),
        ] {
            assert_eq!(page(address).as_deref(), Ok(expected));
        }
        for address in [
            "shop.example",
            "javascript:alert(1)",
            "ftp://shop.example",
            "https://u:p@shop.example",
            "https://shop.example?a=b",
            "https://shop.example#a",
            "https://",
        ] {
            assert!(page(address).is_err(), "{address}");
        }
    }
}

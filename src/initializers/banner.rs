//! What a start prints last: where the store is, how to log in, and what was created.

use std::net::SocketAddr;

use loco_rs::{Result, app::AppContext, logger::Format};

use super::swagger::PAGE;
use crate::{context::Context, controllers::BASE};

/// Prints the addresses and how to log in. When the log is JSON, a program reads it, and nothing else is printed.
///
/// # Errors
/// When the context was not installed.
pub fn print(ctx: &AppContext, listening_at: SocketAddr) -> Result<()> {
    if matches!(ctx.config.logger.format, Format::Json) {
        return Ok(());
    }
    let url = url(listening_at);
    println!("\nBoxcar\n  API      {url}{BASE}\n  Swagger  {url}{PAGE}\n");
    let created = Context::of(ctx)?.announcements.all();
    let password = created.iter().find_map(|(_, password)| password.as_deref());
    for (text, _) in &created {
        println!("{text}");
    }
    // An administrator of an earlier start may have any name.
    let (username, password) = password.map_or(("…", "…"), |password| ("admin", password));
    println!(
        "To log in:\n  curl {url}{BASE}/auth/login -H 'Content-Type: application/json' \\\n    \
         -d '{{\"username\": \"{username}\", \"password\": \"{password}\"}}'\n"
    );
    Ok(())
}

/// An address that can be clicked: that of this machine, where the server listens on all of them.
fn url(address: SocketAddr) -> String {
    match address {
        address if address.ip().is_unspecified() || address.ip().is_loopback() => {
            format!("http://localhost:{}", address.port())
        }
        address => format!("http://{address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_can_be_clicked() {
        for (address, shown) in [
            ("0.0.0.0:5150", "http://localhost:5150"),
            ("[::]:5150", "http://localhost:5150"),
            ("127.0.0.1:80", "http://localhost:80"),
            ("192.0.2.1:5150", "http://192.0.2.1:5150"),
            ("[2001:db8::1]:5150", "http://[2001:db8::1]:5150"),
        ] {
            assert_eq!(url(address.parse().unwrap()), shown);
        }
    }
}

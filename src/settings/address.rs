//! Addresses of the database, of Redis and of others. There are passwords in them: nothing here repeats one.

use std::{
    fs::{self, OpenOptions},
    io::ErrorKind,
    net::IpAddr,
    path::Path,
    str::FromStr,
};

use redis::{ConnectionAddr, IntoConnectionInfo};
use sea_orm::sqlx::{
    mysql::{MySqlConnectOptions, MySqlSslMode},
    postgres::{PgConnectOptions, PgSslMode},
    sqlite::SqliteConnectOptions,
};
use url::Url;

/// What a user's name or password may not hold as it is, and how it is written (RFC 3986, section 2.1).
const ENCODE: &str =
    "in a user name or password, %, /, ?, #, @ and : are written %25, %2F, %3F, %23, %40 and %3A";

/// The address at which the database is spoken to. Over a network that is encrypted, unless the address
/// says otherwise itself. A SQLite file that is to be made is made, for its owner's eyes only.
///
/// # Errors
/// What is wrong with the address, without the address.
pub fn of_database(address: &str) -> Result<String, String> {
    if let Some(path) = address.strip_prefix("sqlite:") {
        let (_, rest) = path.split_once(':').unwrap_or_default();
        if rest.contains('@') {
            return Err("the address names a file, which has no user and no password".to_owned());
        }
        make_file(address)?;
        return Ok(address.to_owned());
    }
    // MariaDB's own name for what both speak.
    let address = match address.strip_prefix("mariadb://") {
        Some(rest) => format!("mysql://{rest}"),
        None => address.to_owned(),
    };
    let option = match address.split_once("://") {
        Some(("mysql", _)) => "ssl-mode=REQUIRED",
        Some(("postgres" | "postgresql", _)) => "sslmode=require",
        _ => {
            return Err(
                "the address has to begin with sqlite://, mysql://, mariadb:// or postgres://"
                    .to_owned(),
            );
        }
    };
    let url = parsed(&address)?;
    let says_how = url
        .query_pairs()
        .any(|(name, _)| name == "sslmode" || name == "ssl-mode");
    if !in_clear(&address)? || says_how {
        return Ok(address);
    }
    let joint = if url.query().is_some() { '&' } else { '?' };
    Ok(format!("{address}{joint}{option}"))
}

/// Refuses what is not the address of a Redis.
///
/// # Errors
/// What is wrong with the address, without the address.
pub fn check_redis(address: &str) -> Result<(), String> {
    redis_at(address).map(|_| ())
}

/// Whether what is said to the database or the Redis at this address can be read on the way.
pub fn is_in_clear(address: &str) -> bool {
    match redis_at(address) {
        Ok(ConnectionAddr::Tcp(host, _)) => !is_local(&host),
        Ok(_) => false,
        Err(_) => in_clear(address).unwrap_or_default(),
    }
}

/// The host and the port of a database's server; `None` for a file.
pub fn server(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let usual = match url.scheme() {
        "mysql" => 3306,
        "postgres" | "postgresql" => 5432,
        _ => return None,
    };
    let port = url.port().unwrap_or(usual);
    Some(format!("{}, port {port}", url.host_str()?))
}

/// The file of an SQLite database; `None` for other databases, or one in memory.
pub fn file(address: &str) -> Option<std::path::PathBuf> {
    let options = SqliteConnectOptions::from_str(address).ok()?;
    let path = options.get_filename();
    let in_memory = path.starts_with(":memory:") || path.to_string_lossy().starts_with("file:");
    (!in_memory && address.starts_with("sqlite:")).then(|| path.to_owned())
}

/// Whether a server that is not on this machine is spoken to without TLS, or may choose to be.
fn in_clear(address: &str) -> Result<bool, String> {
    // These errors quote a parameter's value at most, and no parameter is a password.
    if address.starts_with("mysql:") {
        use MySqlSslMode::{Disabled, Preferred};
        let options = MySqlConnectOptions::from_str(address).map_err(|why| why.to_string())?;
        let optional = matches!(options.get_ssl_mode(), Disabled | Preferred);
        Ok(optional && options.get_socket().is_none() && !is_local(options.get_host()))
    } else if address.starts_with("postgres") {
        use PgSslMode::{Allow, Disable, Prefer};
        let options = PgConnectOptions::from_str(address).map_err(|why| why.to_string())?;
        let optional = matches!(options.get_ssl_mode(), Disable | Allow | Prefer);
        Ok(optional && options.get_socket().is_none() && !is_local(options.get_host()))
    } else {
        Ok(false)
    }
}

fn redis_at(address: &str) -> Result<ConnectionAddr, String> {
    let url = parsed(address)?;
    let info = url.into_connection_info().map_err(|why| why.to_string())?;
    Ok(info.addr().clone())
}

/// Whether what is sent there stays on this machine. The beginning of a path is a socket.
pub(super) fn is_local(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.is_empty()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The URL, if a password ends where its writer thought: one with a `/`, `?` or `#` leaves its rest where
/// a database's name or a parameter should be, which errors and logs repeat.
pub(super) fn parsed(address: &str) -> Result<Url, String> {
    let url = Url::parse(address).map_err(|why| format!("{why} ({ENCODE})"))?;
    let (_, rest) = address
        .split_once("://")
        .ok_or_else(|| "there is no :// in the address".to_owned())?;
    let after_host = rest.find(['/', '?', '#']).map_or("", |end| &rest[end..]);
    let is_insecure_tls = url.scheme() == "rediss" && url.fragment() == Some("insecure");
    if after_host.contains('@') || (url.fragment().is_some() && !is_insecure_tls) {
        return Err(format!("the host ends too early ({ENCODE})"));
    }
    Ok(url)
}

/// Makes the SQLite file that does not exist yet, if the address asks for that. SQLite makes those beside it
/// (`-wal`, `-shm`) as readable as the file itself is.
fn make_file(address: &str) -> Result<(), String> {
    SqliteConnectOptions::from_str(address).map_err(|why| why.to_string())?;
    let Some(path) = file(address) else {
        return Ok(());
    };
    let why = |error: std::io::Error| match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() && !directory.is_dir() => {
            format!("there is no directory {}", directory.display())
        }
        _ => format!("{}: {error}", path.display()),
    };
    let makes = address
        .split_once('?')
        .is_some_and(|(_, options)| options.split('&').any(|option| option == "mode=rwc"));
    if makes {
        match own_file().create_new(true).open(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(why(error)),
            _ => {}
        }
    }
    let found = fs::metadata(&path).map_err(why)?;
    if found.is_file() {
        Ok(())
    } else {
        Err(format!("{}: is not a file", path.display()))
    }
}

/// A file that only its owner may read.
fn own_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Whether others than its owner may read or write the file.
pub fn is_open_to_others(path: &Path) -> bool {
    #[cfg(unix)]
    let mode = |found: fs::Metadata| std::os::unix::fs::PermissionsExt::mode(&found.permissions());
    #[cfg(not(unix))]
    let mode = |_| 0;
    fs::metadata(path).is_ok_and(|found| mode(found) & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_beyond_this_machine_is_spoken_to_with_tls() {
        for (address, option) in [
            ("mysql://u:p@db/x", "?ssl-mode=REQUIRED"),
            ("mariadb://u:p@10.0.0.7/x", "?ssl-mode=REQUIRED"),
            ("mysql://u:p@db/x?charset=utf8mb4", "&ssl-mode=REQUIRED"),
            ("postgres://db/x", "?sslmode=require"),
            ("postgresql://u@[fd00::7]:5433/x", "?sslmode=require"),
            ("postgres://localhost/x?host=db", "&sslmode=require"),
        ] {
            let expected = format!("{address}{option}").replace("mariadb", "mysql");
            assert_eq!(of_database(address).as_ref(), Ok(&expected));
            assert!(!is_in_clear(&expected), "{expected}");
        }
    }

    #[test]
    fn a_server_on_this_machine_or_an_address_that_says_how_is_spoken_to_as_it_says() {
        for (address, in_clear) in [
            ("mysql://u:p@localhost/x", false),
            ("mysql://u:p@127.0.0.1:3307/x", false),
            ("mysql://u:p@[::1]/x", false),
            ("mysql://db/x?socket=/run/mysqld/mysqld.sock", false),
            ("postgres://u:p@127.8.9.1/x", false),
            ("postgres:///x?host=/run/postgresql", false),
            ("mysql://u:p@db/x?ssl-mode=DISABLED", true),
            ("mysql://u:p@db/x?sslmode=PREFERRED", true),
            ("postgres://u:p@db/x?sslmode=disable", true),
            ("postgres://u:p@db/x?ssl-mode=prefer", true),
        ] {
            assert_eq!(of_database(address).as_deref(), Ok(address));
            assert_eq!(is_in_clear(address), in_clear, "{address}");
        }
    }

    #[test]
    fn a_redis_beyond_this_machine_is_in_clear_without_tls() {
        for (address, expected) in [
            ("redis://db", true),
            ("redis://:secret@10.0.0.7:6379/1", true),
            ("valkey://db", true),
            ("rediss://db", false),
            ("redis://127.0.0.1", false),
            ("redis://[::1]:6380", false),
            ("unix:///run/redis.sock", false),
        ] {
            assert_eq!(is_in_clear(address), expected, "{address}");
        }
    }
}

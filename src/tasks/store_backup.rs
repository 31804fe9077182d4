//! `store:backup`: writes a SQLite store into one new file, while the server runs, and checks that file.
//!
//! MariaDB, MySQL and PostgreSQL have tools of their own for that: of those it names the command.

use std::{
    fmt::Write,
    fs::{self, File},
    io,
    path::Path,
    pin::pin,
    str::FromStr,
    time::Duration,
};

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};
use sea_orm::{
    DatabaseConnection, DbBackend,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions, Connection, SqliteConnection,
        mysql::{MySqlConnectOptions, MySqlSslMode},
        postgres::{PgConnectOptions, PgSslMode},
        sqlite::SqliteConnectOptions,
    },
};
use tempfile::NamedTempFile;
use tokio::time::sleep;
use url::Url;

use super::{counted, refuse_unknown};

/// How long a server's longest transaction is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// What is wrong: with a file, a database, or what is in it.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Writes the store into a new file.
#[derive(Clone, Copy, Debug)]
pub struct StoreBackup;

#[async_trait]
impl Task for StoreBackup {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "store:backup".to_owned(),
            detail: "Writes the whole store into the new file:PATH, and checks that file. The server may go on. That \
                     is for SQLite; for other databases it names the command of their own tool."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        refuse_unknown(vars, &["file"])?;
        let path = vars.cli.get("file").map(Path::new);
        let path = path.ok_or_else(|| Error::string("file:PATH is required"))?;
        match ctx.db.get_database_backend() {
            DbBackend::Sqlite => {}
            _ => return Err(other_tool(&ctx.config.database.uri, path)?),
        }
        let rows = back_up(&ctx.db, path).await?;
        println!("The backup {} is complete: {rows}.", path.display());
        Ok(())
    }
}

/// Writes the file under another name until it is whole and checked, so that there is never half a backup.
async fn back_up(db: &DatabaseConnection, path: &Path) -> Result<String> {
    let named = |error: io::Error| Error::Message(format!("{}: {error}", path.display()));
    if fs::symlink_metadata(path).is_ok() {
        return Err(named(io::Error::other("it exists already")));
    }
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    // SQLite puts a journal beside the file, which has to go with it when a signal ends the command.
    let scratch = tempfile::tempdir_in(directory).map_err(named)?;
    // Only its owner may read it.
    let partial = NamedTempFile::new_in(&scratch).map_err(named)?;
    let refused =
        |error| Error::Message(format!("{}: no backup was made: {error}", path.display()));
    let rows = copy(db, partial.path()).await.map_err(refused)?;
    partial.as_file().sync_all().map_err(named)?;
    let persisted = partial.persist_noclobber(path);
    persisted.map_err(|error| named(error.error))?;
    // The name of the file has to outlive a power cut too.
    let directory = File::open(directory).map_err(named)?;
    directory.sync_all().map_err(named)?;
    Ok(rows)
}

/// Copies the store into that empty file, compares the two, and answers how much there is.
///
/// `VACUUM INTO` cannot be part of a transaction. So that the rows are counted in the state that it copies, other
/// writers wait until both have begun to read. That takes milliseconds, however large the store is.
async fn copy(db: &DatabaseConnection, target: &Path) -> Result<String, Fault> {
    let options = db.get_sqlite_connection_pool().connect_options();
    let options = options.as_ref().clone().busy_timeout(PATIENCE);
    let mut lock = options.connect().await?;
    let mut source = options.connect().await?;
    let mut copier = options.connect().await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut lock).await?;
    let mut source = source.begin().await?;
    let tables = tables(&mut source).await?;
    if tables.is_empty() {
        return Err("there are no tables in the store".into());
    }
    let into = target.to_str().ok_or("the path is not UTF-8")?;
    let vacuum = sqlx::query("VACUUM INTO ?").bind(into.to_owned());
    let mut vacuum = pin!(vacuum.execute(&mut copier));
    let done = tokio::select! {
        done = &mut vacuum => Some(done),
        () = begun(target) => None,
    };
    lock.close().await?;
    match done {
        Some(done) => done?,
        None => vacuum.await?,
    };

    // Of a file that is opened to be read only, SQLite checks less.
    let copied = SqliteConnectOptions::new().filename(target);
    let mut copied = copied.disable_statement_logging().connect().await?;
    let faults: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(&mut copied)
        .await?;
    if faults != ["ok"] {
        return Err(format!("the copy is damaged: {}", faults.join(", ")).into());
    }
    let mut rows = 0;
    for table in &tables {
        let (there, here) = (
            count(&mut source, table).await?,
            count(&mut copied, table).await?,
        );
        if there != here {
            return Err(format!("{table}: the store has {there} rows, the copy {here}").into());
        }
        rows += here;
    }
    Ok(format!(
        "{} in {}",
        counted(rows, "row"),
        counted(tables.len() as u64, "table")
    ))
}

/// Waits until something stands in the file: then SQLite reads the state that it copies.
async fn begun(target: &Path) {
    while fs::metadata(target).is_ok_and(|file| file.len() == 0) {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn tables(db: &mut SqliteConnection) -> sqlx::Result<Vec<String>> {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'";
    sqlx::query_scalar(tables).fetch_all(db).await
}

async fn count(db: &mut SqliteConnection, table: &str) -> sqlx::Result<u64> {
    let count = format!("SELECT count(*) FROM \"{table}\"");
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(count))
        .fetch_one(db)
        .await?;
    Ok(count.unsigned_abs())
}

/// Names the command that makes a backup, as an error, because no backup was made.
fn other_tool(address: &str, path: &Path) -> Result<Error> {
    let path = path.to_string_lossy();
    let command = if address.starts_with("mysql:") {
        mariadb_dump(address, &path)?
    } else {
        pg_dump(address, &path)?
    };
    Ok(Error::Message(format!(
        "no backup was made: the tool of this database makes it, while the server runs:\n\n  {command}\n"
    )))
}

/// The command asks for the password. That of MySQL is `mysqldump`.
fn mariadb_dump(address: &str, path: &str) -> Result<String> {
    let at = MySqlConnectOptions::from_str(address).map_err(Error::wrap)?;
    let mut command = "mariadb-dump --single-transaction".to_owned();
    if let Some(socket) = at.get_socket() {
        argument(&mut command, " --socket=", &socket.to_string_lossy());
    } else {
        argument(&mut command, " --protocol=TCP --host=", at.get_host());
        argument(&mut command, " --port=", &at.get_port().to_string());
    }
    command += match at.get_ssl_mode() {
        MySqlSslMode::Disabled => " --skip-ssl",
        MySqlSslMode::Preferred => "",
        MySqlSslMode::Required => " --ssl --skip-ssl-verify-server-cert",
        MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity => " --ssl --ssl-verify-server-cert",
    };
    if let Some(certificates) = certificates(address) {
        argument(&mut command, " --ssl-ca=", &certificates);
    }
    argument(&mut command, " --user=", at.get_username());
    argument(&mut command, " --password --result-file=", path);
    argument(&mut command, " ", at.get_database().unwrap_or_default());
    Ok(command)
}

/// The command asks for the password.
fn pg_dump(address: &str, path: &str) -> Result<String> {
    let at = PgConnectOptions::from_str(address).map_err(Error::wrap)?;
    let mode = match at.get_ssl_mode() {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    };
    let mut command = format!("PGSSLMODE={mode}");
    if let Some(certificates) = certificates(address) {
        argument(&mut command, " PGSSLROOTCERT=", &certificates);
    }
    let host = at
        .get_socket()
        .map_or_else(|| at.get_host().into(), |socket| socket.to_string_lossy());
    argument(&mut command, " pg_dump --format=custom --host=", &host);
    argument(&mut command, " --port=", &at.get_port().to_string());
    argument(&mut command, " --username=", at.get_username());
    argument(&mut command, " --file=", path);
    let database = at.get_database().unwrap_or_else(|| at.get_username());
    argument(&mut command, " ", database);
    Ok(command)
}

/// The file of certificates by which the address wants the database's own to be checked.
fn certificates(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let mut options = url.query_pairs();
    let known = ["ssl-ca", "sslca", "sslrootcert", "ssl-root-cert"];
    let found = options.find(|(name, _)| known.contains(&name.as_ref()));
    found.map(|(_, path)| path.into_owned())
}

/// Adds a value that a shell takes as one word.
fn argument(command: &mut String, name: &str, value: &str) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte);
    command.push_str(name);
    if !value.is_empty() && value.bytes().all(is_plain) {
        command.push_str(value);
    } else {
        let _ = write!(command, "'{}'", value.replace('\'', "'\\''"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_another_tool_connects_as_the_address_says_and_holds_no_password() {
        for (address, expected) in [
            (
                "mysql://boxcar:s3cret@127.0.0.1:3307/boxcar",
                "mariadb-dump --single-transaction --protocol=TCP --host=127.0.0.1 --port=3307 --user=boxcar \
                 --password --result-file=/backups/monday.dump boxcar",
            ),
            (
                "mysql://it%27s%20me:s3cret@db/a%20b?ssl-mode=VERIFY_IDENTITY&ssl-ca=/etc/ca.pem",
                "mariadb-dump --single-transaction --protocol=TCP --host=db --port=3306 --ssl \
                 --ssl-verify-server-cert --ssl-ca=/etc/ca.pem --user='it'\\''s me' --password \
                 --result-file=/backups/monday.dump 'a b'",
            ),
            (
                "postgres://boxcar:s3cret@db/boxcar?sslmode=require&password=s3cret",
                "PGSSLMODE=require pg_dump --format=custom --host=db --port=5432 --username=boxcar \
                 --file=/backups/monday.dump boxcar",
            ),
            (
                "postgres:///boxcar?host=/run/postgresql&user=boxcar&password=s3cret",
                "PGSSLMODE=prefer pg_dump --format=custom --host=/run/postgresql --port=5432 --username=boxcar \
                 --file=/backups/monday.dump boxcar",
            ),
        ] {
            let why = other_tool(address, Path::new("/backups/monday.dump")).unwrap();
            let why = why.to_string();
            assert!(!why.contains("s3cret"), "{why}");
            let command = why.lines().find_map(|line| line.strip_prefix("  "));
            assert_eq!(command, Some(expected));
        }
    }
}

//! Database servers of a test's own, which it may stop, kill and freeze.

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use sea_orm::Database;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{free_port, program::send};

/// How long a server may take to answer, or to end.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A server that runs as long as this value exists.
pub struct Service {
    name: &'static str,
    directory: TempDir,
    port: u16,
    process: Mutex<Child>,
}

impl Service {
    /// Starts a MariaDB.
    pub async fn mariadb() -> Self {
        Self::start("mariadb").await
    }

    /// Starts a PostgreSQL.
    pub async fn postgres() -> Self {
        Self::start("postgres").await
    }

    /// Starts a Redis, which keeps nothing on disk.
    pub async fn redis() -> Self {
        Self::start("redis").await
    }

    async fn start(name: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let process = Mutex::new(spawn(name, &directory, port));
        let service = Self {
            name,
            directory,
            port,
            process,
        };
        service.ready().await;
        service
    }

    /// Its address.
    pub fn uri(&self) -> String {
        match self.name {
            "redis" => format!("redis://127.0.0.1:{}", self.port),
            "postgres" => format!("postgres://boxcar:boxcar@127.0.0.1:{}/boxcar", self.port),
            _ => format!("mysql://boxcar:boxcar@127.0.0.1:{}/boxcar", self.port),
        }
    }

    /// Suspends it: connections stay, and get no answer.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on as if it had never stood still.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Starts it again after it was stopped or killed.
    pub async fn resume(&self) {
        *self.process.lock().unwrap() = spawn(self.name, &self.directory, self.port);
        self.ready().await;
    }

    /// Stops it as an administrator would.
    pub async fn stop(&self) {
        // To PostgreSQL, TERM means to wait until every client has left.
        self.signal(if self.name == "postgres" {
            "-INT"
        } else {
            "-TERM"
        });
        self.ended().await;
    }

    /// Ends it as a crash would.
    pub async fn kill(&self) {
        // A process that stands still neither starts another one nor cleans up after one.
        self.freeze();
        self.signal("-KILL");
        self.ended().await;
    }

    async fn ready(&self) {
        let deadline = Instant::now() + TIMEOUT;
        while !self.answers().await {
            let ended = self.process.lock().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{} does not answer: {ended:?} {}",
                self.name,
                fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn answers(&self) -> bool {
        let listens = TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
        listens && (self.name == "redis" || Database::connect(self.uri()).await.is_ok())
    }

    async fn ended(&self) {
        let deadline = Instant::now() + TIMEOUT;
        while self.process.lock().unwrap().try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "{} does not end", self.name);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a signal to the server, and to the processes that it has for its connections.
    fn signal(&self, signal: &str) {
        let mut process = self.process.lock().unwrap();
        if process.try_wait().unwrap().is_some() {
            return;
        }
        let id = process.id();
        drop(process);
        // One of its children may have ended in between.
        send(signal, &[vec![id], children(id)].concat());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.thaw();
        // To PostgreSQL, QUIT means to end at once. Killed, it would leave its shared memory behind.
        self.signal(if self.name == "postgres" {
            "-QUIT"
        } else {
            "-KILL"
        });
        drop(self.process.lock().unwrap().wait());
    }
}

/// Starts a server in this test's process group, which ends with a signal to all of it: from a
/// terminal, or from `.ci/run`. When this thread ends, the kernel kills the server.
fn spawn(name: &str, directory: &TempDir, port: u16) -> Child {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/bin/services"))
        .args(["run", name])
        .arg(directory.path())
        .arg(port.to_string())
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn children(id: u32) -> Vec<u32> {
    let output = Command::new("pgrep").args(["-P", &id.to_string()]).output();
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    output.lines().map(|id| id.parse().unwrap()).collect()
}

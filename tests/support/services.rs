//! Servers of a test's own, which it may stop: a database, a Redis.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::free_port;

/// A server that is there as long as this is.
pub struct Service {
    name: &'static str,
    directory: TempDir,
    port: u16,
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

    /// Starts a Redis. It keeps nothing on disk.
    pub async fn redis() -> Self {
        Self::start("redis").await
    }

    async fn start(name: &'static str) -> Self {
        let server = Self {
            name,
            directory: tempfile::Builder::new()
                .prefix("boxcar-")
                .tempdir()
                .unwrap(),
            port: free_port(),
        };
        server.resume().await;
        server
    }

    /// Where it is.
    pub fn uri(&self) -> String {
        match self.name {
            "redis" => format!("redis://127.0.0.1:{}", self.port),
            "postgres" => format!("postgres://boxcar:boxcar@127.0.0.1:{}/boxcar", self.port),
            _ => format!("mysql://boxcar:boxcar@127.0.0.1:{}/boxcar", self.port),
        }
    }

    /// Makes it stand still: connections stay, and nobody is answered.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on as if nothing had happened.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Sends it to the server, and to the processes that it has for its connections.
    fn signal(&self, signal: &str) {
        let pid = fs::read_to_string(self.directory.path().join("pid")).unwrap();
        send(signal, &[pid.trim()]);
        let children = Command::new("pgrep").args(["-P", pid.trim()]).output();
        let children = String::from_utf8(children.unwrap().stdout).unwrap();
        let children: Vec<_> = children.lines().collect();
        if !children.is_empty() {
            send(signal, &children);
        }
    }

    /// Starts it again after it was stopped or killed.
    pub async fn resume(&self) {
        self.services("start", Some(self.port)).await;
    }

    /// Stops it as an administrator would.
    pub async fn stop(&self) {
        self.services("stop", None).await;
    }

    /// Ends it as a crash would.
    pub async fn kill(&self) {
        self.services("kill", None).await;
    }

    async fn services(&self, verb: &'static str, port: Option<u16>) {
        let (name, directory) = (self.name, self.directory.path().to_owned());
        let output = spawn_blocking(move || services(verb, name, &directory, port))
            .await
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{verb}: {stderr}");
    }
}

/// One of them may have ended by itself meanwhile.
fn send(signal: &str, processes: &[&str]) {
    let sent = Command::new("kill").arg(signal).args(processes).output();
    assert!(sent.is_ok(), "there is no kill");
}

impl Drop for Service {
    fn drop(&mut self) {
        if !services("destroy", self.name, self.directory.path(), None)
            .status
            .success()
        {
            eprintln!("a {} was left behind", self.name);
        }
    }
}

fn services(verb: &str, name: &str, directory: &Path, port: Option<u16>) -> Output {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/bin/services"))
        .args([verb, name])
        .arg(directory)
        .args(port.map(|port| port.to_string()))
        .output()
        .unwrap()
}

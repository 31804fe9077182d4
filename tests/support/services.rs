//! A database server of a test's own, which it may stop.

use std::{
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::free_port;

/// A MariaDB that is there as long as this is.
pub struct MariaDb {
    directory: TempDir,
    port: u16,
}

impl MariaDb {
    /// Starts one.
    pub async fn start() -> Self {
        let server = Self {
            directory: tempfile::Builder::new()
                .prefix("boxcar-")
                .tempdir()
                .unwrap(),
            port: free_port(),
        };
        server.resume().await;
        server
    }

    /// The URL of its database.
    pub fn uri(&self) -> String {
        format!("mysql://boxcar:boxcar@127.0.0.1:{}/boxcar", self.port)
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
        let directory = self.directory.path().to_owned();
        let output = spawn_blocking(move || services(verb, &directory, port))
            .await
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{verb}: {stderr}");
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        if !services("destroy", self.directory.path(), None)
            .status
            .success()
        {
            eprintln!("a database server was left behind");
        }
    }
}

fn services(verb: &str, directory: &Path, port: Option<u16>) -> Output {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/bin/services"))
        .args([verb, "mariadb"])
        .arg(directory)
        .args(port.map(|port| port.to_string()))
        .output()
        .unwrap()
}

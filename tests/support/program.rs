//! The real program, in a process of its own: for what standard output, standard input, exit codes
//! and environment variables promise.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long a program may take to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program, about to be started in a directory of its own, with no environment but what a test
/// gives it.
pub struct Program {
    directory: TempDir,
    command: Command,
}

/// What has come of a program.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// The program while it runs. It ends with this.
pub struct InFlight {
    directory: TempDir,
    child: Child,
}

impl Program {
    /// The program with that `config/<environment>.yaml`, on a database of its own.
    pub fn new(environment: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("boxcar.sqlite");
        let mut command = Command::new(env!("CARGO_BIN_EXE_boxcar-cli"));
        command
            .env_clear()
            .env("LOCO_ENV", environment)
            .env(
                "LOCO_CONFIG_FOLDER",
                concat!(env!("CARGO_MANIFEST_DIR"), "/config"),
            )
            .current_dir(directory.path());
        let program = Self { directory, command };
        program.on(&format!("sqlite://{}?mode=rwc", database.display()))
    }

    /// The program as a container holds it: a copy of it, started by a user who is not root in a folder that is
    /// empty and stays so. That user may write into the folder that the program gets as `/data`.
    pub fn contained(environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [binary, empty, data] =
            ["boxcar-cli", "empty", "data"].map(|name| directory.path().join(name));
        copy_of_program(&binary);
        fs::create_dir(&empty).unwrap();
        fs::create_dir(&data).unwrap();
        let is_root = fs::metadata(&data).unwrap().uid() == 0;
        let mut command = if is_root {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=10001", "--regid=10001", "--clear-groups"])
                .arg(binary);
            chown(&data, Some(10001), Some(10001)).unwrap();
            command
        } else {
            Command::new(binary)
        };
        for path in [directory.path(), &empty] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        if !is_root {
            fs::set_permissions(&empty, Permissions::from_mode(0o555)).unwrap();
        }
        let path = std::env::var_os("PATH").unwrap();
        command.env_clear().env("PATH", path).current_dir(empty);
        for (name, value) in environment {
            command.env(
                name,
                value.replace("/data/", &format!("{}/", data.display())),
            );
        }
        Self { directory, command }
    }

    /// The program in production, with a secret of its own.
    pub fn production() -> Self {
        let secret = BASE64_STANDARD.encode(rand::random::<[u8; 64]>());
        Self::new("production").env("JWT_SECRET", &secret)
    }

    /// The same, on another database.
    pub fn on(self, database: &str) -> Self {
        self.env("DATABASE_URL", database)
    }

    /// The same, with an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// The same, without an environment variable.
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// The same, with a file in its directory.
    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// The same, with a file in its directory that standard input reads.
    pub fn input(self, text: &str) -> Self {
        let mut program = self.file("input", text);
        let input = File::open(program.directory.path().join("input"));
        program.command.stdin(input.unwrap());
        program
    }

    /// The same, with a standard input on which nothing comes.
    pub fn silent_input(mut self) -> Self {
        self.command.stdin(Stdio::piped());
        self
    }

    /// Runs it to its end.
    pub async fn run(self, arguments: &[&str]) -> Outcome {
        self.start(arguments).end().await
    }

    /// Starts it. Its output goes to files, which cannot be full as pipes can.
    pub fn start(mut self, arguments: &[&str]) -> InFlight {
        let file = |name| Stdio::from(File::create(self.directory.path().join(name)).unwrap());
        self.command
            .args(arguments)
            .stdout(file("stdout"))
            .stderr(file("stderr"));
        let child = self.command.spawn().unwrap();
        InFlight {
            directory: self.directory,
            child,
        }
    }
}

/// Copies the program. By a process of its own: while this one has the copy open, a process that another test starts
/// has it open too for a moment, and what is open for writing cannot be run.
pub fn copy_of_program(to: &Path) {
    let mut copy = Command::new("cp");
    let copied = copy.arg(env!("CARGO_BIN_EXE_boxcar-cli")).arg(to).status();
    assert!(copied.unwrap().success());
}

impl InFlight {
    /// Kills it: it has no time to finish anything.
    pub fn kill(&self) {
        self.signal("-KILL");
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// How much memory it has, in bytes.
    #[cfg(target_os = "linux")]
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let resident = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kibibytes = resident.unwrap().split_whitespace().nth(1).unwrap();
        kibibytes.parse::<u64>().unwrap() * 1024
    }

    /// Sends it a signal, which `kill` knows by that name.
    pub fn signal(&self, signal: &str) {
        assert!(send(signal, &[self.child.id()]));
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it came to, if it has ended.
    pub fn ended(&mut self) -> Option<Outcome> {
        let status = self.child.try_wait().unwrap()?;
        Some(self.outcome(status))
    }

    /// What it comes to.
    pub async fn end(mut self) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(outcome) = self.ended() {
                return outcome;
            }
            assert!(Instant::now() < deadline, "the program does not end");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The path of a file in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn outcome(&self, status: ExitStatus) -> Outcome {
        Outcome {
            code: status.code(),
            stdout: self.read("stdout"),
            stderr: self.read("stderr"),
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // Fails when it has ended already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends processes a signal, which `kill` knows by that name. False when one of them is missing.
pub fn send(signal: &str, processes: &[u32]) -> bool {
    let processes = processes.iter().map(u32::to_string);
    let sent = Command::new("kill").arg(signal).args(processes).output();
    sent.unwrap().status.success()
}

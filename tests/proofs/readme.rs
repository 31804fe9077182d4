//! The first session of README.md: each block of commands prints the block of text that follows it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use crate::support::{Program, Server};

const README: &str = include_str!("../../README.md");

#[tokio::test]
async fn the_first_session_prints_what_stands_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("shop.sqlite");
    let database = format!("sqlite://{}?mode=rwc", database.display());
    let server = Server::start(Program::new("development").on(&database)).await;
    install_cargo(directory.path(), &database);

    let (_, session) = README.split_once("## A first session").unwrap();
    let (session, _) = session.split_once("\n## ").unwrap();
    let here = format!("localhost:{}", server.port);
    let script = blocks(session, "sh").replace("localhost:5150", &here);
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .env_clear()
        .env("PATH", format!("{}:{path}", directory.path().display()))
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        printed,
        blocks(session, "text"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A `cargo` that runs commands of this build on that database, instead of building the program again.
fn install_cargo(directory: &Path, database: &str) {
    let cargo = directory.join("cargo");
    let (program, config) = (
        env!("CARGO_BIN_EXE_boxcar-cli"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/config"),
    );
    let script = format!(
        "#!/bin/sh\nshift\nexport LOCO_CONFIG_FOLDER='{config}' DATABASE_URL='{database}'\nexec '{program}' \"$@\"\n"
    );
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The blocks of that language, one after the other.
fn blocks(markdown: &str, language: &str) -> String {
    let opening = format!("```{language}\n");
    let blocks = markdown.split(&opening).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

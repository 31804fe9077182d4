//! What `Dockerfile`, `compose.yaml` and the service's unit promise, where no container runs.

use std::{collections::BTreeSet, fs, process::Command};

use axum::http::Method;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::support::{PASSWORD, Program, Server};

const DOCKERFILE: &str = include_str!("../../Dockerfile");

const CONFIG: &str = include_str!("../../config/production.yaml");

#[tokio::test]
async fn the_image_needs_the_program_and_a_volume_and_no_other_file() {
    let secret = BASE64_STANDARD.encode(rand::random::<[u8; 64]>());
    let mut environment = image_environment();
    environment.extend([
        ("JWT_SECRET", &*secret),
        ("ADMIN_USERNAME", "root"),
        ("ADMIN_PASSWORD", PASSWORD),
    ]);
    let server = Server::start(Program::contained(&environment)).await;
    let login = json!({ "username": "root", "password": PASSWORD });
    let answer = server
        .request(Method::POST, "/api/v1/auth/login", None, Some(&login))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(names(&server, "empty"), [""; 0]);
    let files = ["boxcar.sqlite", "boxcar.sqlite-shm", "boxcar.sqlite-wal"];
    assert_eq!(names(&server, "data"), files);
}

#[tokio::test]
async fn the_health_check_of_the_image_fails_with_readiness() {
    let secret = BASE64_STANDARD.encode(rand::random::<[u8; 64]>());
    let mut environment = image_environment();
    environment.extend([("JWT_SECRET", &*secret), ("SHUTDOWN_DELAY_SECONDS", "60")]);
    let server = Server::start(Program::contained(&environment)).await;
    let healthy = || {
        let [program, arguments @ ..] = &health_check()[..] else {
            panic!("there is no health check");
        };
        let mut check = Command::new(program);
        let checked = check
            .args(arguments)
            .env("PORT", server.port.to_string())
            .status();
        checked.unwrap().success()
    };
    assert!(healthy());
    server.terminate();
    while server.ask(Method::GET, "/_readiness").await.unwrap().status != 503 {}
    assert!(!healthy());
    server.kill();
}

#[cfg(target_os = "linux")]
#[test]
fn the_program_needs_no_library_that_a_small_image_lacks() {
    let listed = Command::new("ldd")
        .arg(env!("CARGO_BIN_EXE_boxcar-cli"))
        .output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    for line in listed.lines() {
        let library = line.split_whitespace().next().unwrap();
        let library = library.rsplit('/').next().unwrap();
        let known = [
            "linux-vdso",
            "ld-linux",
            "libc.so",
            "libm.so",
            "libgcc_s.so",
        ];
        assert!(
            known.iter().any(|known| library.starts_with(known)),
            "{line}"
        );
    }
}

#[test]
fn every_variable_of_the_image_and_of_compose_is_read() {
    let compose: Value = yaml_serde::from_str(include_str!("../../compose.yaml")).unwrap();
    let node = compose["x-node"]["environment"].as_object().unwrap();
    let names: BTreeSet<_> = node.keys().map(String::as_str).collect();
    assert!(names.contains("JWT_SECRET"));
    let image = image_environment();
    for name in image.iter().map(|(name, _)| *name).chain(names) {
        let read = name == "LOCO_ENV" || CONFIG.contains(&format!("get_env(name=\"{name}\""));
        assert!(read, "{name}");
    }
}

/// The variables that the image sets.
fn image_environment() -> Vec<(&'static str, &'static str)> {
    let lines = DOCKERFILE.lines();
    let variables = lines.filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    let variables: Vec<_> = variables.collect();
    assert!(!variables.is_empty());
    variables
}

fn health_check() -> Vec<String> {
    let lines = DOCKERFILE.lines();
    let check = lines
        .skip_while(|line| !line.starts_with("HEALTHCHECK"))
        .nth(1);
    let check = check.unwrap().trim().strip_prefix("CMD ").unwrap();
    serde_json::from_str(check).unwrap()
}

fn names(server: &Server, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(server.path(folder)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

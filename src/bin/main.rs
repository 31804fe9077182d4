//! The server and its commands: `boxcar-cli --help`.

use std::process::ExitCode;

use boxcar::{app::App, models::connection, signals};
use loco_rs::cli;
use migration::Migrator;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(debug_assertions)]
    if let Some(status) = scaffold() {
        return status;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> loco_rs::Result<()> {
    let runtime = Runtime::new()?;
    let command = Box::pin(cli::main::<App, Migrator>());
    let outcome = runtime.block_on(connection::closing(signals::heeding(command)));
    // Dropped, the runtime would wait for a prompt that a signal has ended.
    runtime.shutdown_background();
    outcome
}

/// `generate scaffold` is this repository's own: Loco's makes four of the files of a resource, and asks
/// `sea-orm-cli` for another.
#[cfg(debug_assertions)]
fn scaffold() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let ["generate" | "g", "scaffold", resource @ ..] =
        &*arguments.iter().map(String::as_str).collect::<Vec<_>>()
    else {
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bin/scaffold");
    let status = std::process::Command::new(script).args(resource).status();
    let made = status.is_ok_and(|status| status.success());
    Some(if made {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

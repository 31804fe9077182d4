//! The server and its commands: `boxcar-cli --help`.

use std::process::ExitCode;

use boxcar::{app::App, models::connection, signals};
use loco_rs::cli;
use migration::Migrator;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
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

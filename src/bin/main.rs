//! The server and its commands: `boxcar-cli --help`.

use std::process::ExitCode;

use boxcar::{app::App, commands, models::connection, signals};
use clap::{Parser, error::ErrorKind};
use loco_rs::{
    boot::StartMode,
    cli,
    environment::{Environment, resolve_from_env},
};
use migration::Migrator;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Boxcar's own commands, which replace Loco's.
#[derive(Parser)]
#[command(name = "Boxcar", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[arg(short, long, global = true)]
    environment: Option<String>,
}

#[derive(clap::Subcommand)]
enum Command {
    #[command(alias = "s")]
    Start {
        #[arg(short, long)]
        all: bool,
        #[arg(short, long)]
        binding: Option<String>,
        #[arg(short, long)]
        port: Option<i32>,
        /// Accepted because Loco's command has it: the server prints no banner.
        #[arg(short, long)]
        no_banner: bool,
    },
    Doctor {
        #[arg(short, long)]
        production: bool,
    },
}

fn main() -> ExitCode {
    #[cfg(debug_assertions)]
    if let Some(status) = scaffold() {
        return status;
    }
    let own = match Cli::try_parse() {
        Ok(own) => Some(own),
        Err(error) if error.kind() == ErrorKind::DisplayVersion => error.exit(),
        // The other commands are Loco's, and so is what is wrong with them.
        Err(error) => {
            if error.kind() == ErrorKind::DisplayHelp {
                println!("Boxcar {}\n", env!("CARGO_PKG_VERSION"));
            }
            None
        }
    };
    match run(own) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(own: Option<Cli>) -> loco_rs::Result<()> {
    let runtime = Runtime::new()?;
    let command = Box::pin(async {
        match own {
            Some(own) => own.run().await,
            None => Box::pin(cli::main::<App, Migrator>()).await,
        }
    });
    let outcome = runtime.block_on(connection::closing(signals::heeding(command)));
    // Dropped, the runtime would wait for a prompt that a signal has ended.
    runtime.shutdown_background();
    outcome
}

impl Cli {
    async fn run(self) -> loco_rs::Result<()> {
        let environment = self.environment.unwrap_or_else(resolve_from_env).into();
        match self.command {
            Command::Doctor { production: true } => {
                commands::doctor(&Environment::Production).await
            }
            Command::Doctor { .. } => commands::doctor(&environment).await,
            Command::Start {
                all, binding, port, ..
            } => {
                let mode = if all {
                    StartMode::All
                } else {
                    StartMode::ServerOnly
                };
                commands::start(&environment, mode, binding, port).await
            }
        }
    }
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

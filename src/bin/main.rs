//! The server and its commands: `boxcar-cli --help`.

use boxcar::app::App;
use loco_rs::cli;
use migration::Migrator;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> loco_rs::Result<()> {
    Box::pin(cli::main::<App, Migrator>()).await
}

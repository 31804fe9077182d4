//! Signals: how a command ends before it is done.

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
};

use loco_rs::{Error, Result, boot::shutdown_signal};
use tokio::sync::Notify;

/// Whether the command has become a server, which ends by itself when it is asked to.
static SERVING: AtomicBool = AtomicBool::new(false);

/// Asks the server to end.
static END: Notify = Notify::const_new();

/// Runs a command to its end, or until SIGINT or SIGTERM. A server is asked to end then; every other
/// command stops where it is, and what it has not committed is rolled back.
///
/// # Errors
/// The command's own; and when a signal has stopped it.
pub async fn heeding(command: impl Future<Output = Result<()>>) -> Result<()> {
    let mut command = pin!(command);
    tokio::select! {
        // The signals first: a command may take long to its first pause.
        biased;
        () = shutdown_signal() => {}
        outcome = &mut command => return outcome,
    }
    if SERVING.load(Ordering::Relaxed) {
        END.notify_one();
        return command.await;
    }
    Err(Error::string(
        "a signal has stopped the command before its end: what it had not committed is rolled back",
    ))
}

/// Waits until the server is asked to end. From now on a signal stops it in no other way.
pub async fn asked_to_end() {
    SERVING.store(true, Ordering::Relaxed);
    END.notified().await;
}

//! Signals: how a command ends before it is done.

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
};

use loco_rs::{Error, Result, boot::shutdown_signal};
use tokio::sync::Notify;

/// Whether the command ends by itself when it is asked to, as the server does.
static ENDS_BY_ITSELF: AtomicBool = AtomicBool::new(false);

/// Asks the command to end.
static END: Notify = Notify::const_new();

/// Runs a command to its end, or until SIGINT or SIGTERM. A command that waits for it is
/// [asked to end](asked_to_end) then; every other stops where it is, and what it has not committed is
/// rolled back.
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
    if ENDS_BY_ITSELF.load(Ordering::Relaxed) {
        END.notify_one();
        return command.await;
    }
    Err(Error::string(
        "a signal has stopped the command before its end: what it had not committed is rolled back",
    ))
}

/// Waits until the command is asked to end. From this call on a signal stops it in no other way.
pub fn asked_to_end() -> impl Future<Output = ()> {
    ENDS_BY_ITSELF.store(true, Ordering::Relaxed);
    END.notified()
}

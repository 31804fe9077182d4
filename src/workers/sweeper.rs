//! Ends holds and checkouts that are past their time, on every node.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    context::Context,
    models::{
        Actor,
        checkouts::{self, Buyer, Swept},
    },
};

/// Sweeps now and then, until the server ends. A sweep that fails is made up for by the next.
pub async fn run(ctx: Context, every: Duration) {
    loop {
        tokio::select! {
            () = ctx.draining.begun() => return,
            () = sleep(every) => {}
        }
        match sweep(&ctx).await {
            Ok(swept) if swept == Swept::default() => {}
            Ok(Swept {
                released,
                expired,
                forgotten,
            }) => {
                tracing::info!(
                    released,
                    expired,
                    forgotten,
                    "checkouts past their time were ended"
                );
            }
            Err(error) => {
                tracing::warn!(
                    error = error.to_string(),
                    "checkouts past their time could not be ended"
                );
            }
        }
    }
}

/// Ends what is past its time now.
///
/// # Errors
/// When the database does not answer.
pub async fn sweep(ctx: &Context) -> crate::models::Result<Swept> {
    let actor = Actor::system();
    let rules = ctx.checkout_rules(&actor, Buyer::Staff, None);
    checkouts::Model::sweep(&ctx.caused_by(actor.clone()), &rules).await
}

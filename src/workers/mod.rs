//! What happens without anybody waiting for it.

pub mod mails;
pub mod relay;
pub mod sweeper;
pub mod webhooks;
pub mod wire;

//! What happens after the commit, without anybody waiting for it.

pub mod mails;
pub mod relay;
pub mod webhooks;
pub mod wire;

//! What handlers take: who is calling, and what they sent. Every rejection is a problem.

pub mod cached;
pub mod caller;
mod conditional;
pub mod entry;
mod idempotent;
mod json;
mod path;
mod query;

pub use self::{
    cached::Cached,
    caller::{Account, Address, Admin},
    conditional::{IfMatch, Tags},
    entry::Entry,
    idempotent::{Fingerprints, Idempotent, Once, key_of},
    json::Json,
    path::{ListOf, Path},
    query::Query,
};

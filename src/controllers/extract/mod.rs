//! What handlers take: who is calling, and what they sent. Every rejection is a problem.

mod caller;
mod idempotent;
mod json;
mod path;
mod query;

pub use self::{
    caller::{Account, Admin},
    idempotent::{Idempotent, Once},
    json::Json,
    path::{ListOf, Path},
    query::Query,
};

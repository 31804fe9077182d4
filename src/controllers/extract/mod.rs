//! What handlers take: who is calling, and what they sent. Every rejection is a problem.

pub mod cached;
pub mod caller;
mod conditional;
pub mod entry;
mod idempotent;
mod json;
mod path;
mod query;
mod visitor;

use utoipa::{
    IntoParams,
    openapi::path::{Parameter, ParameterBuilder, ParameterIn},
};

pub use self::{
    cached::Cached,
    caller::{Account, Address, Admin, Caller, Identity, Oneself, RequestContext},
    conditional::{IfMatch, Tags},
    entry::Entry,
    idempotent::{Idempotent, key_of},
    json::Json,
    path::{CheckoutItemPath, CheckoutPath, Id, Ids, ParentId},
    query::Query,
    visitor::Visitor,
};

/// Says in a handler's `params` that it takes an `Idempotency-Key`, as [`Idempotent`] does.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyKey;

/// Lets an extractor say in a handler's `params` what it takes. The document describes it once for all.
macro_rules! documented {
    ($($extractor:ty: $place:ident $($name:literal)+),* $(,)?) => {$(
        impl IntoParams for $extractor {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                let named = |name| ParameterBuilder::new().name(name).parameter_in(ParameterIn::$place);
                vec![$(named($name).build()),+]
            }
        }
    )*};
}

documented! {
    Id: Path "id",
    Ids: Path "id" "address_id",
    ParentId: Path "id",
    CheckoutPath: Path "id",
    CheckoutItemPath: Path "id" "product_id",
    Cached: Header "If-Match" "If-None-Match",
    IfMatch: Header "If-Match",
    IdempotencyKey: Header "Idempotency-Key",
}

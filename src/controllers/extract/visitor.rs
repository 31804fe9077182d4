//! Who visits the shop without having logged in: their browser calls with a publishable key, or a storefront does with
//! a secret one.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::caller::{Address, Caller};
use crate::{
    context::Context,
    models::{Actor, Error, Transaction, deadline::Deadline, events::Cause, queue::Client},
    views::problem::Problem,
};

/// A visitor.
#[derive(Clone, Debug)]
pub struct Visitor {
    caller: Caller,
    /// Where they are.
    pub address: Address,
}

impl Visitor {
    /// Whose turn it is when something takes long.
    #[must_use]
    pub const fn client(&self) -> Client {
        Client::at(self.address.0)
    }

    /// What they have caused, as the one who they turn out to be.
    #[must_use]
    pub fn cause(&self, actor: Actor) -> Cause {
        Cause {
            actor,
            ..self.caller.cause()
        }
    }

    /// The clock of their request.
    #[must_use]
    pub fn deadline(&self) -> &Deadline {
        self.caller.deadline()
    }

    /// Refuses them in a transaction when the credential has ended since their request began.
    ///
    /// # Errors
    /// [`Error::Revoked`].
    pub async fn admit(&self, txn: &Transaction) -> Result<(), Error> {
        self.caller.admit(txn, false).await
    }
}

impl FromRequestParts<Context> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ctx: &Context) -> Result<Self, Problem> {
        Ok(Self {
            caller: Caller::from_request_parts(parts, ctx).await?,
            address: Address::from_request_parts(parts, ctx).await?,
        })
    }
}

//! What the log will say of a request beside what was asked.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{extract::FromRequestParts, http::request::Parts};

use super::caller::Identity;
use crate::models::{api_keys::Permit, customer_accounts::Model};

/// The request's entry in the log, which is written when its answer is known. What can be secret
/// does not go into it: no values of fields, no passwords, and not what was typed as a username.
#[derive(Clone, Debug, Default)]
pub struct Entry(Arc<Mutex<Facts>>);

/// What is known of a request.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Its id.
    pub request_id: Arc<str>,
    /// Where it comes from.
    pub address: Option<IpAddr>,
    /// Who sent it: the account behind its token, or the one of the login that was tried.
    pub account: Option<Arc<Model>>,
    /// The key that it was sent with.
    pub api_key: Option<Arc<Permit>>,
    /// The digest of the username in a login, which is often a password that was typed in the wrong field.
    pub username_digest: Option<String>,
    /// Which fields of an account it has changed.
    pub changed: Vec<&'static str>,
}

impl Entry {
    /// Notes some of the facts.
    pub fn note(&self, note: impl FnOnce(&mut Facts)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes who sends it, if that is known, and from where.
    pub fn sent_by(&self, sender: Option<&Identity>, address: IpAddr) {
        self.note(|facts| {
            facts.address = Some(address);
            match sender {
                Some(Identity::Account(account)) => facts.account = Some(Arc::clone(account)),
                Some(Identity::Key(permit)) => facts.api_key = Some(Arc::clone(permit)),
                None => {}
            }
        });
    }

    /// What was noted.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl<S: Sync> FromRequestParts<S> for Entry {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

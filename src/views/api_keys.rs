//! API keys on the wire. A key itself is shown once, when it is made.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::{
    api_keys::Model,
    types::{KeyKind, KeyScope},
};

/// An API key, without the key itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKey {
    /// Its id.
    id: i64,
    /// What it is for.
    name: String,
    /// For whom it is.
    #[schema(value_type = KeyKind)]
    kind: String,
    /// What a secret key may do. `:write` contains `:read`.
    #[schema(value_type = Vec<KeyScope>)]
    scopes: Vec<&'static str>,
    /// The first characters of the key, by which its owner knows it.
    prefix: String,
    /// How often it may be used; `null`: as often as an account.
    #[schema(required)]
    rate_limit: Option<RateLimit>,
    /// When it ends; `null`: when it is deleted.
    #[schema(required)]
    #[serde(serialize_with = "super::moment_or_null")]
    expires_at: Option<DateTime<Utc>>,
    /// When it was last used, a minute late at most.
    #[schema(required)]
    #[serde(serialize_with = "super::moment_or_null")]
    last_used_at: Option<DateTime<Utc>>,
    /// Who has made it; `null`: a command.
    #[schema(required)]
    created_by: Option<Creator>,
    /// When it was made.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
}

/// How often a key may be used.
#[derive(Debug, Serialize, ToSchema)]
pub struct RateLimit {
    /// How many requests, for each route and method; of a publishable key from each address. 0: any number.
    requests: i64,
    /// In how many seconds.
    period_seconds: i64,
}

/// The account that has made a key, even when it is gone.
#[derive(Debug, Serialize, ToSchema)]
pub struct Creator {
    /// Its id.
    id: i64,
    /// Its name at that time; `erased` when it belonged to a customer who was deleted.
    username: String,
}

/// A new API key, with the key itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewApiKey {
    #[serde(flatten)]
    api_key: ApiKey,
    /// The key. It is shown only now: the response to a repeated request does not have it.
    #[schema(nullable = false)]
    key: Option<String>,
}

impl From<Model> for ApiKey {
    fn from(key: Model) -> Self {
        let scopes = key.scopes().into_iter().map(KeyScope::as_str).collect();
        let rate_limit = key.rate_limit().map(|limit| RateLimit {
            requests: limit.requests.get(),
            period_seconds: limit.period_seconds.get(),
        });
        let created_by = key.created_by_id.map(|id| Creator {
            id,
            username: key.created_by_name.unwrap_or_default(),
        });
        Self {
            id: key.id,
            name: key.name,
            kind: key.kind,
            scopes,
            prefix: key.prefix,
            rate_limit,
            expires_at: key.expires_at.map(|at| at.to_utc()),
            last_used_at: key.last_used_at.map(|at| at.to_utc()),
            created_by,
            created_at: key.created_at.to_utc(),
        }
    }
}

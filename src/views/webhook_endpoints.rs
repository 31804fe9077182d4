//! Webhook endpoints on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::webhook_endpoints::Model;

/// A webhook endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookEndpoint {
    /// Its id.
    id: i64,
    /// Where events are sent.
    url: String,
    /// What is sent.
    types: Vec<String>,
    /// What it is for.
    #[schema(required)]
    description: Option<String>,
    /// Whether events are sent.
    enabled: bool,
    /// Why nothing is sent: `by_hand`, `gone` (it has answered 410) or `failing`; `null` when it is enabled.
    #[schema(required)]
    disabled_reason: Option<String>,
    /// When it was added.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
    /// When it last changed.
    #[serde(serialize_with = "super::moment")]
    updated_at: DateTime<Utc>,
}

/// A webhook endpoint with a new secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookEndpointWithSecret {
    #[serde(flatten)]
    endpoint: WebhookEndpoint,
    /// The secret that signs what is sent. It is shown only now: the response to a repeated request does not have it.
    #[schema(nullable = false)]
    secret: Option<String>,
}

impl From<Model> for WebhookEndpoint {
    fn from(endpoint: Model) -> Self {
        let types = endpoint.subscriptions();
        Self {
            id: endpoint.id,
            types: types.map(|wanted| wanted.to_string()).collect(),
            url: endpoint.url,
            description: endpoint.description,
            enabled: endpoint.enabled,
            disabled_reason: endpoint.disabled_reason,
            created_at: endpoint.created_at.to_utc(),
            updated_at: endpoint.updated_at.to_utc(),
        }
    }
}

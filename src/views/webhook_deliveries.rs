//! Webhook deliveries on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::{
    deliveries::{self, Attempt},
    types::{DeliveryStatus, EventType},
    webhook_deliveries::{Entity, Model},
};

/// A webhook delivery: an event on its way to an endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookDelivery {
    /// Its id.
    id: i64,
    /// The endpoint that it goes to. It may be deleted.
    endpoint_id: i64,
    /// The event that it tells of. It may not be kept any more.
    event: WebhookDeliveryEvent,
    /// What has become of it.
    #[schema(value_type = DeliveryStatus)]
    status: String,
    /// The attempts so far, oldest first.
    attempts: Vec<DeliveryAttempt>,
    /// When the next attempt is made, if one is.
    #[schema(required)]
    #[serde(serialize_with = "super::moment_or_null")]
    next_attempt_at: Option<DateTime<Utc>>,
    /// When the event happened.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
    /// When it last changed.
    #[serde(serialize_with = "super::moment")]
    updated_at: DateTime<Utc>,
}

/// The event that a delivery tells of.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookDeliveryEvent {
    /// Its id.
    id: i64,
    /// What has happened.
    #[schema(value_type = EventType)]
    r#type: String,
}

/// An attempt at a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryAttempt {
    /// When it began.
    #[serde(serialize_with = "super::moment")]
    at: DateTime<Utc>,
    /// The status that was answered; `null` when there was no answer.
    #[schema(required)]
    status_code: Option<u16>,
    /// How long it took, in milliseconds.
    duration_ms: u64,
    /// Why it has failed; `null` when it has not.
    #[schema(required)]
    error: Option<String>,
}

impl From<Model> for WebhookDelivery {
    fn from(delivery: Model) -> Self {
        let attempts = deliveries::attempts::<Entity>(&delivery);
        Self {
            id: delivery.id,
            endpoint_id: delivery.endpoint_id,
            event: WebhookDeliveryEvent {
                id: delivery.event_id,
                r#type: delivery.event_type,
            },
            status: delivery.status,
            attempts: attempts.into_iter().map(DeliveryAttempt::from).collect(),
            next_attempt_at: delivery.next_attempt_at.map(|at| at.to_utc()),
            created_at: delivery.created_at.to_utc(),
            updated_at: delivery.updated_at.to_utc(),
        }
    }
}

impl From<Attempt> for DeliveryAttempt {
    fn from(attempt: Attempt) -> Self {
        let Attempt {
            at,
            status_code,
            duration_ms,
            error,
        } = attempt;
        Self {
            at,
            status_code,
            duration_ms,
            error,
        }
    }
}

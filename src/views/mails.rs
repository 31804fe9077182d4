//! Mails on the wire, without what they say.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::webhook_deliveries::DeliveryAttempt;
use crate::models::{
    deliveries,
    mails::{Entity, Model},
    types::{DeliveryStatus, MailTemplate},
};

/// A mail.
#[derive(Debug, Serialize, ToSchema)]
pub struct Mail {
    /// Its id.
    id: i64,
    /// The address that it goes to.
    to: String,
    /// Its subject.
    subject: String,
    /// What it tells.
    #[schema(value_type = MailTemplate)]
    template: String,
    /// The event that it tells of; `null` where somebody has asked for it.
    #[schema(required)]
    event_id: Option<i64>,
    /// How far it has come.
    #[schema(value_type = DeliveryStatus)]
    status: String,
    /// The attempts to send it, oldest first; `status_code` is the reply code of SMTP.
    attempts: Vec<DeliveryAttempt>,
    /// When it was written.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
}

impl From<Model> for Mail {
    fn from(mail: Model) -> Self {
        let attempts = deliveries::attempts::<Entity>(&mail);
        Self {
            id: mail.id,
            to: mail.recipient,
            subject: mail.subject,
            template: mail.template,
            event_id: mail.event_id,
            status: mail.status,
            attempts: attempts.into_iter().map(DeliveryAttempt::from).collect(),
            created_at: mail.created_at.to_utc(),
        }
    }
}

//! Events on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    api_keys::ApiKey, customer_accounts::CustomerAccount, customer_addresses::CustomerAddress,
    customers::Customer, orders::Order, products::Product, webhook_deliveries::WebhookDelivery,
    webhook_endpoints::WebhookEndpoint,
};
use crate::models::{
    Result,
    events::{Model, Subject},
    types::{ActorKind, EventType, SubjectKind},
};

/// What other people are called where they are not named.
const STAFF: &str = "staff";

/// Something that has happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Its id.
    id: i64,
    /// What has happened.
    #[schema(value_type = EventType)]
    r#type: String,
    /// When.
    #[serde(serialize_with = "super::moment")]
    occurred_at: DateTime<Utc>,
    /// To what.
    subject: EventSubject,
    /// By whom.
    actor: EventActor,
    /// The request that made it happen; `null` when that was a command.
    #[schema(required)]
    request_id: Option<String>,
    /// What GET of the subject answered right after it; of what was deleted, the id alone.
    #[schema(value_type = EventData)]
    data: Box<RawValue>,
}

/// An event as a webhook tells of it (Standard Webhooks 1.0, "Payload structure").
#[derive(Debug, Serialize)]
pub struct Message {
    id: i64,
    r#type: String,
    #[serde(serialize_with = "super::moment")]
    timestamp: DateTime<Utc>,
    subject: EventSubject,
    data: Box<RawValue>,
}

/// What an event shows of its subject.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum EventData {
    /// An order.
    Order(Box<Order>),
    /// A checkout.
    Checkout(Box<super::checkouts::Checkout>),
    /// A product.
    Product(Box<Product>),
    /// A shipping rate.
    ShippingRate(Box<super::shipping_rates::ShippingRate>),
    /// A tax rate.
    TaxRate(Box<super::tax_rates::TaxRate>),
    /// A discount.
    Discount(Box<super::discounts::Discount>),
    /// A customer.
    Customer(Box<Customer>),
    /// A customer account.
    CustomerAccount(Box<CustomerAccount>),
    /// An address of a customer.
    CustomerAddress(Box<CustomerAddress>),
    /// A webhook endpoint.
    WebhookEndpoint(Box<WebhookEndpoint>),
    /// A webhook delivery.
    WebhookDelivery(Box<WebhookDelivery>),
    /// An API key, never the key itself.
    ApiKey(Box<ApiKey>),
    /// What was deleted.
    Gone(Gone),
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Gone {
    /// Its id.
    id: i64,
    /// The API keys that a deleted account has made, which stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    api_keys: Vec<LeftKey>,
}

/// An API key that stays when the account is deleted that has made it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftKey {
    /// Its id.
    id: i64,
    /// Its name.
    name: String,
}

/// What something has happened to.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventSubject {
    /// What it is.
    #[schema(value_type = SubjectKind)]
    kind: String,
    /// Its id.
    id: i64,
}

/// Who has done it.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventActor {
    /// What they are.
    #[schema(value_type = ActorKind)]
    kind: String,
    /// Their id, which accounts and keys have.
    #[schema(required)]
    id: Option<i64>,
    /// Their name then: a username, or that of the command.
    name: String,
}

impl From<Model> for Event {
    fn from(event: Model) -> Self {
        Self {
            id: event.id,
            r#type: event.r#type,
            occurred_at: event.occurred_at.to_utc(),
            subject: EventSubject {
                kind: event.subject_kind,
                id: event.subject_id,
            },
            actor: EventActor {
                kind: event.actor_kind,
                id: event.actor_id,
                name: event.actor_name,
            },
            request_id: event.request_id,
            data: RawValue::from_string(event.data).unwrap_or_default(),
        }
    }
}

impl Event {
    /// The same, without who has done it if that was somebody else than the account with that id.
    #[must_use]
    pub fn without_others(mut self, account_id: Option<i64>) -> Self {
        let is_person = [ActorKind::Account, ActorKind::ApiKey]
            .iter()
            .any(|kind| kind.as_str() == self.actor.kind);
        let is_own = self.actor.kind == ActorKind::Account.as_str() && self.actor.id == account_id;
        if is_person && !(is_own && account_id.is_some()) {
            self.actor.id = None;
            STAFF.clone_into(&mut self.actor.name);
        }
        self
    }
}

impl From<Model> for Message {
    fn from(event: Model) -> Self {
        let Event {
            id,
            r#type,
            occurred_at,
            subject,
            data,
            ..
        } = event.into();
        Self {
            id,
            r#type,
            timestamp: occurred_at,
            subject,
            data,
        }
    }
}

impl Message {
    /// The body of a webhook: the same for the same event, every time.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self).map_err(loco_rs::Error::from)?)
    }
}

impl From<Subject> for Gone {
    fn from(subject: Subject) -> Self {
        let id = subject.id();
        let api_keys = match subject {
            Subject::FormerAccount(former) => former.api_keys,
            _ => Vec::new(),
        };
        let api_keys = api_keys.into_iter();
        Self {
            id,
            api_keys: api_keys.map(|(id, name)| LeftKey { id, name }).collect(),
        }
    }
}

impl EventData {
    /// What GET of a subject answers right after something has happened to it; of what was deleted, its id alone.
    pub fn new(happened: EventType, subject: Subject, currency: &str) -> Self {
        if happened.is_deletion() {
            return Self::Gone(subject.into());
        }
        match subject {
            Subject::Order(order) => Self::Order(Box::new((*order).into())),
            Subject::Checkout(checkout) => Self::Checkout(Box::new((*checkout).into())),
            Subject::Product(product) => Self::Product(Box::new(Product::new(*product, currency))),
            Subject::ShippingRate(shipping_rate) => {
                Self::ShippingRate(Box::new((*shipping_rate).into()))
            }
            Subject::TaxRate(tax_rate) => Self::TaxRate(Box::new((*tax_rate).into())),
            Subject::Discount(discount) => Self::Discount(Box::new((*discount).into())),
            Subject::Customer(customer) => Self::Customer(Box::new((*customer).into())),
            Subject::CustomerAccount(account) => Self::CustomerAccount(Box::new((*account).into())),
            Subject::CustomerAddress(address) => Self::CustomerAddress(Box::new((*address).into())),
            former @ Subject::FormerAccount(_) => Self::Gone(former.into()),
            Subject::ApiKey(key) => Self::ApiKey(Box::new((*key).into())),
            Subject::WebhookEndpoint(endpoint) => {
                Self::WebhookEndpoint(Box::new((*endpoint).into()))
            }
            Subject::WebhookDelivery(delivery) => {
                Self::WebhookDelivery(Box::new((*delivery).into()))
            }
        }
    }

    /// As it is kept.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self).map_err(loco_rs::Error::from)?)
    }
}

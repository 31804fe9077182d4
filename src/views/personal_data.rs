//! All that is kept of a person, as one JSON object that is written part by part.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    checkouts::Checkout, customer_accounts::CustomerAccount, customer_addresses::CustomerAddress,
    customers::Customer, events::Event, mails::Mail, orders::Order,
};
use crate::models::{
    Result, customers, now,
    personal_data::{Part, PersonalData},
};

/// All that is kept of a person.
#[derive(Debug, ToSchema)]
#[schema(as = PersonalData)]
pub struct PersonalDataFile {
    /// When it was written.
    pub exported_at: DateTime<Utc>,
    /// Who they are.
    pub customer: Customer,
    /// Their account, if they have one.
    #[schema(required)]
    pub account: Option<CustomerAccount>,
    /// Their addresses.
    pub addresses: Vec<CustomerAddress>,
    /// Their orders, oldest first.
    pub orders: Vec<Order>,
    /// Their checkouts, oldest first, as they stand now.
    pub checkouts: Vec<Checkout>,
    /// What has happened to them, to their account and to their orders. Of other people no more is shown than their
    /// orders show.
    pub events: Vec<Event>,
    /// The mails to them, without what they say.
    pub mails: Vec<Mail>,
}

/// Writes it.
#[derive(Debug)]
pub struct PersonalDataText {
    account_id: Option<i64>,
    /// The list that is being written, and whether it has something in it.
    list: Option<(&'static str, bool)>,
    is_done: bool,
}

/// What the person is called in the name of the file.
#[must_use]
pub fn file_name(customer_id: i64) -> String {
    format!("customer-{customer_id}.json")
}

impl PersonalDataText {
    /// Writes that of this person.
    #[must_use]
    pub fn of(person: &PersonalData) -> Self {
        Self {
            account_id: person.account_id(),
            list: None,
            is_done: false,
        }
    }

    /// The text of the next part; `None` after the end, which comes after the last part.
    pub fn write(&mut self, part: Option<Part>) -> Result<Option<String>> {
        let Some(part) = part else {
            let end = (!self.is_done).then(|| "]}\n".to_owned());
            self.is_done = true;
            return Ok(end);
        };
        let text = match part {
            Part::Person(customer, account, addresses) => {
                let owner: Option<customers::Model> = Some((*customer).clone());
                let addresses: Vec<_> = addresses.into_iter().map(CustomerAddress::from).collect();
                let account = account.map(|account| CustomerAccount::from((*account, owner)));
                format!(
                    "{{\"exported_at\":{},\"customer\":{},\"account\":{},\"addresses\":{}",
                    json(&now().to_utc())?,
                    json(&Customer::from(*customer))?,
                    json(&account)?,
                    json(&addresses)?,
                )
            }
            Part::Orders(orders) => self.list("orders", orders.into_iter().map(Order::from))?,
            Part::Checkouts(checkouts) => {
                self.list("checkouts", checkouts.into_iter().map(Checkout::from))?
            }
            Part::Events(events) => {
                let account_id = self.account_id;
                let events = events.into_iter().map(Event::from);
                self.list(
                    "events",
                    events.map(|event| event.without_others(account_id)),
                )?
            }
            Part::Mails(mails) => self.list("mails", mails.into_iter().map(Mail::from))?,
        };
        Ok(Some(text))
    }

    /// Some more of a list, which begins where another one was.
    fn list<T: Serialize>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
    ) -> Result<String> {
        let mut text = String::new();
        let mut is_filled = match self.list {
            Some((open, is_filled)) if open == name => is_filled,
            open => {
                text.push_str(if open.is_some() { "],\"" } else { ",\"" });
                text.push_str(name);
                text.push_str("\":[");
                false
            }
        };
        for item in items {
            if is_filled {
                text.push(',');
            }
            text.push_str(&json(&item)?);
            is_filled = true;
        }
        self.list = Some((name, is_filled));
        Ok(text)
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value).map_err(loco_rs::Error::from)?)
}

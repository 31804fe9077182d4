//! Completing a checkout: it becomes one order, at the total that the buyer has seen.

use sea_orm::{QuerySelect, entity::prelude::*, sea_query::Expr};

use super::{Buyer, Checkout, Column, Entity, Message, Model, Rules, is, standing::Calculated};
use crate::models::{
    Error, Result, Transaction, customers,
    error::FieldError,
    events, found, now,
    orders::{Draft, Line, Order},
    types::{
        CheckoutAddress, CheckoutId, CheckoutStatus, CustomerName, Email, EventType, Money, Phone,
        Scalar,
    },
};

/// How a checkout was completed.
#[derive(Clone, Debug)]
pub enum Completion {
    /// It has become this order just now.
    Placed(Order),
    /// It was this order already.
    Repeated(Order),
}

/// Whose order it becomes: a customer who is locked, or one who has yet to be made.
enum Owner {
    Known { id: i64, name: String },
    New,
}

impl Model {
    /// Places the order of a checkout, if it costs what the buyer expects; without that, what it quoted last. Asked
    /// again for the same total, it answers the order as it is now.
    ///
    /// # Errors
    /// In this order: [`Error::NotFound`]; [`Error::NotOpen`]; [`Error::Invalid`] for all that is missing;
    /// [`Error::TotalsChanged`]; [`Error::InsufficientStock`].
    pub async fn complete(
        txn: &Transaction,
        id: &CheckoutId,
        expected: Option<Money>,
        rules: &Rules<'_>,
    ) -> Result<Completion> {
        let seen = found(txn, rules.buyer.find(id)).await?;
        if seen.status()? == CheckoutStatus::Completed {
            return seen.repeated(txn, expected).await;
        }
        let (owner, mut checkout) = if let Buyer::Customer(customer_id) = rules.buyer {
            let (name, _) = customers::Model::contact_locked(txn, customer_id).await?;
            let owner = Owner::Known {
                id: customer_id,
                name,
            };
            let checkout = Self::locked(txn, rules.buyer, id, None, None).await;
            let checkout = match checkout {
                Err(Error::NotOpen(CheckoutStatus::Completed)) => {
                    let completed = found(txn, rules.buyer.find(id)).await?;
                    return completed.repeated(txn, expected).await;
                }
                checkout => checkout?,
            };
            (owner, checkout)
        } else {
            let owner = seen.owner(txn).await?;
            let checkout = found(txn, rules.buyer.find(id).lock_exclusive()).await?;
            if checkout.status()? == CheckoutStatus::Completed {
                return checkout.repeated(txn, expected).await;
            }
            if (&checkout.email_key, checkout.customer_id) != (&seen.email_key, seen.customer_id) {
                // Another one was changed meanwhile, and that one has to be locked first.
                return Err(Error::WriteConflict);
            }
            (owner, checkout)
        };
        let status = checkout.status()?;
        if status != CheckoutStatus::Open {
            return Err(Error::NotOpen(status));
        }
        let customer_id = match owner {
            Owner::Known { id, .. } => Some(id),
            Owner::New => None,
        };
        let calculated = checkout.calculated(txn, rules, customer_id).await?;
        refuse_what_blocks(&calculated.standing.messages)?;
        let total = calculated.quote.total;
        if total != expected.unwrap_or_else(|| checkout.quoted_total()) {
            let now = checkout.with(calculated.standing, rules);
            return Err(Error::TotalsChanged(Box::new(now)));
        }
        let order = checkout.place(txn, owner, calculated, rules).await?;
        checkout.close(txn, &order, rules).await?;
        Ok(Completion::Placed(order))
    }

    async fn repeated(&self, txn: &Transaction, expected: Option<Money>) -> Result<Completion> {
        let order = self.order(txn).await?;
        if expected.is_some_and(|expected| expected != order.order.total()) {
            return Err(Error::NotOpen(CheckoutStatus::Completed));
        }
        Ok(Completion::Repeated(order))
    }

    /// The customer whose order it becomes, locked: whose the checkout is, or who has its email.
    async fn owner(&self, txn: &Transaction) -> Result<Owner> {
        if let Some(id) = self.customer_id {
            let (name, _) = customers::Model::contact_locked(txn, id).await?;
            return Ok(Owner::Known { id, name });
        }
        let Some(email) = &self.email_key else {
            return Ok(Owner::New);
        };
        let id = customers::Model::id_of_email(txn, email).await?;
        let customer = customers::Model::find_with_email_locked(txn, id, email).await?;
        Ok(customer.map_or(Owner::New, |customer| Owner::Known {
            id: customer.id,
            name: customer.name,
        }))
    }

    async fn place(
        &self,
        txn: &Transaction,
        owner: Owner,
        calculated: Calculated,
        rules: &Rules<'_>,
    ) -> Result<Order> {
        let (shipping, billing) = (self.shipping_to()?, self.billed_to()?);
        let email = self.email.clone().unwrap_or_default();
        let (customer_id, customer_name) = match owner {
            Owner::Known { id, name } => (id, name),
            Owner::New => self.new_customer(txn, shipping.as_ref()).await?,
        };
        let items = self.items()?;
        let lines: Vec<_> = (0..)
            .zip(&items)
            .map(|(line, item)| Line {
                product_id: item.product_id,
                quantity: item.quantity,
                line,
            })
            .collect();
        let draft = Draft {
            customer_id,
            customer_name,
            email,
            lines: &lines,
            offers: &calculated.offers,
            quote: calculated.quote,
            shipping_address: complete(shipping)?,
            billing_address: complete(billing)?,
            shipping_name: calculated.option.map(|rate| rate.name),
            discount: calculated.discount,
            note: self.note.clone(),
            checkout: Some((self.token.clone(), self.held()?)),
        };
        draft.place(txn, &rules.sale).await
    }

    /// Makes the customer of a visitor.
    async fn new_customer(
        &self,
        txn: &Transaction,
        address: Option<&CheckoutAddress>,
    ) -> Result<(i64, String)> {
        let email = self.email.as_deref().unwrap_or_default();
        let of_address = address.and_then(|address| address.name.as_deref());
        let name = self.name.as_deref().or(of_address).unwrap_or(email);
        // A name can be shorter than an email.
        let name: String = name.chars().take(120).collect();
        let of_address = address.and_then(|address| address.phone.as_deref());
        let phone = self.phone.as_deref().or(of_address);
        let details = customers::Details {
            name: CustomerName::parse(&name).map_err(|rule| FieldError::new("/name", rule))?,
            email: Email::parse(email).map_err(|rule| FieldError::new("/email", rule))?,
            phone: phone.and_then(|phone| Phone::parse(phone).ok()),
        };
        match customers::Model::create(txn, &details).await {
            Ok(customer) => Ok((customer.id, customer.name)),
            // Somebody has made one with that email meanwhile: it is theirs.
            Err(Error::NotUnique(_)) => Err(Error::WriteConflict),
            Err(error) => Err(error),
        }
    }

    /// It is that order from now on. Its hold is over: the pieces are sold.
    async fn close(&mut self, txn: &Transaction, order: &Order, rules: &Rules<'_>) -> Result<()> {
        let held = self.held()?;
        self.forget_hold(txn, &held).await?;
        let now = now();
        CheckoutStatus::Completed
            .as_str()
            .clone_into(&mut self.status);
        (self.updated_at, self.expires_at) = (now, now + rules.lasts);
        self.quoted_total_minor = order.order.total_minor;
        let closed = Entity::update_many()
            .col_expr(Column::Status, Expr::value(self.status.clone()))
            .filter(Column::Id.eq(self.id))
            .filter(is(CheckoutStatus::Open))
            .exec(txn)
            .await?;
        if closed.rows_affected != 1 {
            return Err(Error::WriteConflict);
        }
        self.write(txn).await?;
        let completed = Checkout {
            checkout: self.clone(),
            currency: order.order.currency.clone(),
            standing: super::Standing::of_order(order),
            order: Some(order.order.clone()),
        };
        txn.happened(
            EventType::CheckoutCompleted,
            events::Subject::from(&completed),
        );
        Ok(())
    }
}

/// Refuses what is missing, all at once. Whether there is enough stock turns out when it is taken.
fn refuse_what_blocks(messages: &[Message]) -> Result<()> {
    let blocks = |message: &&Message| message.blocking && message.code != Message::OUT_OF_STOCK;
    let missing: Vec<_> = messages
        .iter()
        .filter(blocks)
        .map(|message| FieldError::at(&message.pointer, message.code, &message.message))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(missing))
}

/// The address of an order, as JSON.
fn complete(address: Option<CheckoutAddress>) -> Result<Option<String>> {
    let Some(address) = address else {
        return Ok(None);
    };
    let incomplete = |_| FieldError::at("/shipping_address", "address-incomplete", "is incomplete");
    address.complete().map_err(incomplete)?.json().map(Some)
}

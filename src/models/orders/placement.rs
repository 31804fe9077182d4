//! Placing an order.
//!
//! - [`NewOrder`]: what an order is placed with, and [`Sale`]: by whom and on which terms.
//! - [`Model::place`]: reads what it names, asks for what is missing, and calculates.
//! - [`Draft`]: an order that is calculated. [`Draft::place`] writes it, and takes its stock and its code.

use std::collections::BTreeMap;

use sea_orm::{ActiveValue::Set, SqlErr, TryIntoModel, entity::prelude::*};

use super::{ActiveModel, Model, Order, for_administrators};
use crate::models::{
    Actor, Error, Result, Transaction, customer_accounts, customer_addresses, customers,
    discount_uses,
    discounts::{self, Inapplicable},
    error::FieldError,
    input::{Fields, Input},
    now, order_events,
    order_items::{self, Item},
    pricing::{self, Quote},
    products::{self, Offer, Purpose},
    shipping_rates,
    statement::insert,
    stock_movements::{self, Movement},
    terms::{Goods, Terms},
    types::{
        Address, DiscountCode, EventType, Money, MovementKind, Note, OrderStatus, Quantity, Role,
        Scalar, ShippingAddress, TaxShare,
    },
};

/// What an order is placed with.
#[derive(Clone, Debug, Input)]
#[input(schema = OrderBody, check = goes_to_one_address)]
pub struct NewOrder {
    /// What is ordered. Lines of the same product are merged.
    #[input(items = 1..=100)]
    pub items: Vec<OrderLine>,
    /// The customer it is for: only administrators name one, and have to unless they are customers.
    pub customer_id: Option<i64>,
    /// The address it goes to. A customer has to give one where the store has rates for shipping or tax.
    #[input(nested)]
    pub shipping_address: Option<Address>,
    /// One of the customer's own addresses, which it goes to. The order keeps a copy. Excludes `shipping_address`.
    pub shipping_address_id: Option<i64>,
    /// How it is shipped: the id of a shipping rate that serves the address. A customer has to choose one where the store
    /// has any. Without one, shipping costs nothing.
    pub shipping_option_id: Option<i64>,
    /// A code that takes something off, without regard to case.
    pub discount_code: Option<DiscountCode>,
    /// A remark.
    pub note: Option<Note>,
}

fn goes_to_one_address(fields: &mut Fields<'_>) {
    if fields.has("shipping_address") && fields.has("shipping_address_id") {
        let message = "excludes shipping_address";
        fields.refuse("shipping_address_id", "exclusive", message);
    }
}

/// How many pieces of which product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Input)]
#[input(schema = OrderLineBody)]
pub struct OrderLine {
    /// The product.
    pub product_id: i64,
    /// How many pieces.
    pub quantity: Quantity,
}

/// Who sells, and on which terms.
#[derive(Clone, Copy, Debug)]
pub struct Sale<'a> {
    /// The store's currency (ISO 4217).
    pub currency: &'a str,
    /// Whether prices include tax.
    pub prices_include_tax: bool,
    /// Who places the order, for its history.
    pub actor: &'a Actor,
    /// Whether that is the customer, who has to say where it goes and how it is shipped. Who runs the store may leave
    /// that out.
    pub by_customer: bool,
}

/// The lines of one product, made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::models) struct Line {
    /// The product.
    pub product_id: i64,
    /// How many pieces.
    pub quantity: Quantity,
    /// Where the product was first named, from 0.
    pub line: usize,
}

/// An order that is calculated, and not written yet.
pub(in crate::models) struct Draft<'a> {
    /// Whose it is. The customer is locked.
    pub customer_id: i64,
    /// Their name.
    pub customer_name: String,
    /// Whom it is written to.
    pub email: String,
    /// What is ordered.
    pub lines: &'a [Line],
    /// The products of the lines.
    pub offers: &'a BTreeMap<i64, Offer>,
    /// What it comes to.
    pub quote: Quote,
    /// Where it goes, as JSON.
    pub shipping_address: Option<String>,
    /// Where the invoice goes, if that is another address, as JSON.
    pub billing_address: Option<String>,
    /// How it is shipped.
    pub shipping_name: Option<String>,
    /// The code that it uses.
    pub discount: Option<discounts::Model>,
    /// A remark.
    pub note: Option<String>,
    /// The checkout that it comes from, and the pieces that are held for it.
    pub checkout: Option<(String, BTreeMap<i64, i64>)>,
}

impl NewOrder {
    /// The customer whose order it is: the account's own, unless an administrator names one.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn customer_for(&self, account: Option<&customer_accounts::Model>) -> Result<i64> {
        let own = account.and_then(|account| account.customer_id);
        match self.customer_id {
            Some(_) if account.is_some_and(|account| account.role() != Role::Admin) => {
                Err(for_administrators())
            }
            named => named.or(own).ok_or_else(|| {
                let message = "is required unless your account belongs to a customer";
                FieldError::at("/customer_id", "required", message).into()
            }),
        }
    }

    /// Where it goes. Notes that the customer has no address of that id.
    async fn ships_to(
        &self,
        txn: &Transaction,
        customer_id: i64,
        broken: &mut Vec<FieldError>,
    ) -> Result<Option<ShippingAddress>> {
        match (&self.shipping_address, self.shipping_address_id) {
            (Some(address), _) => Ok(Some(address.clone().into())),
            (None, Some(id)) => {
                let address = customer_addresses::Model::shipped_to(txn, customer_id, id).await?;
                Ok(address.map_err(|refusal| broken.push(refusal)).ok())
            }
            (None, None) => Ok(None),
        }
    }

    /// How it is shipped. Notes that it cannot be, and that a customer has not chosen.
    fn shipped_by<'a>(
        &self,
        terms: &'a Terms,
        sale: &Sale<'_>,
        broken: &mut Vec<FieldError>,
    ) -> Option<&'a shipping_rates::Model> {
        let pointer = "/shipping_option_id";
        let Some(id) = self.shipping_option_id else {
            if sale.by_customer && terms.need_option() {
                broken.push(FieldError::at(pointer, "required", "is required"));
            }
            return None;
        };
        let option = terms.option(id);
        if option.is_none() {
            let message = "must be a shipping rate that serves the address";
            broken.push(FieldError::at(pointer, "reference", message));
        }
        option
    }
}

impl Model {
    /// Places an order, all of its lines or none.
    ///
    /// # Errors
    /// [`Error::Invalid`] for every line whose product is not on sale, when the customer or the address does not exist,
    /// something is missing, the code does not apply, or the total cannot be held; [`Error::InsufficientStock`] naming
    /// every short line.
    pub async fn place(
        txn: &Transaction,
        customer_id: i64,
        new: &NewOrder,
        sale: &Sale<'_>,
    ) -> Result<Order> {
        let lines = merge(&new.items)?;
        let contact = customers::Model::contact_locked(txn, customer_id).await;
        let (customer_name, email) = contact.map_err(customers::unknown)?;
        let ids = lines.iter().map(|line| line.product_id);
        let offers = products::Model::offers(txn, ids).await?;
        let mut broken = not_on_sale(&new.items, &offers);
        let address = new.ships_to(txn, customer_id, &mut broken).await?;
        let destination = address.as_ref().and_then(ShippingAddress::destination);
        let asks_for_nothing = address.is_none() && new.shipping_option_id.is_none();
        let terms = if asks_for_nothing && !sale.by_customer {
            Terms::none(sale.prices_include_tax)
        } else {
            Terms::read(txn, sale.prices_include_tax, destination).await?
        };
        let names_address = new.shipping_address.is_some() || new.shipping_address_id.is_some();
        if sale.by_customer && !names_address && terms.need_address() {
            broken.push(FieldError::at(
                "/shipping_address",
                "required",
                "is required",
            ));
        }
        let option = new.shipped_by(&terms, sale, &mut broken);
        let basket = terms.basket(goods(&lines, &offers), option, None);
        let discount = match &new.discount_code {
            None => None,
            Some(code) => {
                let subtotal = basket.subtotal()?;
                match applicable(txn, code.as_str(), subtotal, Some(customer_id)).await? {
                    Ok(found) => Some(found),
                    Err(why) => {
                        let code = match why {
                            Inapplicable::Unknown => "reference",
                            _ => "not_applicable",
                        };
                        broken.push(FieldError::at("/discount_code", code, why.to_string()));
                        None
                    }
                }
            }
        };
        if !broken.is_empty() {
            return Err(Error::Invalid(broken));
        }
        let (discount, applied) = discount.unzip();
        let basket = pricing::Basket {
            discount: applied,
            ..basket
        };
        let draft = Draft {
            customer_id,
            customer_name,
            email,
            lines: &lines,
            offers: &offers,
            quote: basket.quote()?,
            shipping_address: address.as_ref().map(ShippingAddress::json).transpose()?,
            billing_address: None,
            shipping_name: option.map(|rate| rate.name.clone()),
            discount,
            note: new.note.clone().map(String::from),
            checkout: None,
        };
        draft.place(txn, sale).await
    }
}

/// The discount of a code and what it takes off goods of that subtotal now, for that customer if they are known.
///
/// # Errors
/// Why it takes off nothing, within.
pub(in crate::models) async fn applicable(
    txn: &impl ConnectionTrait,
    code: &str,
    subtotal: Money,
    customer_id: Option<i64>,
) -> Result<Result<(discounts::Model, pricing::Discount), Inapplicable>> {
    let discount = match discounts::Model::find_by_code(txn, code).await? {
        Ok(discount) => discount,
        Err(why) => return Ok(Err(why)),
    };
    let used = match customer_id {
        Some(customer) if discount.per_customer_limit.is_some() => {
            discount_uses::Model::count(txn, discount.id, customer).await?
        }
        _ => 0,
    };
    let applied = discount.applied(subtotal, now(), used);
    Ok(applied.map(|applied| (discount, applied)))
}

impl Draft<'_> {
    /// Writes the order. Where orders are placed at the same time the stock is taken product by product in the order of
    /// their ids, so that no two orders wait for each other; and before the items are written, because their foreign key
    /// makes MySQL share the products' locks, which two orders could not both raise. The code comes last: nobody who
    /// waits for it has something that another waits for.
    ///
    /// # Errors
    /// [`Error::InsufficientStock`] naming every short line.
    pub(in crate::models) async fn place(
        self,
        txn: &Transaction,
        sale: &Sale<'_>,
    ) -> Result<Order> {
        let placed_at = now();
        let items = self.items()?;
        let Self {
            customer_id,
            lines,
            offers,
            quote,
            discount,
            ..
        } = self;
        let taxes: Vec<_> = quote.taxes.iter().copied().map(TaxShare::from).collect();
        let taxes = serde_json::to_string(&taxes).map_err(loco_rs::Error::from)?;
        let (checkout_id, held) = self.checkout.unzip();
        let order = ActiveModel {
            customer_id: Set(customer_id),
            status: Set(OrderStatus::Placed.as_str().to_owned()),
            currency: Set(sale.currency.to_owned()),
            total_minor: Set(quote.total.minor()),
            shipping_address: Set(self.shipping_address),
            note: Set(self.note),
            placed_at: Set(placed_at),
            updated_at: Set(placed_at),
            discount_minor: Set(quote.discount.minor()),
            shipping_minor: Set(quote.shipping.minor()),
            tax_minor: Set(quote.tax.minor()),
            prices_include_tax: Set(sale.prices_include_tax),
            taxes: Set(Some(taxes)),
            email: Set(Some(self.email)),
            billing_address: Set(self.billing_address),
            shipping_name: Set(self.shipping_name),
            discount_code: Set(discount.as_ref().map(|discount| discount.code.clone())),
            checkout_id: Set(checkout_id),
            ..Default::default()
        };
        let id = insert(txn, order.clone()).await.map_err(vanished)?;
        let (status, actor) = (OrderStatus::Placed, sale.actor);
        let (step, history) = order_events::Model::record(txn, id, status, None, actor, placed_at);
        // Nothing is read again: what was written is known, and every statement is a round trip.
        let order = ActiveModel {
            id: Set(id),
            ..order
        };
        let order = Order {
            order: order.try_into_model()?,
            customer_name: self.customer_name,
            items,
            history: vec![step],
        };
        txn.happened(EventType::OrderPlaced, &order);
        let taken = take_stock(txn, id, lines, offers, &held.unwrap_or_default()).await?;
        let mut records = vec![history, order_items::Model::record(txn, id, &order.items)];
        records.extend(stock_movements::Model::entries(txn, taken, actor));
        txn.execute_later(records).await.map_err(vanished)?;
        if let Some(discount) = discount {
            discount_uses::Model::add(txn, &discount, customer_id, id).await?;
        }
        Ok(order)
    }

    /// Its items, at today's names and prices.
    fn items(&self) -> Result<Vec<Item>> {
        let items = self.lines.iter().zip(&self.quote.lines);
        let items = items.map(|(line, quoted)| {
            let offer = self.offers.get(&line.product_id).ok_or(Error::NotFound)?;
            Ok(Item {
                product_id: offer.id,
                sku: offer.sku.clone(),
                name: offer.name.clone(),
                unit_price: offer.price(),
                quantity: line.quantity.get(),
                line_total: quoted.subtotal,
                discount: quoted.discount,
                tax_rate: quoted.tax_rate,
                tax: quoted.tax,
            })
        });
        items.collect()
    }
}

/// One line for each product, in the order in which the products were first named.
///
/// # Errors
/// [`Error::Invalid`] for every line that takes its product over the largest [`Quantity`].
pub(in crate::models) fn merge(lines: &[OrderLine]) -> Result<Vec<Line>> {
    let mut merged = BTreeMap::<i64, Line>::new();
    let mut refused = Vec::new();
    for (line, sent) in lines.iter().enumerate() {
        let OrderLine {
            product_id,
            quantity,
        } = *sent;
        let Some(merged) = merged.get_mut(&product_id) else {
            let first = Line {
                product_id,
                quantity,
                line,
            };
            merged.insert(product_id, first);
            continue;
        };
        let together = merged.quantity.get() + quantity.get();
        match Quantity::parse(&together.to_string()) {
            Ok(together) => merged.quantity = together,
            Err(violation) => {
                let pointer = format!("/items/{line}/quantity");
                let message = format!(
                    "{} of one product, in all lines together",
                    violation.message
                );
                refused.push(FieldError::at(pointer, violation.code, message));
            }
        }
    }
    if !refused.is_empty() {
        return Err(Error::Invalid(refused));
    }
    let mut merged: Vec<_> = merged.into_values().collect();
    merged.sort_by_key(|line| line.line);
    Ok(merged)
}

/// What is wrong with the lines whose products are not on sale.
pub(in crate::models) fn not_on_sale(
    lines: &[OrderLine],
    offers: &BTreeMap<i64, Offer>,
) -> Vec<FieldError> {
    let refused = |(at, _)| {
        let pointer = format!("/items/{at}/product_id");
        FieldError::at(pointer, "reference", "must be a product on sale")
    };
    let lines = lines.iter().enumerate();
    let unknown = lines.filter(|(_, line)| !offers.contains_key(&line.product_id));
    unknown.map(refused).collect()
}

/// The lines as goods: those whose products are on sale.
pub(in crate::models) fn goods<'a>(
    lines: &[Line],
    offers: &'a BTreeMap<i64, Offer>,
) -> impl Iterator<Item = Goods<'a>> {
    lines.iter().filter_map(|line| {
        Some(Goods {
            offer: offers.get(&line.product_id)?,
            quantity: line.quantity,
        })
    })
}

/// Takes the pieces whose stock is tracked and that are not held already, and answers what the ledger has to say of it;
/// or names every line that is short, when one is.
async fn take_stock(
    txn: &Transaction,
    order_id: i64,
    lines: &[Line],
    offers: &BTreeMap<i64, Offer>,
    held: &BTreeMap<i64, i64>,
) -> Result<Vec<Movement>> {
    let is_tracked = |line: &&Line| {
        offers
            .get(&line.product_id)
            .is_some_and(|it| it.stock.is_some())
    };
    let held_of = |id: &i64| held.get(id).copied().unwrap_or_default();
    let (mut wanted, mut sold) = (BTreeMap::new(), BTreeMap::new());
    for line in lines.iter().filter(is_tracked) {
        let id = line.product_id;
        let missing = line.quantity.get() - held_of(&id);
        if missing > 0 {
            wanted.insert(id, missing);
        } else {
            sold.insert(id, line.quantity.get());
        }
    }
    products::Model::held_are_sold(txn, &sold, offers).await?;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let left = products::Model::take(txn, &wanted, offers, Purpose::Sale).await?;
    if left.len() < wanted.len() {
        let is_short = |line: &&Line| {
            wanted.contains_key(&line.product_id) && !left.contains_key(&line.product_id)
        };
        let short = lines.iter().filter(is_short).copied().collect();
        return Err(shortage(txn, short, held).await?);
    }
    let taken = wanted.into_iter().map(|(product_id, quantity)| Movement {
        product_id,
        kind: MovementKind::Order,
        delta: -quantity,
        reason: None,
        order_id: Some(order_id),
        checkout_id: None,
    });
    Ok(taken.collect())
}

/// What to say of the lines whose pieces could not be taken, beside those that are held for them.
pub(in crate::models) async fn shortage(
    txn: &Transaction,
    mut short: Vec<Line>,
    held: &BTreeMap<i64, i64>,
) -> Result<Error> {
    short.sort_by_key(|line| line.line);
    let offers = products::Model::offers(txn, short.iter().map(|line| line.product_id)).await?;
    if offers.values().any(|offer| offer.stock.is_none()) {
        // Tracked when the order began, and not any more: nothing is short.
        return Ok(Error::WriteConflict);
    }
    let shortages = short.into_iter().map(|line| {
        let id = line.product_id;
        // Archived since the order began: there is none for this one.
        let available = offers.get(&id).and_then(|offer| offer.stock);
        let available = available.unwrap_or_default() + held.get(&id).copied().unwrap_or_default();
        let pointer = format!("/items/{}", line.line);
        FieldError::shortage(&pointer, id, line.quantity.get(), available)
    });
    Ok(Error::InsufficientStock(shortages.collect()))
}

/// A customer or product that went away after it was read is a reference to nothing.
fn vanished(error: DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::NotFound,
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines() -> impl Strategy<Value = Vec<OrderLine>> {
        let line = (1..=8_i64, 1..=100_i64).prop_map(|(product_id, quantity)| OrderLine {
            product_id,
            quantity: Quantity::new(quantity).unwrap(),
        });
        proptest::collection::vec(line, 1..=100)
    }

    proptest! {
        #[test]
        fn merging_keeps_every_piece_and_names_each_product_once(lines in lines()) {
            let merged = merge(&lines).unwrap();
            let pieces: i64 = lines.iter().map(|line| line.quantity.get()).sum();
            prop_assert_eq!(merged.iter().map(|line| line.quantity.get()).sum::<i64>(), pieces);
            for line in &merged {
                prop_assert_eq!(merged.iter().filter(|other| other.product_id == line.product_id).count(), 1);
                let first = lines.iter().position(|sent| sent.product_id == line.product_id);
                prop_assert_eq!(Some(line.line), first);
            }
            prop_assert!(merged.is_sorted_by_key(|line| line.line));
        }
    }
}

//! The bodies of requests: `from_json` of products, orders and customers. For any bytes:
//!
//! * what is called malformed is no JSON document;
//! * what else is refused breaks at least one rule, and each rule points to the value that breaks it
//!   or, when that is missing, to where it should stand;
//! * what is accepted keeps its bounds and, written down again, is accepted again and says the same;
//! * what makes a new product or customer also changes one.

use boxcar::models::{
    customer_addresses, customers,
    error::{Error, FieldError},
    input::{Input, from_json},
    orders::{Cancellation, NewOrder, StatusChange},
    products::{self, Adjustment},
    types::{Address, BoundedInt, Money, MultiLine, Phone, SingleLine},
};
use serde_json::{Value, json};

/// Reads the bytes as each body.
pub fn check(data: &[u8]) {
    let product = round_trip(data, product);
    let changed_product = read::<products::Changes>(data);
    assert!(product.is_none() || changed_product.is_ok());
    let customer = round_trip(data, customer);
    let changed_customer = read::<customers::Changes>(data);
    assert!(customer.is_none() || changed_customer.is_ok());
    let address = round_trip(data, customer_address);
    let changed_address = read::<customer_addresses::Changes>(data);
    assert!(address.is_none() || changed_address.is_ok());
    round_trip(data, adjustment);
    round_trip(data, order);
    round_trip(
        data,
        |change: &StatusChange| json!({ "status": change.status.as_str() }),
    );
    round_trip(data, cancellation);
}

/// Reads a body, and what it is shown as, and gives that back.
fn round_trip<T: Input>(data: &[u8], show: impl Fn(&T) -> Value) -> Option<Value> {
    let shown = show(&read::<T>(data).ok()?);
    let again = read::<T>(shown.to_string().as_bytes()).expect("accepted again");
    assert_eq!(show(&again), shown);
    Some(shown)
}

fn read<T: Input>(data: &[u8]) -> Result<T, ()> {
    from_json(data).map_err(|error| explained(data, &error))
}

fn explained(data: &[u8], error: &Error) {
    let document = serde_json::from_slice::<Value>(data).ok();
    match error {
        Error::Malformed(why) => assert!(!why.is_empty() && document.is_none()),
        Error::Invalid(broken) => {
            assert!(!broken.is_empty());
            // Of fields that stand there twice, `Value` knows the last one, and the rules the first.
            let twice = broken.iter().any(|rule| rule.code == "duplicate");
            if let Some(document) = document.filter(|_| !twice) {
                let astray = broken.iter().find(|rule| !leads_into(&document, rule));
                assert!(astray.is_none(), "{astray:?}");
            }
        }
        other => panic!("{other:?}"),
    }
}

fn leads_into(document: &Value, rule: &FieldError) -> bool {
    let missing = || {
        let parent = rule.pointer.rsplit_once('/').map(|(parent, _)| parent);
        rule.code == "required"
            && parent.is_some_and(|parent| document.pointer(parent).is_some_and(Value::is_object))
    };
    document.pointer(&rule.pointer).is_some() || missing()
}

fn product(details: &products::Details) -> Value {
    assert!((Money::default()..=Money::MAX_PRICE).contains(&details.price));
    json!({
        "name": line(&details.name),
        "price": details.price.to_string(),
        "sku": details.sku.as_ref().map(line),
        "description": details.description.as_ref().map(prose),
        "stock": details.stock.flatten().map(BoundedInt::get),
    })
}

fn customer(details: &customers::Details) -> Value {
    json!({
        "name": line(&details.name),
        "email": details.email.as_str(),
        "phone": details.phone.as_ref().map(Phone::as_str),
    })
}

fn adjustment(adjustment: &Adjustment) -> Value {
    assert_ne!(adjustment.delta.get(), 0);
    json!({ "delta": adjustment.delta.get(), "reason": line(&adjustment.reason) })
}

fn order(order: &NewOrder) -> Value {
    assert!((1..=100).contains(&order.items.len()));
    let items: Vec<_> = order
        .items
        .iter()
        .map(|line| {
            assert!((1..=10_000).contains(&line.quantity.get()));
            json!({ "product_id": line.product_id, "quantity": line.quantity.get() })
        })
        .collect();
    json!({
        "items": items,
        "customer_id": order.customer_id,
        "shipping_address": order.shipping_address.as_ref().map(address),
        "shipping_address_id": order.shipping_address_id,
        "note": order.note.as_ref().map(prose),
    })
}

fn address(address: &Address) -> Value {
    json!({
        "name": line(&address.name),
        "company": address.company.as_ref().map(line),
        "line1": line(&address.line1),
        "line2": address.line2.as_ref().map(line),
        "city": line(&address.city),
        "region": address.region.as_ref().map(line),
        "postal_code": address.postal_code.as_ref().map(line),
        "country": address.country.as_str(),
        "phone": address.phone.as_ref().map(Phone::as_str),
    })
}

fn customer_address(details: &customer_addresses::Details) -> Value {
    let mut shown = address(&details.address);
    if let Some(default) = details.default {
        shown["default"] = default.into();
    }
    shown
}

fn cancellation(cancellation: &Cancellation) -> Value {
    json!({ "reason": cancellation.reason.as_ref().map(prose) })
}

fn line<const MAX: usize>(line: &SingleLine<MAX>) -> &str {
    let text = line.as_str();
    assert!((1..=MAX).contains(&text.chars().count()) && text == text.trim());
    assert!(!text.contains(char::is_control));
    text
}

fn prose<const MAX: usize>(prose: &MultiLine<MAX>) -> &str {
    assert!(prose.as_str().chars().count() <= MAX && !prose.as_str().contains('\0'));
    prose.as_str()
}

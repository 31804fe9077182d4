//! The demo store: a catalogue, rates, a discount code, customers with accounts, and a few orders, from
//! `src/fixtures/`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::{AppContext, Initializer},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, sea_query::Query};

use crate::{
    context::Context,
    models::{
        self, Actor, CacheTag, TABLES, Transaction, customer_accounts,
        customer_accounts::{Hashed, NewAccount},
        customer_addresses, customers, discounts,
        imported::Imported,
        input::Input,
        orders::{self, NewOrder, OrderLine, Scope},
        products,
        queue::Client,
        shipping_rates, tax_rates,
        transaction::Database,
        types::{Address, NewPassword, Note, OrderStatus, Quantity, RawText, Role, Sku, Username},
    },
    settings::Settings,
    transaction,
    views::csv::Rows,
};

/// Fills an empty store.
#[derive(Clone, Copy, Debug)]
pub struct Demo;

#[async_trait]
impl Initializer for Demo {
    fn name(&self) -> String {
        "demo".to_owned()
    }

    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        let seed = Settings::of(ctx)?.demo.seed && !migration::is_behind(&ctx.db).await?;
        if !seed || !is_empty(ctx).await? {
            return Ok(());
        }
        match fill(ctx).await {
            // Another node that starts at the same time was faster.
            Err(_) if !is_empty(ctx).await? => {
                Context::of(ctx)?.announcements.take_back("2 demo");
                Ok(())
            }
            filled => filled,
        }
    }
}

async fn is_empty(ctx: &AppContext) -> Result<bool> {
    let products = products::Entity::find().count(&ctx.db).await?;
    let customers = customers::Entity::find().count(&ctx.db).await?;
    let tax_rates = tax_rates::Entity::find().count(&ctx.db).await?;
    let shipping_rates = shipping_rates::Entity::find().count(&ctx.db).await?;
    let discounts = discounts::Entity::find().count(&ctx.db).await?;
    Ok(products + customers + tax_rates + shipping_rates + discounts == 0)
}

/// Fills the store, all of it or nothing, and prints the accounts' passwords.
///
/// # Errors
/// When the fixtures do not fit what is in the store.
pub async fn fill(ctx: &AppContext) -> Result<()> {
    let products: Vec<products::Row> =
        fixture("products.csv", include_str!("../fixtures/products.csv"))?;
    let tax_rates: Vec<tax_rates::Changes> =
        fixture("tax_rates.csv", include_str!("../fixtures/tax_rates.csv"))?;
    let shipping_rates: Vec<shipping_rates::Changes> = fixture(
        "shipping_rates.csv",
        include_str!("../fixtures/shipping_rates.csv"),
    )?;
    let codes: Vec<discounts::Details> =
        fixture("discounts.csv", include_str!("../fixtures/discounts.csv"))?;
    let people: Vec<Person> = fixture("customers.csv", include_str!("../fixtures/customers.csv"))?;
    let lines: Vec<DemoLine> = fixture("orders.csv", include_str!("../fixtures/orders.csv"))?;
    let context = Context::of(ctx)?;
    let mut accounts = BTreeMap::new();
    let mut shown = Vec::new();
    for person in &people {
        let Some(username) = person.username.clone() else {
            continue;
        };
        let password = NewPassword::generated();
        shown.push((username.as_str().to_owned(), password.reveal().to_owned()));
        let account = NewAccount {
            customer_id: None,
            username,
            password,
            role: Role::Customer,
        };
        let account = account.hashed(&ctx.db, Client::System).await?;
        accounts.insert(person.details.email.as_str(), account);
    }
    transaction!(ctx, |txn| {
        all(tax_rates::Model::import(txn, &tax_rates).await?)?;
        all(shipping_rates::Model::import(txn, &shipping_rates).await?)?;
        for code in &codes {
            discounts::Model::create(txn, code).await?;
        }
        all(products::Model::import(txn, &products, &Actor::system()).await?)?;
        let people = add_people(txn, &people, &accounts).await?;
        let added = people.len();
        place_orders(txn, &context, &people, &lines).await?;
        // Before the commit: a start that is killed here leaves no customers whose passwords are unknown.
        let accounts: Vec<_> = shown
            .iter()
            .map(|(username, password)| format!("  {username:<24} {password}\n"))
            .collect();
        let text = format!(
            "The store was empty. The demo was added: {} products, {added} customers, of whom {} have an account.\n\
             Their usernames and passwords are shown by this start only:\n{}",
            products.len(),
            shown.len(),
            accounts.concat(),
        );
        Context::of(ctx)?.announcements.say("2 demo", text, None);
        Ok(())
    })?;
    Ok(())
}

/// Empties the store, but for its administrators.
pub async fn empty(ctx: &AppContext) -> Result<(), sea_orm::DbErr> {
    for table in TABLES.iter().rev() {
        let mut delete = Query::delete().from_table(*table).to_owned();
        if *table == "customer_accounts" {
            delete.and_where(customer_accounts::Column::CustomerId.is_not_null());
        }
        ctx.db.execute(&delete).await?;
    }
    ctx.changed([CacheTag::Everything].into()).await;
    Ok(())
}

#[derive(Input)]
struct Person {
    #[input(flatten)]
    details: customers::Details,
    username: Option<Username>,
    /// Name and telephone number are those of the customer.
    #[input(flatten)]
    address: Address,
}

/// A customer who was added.
struct Orderer {
    customer_id: i64,
    address_id: i64,
    actor: Actor,
}

#[derive(Input)]
struct DemoLine {
    order: i64,
    email: RawText,
    sku: Sku,
    quantity: Quantity,
    status: OrderStatus,
    note: Option<Note>,
}

async fn add_people<'a>(
    txn: &Transaction,
    people: &'a [Person],
    accounts: &BTreeMap<&'a str, Hashed<NewAccount>>,
) -> models::Result<BTreeMap<&'a str, Orderer>> {
    let mut added = BTreeMap::new();
    for person in people {
        let email = person.details.email.as_str();
        let customer = customers::Model::create(txn, &person.details).await?;
        let actor = match accounts.get(email) {
            Some(account) => {
                let account = account.clone().for_customer(customer.id);
                let (account, _) = customer_accounts::Model::create(txn, &account).await?;
                account.actor()
            }
            None => Actor::system(),
        };
        let address = customer_addresses::Details {
            address: person.address.clone(),
            default: None,
        };
        let address = customer_addresses::Model::create(txn, customer.id, &address).await?;
        let orderer = Orderer {
            customer_id: customer.id,
            address_id: address.id,
            actor,
        };
        added.insert(email, orderer);
    }
    Ok(added)
}

async fn place_orders(
    txn: &Transaction,
    ctx: &Context,
    people: &BTreeMap<&str, Orderer>,
    lines: &[DemoLine],
) -> models::Result<()> {
    for lines in lines.chunk_by(|line, next| line.order == next.order) {
        let first = &lines[0];
        let orderer = people.get(first.email.0.as_str());
        let orderer = orderer.ok_or(models::Error::NotFound)?;
        let mut order = NewOrder {
            items: Vec::new(),
            customer_id: None,
            shipping_address: None,
            shipping_address_id: Some(orderer.address_id),
            shipping_option_id: None,
            discount_code: None,
            note: first.note.clone(),
        };
        for line in lines {
            let product = products::Model::find_by_sku(txn, line.sku.as_str()).await?;
            order.items.push(OrderLine {
                product_id: product.id,
                quantity: line.quantity,
            });
        }
        let sale = ctx.sale(&orderer.actor, false);
        let placed = orders::Model::place(txn, orderer.customer_id, &order, &sale).await?;
        let (id, system) = (placed.order.id, Actor::system());
        for next in way_to(first.status) {
            orders::Model::change_status(txn, Scope::All, id, *next, None, &system).await?;
        }
    }
    Ok(())
}

/// Every row was imported.
fn all(imported: Imported) -> models::Result<()> {
    match imported.refused.into_iter().next() {
        Some((_, broken)) => Err(models::Error::Invalid(broken)),
        None => Ok(()),
    }
}

/// What an order that was placed goes through.
const fn way_to(status: OrderStatus) -> &'static [OrderStatus] {
    use OrderStatus::{Cancelled, Delivered, Paid, Placed, Shipped};
    match status {
        Placed => &[],
        Paid => &[Paid],
        Shipped => &[Paid, Shipped],
        Delivered => &[Paid, Shipped, Delivered],
        Cancelled => &[Cancelled],
    }
}

fn fixture<T: Input>(name: &str, text: &str) -> Result<Vec<T>> {
    Rows::new(text.as_bytes())
        .and_then(|rows| rows.map(|row| Ok(row?.1)).collect())
        .map_err(|refused| Error::Message(format!("src/fixtures/{name}: {refused}")))
}

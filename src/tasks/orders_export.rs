//! `orders:export`: writes the orders of a time, as CSV or as JSON.

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::{
    begin,
    export::{Source, export},
};
use crate::{
    models::{
        listing::{Listing, Page, Sort},
        orders::{Filter, Key, Model, Scope},
        types::{Scalar, Timestamp},
    },
    views::{
        csv::{order_columns, order_rows},
        orders::Order,
    },
};

/// Writes orders.
#[derive(Clone, Copy, Debug)]
pub struct OrdersExport;

#[async_trait]
impl Task for OrdersExport {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "orders:export".to_owned(),
            detail: "Writes orders as CSV, one row for each item of an order. [file:PATH, otherwise to standard \
                     output] [from:TIME, placed then or later] [to:TIME, placed before] [format:ndjson, one JSON \
                     object a line, as the API shows an order]. A time is a day in UTC such as 2026-01-31, which \
                     means its first moment, or a moment such as 2026-01-31T12:00:00+01:00 (RFC 3339). In CSV, a \
                     text that a spreadsheet would take for a formula begins with an apostrophe."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["file", "from", "to", "format"]).await?;
        let filter = placed(time(vars, "from")?, time(vars, "to")?)?;
        export(vars, &Orders(ctx), filter, Sort::ascending(Key::Id)).await
    }
}

struct Orders<'a>(&'a AppContext);

impl Source for Orders<'_> {
    type Item = Order;
    type Filter = Filter;
    type Key = Key;

    const NAME: &'static str = "order";
    /// Orders hold personal data.
    const MODE: u32 = 0o600;

    fn columns() -> Vec<&'static str> {
        order_columns()
    }

    fn rows(order: &Order) -> Result<Vec<Vec<String>>> {
        Ok(order_rows(order)?)
    }

    async fn page(&self, listing: &Listing<Filter, Key>) -> Result<Page<Order>> {
        let page = Model::list_for(&self.0.db, Scope::All, listing).await?;
        Ok(page.map(Order::from))
    }
}

/// The time that an argument names: a moment, or the first one of a day in UTC.
fn time(vars: &Vars, argument: &str) -> Result<Option<Timestamp>> {
    let Some(text) = vars.cli.get(argument) else {
        return Ok(None);
    };
    let time = Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}T00:00:00Z")));
    let neither = |_| {
        let why = "is neither a day such as 2026-01-31 nor a time such as 2026-01-31T12:00:00Z";
        Error::Message(format!("{argument}:{text} {why}"))
    };
    time.map(Some).map_err(neither)
}

/// The orders placed at `from` or later, and before `to`.
fn placed(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Filter> {
    if let (Some(from), Some(to)) = (from, to)
        && from.0 >= to.0
    {
        return Err(Error::string("from: has to be earlier than to:"));
    }
    // The filter includes its end. Times have microseconds, and no order is as old as the first of them.
    let last = |to: Timestamp| Timestamp::from_micros(to.0.timestamp_micros() - 1).unwrap_or(to);
    Ok(Filter {
        placed_from: from,
        placed_to: to.map(last),
        ..Filter::default()
    })
}

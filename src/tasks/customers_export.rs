//! `customers:export`: writes all that is kept of a customer, as JSON.

use std::io::{Write, stdout};

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::begin;
use crate::{
    context::Context,
    models::{self, checkouts::Buyer, personal_data::PersonalData},
    views::personal_data::PersonalDataText,
};

/// Writes all that is kept of a customer.
#[derive(Clone, Copy, Debug)]
pub struct CustomersExport;

#[async_trait]
impl Task for CustomersExport {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "customers:export".to_owned(),
            detail: "Writes all that is kept of a customer to standard output, as JSON: id:7. The same as GET \
                     /customers/7/export."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["id"]).await?;
        let id = vars.cli.get("id").and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| Error::string("id:NUMBER is required"))?;
        let mut person = match PersonalData::of(&ctx.db, id).await {
            Err(models::Error::NotFound) => {
                return Err(Error::Message(format!("there is no customer {id}")));
            }
            person => person?,
        };
        let mut text = PersonalDataText::of(&person);
        let mut output = stdout();
        let (context, system) = (Context::of(ctx)?, models::Actor::system());
        let rules = context.checkout_rules(&system, Buyer::Staff, None);
        while let Some(written) = text.write(person.read(&ctx.db, &rules).await?)? {
            output.write_all(written.as_bytes())?;
        }
        Ok(output.flush()?)
    }
}

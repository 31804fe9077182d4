//! `webhooks:retry`: sends everything once more that was given up for a webhook endpoint.

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::begin;
use crate::{
    context::Context,
    models::{self, Actor, types::Scalar, webhook_deliveries::Model},
};

/// Sends everything once more that was given up for a webhook endpoint.
#[derive(Clone, Copy, Debug)]
pub struct WebhooksRetry;

#[async_trait]
impl Task for WebhooksRetry {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "webhooks:retry".to_owned(),
            detail: "Sends the deliveries that have failed once more. Arguments: endpoint:ID. A running server sends \
                     them."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["endpoint"]).await?;
        let given = vars.cli.get("endpoint").map(String::as_str);
        let id = given.and_then(|id| i64::parse(id).ok());
        let id = id.ok_or_else(|| {
            Error::string("endpoint:ID is required: the id of a webhook endpoint")
        })?;
        let store = Context::of(ctx)?.caused_by(Actor::task(&self.task().name));
        let retried = Model::retry_all(&store, id)
            .await
            .map_err(|error| match error {
                models::Error::NotFound => {
                    Error::Message(format!("there is no webhook endpoint {id}"))
                }
                models::Error::Disabled => Error::Message(format!(
                    "the webhook endpoint {id} is disabled: enable it first"
                )),
                error => error.into(),
            })?;
        let deliveries = if retried == 1 {
            "1 delivery".to_owned()
        } else {
            format!("{retried} deliveries")
        };
        println!("{deliveries} will be sent again.");
        Ok(())
    }
}

//! `keys:delete`: deletes an API key.

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::begin;
use crate::{
    context::Context,
    models::{self, Actor, api_keys::Model, types::Scalar},
    transaction,
};

/// Deletes an API key.
#[derive(Clone, Copy, Debug)]
pub struct KeysDelete;

#[async_trait]
impl Task for KeysDelete {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "keys:delete".to_owned(),
            detail: "Deletes an API key. Arguments: id:ID. It ends at once on servers that share a Redis with this \
                     command, and within five seconds on one without."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["id"]).await?;
        let given = vars.cli.get("id").map(String::as_str);
        let id = given.and_then(|id| i64::parse(id).ok());
        let id = id.ok_or_else(|| Error::string("id:ID is required: the id of an API key"))?;
        let store = Context::of(ctx)?.caused_by(Actor::task(&self.task().name));
        let deleted = transaction!(&store, |txn| {
            let key = Model::find_locked(txn, id).await?;
            let name = key.name.clone();
            key.delete(txn).await?;
            Ok(name)
        });
        let name = deleted.map_err(|error| match error {
            models::Error::NotFound => Error::Message(format!("there is no API key {id}")),
            error => error.into(),
        })?;
        println!("The API key {id} ({name}) was deleted.");
        Ok(())
    }
}

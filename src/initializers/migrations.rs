//! Says to `boxcar-cli doctor` whether the database has the tables of this version.

use async_trait::async_trait;
use loco_rs::{
    Result,
    app::{AppContext, Initializer},
    doctor::{Check, CheckStatus},
};

/// The check.
#[derive(Clone, Copy, Debug)]
pub struct MigrationCheck;

#[async_trait]
impl Initializer for MigrationCheck {
    fn name(&self) -> String {
        "migrations".to_owned()
    }

    async fn check(&self, ctx: &AppContext) -> Result<Option<Check>> {
        let (status, message) = match migration::is_behind(&ctx.db).await {
            Ok(false) => (CheckStatus::Ok, "the database has all of them".to_owned()),
            Ok(true) if ctx.config.database.auto_migrate => (
                CheckStatus::Ok,
                "the database is new or of an earlier version: the next start runs them".to_owned(),
            ),
            Ok(true) => (
                CheckStatus::NotOk,
                "the database is new or of an earlier version: `boxcar-cli db migrate` runs them"
                    .to_owned(),
            ),
            Err(why) => (
                CheckStatus::NotOk,
                format!("the database does not say which it has: {why}"),
            ),
        };
        Ok(Some(Check {
            status,
            message,
            description: None,
        }))
    }
}

//! Makes the first administrator, with whom the store begins. There is no default password.

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::{AppContext, Initializer},
};

use crate::{
    context::Context,
    models::{
        self,
        customer_accounts::{Model, NewAccount},
        queue::Client,
        types::{NewPassword, Scalar, Username},
    },
    settings::Settings,
    transaction,
};

/// Makes an administrator when there is none.
#[derive(Clone, Copy, Debug)]
pub struct FirstAdmin;

#[async_trait]
impl Initializer for FirstAdmin {
    fn name(&self) -> String {
        "first_admin".to_owned()
    }

    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        if migration::is_behind(&ctx.db).await? {
            tracing::warn!(
                "the database lacks migrations: the first administrator is created by the next start after them"
            );
            return Ok(());
        }
        if Model::any_administrator(&ctx.db).await? {
            return Ok(());
        }
        let settings = Settings::of(ctx)?;
        let first = &settings.first_admin;
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        match (given(&first.username), given(&first.password)) {
            (Some(username), Some(password)) => {
                let username = usable("ADMIN_USERNAME", &username)?;
                let password = usable("ADMIN_PASSWORD", &password)?;
                make(ctx, username, password, None).await
            }
            (None, None) if first.generate => {
                let password = NewPassword::generated();
                let username = usable("admin", "admin")?;
                let shown = password.reveal().to_owned();
                make(ctx, username, password, Some(&shown)).await
            }
            (None, None) => {
                tracing::warn!(
                    "there is no administrator: run the task admin:create, or set ADMIN_USERNAME and ADMIN_PASSWORD"
                );
                Ok(())
            }
            _ => Err(Error::string(
                "ADMIN_USERNAME and ADMIN_PASSWORD have to be set together",
            )),
        }
    }
}

/// Makes an administrator, and prints the password that was generated, if it was.
async fn make(
    ctx: &AppContext,
    username: Username,
    password: NewPassword,
    generated: Option<&str>,
) -> Result<()> {
    let account = NewAccount::administrator(username, password);
    let account = account.hashed(&ctx.db, Client::System).await;
    let account = account.map_err(|error| match error {
        models::Error::Invalid(errors) => {
            let why: String = errors.into_iter().map(|error| error.message).collect();
            Error::Message(format!("ADMIN_PASSWORD {why}"))
        }
        error => error.into(),
    })?;
    let made = transaction!(ctx, |txn| {
        Model::create(txn, &account).await?;
        // Before the commit: a start that is killed here leaves no administrator whose password is unknown.
        if let Some(password) = generated {
            let text = format!(
                "The first administrator is \"admin\", with the password \"{password}\". It is shown by this start only.\n\
                 `cargo loco task admin:create` creates another administrator.\n"
            );
            Context::of(ctx)?
                .announcements
                .say("1 administrator", text, Some(password));
        }
        Ok(())
    });
    match made {
        Ok(()) => Ok(()),
        // Another node that starts at the same time was faster; or the name is a customer's.
        Err(models::Error::NotUnique(_)) if Model::any_administrator(&ctx.db).await? => {
            Context::of(ctx)?.announcements.take_back("1 administrator");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn usable<T: Scalar>(variable: &str, text: &str) -> Result<T> {
    T::parse(text).map_err(|why| Error::Message(format!("{variable} {}", why.message)))
}

//! `admin:create`: creates an administrator.

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::{begin, read_secret};
use crate::{
    context::Context,
    models::{
        Actor,
        customer_accounts::{Model, NewAccount},
        queue::Client,
        types::{NewPassword, Scalar, Username},
    },
    transaction,
};

const NAME: &str = "admin:create";

/// Creates an administrator.
#[derive(Clone, Copy, Debug)]
pub struct AdminCreate;

#[async_trait]
impl Task for AdminCreate {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: NAME.to_owned(),
            detail: "Creates an administrator. username:NAME [password:PASSWORD | password:- to read it from \
                     standard input]. Without a password one is generated and printed once."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &["username", "password"]).await?;
        let username = vars
            .cli_arg("username")
            .map_err(|_| Error::string("username:NAME is required"))?;
        let username = Username::parse(username)
            .map_err(|why| Error::Message(format!("username {}", why.message)))?;
        let given = match vars.cli.get("password").map(String::as_str) {
            None => None,
            Some("-") => Some(read_secret("Password: ").await?),
            Some(password) => Some(password.to_owned()),
        };
        let password = match &given {
            None => NewPassword::generated(),
            Some(text) => NewPassword::parse(text)
                .map_err(|why| Error::Message(format!("password {}", why.message)))?,
        };
        let name = username.as_str().to_owned();
        let generated = given.is_none().then(|| password.reveal().to_owned());
        let account = NewAccount::administrator(username, password)
            .hashed(&ctx.db, Client::System)
            .await?;
        let store = Context::of(ctx)?.caused_by(Actor::task(NAME));
        transaction!(&store, |txn| Model::create(txn, &account).await)?;
        println!("The administrator {name} can log in now.");
        if let Some(password) = generated {
            println!("The password, shown this once: {password}");
        }
        Ok(())
    }
}

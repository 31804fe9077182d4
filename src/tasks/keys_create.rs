//! `keys:create`: creates an API key.

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::begin;
use crate::{
    context::Context,
    models::{
        Actor,
        api_keys::{Model, NewKey, Rights},
        types::{Expiry, KeyKind, KeyName, KeyScope, RateLimit, RuleViolation, Scalar},
    },
    transaction,
};

const NAME: &str = "keys:create";

/// Creates an API key.
#[derive(Clone, Copy, Debug)]
pub struct KeysCreate;

#[async_trait]
impl Task for KeysCreate {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: NAME.to_owned(),
            detail: "Creates an API key and prints it once. name:NAME kind:publishable, or kind:secret \
                     scopes:SCOPE,SCOPE [rate_limit:REQUESTS/SECONDS] [expires_at:TIME]. Scopes are such as \
                     products:read, orders:write, visitors."
                .to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        let known = ["name", "kind", "scopes", "rate_limit", "expires_at"];
        begin(ctx, vars, &known).await?;
        let given = |name: &str| vars.cli.get(name).map(String::as_str);
        let name = parsed("name", given("name"), KeyName::parse)?;
        let kind = parsed("kind", given("kind"), KeyKind::parse)?;
        let new = NewKey {
            name: name.ok_or_else(|| missing("name:NAME"))?,
            rights: rights(
                kind.ok_or_else(|| missing("kind:publishable or kind:secret"))?,
                given("scopes"),
            )?,
            rate_limit: parsed("rate_limit", given("rate_limit"), RateLimit::parse)?,
            expires_at: parsed("expires_at", given("expires_at"), Expiry::parse)?,
        };
        let (key, actor) = (new.rights.key(), Actor::task(NAME));
        let store = Context::of(ctx)?.caused_by(actor.clone());
        let row = transaction!(&store, |txn| Model::create(txn, &new, &key, &actor).await)?;
        println!("The API key {} ({}) works now.", row.id, row.name);
        println!("The key, shown this once: {}", key.reveal());
        Ok(())
    }
}

/// What the key may do: the scopes of a secret key stand between commas.
fn rights(kind: KeyKind, scopes: Option<&str>) -> Result<Rights> {
    match (kind, scopes) {
        (KeyKind::Publishable, None) => Ok(Rights::Publishable),
        (KeyKind::Publishable, Some(_)) => Err(Error::string("scopes are for secret keys only")),
        (KeyKind::Secret, None) => Err(missing("scopes:SCOPE,SCOPE")),
        (KeyKind::Secret, Some(scopes)) => {
            let mut known = Vec::new();
            for scope in scopes.split(',') {
                let scope = KeyScope::parse(scope).map_err(|why| refused("scopes", &why))?;
                if known.contains(&scope) {
                    return Err(Error::Message(format!("scopes name {scope} twice")));
                }
                known.push(scope);
            }
            Ok(Rights::Secret(known))
        }
    }
}

fn parsed<T>(
    name: &str,
    given: Option<&str>,
    parse: impl Fn(&str) -> std::result::Result<T, RuleViolation>,
) -> Result<Option<T>> {
    let value = given.map(parse).transpose();
    value.map_err(|why| refused(name, &why))
}

fn missing(what: &str) -> Error {
    Error::Message(format!("{what} is required"))
}

fn refused(name: &str, why: &RuleViolation) -> Error {
    Error::Message(format!("{name} {}", why.message))
}

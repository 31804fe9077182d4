//! `keys:list`: prints the API keys, without the keys themselves.

use async_trait::async_trait;
use loco_rs::{
    Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::{begin, counted};
use crate::models::{
    api_keys::Model,
    types::{KeyScope, rfc3339},
};

/// Prints the API keys.
#[derive(Clone, Copy, Debug)]
pub struct KeysList;

#[async_trait]
impl Task for KeysList {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "keys:list".to_owned(),
            detail: "Prints the API keys: id, beginning, name, scopes, when each ends and was last used.".to_owned(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &Vars) -> Result<()> {
        begin(ctx, vars, &[]).await?;
        let keys = Model::all(&ctx.db).await?;
        for key in &keys {
            println!("{}", line(key));
        }
        println!(
            "{}.",
            counted(keys.len().try_into().unwrap_or_default(), "API key")
        );
        Ok(())
    }
}

fn line(key: &Model) -> String {
    let scopes: Vec<_> = key.scopes().into_iter().map(KeyScope::as_str).collect();
    let mut words = vec![
        key.id.to_string(),
        format!("{}…", key.prefix),
        key.name.clone(),
        if scopes.is_empty() {
            key.kind.clone()
        } else {
            scopes.join(",")
        },
    ];
    let moments = [("ends", key.expires_at), ("last used", key.last_used_at)];
    for (what, at) in moments {
        if let Some(at) = at {
            words.push(format!("{what} {}", rfc3339(at.to_utc(), 0).as_str()));
        }
    }
    words.join("  ")
}

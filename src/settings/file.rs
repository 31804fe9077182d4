//! `config/*.yaml`: read, and refused by the name of the setting that is wrong.

use std::fs;

use loco_rs::{Error, Result, config::Config, controller::views, environment::Environment};
use serde_json::json;

use super::{Settings, address, fault};

/// The file that explains every key, with the variable that sets it.
const EXPLAINED: &str = include_str!("../../config/development.yaml");

/// Reads the configuration before anything is connected, and refuses what cannot be: the drivers' own
/// errors repeat addresses with their passwords.
///
/// # Errors
/// Which setting is wrong, and why.
pub fn read(environment: &Environment) -> Result<Config> {
    let mut config = environment.load().map_err(named)?;
    Settings::checked(&config, environment)?;
    config.database.uri =
        address::of_database(&config.database.uri).map_err(|why| fault("database.uri", &why))?;
    Ok(config)
}

/// The variable that sets a key, in the configuration as it is delivered.
pub(super) fn variable(key: &str) -> Option<&'static str> {
    let mut path: Vec<(usize, &str)> = Vec::new();
    EXPLAINED.lines().find_map(|line| {
        let (name, value) = line.trim_start().split_once(':')?;
        let indent = line.len() - line.trim_start().len();
        path.retain(|(above, _)| *above < indent);
        path.push((indent, name));
        let names = path.iter().map(|(_, name)| *name);
        names
            .eq(key.split('.'))
            .then(|| variable_in(value))
            .flatten()
    })
}

fn variable_in(text: &str) -> Option<&str> {
    let (_, name) = text.split_once("get_env(name=\"")?;
    name.split('"').next()
}

/// The same error with the name of the setting: Loco's says neither that nor where it stands.
fn named(error: Error) -> Error {
    let Error::YAMLFile(_, files) = &error else {
        return error;
    };
    let Some((base, _)) = files.split_once(".yaml") else {
        return error;
    };
    let located = fs::read_to_string(format!("{base}.yaml"))
        .ok()
        .and_then(|template| located(&template));
    located.unwrap_or(error)
}

fn located(template: &str) -> Option<Error> {
    let tags = template.replace("<%=", "{{").replace("%>", "}}");
    let rendered = views::template(&tags, json!({})).ok()?;
    let error = yaml_serde::from_str::<Config>(&rendered).err()?;
    let message = error.to_string();
    let (key, _) = message.split_once(':').unwrap_or_default();
    let by_line = || {
        let line = error.location()?.line().checked_sub(1)?;
        variable_in(template.lines().nth(line)?)
    };
    let variable = variable(key).or_else(by_line)?;
    Some(Error::Message(format!("{variable} ({message})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_variable() {
        for (key, expected) in [
            ("server.port", Some("PORT")),
            ("database.uri", Some("DATABASE_URL")),
            ("auth.jwt.secret", Some("JWT_SECRET")),
            ("settings.redis.url", Some("REDIS_URL")),
            ("settings.connections.max", Some("MAX_CONNECTIONS")),
            ("settings.security.password_min_length", None),
            ("settings.url", None),
        ] {
            assert_eq!(variable(key), expected, "{key}");
        }
    }
}

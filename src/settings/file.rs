//! `config/*.yaml`: read, and refused by the name of the setting that is wrong.
//!
//! The files are in the program too, so that it runs wherever it is started. A folder with a file of the same name
//! takes their place.

use std::{env, fs, path::Path};

use loco_rs::{Error, Result, config::Config, controller::views, environment::Environment};
use serde_json::json;

use super::{Settings, address, fault};

/// The folder that has to have the environment's file.
const FOLDER: &str = "LOCO_CONFIG_FOLDER";

/// The folder that may have it.
const USUAL_FOLDER: &str = "config";

/// The file that explains every key, with the variable that sets it.
const EXPLAINED: &str = include_str!("../../config/development.yaml");

/// Reads the configuration: from `LOCO_CONFIG_FOLDER`, or `config/` in the working directory, or the program itself.
///
/// That is before anything is connected, and refuses what cannot be: the drivers' own
/// errors repeat addresses with their passwords.
///
/// # Errors
/// Which setting is wrong, and why.
pub fn read(environment: &Environment) -> Result<Config> {
    let folder = env::var_os(FOLDER).filter(|folder| !folder.is_empty());
    let path = folder.as_deref().map_or(USUAL_FOLDER.as_ref(), Path::new);
    let template = embedded(environment).filter(|_| folder.is_none());
    let mut config = match template {
        _ if has_file(path, environment) => environment.load_from_folder(path).map_err(named)?,
        Some(template) => parsed(template)?,
        None => return Err(missing(path, environment)),
    };
    Settings::checked(&config, environment)?;
    config.database.uri =
        address::of_database(&config.database.uri).map_err(|why| fault("database.uri", &why))?;
    Ok(config)
}

/// Whether the folder has the environment's file, or the one with which Loco overrides it.
fn has_file(folder: &Path, environment: &Environment) -> bool {
    let names = [
        format!("{environment}.yaml"),
        format!("{environment}.local.yaml"),
    ];
    names.iter().any(|name| folder.join(name).exists())
}

fn missing(folder: &Path, environment: &Environment) -> Error {
    let file = folder.join(format!("{environment}.yaml"));
    Error::Message(format!(
        "the configuration {} was not found: LOCO_ENV has to be development, test or production, or {FOLDER} has to be \
         a folder with that file",
        file.display()
    ))
}

/// The file that the program itself holds.
const fn embedded(environment: &Environment) -> Option<&'static str> {
    match environment {
        Environment::Development => Some(EXPLAINED),
        Environment::Production => Some(include_str!("../../config/production.yaml")),
        Environment::Test => Some(include_str!("../../config/test.yaml")),
        Environment::Any(_) => None,
    }
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
    let template = fs::read_to_string(format!("{base}.yaml"));
    let located = template.ok().and_then(|template| parsed(&template).err());
    located.unwrap_or(error)
}

/// What the template says, rendered as Loco renders it.
fn parsed(template: &str) -> Result<Config> {
    let tags = template.replace("<%=", "{{").replace("%>", "}}");
    let rendered = views::template(&tags, json!({}))?;
    yaml_serde::from_str(&rendered).map_err(|error| located(template, &error))
}

fn located(template: &str, error: &yaml_serde::Error) -> Error {
    let message = error.to_string();
    let (key, _) = message.split_once(':').unwrap_or_default();
    let by_line = || {
        let line = error.location()?.line().checked_sub(1)?;
        variable_in(template.lines().nth(line)?)
    };
    Error::Message(match variable(key).or_else(by_line) {
        Some(variable) => format!("{variable} ({message})"),
        None => message,
    })
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

//! `config/*.yaml`: read, and refused by the name of the setting that is wrong.
//!
//! The files are in the program too, so that it runs wherever it is started. In a folder, a file of the same name
//! takes the place of one, and a `.local.yaml` changes single keys of it.

use std::{env, fs, path::Path};

use loco_rs::{Error, Result, config::Config, controller::views, environment::Environment};
use serde_json::json;
use url::Url;
use yaml_serde::Value;

use super::{Settings, address, fault};

/// The folder that has to have the environment's file.
const FOLDER: &str = "LOCO_CONFIG_FOLDER";

/// The folder that may have it.
const USUAL_FOLDER: &str = "config";

/// The file that explains every key, with the variable that sets it.
const EXPLAINED: &str = include_str!("../../config/development.yaml");

/// Reads the configuration: from `LOCO_CONFIG_FOLDER`, or `config/` in the working directory, or the program itself.
///
/// What cannot be is refused before anything is connected: the drivers' own errors repeat addresses with their
/// passwords.
///
/// # Errors
/// Which setting is wrong, and why.
pub fn read(environment: &Environment) -> Result<Config> {
    let folder = env::var_os(FOLDER).filter(|folder| !folder.is_empty());
    let path = folder
        .as_deref()
        .map_or_else(|| Path::new(USUAL_FOLDER), Path::new);
    let local = path.join(format!("{environment}.local.yaml"));
    let mut config = match embedded(environment) {
        _ if path.join(format!("{environment}.yaml")).exists() => {
            environment.load_from_folder(path).map_err(named)?
        }
        Some(template) if local.exists() => overridden(template, &local)?,
        Some(template) if folder.is_none() => parsed(template)?,
        _ => return Err(missing(path, environment)),
    };
    Settings::checked(&config, environment)?;
    if let Some(cors) = config
        .server
        .middlewares
        .cors
        .as_ref()
        .filter(|cors| cors.enable)
    {
        check_origins(&cors.allow_origins)?;
    }
    config.database.uri =
        address::of_database(&config.database.uri).map_err(|why| fault("database.uri", &why))?;
    // Loco's own pool is closed before its first use. Its PRAGMAs would switch a new SQLite file to the write-ahead
    // log, which fails when two nodes do it at once.
    config
        .database
        .run_on_start
        .get_or_insert_with(|| "SELECT 1".to_owned());
    Ok(config)
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

/// Refuses what a browser never sends as an origin (RFC 6454, section 6.2): no page would be let in.
fn check_origins(origins: &[String]) -> Result<()> {
    let is_origin = |text: &str| {
        let url = Url::parse(text).ok();
        url.is_some_and(|url| url.origin().is_tuple() && url.origin().ascii_serialization() == text)
    };
    let wrong = match origins {
        [any] if any == "*" => None,
        origins => origins.iter().find(|origin| !is_origin(origin)),
    };
    wrong.map_or(Ok(()), |wrong| {
        let why = format!("{wrong:?} must be an origin such as https://shop.example, or * alone");
        Err(fault("server.middlewares.cors.allow_origins", &why))
    })
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

/// What the template says.
fn parsed(template: &str) -> Result<Config> {
    let rendered = rendered(template)?;
    yaml_serde::from_str(&rendered).map_err(|error| located(template, &error))
}

/// What the template says where the file does not say it, as Loco overrides one file by another.
fn overridden(template: &str, file: &Path) -> Result<Config> {
    parsed(template)?;
    let named = |error: yaml_serde::Error| Error::Message(format!("{}: {error}", file.display()));
    let base = yaml_serde::from_str(&rendered(template)?).map_err(named)?;
    let over = yaml_serde::from_str(&rendered(&fs::read_to_string(file)?)?).map_err(named)?;
    yaml_serde::from_value(merged(base, over)).map_err(named)
}

fn merged(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Mapping(mut base), Value::Mapping(over)) => {
            for (key, value) in over {
                let older = base.remove(&key).unwrap_or_default();
                base.insert(key, merged(older, value));
            }
            Value::Mapping(base)
        }
        (_, over) => over,
    }
}

/// The template with the values of its variables, as Loco renders it.
fn rendered(template: &str) -> Result<String> {
    let tags = template.replace("<%=", "{{").replace("%>", "}}");
    views::template(&tags, json!({}))
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
    fn what_no_browser_sends_as_an_origin_is_refused() {
        let checked = |origins: &[&str]| {
            let origins: Vec<_> = origins.iter().map(ToString::to_string).collect();
            check_origins(&origins).map_err(|error| error.to_string())
        };
        for origins in [
            &["*"][..],
            &["https://shop.example", "http://localhost:3000"],
        ] {
            assert_eq!(checked(origins), Ok(()));
        }
        for origins in [
            &["shop.example"][..],
            &["https://shop.example/"],
            &["https://Shop.example"],
            &["https://shop.example:443"],
            &["*", "https://shop.example"],
            &["https://shop.example", ""],
            &["null"],
        ] {
            assert!(
                checked(origins).unwrap_err().contains("CORS_ALLOW_ORIGINS"),
                "{origins:?}"
            );
        }
    }

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

//! `openapi:write`: writes the API's document.

use std::fs;

use async_trait::async_trait;
use loco_rs::{
    Error, Result,
    app::AppContext,
    task::{Task, TaskInfo, Vars},
};

use super::refuse_unknown;

/// Writes the API's document, which the function makes.
#[derive(Clone, Copy, Debug)]
pub struct OpenapiWrite(pub fn() -> Result<&'static str>);

#[async_trait]
impl Task for OpenapiWrite {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "openapi:write".to_owned(),
            detail: "Writes the API's document (OpenAPI) as YAML. [file:PATH], swagger.yaml unless said otherwise."
                .to_owned(),
        }
    }

    async fn run(&self, _: &AppContext, vars: &Vars) -> Result<()> {
        refuse_unknown(vars, &["file"])?;
        let path = vars.cli.get("file").map_or("swagger.yaml", String::as_str);
        fs::write(path, self.0()?).map_err(|error| Error::Message(format!("{path}: {error}")))?;
        println!("The document is in {path}.");
        Ok(())
    }
}

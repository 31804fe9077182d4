//! Says at start-up where the store is and how to log in.

use async_trait::async_trait;
use loco_rs::{
    Result,
    app::{AppContext, Initializer},
};

use super::swagger::PAGE;
use crate::controllers::BASE;

/// Prints the way in.
#[derive(Clone, Copy, Debug)]
pub struct Welcome;

#[async_trait]
impl Initializer for Welcome {
    fn name(&self) -> String {
        "welcome".to_owned()
    }

    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        let url = format!(
            "http://{}:{}",
            ctx.config.server.binding, ctx.config.server.port
        );
        println!(
            "\nBoxcar\n  API      {url}{BASE}\n  Swagger  {url}{PAGE}\n  log in   POST {url}{BASE}/auth/login with \
             {{\"username\": …, \"password\": …}},\n           then send Authorization: Bearer <token>\n"
        );
        Ok(())
    }
}

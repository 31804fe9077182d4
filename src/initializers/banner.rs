//! Says at start-up where the store is and how to log in.

use std::net::Ipv6Addr;

use async_trait::async_trait;
use loco_rs::{
    Result,
    app::{AppContext, Initializer},
};

use super::swagger::PAGE;
use crate::controllers::BASE;

/// Prints the way in.
#[derive(Clone, Copy, Debug)]
pub struct Banner;

#[async_trait]
impl Initializer for Banner {
    fn name(&self) -> String {
        "banner".to_owned()
    }

    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        let server = &ctx.config.server;
        let url = match server.binding.parse::<Ipv6Addr>() {
            Ok(address) => format!("http://[{address}]:{}", server.port),
            Err(_) => format!("http://{}:{}", server.binding, server.port),
        };
        println!(
            "\nBoxcar\n  API      {url}{BASE}\n  Swagger  {url}{PAGE}\n  log in   POST {url}{BASE}/auth/login with \
             {{\"username\": …, \"password\": …}},\n           then send Authorization: Bearer <token>\n"
        );
        Ok(())
    }
}

//! Makes the post ready that sends mails, and says in `cargo loco doctor` whether it works.

use async_trait::async_trait;
use loco_rs::{
    Result,
    app::{AppContext, Initializer},
    doctor::{Check, CheckStatus},
};

use crate::{mailers::post::Post, settings::Settings};

/// The post.
#[derive(Clone, Copy, Debug)]
pub struct Mail;

#[async_trait]
impl Initializer for Mail {
    fn name(&self) -> String {
        "mail".to_owned()
    }

    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        if let Some(post) = Post::of(&Settings::of(ctx)?.mail) {
            post.install(ctx);
        }
        Ok(())
    }

    async fn check(&self, ctx: &AppContext) -> Result<Option<Check>> {
        let settings = Settings::of(ctx)?;
        let checked = match (Post::of(&settings.mail), settings.mail.dir()) {
            (None, _) => Ok("no mails are sent: SMTP_URL is not set".to_owned()),
            (Some(_), Some(dir)) => Ok(format!("mails are written to files in {dir}")),
            (Some(post), None) => {
                let working = "the server for mails works";
                // Nobody can register then, nor set a forgotten password.
                let working = if settings.mail.is_linked() {
                    working.to_owned()
                } else {
                    format!("{working}; SHOP_URL is not set: nobody can register")
                };
                post.check().await.map(|()| working)
            }
        };
        let (status, message, description) = match checked {
            Ok(message) => (CheckStatus::Ok, message, None),
            Err(why) => {
                let message = "the server for mails does not work".to_owned();
                (
                    CheckStatus::NotOk,
                    message,
                    Some(format!("SMTP_URL: {why}")),
                )
            }
        };
        Ok(Some(Check {
            status,
            message,
            description,
        }))
    }
}

//! What is sent by mail: a folder per mail with its subject, text and HTML, in `shared` what they have in common, and
//! the [`post`] that hands them on.
//!
//! Templates see every value twice. In `text` it is as it is; in `html` it is escaped, because Loco's templates do not
//! escape by themselves: `html.t` may name nothing but `html`.

pub mod post;

use std::cell::RefCell;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use include_dir::{Dir, DirEntry, File};
use loco_rs::{
    Result,
    app::AppContext,
    mailer::{Args, Email, EmailHeaders, Mailer},
};
use serde_json::{Value, json};
use tokio::task_local;

use self::post::{Outcome, Post};
use crate::{
    context::Context,
    models::{
        self, codes, events, mails,
        types::{Code, CodeKind, MailTemplate, Scalar},
    },
    settings::mail::Mail,
};

/// A folder of templates, in the program. With `include_dir!` cargo would not notice that a template has changed.
macro_rules! folder {
    ($name:literal: $($file:literal)+) => {
        Dir::new($name, &[$(
            DirEntry::File(File::new($file, include_bytes!(concat!($name, "/", $file)))),
        )+])
    };
}

static SHARED: Dir<'_> =
    folder!("shared": "base.t" "address.t" "order.t" "end.t" "notice.t" "link.t");
static ORDER_PLACED: Dir<'_> = folder!("order_placed": "subject.t" "text.t" "html.t");
static ORDER_SHIPPED: Dir<'_> = folder!("order_shipped": "subject.t" "text.t" "html.t");
static ORDER_CANCELLED: Dir<'_> = folder!("order_cancelled": "subject.t" "text.t" "html.t");
static WEBHOOK_DISABLED: Dir<'_> = folder!("webhook_disabled": "subject.t" "text.t" "html.t");
static WEBHOOK_FAILED: Dir<'_> = folder!("webhook_failed": "subject.t" "text.t" "html.t");
static REGISTRATION: Dir<'_> = folder!("registration": "subject.t" "text.t" "html.t");
static ALREADY_REGISTERED: Dir<'_> = folder!("already_registered": "subject.t" "text.t" "html.t");
static PASSWORD_RESET: Dir<'_> = folder!("password_reset": "subject.t" "text.t" "html.t");
static PASSWORD_CHANGED: Dir<'_> = folder!("password_changed": "subject.t" "text.t" "html.t");
static EMAIL_CHANGE: Dir<'_> = folder!("email_change": "subject.t" "text.t" "html.t");
static EMAIL_CHANGE_REQUESTED: Dir<'_> =
    folder!("email_change_requested": "subject.t" "text.t" "html.t");
static EMAIL_TAKEN: Dir<'_> = folder!("email_taken": "subject.t" "text.t" "html.t");

/// Writes to customers about their orders and accounts, and to administrators about webhooks.
#[derive(Clone, Copy, Debug)]
pub struct ShopMailer;

task_local! {
    /// What has come of the mail that is being sent: Loco's mailer says only whether it went well.
    static OUTCOME: RefCell<Option<Outcome>>;
}

#[async_trait]
impl Mailer for ShopMailer {
    /// Sends it now. Loco's queue would forget it with the process: the rows of [`mails`] are the queue.
    async fn mail(ctx: &AppContext, email: &Email) -> Result<()> {
        let outcome = match Post::found(ctx) {
            Some(post) => post.send(email).await,
            None => Outcome::failed("mails are turned off"),
        };
        OUTCOME.with(|it| it.replace(Some(outcome)));
        Ok(())
    }
}

impl ShopMailer {
    /// Makes one attempt to send a mail, which takes [`post::TIME`] at most and a little for the database.
    pub async fn attempt(ctx: &AppContext, mail: &mails::Model) -> Outcome {
        let (folder, args) = match letter(ctx, mail).await {
            Ok(letter) => letter,
            Err(models::Error::NotFound) => return Outcome::refused("the event is gone"),
            Err(models::Error::Invalid(_)) => {
                return Outcome::refused("the code was used, or is not good any more");
            }
            Err(error) => return unmade(mail, &error),
        };
        let sent = async {
            Self::mail_template_with_shared(ctx, folder, &[&SHARED], args).await?;
            Ok(OUTCOME.with(RefCell::take))
        };
        match OUTCOME.scope(RefCell::default(), sent).await {
            Ok(outcome) => outcome.unwrap_or_else(|| Outcome::failed("nothing was sent")),
            Err(error) => unmade::<loco_rs::Error>(mail, &error),
        }
    }
}

/// A mail whose text cannot be made: the log says why.
fn unmade<E: std::fmt::Display>(mail: &mails::Model, error: &E) -> Outcome {
    tracing::error!(mail = mail.id, %error, "mail not made");
    Outcome::failed("the text could not be made")
}

/// The templates of a mail, and what they show: the order as it was when the event happened.
async fn letter(
    ctx: &AppContext,
    mail: &mails::Model,
) -> models::Result<(&'static Dir<'static>, Args)> {
    let ctx = Context::of(ctx)?;
    let template = MailTemplate::parse(&mail.template).map_err(|_| models::Error::NotFound)?;
    let folder = folder_of(template);
    let settings = &ctx.settings.mail;
    let text = if let Some((kind, page)) = template.code() {
        linked(&ctx, mail, kind, page).await?
    } else if mail.event_id.is_none() {
        json!({ "shop": settings.shop_name, "subject": mail.subject })
    } else {
        let event_id = mail.event_id.ok_or(models::Error::NotFound)?;
        let event = events::Model::find(&ctx.db, event_id).await?;
        let data = serde_json::from_str(&event.data).map_err(loco_rs::Error::from)?;
        shown_of_event(settings, template, &mail.subject, &data)
    };
    let args = Args {
        to: mail.recipient.clone(),
        locals: json!({ "html": escaped(&text), "text": text }),
        headers: Some(EmailHeaders {
            message_id: Some(mail.message_id.clone()),
            ..EmailHeaders::default()
        }),
        ..Args::default()
    };
    Ok((folder, args))
}

const fn folder_of(template: MailTemplate) -> &'static Dir<'static> {
    match template {
        MailTemplate::OrderPlaced => &ORDER_PLACED,
        MailTemplate::OrderShipped => &ORDER_SHIPPED,
        MailTemplate::OrderCancelled => &ORDER_CANCELLED,
        MailTemplate::WebhookDisabled => &WEBHOOK_DISABLED,
        MailTemplate::WebhookFailed => &WEBHOOK_FAILED,
        MailTemplate::Registration => &REGISTRATION,
        MailTemplate::AlreadyRegistered => &ALREADY_REGISTERED,
        MailTemplate::PasswordReset => &PASSWORD_RESET,
        MailTemplate::PasswordChanged => &PASSWORD_CHANGED,
        MailTemplate::EmailChange => &EMAIL_CHANGE,
        MailTemplate::EmailChangeRequested => &EMAIL_CHANGE_REQUESTED,
        MailTemplate::EmailTaken => &EMAIL_TAKEN,
    }
}

/// What templates show of a code: a link to the page of the shop that takes it. A code that does not work any more is
/// sent to nobody.
async fn linked(
    ctx: &Context,
    mail: &mails::Model,
    kind: CodeKind,
    page: &str,
) -> models::Result<Value> {
    let sealed = mail.sealed_code.as_deref();
    let code = sealed.and_then(|sealed| ctx.sealer.open_code(sealed));
    let code = code.ok_or_else(Code::refused)?;
    let proof = codes::Model::find(&ctx.db, kind, &code).await?;
    let settings = &ctx.settings.mail;
    let shop = settings.shop_url().unwrap_or_default();
    let until = proof.expires_at.to_utc();
    Ok(json!({
        "shop": settings.shop_name,
        "subject": mail.subject,
        "link": format!("{shop}/{page}?token={}", code.reveal()),
        "until": until.format("%-d %B %Y, %H:%M UTC").to_string(),
    }))
}

/// What templates show of what has happened.
fn shown_of_event(settings: &Mail, template: MailTemplate, subject: &str, data: &Value) -> Value {
    match template {
        MailTemplate::WebhookDisabled | MailTemplate::WebhookFailed => {
            json!({ "shop": settings.shop_name, "subject": subject, "webhook": data })
        }
        MailTemplate::PasswordChanged => {
            json!({ "shop": settings.shop_name, "subject": subject, "account": data })
        }
        _ => shown(settings, subject, data),
    }
}

/// What templates show of an order. What may be missing is `null`: a name that is not there is an error to them.
fn shown(settings: &Mail, subject: &str, order: &Value) -> Value {
    let placed_at = order["placed_at"].as_str().unwrap_or_default();
    let placed_on = DateTime::parse_from_rfc3339(placed_at)
        .map(|at| at.with_timezone(&Utc).format("%-d %B %Y").to_string());
    let last = order["history"].as_array().and_then(|steps| steps.last());
    let link = settings
        .shop_url()
        .map(|shop| format!("{shop}/orders/{}", order["id"]));
    json!({
        "shop": settings.shop_name,
        "subject": subject,
        "order": order,
        "placed_on": placed_on.ok(),
        "ships_to": lines(&order["shipping_address"]),
        "reason": last.and_then(|step| step.get("reason")),
        "link": link,
    })
}

/// An address as it stands on a parcel.
fn lines(address: &Value) -> Option<String> {
    let place = ["/postal_code", "/city"];
    let place = place.map(|field| address.pointer(field).and_then(Value::as_str));
    let place: Vec<_> = place.into_iter().flatten().collect();
    let place = Value::from(place.join(" "));
    let field = |name| address.get(name).unwrap_or(&Value::Null);
    let lines = [
        field("name"),
        field("company"),
        field("line1"),
        field("line2"),
        &place,
        field("region"),
        field("country"),
    ];
    let lines = lines.into_iter().filter_map(Value::as_str);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The same with every text escaped for HTML, also between quotes.
fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let mut escaped = String::with_capacity(text.len());
            for letter in text.chars() {
                match letter {
                    '&' => escaped.push_str("&amp;"),
                    '<' => escaped.push_str("&lt;"),
                    '>' => escaped.push_str("&gt;"),
                    '"' => escaped.push_str("&quot;"),
                    '\'' => escaped.push_str("&#39;"),
                    other => escaped.push(other),
                }
            }
            Value::String(escaped)
        }
        Value::Array(values) => values.iter().map(escaped).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), self::escaped(value)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_shows_nothing_but_what_is_escaped() {
        for folder in [
            &SHARED,
            &ORDER_PLACED,
            &ORDER_SHIPPED,
            &ORDER_CANCELLED,
            &WEBHOOK_DISABLED,
            &WEBHOOK_FAILED,
            &REGISTRATION,
            &ALREADY_REGISTERED,
            &PASSWORD_RESET,
            &PASSWORD_CHANGED,
            &EMAIL_CHANGE,
            &EMAIL_CHANGE_REQUESTED,
            &EMAIL_TAKEN,
        ] {
            for file in folder.files() {
                let name = file.path().to_str().unwrap();
                let text = file.contents_utf8().unwrap();
                if ["html.t", "base.t", "address.t", "notice.t", "link.t"].contains(&name) {
                    assert!(!text.contains("text."), "{name} shows what is not escaped");
                } else {
                    assert!(!text.contains("html."), "{name} shows what is escaped");
                }
            }
        }
    }

    #[test]
    fn every_text_is_escaped_and_nothing_else_changes() {
        let value = json!({ "<a>": ["<b> & \"c\" 'd'", 7, null, true, { "e": "<" }] });
        let expected = json!({
            "<a>": ["&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;", 7, null, true, { "e": "&lt;" }],
        });
        assert_eq!(escaped(&value), expected);
    }
}

//! The post: hands mails to the server that takes them or, where there is none, writes them to files.
//!
//! It speaks SMTP by lettre, which Loco's `EmailSender` stands on: that one adds no header such as `Auto-Submitted`,
//! waits for the answer to QUIT, which a server may never give, and does not say what was answered.

use std::{io::Write, path::PathBuf, sync::Arc, time::Duration};

use chrono::Utc;
use lettre::{
    Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        extension::ClientId,
    },
};
use loco_rs::{Error, Result, app::AppContext, mailer::Email};
use tokio::{task::spawn_blocking, time::timeout};

use crate::settings::mail::{Mail, Smtp, Tls};

/// How long one attempt may take: less than a lease lasts.
pub const TIME: Duration = Duration::from_secs(20);

/// How long the answer to QUIT is waited for.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long the text of an error may be: servers say a lot.
const SAID: usize = 200;

/// What servers answer to those who have not logged in as they should (RFC 4954). That is no fault of the mail, and
/// can be mended: it is tried again.
const NOT_LOGGED_IN: [u16; 4] = [530, 534, 535, 538];

/// Hands mails on.
#[derive(Clone, Debug)]
pub struct Post {
    from: Mailbox,
    way: Way,
    time: Duration,
}

#[derive(Clone, Debug)]
enum Way {
    Server(Smtp),
    Directory(PathBuf),
}

/// What has come of an attempt to send a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken. The server has answered that, if there is one.
    Sent(Option<u16>),
    /// It was refused, and will always be.
    Refused(Failure),
    /// It has failed, and may go well later.
    Failed(Failure),
}

/// Why a mail was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the server has answered, if it has.
    pub status_code: Option<u16>,
    /// The same in words, without secrets. Servers repeat the address of the recipient.
    pub error: String,
}

impl Post {
    /// Hands mails on as the settings say, if they want any.
    pub fn of(settings: &Mail) -> Option<Self> {
        let server = settings.smtp().map(Way::Server);
        let directory = settings.dir().map(|dir| Way::Directory(dir.into()));
        Some(Self {
            from: settings.sender(),
            way: server.or(directory)?,
            time: TIME,
        })
    }

    /// The same, where an attempt may take so long.
    #[must_use]
    pub const fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Leaves it with Loco's context, where [`found`](Self::found) looks for it.
    pub fn install(self, ctx: &AppContext) {
        ctx.shared_store.insert(Arc::new(self));
    }

    /// The one that was left with Loco's context, if there are mails.
    pub fn found(ctx: &AppContext) -> Option<Arc<Self>> {
        ctx.shared_store.get()
    }

    /// Makes one attempt to send a mail.
    pub async fn send(&self, email: &Email) -> Outcome {
        let message = match self.message(email) {
            Ok(message) => message,
            // An address that no server takes, which stays what it is.
            Err(error) => return Outcome::refused(&error.to_string()),
        };
        match &self.way {
            Way::Server(smtp) => match timeout(self.time, hand_over(smtp, &message)).await {
                Ok((outcome, connection)) => {
                    // Whatever it answers now: the mail was taken already.
                    if let Some(mut connection) = connection {
                        let _ = timeout(FAREWELL, connection.quit()).await;
                    }
                    outcome
                }
                Err(_) => {
                    Outcome::failed(&format!("no answer within {} s", self.time.as_secs_f32()))
                }
            },
            Way::Directory(directory) => match write(directory.clone(), message).await {
                Ok(path) => {
                    tracing::info!(file = %path.display(), "mail written");
                    Outcome::Sent(None)
                }
                Err(error) => Outcome::failed(&format!("{}: {error}", directory.display())),
            },
        }
    }

    /// Whether the server answers, and takes the user and the password, if there is one.
    ///
    /// # Errors
    /// What is wrong, without secrets.
    pub async fn check(&self) -> Result<(), String> {
        let Way::Server(smtp) = &self.way else {
            return Ok(());
        };
        let connected = timeout(self.time, connected(smtp)).await;
        let connected = connected.map_err(|_| "no answer in time".to_owned())?;
        let mut connection = connected.map_err(|failure| failure.error)?;
        let _ = timeout(FAREWELL, connection.quit()).await;
        Ok(())
    }

    /// The mail as it goes out.
    fn message(&self, email: &Email) -> Result<Message> {
        let headers = email.headers.clone().unwrap_or_default();
        // One word of its own line: an answering machine does not answer it (RFC 3834).
        let automatic = HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        );
        // The address alone, without the name of the person: what is not there injects nothing.
        let to = Mailbox::new(None, email.to.parse()?);
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(on_one_line(&email.subject))
            .message_id(headers.message_id)
            .date_now()
            .raw_header(automatic)
            .multipart(MultiPart::alternative_plain_html(
                email.text.clone(),
                email.html.clone(),
            ))?;
        Ok(message)
    }
}

impl Outcome {
    /// Refused for that reason, before a server has said anything.
    pub fn refused(why: &str) -> Self {
        Self::Refused(Failure::said(None, why))
    }

    /// Failed for that reason, without an answer.
    pub fn failed(why: &str) -> Self {
        Self::Failed(Failure::said(None, why))
    }
}

impl Failure {
    fn said(status_code: Option<u16>, error: &str) -> Self {
        let error = on_one_line(error);
        Self {
            status_code,
            error: error.chars().take(SAID).collect(),
        }
    }
}

/// The text without what ends a line, or does other things to a terminal.
fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Hands a mail to the server, and leaves the connection to be ended when it was taken.
async fn hand_over(smtp: &Smtp, message: &Message) -> (Outcome, Option<AsyncSmtpConnection>) {
    let mut connection = match connected(smtp).await {
        Ok(connection) => connection,
        Err(failure) => return (Outcome::Failed(failure), None),
    };
    let answer = connection
        .send(message.envelope(), &message.formatted())
        .await;
    let error = match answer {
        Ok(answer) => return (Outcome::Sent(Some(answer.code().into())), Some(connection)),
        Err(error) => error,
    };
    let code = error.status().map(u16::from);
    let failure = Failure::said(code, &error.to_string());
    let own_fault = code.is_some_and(|code| NOT_LOGGED_IN.contains(&code));
    let outcome = if error.is_permanent() && !own_fault {
        Outcome::Refused(failure)
    } else {
        Outcome::Failed(failure)
    };
    (outcome, None)
}

/// A connection to the server, encrypted and logged in as the settings say. Whatever fails here is no fault of a mail.
async fn connected(smtp: &Smtp) -> Result<AsyncSmtpConnection, Failure> {
    let failed =
        |error: SmtpError| Failure::said(error.status().map(u16::from), &error.to_string());
    let at = (smtp.host.as_str(), smtp.port);
    let name = ClientId::default();
    let tls = match smtp.tls {
        Tls::None => None,
        Tls::Implicit | Tls::Required => {
            Some(TlsParameters::new(smtp.host.clone()).map_err(failed)?)
        }
    };
    let implicit = tls.clone().filter(|_| smtp.tls == Tls::Implicit);
    let connection = AsyncSmtpConnection::connect_tokio1(at, None, &name, implicit, None).await;
    let mut connection = connection.map_err(failed)?;
    if let Some(tls) = tls.filter(|_| smtp.tls == Tls::Required) {
        if !connection.can_starttls() {
            let error = "the server does not offer STARTTLS";
            return Err(Failure::said(None, error));
        }
        connection.starttls(tls, &name).await.map_err(failed)?;
    }
    if let Some((user, password)) = &smtp.login {
        let credentials = Credentials::new(user.clone(), password.clone());
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        let login = connection.auth(&mechanisms, &credentials).await;
        login.map_err(|error| {
            let code = error.status().map(u16::from);
            // Not in the words of the server, which may repeat what it was sent.
            let said = match code {
                Some(code) => format!("the server refuses the user or the password ({code})"),
                None => error.to_string(),
            };
            Failure::said(code, &said)
        })?;
    }
    Ok(connection)
}

/// Writes a mail to a file of its own, which gets its name when it is complete.
async fn write(directory: PathBuf, message: Message) -> Result<PathBuf> {
    let written = spawn_blocking(move || {
        std::fs::create_dir_all(&directory)?;
        let mut file = tempfile::NamedTempFile::new_in(&directory)?;
        file.write_all(&message.formatted())?;
        let time = Utc::now().format("%Y%m%dT%H%M%S%.3fZ");
        let path = directory.join(format!("{time}-{:08x}.eml", rand::random::<u32>()));
        file.persist_noclobber(&path)
            .map_err(|refused| refused.error)?;
        Ok::<_, std::io::Error>(path)
    });
    Ok(written.await.map_err(Error::wrap)??)
}

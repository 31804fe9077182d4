//! A server that takes mails, and answers what a test tells it to.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// What is answered instead of what a server answers as a rule.
#[derive(Clone, Copy, Debug)]
pub enum SmtpReply {
    /// Those lines.
    Say(&'static str),
    /// The same, when the test says so.
    After(&'static Notify, &'static str),
    /// Nothing, ever.
    Hang,
    /// Nothing: the connection is closed.
    Close,
}

/// A server that is there as long as this is.
pub struct SmtpServer {
    /// The port that it listens to, on this machine.
    pub port: u16,
    heard: Arc<Mutex<Heard>>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Heard {
    commands: Vec<String>,
    mails: Vec<String>,
}

impl SmtpServer {
    /// A server that answers certain commands in a way of its own. `.` is the end of a mail, and the empty command the
    /// connection.
    pub async fn start(replies: &[(&'static str, SmtpReply)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::<Mutex<Heard>>::default();
        let (shared, replies) = (heard.clone(), replies.to_vec());
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (heard, replies) = (shared.clone(), replies.clone());
                tokio::spawn(async move { talk(stream, &replies, &heard).await });
            }
        });
        Self {
            port,
            heard,
            listening,
        }
    }

    /// The commands that it has heard, in all connections.
    pub fn commands(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.commands.clone()
    }

    /// The mails that came to their end, whatever was answered then.
    pub fn mails(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.mails.clone()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Talks to a client until either has enough.
async fn talk(
    stream: TcpStream,
    replies: &[(&str, SmtpReply)],
    heard: &Mutex<Heard>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    answer(&mut stream, "", replies).await?;
    loop {
        let command = line(&mut stream).await?;
        let word = command.split([' ', ':']).next().unwrap_or_default();
        let word = word.to_uppercase();
        heard.lock().unwrap().commands.push(command);
        let goes_on = answer(&mut stream, &word, replies).await?;
        if word == "QUIT" {
            return None;
        }
        if word == "DATA" && goes_on.starts_with('3') {
            let mut mail = String::new();
            loop {
                let line = line(&mut stream).await?;
                if line == "." {
                    break;
                }
                mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                mail.push_str("\r\n");
            }
            heard.lock().unwrap().mails.push(mail);
            answer(&mut stream, ".", replies).await?;
        }
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    let length = stream.read_until(b'\n', &mut line).await.ok()?;
    let line = String::from_utf8_lossy(&line);
    (length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Answers a command, and says what.
async fn answer(
    stream: &mut BufReader<TcpStream>,
    command: &str,
    replies: &[(&str, SmtpReply)],
) -> Option<&'static str> {
    let own = replies.iter().find(|(to, _)| *to == command);
    let reply = own.map_or_else(|| usual(command), |(_, reply)| *reply);
    let said = match reply {
        SmtpReply::Say(said) => said,
        SmtpReply::After(go, said) => {
            go.notified().await;
            said
        }
        SmtpReply::Hang => std::future::pending().await,
        SmtpReply::Close => return None,
    };
    stream.write_all(said.as_bytes()).await.ok()?;
    stream.write_all(b"\r\n").await.ok()?;
    Some(said)
}

const fn usual(command: &str) -> SmtpReply {
    SmtpReply::Say(match command.as_bytes() {
        b"" => "220 mail.example ESMTP",
        b"EHLO" => "250-mail.example\r\n250 8BITMIME",
        b"DATA" => "354 Go on",
        b"QUIT" => "221 2.0.0 Bye",
        b"MAIL" | b"RCPT" | b"." | b"NOOP" => "250 2.0.0 Ok",
        _ => "500 5.5.2 What?",
    })
}

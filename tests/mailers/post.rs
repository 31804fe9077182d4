//! How mails are handed on: to a server, or to files.

use std::time::Duration;

use boxcar::mailers::post::{Outcome, Post};
use loco_rs::mailer::{Email, EmailHeaders};
use tokio::time::Instant;

use super::settings;
use crate::support::{
    Letter, Mismatches,
    SmtpReply::{Close, Hang, Say},
    SmtpServer, free_port,
};

/// The headers that every mail has, and no other.
const HEADERS: [&str; 8] = [
    "Auto-Submitted",
    "Content-Type",
    "Date",
    "From",
    "MIME-Version",
    "Message-ID",
    "Subject",
    "To",
];

/// How long an attempt may take in tests.
const SHORT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn a_mail_is_handed_to_the_server() {
    let server = SmtpServer::start(&[]).await;
    let outcome = post(&server)
        .send(&mail("ada@example.com", "Your order"))
        .await;
    assert_eq!(outcome, Outcome::Sent(Some(250)));
    let commands = server.commands();
    assert!(commands[0].starts_with("EHLO "), "{commands:?}");
    assert_eq!(
        commands[1..],
        [
            "MAIL FROM:<shop@example.com>",
            "RCPT TO:<ada@example.com>",
            "DATA",
            "QUIT"
        ]
    );
    let letter = Letter::read(&server.mails()[0]);
    assert_eq!(letter.names(), HEADERS);
    for (name, value) in [
        ("To", "ada@example.com"),
        ("Subject", "Your order"),
        ("Message-ID", "<7@example.com>"),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
    ] {
        assert_eq!(letter.header(name), Some(value));
    }
    let from = letter.header("From").unwrap();
    assert!(from.ends_with(" <shop@example.com>"), "{from}");
    assert_eq!(letter.text.trim_end(), "Grüße\n.\n..\nAda");
    assert_eq!(letter.html.trim_end(), "<p>Grüße</p>");
}

#[tokio::test]
async fn what_the_server_answers_decides_whether_a_mail_is_tried_again() {
    let mut mismatches = Mismatches::default();
    for (command, reply, expected) in [
        ("", Say("421 4.3.2 Later"), "failed 421"),
        // It refuses whoever comes, and has not seen the mail.
        ("", Say("554 5.7.1 Not you"), "failed 554"),
        ("", Close, "failed"),
        ("", Hang, "failed"),
        ("", Say("SSH-2.0-OpenSSH"), "failed"),
        ("EHLO", Say("500 5.5.2 What?"), "failed 500"),
        ("MAIL", Say("451 4.3.0 Later"), "failed 451"),
        ("MAIL", Say("530 5.7.0 Log in first"), "failed 530"),
        ("MAIL", Say("553 5.1.8 Not from there"), "refused 553"),
        ("RCPT", Say("450 4.2.0 Greylisted"), "failed 450"),
        ("RCPT", Say("452 4.2.2 Full"), "failed 452"),
        ("RCPT", Say("550 5.1.1 No such user"), "refused 550"),
        (
            "RCPT",
            Say("550-5.1.1 No\r\n550 5.1.1 such user"),
            "refused 550",
        ),
        ("RCPT", Close, "failed"),
        ("RCPT", Hang, "failed"),
        ("DATA", Say("554 5.5.1 No"), "refused 554"),
        ("DATA", Close, "failed"),
        (".", Say("451 4.3.0 Later"), "failed 451"),
        (".", Say("552 5.3.4 Too large"), "refused 552"),
        (".", Say("554 5.7.1 Spam"), "refused 554"),
        (".", Close, "failed"),
        (".", Hang, "failed"),
        // It was taken all the same.
        ("QUIT", Say("500 5.5.2 What?"), "sent 250"),
        ("QUIT", Close, "sent 250"),
        ("QUIT", Hang, "sent 250"),
    ] {
        let server = SmtpServer::start(&[(command, reply)]).await;
        let outcome = post(&server).send(&mail("ada@example.com", "Hi")).await;
        mismatches.compare(
            format!("{command} {reply:?}"),
            said(&outcome),
            expected.to_owned(),
        );
    }
}

#[tokio::test]
async fn an_error_is_short_and_on_one_line() {
    let long = format!("550-5.1.1 No\r\n550 5.1.1 {}", "such user\u{7} ".repeat(60));
    let server = SmtpServer::start(&[("RCPT", Say(long.leak()))]).await;
    let outcome = post(&server).send(&mail("ada@example.com", "Hi")).await;
    let Outcome::Refused(failure) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(failure.error.chars().count(), 200);
    assert!(
        failure.error.starts_with("permanent error (550): "),
        "{failure:?}"
    );
    assert!(!failure.error.contains(char::is_control), "{failure:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_nothing_costs_no_more_than_the_time() {
    let nobody = settings(&format!("smtp://127.0.0.1:{}", free_port()), "");
    let post = Post::of(&nobody).unwrap().within(SHORT);
    let outcome = post.send(&mail("ada@example.com", "Hi")).await;
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(failure.error.contains("refused"), "{failure:?}");

    let silent = SmtpServer::start(&[("", Hang)]).await;
    let began = Instant::now();
    let outcome = self::post(&silent)
        .send(&mail("ada@example.com", "Hi"))
        .await;
    assert_eq!(outcome, Outcome::failed("no answer within 0.5 s"));
    assert!(began.elapsed() < 4 * SHORT, "{:?}", began.elapsed());
}

#[tokio::test]
async fn no_password_and_no_mail_goes_out_in_clear() {
    let offers = (
        "EHLO",
        Say("250-mail.example\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"),
    );
    let pretends = ("STARTTLS", Say("220 2.0.0 Go on"));
    let no_tls = ("EHLO", Say("250-mail.example\r\n250 AUTH PLAIN LOGIN"));
    for (scheme, replies) in [
        ("smtp", vec![no_tls]),
        ("smtp", vec![offers, pretends]),
        ("smtp", vec![offers, ("STARTTLS", Say("454 4.7.0 Not now"))]),
        ("smtps", vec![no_tls]),
    ] {
        let server = SmtpServer::start(&replies).await;
        let url = format!("{scheme}://ada:s3cret@127.0.0.1:{}", server.port);
        let post = Post::of(&settings(&url, "")).unwrap().within(SHORT);
        let outcome = post.send(&mail("ada@example.com", "Hi")).await;
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
        assert!(post.check().await.is_err());
        let commands = server.commands().join("\n");
        for secret in ["AUTH", "s3cret", "MAIL", "ada@"] {
            assert!(!commands.contains(secret), "{commands}");
        }
        assert_eq!(server.mails(), [""; 0]);
        assert!(!format!("{outcome:?} {post:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn the_server_can_be_asked_whether_it_works() {
    let server = SmtpServer::start(&[("QUIT", Hang)]).await;
    assert_eq!(post(&server).check().await, Ok(()));
    let server = SmtpServer::start(&[("", Say("554 5.7.1 Not you"))]).await;
    let why = post(&server).check().await.unwrap_err();
    assert!(why.contains("Not you"), "{why}");
}

#[tokio::test]
async fn no_address_adds_a_command_or_a_header() {
    let server = SmtpServer::start(&[]).await;
    let post = post(&server);
    for address in [
        "ada@example.com>\r\nRCPT TO:<eve@example.com",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada\r\n@example.com",
        "\"ada\r\nBcc: eve\"@example.com",
        "\"ada\\\"> eve\"@example.com",
        "\"ada eve\"@example.com",
        "\"ada@example.com, eve\"@example.com",
        "\"<eve@example.com>\"@example.com",
        "ada@example.com, eve@example.com",
        "ada@example.com;eve@example.com",
        "<ada@example.com>",
        "Ada <ada@example.com>",
        "ada@example.com> SIZE=1",
        "ada@[127.0.0.1]",
        "ada@example.com\0",
        "ada@",
        "",
        "o'hara+a=b{c|d}!#$%&*/?^`~@example.com",
    ] {
        let before = server.commands().len();
        let outcome = post.send(&mail(address, "Hi")).await;
        let commands = server.commands()[before..].to_vec();
        let refused =
            matches!(&outcome, Outcome::Refused(failure) if failure.status_code.is_none());
        if refused {
            assert_eq!(commands, [""; 0], "{address}");
            continue;
        }
        assert_eq!(outcome, Outcome::Sent(Some(250)), "{address}");
        assert_eq!(commands[2], format!("RCPT TO:<{address}>"));
        assert_eq!(commands[3..], ["DATA", "QUIT"], "{address}");
        let letter = Letter::read(server.mails().last().unwrap());
        assert_eq!(letter.names(), HEADERS, "{address}");
    }
    // The last one is plain.
    assert!(
        server
            .commands()
            .iter()
            .any(|command| command.contains("o'hara"))
    );
}

#[tokio::test]
async fn no_subject_adds_a_header_or_a_line() {
    let server = SmtpServer::start(&[]).await;
    let post = post(&server);
    let long = "Bücher und Tee ".repeat(60);
    for subject in [
        "Hi\r\nBcc: eve@example.com",
        "Hi\nBcc: eve@example.com\n\nbody",
        "Hi\r\n\r\n<script>",
        "Hi\u{0}\u{b}\u{2028}there",
        "=?utf-8?q?Hi=0D=0ABcc:_eve@example.com?=",
        "Grüße \u{1f69a}",
        &long,
        "",
    ] {
        let outcome = post.send(&mail("ada@example.com", subject)).await;
        assert_eq!(outcome, Outcome::Sent(Some(250)), "{subject:?}");
        let mail = server.mails().pop().unwrap();
        let letter = Letter::read(&mail);
        assert_eq!(letter.names(), HEADERS, "{subject:?}");
        assert_eq!(letter.html.trim_end(), "<p>Grüße</p>", "{subject:?}");
        assert!(mail.is_ascii(), "{subject:?}");
        let longest = mail.lines().map(str::len).max();
        assert!(longest <= Some(998), "{subject:?}");
    }
}

#[tokio::test]
async fn without_a_server_a_mail_is_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let mails = directory.path().join("new/mails");
    let post = Post::of(&settings("", mails.to_str().unwrap())).unwrap();
    for _ in 0..2 {
        let outcome = post.send(&mail("ada@example.com", "Your order")).await;
        assert_eq!(outcome, Outcome::Sent(None));
    }
    let files: Vec<_> = std::fs::read_dir(&mails)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(files.len(), 2);
    for file in files {
        let name = file.file_name().into_string().unwrap();
        let (time, rest) = name.split_once('-').unwrap();
        chrono::NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%S%.3fZ").unwrap();
        let random = rest.strip_suffix(".eml").unwrap();
        assert_eq!(random.len(), 8, "{name}");
        let letter = Letter::read(&std::fs::read_to_string(file.path()).unwrap());
        assert_eq!(letter.names(), HEADERS);
    }
    std::fs::remove_dir_all(&mails).unwrap();
    std::fs::write(&mails, "not a directory").unwrap();
    let outcome = post.send(&mail("ada@example.com", "Your order")).await;
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
}

#[tokio::test]
async fn there_is_no_post_where_mails_are_off() {
    assert!(Post::of(&settings("", "")).is_none());
}

/// The post, by that server.
fn post(server: &SmtpServer) -> Post {
    let url = format!("smtp://127.0.0.1:{}", server.port);
    Post::of(&settings(&url, "")).unwrap().within(SHORT)
}

fn mail(to: &str, subject: &str) -> Email {
    Email {
        to: to.to_owned(),
        subject: subject.to_owned(),
        text: "Grüße\n.\n..\nAda\n".to_owned(),
        html: "<p>Grüße</p>\n".to_owned(),
        headers: Some(EmailHeaders {
            message_id: Some("<7@example.com>".to_owned()),
            ..EmailHeaders::default()
        }),
        ..Email::default()
    }
}

/// What has come of it, in a few words.
fn said(outcome: &Outcome) -> String {
    let (what, code) = match outcome {
        Outcome::Sent(code) => ("sent", *code),
        Outcome::Refused(failure) => ("refused", failure.status_code),
        Outcome::Failed(failure) => ("failed", failure.status_code),
    };
    code.map_or_else(|| what.to_owned(), |code| format!("{what} {code}"))
}

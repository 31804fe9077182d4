//! A mail as its reader's program takes it apart.

use base64::{Engine, prelude::BASE64_STANDARD};

/// A mail.
pub struct Letter {
    /// Its headers in their order, unfolded.
    pub headers: Vec<(String, String)>,
    /// What a reader of plain text sees.
    pub text: String,
    /// What all others see.
    pub html: String,
}

impl Letter {
    /// Takes a mail apart.
    pub fn read(mail: &str) -> Self {
        let (headers, body) = split(mail);
        let kind = header(&headers, "Content-Type").expect("the mail says what it is");
        let (_, boundary) = kind.split_once("boundary=\"").expect("it has parts");
        let boundary = format!("--{}", boundary.split('"').next().unwrap());
        let mut letter = Self {
            text: String::new(),
            html: String::new(),
            headers,
        };
        for part in body.split(&boundary).skip(1) {
            if part.starts_with("--") {
                break;
            }
            let (headers, body) = split(part.trim_start_matches("\r\n"));
            let kind = header(&headers, "Content-Type").unwrap();
            let body = decoded(body, header(&headers, "Content-Transfer-Encoding"));
            let body = body.replace("\r\n", "\n");
            match kind {
                kind if kind.starts_with("text/plain") => letter.text = body,
                kind if kind.starts_with("text/html") => letter.html = body,
                other => panic!("nobody reads {other}"),
            }
        }
        letter
    }

    /// A header, if there is one of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The names of its headers, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// The headers and the body.
fn split(text: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = text.split_once("\r\n\r\n").expect("there is a body");
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in head.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            headers.last_mut().expect("a header goes on").1 += line;
        } else {
            let (name, value) = line.split_once(':').expect("a line is a header");
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    (headers, body)
}

fn decoded(body: &str, encoding: Option<&str>) -> String {
    match encoding {
        Some("base64") => {
            let body: String = body.split_whitespace().collect();
            String::from_utf8(BASE64_STANDARD.decode(body).unwrap()).unwrap()
        }
        Some("quoted-printable") => {
            let joined = body.replace("=\r\n", "");
            let mut parts = joined.split('=');
            let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
            for part in parts {
                bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
                bytes.extend(part[2..].bytes());
            }
            String::from_utf8(bytes).unwrap()
        }
        None | Some("7bit") => body.to_owned(),
        Some(other) => panic!("{other} is not known"),
    }
}

//! The responses to what cannot be read as a request: a bad request line, headers that are too large.
//!
//! hyper answers them by itself, before there is a request that any layer could see, and with an empty body.
//! Here such an answer is replaced on its way out by a problem (RFC 9457), as every other error is one.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::views::problem::{Problem, ProblemBody};

/// A connection on which hyper's own errors become problems.
pub struct ProblemStream<S> {
    inner: S,
    /// The problem that is being written, and how much of it has been.
    problem: Option<(Vec<u8>, usize)>,
    /// Whether the first line of the request has ended.
    first_line_ended: bool,
}

impl<S> ProblemStream<S> {
    /// The connection over that stream.
    pub const fn new(inner: S) -> Self {
        Self {
            inner,
            problem: None,
            first_line_ended: false,
        }
    }
}

impl<S: AsyncWrite + Unpin> ProblemStream<S> {
    /// Writes the problem in the place of `answer`, if that is an error of hyper's own.
    fn poll_problem(
        &mut self,
        cx: &mut Context<'_>,
        answer: &[u8],
    ) -> Poll<Option<io::Result<usize>>> {
        if self.problem.is_none() {
            self.problem = problem_for(answer, self.first_line_ended).map(|problem| (problem, 0));
        }
        let Some((problem, written)) = &mut self.problem else {
            self.first_line_ended = false;
            return Poll::Ready(None);
        };
        while *written < problem.len() {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, &problem[*written..])) {
                Ok(0) => return Poll::Ready(Some(Err(io::ErrorKind::WriteZero.into()))),
                Ok(more) => *written += more,
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        self.problem = None;
        Poll::Ready(Some(Ok(answer.len())))
    }
}

/// The problem for an answer of hyper's own: an error without a body and without the id that all others have.
fn problem_for(answer: &[u8], first_line_ended: bool) -> Option<Vec<u8>> {
    let status = answer
        .strip_prefix(b"HTTP/1.1 ")
        .filter(|rest| rest.starts_with(b"4"))?;
    let head = str::from_utf8(answer).ok()?.to_ascii_lowercase();
    if !head.ends_with("\r\n\r\n")
        || !head.contains("\r\ncontent-length: 0\r\n")
        || head.contains("\r\nx-request-id:")
    {
        return None;
    }
    // hyper has one limit for the whole head.
    let status = match StatusCode::from_bytes(status.get(..3)?).ok()? {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE if !first_line_ended => {
            StatusCode::URI_TOO_LONG
        }
        status => status,
    };
    let detail = match status {
        StatusCode::URI_TOO_LONG => "The path and query of the request are too long.",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "The headers of the request are too large.",
        _ => "The request is not HTTP/1.1 (RFC 9112).",
    };
    let request_id = uuid::Uuid::new_v4().to_string();
    tracing::info!(
        request_id,
        status = status.as_u16(),
        "a request could not be read"
    );
    let problem = Problem::of_status(status).because(detail);
    let body = serde_json::to_string(&ProblemBody::new(&problem, "/", &request_id)).ok()?;
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    Some((head + &body).into_bytes())
}

impl<S: AsyncRead + Unpin> AsyncRead for ProblemStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.first_line_ended = self.first_line_ended || buf.filled()[before..].contains(&b'\n');
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ProblemStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_problem(cx, buf)) {
            Some(written) => Poll::Ready(written),
            None => Pin::new(&mut self.inner).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_problem(cx, bufs.first().map_or(&[], |buf| buf))) {
            Some(written) => Poll::Ready(written),
            None => Pin::new(&mut self.inner).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_the_protocol_itself_are_replaced() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
                    content-length: 0\r\ndate: Thu, 26 Nov 2026 08:00:00 GMT\r\n\r\n";
        let problem = String::from_utf8(problem_for(bare.as_bytes(), true).unwrap()).unwrap();
        assert!(problem.starts_with("HTTP/1.1 431 "), "{problem}");
        assert!(problem.contains("application/problem+json"), "{problem}");
        for answer in [
            bare.replace("date:", "x-request-id: 7\r\ndate:"),
            bare.replace("431", "204"),
            bare.replace("length: 0", "length: 5") + "hello",
            String::new(),
        ] {
            assert_eq!(problem_for(answer.as_bytes(), true), None, "{answer}");
        }
    }
}

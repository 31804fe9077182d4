//! What the tests stand on: a shop with a database of its own, and clients who talk to it.

mod certificates;
mod database;
mod invariants;
mod letter;
mod mismatches;
mod program;
mod proxy;
mod receiver;
mod schema;
mod server;
mod services;
mod shop;
mod small_disk;
mod smtp;

pub use self::{
    certificates::Authority,
    database::{TestDatabase, configure},
    invariants::assert_invariants,
    letter::Letter,
    mismatches::Mismatches,
    program::{Outcome, Program},
    proxy::{Cut, Lost, Proxy, commits},
    receiver::{Received, Receiver, Reply},
    schema::schema,
    server::{Server, free_port, request_at},
    services::Service,
    shop::{
        Answer, Client, OVERLOADED, PASSWORD, Shop, address, order_lines, shown_address,
        snapshot_settings,
    },
    small_disk::SmallDisk,
    smtp::{SmtpReply, SmtpServer},
};

/// Compares a whole answer with its snapshot: status, the headers that matter, body. Times, request
/// ids and tokens are shown by their form.
#[macro_export]
macro_rules! assert_answer {
    ($answer:expr $(, @$inline:literal)?) => {{
        // Before the closure, which cannot wait for an answer.
        let answer = $answer;
        $crate::support::snapshot_settings().bind(|| insta::assert_json_snapshot!(answer $(, @$inline)?));
    }};
}

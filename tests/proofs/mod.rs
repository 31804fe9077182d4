//! What the store promises, attacked: by many tasks at once, crashes, random sequences of
//! operations, and clients with bad intentions. `docs/consistency.md` and `docs/security.md` say what is promised.

mod attacks;
mod chaos;
mod checkouts;
mod crash;
mod cuts;
mod deadlines;
mod deliveries;
mod deployment;
mod disk;
mod documents;
mod erasure;
mod feed;
mod freshness;
mod histories;
mod keys;
mod nodes;
mod outage;
mod people;
mod private_addresses;
mod races;
mod readme;
mod revocation;
mod shutdown;
mod starts;
mod totals;
mod twins;
mod two_nodes;
mod wire;

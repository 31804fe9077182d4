//! What the store promises about stock and orders, attacked: many tasks at once, crashes, random
//! histories. `docs/consistency.md` says what is promised and how to run these again and again.

mod attacks;
mod crash;
mod freshness;
mod histories;
mod nodes;
mod outage;
mod races;
mod shutdown;
mod two_nodes;

//! What has to hold for any input of the parsers that the store owns: one file per fuzz target. The
//! ordinary tests include this file as a module and replay the corpus against it.

pub mod body;
pub mod cursor;
pub mod headers;
pub mod money;
pub mod table;

//! Models, one file per table or promise.

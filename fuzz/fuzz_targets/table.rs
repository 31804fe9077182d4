//! Fuzzes tables of products; the properties are in `src/table.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| boxcar_fuzz::table::check(data));

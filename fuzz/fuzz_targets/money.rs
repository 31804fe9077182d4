//! Fuzzes the reading of amounts; the properties are in `src/money.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| boxcar_fuzz::money::check(data));

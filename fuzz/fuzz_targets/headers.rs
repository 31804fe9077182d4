//! Fuzzes the headers that are read by hand; the properties are in `src/headers.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| boxcar_fuzz::headers::check(data));

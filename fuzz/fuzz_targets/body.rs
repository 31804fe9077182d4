//! Fuzzes the bodies of requests; the properties are in `src/body.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| boxcar_fuzz::body::check(data));

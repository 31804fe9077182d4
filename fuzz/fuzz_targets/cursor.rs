//! Fuzzes the parameters of lists; the properties are in `src/cursor.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| boxcar_fuzz::cursor::check(data));

//! Feeds bytes of a stranger to everything that reads or writes an HTTP head.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway::http::fuzz_head(data));

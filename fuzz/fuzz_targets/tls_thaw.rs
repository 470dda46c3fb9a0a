//! Bytes from another process are a session that can be used, or none.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway::tls::fuzz_thaw(data));

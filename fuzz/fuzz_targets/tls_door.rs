//! Feeds bytes of a stranger to a TLS handshake in either role.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway::tls::fuzz_door(data));

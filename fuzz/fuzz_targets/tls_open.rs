//! Whatever a peer seals and however its bytes are cut, only what it sealed as data comes out, and in its order.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway::tls::fuzz_open(data));

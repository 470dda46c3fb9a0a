//! Cutting a stream of frames elsewhere never changes what the scanner makes of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway::ws::fuzz_scanner(data));

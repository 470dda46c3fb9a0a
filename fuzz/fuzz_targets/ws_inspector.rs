//! What an inspector lets go on never depends on the cuts, and is what a naive reading comes to.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway::ws::fuzz_inspector(data));

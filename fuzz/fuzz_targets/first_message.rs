//! No message is a trap for whoever looks for its key, and a key that is found is the one that stands there.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway::upstream::fuzz_first_message(data));

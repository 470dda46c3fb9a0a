//! Any bytes make a configuration or mistakes in it, each with its place.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway::config::fuzz_config(data));

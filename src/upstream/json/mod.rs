//! From a client's first message to the key that it is routed by: JSON text in, a key or the reason for none out.

mod fuzz;
mod no_key;
mod reader;
#[cfg(test)]
mod tests;

pub use fuzz::fuzz_first_message;
pub use no_key::NoKey;
pub use reader::JsonReader;

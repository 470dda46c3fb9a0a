//! The way to a backend: who it is, dial with a deadline, send the head, check the answer.

mod answer;
mod budget;
mod claim;
mod dial;
mod json;
mod key;
mod ports;
mod search;
mod shake;
mod sticky;
mod stream;
mod turns;

pub use answer::{Answer, AnswerError, read_answer};
pub use budget::Purse;
pub use claim::Grounds;
pub use dial::Dialled;
#[doc(hidden)]
pub use json::fuzz_first_message;
pub use json::{JsonReader, NoKey};
pub use key::request_key;
pub use ports::Ports;
pub use search::{Chosen, NoChoice, Search};
pub use shake::{ShakeError, refusal_of_handshake, shake};
pub use sticky::{Returning, returning, set_cookie};
pub use stream::Stream;
pub use turns::Turns;

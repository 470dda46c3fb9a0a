//! The way to a backend: dial with a deadline, send the head, check the answer.

mod answer;
mod budget;
mod dial;
mod key;
mod sticky;

pub use answer::{Answer, AnswerError, read_answer};
pub use budget::Purse;
pub use dial::{Dialled, dial};
pub use key::request_key;
pub use sticky::{Returning, returning, set_cookie};

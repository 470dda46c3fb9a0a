//! The way to a backend: dial with a deadline, send the head, check the answer.

//! Reads a backend's answer to a request head, past interim ones.

use std::io;

use super::stream::Stream;
use crate::clock::Now;
use crate::http::{HeadError, HeadScan, ResponseHead, is_interim};
use crate::limits;
use crate::metrics::{BackendFailure, Refusal};
use crate::ring::Caller;

/// Where the final answer stands in the bytes that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Where its head starts: behind the interim answers.
    pub start: usize,
    /// Where its head ends; what follows belongs to the body or the tunnel.
    pub end: usize,
    /// It answers 101: whether rightly is for the greeting to verify.
    pub switches: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The backend closed first.
    #[error("the backend closed before it had answered")]
    Closed,
    /// It took too long.
    #[error("the backend did not answer in time")]
    Timeout,
    /// What it sent is not an answer.
    #[error("the backend's answer is not HTTP: {0}")]
    Malformed(#[from] HeadError),
    /// It sent one interim answer after another.
    #[error(
        "the backend sent more than {} interim answers",
        limits::INTERIM_ANSWERS_MAX
    )]
    Interim,
}

impl AnswerError {
    /// What the client is told.
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::Closed => Refusal::BackendClosed,
            Self::Timeout => Refusal::AnswerTimeout,
            Self::Malformed(_) | Self::Interim => Refusal::BadBackendAnswer,
        }
    }

    /// What the backend is counted for.
    pub const fn failure(&self) -> BackendFailure {
        match self {
            Self::Closed => BackendFailure::Closed,
            Self::Timeout => BackendFailure::AnswerTimeout,
            Self::Malformed(_) | Self::Interim => BackendFailure::BadAnswer,
        }
    }
}

/// Reads from `stream` into `bytes` until the head of a final answer is whole.
pub async fn read_answer(
    caller: &Caller,
    stream: &Stream,
    bytes: &mut Vec<u8>,
    deadline: Now,
) -> Result<Answer, AnswerError> {
    let (mut start, mut interim) = (0, 0);
    let mut scan = HeadScan::default();
    loop {
        while let Some(length) = scan.feed(&bytes[start..])? {
            let end = start + length;
            let switches = switches_protocols(&bytes[start..end]);
            if switches || !is_interim(&ResponseHead::parse(&bytes[start..end])?) {
                return Ok(Answer {
                    start,
                    end,
                    switches,
                });
            }
            interim += 1;
            if interim > limits::INTERIM_ANSWERS_MAX {
                return Err(AnswerError::Interim);
            }
            (start, scan) = (end, HeadScan::default());
        }
        match stream.receive(caller, bytes, deadline).await {
            Ok(0) => return Err(AnswerError::Closed),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(AnswerError::Timeout);
            }
            Err(_) => return Err(AnswerError::Closed),
        }
    }
}

/// Whether a head says 101. Such a head is parsed once, where it is verified, so that a handshake pays for
/// it once.
fn switches_protocols(head: &[u8]) -> bool {
    head.starts_with(b"HTTP/1.") && head.get(8..12) == Some(b" 101")
}

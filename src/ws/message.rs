//! The message that is under way in one direction, judged frame by frame by what headers say.

use super::frames::{Inspect, Watch};
use super::header::{FrameHeader, Opcode};
use super::rule::Rule;
use crate::limits::HELD_HEADERS_BYTES_MAX;

/// What is known of a message by the headers that have come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Message {
    /// What its frames say they carry, and what they take with their headers.
    pub(super) bytes: u64,
    bytes_with_headers: u64,
    pub(super) frames: u32,
    /// Its text is checked.
    pub(super) is_text: bool,
    pub(super) is_dropped: bool,
    /// The frame under way is its last.
    pub(super) is_last: bool,
}

impl Message {
    /// This message with one frame more, or another one that begins with it.
    pub(super) fn continued(
        &self,
        header: &FrameHeader,
        header_bytes: u64,
        watch: &Watch,
    ) -> Result<Self, Rule> {
        let limits = &watch.limits;
        let over = |most: Option<u32>, found: u64| most.is_some_and(|most| found > most.into());
        if over(limits.frame_bytes_max, header.payload_bytes) {
            return Err(Rule::FrameTooLarge);
        }
        let before = if header.opcode == Opcode::Continuation {
            *self
        } else {
            Self::begun(header, watch)
        };
        let bytes = before.bytes.saturating_add(header.payload_bytes);
        if over(limits.message_bytes_max, bytes) {
            return Err(Rule::MessageTooLarge);
        }
        let bytes_with_headers = before
            .bytes_with_headers
            .saturating_add(header_bytes)
            .saturating_add(header.payload_bytes);
        let headers_max = u64::from(HELD_HEADERS_BYTES_MAX);
        let too_many = over(limits.fragments_max, (before.frames + 1).into());
        let is_held = watch.inspect == Inspect::Messages;
        if too_many || is_held && bytes_with_headers - bytes > headers_max {
            return Err(Rule::TooManyFragments);
        }
        Ok(Self {
            bytes,
            bytes_with_headers,
            frames: before.frames + 1,
            is_last: header.fin,
            ..before
        })
    }

    fn begun(header: &FrameHeader, watch: &Watch) -> Self {
        let is_plain = header.opcode == Opcode::Text && header.rsv == 0;
        Self {
            is_text: is_plain && watch.inspect >= Inspect::Text,
            ..Self::default()
        }
    }

    /// One that has begun before anybody looked; the frame under way is its last or not.
    pub(super) fn joined(is_last: bool) -> Self {
        Self {
            is_last,
            ..Self::default()
        }
    }
}

//! The latest frame headers of one tunnel, for whoever asks: some of them, and of payloads only the shape, if that.

use std::collections::VecDeque;

use super::tunnel::End;
use crate::clock::Now;
use crate::limits::{TAIL_FRAMES_MAX, TAIL_PAYLOAD_BYTES_MAX, TAIL_UNASKED_MAX};
use crate::metrics::Party;
use crate::ws::{FrameHeader, Opcode};

/// What is wanted of a tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailOptions {
    /// Each so-manieth frame; 1 is every one.
    pub every: u32,
    /// The shape of payloads too.
    pub payload: bool,
}

/// One frame of a tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailFrame {
    /// Its number among the frames that were seen, both directions counted together.
    pub number: u64,
    /// When it came, in nanoseconds of the process's clock.
    pub at: Now,
    /// Who sent it.
    pub sender: Party,
    /// What it is.
    pub opcode: Opcode,
    /// The last frame of its message.
    pub fin: bool,
    /// RSV1: its message is compressed.
    pub compressed: bool,
    /// How long its payload is.
    pub payload_bytes: u64,
    /// The shape of its first bytes, if that was asked for and can be told.
    pub shape: Option<String>,
}

/// The latest frames of a tunnel.
#[derive(Debug)]
pub(super) struct Tail {
    options: TailOptions,
    frames: VecDeque<TailFrame>,
    seen: u64,
    /// The number of the frame under way of each side, if it is kept.
    open: [Option<u64>; 2],
    /// When it was last asked for.
    asked: Now,
}

impl Tail {
    pub(super) fn new(options: TailOptions, now: Now) -> Self {
        Self {
            options,
            frames: VecDeque::new(),
            seen: 0,
            open: [None; 2],
            asked: now,
        }
    }

    /// Hands out what there is; from now on it is kept as these options want it.
    pub(super) fn ask(&mut self, options: TailOptions, now: Now) -> Vec<TailFrame> {
        self.options = options;
        self.asked = now;
        self.frames.iter().cloned().collect()
    }

    /// Nobody has asked for it for so long that nobody will.
    pub(super) fn is_forgotten(&self, now: Now) -> bool {
        now.since(self.asked) > TAIL_UNASKED_MAX
    }

    /// A header has come.
    pub(super) fn opened(&mut self, sender: End, header: &FrameHeader, now: Now) {
        self.seen += 1;
        let place = &mut self.open[sender as usize];
        *place = None;
        if !self.seen.is_multiple_of(self.options.every.max(1).into()) {
            return;
        }
        *place = Some(self.seen);
        if self.frames.len() >= TAIL_FRAMES_MAX {
            self.frames.pop_front();
        }
        let compressed = header.rsv != 0;
        let shown = self.options.payload && !compressed && !header.opcode.is_control();
        self.frames.push_back(TailFrame {
            number: self.seen,
            at: now,
            sender: sender.party(),
            opcode: header.opcode,
            fin: header.fin,
            compressed,
            payload_bytes: header.payload_bytes,
            shape: shown.then(String::new),
        });
    }

    /// Part of a data frame as it came, masked by `key` from byte `at` on.
    pub(super) fn payload(&mut self, sender: End, part: &[u8], key: Option<[u8; 4]>, at: u64) {
        let Ok(at) = usize::try_from(at) else { return };
        let Some(room) = TAIL_PAYLOAD_BYTES_MAX.checked_sub(at) else {
            return;
        };
        let Some(number) = self.open[sender as usize] else {
            return;
        };
        let frame = self
            .frames
            .iter_mut()
            .rev()
            .find(|frame| frame.number == number);
        let Some(shape) = frame.and_then(|frame| frame.shape.as_mut()) else {
            return;
        };
        let bytes = part.iter().take(room).zip(at..);
        shape.extend(bytes.map(|(byte, place)| {
            let key = key.map_or(0, |key| key[place % 4]);
            redacted(byte ^ key)
        }));
    }
}

/// What is shown instead of a byte: letters and digits lose what they say, punctuation shows how it is built.
const fn redacted(byte: u8) -> char {
    match byte {
        b'a'..=b'z' => 'x',
        b'A'..=b'Z' => 'X',
        b'0'..=b'9' => '0',
        b' '..=b'~' => byte as char,
        b'\t' | b'\n' | b'\r' => ' ',
        _ => '.',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::apply_mask;

    const ALL: TailOptions = TailOptions {
        every: 1,
        payload: true,
    };

    fn header(opcode: Opcode, payload_bytes: u64) -> FrameHeader {
        FrameHeader {
            fin: true,
            rsv: 0,
            opcode,
            mask: None,
            payload_bytes,
        }
    }

    #[test]
    fn a_payload_shows_its_shape_and_nothing_it_says() {
        let now = Now::default();
        let mut tail = Tail::new(ALL, now);
        let mut text = *b"{\"Room\": \"lobby-42\", \"pin\": 1234}\n\xC3\xA9";
        let length = text.len() as u64;
        tail.opened(End::Client, &header(Opcode::Text, length), now);
        apply_mask(&mut text, [1, 2, 3, 4], 0);
        tail.payload(End::Client, &text[..10], Some([1, 2, 3, 4]), 0);
        tail.opened(End::Backend, &header(Opcode::Binary, 0), now);
        tail.payload(End::Client, &text[10..], Some([1, 2, 3, 4]), 10);
        let frames = tail.ask(ALL, now);
        let shape = "{\"Xxxx\": \"xxxxx-00\", \"xxx\": 0000} ..";
        assert_eq!(frames[0].shape.as_deref(), Some(shape));
        assert_eq!(frames[1].shape.as_deref(), Some(""));
    }

    #[test]
    fn only_the_latest_are_kept_and_only_each_so_manieth() {
        let now = Now::default();
        let every = TailOptions {
            every: 10,
            payload: false,
        };
        let mut tail = Tail::new(every, now);
        for _ in 0..20 * TAIL_FRAMES_MAX {
            tail.opened(End::Client, &header(Opcode::Text, 5), now);
            tail.payload(End::Client, b"hello", None, 0);
        }
        let frames = tail.ask(ALL, now);
        assert_eq!(frames.len(), TAIL_FRAMES_MAX);
        assert_eq!(frames[1].number - frames[0].number, 10);
        assert!(frames.iter().all(|frame| frame.shape.is_none()));
    }

    #[test]
    fn nothing_is_shown_of_what_is_compressed_or_of_a_control_frame() {
        let now = Now::default();
        let mut tail = Tail::new(ALL, now);
        let mut compressed = header(Opcode::Text, 4);
        compressed.rsv = 4;
        tail.opened(End::Client, &compressed, now);
        tail.opened(End::Backend, &header(Opcode::Ping, 4), now);
        assert!(tail.ask(ALL, now).iter().all(|frame| frame.shape.is_none()));
    }

    #[test]
    fn a_long_payload_shows_its_start() {
        let now = Now::default();
        let mut tail = Tail::new(ALL, now);
        tail.opened(End::Client, &header(Opcode::Text, 1 << 20), now);
        for at in 0..1000 {
            tail.payload(End::Client, b"abc", None, 3 * at);
        }
        let frames = tail.ask(ALL, now);
        let shape = frames[0].shape.as_ref().unwrap();
        assert_eq!(shape.len(), TAIL_PAYLOAD_BYTES_MAX);
    }
}

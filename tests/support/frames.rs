//! What the tests about frames share: who sends what to whom, goodbyes judged in full, and streams read frame by frame.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of it"
)]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread::JoinHandle;

use super::frame;
use super::pairs::{Hall, Pair, assert_arrives, assert_ended};

/// Both sides, as whoever sends first.
pub const SIDES: [Sent; 2] = [Sent { by_client: true }, Sent { by_client: false }];

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub by_client: bool,
}

impl Sent {
    /// The sender's stream and the other side's.
    pub const fn of(self, pair: &mut Pair) -> (&mut TcpStream, &mut TcpStream) {
        if self.by_client {
            (&mut pair.client, &mut pair.backend)
        } else {
            (&mut pair.backend, &mut pair.client)
        }
    }

    /// A frame as this side sends it.
    pub fn frame(self, first: u8, payload: &[u8]) -> Vec<u8> {
        frame(
            first,
            payload,
            self.by_client.then_some([0x5B, 0xE7, 0x12, 0xA9]),
        )
    }

    /// Frames, one behind the other.
    pub fn frames(self, frames: &[(u8, &[u8])]) -> Vec<u8> {
        let frames = frames.iter();
        frames
            .flat_map(|(first, payload)| self.frame(*first, payload))
            .collect()
    }

    pub const fn other(self) -> Self {
        Self {
            by_client: !self.by_client,
        }
    }

    /// The word for its table in the configuration.
    pub const fn table(self) -> &'static str {
        if self.by_client { "client" } else { "backend" }
    }
}

/// What a rule does to whoever breaks it: its label, the close code, and the reason.
pub type Broken = (&'static str, u16, &'static str);

/// The next bytes are a Close frame with this code and reason, masked exactly if it comes to a backend.
pub fn assert_close(stream: &mut TcpStream, to_client: bool, code: u16, reason: &str) {
    let wanted = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
    assert_frame(stream, to_client, 0x88, &wanted);
}

/// The next bytes are this frame, masked exactly if it comes to a backend.
pub fn assert_frame(stream: &mut TcpStream, to_client: bool, first: u8, wanted: &[u8]) {
    let (found, masked, payload) = next_frame(stream);
    assert_eq!(
        (found, masked, &*String::from_utf8_lossy(&payload)),
        (first, !to_client, &*String::from_utf8_lossy(wanted)),
    );
}

/// One frame, unmasked, and whether it was masked.
pub fn next_frame(stream: &mut TcpStream) -> (u8, bool, Vec<u8>) {
    let mut start = [0; 2];
    stream.peek(&mut start).unwrap();
    let masked = start[1] >= 0x80;
    let (first, payload) = super::read_frame(stream).unwrap();
    (first, masked || start[1] >= 0x80, payload)
}

/// Nothing has arrived that was not read.
pub fn assert_silent(stream: &TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let found = stream.peek(&mut [0; 64]);
    stream.set_nonblocking(false).unwrap();
    match found {
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        Ok(bytes) => panic!("{bytes} bytes came"),
    }
}

/// What the other side of one who was sent away is told.
pub const PEER_GONE: &str = "the other side was sent away";

/// What is written, one part after another, and how it begins that breaks no rule.
pub type Wire<'a> = (&'a [&'a [u8]], &'a [u8]);

/// `sent` writes `wire`, which breaks `rule`, on a tunnel of its own: it is told so, the other side gets `legal` and
/// then `peer_code`, and the tunnel ends well.
pub fn assert_refused(
    hall: &Hall,
    sent: Sent,
    (wire, legal): Wire<'_>,
    ((_, code, reason), peer_code): (Broken, u16),
) {
    let mut pair = hall.pair();
    let (offender, other) = sent.of(&mut pair);
    for part in wire {
        offender.write_all(part).unwrap();
    }
    assert_close(offender, sent.by_client, code, reason);
    assert_ended(offender);
    assert_arrives(other, legal);
    assert_close(other, !sent.by_client, peer_code, PEER_GONE);
    let answer = sent.other().frame(0x88, &peer_code.to_be_bytes());
    other.write_all(&answer).unwrap();
    offender.shutdown(std::net::Shutdown::Both).unwrap();
    assert_ended(other);
}

/// How often a rule was broken, as both families of counters have it.
pub fn wait_for_violations(hall: &Hall, rule: &str, times: u32) {
    for family in ["frame", "route"] {
        let row = format!("ringway_{family}_violations_total{{rule=\"{rule}\"");
        hall.wait_for(&row, times);
    }
}

/// Frames that came: those of data, and the control frames between them.
#[derive(Debug, Default)]
pub struct Came {
    /// Bytes of data frames, headers included, as they came.
    pub data: Vec<u8>,
    /// Control frames as they came.
    pub control: Vec<u8>,
    /// Bytes of a frame whose end never came.
    pub rest: Vec<u8>,
}

impl Came {
    /// Takes a stream apart; control frames may overtake, so each kind has its own order.
    pub fn parse(mut wire: &[u8]) -> Self {
        let mut came = Self::default();
        while let Some(bytes) = frame_bytes(wire) {
            let (frame, after) = wire.split_at(bytes);
            let kind = if frame[0] & 8 == 0 {
                &mut came.data
            } else {
                &mut came.control
            };
            kind.extend_from_slice(frame);
            wire = after;
        }
        came.rest = wire.to_vec();
        came
    }
}

/// How long the frame is that stands at the start, if it is whole.
fn frame_bytes(wire: &[u8]) -> Option<usize> {
    let masked = wire.get(1)? >> 7;
    let (header, payload) = match wire[1] & 0x7F {
        126 => (
            4,
            u64::from(u16::from_be_bytes(*wire.get(2..4)?.first_chunk()?)),
        ),
        127 => (10, u64::from_be_bytes(*wire.get(2..10)?.first_chunk()?)),
        short => (2, short.into()),
    };
    let whole = header + 4 * usize::from(masked) + usize::try_from(payload).ok()?;
    (wire.len() >= whole).then_some(whole)
}

/// Reads to the end of a stream, in pieces.
pub fn read_to_end(stream: &TcpStream) -> JoinHandle<Vec<u8>> {
    let mut stream = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut wire = Vec::new();
        stream.read_to_end(&mut wire).unwrap();
        wire
    })
}

//! What waits behind an outbox that is full: frames in one track, control frames of our own or of the peer in another,
//! which overtakes at every frame boundary.
//!
//! ```text
//!  outbox (a turn's worth, in order)  ◀─┬─ control   small, goes first
//!                                       └─ data      whole frames, the last one perhaps not whole yet
//! ```

use std::collections::VecDeque;

use crate::limits;
use crate::ws::Ends;

/// The two tracks towards one socket. They exist only while something waits here.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    /// Control frames, each with its length.
    control: VecDeque<u8>,
    control_lengths: VecDeque<u8>,
    /// Bytes of frames, and where they end.
    data: VecDeque<u8>,
    units: VecDeque<Unit>,
    /// The outbox ends inside of a frame: its rest comes before anything else.
    inside_frame: bool,
    /// It ends inside of a message: the rest of that cannot be left out.
    inside_message: bool,
}

/// Bytes in the data track that end where a frame does, but for the last ones.
#[derive(Debug, Clone, Copy)]
struct Unit {
    bytes: usize,
    ends: Ends,
}

impl Tracks {
    /// Tracks behind an outbox that ends so.
    pub(super) fn behind(last_ends: Ends) -> Self {
        Self {
            inside_frame: last_ends == Ends::Nothing,
            inside_message: matches!(last_ends, Ends::Nothing | Ends::Frame),
            ..Self::default()
        }
    }

    /// Puts bytes of frames in line.
    pub(super) fn push(&mut self, bytes: &[u8], ends: Ends) {
        self.data.extend(bytes);
        match self.units.back_mut() {
            Some(last) if last.ends == Ends::Nothing => {
                last.bytes += bytes.len();
                last.ends = ends;
            }
            _ => self.units.push_back(Unit {
                bytes: bytes.len(),
                ends,
            }),
        }
    }

    /// Puts a Ping or Pong in its track. When that is full, the oldest goes.
    pub(super) fn push_control(&mut self, frame: &[u8]) {
        while self.control.len() + frame.len() > limits::CONTROL_TRACK_BYTES_MAX {
            let Some(length) = self.control_lengths.pop_front() else {
                break;
            };
            self.control.drain(..usize::from(length));
        }
        let length = u8::try_from(frame.len());
        let length = length.expect("invariant: a control frame is 131 bytes at most");
        self.control_lengths.push_back(length);
        self.control.extend(frame);
    }

    /// Moves what may go next to the end of `out`: about `turn` bytes, in whole frames as far as they have come.
    pub(super) fn refill(&mut self, out: &mut Vec<u8>, turn: usize) {
        loop {
            if !self.inside_frame {
                self.control_lengths.clear();
                out.extend(self.control.drain(..));
            }
            let Some(unit) = self.units.front().copied() else {
                return;
            };
            if out.len() >= turn && unit.ends != Ends::Nothing {
                return;
            }
            self.units.pop_front();
            out.extend(self.data.drain(..unit.bytes));
            self.inside_frame = unit.ends == Ends::Nothing;
            self.inside_message = matches!(unit.ends, Ends::Nothing | Ends::Frame);
        }
    }

    /// Leaves out the oldest messages that are whole and not begun, until no more than `most` bytes wait. Returns how
    /// many there were. The newest is never left out.
    pub(super) fn keep_newest(&mut self, most: usize) -> u64 {
        let mut dropped = 0;
        while self.data.len() > most {
            let begun = if self.inside_message {
                self.first_message(0)
                    .map_or(self.units.len(), |(units, _)| units)
            } else {
                0
            };
            let Some((units, _)) = self.first_message(begun) else {
                return dropped;
            };
            // Behind the newest nothing may be missing, so it stays.
            if self.first_message(units).is_none() {
                return dropped;
            }
            let before: usize = self.units.range(..begun).map(|unit| unit.bytes).sum();
            let bytes: usize = self.units.range(begun..units).map(|unit| unit.bytes).sum();
            self.data.drain(before..before + bytes);
            self.units.drain(begun..units);
            dropped += 1;
        }
        dropped
    }

    /// The first message from this unit on that is whole: the place behind its last unit, and its bytes.
    fn first_message(&self, from: usize) -> Option<(usize, usize)> {
        let mut bytes = 0;
        for (place, unit) in (from..).zip(self.units.range(from.min(self.units.len())..)) {
            bytes += unit.bytes;
            if unit.ends == Ends::Message {
                return Some((place + 1, bytes));
            }
        }
        None
    }

    /// Leaves out everything but the rest of a frame that is begun. Whether a frame may follow then.
    pub(super) fn clear_to_boundary(&mut self) -> bool {
        self.control.clear();
        self.control_lengths.clear();
        let kept = usize::from(self.inside_frame).min(self.units.len());
        let bytes: usize = self.units.range(..kept).map(|unit| unit.bytes).sum();
        self.units.truncate(kept);
        self.data.truncate(bytes);
        self.ends_at_boundary()
    }

    /// Whether another frame may follow what waits.
    pub(super) fn ends_at_boundary(&self) -> bool {
        match self.units.back() {
            Some(last) => last.ends != Ends::Nothing,
            None => !self.inside_frame,
        }
    }

    /// Whether nothing waits that could go. Control frames cannot while the rest of a frame has not come.
    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty() && (self.inside_frame || self.control.is_empty())
    }

    /// Whether nothing waits at all, and nothing needs to be remembered.
    pub(super) fn is_over(&self) -> bool {
        self.units.is_empty() && self.control.is_empty() && !self.inside_frame
    }

    /// Whether a control frame waits.
    pub(super) fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// How the outbox ends.
    pub(super) const fn last_ends(&self) -> Ends {
        match (self.inside_frame, self.inside_message) {
            (true, _) => Ends::Nothing,
            (false, true) => Ends::Frame,
            (false, false) => Ends::Message,
        }
    }

    /// Bytes of frames that wait.
    pub(super) fn bytes(&self) -> usize {
        self.data.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TURN: usize = limits::TRACK_TURN_BYTES as usize;

    fn refilled(tracks: &mut Tracks) -> Vec<u8> {
        let mut out = Vec::new();
        while !tracks.is_empty() {
            let mut turn = Vec::new();
            tracks.refill(&mut turn, TURN);
            out.extend(turn);
        }
        out
    }

    #[test]
    fn control_frames_overtake_at_the_next_boundary_and_not_before() {
        let mut tracks = Tracks::behind(Ends::Nothing);
        tracks.push_control(b"PING");
        assert!(tracks.is_empty(), "the rest of a frame comes first");
        tracks.push(b"rest ", Ends::Frame);
        tracks.push(b"next ", Ends::Message);
        assert_eq!(refilled(&mut tracks), b"rest PINGnext ");
        assert!(tracks.is_over());
    }

    #[test]
    fn a_turn_ends_with_a_frame_and_a_long_frame_is_not_waited_for() {
        let turn = TURN;
        let mut tracks = Tracks::behind(Ends::Message);
        tracks.push(&vec![1; turn - 1], Ends::Message);
        tracks.push(&[2; 100], Ends::Message);
        tracks.push(&[3; 100], Ends::Nothing);
        let mut out = Vec::new();
        tracks.refill(&mut out, TURN);
        assert_eq!(out.len(), turn - 1 + 100 + 100);
        assert_eq!(tracks.last_ends(), Ends::Nothing);
        tracks.push(&[3; 50], Ends::Message);
        tracks.push(&vec![4; turn], Ends::Message);
        tracks.push(&[5; 10], Ends::Message);
        let mut out = Vec::new();
        tracks.refill(&mut out, TURN);
        assert_eq!(out.len(), 50 + turn, "the last one waits");
    }

    #[test]
    fn the_oldest_whole_messages_make_room_but_never_the_one_begun_or_the_newest() {
        let mut tracks = Tracks::behind(Ends::Frame);
        tracks.push(b"begun", Ends::Message);
        tracks.push(b"old 1", Ends::Frame);
        tracks.push(b"old 2", Ends::Message);
        tracks.push(b"middle", Ends::Message);
        tracks.push(b"newest", Ends::Message);
        assert_eq!(tracks.keep_newest(20), 1);
        assert_eq!(tracks.bytes(), 5 + 6 + 6);
        assert_eq!(tracks.keep_newest(0), 1);
        // A Close frame is no newer message.
        tracks.push(b"close", Ends::Close);
        assert_eq!(tracks.keep_newest(0), 0);
        assert_eq!(refilled(&mut tracks), b"begunnewestclose");
    }

    #[test]
    fn the_oldest_control_frames_make_room() {
        let mut tracks = Tracks::behind(Ends::Message);
        for number in 0..=255_u8 {
            tracks.push_control(&[number; 100]);
        }
        let out = refilled(&mut tracks);
        assert!(out.len() <= limits::CONTROL_TRACK_BYTES_MAX);
        assert!(out.ends_with(&[255; 100]) && out.len() > limits::CONTROL_TRACK_BYTES_MAX - 100);
    }

    #[test]
    fn all_can_be_left_out_but_the_rest_of_a_frame() {
        let mut tracks = Tracks::behind(Ends::Nothing);
        assert!(!tracks.clear_to_boundary());
        tracks.push(b"rest", Ends::Frame);
        tracks.push(b"more", Ends::Message);
        tracks.push_control(b"PING");
        assert!(tracks.clear_to_boundary());
        assert_eq!(refilled(&mut tracks), b"rest");
        let mut tracks = Tracks::behind(Ends::Message);
        tracks.push(b"more", Ends::Nothing);
        assert!(tracks.clear_to_boundary());
        assert!(tracks.is_over());
    }

    proptest! {
        #[test]
        fn frames_keep_their_order_and_no_byte_is_lost(
            pieces in prop::collection::vec((1_usize..9_000, 0_u8..4, any::<bool>()), 0..40),
        ) {
            let mut tracks = Tracks::behind(Ends::Message);
            let (mut out, mut sent, mut controls) = (Vec::new(), Vec::new(), 0);
            for (number, (bytes, ends, refill)) in pieces.into_iter().enumerate() {
                let byte = u8::try_from(number).unwrap();
                let ends = [Ends::Nothing, Ends::Frame, Ends::Message, Ends::Control][usize::from(ends)];
                if ends == Ends::Control {
                    tracks.push_control(&[255]);
                    controls += 1;
                } else {
                    tracks.push(&vec![byte; bytes], ends);
                    sent.extend(vec![byte; bytes]);
                }
                if refill {
                    let mut turn = Vec::new();
                    tracks.refill(&mut turn, TURN);
                    out.extend(turn);
                }
            }
            tracks.push(&[254], Ends::Message);
            sent.push(254);
            out.extend(refilled(&mut tracks));
            let all = out.len();
            out.retain(|byte| *byte != 255);
            let found = all - out.len();
            prop_assert_eq!((out, found), (sent, controls));
        }
    }
}

//! What waits to be written to one socket: chunks that still stand in receive buffers, with held starts of frames
//! before them, then copied bytes.

use std::ops::Range;
use std::os::fd::BorrowedFd;

use super::sealing::{Rest, SealedSend};
use super::segments::{Bytes, NONE, Segment, Segments};
use super::tracks::Tracks;
use crate::clock::Now;
use crate::limits;
use crate::ring::{Chunk, Part, Ring, SendId, Token};
use crate::ws::Ends;

/// The send under way; at most one a socket, so bytes cannot overtake each other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sending {
    Nothing,
    /// Chunks, sent now or not at all: it completes within the same entry into the kernel.
    /// One chunk travels without memory of its own, several in a vector that names so many.
    Chunks(Option<SendId>, usize),
    /// Copied bytes, from this place on, waiting while the socket would block.
    Copied(SendId, usize),
    /// Sealed bytes of a side that speaks TLS.
    Sealed(SealedSend),
}

/// The line of one socket. The order is: the send under way, the chunks, the copied bytes, the tracks.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) sending: Sending,
    pub(super) first: u32,
    last: u32,
    /// Copied bytes that wait; allocated only while something does.
    pub(super) waiting: Vec<u8>,
    /// How many of them the socket has taken already.
    pub(super) taken: usize,
    /// Copied bytes in all, those under way included.
    pub(super) copied: u32,
    /// Since when the socket has taken nothing, while something waits for it.
    pub(super) stalled_since: Option<Now>,
    /// The socket took less than it was given the last time.
    pub(super) is_full: bool,
    /// Sealed bytes that go out before anything else. Invariant: they count as copied.
    pub(super) rest: Option<Box<Rest>>,
    /// What the last byte before the tracks ends, where somebody looks at frames.
    pub(super) last_ends: Ends,
    /// What waits behind the copied bytes, where somebody looks at frames.
    pub(super) tracks: Option<Box<Tracks>>,
}

/// What a completed send leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Everything under way is out, or the rest waits behind.
    Went,
    /// The socket is gone.
    Broken,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            sending: Sending::Nothing,
            first: NONE,
            last: NONE,
            waiting: Vec::new(),
            taken: 0,
            copied: 0,
            stalled_since: None,
            is_full: false,
            rest: None,
            last_ends: Ends::Message,
            tracks: None,
        }
    }
}

impl Outbox {
    /// Puts part of a chunk in line: as it stands, or copied if copied bytes are in line already, so
    /// that a slow reader never keeps a buffer from the others.
    pub(super) fn push(
        &mut self,
        ring: &mut Ring,
        segments: &mut Segments,
        chunk: Chunk,
        range: Range<usize>,
    ) {
        if range.is_empty() {
            ring.buffers.release(chunk);
        } else if self.copied > 0 {
            self.push_copy(&ring.buffers.bytes(&chunk)[range]);
            ring.buffers.release(chunk);
        } else {
            self.push_segment(segments, Bytes::Chunk(chunk), range);
        }
    }

    /// Puts the start of a frame in line before the chunk with its rest, so that both leave in one send.
    pub(super) fn push_held(&mut self, segments: &mut Segments, held: &[u8]) {
        debug_assert!(
            self.takes_held(),
            "what is copied goes out behind all chunks"
        );
        let bytes = segments.hold(held);
        self.push_segment(segments, bytes, 0..held.len());
    }

    /// Whether held bytes may go in line before a chunk that stands: nothing that is copied waits.
    pub(super) const fn takes_held(&self) -> bool {
        self.tracks.is_none() && self.copied == 0
    }

    fn push_segment(&mut self, segments: &mut Segments, bytes: Bytes, range: Range<usize>) {
        let part = Part {
            from: whole(range.start),
            bytes: whole(range.len()),
        };
        let place = whole(segments.insert(Segment {
            bytes,
            part,
            next: NONE,
        }));
        match segments.get_mut(self.last as usize) {
            Some(last) if self.last != NONE => last.next = place,
            _ => self.first = place,
        }
        self.last = place;
    }

    /// Whether a chunk may go in line as it stands: nothing waits in the tracks, and little before them.
    pub(super) const fn is_free(&self) -> bool {
        self.tracks.is_none() && self.copied < limits::TRACK_TURN_BYTES
    }

    /// Remembers what the last byte in line ends, where a chunk went in line as it stands.
    pub(super) const fn ends_with(&mut self, ends: Ends) {
        if !matches!(ends, Ends::Control) {
            self.last_ends = ends;
        }
    }

    /// Puts bytes of frames in line, copied: in the tracks while much waits. A Ping or a Pong may overtake there.
    pub(super) fn push_frames(&mut self, bytes: &[u8], ends: Ends) {
        if ends == Ends::Control {
            self.push_control(bytes);
        } else if self.is_free() || self.tracks.is_none() && self.completes_frame(ends) {
            self.push_copy(bytes);
            self.last_ends = ends;
        } else {
            self.tracks().push(bytes, ends);
        }
    }

    /// Takes memory for what will be copied, which was used before if none is at hand.
    pub(super) fn make_room(&mut self, segments: &mut Segments) {
        if self.waiting.capacity() == 0 {
            self.waiting = segments.borrow();
        }
    }

    /// Puts bytes of frames in line, copied and behind everything else, as where nobody looks at frames.
    pub(super) fn push_in_order(&mut self, bytes: &[u8], ends: Ends) {
        debug_assert!(self.tracks.is_none(), "nothing stands in tracks here");
        self.push_copy(bytes);
        self.ends_with(ends);
    }

    /// Whether bytes that end so complete a frame whose start is last in line: nothing could go between.
    fn completes_frame(&self, ends: Ends) -> bool {
        self.last_ends == Ends::Nothing && ends != Ends::Nothing
    }

    /// Takes over a long copy as it is, if nothing else is copied that waits; hands back other memory for it.
    pub(super) fn take_over(&mut self, bytes: &mut Vec<u8>, ends: Ends) -> bool {
        let may = self.waiting.is_empty() && self.is_free() && ends != Ends::Control;
        if may {
            std::mem::swap(&mut self.waiting, bytes);
            bytes.clear();
            self.copied += whole(self.waiting.len());
            self.last_ends = ends;
        }
        may
    }

    /// Puts a whole Ping or Pong in line: at the next frame boundary, before the data that waits in the tracks.
    pub(super) fn push_control(&mut self, frame: &[u8]) {
        if self.is_free() && self.last_ends != Ends::Nothing {
            self.push_copy(frame);
        } else {
            self.tracks().push_control(frame);
        }
    }

    /// Whether the socket has not taken all it was given, or is still at it: asked once all completions of a batch are
    /// known, before the next send starts.
    pub(super) const fn is_blocked(&self) -> bool {
        self.is_full || self.in_flight()
    }

    /// Puts bytes of our own in line, behind everything else.
    pub(super) fn push_copy(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        self.copied += whole(bytes.len());
    }

    /// Puts a chunk in line behind the start of its header, which came with an earlier chunk: copied, into
    /// memory that was used before.
    pub(super) fn push_behind(
        &mut self,
        ring: &mut Ring,
        segments: &mut Segments,
        (prefix, chunk): (&[u8], Chunk),
        bytes: usize,
    ) {
        self.make_room(segments);
        self.push_copy(prefix);
        self.push_copy(&ring.buffers.bytes(&chunk)[..bytes]);
        ring.buffers.release(chunk);
    }

    /// Puts an empty outbox's first bytes in line without copying them.
    pub(super) fn start_with(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.is_empty(), "only a new outbox starts with something");
        self.copied = whole(bytes.len());
        self.waiting = bytes;
    }

    /// Starts the next send if none is under way. Says whether the stalled clock has started with it: a send
    /// of copied bytes waits while the socket would block, and completes only when that is over.
    pub(super) fn flush(
        &mut self,
        ring: &mut Ring,
        segments: &Segments,
        (socket, token): (BorrowedFd<'_>, Token),
        now: Now,
    ) -> bool {
        if self.in_flight() {
            return false;
        }
        if self.first == NONE && self.waiting.is_empty() {
            self.refill(limits::TRACK_TURN_BYTES as usize);
        }
        if let Some(segment) = segments.get(self.first) {
            if let (Bytes::Chunk(chunk), NONE) = (&segment.bytes, segment.next) {
                ring.send_now(socket, token, chunk, segment.part);
                self.sending = Sending::Chunks(None, 1);
            } else {
                let line = segments.line(self.first).map(Segment::vector);
                let (id, count) = ring.send_vectored_now(socket, token, line);
                self.sending = Sending::Chunks(Some(id), count);
            }
        } else if !self.waiting.is_empty() {
            let (bytes, from) = (
                std::mem::take(&mut self.waiting),
                std::mem::take(&mut self.taken),
            );
            self.sending = Sending::Copied(ring.send_owned(socket, token, bytes, from), from);
            let starts = self.stalled_since.is_none();
            self.stalled_since.get_or_insert(now);
            return starts;
        }
        false
    }

    /// A send completed with `result`.
    pub(super) fn sent(
        &mut self,
        ring: &mut Ring,
        segments: &mut Segments,
        result: i32,
        now: Now,
    ) -> Sent {
        let sending = std::mem::replace(&mut self.sending, Sending::Nothing);
        let bytes = match (u32::try_from(result), -result) {
            (Ok(bytes), _) => bytes,
            (Err(_), libc::EAGAIN | libc::ENOBUFS | libc::EINTR) => 0,
            (Err(_), _) => {
                self.sending = sending;
                self.finish(ring, segments);
                return Sent::Broken;
            }
        };
        match sending {
            Sending::Nothing => debug_assert!(false, "a send completed that was not under way"),
            Sending::Chunks(id, named) => {
                if let Some(id) = id {
                    ring.finish(id);
                }
                self.is_full = self.drop_sent(ring, segments, bytes, named);
                if self.is_full {
                    self.copy_out(ring, segments);
                    self.stalled_since = Some(now);
                }
            }
            Sending::Sealed(send) => self.sealed_sent(ring, segments, (send, bytes), now),
            Sending::Copied(id, from) => {
                let emptied = self.copied_sent(ring, (id, from), bytes, now);
                segments.keep(emptied);
            }
        }
        Sent::Went
    }

    /// Takes `bytes` off the chunks in line, at most `named` of them. Whether some that were named stay.
    fn drop_sent(
        &mut self,
        ring: &mut Ring,
        segments: &mut Segments,
        mut bytes: u32,
        named: usize,
    ) -> bool {
        for _ in 0..named {
            let Some(segment) = segments.get_mut(self.first as usize) else {
                return false;
            };
            if bytes < segment.part.bytes {
                segment.part.from += bytes;
                segment.part.bytes -= bytes;
                return true;
            }
            bytes -= segment.part.bytes;
            self.release_first(ring, segments);
        }
        false
    }

    /// The socket would block: the chunks are copied out, so that their buffers go home at once.
    pub(super) fn copy_out(&mut self, ring: &mut Ring, segments: &mut Segments) {
        let behind = std::mem::take(&mut self.waiting);
        while let Some(segment) = segments.get(self.first) {
            self.waiting.extend_from_slice(segment.rest(&ring.buffers));
            self.release_first(ring, segments);
        }
        self.waiting.extend_from_slice(&behind[self.taken..]);
        self.taken = 0;
        self.copied = whole(self.waiting.len());
    }

    /// Hands back the memory that is no longer needed.
    fn copied_sent(
        &mut self,
        ring: &mut Ring,
        (id, from): (SendId, usize),
        bytes: u32,
        now: Now,
    ) -> Vec<u8> {
        let mut sent = ring.finish(id);
        let taken = from + bytes as usize;
        self.copied = self.copied.saturating_sub(bytes);
        self.is_full = taken < sent.len();
        if self.is_full {
            // What came meanwhile goes behind; what is out goes away once it is the larger part.
            sent.append(&mut self.waiting);
            let wasted = taken > sent.len() / 2;
            if wasted {
                sent.drain(..taken);
            }
            self.waiting = std::mem::take(&mut sent);
            self.taken = if wasted { 0 } else { taken };
        }
        self.stalled_since = (self.copied > 0).then_some(now);
        sent
    }

    /// Forgets what waits. Chunks that a send names stay until its completion: their buffers must not be
    /// filled again before.
    pub(super) fn clear(&mut self, ring: &mut Ring, segments: &mut Segments) {
        if !matches!(self.sending, Sending::Chunks(..)) {
            self.release_all(ring, segments);
        }
        self.waiting = Vec::new();
        self.taken = 0;
        self.copied = 0;
        self.rest = None;
        self.stalled_since = None;
        self.tracks = None;
    }

    /// The last send completed, and nothing more will be sent.
    pub(super) fn finish(&mut self, ring: &mut Ring, segments: &mut Segments) {
        match std::mem::replace(&mut self.sending, Sending::Nothing) {
            Sending::Chunks(Some(id), _)
            | Sending::Copied(id, _)
            | Sending::Sealed(SealedSend { id, .. }) => drop(ring.finish(id)),
            Sending::Nothing | Sending::Chunks(None, _) => {}
        }
        self.release_all(ring, segments);
    }

    fn release_all(&mut self, ring: &mut Ring, segments: &mut Segments) {
        while self.first != NONE {
            self.release_first(ring, segments);
        }
    }

    pub(super) fn release_first(&mut self, ring: &mut Ring, segments: &mut Segments) {
        let segment = segments.remove(self.first as usize);
        self.first = segment.next;
        if self.first == NONE {
            self.last = NONE;
        }
        match segment.bytes {
            Bytes::Chunk(chunk) => ring.buffers.release(chunk),
            Bytes::Held(bytes) => segments.keep_held(bytes),
        }
    }

    /// Whether a record may follow what has gone out.
    pub(super) const fn is_between_records(&self) -> bool {
        !self.in_flight() && self.rest.is_none()
    }

    /// A send is under way.
    pub(super) const fn in_flight(&self) -> bool {
        !matches!(self.sending, Sending::Nothing)
    }

    /// Nothing waits and nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        !self.in_flight()
            && self.first == NONE
            && self.waiting.is_empty()
            && self.rest.is_none()
            && self.tracks.as_ref().is_none_or(|tracks| tracks.is_empty())
    }

    /// Nothing waits, not even a control frame for the end of a frame that has not come.
    pub(super) fn holds_nothing(&self) -> bool {
        self.is_empty()
            && self
                .tracks
                .as_ref()
                .is_none_or(|tracks| !tracks.has_control())
    }

    /// Bytes that were copied and not yet taken by the socket, those in the tracks included.
    pub(super) fn copied(&self) -> u32 {
        self.copied.saturating_add(whole(self.in_tracks()))
    }

    /// Since when the socket has taken nothing of what waits for it.
    pub(super) const fn stalled_since(&self) -> Option<Now> {
        self.stalled_since
    }
}

pub(super) fn whole(number: usize) -> u32 {
    u32::try_from(number).expect("invariant: every outbox is bounded far below 4 GiB")
}

//! How what waits in an outbox leaves over TLS: sealed when it is its turn, in as few records as may be, and never twice.
//!
//! ```text
//!  chunks, held starts, copied bytes ──seal──▶ memory of its own ──send now──▶ out
//!                                                      │ the socket would block
//!                                                      ▼
//!                                              the rest, as it is ──send, waiting──▶ out
//! ```

use std::ops::Range;
use std::os::fd::BorrowedFd;

use super::outbox::{Outbox, Sending, whole};
use super::segments::{NONE, Segments};
use crate::clock::Now;
use crate::limits;
use crate::ring::{Ring, SendId, Token};
use crate::tls::{Spent, Wire};

/// Sealed bytes that the socket has not taken. They go out as they are: sealed again, they would be other records.
#[derive(Debug)]
pub(super) struct Rest {
    bytes: Vec<u8>,
    part: Range<usize>,
}

/// A send of sealed bytes under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct SealedSend {
    pub(super) id: SendId,
    from: u32,
    to: u32,
    /// It waits while the socket would block, and its bytes count as copied.
    waits: bool,
}

impl Outbox {
    /// [`Self::flush`] for a side that speaks TLS. Fails if nothing may be sealed any more.
    pub(super) fn flush_sealed(
        &mut self,
        ring: &mut Ring,
        (segments, wire): (&mut Segments, &mut Wire),
        (socket, token): (BorrowedFd<'_>, Token),
        now: Now,
    ) -> Result<bool, Spent> {
        if self.in_flight() {
            return Ok(false);
        }
        if let Some(rest) = self.rest.take() {
            let Rest { bytes, part } = *rest;
            let (from, to) = (whole(part.start), whole(part.end));
            let id = ring.send_owned_part(socket, token, (bytes, part));
            let waits = true;
            self.sending = Sending::Sealed(SealedSend {
                id,
                from,
                to,
                waits,
            });
            let starts = self.stalled_since.is_none();
            self.stalled_since.get_or_insert(now);
            return Ok(starts);
        }
        if self.first == NONE && self.waiting.is_empty() {
            self.refill(limits::TRACK_TURN_BYTES as usize);
        }
        let line = segments.line(self.first);
        let chunks: usize = line.map(|segment| segment.part.bytes as usize).sum();
        let plain = chunks + self.waiting.len() - self.taken;
        if plain == 0 {
            return Ok(false);
        }
        let mut out = segments.borrow_sealed(plain);
        let sealed = {
            let line = segments.line(self.first);
            let chunks = line.map(|segment| segment.rest(&ring.buffers));
            let copied = std::iter::once(&self.waiting[self.taken..]);
            wire.seal(chunks.chain(copied), &mut out)?
        };
        self.drop_sealed(ring, segments, sealed.plain);
        let id = ring.send_owned_now(socket, token, (out, 0..sealed.bytes));
        self.sending = Sending::Sealed(SealedSend {
            id,
            from: 0,
            to: whole(sealed.bytes),
            waits: false,
        });
        Ok(false)
    }

    /// Takes plain bytes that were sealed out of the line; the buffers they stood in go home.
    fn drop_sealed(&mut self, ring: &mut Ring, segments: &mut Segments, mut plain: usize) {
        while let Some(segment) = segments.get_mut(self.first as usize)
            && plain > 0
        {
            let bytes = segment.part.bytes as usize;
            if plain < bytes {
                segment.part.from += whole(plain);
                segment.part.bytes -= whole(plain);
                return;
            }
            plain -= bytes;
            self.release_first(ring, segments);
        }
        if plain > 0 {
            self.taken += plain;
            self.copied -= whole(plain);
            if self.taken == self.waiting.len() {
                self.taken = 0;
                segments.keep(std::mem::take(&mut self.waiting));
            }
        }
    }

    /// A send of sealed bytes completed.
    pub(super) fn sealed_sent(
        &mut self,
        ring: &mut Ring,
        segments: &mut Segments,
        (send, bytes): (SealedSend, u32),
        now: Now,
    ) {
        let memory = ring.finish(send.id);
        let taken = send.from + bytes;
        self.is_full = taken < send.to;
        if send.waits {
            self.copied -= bytes;
        }
        if self.is_full {
            if !send.waits {
                self.copy_out(ring, segments);
                self.copied += send.to - taken;
            }
            self.rest = Some(Box::new(Rest {
                bytes: memory,
                part: taken as usize..send.to as usize,
            }));
        } else {
            segments.keep_sealed(memory);
        }
        self.stalled_since = (self.copied > 0).then_some(now);
    }
}

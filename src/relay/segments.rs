//! The chunks that wait at all outboxes of a core, with bytes between them, and memory for bytes that must be copied.

use slab::Slab;

use crate::limits;
use crate::ring::{Buffers, Chunk, Part, Vector};
use crate::tls::sealed_bytes_max;

/// Bytes in line: where they are.
#[derive(Debug)]
pub(super) enum Bytes {
    /// In a receive buffer.
    Chunk(Chunk),
    /// The start of a frame that was held until its rest had come, copied.
    Held(Vec<u8>),
}

/// A place in line, and the part of its bytes that is still to be sent.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) bytes: Bytes,
    pub(super) part: Part,
    pub(super) next: u32,
}

impl Segment {
    /// What a vectored send names of it.
    pub(super) fn vector(&self) -> Vector<'_> {
        match &self.bytes {
            Bytes::Chunk(chunk) => Vector::Chunk(chunk, self.part),
            Bytes::Held(bytes) => Vector::Copied(part_of(bytes, self.part)),
        }
    }

    /// The bytes that are still to be sent.
    pub(super) fn rest<'a>(&'a self, buffers: &'a Buffers) -> &'a [u8] {
        match &self.bytes {
            Bytes::Chunk(chunk) => part_of(buffers.bytes(chunk), self.part),
            Bytes::Held(bytes) => part_of(bytes, self.part),
        }
    }
}

fn room_to_hold() -> Vec<u8> {
    Vec::with_capacity(limits::HELD_SPARE_BYTES_LEAST)
}

fn part_of(bytes: &[u8], part: Part) -> &[u8] {
    &bytes[part.from as usize..][..part.bytes as usize]
}

/// All chunks in line at all outboxes of a core, and a little memory for copied bytes. Both are used again,
/// so the steady path allocates nothing.
#[derive(Debug)]
pub(super) struct Segments {
    line: Slab<Segment>,
    /// Memory of outboxes that have emptied.
    spares: Vec<Vec<u8>>,
    /// Memory of starts of frames that are out.
    held_spares: Vec<Vec<u8>>,
    /// Memory of sealed bytes that are out, all of it written: of the short ones, and of the long.
    sealed_spares: [Vec<Vec<u8>>; 2],
    /// Memory for records whose rest has not come, and how much of it was made.
    record_spares: Vec<Vec<u8>>,
    records_made: usize,
}

impl Default for Segments {
    fn default() -> Self {
        let held_spares = (0..limits::LINED_UP_SPARES_READY).map(|_| room_to_hold());
        Self {
            line: Slab::new(),
            spares: Vec::new(),
            held_spares: held_spares.collect(),
            sealed_spares: <[Vec<Vec<u8>>; 2]>::default(),
            record_spares: Vec::new(),
            records_made: 0,
        }
    }
}

impl Segments {
    pub(super) fn insert(&mut self, segment: Segment) -> usize {
        self.line.insert(segment)
    }

    pub(super) fn remove(&mut self, place: usize) -> Segment {
        self.line.remove(place)
    }

    pub(super) fn get(&self, place: u32) -> Option<&Segment> {
        self.line.get(place as usize)
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Segment> {
        self.line.get_mut(place)
    }

    /// The chunks in line from this one on.
    pub(super) fn line(&self, first: u32) -> impl Iterator<Item = &Segment> {
        std::iter::successors(self.get(first), |segment| self.get(segment.next))
    }

    /// How many chunks are in line.
    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    /// Memory for copied bytes.
    pub(super) fn borrow(&mut self) -> Vec<u8> {
        let spare = self.spares.pop();
        spare.unwrap_or_else(|| Vec::with_capacity(limits::OUTBOX_SPARE_BYTES))
    }

    /// A copy of the start of a frame, for its place in line.
    pub(super) fn hold(&mut self, held: &[u8]) -> Bytes {
        let spare = self.held_spares.pop();
        let mut bytes = spare.unwrap_or_else(room_to_hold);
        bytes.extend_from_slice(held);
        Bytes::Held(bytes)
    }

    /// Keeps the memory of such a copy that is out.
    pub(super) fn keep_held(&mut self, mut bytes: Vec<u8>) {
        if self.held_spares.len() < limits::LINED_UP_SPARES_MAX {
            bytes.clear();
            self.held_spares.push(bytes);
        }
    }

    /// Memory to seal so many plain bytes into, or as many of them as one turn takes: all of it is written, so that its
    /// length is the room there is.
    pub(super) fn borrow_sealed(&mut self, plain: usize) -> Vec<u8> {
        let is_long = sealed_bytes_max(plain) > limits::SEALED_SHORT_BYTES;
        let spare = self.sealed_spares[usize::from(is_long)].pop();
        spare.unwrap_or_else(|| vec![0; SEALED_BYTES[usize::from(is_long)]])
    }

    /// Keeps the memory of sealed bytes that are out.
    pub(super) fn keep_sealed(&mut self, bytes: Vec<u8>) {
        let place = SEALED_BYTES.iter().position(|size| *size == bytes.len());
        if let Some(place) = place
            && self.sealed_spares[place].len() < limits::SEALED_SPARES_MAX[place]
        {
            self.sealed_spares[place].push(bytes);
        }
    }

    /// Memory for a record of which so much has come. A few records find room for all of theirs, again and again; should
    /// more be cut at once, each takes no more than has come of it, so that half records cost us what they cost their
    /// senders.
    pub(super) fn borrow_record(&mut self, came: usize) -> Vec<u8> {
        self.record_spares.pop().unwrap_or_else(|| {
            if self.records_made < limits::RECORD_SPARES_MAX {
                self.records_made += 1;
                return Vec::with_capacity(limits::RECORD_WIRE_BYTES_MAX);
            }
            Vec::with_capacity(came)
        })
    }

    /// Keeps the memory of a record that is whole, or will never be.
    pub(super) fn keep_record(&mut self, mut bytes: Vec<u8>) {
        let is_ours = bytes.capacity() >= limits::RECORD_WIRE_BYTES_MAX;
        if is_ours && self.record_spares.len() < self.records_made {
            bytes.clear();
            self.record_spares.push(bytes);
        }
    }

    /// Keeps the memory of an outbox that has emptied, if it is about of the size that is lent out.
    pub(super) fn keep(&mut self, mut emptied: Vec<u8>) {
        let sizes = limits::OUTBOX_SPARE_BYTES..=limits::HELD_SPARE_BYTES_MAX;
        if sizes.contains(&emptied.capacity()) && self.spares.len() < limits::OUTBOX_SPARES_MAX {
            emptied.clear();
            self.spares.push(emptied);
        }
    }
}

/// What is sealed into: of a few small messages, and of as much as one turn sends.
const SEALED_BYTES: [usize; 2] = [limits::SEALED_SHORT_BYTES, limits::SEALED_TURN_BYTES];

/// No segment.
pub(super) const NONE: u32 = u32::MAX;

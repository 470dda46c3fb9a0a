//! The chunks that wait at all outboxes of a core, and memory for bytes that must be copied.

use slab::Slab;

use crate::limits;
use crate::ring::{Chunk, Part};

/// A chunk in line, and the part of it that is still to be sent.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) chunk: Chunk,
    pub(super) part: Part,
    pub(super) next: u32,
}

/// All chunks in line at all outboxes of a core, and a little memory for copied bytes. Both are used again,
/// so the steady path allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Segments {
    line: Slab<Segment>,
    /// Memory of outboxes that have emptied.
    spares: Vec<Vec<u8>>,
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

    /// Keeps the memory of an outbox that has emptied, if it is about of the size that is lent out.
    pub(super) fn keep(&mut self, mut emptied: Vec<u8>) {
        let sizes = limits::OUTBOX_SPARE_BYTES..=limits::HELD_SPARE_BYTES_MAX;
        if sizes.contains(&emptied.capacity()) && self.spares.len() < limits::OUTBOX_SPARES_MAX {
            emptied.clear();
            self.spares.push(emptied);
        }
    }
}

/// No segment.
pub(super) const NONE: u32 = u32::MAX;

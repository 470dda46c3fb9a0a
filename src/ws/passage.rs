//! What goes on of a chunk that was looked into: pieces of it in order, and copies of what was held back before.

use std::ops::Range;

use crate::limits::{HELD_SPARE_BYTES_LEAST, HELD_SPARE_BYTES_MAX, HELD_SPARES_MAX};

/// Where the bytes of a piece stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the chunk that was fed.
    Chunk,
    /// In [`Passage::copied`]: they came with earlier chunks.
    Copied,
}

/// What the last byte of a piece ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Nothing: the rest of the frame follows with a later piece.
    Nothing,
    /// A frame, but not its message.
    Frame,
    /// A message.
    Message,
    /// A Ping or a Pong, which may stand inside of a message.
    Control,
    /// A Close frame, and with it the direction.
    Close,
}

/// Bytes that go on together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where they stand.
    pub source: Source,
    /// Their first place there.
    pub from: usize,
    /// The place behind their last.
    pub to: usize,
    /// What the last of them ends.
    pub ends: Ends,
}

impl Piece {
    /// Their places.
    pub const fn range(&self) -> Range<usize> {
        self.from..self.to
    }
}

/// What goes on, in order. Used again for every chunk of a worker, so the steady path allocates nothing.
#[derive(Debug)]
pub struct Passage {
    /// The pieces, each behind the one before it.
    pub pieces: Vec<Piece>,
    /// What pieces of [`Source::Copied`] name.
    pub copied: Vec<u8>,
    /// Data messages whose last byte goes on.
    pub messages: u32,
    /// Every frame is a piece of its own. Otherwise what stands together in the chunk is one piece, which ends what
    /// its last data frame ends. A piece that ends [`Ends::Control`] is one frame in any case.
    pub by_frame: bool,
    /// Memory for what is held back, of directions that hold nothing back any more.
    spares: Vec<Vec<u8>>,
}

impl Default for Passage {
    /// An empty one, with memory for the first frame that is cut.
    fn default() -> Self {
        let room = || Vec::with_capacity(HELD_SPARE_BYTES_LEAST);
        Self {
            pieces: Vec::new(),
            copied: room(),
            messages: 0,
            by_frame: false,
            spares: vec![room()],
        }
    }
}

impl Passage {
    /// Forgets the last chunk.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.copied.clear();
        self.copied.shrink_to(HELD_SPARE_BYTES_MAX);
        self.messages = 0;
    }

    /// Memory to hold something back in, some that was used before if there is any.
    pub(super) fn borrow(&mut self) -> Vec<u8> {
        let spare = self.spares.pop();
        spare.unwrap_or_else(|| Vec::with_capacity(HELD_SPARE_BYTES_LEAST))
    }

    /// Keeps such memory for the next time, unless it is too much.
    fn keep(&mut self, mut held: Vec<u8>) {
        let fits = (HELD_SPARE_BYTES_LEAST..=HELD_SPARE_BYTES_MAX).contains(&held.capacity());
        if fits && self.spares.len() < HELD_SPARES_MAX {
            held.clear();
            self.spares.push(held);
        }
    }

    /// Lets part of the chunk go on.
    pub(super) fn release(&mut self, from: usize, to: usize, ends: Ends) {
        self.messages += u32::from(ends == Ends::Message);
        if let Some(last) = self.pieces.last_mut()
            && last.source == Source::Chunk
            && last.to == from
            && (!self.by_frame || last.ends == Ends::Nothing)
            && (last.ends, ends) != (Ends::Control, Ends::Control)
        {
            last.to = to;
            // A Ping or a Pong behind data leaves it where it stands.
            if ends != Ends::Control {
                last.ends = ends;
            }
        } else {
            self.push(Source::Chunk, (from, to), ends);
        }
    }

    /// Lets so many whole messages go on that stand together in the chunk.
    pub(super) fn release_messages(&mut self, from: usize, to: usize, messages: u32) {
        if messages > 0 {
            self.release(from, to, Ends::Message);
            self.messages += messages - 1;
        }
    }

    /// Lets a copy go on.
    pub(super) fn release_copy(&mut self, bytes: &[u8], ends: Ends) {
        self.messages += u32::from(ends == Ends::Message);
        let from = self.copied.len();
        self.copied.extend_from_slice(bytes);
        self.push(Source::Copied, (from, self.copied.len()), ends);
    }

    /// Lets go on what was held back, and keeps its memory.
    pub(super) fn release_held(&mut self, mut held: Vec<u8>, ends: Ends) {
        if self.copied.is_empty() {
            // It is handed over as it is: a message may be long.
            std::mem::swap(&mut self.copied, &mut held);
            self.messages += u32::from(ends == Ends::Message);
            self.push(Source::Copied, (0, self.copied.len()), ends);
        } else {
            self.release_copy(&held, ends);
        }
        self.keep(held);
    }

    fn push(&mut self, source: Source, (from, to): (usize, usize), ends: Ends) {
        self.pieces.push(Piece {
            source,
            from,
            to,
            ends,
        });
    }

    /// The bytes of a piece of `chunk`.
    pub fn bytes<'a>(&'a self, piece: &Piece, chunk: &'a [u8]) -> &'a [u8] {
        match piece.source {
            Source::Chunk => &chunk[piece.range()],
            Source::Copied => &self.copied[piece.range()],
        }
    }
}

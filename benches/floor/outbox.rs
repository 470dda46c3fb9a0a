//! What one socket still has to be sent, in order: chunks of receive buffers, or a copy of them once it would block.

use super::pool::{Chunk, Pool};

/// Either chunks or a backlog, never both: what arrives behind a backlog is copied to its end.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    chunks: Vec<Chunk>,
    /// How many of the chunks the send in flight names.
    flying: usize,
    backlog: Option<Box<Backlog>>,
}

/// Bytes that did not fit into the socket's buffer. No receive buffer waits for a slow reader: with all of them held
/// by readers who wait for the relay to read from them, nobody would ever go on.
#[derive(Debug, Default)]
struct Backlog {
    /// What the send in flight names, if there is one; until its completion it must not move.
    going: Vec<u8>,
    gone: usize,
    behind: Vec<u8>,
}

/// What to send next.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Nothing,
    /// Now or not at all, straight from the receive buffers.
    Chunks(&'a [Chunk]),
    /// However long it takes, from memory of its own.
    Copy(&'a [u8]),
}

impl Outbox {
    pub(super) fn push(&mut self, chunk: Chunk, pool: &mut Pool) {
        if let Some(backlog) = &mut self.backlog {
            backlog.behind.extend_from_slice(pool.bytes(&chunk));
            pool.release(chunk);
        } else {
            self.chunks.push(chunk);
        }
    }

    /// What the next send takes; the caller has none in flight.
    pub(super) fn next(&mut self) -> Next<'_> {
        if let Some(backlog) = &self.backlog {
            return Next::Copy(&backlog.going[backlog.gone..]);
        }
        self.flying = self.chunks.len().min(CHUNKS_PER_SEND);
        match self.flying {
            0 => Next::Nothing,
            some => Next::Chunks(&self.chunks[..some]),
        }
    }

    /// The send took `bytes` bytes, or none because it would have blocked.
    pub(super) fn sent(&mut self, bytes: usize, pool: &mut Pool) {
        if let Some(backlog) = &mut self.backlog {
            if backlog.went(bytes) {
                self.backlog = None;
            }
            return;
        }
        let named: usize = self.chunks[..self.flying].iter().map(Chunk::bytes).sum();
        if bytes == named {
            let flown = self.chunks.drain(..self.flying);
            flown.for_each(|chunk| pool.release(chunk));
        } else {
            self.copy_from(bytes, pool);
        }
        self.flying = 0;
    }

    /// Gives every chunk back. No send may be in flight.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        self.chunks.drain(..).for_each(|chunk| pool.release(chunk));
    }

    /// Copies all chunks but their first `gone` bytes out, so that their buffers can go home.
    fn copy_from(&mut self, gone: usize, pool: &mut Pool) {
        let mut backlog = Box::<Backlog>::default();
        for chunk in self.chunks.drain(..) {
            backlog.going.extend_from_slice(pool.bytes(&chunk));
            pool.release(chunk);
        }
        backlog.gone = gone;
        self.backlog = Some(backlog);
    }
}

impl Backlog {
    /// Takes note of a send, and returns whether that was all.
    fn went(&mut self, bytes: usize) -> bool {
        self.gone += bytes;
        if self.gone == self.going.len() {
            self.going = std::mem::take(&mut self.behind);
            self.gone = 0;
        }
        self.going.is_empty()
    }
}

/// As many parts as one vectored send names.
pub(super) const CHUNKS_PER_SEND: usize = 64;

//! One group of receive buffers shared with the kernel, and the account of where each buffer is.
#![expect(
    unsafe_code,
    reason = "the buffer ring is memory that the kernel reads and writes"
)]

use std::io;
use std::ops::Range;

use io_uring::types::BufRingEntry;
use io_uring::{IoUring, Submitter};

use super::memory::Region;
use crate::sync::{KernelAtomicU16, KernelOrdering};

/// Bytes that arrived: part of one buffer. It must be given back with `release`; it is not `Clone`, so
/// it cannot be given back twice.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a chunk that is not released keeps its buffer from the kernel"]
pub struct Chunk {
    pub(super) buffer: u16,
    pub(super) offset: u32,
    pub(super) bytes: u32,
}

impl Chunk {
    /// How many bytes arrived.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a chunk always holds at least one byte"
    )]
    pub const fn len(&self) -> usize {
        self.bytes as usize
    }

    /// Leaves only these of its bytes, at least one: what was around them is not needed any more.
    ///
    /// # Panics
    /// If they are none, or not all its own.
    pub fn narrow(&mut self, range: Range<usize>) {
        assert!(
            !range.is_empty() && range.end <= self.len(),
            "invariant: a part of the chunk"
        );
        let whole = |place| u32::try_from(place).expect("invariant: a buffer is below 4 GiB");
        self.offset += whole(range.start);
        self.bytes = whole(range.len());
    }
}

/// Where one buffer is.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    /// Bytes the kernel has filled since it got the buffer.
    filled: u32,
    /// Chunks of it that are still out.
    chunks: u16,
    /// The kernel may still write into it.
    with_kernel: bool,
}

/// A group: a ring of descriptors the kernel takes buffers from, and the buffers' memory.
#[derive(Debug)]
pub(super) struct Group {
    id: u16,
    /// Number of the first buffer: numbers are unique over all groups, so a completion needs no group.
    first: u16,
    count: u16,
    buffer_bytes: u32,
    incremental: bool,
    tail: u16,
    with_kernel: u16,
    accounts: Vec<Account>,
    /// The kernel takes buffers in the order they were given; bundles need to know it.
    order: Vec<u16>,
    taken: u16,
    memory: Region,
    descriptors: Region,
}

/// What a group is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupOptions {
    pub(super) id: u16,
    pub(super) first: u16,
    /// A power of two, at most 32,768 (the kernel's bound).
    pub(super) count: u16,
    pub(super) buffer_bytes: u32,
    /// `IOU_PBUF_RING_INC`: the kernel fills a buffer piece by piece (6.12).
    pub(super) incremental: bool,
}

impl Group {
    /// Maps the memory, registers the ring with the kernel and gives it every buffer.
    pub(super) fn register(ring: &IoUring, options: GroupOptions) -> io::Result<Self> {
        let GroupOptions {
            id,
            first,
            count,
            buffer_bytes,
            incremental,
        } = options;
        assert!(
            count.is_power_of_two(),
            "invariant: the kernel masks positions with count - 1"
        );
        let descriptors = Region::map(usize::from(count) * size_of::<BufRingEntry>())?;
        let memory = Region::map(usize::from(count) * buffer_bytes as usize)?;
        let flags = if incremental {
            PBUF_RING_INCREMENTAL
        } else {
            0
        };
        let address = descriptors.entries() as u64;
        // SAFETY: the descriptors are page aligned, hold `count` entries, and live as long as the ring:
        // the owner drops the ring first.
        unsafe {
            ring.submitter()
                .register_buf_ring_with_flags(address, count, id, flags)?;
        };
        let mut group = Self {
            id,
            first,
            count,
            buffer_bytes,
            incremental,
            tail: 0,
            with_kernel: 0,
            accounts: vec![Account::default(); usize::from(count)],
            order: vec![0; usize::from(count)],
            taken: 0,
            memory,
            descriptors,
        };
        for buffer in first..first + count {
            group.give(buffer);
        }
        Ok(group)
    }

    /// Takes the group back from the kernel.
    pub(super) fn unregister(&self, submitter: &Submitter<'_>) {
        // The ring is going away with it; there is nobody to tell about a failure.
        let _ = submitter.unregister_buf_ring(self.id);
    }

    pub(super) const fn id(&self) -> u16 {
        self.id
    }

    pub(super) const fn buffer_bytes(&self) -> u32 {
        self.buffer_bytes
    }

    pub(super) const fn owns(&self, buffer: u16) -> bool {
        buffer >= self.first && buffer - self.first < self.count
    }

    /// How many buffers the kernel may take from.
    pub(super) const fn with_kernel(&self) -> u16 {
        self.with_kernel
    }

    pub(super) const fn count(&self) -> u16 {
        self.count
    }

    /// The kernel put `bytes` bytes into `buffer`.
    pub(super) fn filled(&mut self, buffer: u16, bytes: u32) -> Chunk {
        let (incremental, size) = (self.incremental, self.buffer_bytes);
        let account = &mut self.accounts[usize::from(buffer - self.first)];
        let offset = account.filled;
        account.filled += bytes;
        account.chunks += 1;
        assert!(
            account.with_kernel && account.filled <= size,
            "invariant: the kernel had it"
        );
        // The kernel retires an incremental buffer exactly when its last byte is used. Its own flag for
        // that is not asked: an empty completion clears it while the buffer stays at the head.
        if !incremental || account.filled == size {
            account.with_kernel = false;
            self.with_kernel -= 1;
        }
        Chunk {
            buffer,
            offset,
            bytes,
        }
    }

    /// The kernel retired `buffer` without a byte in it; it goes straight back.
    pub(super) fn retired_empty(&mut self, buffer: u16) {
        if self.incremental {
            return;
        }
        let account = &mut self.accounts[usize::from(buffer - self.first)];
        if account.with_kernel {
            account.with_kernel = false;
            self.with_kernel -= 1;
            self.give(buffer);
        }
    }

    /// The kernel filled a bundle of `bytes` bytes from the head of the ring, starting with `buffer`.
    pub(super) fn filled_bundle(&mut self, buffer: u16, mut bytes: u32, out: &mut Vec<Chunk>) {
        // It takes them in order. What it went past it had taken for nothing, and never said so.
        while self.next_taken() != buffer {
            let passed = self.take_next();
            self.retired_empty(passed);
        }
        while bytes > 0 {
            let next = self.take_next();
            let part = bytes.min(self.buffer_bytes);
            out.push(self.filled(next, part));
            bytes -= part;
        }
    }

    /// The buffer at the head of the ring, as far as its completions have told.
    fn next_taken(&self) -> u16 {
        self.order[usize::from(self.taken & (self.count - 1))]
    }

    fn take_next(&mut self) -> u16 {
        assert!(self.taken != self.tail, "invariant: the kernel has one");
        let next = self.next_taken();
        self.taken = self.taken.wrapping_add(1);
        next
    }

    /// The bytes of a chunk.
    pub(super) fn bytes(&self, chunk: &Chunk) -> &[u8] {
        self.memory.bytes(self.place(chunk), chunk.len())
    }

    /// The bytes of a chunk that nothing in flight names, to be changed where they stand.
    pub(super) fn bytes_mut(&mut self, chunk: &mut Chunk) -> &mut [u8] {
        let place = self.place(chunk);
        self.memory.bytes_mut(place, chunk.len())
    }

    /// Where `bytes` bytes from `from` of a chunk stand, for the kernel to read.
    pub(super) fn address(&self, chunk: &Chunk, from: u32, bytes: u32) -> *const u8 {
        assert!(
            from <= chunk.bytes && bytes <= chunk.bytes - from,
            "invariant: inside the chunk"
        );
        self.memory
            .at(self.place(chunk) + from as usize, bytes as usize)
            .cast_const()
    }

    /// A chunk's bytes are no longer needed. Returns whether its buffer went back to the kernel.
    pub(super) fn release(&mut self, chunk: &Chunk) -> bool {
        let account = &mut self.accounts[usize::from(chunk.buffer - self.first)];
        account.chunks -= 1;
        let home = account.chunks == 0 && !account.with_kernel;
        if home {
            self.give(chunk.buffer);
        }
        home
    }

    fn place(&self, chunk: &Chunk) -> usize {
        usize::from(chunk.buffer - self.first) * self.buffer_bytes as usize + chunk.offset as usize
    }

    /// Gives a whole buffer to the kernel.
    fn give(&mut self, buffer: u16) {
        let index = usize::from(buffer - self.first);
        self.accounts[index] = Account {
            filled: 0,
            chunks: 0,
            with_kernel: true,
        };
        self.with_kernel += 1;
        let start = self.memory.at(
            index * self.buffer_bytes as usize,
            self.buffer_bytes as usize,
        );
        let position = self.tail & (self.count - 1);
        self.order[usize::from(position)] = buffer;
        let entries = self.descriptors.entries();
        // SAFETY: `position` is below `count`, the number of entries mapped.
        let entry = unsafe { entries.add(usize::from(position)) };
        // SAFETY: the kernel reads entries only between head and tail; this one is beyond the tail, so
        // for now it is ours alone. It is aligned and initialised (zeroed memory is a valid entry).
        let entry = unsafe { &mut *entry };
        entry.set_addr(start as u64);
        entry.set_len(self.buffer_bytes);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `entries` is the base of the registered ring, which is what `tail` asks for.
        let tail = unsafe { BufRingEntry::tail(entries) };
        // SAFETY: the field is two aligned bytes that only we write and the kernel reads.
        let tail = unsafe { KernelAtomicU16::from_ptr(tail.cast_mut()) };
        // Release: the entry above is visible before the tail that covers it (io_uring_buf_ring_advance).
        tail.store(self.tail, KernelOrdering::Release);
    }
}

/// `IOU_PBUF_RING_INC` of `<linux/io_uring.h>`, kernel 6.12.
const PBUF_RING_INCREMENTAL: u16 = 2;

//! The receive buffers that the kernel takes from, and the account of which bytes of them are still to be sent.
#![expect(
    unsafe_code,
    reason = "the buffer ring is memory that the kernel reads and writes"
)]

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use super::memory::Region;

/// Bytes that arrived: part of one buffer, to be given back with [`Pool::release`].
#[derive(Debug)]
pub(super) struct Chunk {
    buffer: u16,
    offset: u32,
    bytes: u32,
}

impl Chunk {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes as usize
    }

    const fn place(&self) -> usize {
        self.buffer as usize * BUFFER_BYTES as usize + self.offset as usize
    }
}

/// Where one buffer is.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    /// Bytes the kernel has filled since it got the buffer.
    filled: u32,
    /// Chunks of it that are still out.
    chunks: u32,
    /// The kernel may still write into it.
    with_kernel: bool,
}

/// A ring of provided buffers.
#[derive(Debug)]
pub(super) struct Pool {
    /// The kernel fills a buffer piece by piece (`IOU_PBUF_RING_INC`, Linux 6.12).
    incremental: bool,
    tail: u16,
    accounts: [Account; BUFFERS as usize],
    /// How many of them the kernel may still write into.
    with_kernel: u16,
    memory: Region,
    descriptors: Region,
}

impl Pool {
    /// Registers the ring and gives it every buffer. `ring` must be dropped before the pool.
    pub(super) fn register(ring: &IoUring) -> io::Result<Self> {
        let descriptors = Region::map(usize::from(BUFFERS) * size_of::<BufRingEntry>())?;
        let memory = Region::map(usize::from(BUFFERS) * BUFFER_BYTES as usize)?;
        let register = |flags| {
            let address = descriptors.base::<BufRingEntry>() as u64;
            // SAFETY: the descriptors are page aligned, hold `BUFFERS` entries, and outlive the ring.
            unsafe {
                ring.submitter()
                    .register_buf_ring_with_flags(address, BUFFERS, GROUP, flags)
            }
        };
        let incremental = register(PBUF_RING_INCREMENTAL).is_ok();
        if !incremental {
            register(0)?;
        }
        let mut pool = Self {
            incremental,
            tail: 0,
            accounts: [Account::default(); BUFFERS as usize],
            with_kernel: 0,
            memory,
            descriptors,
        };
        (0..BUFFERS).for_each(|buffer| pool.give(buffer));
        Ok(pool)
    }

    /// The kernel put `bytes` bytes into `buffer`.
    pub(super) fn filled(&mut self, buffer: u16, bytes: u32) -> Chunk {
        let account = &mut self.accounts[usize::from(buffer)];
        let offset = account.filled;
        account.filled += bytes;
        account.chunks += 1;
        assert!(
            account.with_kernel && account.filled <= BUFFER_BYTES,
            "invariant: the kernel had the buffer"
        );
        // The bytes are counted instead of asking the completion's flag, which an empty completion clears although the
        // buffer stays at the head of its ring.
        if !self.incremental || account.filled == BUFFER_BYTES {
            account.with_kernel = false;
            self.with_kernel -= 1;
        }
        Chunk {
            buffer,
            offset,
            bytes,
        }
    }

    /// The kernel named `buffer` with an end of stream. A plain buffer is used up by that and goes straight back.
    pub(super) fn named_empty(&mut self, buffer: u16) {
        if !self.incremental {
            self.with_kernel -= 1;
            self.give(buffer);
        }
    }

    pub(super) fn bytes(&self, chunk: &Chunk) -> &[u8] {
        self.memory.bytes(chunk.place(), chunk.bytes())
    }

    /// Where a chunk stands, for the kernel to read.
    pub(super) fn address(&self, chunk: &Chunk) -> *const u8 {
        self.memory.at(chunk.place(), chunk.bytes()).cast_const()
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "who releases a chunk has it no more"
    )]
    pub(super) fn release(&mut self, chunk: Chunk) {
        let account = &mut self.accounts[usize::from(chunk.buffer)];
        account.chunks -= 1;
        if account.chunks == 0 && !account.with_kernel {
            self.give(chunk.buffer);
        }
    }

    /// Whether a receive would find a buffer.
    pub(super) const fn has_some(&self) -> bool {
        self.with_kernel > 0
    }

    /// Gives a whole buffer to the kernel.
    fn give(&mut self, buffer: u16) {
        self.with_kernel += 1;
        self.accounts[usize::from(buffer)] = Account {
            with_kernel: true,
            ..Account::default()
        };
        let start = usize::from(buffer) * BUFFER_BYTES as usize;
        let start = self.memory.at(start, BUFFER_BYTES as usize);
        let entries: *mut BufRingEntry = self.descriptors.base();
        // SAFETY: the position is below `BUFFERS`, the number of entries mapped.
        let entry = unsafe { entries.add(usize::from(self.tail % BUFFERS)) };
        // SAFETY: the kernel reads entries only between head and tail; this one is beyond the tail, so for now it is
        // ours alone. It is aligned and initialised (zeroed memory is a valid entry).
        let entry = unsafe { &mut *entry };
        entry.set_addr(start as u64);
        entry.set_len(BUFFER_BYTES);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `entries` is the base of the registered ring, which is what `tail` asks for.
        let tail = unsafe { BufRingEntry::tail(entries) };
        // SAFETY: the field is two aligned bytes that only we write and the kernel reads.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: the entry above is visible before the tail that covers it (io_uring_buf_ring_advance).
        tail.store(self.tail, Ordering::Release);
    }
}

/// The buffer group that receives name.
pub(super) const GROUP: u16 = 0;
/// A power of two, since the kernel masks positions.
const BUFFERS: u16 = 64;
/// Small buffers cost bulk dearly: 490 µs for 256 KiB with 4 KiB each, 150 with 64 KiB.
const BUFFER_BYTES: u32 = 64 * 1024;
/// `IOU_PBUF_RING_INC` of `<linux/io_uring.h>`.
const PBUF_RING_INCREMENTAL: u16 = 2;

const _: () = assert!(BUFFERS.is_power_of_two());

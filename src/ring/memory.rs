//! Anonymous memory whose address never changes while the kernel may write into it.
#![expect(
    unsafe_code,
    reason = "mmap and raw pointers: the kernel writes here while we hold no reference"
)]

use std::io;
use std::ptr::{self, NonNull};

use io_uring::types::BufRingEntry;

/// A private anonymous mapping: page aligned, zeroed, and resident only where it has been touched.
#[derive(Debug)]
pub(super) struct Region {
    base: NonNull<u8>,
    bytes: usize,
}

impl Region {
    /// Maps `bytes` of zeroed memory.
    pub(super) fn map(bytes: usize) -> io::Result<Self> {
        // SAFETY: an anonymous private mapping at an address the kernel chooses touches nothing we own.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, bytes })
    }

    /// The mapping as a ring of buffer descriptors.
    pub(super) const fn entries(&self) -> *mut BufRingEntry {
        self.base.as_ptr().cast()
    }

    /// The address of `bytes` bytes from `offset`, checked to lie inside.
    pub(super) fn at(&self, offset: usize, bytes: usize) -> *mut u8 {
        assert!(
            offset <= self.bytes && bytes <= self.bytes - offset,
            "invariant: a chunk lies inside its region"
        );
        // SAFETY: the line above keeps the result inside the mapping.
        unsafe { self.base.as_ptr().add(offset) }
    }

    /// The `bytes` bytes from `offset`. The caller holds the chunk they belong to, so the kernel has
    /// finished with them.
    pub(super) fn bytes(&self, offset: usize, bytes: usize) -> &[u8] {
        let start = self.at(offset, bytes);
        // SAFETY: `at` checked the range, the mapping is initialised (zeroed), and nobody writes to a
        // range whose chunk is out.
        unsafe { std::slice::from_raw_parts(start, bytes) }
    }

    /// The same bytes, to be changed where they stand. Nobody else reads or writes them meanwhile: a range belongs to
    /// one chunk, the caller holds that chunk mutably, and `self` mutably too.
    pub(super) fn bytes_mut(&mut self, offset: usize, bytes: usize) -> &mut [u8] {
        let start = self.at(offset, bytes);
        // SAFETY: `at` checked the range, the mapping is initialised (zeroed), and no send names a chunk that somebody
        // holds mutably, so neither we nor the kernel have another use of the range while the borrow lasts.
        unsafe { std::slice::from_raw_parts_mut(start, bytes) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the ring that could write into it is gone (see `Ring::drop`).
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

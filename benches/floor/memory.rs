//! Memory whose address never changes while the kernel may write into it.
#![expect(
    unsafe_code,
    reason = "mmap and raw pointers: the kernel writes here while we hold no reference"
)]

use std::io;
use std::ptr::{self, NonNull};

/// A private anonymous mapping: page aligned, zeroed, and resident only where it has been touched.
#[derive(Debug)]
pub(super) struct Region {
    base: NonNull<u8>,
    bytes: usize,
}

impl Region {
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

    pub(super) const fn base<T>(&self) -> *mut T {
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

    /// The `bytes` bytes from `offset`. The caller holds the chunk they belong to, so the kernel has finished with them.
    pub(super) fn bytes(&self, offset: usize, bytes: usize) -> &[u8] {
        let start = self.at(offset, bytes);
        // SAFETY: `at` checked the range, the mapping is initialised (zeroed), and nobody writes to a range whose
        // chunk is out.
        unsafe { std::slice::from_raw_parts(start, bytes) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and whoever owns it drops the ring that could write into it first.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

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
        // What people write to each other stands here in the clear, and has no place in a core dump. A kernel that did not
        // know the advice would be too old for us, so whether it took it is not asked.
        // SAFETY: the range is the mapping just made; the advice changes what a dump holds and nothing else.
        unsafe { libc::madvise(base, bytes, libc::MADV_DONTDUMP) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_received_is_left_out_of_core_dumps() {
        let region = Region::map(64 * 1024).unwrap();
        let start = region.at(0, 1).addr();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        let flags = maps.lines().find_map(|line| {
            if let Some((from, to)) = range(line) {
                inside = (from..to).contains(&start);
            }
            line.strip_prefix("VmFlags:").filter(|_| inside)
        });
        let flags: Vec<_> = flags.unwrap().split_whitespace().collect();
        assert!(flags.contains(&"dd"), "{flags:?}");
    }

    /// The addresses at the start of `7f0000000000-7f0000010000 rw-p ...`.
    fn range(line: &str) -> Option<(usize, usize)> {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let hex = |text| usize::from_str_radix(text, 16).ok();
        Some((hex(from)?, hex(to)?))
    }
}

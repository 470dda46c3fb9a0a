//! An eventfd that we own: one thread rings, another sleeps on it.
#![expect(
    unsafe_code,
    reason = "eventfd(2) has no safe wrapper in the standard library"
)]

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// A doorbell in the kernel. Rings add up until the sleeper drains them all at once, so a ring is never
/// lost between two looks.
#[derive(Debug)]
pub struct EventFd(File);

impl EventFd {
    /// A silent doorbell: non-blocking, and closed on exec.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes two integers and touches no memory of ours.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above succeeded, so `fd` is open, and nobody else knows it.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        // An eventfd reads and writes like a file, so everything else is safe code.
        Ok(Self(File::from(owned)))
    }

    /// An eventfd for a reader that wants to sleep in its read: blocking, and only a descriptor.
    pub fn for_parking() -> io::Result<OwnedFd> {
        // SAFETY: eventfd takes two integers and touches no memory of ours.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above succeeded, so `fd` is open, and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Wakes whoever sleeps on it; never blocks.
    pub fn ring(&self) -> io::Result<()> {
        match (&self.0).write(&1u64.to_ne_bytes()) {
            Ok(_) => Ok(()),
            // The counter is at its top (2^64 - 2 rings undrained): the sleeper is already woken.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes every ring so far and says how many; zero when it was silent.
    pub fn drain(&self) -> io::Result<u64> {
        let mut count = [0; 8];
        match (&self.0).read(&mut count) {
            Ok(_) => Ok(u64::from_ne_bytes(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_add_up_and_one_drain_takes_them_all() {
        let bell = EventFd::new().unwrap();
        assert_eq!(bell.drain().unwrap(), 0);
        bell.ring().unwrap();
        bell.ring().unwrap();
        assert_eq!(bell.drain().unwrap(), 2);
        assert_eq!(bell.drain().unwrap(), 0);
    }
}

//! What this kernel's io_uring offers, found out by asking for it.
#![expect(
    unsafe_code,
    reason = "one request field has no setter in the io-uring crate"
)]

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};

use super::Shape;
use super::group::{Group, GroupOptions};

/// What the kernel offers beyond the least that Ringway needs (6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Incremental buffers, kernel 6.12.
    pub incremental: bool,
    /// Receive bundles, kernel 6.10.
    pub bundles: bool,
    /// A bound on what one socket may receive in one turn, kernel 6.17.
    pub capped_receive: bool,
}

/// Why there is no ring to be had.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel has no io_uring, or this process may not use it.
    #[error(
        "io_uring cannot be used here ({0}); Linux 6.1 or newer is needed, with the sysctl \
             kernel.io_uring_disabled at 0 and no seccomp filter that forbids it"
    )]
    Unavailable(io::Error),
    /// The kernel is older than the flags every worker needs.
    #[error("this kernel's io_uring is too old ({0}); Linux 6.1 or newer is needed")]
    TooOld(io::Error),
    /// The locked-memory limit leaves no room.
    #[error(
        "the locked-memory limit leaves no room for io_uring; raise it (ulimit -l, LimitMEMLOCK=)"
    )]
    NoMemory,
}

impl Features {
    /// Asks the kernel, with a small ring that is closed again.
    pub fn probe() -> Result<Self, ProbeError> {
        // The kernel takes a closed ring apart in the thread that made it, which interrupts that thread's
        // system calls a while later (EINTR); so the thread is one that ends with it.
        let asked = std::thread::spawn(Self::ask).join();
        asked.unwrap_or_else(|_| Err(ProbeError::Unavailable(io::ErrorKind::Other.into())))
    }

    fn ask() -> Result<Self, ProbeError> {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_submit_all();
        let mut ring = builder
            .build(8)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ENOMEM) => ProbeError::NoMemory,
                Some(libc::EINVAL) => ProbeError::TooOld(error),
                _ => ProbeError::Unavailable(error),
            })?;
        let bundles = ring.params().is_feature_recvsend_bundle();
        let options = GroupOptions {
            id: 0,
            first: 0,
            count: 1,
            buffer_bytes: 4096,
            incremental: true,
        };
        let incremental = Group::register(&ring, options)
            .map(|group| group.unregister(&ring.submitter()))
            .is_ok();
        let capped_receive = accepts_capped_receive(&mut ring).unwrap_or(false);
        Ok(Self {
            incremental,
            bundles,
            capped_receive,
        })
    }

    /// The best shape of this kernel, by the measurements in ARCHITECTURE.md.
    pub const fn best_shape(self) -> Shape {
        if self.incremental {
            Shape::Incremental
        } else {
            Shape::TwoSize
        }
    }

    /// Whether this kernel can do `shape`.
    pub const fn supports(self, shape: Shape) -> bool {
        match shape {
            Shape::Incremental => self.incremental,
            Shape::Bundle => self.bundles,
            Shape::TwoSize => true,
        }
    }

    /// Bounds what a multishot receive may take before other sockets get their turn, where the kernel
    /// knows how.
    pub(super) fn capped(self, entry: squeue::Entry, bytes: u32) -> squeue::Entry {
        if self.capped_receive {
            with_receive_turn(entry, bytes)
        } else {
            entry
        }
    }
}

/// Arms one capped receive on a quiet socket: a kernel that does not know the field refuses at once.
fn accepts_capped_receive(ring: &mut IoUring) -> io::Result<bool> {
    let options = GroupOptions {
        id: 1,
        first: 0,
        count: 1,
        buffer_bytes: 4096,
        incremental: false,
    };
    let group = Group::register(ring, options)?;
    let (near, far) = UnixStream::pair()?;
    let receive = opcode::RecvMulti::new(Fd(near.as_raw_fd()), 1).build();
    let receive = with_receive_turn(receive, 4096).user_data(1);
    // SAFETY: the request names no memory but the registered group, which lives until the end.
    unsafe { ring.submission().push(&receive) }.map_err(io::Error::other)?;
    ring.submit()?;
    let refused = ring.completion().any(|entry| entry.result() < 0);
    if !refused {
        // The far end closes, so the receive ends and nothing is in flight when the group goes.
        drop(far);
        ring.submit_and_wait(1)?;
    }
    group.unregister(&ring.submitter());
    Ok(!refused)
}

/// Sets the `optlen` field of a receive: for a multishot one the bytes it may take in one turn before it
/// is queued behind the others (kernel 6.17).
fn with_receive_turn(entry: squeue::Entry, bytes: u32) -> squeue::Entry {
    const OPTLEN: usize = 44;
    // SAFETY: an entry is the kernel's 64-byte `struct io_uring_sqe`, plain integers throughout.
    let mut raw: [u8; 64] = unsafe { std::mem::transmute(entry) };
    raw[OPTLEN..OPTLEN + 4].copy_from_slice(&bytes.to_ne_bytes());
    // SAFETY: any 64 bytes are a `struct io_uring_sqe`; only its `optlen` changed.
    unsafe { std::mem::transmute(raw) }
}

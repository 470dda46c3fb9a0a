//! The ring itself: requests go in, completions come out, and one call does both.
#![expect(
    unsafe_code,
    reason = "requests name memory that the kernel reads until they complete"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use io_uring::types::{CancelBuilder, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::SockAddr;

use super::outbox::CHUNKS_PER_SEND;
use super::pool::{Chunk, GROUP, Pool};

/// What a request was, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Accept,
    Cancel,
    Connect(usize),
    Receive(usize, usize),
    Send(usize, usize),
}

/// One completion.
#[derive(Debug, Clone, Copy)]
pub(super) struct Completion {
    pub(super) tag: Tag,
    /// What it came to: a number, or a number of errno.
    pub(super) result: Result<u32, i32>,
    /// The receive buffer it names.
    pub(super) buffer: Option<u16>,
    /// The request goes on.
    pub(super) more: bool,
}

/// An io_uring of one thread, which does its work only when that thread asks.
pub(super) struct Ring {
    uring: IoUring,
    /// The vectors of queued sends; they are free again once those are submitted.
    #[expect(
        clippy::vec_box,
        reason = "the kernel holds pointers into a message while the table grows"
    )]
    messages: Vec<Box<Message>>,
    messages_used: usize,
}

/// A vectored send.
struct Message {
    header: libc::msghdr,
    vectors: [libc::iovec; CHUNKS_PER_SEND],
}

impl Ring {
    pub(super) fn new() -> io::Result<(Self, Pool)> {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS);
        let uring = builder.build(REQUESTS)?;
        let pool = Pool::register(&uring)?;
        let ring = Self {
            uring,
            messages: Vec::new(),
            messages_used: 0,
        };
        Ok((ring, pool))
    }

    /// Submits what is queued, waits for something to happen and appends it to `batch`.
    pub(super) fn turn(&mut self, batch: &mut Vec<Completion>) -> io::Result<()> {
        // One is enough although sends complete at once: a send that was cut short, or one that an end of stream waits
        // for, must be followed up now and not when the next thing happens.
        self.submit(1)?;
        batch.extend(
            self.uring
                .completion()
                .map(|entry| Completion::read(&entry)),
        );
        Ok(())
    }

    pub(super) fn accept(&mut self, listener: BorrowedFd<'_>) -> io::Result<()> {
        let accept = opcode::AcceptMulti::new(fd(listener)).flags(libc::SOCK_CLOEXEC);
        self.push(&accept.build(), Tag::Accept)
    }

    /// `address` must stay where it is until this completes.
    pub(super) fn connect(
        &mut self,
        socket: BorrowedFd<'_>,
        address: &SockAddr,
        tunnel: usize,
    ) -> io::Result<()> {
        let connect = opcode::Connect::new(fd(socket), address.as_ptr().cast(), address.len());
        self.push(&connect.build(), Tag::Connect(tunnel))
    }

    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, tag: Tag) -> io::Result<()> {
        self.push(&opcode::RecvMulti::new(fd(socket), GROUP).build(), tag)
    }

    /// Sends these chunks as far as the socket takes them now.
    pub(super) fn send_chunks(
        &mut self,
        socket: BorrowedFd<'_>,
        chunks: &[Chunk],
        pool: &Pool,
        tag: Tag,
    ) -> io::Result<()> {
        const NOW: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let entry = if let [chunk] = chunks {
            opcode::Send::new(fd(socket), pool.address(chunk), length(chunk.bytes()))
                .flags(NOW)
                .build()
        } else {
            let message = self.message(chunks, pool);
            opcode::SendMsg::new(fd(socket), message)
                .flags(NOW.cast_unsigned())
                .build()
        };
        self.push(&entry, tag)
    }

    /// Sends all of `bytes`, which must stay where they are until this completes.
    pub(super) fn send_copy(
        &mut self,
        socket: BorrowedFd<'_>,
        bytes: &[u8],
        tag: Tag,
    ) -> io::Result<()> {
        let send = opcode::Send::new(fd(socket), bytes.as_ptr(), length(bytes.len()))
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL);
        self.push(&send.build(), tag)
    }

    /// Calls back every request on `socket`; each still completes.
    pub(super) fn cancel(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let all = CancelBuilder::fd(fd(socket)).all();
        self.push(&opcode::AsyncCancel2::new(all).build(), Tag::Cancel)
    }

    fn push(&mut self, entry: &squeue::Entry, tag: Tag) -> io::Result<()> {
        let entry = entry.clone().user_data(tag.bits());
        loop {
            // SAFETY: what the request names lives long enough: chunks until they are released, copies, addresses and
            // messages as their methods ask, sockets until their tunnel has nothing in flight.
            let pushed = unsafe { self.uring.submission().push(&entry) };
            if pushed.is_ok() {
                return Ok(());
            }
            self.submit(0)?;
        }
    }

    fn submit(&mut self, wanted: usize) -> io::Result<()> {
        match self.uring.submitter().submit_and_wait(wanted) {
            Ok(_) => {}
            // Interrupted, or too many completions wait to be read: both are over when these have been.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY)) => {}
            Err(error) => return Err(error),
        }
        if self.uring.submission().is_empty() {
            self.messages_used = 0;
        }
        Ok(())
    }

    fn message(&mut self, chunks: &[Chunk], pool: &Pool) -> *const libc::msghdr {
        if self.messages_used == self.messages.len() {
            self.messages.push(Box::new(Message::empty()));
        }
        let message = &mut self.messages[self.messages_used];
        self.messages_used += 1;
        for (vector, chunk) in message.vectors.iter_mut().zip(chunks) {
            vector.iov_base = pool.address(chunk).cast_mut().cast();
            vector.iov_len = chunk.bytes();
        }
        message.header.msg_iov = message.vectors.as_mut_ptr();
        message.header.msg_iovlen = chunks.len();
        &raw const message.header
    }
}

impl Message {
    fn empty() -> Self {
        // SAFETY: zeroes are a valid msghdr and valid vectors: no name, no bytes, no control data.
        unsafe { std::mem::zeroed() }
    }
}

impl Completion {
    fn read(entry: &cqueue::Entry) -> Self {
        let (result, flags) = (entry.result(), entry.flags());
        Self {
            tag: Tag::from_bits(entry.user_data()),
            result: u32::try_from(result).map_err(|_| -result),
            buffer: cqueue::buffer_select(flags),
            more: cqueue::more(flags),
        }
    }
}

impl Tag {
    /// The kind in the lowest bits, then the side, then the tunnel.
    const fn bits(self) -> u64 {
        let (kind, side, tunnel) = match self {
            Self::Accept => (0, 0, 0),
            Self::Cancel => (1, 0, 0),
            Self::Connect(tunnel) => (2, 0, tunnel),
            Self::Receive(tunnel, side) => (3, side, tunnel),
            Self::Send(tunnel, side) => (4, side, tunnel),
        };
        (tunnel as u64) << 4 | (side as u64) << 3 | kind
    }

    const fn from_bits(bits: u64) -> Self {
        let (tunnel, side) = ((bits >> 4) as usize, (bits >> 3 & 1) as usize);
        match bits & 7 {
            0 => Self::Accept,
            1 => Self::Cancel,
            2 => Self::Connect(tunnel),
            3 => Self::Receive(tunnel, side),
            _ => Self::Send(tunnel, side),
        }
    }
}

/// The connection that a completed accept brought.
pub(super) fn accepted(number: u32) -> OwnedFd {
    // SAFETY: the kernel made this descriptor for us in the accept that named it, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(number.cast_signed()) }
}

fn fd(socket: BorrowedFd<'_>) -> Fd {
    Fd(socket.as_raw_fd())
}

/// A send may name more bytes than this; it then is a short one.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

const REQUESTS: u32 = 1024;
/// Far more than are read at a time: when they run out, the kernel keeps the rest aside, which is slow.
const COMPLETIONS: u32 = 8192;

//! How bytes leave through a ring: chunks from where they stand, or bytes that it keeps until they are out.

use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use io_uring::opcode;
use io_uring::types::Fd;

use super::port::owned_send;
use super::{Chunk, Part, Ring, SendId, Token, Vector};

impl Ring {
    /// Sends part of a chunk now or not at all: it completes at once, short or with `EAGAIN` where the
    /// socket would block.
    pub fn send_now(&mut self, socket: BorrowedFd<'_>, token: Token, chunk: &Chunk, part: Part) {
        let address = self.buffers.address(chunk, part.from, part.bytes);
        let entry = opcode::Send::new(Fd(socket.as_raw_fd()), address, part.bytes);
        self.push(
            entry
                .flags(libc::MSG_DONTWAIT)
                .build()
                .user_data(token.bits()),
        );
    }

    /// Like [`Self::send_now`] for several chunks, and bytes between them, in one vectored send; takes at most
    /// [`VECTORS_MAX`](super::VECTORS_MAX) of them, of such bytes at most [`crate::limits::BETWEEN_CHUNKS_BYTES_MAX`], and says
    /// how many it took. The send must be [finished](Self::finish).
    pub fn send_vectored_now<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        token: Token,
        vectors: impl Iterator<Item = Vector<'a>>,
    ) -> (SendId, usize) {
        let (id, count, message) = self.sends.vectored(token, &self.buffers, vectors);
        let entry = opcode::SendMsg::new(Fd(socket.as_raw_fd()), message);
        let flags = libc::MSG_DONTWAIT.unsigned_abs();
        self.push(entry.flags(flags).build().user_data(owned_send(id)));
        (id, count)
    }

    /// Sends `bytes` from `from` on, waiting while the socket would block. The ring keeps the bytes
    /// until the send is [finished](Self::finish).
    pub fn send_owned(
        &mut self,
        socket: BorrowedFd<'_>,
        token: Token,
        bytes: Vec<u8>,
        from: usize,
    ) -> SendId {
        self.send_owned_raw(socket.as_raw_fd(), token, bytes, from)
    }

    pub(super) fn send_owned_raw(
        &mut self,
        socket: RawFd,
        token: Token,
        bytes: Vec<u8>,
        from: usize,
    ) -> SendId {
        let part = from..bytes.len();
        self.send_part(socket, token, (bytes, part), 0)
    }

    /// Sends this part of `bytes` now or not at all, as [`Self::send_now`] does; the ring keeps the bytes until the send
    /// is [finished](Self::finish).
    pub fn send_owned_now(
        &mut self,
        socket: BorrowedFd<'_>,
        token: Token,
        part: (Vec<u8>, Range<usize>),
    ) -> SendId {
        self.send_part(socket.as_raw_fd(), token, part, libc::MSG_DONTWAIT)
    }

    /// Sends this part of `bytes`, waiting while the socket would block.
    pub fn send_owned_part(
        &mut self,
        socket: BorrowedFd<'_>,
        token: Token,
        part: (Vec<u8>, Range<usize>),
    ) -> SendId {
        self.send_part(socket.as_raw_fd(), token, part, 0)
    }

    fn send_part(
        &mut self,
        socket: RawFd,
        token: Token,
        (bytes, part): (Vec<u8>, Range<usize>),
        flags: i32,
    ) -> SendId {
        let (id, address, length) = self.sends.owned(token, bytes, part);
        let entry = opcode::Send::new(Fd(socket), address, length).flags(flags);
        self.push(entry.build().user_data(owned_send(id)));
        id
    }

    /// Frees a send whose completion has arrived; hands back the bytes of an owned one.
    pub fn finish(&mut self, id: SendId) -> Vec<u8> {
        self.sends.finish(id)
    }
}

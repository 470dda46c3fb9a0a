//! Sends that need memory of their own: vectors that name several chunks, or bytes that were copied out.
#![expect(
    unsafe_code,
    reason = "iovec and msghdr are plain C structs the kernel reads"
)]

use std::ops::Range;
use std::ptr;

use super::{Buffers, Token, Vector};
use crate::limits;

/// How many chunks one vectored send may name.
pub const VECTORS_MAX: usize = 16;

/// Names a send that owns memory until its completion has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendId(u32);

impl SendId {
    pub(super) const fn index(self) -> u32 {
        self.0
    }
}

/// One such send. Boxed, so that the kernel's pointers stay right while the table grows.
struct Slot {
    token: Token,
    in_flight: bool,
    vectors: [libc::iovec; VECTORS_MAX],
    message: libc::msghdr,
    /// What an owned send sends.
    bytes: Vec<u8>,
    /// What a vectored send sends between chunks; it never grows.
    between: Vec<u8>,
}

/// All of a ring's sends that own memory. Slots are used again, so the steady path allocates nothing.
pub(super) struct Sends {
    #[expect(
        clippy::vec_box,
        reason = "the kernel holds pointers into a slot while the table grows"
    )]
    slots: Vec<Box<Slot>>,
    free: Vec<u32>,
}

impl Default for Sends {
    fn default() -> Self {
        // What a busy core needs at once stands ready, so that no message waits for an allocation.
        let slots = || (0..limits::SENDS_READY).map(|_| Box::new(Slot::empty()));
        Self {
            slots: slots().collect(),
            free: (0..limits::SENDS_READY).collect(),
        }
    }
}

impl Sends {
    /// Prepares a vectored send of at most [`VECTORS_MAX`] vectors, and says of how many. Chunks stand where they are;
    /// other bytes are copied into the slot, so it ends before those that no longer fit there.
    pub(super) fn vectored<'a>(
        &mut self,
        token: Token,
        buffers: &Buffers,
        vectors: impl Iterator<Item = Vector<'a>>,
    ) -> (SendId, usize, *const libc::msghdr) {
        let id = self.claim(token);
        let slot = &mut self.slots[id.0 as usize];
        let mut count = 0;
        for (named, vector) in vectors.zip(&mut slot.vectors) {
            let (address, bytes) = match named {
                Vector::Chunk(chunk, part) => {
                    let address = buffers.address(chunk, part.from, part.bytes);
                    (address.cast_mut().cast(), part.bytes as usize)
                }
                Vector::Copied(bytes) => {
                    if count > 0 && bytes.len() > slot.between.capacity() - slot.between.len() {
                        break;
                    }
                    slot.between.extend_from_slice(bytes);
                    (ptr::null_mut(), bytes.len())
                }
            };
            vector.iov_base = address;
            vector.iov_len = bytes;
            count += 1;
        }
        // Their addresses are known only now: the memory may have moved while it grew.
        let mut rest = &slot.between[..];
        for vector in &mut slot.vectors[..count] {
            if vector.iov_base.is_null() {
                let (bytes, after) = rest.split_at(vector.iov_len);
                vector.iov_base = bytes.as_ptr().cast_mut().cast();
                rest = after;
            }
        }
        slot.message.msg_iov = slot.vectors.as_mut_ptr();
        slot.message.msg_iovlen = count;
        (id, count, &raw const slot.message)
    }

    /// Prepares a send of this part of `bytes`, which the slot keeps until it is done.
    pub(super) fn owned(
        &mut self,
        token: Token,
        bytes: Vec<u8>,
        part: Range<usize>,
    ) -> (SendId, *const u8, u32) {
        let id = self.claim(token);
        let slot = &mut self.slots[id.0 as usize];
        slot.bytes = bytes;
        let rest = &slot.bytes[part];
        (
            id,
            rest.as_ptr(),
            u32::try_from(rest.len()).unwrap_or(u32::MAX),
        )
    }

    /// A completion for slot `index` arrived: its memory is ours again. Returns whose send it was.
    pub(super) fn completed(&mut self, index: u32) -> Token {
        let slot = &mut self.slots[index as usize];
        slot.in_flight = false;
        slot.token
    }

    /// Frees a completed send and hands its bytes back.
    ///
    /// # Panics
    /// If the kernel still reads them: that would be a broken invariant of the caller.
    pub(super) fn finish(&mut self, id: SendId) -> Vec<u8> {
        let slot = &mut self.slots[id.0 as usize];
        assert!(
            !slot.in_flight,
            "invariant: a send is finished after its completion"
        );
        self.free.push(id.0);
        slot.between.clear();
        std::mem::take(&mut slot.bytes)
    }

    fn claim(&mut self, token: Token) -> SendId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Box::new(Slot::empty()));
            u32::try_from(self.slots.len() - 1).expect("invariant: fewer sends than sockets")
        });
        let slot = &mut self.slots[index as usize];
        slot.token = token;
        slot.in_flight = true;
        SendId(index)
    }
}

impl Slot {
    fn empty() -> Self {
        let none = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        // SAFETY: a msghdr of zeroes is a valid one: no name, no vectors, no control data.
        let message = unsafe { std::mem::zeroed() };
        let token = Token::from_bits(0);
        Self {
            token,
            in_flight: false,
            vectors: [none; VECTORS_MAX],
            message,
            bytes: Vec::new(),
            between: Vec::with_capacity(limits::BETWEEN_CHUNKS_BYTES_MAX),
        }
    }
}

impl std::fmt::Debug for Sends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Sends({} slots, {} free)",
            self.slots.len(),
            self.free.len()
        )
    }
}

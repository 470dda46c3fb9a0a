//! Operations that a task can await: the greeting is written with them, so that it reads like prose.

use std::cell::{RefCell, RefMut};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::sends::SendId;
use super::token::kind;
use super::wheel::Wheel;
use super::{Chunk, Completion, Ring, Token};
use crate::clock::Now;

/// A core's ring and its deadlines, shared by the driver, the tunnels and the tasks of one thread.
#[derive(Debug, Clone)]
pub struct Handle {
    ring: Rc<RefCell<Option<Ring>>>,
    wheel: Rc<RefCell<Wheel>>,
}

/// One task's way to the ring: it has at most one operation under way, and one place in the wheel for
/// all its deadlines, one after another.
#[derive(Debug)]
pub struct Caller {
    handle: Handle,
    patience: u32,
    generation: u32,
}

/// What counts as leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// An end of the stream, and whatever breaks the connection off.
    AtItsEnd,
    /// Only what breaks it off: who has ended its stream may still wait for an answer.
    ByReset,
}

impl Leaving {
    const fn events(self) -> u32 {
        let broken = libc::POLLHUP | libc::POLLERR;
        let events = match self {
            Self::AtItsEnd => broken | libc::POLLRDHUP,
            Self::ByReset => broken,
        };
        events.cast_unsigned() as u32
    }
}

/// How long a task is willing to wait, and for what.
#[derive(Debug)]
struct Patience {
    generation: u32,
    operation: Option<Token>,
    deadline: Now,
    /// The earliest moment at which the wheel will look here.
    scheduled: Option<Now>,
}

/// What an operation keeps for the kernel until its last completion.
#[derive(Debug)]
enum Kept {
    Nothing,
    Send(SendId),
    Address(Box<socket2::SockAddr>),
}

/// One operation under way.
#[derive(Debug)]
struct Slot {
    generation: u32,
    kept: Kept,
    waker: Option<Waker>,
    outcome: Option<(i32, Vec<Chunk>)>,
    abandoned: bool,
    timed_out: bool,
}

/// The operations of one ring.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    slots: Slab<Slot>,
    patience: Slab<Patience>,
    generation: u32,
    woken: bool,
}

impl Awaited {
    /// Whether a task was woken since this was last asked; the driver then lets the tasks run.
    pub(super) fn take_woken(&mut self) -> bool {
        std::mem::take(&mut self.woken)
    }

    /// How many operations are under way.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1) % Token::GENERATIONS;
        self.generation
    }

    fn claim(&mut self, kept: Kept) -> Token {
        let generation = self.next_generation();
        let slot = Slot {
            generation,
            kept,
            waker: None,
            outcome: None,
            abandoned: false,
            timed_out: false,
        };
        let index =
            u32::try_from(self.slots.insert(slot)).expect("invariant: fewer than 2^32 operations");
        Token::new(kind::AWAITED, generation, index)
    }

    fn of(&mut self, token: Token) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(token.index() as usize)?;
        (slot.generation == token.generation()).then_some(slot)
    }
}

impl Ring {
    /// Hands a completion to the task that awaits it.
    pub(super) fn complete_awaited(&mut self, completion: &Completion) {
        let mut chunks = Vec::new();
        self.take(completion, &mut chunks);
        let Some(slot) = self.awaited.of(completion.token) else {
            for chunk in chunks {
                self.buffers.release(chunk);
            }
            return;
        };
        if slot.abandoned {
            let slot = self.awaited.slots.remove(completion.token.index() as usize);
            if let Kept::Send(id) = slot.kept {
                self.finish(id);
            }
            for chunk in chunks {
                self.buffers.release(chunk);
            }
            return;
        }
        slot.outcome = Some((completion.result, chunks));
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
        self.awaited.woken = true;
    }

    /// The wheel reached a task's place: cancel what it waits for if its time is over. Returns when to
    /// look again.
    pub(super) fn expire_awaited(&mut self, token: Token, now: Now) -> Option<Now> {
        let patience = self.awaited.patience.get_mut(token.index() as usize)?;
        if patience.generation != token.generation() {
            return None;
        }
        // An entry for later than the one that stands is left over from before it: it ends here, or each
        // short deadline after a long one would leave one behind that comes back for as long as the task lives.
        if patience.scheduled.is_some_and(|scheduled| scheduled > now) {
            return None;
        }
        patience.scheduled = None;
        let (operation, deadline) = (patience.operation?, patience.deadline);
        // What has completed meanwhile needs no deadline any more.
        let slot = self.awaited.of(operation)?;
        if deadline > now {
            let patience = self.awaited.patience.get_mut(token.index() as usize)?;
            patience.scheduled = Some(deadline);
            return patience.scheduled;
        }
        if slot.outcome.is_none() && !slot.timed_out {
            slot.timed_out = true;
            self.cancel(operation);
        }
        None
    }
}

impl Handle {
    /// Shares a ring and its wheel among the tasks of this thread.
    pub fn new(ring: Ring, wheel: Wheel) -> Self {
        Self {
            ring: Rc::new(RefCell::new(Some(ring))),
            wheel: Rc::new(RefCell::new(wheel)),
        }
    }

    /// The ring itself. Never held across an await.
    pub fn ring(&self) -> RefMut<'_, Ring> {
        RefMut::map(self.ring.borrow_mut(), |ring| {
            ring.as_mut()
                .expect("invariant: nothing runs on this core after its ring was closed")
        })
    }

    /// Closes the ring, whatever is still in flight. Tasks that were never polled to their end keep this
    /// handle, but no longer what it led to.
    pub fn close(&self) {
        if let Ok(mut ring) = self.ring.try_borrow_mut() {
            drop(ring.take());
        }
    }

    /// The deadlines. Never held across an await.
    pub fn wheel(&self) -> RefMut<'_, Wheel> {
        self.wheel.borrow_mut()
    }

    /// Does `work` and hands back what comes of it; nothing if the peer of `socket` leaves first. Then
    /// `call_off` must make `work` end, and its end is awaited, so that no request of it stays in flight.
    /// What the peer sends meanwhile stays in its socket, bounded by the kernel.
    pub async fn unless_left<T>(
        &self,
        (socket, leaving): (BorrowedFd<'_>, Leaving),
        work: impl Future<Output = T>,
        call_off: impl FnOnce(),
    ) -> Option<T> {
        let mut work = pin!(work);
        let mut watch = self.watch(socket, leaving);
        let first = poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => Pin::new(&mut watch).poll(context).map(Err),
        });
        let seen = match first.await {
            Ok(done) => return Some(done),
            Err(outcome) => outcome.result,
        };
        // The kernel tells of an end even if it was asked for a reset only; and where it cannot watch,
        // nobody has left.
        let left = seen.is_ok_and(|events| events & leaving.events() as usize != 0);
        if left {
            call_off();
        }
        let done = work.await;
        (!left).then_some(done)
    }

    fn watch(&self, socket: BorrowedFd<'_>, leaving: Leaving) -> Operation {
        let mut ring = self.ring();
        let token = ring.awaited.claim(Kept::Nothing);
        ring.poll_raw(socket.as_raw_fd(), leaving.events(), token);
        drop(ring);
        Operation {
            handle: self.clone(),
            token,
        }
    }

    /// A way to the ring for one task.
    pub fn caller(&self) -> Caller {
        let mut ring = self.ring();
        let generation = ring.awaited.next_generation();
        let place = ring.awaited.patience.insert(Patience {
            generation,
            operation: None,
            deadline: Now::default(),
            scheduled: None,
        });
        let patience = u32::try_from(place).expect("invariant: fewer than 2^32 tasks");
        Caller {
            handle: self.clone(),
            patience,
            generation,
        }
    }
}

impl Caller {
    /// The ring and the deadlines behind this caller.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Receives what is there, at least one byte, and appends it to `into`. Zero means the peer has
    /// ended its stream.
    pub async fn receive(
        &self,
        socket: BorrowedFd<'_>,
        into: &mut Vec<u8>,
        deadline: Now,
    ) -> io::Result<usize> {
        loop {
            let operation = self.begin(Kept::Nothing, deadline, |ring, token| {
                ring.receive_once(socket.as_raw_fd(), token);
            });
            let outcome = operation.await;
            // Out of buffers: one comes home within the batch, so another round is enough.
            if matches!(&outcome.result, Err(error) if error.raw_os_error() == Some(libc::ENOBUFS))
            {
                self.pause(deadline).await?;
                continue;
            }
            let mut ring = self.handle.ring();
            for chunk in outcome.chunks {
                into.extend_from_slice(ring.buffers.bytes(&chunk));
                ring.buffers.release(chunk);
            }
            return outcome.result;
        }
    }

    /// Sends all of `bytes`; hands the memory back for the next time.
    pub async fn send_all(
        &self,
        socket: BorrowedFd<'_>,
        mut bytes: Vec<u8>,
        deadline: Now,
    ) -> io::Result<Vec<u8>> {
        let mut sent = 0;
        while sent < bytes.len() {
            let from = sent;
            let taken = std::mem::take(&mut bytes);
            let operation = self.begin(Kept::Nothing, deadline, |ring, token| {
                let id = ring.send_owned_raw(socket.as_raw_fd(), token, taken, from);
                if let Some(slot) = ring.awaited.of(token) {
                    slot.kept = Kept::Send(id);
                }
            });
            let outcome = operation.await;
            bytes = outcome.bytes;
            match outcome.result? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                more => sent += more,
            }
        }
        Ok(bytes)
    }

    /// Connects `socket` to `address`.
    pub async fn connect(
        &self,
        socket: BorrowedFd<'_>,
        address: std::net::SocketAddr,
        deadline: Now,
    ) -> io::Result<()> {
        let address = Box::new(socket2::SockAddr::from(address));
        let operation = self.begin(Kept::Address(address), deadline, |ring, token| {
            let Some(Slot {
                kept: Kept::Address(address),
                ..
            }) = ring.awaited.of(token)
            else {
                unreachable!("invariant: claimed with an address just now");
            };
            // The box stays in its slot until the last completion, so the address outlives the request.
            let (pointer, bytes) = (address.as_ptr().cast(), address.len());
            ring.connect_raw(socket.as_raw_fd(), pointer, bytes, token);
        });
        operation.await.result.map(drop)
    }

    /// Waits one tick of the wheel, so that buffers come home before the next try.
    async fn pause(&self, deadline: Now) -> io::Result<()> {
        if Now::read() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        glommio::executor().yield_now().await;
        Ok(())
    }

    fn begin(&self, kept: Kept, deadline: Now, start: impl FnOnce(&mut Ring, Token)) -> Operation {
        let mut ring = self.handle.ring();
        let token = ring.awaited.claim(kept);
        start(&mut ring, token);
        let patience = &mut ring.awaited.patience[self.patience as usize];
        patience.operation = Some(token);
        patience.deadline = deadline;
        if patience
            .scheduled
            .is_none_or(|scheduled| scheduled > deadline)
        {
            patience.scheduled = Some(deadline);
            let place = Token::new(kind::AWAITED, self.generation, self.patience);
            self.handle.wheel().insert(deadline, place);
        }
        Operation {
            handle: self.handle.clone(),
            token,
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let Ok(mut ring) = self.handle.ring.try_borrow_mut() else {
            return;
        };
        if let Some(ring) = ring.as_mut() {
            ring.awaited.patience.remove(self.patience as usize);
        }
    }
}

/// What an awaited operation came to.
struct Outcome {
    result: io::Result<usize>,
    chunks: Vec<Chunk>,
    bytes: Vec<u8>,
}

/// An operation under way. Dropping it cancels the request; what it kept lives until the kernel is done.
struct Operation {
    handle: Handle,
    token: Token,
}

impl Future for Operation {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut ring = self.handle.ring();
        let slot = ring
            .awaited
            .of(self.token)
            .expect("invariant: polled until ready, not after");
        let Some((result, chunks)) = slot.outcome.take() else {
            slot.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        let slot = ring.awaited.slots.remove(self.token.index() as usize);
        let bytes = match slot.kept {
            Kept::Send(id) => ring.finish(id),
            Kept::Nothing | Kept::Address(_) => Vec::new(),
        };
        let result = match usize::try_from(result) {
            Ok(result) => Ok(result),
            Err(_) if slot.timed_out && result == -libc::ECANCELED => {
                Err(io::ErrorKind::TimedOut.into())
            }
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        };
        Poll::Ready(Outcome {
            result,
            chunks,
            bytes,
        })
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let Ok(mut ring) = self.handle.ring.try_borrow_mut() else {
            return;
        };
        let Some(ring) = ring.as_mut() else { return };
        let Some(slot) = ring.awaited.of(self.token) else {
            return;
        };
        slot.abandoned = true;
        if slot.outcome.is_none() {
            ring.cancel(self.token);
            return;
        }
        let slot = ring.awaited.slots.remove(self.token.index() as usize);
        if let Kept::Send(id) = slot.kept {
            ring.finish(id);
        }
        for chunk in slot.outcome.into_iter().flat_map(|(_, chunks)| chunks) {
            ring.buffers.release(chunk);
        }
    }
}

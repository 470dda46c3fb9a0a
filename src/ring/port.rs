//! One io_uring with everything the kernel may touch: requests go in here, completions come out.
#![expect(
    unsafe_code,
    reason = "requests carry raw pointers; this file knows that each outlives its request"
)]

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use io_uring::types::{CancelBuilder, Fd, TimeoutFlags, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::awaited::Awaited;
use super::features::Features;
use super::sends::{SendId, Sends};
use super::token::kind;
use super::{BufferOptions, Buffers, Chunk, Lane, Shape, Token};
use crate::limits;

/// How a ring is built.
#[derive(Debug, Clone, Copy)]
pub struct RingOptions {
    /// Places in the submission queue.
    pub entries: u32,
    /// Places in the completion queue.
    pub completions: u32,
    /// The receive buffers.
    pub buffers: BufferOptions,
}

impl RingOptions {
    /// A completion queue of this size, a submission queue that is no larger, and the given buffers.
    pub fn new(completions: u16, buffers: BufferOptions) -> Self {
        let completions = u32::from(completions);
        Self {
            entries: limits::SUBMISSION_ENTRIES.min(completions),
            completions,
            buffers,
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy)]
pub struct Completion {
    /// Whose it was.
    pub token: Token,
    /// Bytes, a descriptor, or a negated errno.
    pub result: i32,
    /// The kernel's flags.
    pub flags: u32,
}

impl Completion {
    /// The request lives on and will complete again.
    pub fn more(&self) -> bool {
        cqueue::more(self.flags)
    }
}

/// Part of a chunk: where it starts and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Bytes of the chunk before it.
    pub from: u32,
    /// Its length.
    pub bytes: u32,
}

/// What one vector of a vectored send names.
#[derive(Debug, Clone, Copy)]
pub enum Vector<'a> {
    /// Part of a chunk, sent from where it stands.
    Chunk(&'a Chunk, Part),
    /// A few bytes from elsewhere: the ring copies them, so that they may go before the send is done.
    Copied(&'a [u8]),
}

/// One core's ring. Everything the kernel may read or write on its behalf is owned here, and outlives it.
pub struct Ring {
    // The order of fields is the order of dropping: the ring goes before the memory it knows.
    uring: IoUring,
    /// The receive buffers and their account.
    pub buffers: Buffers,
    pub(super) sends: Sends,
    pub(super) awaited: Awaited,
    backlog: VecDeque<squeue::Entry>,
    features: Features,
    tick: Box<Timespec>,
    wheel: Box<Timespec>,
    enters: u64,
    completions: u64,
    /// The driver sleeps in glommio until the eventfd rings.
    parked: bool,
}

impl Ring {
    /// Builds a ring that only this thread may use (`SINGLE_ISSUER`), whose completions are made only
    /// when it asks (`DEFER_TASKRUN`), and which rings `eventfd` when there is something to ask for.
    pub fn new(
        options: RingOptions,
        features: Features,
        eventfd: BorrowedFd<'_>,
    ) -> io::Result<Self> {
        let uring = builder(options.completions).build(options.entries)?;
        uring.submitter().register_eventfd(eventfd.as_raw_fd())?;
        let buffers = Buffers::register(&uring, options.buffers)?;
        Ok(Self {
            uring,
            buffers,
            sends: Sends::default(),
            awaited: Awaited::default(),
            backlog: VecDeque::new(),
            features,
            tick: Box::new(Timespec::new()),
            wheel: Box::new(Timespec::new()),
            enters: 0,
            completions: 0,
            parked: false,
        })
    }

    /// Accepts from `listener` until told otherwise; the dispatcher hears of each connection with `number`.
    pub fn accept(&mut self, listener: BorrowedFd<'_>, number: u32) {
        let entry = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC);
        self.push(entry.build().user_data(accepting(number)));
    }

    /// Stops accepting from the listener with this number; its last completion is `ECANCELED`.
    pub fn stop_accepting(&mut self, number: u32) {
        self.push(
            opcode::AsyncCancel::new(accepting(number))
                .build()
                .user_data(ignored()),
        );
    }

    /// Receives from `socket` until told otherwise; an idle socket holds no buffer.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, lane: Lane, token: Token) {
        let (fd, group) = (Fd(socket.as_raw_fd()), self.buffers.group_id(lane));
        let entry = match self.buffers.shape() {
            Shape::Bundle => opcode::RecvMultiBundle::new(fd, group).build(),
            Shape::Incremental | Shape::TwoSize => opcode::RecvMulti::new(fd, group).build(),
        };
        let entry = self.features.capped(entry, limits::RECEIVE_TURN_BYTES);
        self.push(entry.user_data(token.bits()));
    }

    /// Receives once from `socket`.
    pub(super) fn receive_once(&mut self, socket: RawFd, token: Token) {
        let entry = opcode::Recv::new(Fd(socket), std::ptr::null_mut(), 0)
            .buf_group(self.buffers.group_id(Lane::Small))
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.push(entry.user_data(token.bits()));
    }

    /// Moves what a receive completion brought into `out`, in the order of the stream.
    pub fn take(&mut self, completion: &Completion, out: &mut Vec<Chunk>) {
        self.buffers.take(completion.result, completion.flags, out);
    }

    /// Has the next entry into the kernel come back at once, as somebody here has work to do.
    pub fn nudge(&mut self) {
        self.push(opcode::Nop::new().build().user_data(ignored()));
    }

    /// Cancels everything in flight on `socket`. Each request still completes, most with `ECANCELED`;
    /// the cancellation itself completes nowhere.
    pub fn cancel_socket(&mut self, socket: BorrowedFd<'_>) {
        let builder = CancelBuilder::fd(Fd(socket.as_raw_fd())).all();
        self.push(
            opcode::AsyncCancel2::new(builder)
                .build()
                .user_data(ignored()),
        );
    }

    /// Cancels one request by its token.
    pub fn cancel(&mut self, target: Token) {
        self.push(
            opcode::AsyncCancel::new(target.bits())
                .build()
                .user_data(ignored()),
        );
    }

    /// Closes a socket without waiting for it. Its requests must have completed: a request in flight
    /// would keep the connection open.
    pub fn close(&mut self, socket: OwnedFd) {
        let entry = opcode::Close::new(Fd(socket.into_raw_fd())).build();
        self.push(
            entry
                .user_data(ignored())
                .flags(squeue::Flags::SKIP_SUCCESS),
        );
    }

    /// The address must stay where it is until the request's completion.
    pub(super) fn connect_raw(
        &mut self,
        socket: RawFd,
        address: *const libc::sockaddr,
        bytes: libc::socklen_t,
        token: Token,
    ) {
        let entry = opcode::Connect::new(Fd(socket), address, bytes);
        self.push(entry.build().user_data(token.bits()));
    }

    /// Completes once when one of `events` has come over `socket`.
    pub(super) fn poll_raw(&mut self, socket: RawFd, events: u32, token: Token) {
        let entry = opcode::PollAdd::new(Fd(socket), events).build();
        self.push(entry.user_data(token.bits()));
    }

    /// Starts the hot phase's tick: a completion of kind `TICK` each `period_ns` until cancelled.
    pub(super) fn start_tick(&mut self, period_ns: u32, token: Token) {
        *self.tick = Timespec::new().nsec(period_ns);
        let entry = opcode::Timeout::new(&raw const *self.tick).flags(TimeoutFlags::MULTISHOT);
        self.push(entry.count(0).build().user_data(token.bits()));
    }

    /// Arms a one-shot timeout after `nanos` from now.
    pub(super) fn start_wheel(&mut self, nanos: u64, token: Token) {
        let seconds = nanos / 1_000_000_000;
        let rest = u32::try_from(nanos % 1_000_000_000).unwrap_or_default();
        *self.wheel = Timespec::new().sec(seconds).nsec(rest);
        let entry = opcode::Timeout::new(&raw const *self.wheel);
        self.push(entry.build().user_data(token.bits()));
    }

    pub(super) fn stop_timeout(&mut self, token: Token) {
        let entry = opcode::TimeoutRemove::new(token.bits()).build();
        self.push(entry.user_data(ignored()));
    }

    /// How often the kernel was entered.
    pub const fn enters(&self) -> u64 {
        self.enters
    }

    /// How many completions were taken from the ring.
    pub const fn completions(&self) -> u64 {
        self.completions
    }

    /// What the kernel offers this ring.
    pub const fn features(&self) -> Features {
        self.features
    }

    /// Hands the kernel what was pushed and, with `wait`, sleeps until something has completed. Sends that
    /// complete at once count: what waits for one of them, a tail or an end of stream, is not put off until
    /// something else happens.
    pub(super) fn enter(&mut self, wait: bool) -> io::Result<()> {
        self.refill();
        self.enters += 1;
        let wanted = usize::from(wait && self.backlog.is_empty());
        match self.uring.submit_and_wait(wanted) {
            Ok(_) => Ok(()),
            // EBUSY: the completion queue must be emptied first. EINTR: a signal; look and come back.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EBUSY | libc::EINTR | libc::EAGAIN)
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether there is anything to submit, to run or to reap: if so, nobody may park.
    pub(super) fn pending(&mut self) -> bool {
        let submission = self.uring.submission();
        let asks = submission.taskrun() || submission.cq_overflow() || !submission.is_empty();
        drop(submission);
        asks || !self.backlog.is_empty() || !self.uring.completion().is_empty()
    }

    /// Appends up to `most` completions to `out`. Sends that own memory are recognised here, so that
    /// their memory is never freed early.
    pub(super) fn reap(&mut self, out: &mut Vec<Completion>, most: usize) {
        for entry in self.uring.completion().take(most) {
            let mut token = Token::from_bits(entry.user_data());
            if token.kind() == kind::OWNED_SEND {
                token = self.sends.completed(token.index());
            }
            self.completions += 1;
            out.push(Completion {
                token,
                result: entry.result(),
                flags: entry.flags(),
            });
        }
    }

    /// One turn without a driver, for the tests of those who are dispatched to.
    #[cfg(test)]
    pub(crate) fn turn(&mut self) -> Vec<Completion> {
        let mut completions = Vec::new();
        self.enter(false).expect("a ring that was just built");
        self.reap(&mut completions, limits::COMPLETION_BATCH);
        completions
    }

    /// Silences the eventfd while the driver looks at the ring itself, or lets it ring again.
    pub(super) fn notify(&mut self, on: bool) {
        self.parked = on;
        let completion = self.uring.completion();
        if on {
            completion.enable_eventfd();
        } else {
            completion.disable_eventfd();
        }
    }

    pub(super) fn push(&mut self, entry: squeue::Entry) {
        if !self.backlog.is_empty() || !self.try_push(&entry) {
            self.backlog.push_back(entry);
            self.refill();
        }
        if std::mem::take(&mut self.parked) {
            self.wake_driver();
        }
    }

    /// A task asked for something after the driver had parked, which looks at neither the queue nor the
    /// wheel until the eventfd rings: what was asked goes out with a completion that rings it.
    fn wake_driver(&mut self) {
        self.nudge();
        // What the kernel does not take now, the driver offers again: it is awake by the first that it takes.
        let _ = self.uring.submit();
    }

    /// Moves the backlog into the queue, submitting as often as the kernel takes something.
    fn refill(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if self.try_push(&entry) {
                continue;
            }
            let taken = self.uring.submit().unwrap_or(0);
            if taken == 0 || !self.try_push(&entry) {
                self.backlog.push_front(entry);
                return;
            }
        }
    }

    fn try_push(&mut self, entry: &squeue::Entry) -> bool {
        let mut queue = self.uring.submission();
        // SAFETY: every pointer in an entry points into memory this ring owns (buffers, sends, awaited
        // operations, the two timespecs) and keeps until the entry's last completion.
        unsafe { queue.push(entry) }.is_ok()
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let awaited = self.awaited.len();
        write!(
            f,
            "Ring({awaited} awaited, {:?}, {:?})",
            self.sends, self.buffers
        )
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Sockets that were to be closed are ours no more: only the kernel can still close them.
        self.refill();
        let _ = self.uring.submit();
        // Everything in flight ends before the memory it points to is unmapped.
        let submitter = self.uring.submitter();
        let _ = submitter.register_sync_cancel(None, CancelBuilder::any());
        self.buffers.unregister(&submitter);
    }
}

fn builder(completions: u32) -> io_uring::Builder {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(completions)
        .dontfork();
    builder
}

pub(super) fn owned_send(id: SendId) -> u64 {
    Token::new(kind::OWNED_SEND, 0, id.index()).bits()
}

fn accepting(number: u32) -> u64 {
    Token::new(kind::ACCEPT, 0, number).bits()
}

/// The connection that an accept's completion brought.
pub(super) fn accepted(completion: &Completion) -> io::Result<OwnedFd> {
    debug_assert_eq!(
        completion.token.kind(),
        kind::ACCEPT,
        "invariant: asked for accepts only"
    );
    if completion.result < 0 {
        return Err(io::Error::from_raw_os_error(-completion.result));
    }
    // SAFETY: the kernel opened this descriptor for us with this completion, which is dispatched once.
    Ok(unsafe { OwnedFd::from_raw_fd(completion.result) })
}

fn ignored() -> u64 {
    Token::new(kind::IGNORED, 0, 0).bits()
}

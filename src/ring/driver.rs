//! Drives one core's ring inside a glommio task: hot while traffic flows, parked in glommio when it is quiet.
#![expect(unsafe_code, reason = "the eventfd is handed to glommio by number")]

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use glommio::io::BufferedFile;

use super::awaited::Handle;
use super::token::kind;
use super::{Completion, Ring, Token, Wheel};
use crate::clock::Now;
use crate::limits;
use crate::sync::{Ordering, fence};

/// Who gets the completions that no task awaits.
pub trait Dispatch {
    /// A listener has a connection for us, or an error; without `more` it must be armed again.
    fn accepted(&mut self, ring: &mut Ring, connection: Accepted, now: Now);
    /// A request of the dispatcher's own kinds completed.
    fn complete(&mut self, ring: &mut Ring, wheel: &mut Wheel, completion: &Completion, now: Now);
    /// A deadline of the dispatcher's own kinds has come.
    fn due(&mut self, ring: &mut Ring, wheel: &mut Wheel, token: Token, now: Now);
    /// Everything that had completed was dispatched: what belongs together can go out together.
    fn batch_done(&mut self, ring: &mut Ring, wheel: &mut Wheel, now: Now);
    /// Called between two batches, with nothing borrowed: the place to spawn tasks, which glommio runs at
    /// once. Whether tasks have become ready that the driver should let run.
    fn between_batches(&mut self) -> bool;
    /// Whether the worker is done and the driver may return.
    fn finished(&self) -> bool;
}

/// What a listener brought.
#[derive(Debug)]
pub struct Accepted {
    /// Which listener.
    pub listener: u32,
    /// The connection, or why there is none.
    pub connection: io::Result<OwnedFd>,
    /// The listener goes on by itself.
    pub more: bool,
}

/// How the driver is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Sleeps in glommio; a wake costs several system calls, and nothing is spent between wakes.
    Cold,
    /// Sleeps in its own ring, with a tick that bounds how long glommio goes unattended.
    Hot,
}

/// The loop of one core.
#[derive(Debug)]
pub struct Driver {
    handle: Handle,
    eventfd: OwnedFd,
    phase: Phase,
    /// Wakes that came close after the one before; enough of them make the loop hot.
    close_wakes: u32,
    last_wake: Now,
    /// Ticks since anything but a tick completed.
    quiet_ticks: u32,
    /// The tick that counts; what an older one still brings is ignored.
    tick: Token,
    /// The moment the wheel's timeout is armed for, if it is.
    armed: Option<Now>,
    wheel_generation: u32,
    batch: Vec<Completion>,
    due: Vec<Token>,
}

impl Driver {
    /// A driver for the ring behind `handle`, which rings `eventfd` (a blocking one: glommio sleeps in a
    /// read of it).
    pub fn new(handle: Handle, eventfd: OwnedFd) -> Self {
        Self {
            handle,
            eventfd,
            phase: Phase::Cold,
            close_wakes: 0,
            last_wake: Now::default(),
            quiet_ticks: 0,
            tick: Token::new(kind::TICK, 0, 0),
            armed: None,
            wheel_generation: 0,
            batch: Vec::with_capacity(limits::COMPLETION_BATCH),
            due: Vec::with_capacity(limits::COMPLETION_BATCH),
        }
    }

    /// Runs until the dispatcher is finished. Must be polled on the thread that built the ring.
    pub async fn run(mut self, dispatch: &std::cell::RefCell<impl Dispatch>) -> io::Result<()> {
        let parking = Parking::on(&self.eventfd)?;
        self.handle.ring().notify(false);
        loop {
            let wait = self.phase == Phase::Hot;
            self.handle.ring().enter(wait)?;
            let now = Now::read();
            let seen = self.round(&mut *dispatch.borrow_mut(), now);
            if dispatch.borrow().finished() {
                break;
            }
            self.change_phase(seen, now);
            let awaited = self.handle.ring().awaited.take_woken();
            let woken = dispatch.borrow_mut().between_batches();
            if awaited || woken || glommio::executor().need_preempt() {
                glommio::executor().yield_if_needed().await;
                glommio::executor().yield_now().await;
            } else if self.phase == Phase::Cold && seen == Seen::Nothing {
                self.park(&parking).await?;
            }
        }
        parking.close().await
    }

    /// Dispatches one batch and what has become due.
    fn round(&mut self, dispatch: &mut impl Dispatch, now: Now) -> Seen {
        let handle = self.handle.clone();
        let (mut ring, mut wheel) = (handle.ring(), handle.wheel());
        self.batch.clear();
        ring.reap(&mut self.batch, limits::COMPLETION_BATCH);
        let mut seen = Seen::Nothing;
        for completion in &self.batch {
            match completion.token.kind() {
                kind::IGNORED => continue,
                kind::TICK => {
                    // A full completion queue ends what was to go on by itself.
                    let ended = completion.token == self.tick && !completion.more();
                    if ended && self.phase == Phase::Hot {
                        self.tick = next_tick(self.tick);
                        ring.start_tick(limits::HOT_TICK_NANOS, self.tick);
                    }
                    seen = seen.max(Seen::Tick);
                    continue;
                }
                kind::WHEEL => {
                    if completion.token.generation() == self.wheel_generation {
                        self.armed = None;
                    }
                    seen = seen.max(Seen::Tick);
                    continue;
                }
                kind::AWAITED => ring.complete_awaited(completion),
                kind::ACCEPT => {
                    let listener = completion.token.index();
                    let connection = super::port::accepted(completion);
                    let more = completion.more();
                    dispatch.accepted(
                        &mut ring,
                        Accepted {
                            listener,
                            connection,
                            more,
                        },
                        now,
                    );
                }
                _ => dispatch.complete(&mut ring, &mut wheel, completion, now),
            }
            seen = Seen::Work;
        }
        self.due.clear();
        wheel.advance(now, &mut self.due);
        for token in self.due.drain(..) {
            if token.kind() == kind::AWAITED {
                if let Some(again) = ring.expire_awaited(token, now) {
                    wheel.insert(again, token);
                }
            } else {
                dispatch.due(&mut ring, &mut wheel, token, now);
            }
        }
        dispatch.batch_done(&mut ring, &mut wheel, now);
        seen
    }

    /// Hot when wakes come close together, cold after a few ticks in which nothing happened.
    fn change_phase(&mut self, seen: Seen, now: Now) {
        match (self.phase, seen) {
            (Phase::Cold, Seen::Work) => {
                let close = now.since(self.last_wake) < limits::HOT_WAKE_GAP;
                self.last_wake = now;
                self.close_wakes = if close { self.close_wakes + 1 } else { 0 };
                if self.close_wakes >= limits::HOT_AFTER_WAKES {
                    self.phase = Phase::Hot;
                    self.quiet_ticks = 0;
                    self.tick = next_tick(self.tick);
                    let mut ring = self.handle.ring();
                    ring.start_tick(limits::HOT_TICK_NANOS, self.tick);
                }
            }
            (Phase::Hot, Seen::Work) => self.quiet_ticks = 0,
            (Phase::Hot, Seen::Tick) => {
                self.quiet_ticks += 1;
                if self.quiet_ticks >= limits::COLD_AFTER_TICKS {
                    self.phase = Phase::Cold;
                    self.close_wakes = 0;
                    self.handle.ring().stop_timeout(self.tick);
                }
            }
            (Phase::Cold | Phase::Hot, Seen::Nothing | Seen::Tick) => {}
        }
    }

    /// Sleeps in glommio until the ring rings. Never on the ring's own descriptor: with deferred task
    /// work that would not wake.
    async fn park(&mut self, parking: &Parking) -> io::Result<()> {
        self.arm_wheel();
        {
            let mut ring = self.handle.ring();
            ring.enter(false)?;
            ring.notify(true);
            // SeqCst: the flag above is visible before the look below, so a completion that comes in
            // between is either seen here or rings the eventfd, whose count is sticky.
            fence(Ordering::SeqCst);
            if ring.pending() {
                ring.notify(false);
                return Ok(());
            }
        }
        let read = parking.read().await;
        self.handle.ring().notify(false);
        read
    }

    /// Makes sure that the ring wakes for the wheel's next deadline.
    fn arm_wheel(&mut self) {
        let Some(next) = self.handle.wheel().next() else {
            return;
        };
        if self.armed.is_some_and(|armed| armed <= next) {
            return;
        }
        let mut ring = self.handle.ring();
        if self.armed.is_some() {
            ring.stop_timeout(Token::new(kind::WHEEL, self.wheel_generation, 0));
        }
        self.wheel_generation = (self.wheel_generation + 1) % Token::GENERATIONS;
        let nanos = u64::try_from(next.since(Now::read()).as_nanos()).unwrap_or(u64::MAX);
        ring.start_wheel(
            nanos.max(1),
            Token::new(kind::WHEEL, self.wheel_generation, 0),
        );
        self.armed = Some(next);
    }
}

/// The eventfd as glommio reads it. Dropped with a worker that panics, it closes its descriptor here and now:
/// glommio's own drop asks the reactor to, and that does nothing more.
#[derive(Debug)]
struct Parking(Option<BufferedFile>);

impl Parking {
    fn on(eventfd: &OwnedFd) -> io::Result<Self> {
        let clone = eventfd.try_clone()?.into_raw_fd();
        // SAFETY: the clone is ours, and the file takes it over: nobody else closes it while there is a file.
        Ok(Self(Some(unsafe { BufferedFile::from_raw_fd(clone) })))
    }

    /// Sleeps until it rings.
    async fn read(&self) -> io::Result<()> {
        let Some(file) = &self.0 else { return Ok(()) };
        file.read_at(0, 8).await.map(drop).map_err(glommio_error)
    }

    async fn close(mut self) -> io::Result<()> {
        let Some(file) = self.0.take() else {
            return Ok(());
        };
        file.close().await.map_err(glommio_error)
    }
}

impl Drop for Parking {
    fn drop(&mut self) {
        let Some(file) = self.0.take() else { return };
        let file = ManuallyDrop::new(file);
        // SAFETY: the file owns its descriptor, and is neither used nor dropped after this.
        drop(unsafe { OwnedFd::from_raw_fd(file.as_raw_fd()) });
    }
}

/// The most important thing one round saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Nothing,
    Tick,
    Work,
}

/// glommio's errors carry what may not cross threads; the text is what an operator needs.
#[expect(clippy::needless_pass_by_value, reason = "it is a map_err function")]
fn glommio_error(error: glommio::GlommioError<()>) -> io::Error {
    io::Error::other(error.to_string())
}

/// The token of the tick after this one.
const fn next_tick(tick: Token) -> Token {
    Token::new(kind::TICK, (tick.generation() + 1) % Token::GENERATIONS, 0)
}

//! The dispatcher of one core: accepts, hands completions to tunnels, and takes the worker down well.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use super::floor::{Floor, LOOK};
use super::greet;
use super::jobs::Job;
use super::mailbox::{Command, Mailbox};
use super::spread::{Handed, Hands};
use crate::clock::Now;
use crate::limits;
use crate::metrics::Handoff;
use crate::relay::{Goodbyes, Tunnels};
use crate::ring::{Accepted, Completion, Dispatch, Ring, Token, Wheel};
use crate::rng::Rng;
use crate::sync::Arc;
use crate::sys;
use crate::upstream::Stream;

/// One core's dispatcher.
pub(super) struct Desk {
    floor: Rc<Floor>,
    mailbox: Mailbox,
    /// Where workers hand connections to each other.
    hands: Option<Hands>,
    listeners: Vec<Listening>,
    /// Where the policies of new pools begin.
    rng: Rng,
    drain: Option<Drain>,
    /// When the wheel will look for tunnels of lost backends.
    away_step: Option<Now>,
    /// The wheel will look at listeners that are not armed.
    rearm: bool,
    /// Connections in line for which there is no greeter yet.
    greeters_wanted: usize,
    /// Something was put in line since the tasks last ran.
    queued: bool,
    /// Entries into the ring that were counted.
    enters_seen: u64,
    /// Completions that were counted.
    completions_seen: u64,
    finished: bool,
}

/// A listener and whether its accept is armed.
struct Listening {
    /// Given up by a drain, so that the kernel refuses whoever comes after it.
    socket: Option<Arc<OwnedFd>>,
    armed: bool,
}

/// A drain under way.
#[derive(Debug, Clone, Copy)]
struct Drain {
    started: Now,
    /// When the last goodbye is said.
    told_by: Now,
    deadline: Now,
    tunnels: usize,
    told: usize,
}

impl Drain {
    /// How many tunnels more are to be told by now. When the time is over that is everyone, each time: a
    /// handshake that was under way may become a tunnel yet.
    fn due(&mut self, now: Now) -> usize {
        if now >= self.told_by {
            return usize::MAX;
        }
        let spread = self.told_by.since(self.started).as_nanos().max(1);
        let passed = now.since(self.started).as_nanos().min(spread);
        let due = self.tunnels as u128 * passed / spread;
        let due = usize::try_from(due).unwrap_or(usize::MAX);
        let count = due.saturating_sub(self.told);
        self.told = due;
        count
    }
}

impl Desk {
    pub(super) fn new(
        floor: Rc<Floor>,
        (mailbox, hands): (Mailbox, Option<Hands>),
        listeners: Vec<Arc<OwnedFd>>,
        rng: Rng,
    ) -> Self {
        let listeners = listeners
            .into_iter()
            .map(|socket| Listening {
                socket: Some(socket),
                armed: false,
            })
            .collect();
        Self {
            floor,
            mailbox,
            hands,
            listeners,
            rng,
            drain: None,
            away_step: None,
            rearm: false,
            greeters_wanted: 0,
            queued: false,
            enters_seen: 0,
            completions_seen: 0,
            finished: false,
        }
    }

    /// Arms what a worker waits for: its listeners. Its mail wakes it by the bell it sleeps on.
    pub(super) fn start(&mut self, ring: &mut Ring) {
        for number in 0..self.listeners.len() {
            self.arm(ring, number);
        }
        if let Some(hands) = &mut self.hands {
            hands.open();
        }
    }

    /// How the drain went.
    pub(super) fn goodbyes(&self) -> Goodbyes {
        self.floor.tunnels.borrow().goodbyes()
    }

    fn arm(&mut self, ring: &mut Ring, number: usize) {
        let listening = &mut self.listeners[number];
        if let Some(socket) = &listening.socket
            && !listening.armed
            && self.drain.is_none()
        {
            listening.armed = true;
            ring.accept(socket.as_fd(), u32::try_from(number).unwrap_or(u32::MAX));
        }
    }

    /// Hands a connection that was accepted now to a worker that carries less, if there is one.
    fn hand_on(&mut self, handed: Handed) -> Option<Handed> {
        let Some(hands) = &mut self.hands else {
            return Some(handed);
        };
        let Some(to) = hands.elsewhere(self.floor.load()) else {
            return Some(handed);
        };
        match hands.pass(to, handed) {
            Ok(()) => {
                self.floor.counters.handoff(Handoff::Out);
                None
            }
            Err(kept) => {
                self.floor.counters.handoff(Handoff::Refused);
                Some(kept)
            }
        }
    }

    /// Takes what other workers have handed to this one, and tells them what it holds.
    fn take_over(&mut self, ring: &mut Ring, now: Now) {
        while let Some(handed) = self.hands.as_mut().and_then(Hands::take) {
            self.floor.counters.handoff(Handoff::In);
            self.welcome(ring, handed, now);
        }
        if let Some(hands) = &mut self.hands {
            hands.show(self.floor.load());
            hands.ring();
        }
    }

    /// Puts a new connection in line, or turns it away.
    fn welcome(&mut self, ring: &mut Ring, connection: Handed, now: Now) {
        let Handed {
            socket,
            listener,
            accepted,
        } = connection;
        let floor = &self.floor;
        // Without a peer the connection is gone already.
        let Ok(peer) = sys::peer_of(socket.as_fd()) else {
            return ring.close(socket);
        };
        let source: IpAddr = peer.ip();
        let refused = floor.admit(source, now).err();
        if let Some(refusal) = refused
            && !floor.may_refuse()
        {
            let visit = super::floor::Visit {
                mute: true,
                ..super::floor::Visit::default()
            };
            floor.refused(refusal, peer, accepted, visit);
            sys::reset_on_close(&socket);
            return ring.close(socket);
        }
        if floor.enqueue(Job {
            stream: Stream::new(socket),
            peer,
            listener,
            accepted,
            refused,
        }) {
            self.greeters_wanted += 1;
        }
        self.queued = true;
    }

    fn read_mail(&mut self, ring: &mut Ring, wheel: &mut Wheel, now: Now) {
        let (mut newest, mut lost) = (None, false);
        while let Some(command) = self.mailbox.take() {
            match command {
                Command::Drain { time, deadline } if self.drain.is_none() => {
                    let (told_by, deadline) = (now.after(time), now.after(deadline.max(time)));
                    self.start_drain(ring, wheel, now, (told_by, deadline));
                }
                // One that another one follows is passed over: nobody would greet by it.
                Command::Snapshot(snapshot) => newest = Some(snapshot),
                Command::Close {
                    backends,
                    per_second,
                } => {
                    let mut tunnels = self.floor.tunnels.borrow_mut();
                    tunnels.lose(&backends, per_second, now);
                    lost = true;
                }
                Command::Drain { .. } => {}
                Command::Ask(question) => {
                    let mut tunnels = self.floor.tunnels.borrow_mut();
                    (question.answer)(tunnels.answer(question.asks, now));
                }
                Command::Quit => self.finished = true,
                Command::Fail => panic!("told to fail"),
            }
        }
        if let Some(snapshot) = newest {
            self.floor.follow(snapshot, &mut self.rng);
        }
        if lost && self.away_step.is_none() {
            self.step_away(ring, wheel, now);
        }
    }

    /// Tells as many tunnels of lost backends as are due by now, and comes back while there may be more.
    fn step_away(&mut self, ring: &mut Ring, wheel: &mut Wheel, now: Now) {
        let mut tunnels = self.floor.tunnels.borrow_mut();
        let more = tunnels.send_away(ring, wheel, now);
        self.away_step = more.then(|| now.after(limits::WHEEL_TICK));
        if let Some(step) = self.away_step {
            wheel.insert(step, AWAY_STEP);
        }
    }

    fn start_drain(
        &mut self,
        ring: &mut Ring,
        wheel: &mut Wheel,
        now: Now,
        (told_by, deadline): (Now, Now),
    ) {
        for (number, listening) in (0..).zip(&mut self.listeners) {
            if let Some(socket) = &listening.socket {
                sys::stop_listening(socket.as_fd());
            }
            if listening.armed {
                ring.stop_accepting(number);
            } else {
                listening.socket = None;
            }
        }
        if let Some(hands) = &mut self.hands {
            hands.close();
        }
        self.floor.draining.set(true);
        self.floor.lobbies.call_all();
        self.queued = true;
        let tunnels = self.floor.tunnels.borrow().len();
        self.drain = Some(Drain {
            started: now,
            told_by,
            deadline,
            tunnels,
            told: 0,
        });
        self.step_drain(ring, wheel, now);
    }

    /// Tells as many tunnels goodbye as are due by now, and looks whether everyone has left.
    fn step_drain(&mut self, ring: &mut Ring, wheel: &mut Wheel, now: Now) {
        let Some(drain) = &mut self.drain else { return };
        let count = drain.due(now);
        let mut tunnels = self.floor.tunnels.borrow_mut();
        tunnels.drain(ring, wheel, now, (count, drain.deadline));
        let expects = self.hands.as_ref().is_some_and(Hands::expects);
        let everyone_left = tunnels.is_empty() && self.floor.greeting.get() == 0 && !expects;
        // The tunnels' own deadlines fire with the wheel; two more ticks are theirs.
        let over = now > drain.deadline.after(limits::WHEEL_TICK * 4);
        self.finished |= everyone_left || over;
        if !self.finished {
            wheel.insert(now.after(limits::WHEEL_TICK), DRAIN_STEP);
        }
    }
}

impl Dispatch for Desk {
    fn accepted(&mut self, ring: &mut Ring, accepted: Accepted, now: Now) {
        let number = accepted.listener as usize;
        self.listeners[number].armed = accepted.more;
        if self.drain.is_some() && !accepted.more {
            self.listeners[number].socket = None;
        }
        match accepted.connection {
            Ok(socket) => {
                self.floor.counters.accepted.add(1);
                let connection = Handed {
                    socket,
                    listener: accepted.listener,
                    accepted: now,
                };
                if let Some(kept) = self.hand_on(connection) {
                    self.welcome(ring, kept, now);
                }
                self.arm(ring, number);
            }
            Err(error) => accept_failed(&self.floor, &error),
        }
    }

    fn complete(&mut self, ring: &mut Ring, wheel: &mut Wheel, completion: &Completion, now: Now) {
        if Tunnels::owns(completion.token) {
            self.floor
                .tunnels
                .borrow_mut()
                .complete(ring, wheel, completion, now);
        }
    }

    fn due(&mut self, ring: &mut Ring, wheel: &mut Wheel, token: Token, now: Now) {
        if Tunnels::is_due(token) {
            self.floor.tunnels.borrow_mut().due(ring, wheel, token, now);
        } else if token == DRAIN_STEP {
            self.step_drain(ring, wheel, now);
        } else if token == AWAY_STEP {
            self.step_away(ring, wheel, now);
        } else if token == LOOK {
            self.floor.looking.set(false);
            if self.floor.lobbies.anybody_waits() {
                self.floor.lobbies.look(now);
                self.floor.looking.set(true);
                wheel.insert(now.after(limits::WAITING_LOOK), LOOK);
                self.queued = true;
            }
        } else if token == REARM {
            self.rearm = false;
            for number in 0..self.listeners.len() {
                self.arm(ring, number);
            }
        }
    }

    fn batch_done(&mut self, ring: &mut Ring, wheel: &mut Wheel, now: Now) {
        self.read_mail(ring, wheel, now);
        {
            let mut tunnels = self.floor.tunnels.borrow_mut();
            tunnels.batch_done(ring, wheel, now);
            let mut sources = self.floor.sources.borrow_mut();
            let mut ended = 0;
            for gone in tunnels.take_gone() {
                sources.gone(gone.peer, now);
                ended += 1;
            }
            if ended > 0 && self.floor.lobbies.anybody_waits() {
                self.floor.lobbies.freed(ended);
                self.queued = true;
            }
        }
        if self.hands.is_some() {
            self.take_over(ring, now);
        }
        if self.drain.is_none() && !self.rearm && self.listeners.iter().any(|one| !one.armed) {
            // Out of descriptors, most likely: what is open is served, what comes waits in the kernel's
            // accept queue, and soon we try again.
            self.floor.counters.accept_paused.add(1);
            self.rearm = true;
            wheel.insert(now.after(limits::ACCEPT_PAUSE), REARM);
        }
        let (home, total) = ring.buffers.home_and_total();
        self.floor.counters.buffers_home.set(home.into());
        self.floor.counters.buffers_total.set(total.into());
        let enters = ring.enters();
        let fresh = enters - std::mem::replace(&mut self.enters_seen, enters);
        self.floor.counters.ring_enters.add(fresh);
        let completions = ring.completions();
        let fresh = completions - std::mem::replace(&mut self.completions_seen, completions);
        self.floor.counters.ring_completions.add(fresh);
    }

    fn between_batches(&mut self) -> bool {
        for _ in 0..std::mem::take(&mut self.greeters_wanted) {
            let greeter = greet::run(Rc::clone(&self.floor));
            glommio::spawn_local(self.floor.crew.keep(greeter)).detach();
        }
        let queued = std::mem::take(&mut self.queued);
        let had_waited = self.floor.turns.renew();
        if self.floor.turns.anybody_waits() {
            self.floor.handle.ring().nudge();
        }
        queued || had_waited
    }

    fn finished(&self) -> bool {
        self.finished
    }
}

/// Tells what an accept failed with; a listener told to stop is no failure.
fn accept_failed(floor: &Floor, error: &io::Error) {
    if !floor.draining.get() {
        tracing::warn!(worker = floor.worker, %error, "cannot accept; trying again shortly");
    }
}

const DRAIN_STEP: Token = Token::new(41, 0, 0);
const REARM: Token = Token::new(42, 0, 0);
const AWAY_STEP: Token = Token::new(43, 0, 0);

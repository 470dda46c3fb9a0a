//! What the greeters and the dispatcher of one core share. One thread, so cells instead of locks.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use super::crew::Crew;
use super::jobs::{Job, Jobs};
use super::lobby::Lobbies;
use super::plan::Plan;
use super::sources::Sources;
use crate::access_log::{Record, Recorder, RefusalRecord};
use crate::clock::{self, Now};
use crate::fleet::{Ledger, Pool, Route, Snapshot};
use crate::http;
use crate::limits;
use crate::metrics::{Refusal, WorkerCounters};
use crate::relay::Tunnels;
use crate::ring::{Handle, Token};
use crate::rng::Rng;
use crate::simd::Scratch;
use crate::sync::Arc;
use crate::upstream::{Grounds, JsonReader, Ports, Turns};

/// Bounds of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Tunnels it may hold.
    pub tunnels_max: u32,
    /// Handshakes it may have in flight.
    pub handshakes_max: u32,
}

/// The shared state of one core.
pub(super) struct Floor {
    pub(super) handle: Handle,
    pub(super) tunnels: RefCell<Tunnels>,
    pub(super) jobs: Jobs,
    pub(super) crew: Rc<Crew>,
    pub(super) sources: RefCell<Sources>,
    /// What a greeting that begins now goes by.
    pub(super) plan: RefCell<Rc<Plan>>,
    pub(super) lobbies: Lobbies,
    /// The wheel will look at the lobbies.
    pub(super) looking: Cell<bool>,
    pub(super) ledger: Rc<Ledger>,
    pub(super) counters: Arc<WorkerCounters>,
    pub(super) log: Rc<RefCell<Option<Recorder>>>,
    pub(super) limits: WorkerLimits,
    /// The address of each listener, at the place its number names.
    pub(super) listeners: Vec<SocketAddr>,
    pub(super) worker: u16,
    /// Connections being greeted, waiting ones included.
    pub(super) greeting: Cell<u32>,
    /// Of those, the ones that only get a refusal.
    pub(super) refusing: Cell<u32>,
    pub(super) draining: Cell<bool>,
    /// Where first messages are looked into, and read.
    pub(super) scratch: RefCell<Scratch>,
    pub(super) json: RefCell<JsonReader>,
    /// The steps that TLS handshakes take.
    pub(super) turns: Turns,
    /// What is remembered of source addresses without ports.
    pub(super) ports: Ports,
    /// What first messages take that are waited for.
    pub(super) first_bytes: Cell<usize>,
}

/// Who came by which way; what a refusal and its log line need.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Visit {
    pub(super) forwarded_for: Option<IpAddr>,
    pub(super) route: Option<u16>,
    pub(super) backend: Option<u16>,
    /// What the route takes, once it was found.
    pub(super) methods: http::Methods,
    /// The client has a 101 from us: what it is told from now on is a Close frame.
    pub(super) told: bool,
    /// It is sent away without an answer in HTTP.
    pub(super) mute: bool,
}

impl Visit {
    /// The status that the client has seen, or will, if any.
    fn status(&self, refusal: Refusal) -> Option<u16> {
        match (self.told, self.mute) {
            (true, _) => Some(101),
            (false, true) => None,
            (false, false) => Some(http::status(refusal)),
        }
    }
}

impl Floor {
    /// Whether one more connection may be greeted; if not, why not.
    pub(super) fn admit(&self, source: IpAddr, now: Now) -> Result<(), Refusal> {
        if self.draining.get() {
            return Err(Refusal::Draining);
        }
        let greeting = self.greeting.get() - self.refusing.get();
        let held = u32::try_from(self.tunnels.borrow().len()).unwrap_or(u32::MAX);
        if greeting >= self.limits.handshakes_max
            || held.saturating_add(greeting) >= self.limits.tunnels_max
        {
            return Err(Refusal::WorkerFull);
        }
        let bounds = self.plan.borrow().snapshot.source_limits;
        if self.sources.borrow_mut().admit(source, bounds, now) {
            Ok(())
        } else {
            Err(Refusal::SourceLimited)
        }
    }

    /// What this worker carries: its tunnels, and the connections that may become some.
    pub(super) fn load(&self) -> u32 {
        let tunnels = u32::try_from(self.tunnels.borrow().len()).unwrap_or(u32::MAX);
        tunnels.saturating_add(self.greeting.get())
    }

    /// Puts an accepted connection in line; true if it needs one more greeter.
    pub(super) fn enqueue(&self, job: Job) -> bool {
        self.greeting.set(self.greeting.get() + 1);
        if job.refused.is_some() {
            self.refusing.set(self.refusing.get() + 1);
        }
        self.counters.handshakes_open.inc();
        !self.jobs.push(job)
    }

    /// A connection's greeting is over. `tunnel` says whether it lives on as one.
    pub(super) fn greeted(&self, peer: IpAddr, refused: bool, tunnel: bool) {
        self.greeting.set(self.greeting.get() - 1);
        self.counters.handshakes_open.dec();
        if refused {
            self.refusing.set(self.refusing.get() - 1);
            return;
        }
        self.lobbies.freed(1);
        let mut sources = self.sources.borrow_mut();
        sources.greeted(peer);
        if !tunnel {
            sources.gone(peer, Now::read());
        }
    }

    /// A connection accepted then is given its answer now, whatever that is.
    pub(super) fn answered(&self, accepted: Now) -> Now {
        let now = Now::read();
        self.counters.handshake_times.observe(now.since(accepted));
        now
    }

    /// Whether one more refusal may be sent.
    pub(super) fn may_refuse(&self) -> bool {
        self.refusing.get() < limits::REFUSALS_MAX
    }

    /// Counts a refusal and writes its log line.
    pub(super) fn refused(&self, refusal: Refusal, peer: SocketAddr, since: Now, visit: Visit) {
        self.counters.refused(refusal);
        let mut log = self.log.borrow_mut();
        let Some(log) = log.as_mut() else { return };
        let record = RefusalRecord {
            at_unix_ms: clock::unix_millis(),
            duration_ms: u64::try_from(Now::read().since(since).as_millis()).unwrap_or(u64::MAX),
            client: peer,
            forwarded_for: visit.forwarded_for,
            route: visit.route,
            backend: visit.backend,
            worker: self.worker,
            status: visit.status(refusal),
            reason: refusal,
        };
        if !log.push(Record::Refused(record)) {
            self.counters.log_dropped.add(1);
        }
    }

    /// What a greeting that begins now goes by, to its end.
    pub(super) fn plan(&self) -> Rc<Plan> {
        Rc::clone(&self.plan.borrow())
    }

    /// Greetings that begin from now on go by this snapshot.
    pub(super) fn follow(&self, snapshot: Arc<Snapshot>, rng: &mut Rng) {
        let next = Rc::new(self.plan().followed_by(snapshot, rng));
        self.plan.replace(next);
    }

    /// Where the backends of a pool are looked for, by this worker.
    pub(super) fn grounds<'a>(&'a self, pool: &'a Pool) -> Grounds<'a> {
        Grounds {
            pool,
            ledger: &self.ledger,
            counters: &self.counters,
            turns: &self.turns,
            ports: &self.ports,
        }
    }

    /// Somebody waits for a backend: has the wheel look at the lobbies soon, unless it will.
    pub(super) fn look_at_lobbies(&self, now: Now) {
        if !self.looking.replace(true) {
            let soon = now.after(limits::WAITING_LOOK);
            self.handle.wheel().insert(soon, LOOK);
        }
    }
}

/// The wheel's look at the lobbies.
pub(super) const LOOK: Token = Token::new(44, 0, 0);

/// A route's deadlines in the form a tunnel keeps.
pub(super) fn patience(route: &Route) -> crate::relay::Patience {
    let ms =
        |duration: std::time::Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    crate::relay::Patience {
        idle_ms: ms(route.idle_timeout),
        stalled_write_ms: ms(route.stalled_write_timeout),
        half_close_ms: ms(route.half_close_timeout),
    }
}

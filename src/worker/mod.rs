//! One core's life: accept, greet, relay, drain.
//!
//! ```text
//! SO_REUSEPORT accept ─▶ admission ─▶ line ─▶ greeter (async task) ─▶ tunnel (slab entry) ─▶ log
//!                          │ 429, 503           │ 4xx, 5xx
//! ```

mod ask;
mod certificate;
mod crew;
mod desk;
mod first;
mod floor;
mod framing;
mod greet;
mod jobs;
mod lobby;
mod mailbox;
mod plain;
mod plan;
mod reach;
mod secure;
mod sources;
mod spread;
mod wish;

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use glommio::{LocalExecutorBuilder, Placement};

pub use floor::WorkerLimits;
pub use mailbox::{Command, Mailbox, Sender, mailbox};
pub use spread::{Berth, Board};

use crate::access_log::Recorder;
use crate::clock::Now;
use crate::fleet::{Ledger, SlotTable, Snapshot};
use crate::limits;
use crate::metrics::WorkerCounters;
use crate::relay::{Goodbyes, Ledgers, Tunnels};
use crate::ring::{Driver, Features, Handle, Ring, RingOptions, Wheel};
use crate::rng::Rng;
use crate::simd::{Kernels, Scratch};
use crate::sync::Arc;
use crate::upstream::{Ports, Turns};
use crew::Crew;
use desk::Desk;
use floor::Floor;
use jobs::Jobs;
use lobby::Lobbies;
use plan::Plan;
use sources::Sources;
use spread::Hands;

/// Everything a worker is given for its life.
pub struct Setup {
    /// Its number, in metrics and logs.
    pub number: u16,
    /// The core it is pinned to.
    pub core: usize,
    /// Its members of the listening groups; the supervisor keeps them open when a worker dies.
    pub listeners: Vec<(SocketAddr, Arc<OwnedFd>)>,
    /// What it may hold.
    pub limits: WorkerLimits,
    /// How its ring is built.
    pub ring: RingOptions,
    /// What the kernel offers.
    pub features: Features,
    /// Pools and routes.
    pub snapshot: Arc<Snapshot>,
    /// The shared table of backends.
    pub table: Arc<SlotTable>,
    /// Its counters.
    pub counters: Arc<WorkerCounters>,
    /// Its way to the access log, where there is one.
    pub recorder: Option<Recorder>,
    /// Its mail.
    pub mailbox: Mailbox,
    /// Where workers hand connections to each other; nothing if each keeps what it accepts.
    pub board: Option<Arc<Board>>,
    /// Decides all its random choices.
    pub seed: u64,
    /// Hears that it accepts.
    pub ready: Option<std::sync::mpsc::Sender<()>>,
}

/// Lives a worker's whole life on the calling thread. Returns after a drain; a panic takes down this
/// worker and its own tunnels, and nobody else's.
pub fn run(setup: Setup) -> io::Result<Goodbyes> {
    let executor = LocalExecutorBuilder::new(Placement::Fixed(setup.core))
        .name(&format!("ringway-{}", setup.number))
        .io_memory(limits::EXECUTOR_IO_BYTES)
        .preempt_timer(limits::EXECUTOR_PREEMPT)
        .make()
        .map_err(|error| io::Error::other(error.to_string()))?;
    let floor = Rc::new(OnceCell::new());
    let _last = TearDown {
        floor: Rc::clone(&floor),
        board: setup.board.clone(),
        worker: setup.number,
    };
    executor.run(live(setup, floor))
}

async fn live(setup: Setup, place: Rc<OnceCell<Rc<Floor>>>) -> io::Result<Goodbyes> {
    let bell = setup.mailbox.bell()?;
    let own_ring = Ring::new(setup.ring, setup.features, bell.as_fd())?;
    let handle = Handle::new(own_ring, Wheel::new(Now::read()));
    let ledger = Rc::new(Ledger::new(setup.table));
    let log = Rc::new(RefCell::new(setup.recorder));
    let mut rng = Rng::seeded(setup.seed);
    let plan = Plan::new(setup.snapshot, &mut rng);
    let tunnels_rng = Rng::seeded(rng.next_u64());
    let ports = Ports::new(Rng::seeded(rng.next_u64()));
    let ledgers = Ledgers {
        fleet: Rc::clone(&ledger),
        counters: Arc::clone(&setup.counters),
        log: Rc::clone(&log),
        worker: setup.number,
    };
    let (addresses, listeners) = setup.listeners.into_iter().unzip();
    let floor = Rc::new(Floor {
        handle: handle.clone(),
        tunnels: RefCell::new(Tunnels::new(ledgers, tunnels_rng, setup.limits.tunnels_max)),
        jobs: Jobs::default(),
        crew: Rc::new(Crew::default()),
        sources: RefCell::new(Sources::default()),
        plan: RefCell::new(Rc::new(plan)),
        lobbies: Lobbies::default(),
        looking: Cell::new(false),
        ledger,
        counters: setup.counters,
        log,
        limits: setup.limits,
        listeners: addresses,
        worker: setup.number,
        greeting: Cell::new(0),
        refusing: Cell::new(0),
        draining: Cell::new(false),
        scratch: RefCell::new(Scratch::new(Kernels::best())),
        json: RefCell::default(),
        turns: Turns::default(),
        ports,
        first_bytes: Cell::new(0),
    });
    // The first one to be set is the only one.
    let _ = place.set(Rc::clone(&floor));
    let hands = setup.board.map(|board| {
        let rng = Rng::seeded(rng.next_u64());
        Hands::new(board, setup.number, rng)
    });
    let mut desk = Desk::new(floor, (setup.mailbox, hands), listeners, rng);
    desk.start(&mut handle.ring());
    if let Some(ready) = setup.ready {
        // Whoever does not listen any more does not need to know.
        let _ = ready.send(());
    }
    let desk = RefCell::new(desk);
    Driver::new(handle, bell).run(&desk).await?;
    Ok(desk.into_inner().goodbyes())
}

/// What a worker leaves behind when it is gone, by its own end or by a panic: nothing.
struct TearDown {
    floor: Rc<OnceCell<Rc<Floor>>>,
    board: Option<Arc<Board>>,
    worker: u16,
}

impl Drop for TearDown {
    fn drop(&mut self) {
        if let Some(board) = &self.board {
            board.leave(self.worker.into());
        }
        let Some(floor) = self.floor.get() else {
            return;
        };
        // Tasks that never came to their end keep the floor; what stands on it goes here.
        drop(floor.jobs.take_all());
        floor.lobbies.close();
        floor.handle.close();
        floor.crew.dismiss();
        if let Ok(mut tunnels) = floor.tunnels.try_borrow_mut() {
            tunnels.abandon();
        }
        floor.ledger.give_back_all();
        floor.counters.reset_gauges();
    }
}

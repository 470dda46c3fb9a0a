//! One worker without a control thread: the test is its control.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of it"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

use std::net::SocketAddr;
use std::thread::JoinHandle;

use ringway::clock::Now;
use ringway::config;
use ringway::fleet::{BackendId, Registry, SlotTable, Snapshot, Standing, State};
use ringway::metrics::{EndReason, WorkerCounters};
use ringway::relay::Goodbyes;
use ringway::ring::{BufferOptions, Features, RingOptions};
use ringway::sync::Arc;
use ringway::sys::{self, ListenOptions};
use ringway::worker::{self, Command, Sender, Setup, WorkerLimits, mailbox};

use crate::support::PATIENCE;

/// A pool by its name, with its backends and more lines.
pub type PoolText<'a> = (&'a str, &'a [SocketAddr], &'a str);

/// A worker, and what its control holds of it.
pub struct Lone {
    pub address: SocketAddr,
    pub table: Arc<SlotTable>,
    pub counters: Arc<WorkerCounters>,
    pub snapshot: Arc<Snapshot>,
    registry: Registry,
    sender: Sender,
    thread: JoinHandle<std::io::Result<Goodbyes>>,
}

impl Lone {
    /// A worker in front of these pools; pool `p` is reached under `/p`.
    pub fn start(pools: &[PoolText<'_>]) -> Self {
        let config = configured(pools);
        let table = Arc::new(SlotTable::new(64));
        let mut registry = Registry::new(Arc::clone(&table));
        let snapshot = Arc::new(config.snapshot(&mut registry).unwrap());
        let features = Features::probe().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = ListenOptions {
            backlog: 1024,
            keepalive: None,
        };
        let listener = sys::listen(any, options).unwrap();
        let address = socket2::SockRef::from(&listener).local_addr().unwrap();
        let address = address.as_socket().unwrap();
        let (sender, mailbox) = mailbox(None).unwrap();
        let counters = Arc::new(WorkerCounters::default());
        let (ready, is_ready) = std::sync::mpsc::channel();
        let setup = Setup {
            number: 0,
            core: sys::cpu::allowed()[0],
            listeners: vec![(address, Arc::new(listener))],
            limits: WorkerLimits {
                tunnels_max: config.workers.tunnels_max,
                handshakes_max: config.workers.handshakes_max,
            },
            ring: RingOptions::new(
                config.workers.completion_queue,
                BufferOptions {
                    shape: features.best_shape(),
                    count: config.workers.buffers,
                    bytes: config.workers.buffer_bytes,
                },
            ),
            features,
            snapshot: Arc::clone(&snapshot),
            table: Arc::clone(&table),
            counters: Arc::clone(&counters),
            recorder: None,
            mailbox,
            board: None,
            seed: 1,
            ready: Some(ready),
        };
        let thread = std::thread::spawn(move || worker::run(setup));
        is_ready.recv().unwrap();
        Self {
            address,
            table,
            counters,
            snapshot,
            registry,
            sender,
            thread,
        }
    }

    /// Tells the worker something; false if its mailbox is full.
    pub fn tell(&mut self, command: Command) -> bool {
        self.sender.send(command)
    }

    /// Has the worker greet by these pools from now on. Backends that stay keep their rows.
    pub fn swap(&mut self, pools: &[PoolText<'_>]) {
        let next = configured(pools).snapshot(&mut self.registry).unwrap();
        self.snapshot = Arc::new(next);
        let command = Command::Snapshot(Arc::clone(&self.snapshot));
        while !self.tell(command.clone()) {
            std::thread::yield_now();
        }
    }

    /// The row of the backend at this address in this pool.
    pub fn id(&self, pool: &str, address: SocketAddr) -> BackendId {
        let mut pools = self.snapshot.pools.iter();
        let pool = pools.find(|known| *known.name == *pool).unwrap();
        let mut members = pool.backends.iter();
        members.find(|member| member.address == address).unwrap().id
    }

    /// Decides about a backend, as control does.
    pub fn set(&self, id: BackendId, state: State) {
        let standing = Standing {
            state,
            ..self.table.standing(id)
        };
        self.table.set_standing(id, standing);
    }

    /// Closes the tunnels of these backends.
    pub fn close(&mut self, backends: &[BackendId], per_second: u32) {
        let backends = backends.into();
        assert!(self.tell(Command::Close {
            backends,
            per_second,
        }));
    }

    /// How many handshakes were refused, for whatever reason.
    pub fn refused(&self) -> u64 {
        let counts = self.counters.refused.iter();
        counts.map(ringway::metrics::Counter::get).sum()
    }

    /// How many tunnels ended for this reason.
    pub fn ended(&self, reason: EndReason) -> u64 {
        self.counters.ended[reason.index()].get()
    }

    /// Waits until something is so; the counters are the event that is waited for.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Now::read();
        while !is_so(self) {
            assert!(Now::read().since(start) < PATIENCE, "not yet: {what}");
            std::thread::yield_now();
        }
    }

    /// Tells it to go down at once, and waits until it has. A worker that died fails the test.
    pub fn drain(mut self) -> Goodbyes {
        let now = std::time::Duration::ZERO;
        assert!(self.tell(Command::Drain {
            time: now,
            deadline: now,
        }));
        self.thread.join().unwrap().unwrap()
    }
}

fn configured(pools: &[PoolText<'_>]) -> config::Config {
    use std::fmt::Write as _;
    let mut text = "[control]\nbind = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
                    [limits]\nhead_timeout = \"5m\"\n\
                    [listeners.test]\nbind = [\"127.0.0.1:0\"]\n"
        .to_owned();
    for (name, backends, more) in pools {
        let list: Vec<String> = backends
            .iter()
            .map(|address| format!("\"{address}\""))
            .collect();
        let list = list.join(", ");
        write!(
            text,
            "[pools.{name}]\npolicy = \"round-robin\"\nbackends = [{list}]\n{more}\n\
             [[routes]]\npath = \"/{name}\"\npool = \"{name}\"\n"
        )
        .unwrap();
    }
    config::parse("test.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

//! From a configuration to sockets, cores and rings: everything that may fail before the first worker runs.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use super::vault::{Vault, VaultErrors, keep_secrets};
use crate::clock::Now;
use crate::config::{Config, Cores, ReceiveBuffers, Steering};
use crate::fleet::{Registry, SlotTable, Snapshot, TableFull};
use crate::limits;
use crate::ring::{BufferOptions, Features, ProbeError, RingOptions, Shape};
use crate::sync::Arc;
use crate::sys::proc::{Limit, Resource};
use crate::sys::{self, ListenOptions};
use crate::worker::Board;

/// Why Ringway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel does not offer what every worker needs.
    #[error(transparent)]
    Ring(#[from] ProbeError),
    /// The configuration asks for a shape of buffers that this kernel does not know.
    #[error(
        "workers.receive_buffers: this kernel has no {} buffers; use \"auto\" or \"two-size\"",
        .0.label()
    )]
    Shape(Shape),
    /// The configuration names a core that this process may not use.
    #[error("workers.cores: core {0} is not among those this process may use ({1:?})")]
    Core(usize, Vec<usize>),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}{}", hint(.error))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
    /// The control listener's address cannot be listened on.
    #[error("control.bind: cannot listen on {address}: {error}{}", hint(.error))]
    Control {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
    /// The limit of locked memory leaves no room for the workers' rings.
    #[error(
        "the limit of locked memory is {} KiB, and {workers} workers need {} KiB; raise it \
         (LimitMEMLOCK={wanted} in the service unit, or ulimit -l {})",
        .found / 1024, .wanted / 1024, .wanted / 1024
    )]
    LockedMemory {
        /// The limit, as far as this process may raise it.
        found: u64,
        /// What the workers need.
        wanted: u64,
        /// How many there are.
        workers: usize,
    },
    /// A worker could not begin.
    #[error("worker {0} cannot start: {1}")]
    Worker(usize, String),
    /// There are more backends than slots.
    #[error(transparent)]
    Table(#[from] TableFull),
    /// Certificates, keys or the like cannot be loaded.
    #[error(transparent)]
    Tls(#[from] VaultErrors),
    /// Anything else the system refused.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another program listens there, or another user's Ringway",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "; no interface of this host has that address",
        _ => "",
    }
}

/// A worker's members of the listening groups, with the address each listens on.
pub(super) type Members = Vec<(SocketAddr, Arc<OwnedFd>)>;

/// Everything the workers will be given.
pub(super) struct Launch {
    pub(super) cores: Vec<usize>,
    /// For each worker, its member of each listening group.
    pub(super) listeners: Vec<Members>,
    /// Where workers hand connections to each other, if they do and are more than one.
    pub(super) board: Option<Arc<Board>>,
    pub(super) ring: RingOptions,
    pub(super) features: Features,
    pub(super) table: Arc<SlotTable>,
    /// What a worker that is started anew begins with.
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) vault: Vault,
}

impl Launch {
    /// Probes, picks cores, and opens every listener in the order of the workers.
    /// The registry keeps the backends' rows; whoever makes the next snapshot asks it.
    pub(super) fn prepare(config: &Config) -> Result<(Self, Registry), StartError> {
        let features = Features::probe()?;
        let shape = shape(config.workers.receive_buffers, features)?;
        // Each tunnel needs two descriptors; the soft limit is only a default.
        Limit::raise_to_hard(Resource::Files)
            .map_err(|error| StartError::System("cannot raise the limit of open files", error))?;
        let cores = cores(&config.workers.cores, &sys::cpu::allowed())?;
        let locked = Limit::raise_to_hard(Resource::LockedMemory).map_err(|error| {
            StartError::System("cannot raise the limit of locked memory", error)
        })?;
        locked_memory(locked, cores.len(), sys::proc::may_lock_memory())?;
        keep_secrets(config)
            .map_err(|error| StartError::System("cannot turn core dumps off", error))?;
        let vault = Vault::load(config, &Vault::default(), Now::read())?;
        let listeners = listeners(config, &cores)?;
        let hands_over = config.workers.steering == Steering::LeastLoaded && cores.len() > 1;
        let board = hands_over.then(|| Board::new(cores.len())).transpose();
        let board = board
            .map_err(|error| StartError::System("cannot open the workers' eventfds", error))?;
        let table = Arc::new(SlotTable::new(limits::SLOT_ROWS_MAX));
        let mut registry = Registry::new(Arc::clone(&table));
        let mut snapshot = config.snapshot(&mut registry)?;
        vault.furnish(config, config, &mut snapshot);
        let snapshot = Arc::new(snapshot);
        let buffers = BufferOptions {
            shape,
            count: config.workers.buffers,
            bytes: config.workers.buffer_bytes,
        };
        let ring = RingOptions::new(config.workers.completion_queue, buffers);
        let launch = Self {
            cores,
            listeners,
            board,
            ring,
            features,
            table,
            snapshot,
            vault,
        };
        Ok((launch, registry))
    }
}

fn shape(wanted: ReceiveBuffers, features: Features) -> Result<Shape, StartError> {
    let shape = match wanted {
        ReceiveBuffers::Auto => features.best_shape(),
        ReceiveBuffers::Incremental => Shape::Incremental,
        ReceiveBuffers::TwoSize => Shape::TwoSize,
        ReceiveBuffers::Bundle => Shape::Bundle,
    };
    if features.supports(shape) {
        Ok(shape)
    } else {
        Err(StartError::Shape(shape))
    }
}

/// The core of each worker. A count may be more than there are cores: workers then share them.
fn cores(wanted: &Cores, allowed: &[usize]) -> Result<Vec<usize>, StartError> {
    match wanted {
        Cores::Auto => Ok(allowed.to_vec()),
        Cores::Count(count) => Ok(allowed
            .iter()
            .copied()
            .cycle()
            .take(usize::from(*count))
            .collect()),
        Cores::List(list) => list
            .iter()
            .map(|core| {
                let core = usize::from(*core);
                let known = allowed.contains(&core);
                known
                    .then_some(core)
                    .ok_or_else(|| StartError::Core(core, allowed.to_vec()))
            })
            .collect(),
    }
}

/// Whether the rings of so many workers fit under the limit. A worker that found out by itself would die of
/// it, again and again.
fn locked_memory(limit: Limit, workers: usize, unbounded: bool) -> Result<(), StartError> {
    let wanted = limits::locked_bytes(workers, unbounded);
    match limit.soft {
        Some(found) if found < wanted => Err(StartError::LockedMemory {
            found,
            wanted,
            workers,
        }),
        _ => Ok(()),
    }
}

/// One listener for each worker and address. Within a group the order is that of the workers, which is
/// what the steering program counts on.
fn listeners(config: &Config, cores: &[usize]) -> Result<Vec<Members>, StartError> {
    let mut all: Vec<Vec<_>> = cores.iter().map(|_| Vec::new()).collect();
    for listener in &config.listeners {
        let options = ListenOptions {
            backlog: i32::try_from(listener.backlog).unwrap_or(i32::MAX),
            keepalive: listener.keepalive,
        };
        for address in &listener.addresses {
            let mut address = *address;
            let failed = |error| StartError::Listen { address, error };
            wait_until_free(address).map_err(failed)?;
            for worker in &mut all {
                let failed = |error| StartError::Listen { address, error };
                let socket = sys::listen(address, options).map_err(failed)?;
                // Port 0 asks for any port; the rest of the group joins the one that was given.
                address = local_address(&socket).map_err(failed)?;
                worker.push((address, Arc::new(socket)));
            }
            if config.workers.steering == Steering::Cpu
                && let Some((_, socket)) = all.first().and_then(|worker| worker.last())
            {
                let program = sys::by_receiving_core(cores);
                sys::attach(socket.as_fd(), &program)
                    .map_err(|error| StartError::Listen { address, error })?;
            }
        }
    }
    Ok(all)
}

/// Waits a little for an address that is taken: the kernel takes the rings of a killed Ringway apart a while
/// after its end, and an accept in one of them still holds the listener. Nobody tells when that is done.
fn wait_until_free(address: SocketAddr) -> io::Result<()> {
    let deadline = Now::read().after(limits::ADDRESS_PATIENCE);
    loop {
        match free_for_us(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Now::read() < deadline => {
                std::thread::park_timeout(limits::ADDRESS_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// Joining another process's group would split its clients with us by surprise: an address that anyone
/// listens on is taken, although SO_REUSEPORT would let us in.
fn free_for_us(address: SocketAddr) -> io::Result<()> {
    use socket2::{Domain, Socket, Type};
    let probe = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    probe.set_reuse_address(true)?;
    if address.is_ipv6() {
        probe.set_only_v6(true)?;
    }
    probe.bind(&address.into())?;
    if address.port() == 0 {
        Ok(())
    } else {
        probe.listen(1)
    }
}

pub(super) fn local_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    let address = socket2::SockRef::from(socket).local_addr()?;
    address
        .as_socket()
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_all_so_many_or_these() {
        let allowed = [1, 3, 5];
        assert_eq!(cores(&Cores::Auto, &allowed).unwrap(), allowed);
        assert_eq!(cores(&Cores::Count(2), &allowed).unwrap(), [1, 3]);
        assert_eq!(cores(&Cores::Count(4), &allowed).unwrap(), [1, 3, 5, 1]);
        assert_eq!(cores(&Cores::List(vec![5, 1]), &allowed).unwrap(), [5, 1]);
        assert!(matches!(
            cores(&Cores::List(vec![2]), &allowed),
            Err(StartError::Core(2, _))
        ));
    }

    #[test]
    fn what_the_kernel_said_is_said_once() {
        let error = StartError::Listen {
            address: "127.0.0.1:80".parse().unwrap(),
            error: io::ErrorKind::PermissionDenied.into(),
        };
        // No source beside the text: a chain of causes would print it again.
        assert!(std::error::Error::source(&error).is_none());
        assert_eq!(error.to_string().matches("permission denied").count(), 1);
    }

    #[test]
    fn too_little_locked_memory_is_told_before_a_worker_fails_on_it() {
        let most = |hard| Limit { soft: hard, hard };
        let least = limits::LOCKED_BYTES_LEAST;
        assert!(locked_memory(most(None), 64, false).is_ok());
        assert!(locked_memory(most(Some(least)), 1, false).is_ok());
        assert!(locked_memory(most(Some(least)), 64, true).is_ok());
        assert!(locked_memory(most(Some(least - 1)), 1, true).is_err());
        let error = locked_memory(most(Some(least)), 64, false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the limit of locked memory is 512 KiB, and 64 workers need 24576 KiB; raise it \
             (LimitMEMLOCK=25165824 in the service unit, or ulimit -l 24576)"
        );
    }

    #[test]
    fn an_address_that_somebody_listens_on_is_taken_even_with_reuse_port() {
        let options = ListenOptions {
            backlog: 8,
            keepalive: None,
        };
        let other = sys::listen("127.0.0.1:0".parse().unwrap(), options).unwrap();
        let address = local_address(&other).unwrap();
        assert_eq!(
            free_for_us(address).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        drop(other);
        free_for_us(address).unwrap();
    }
}

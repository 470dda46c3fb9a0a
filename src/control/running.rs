//! A running Ringway: starts it, keeps its workers alive, takes it down well.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::launch::{Launch, StartError};
use super::requests::FleetHandle;
use super::supervisor::{Beginnings, Supervisor};
use crate::config::{Config, Token};
use crate::limits;
use crate::metrics::{ControlCounters, Samples, WorkerCounters};
use crate::ring::Shape;
use crate::sync::{Arc, AtomicBool};
use crate::worker::Command;

/// What the control listener reads its answers from.
pub struct ControlParts {
    /// Each worker's counters.
    pub workers: Vec<Arc<WorkerCounters>>,
    /// Reads a row for each backend and each certificate.
    pub samples: Box<dyn Fn() -> Samples + Send + Sync>,
    /// What the control thread counts.
    pub control: Arc<ControlCounters>,
    /// Raised when Ringway goes down.
    pub draining: Arc<AtomicBool>,
    /// Questions and orders about backends.
    pub fleet: FleetHandle,
    /// What whoever asks or orders must show, if anything.
    pub token: Option<Token>,
}

/// The service on the control listener; the room that knows HTTP provides it.
pub type Service = fn(
    tokio::net::TcpListener,
    ControlParts,
) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// How it went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Tunnels whose peers both answered our goodbye, or closed by themselves.
    pub clean: u64,
    /// Tunnels that were cut off.
    pub cut: u64,
    /// A second signal ended it at once.
    pub at_once: bool,
}

/// Who may ask it to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signals {
    /// SIGTERM and SIGINT do.
    Heed,
    /// Only its handle does; for a Ringway inside another program.
    Ignore,
}

/// A running Ringway. Dropped, it is taken down without a drain.
#[derive(Debug)]
pub struct Running {
    thread: Option<JoinHandle<Outcome>>,
    requests: mpsc::UnboundedSender<Request>,
    fleet: FleetHandle,
    /// Where it listens, in the order of the configuration.
    pub listening: Vec<SocketAddr>,
    /// Where its control listener is.
    pub control: SocketAddr,
    /// The core of each worker.
    pub cores: Vec<usize>,
    /// The shape of the workers' receive buffers.
    pub shape: Shape,
}

/// What the supervisor is asked by others than the control listener.
#[derive(Debug)]
pub(super) enum Request {
    Stop,
    Restart(usize),
    Tell(usize, Command),
}

impl Running {
    /// Starts everything. When this returns, connections are accepted. There is no file to reload.
    pub fn start(config: &Config, service: Service, signals: Signals) -> Result<Self, StartError> {
        Self::start_from(config, None, service, signals)
    }

    /// The same, with the file that `config` was read from: a reload reads it again.
    pub fn start_from(
        config: &Config,
        file: Option<PathBuf>,
        service: Service,
        signals: Signals,
    ) -> Result<Self, StartError> {
        let system = |what| move |error| StartError::System(what, error);
        let control = listen_for_control(config.control.bind)?;
        let control_address = control
            .local_addr()
            .map_err(system("cannot read the control address"))?;
        let (launch, registry) = Launch::prepare(config)?;
        let listening = launch.listeners.first().map_or_else(Vec::new, |members| {
            members.iter().map(|(address, _)| *address).collect()
        });
        let (cores, shape) = (launch.cores.clone(), launch.ring.buffers.shape);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(system("cannot start the control thread's runtime"))?;
        let (supervisor, inboxes, ways) = {
            let _inside = runtime.enter();
            let listener = tokio::net::TcpListener::from_std(control)
                .map_err(system("cannot watch the control listener"))?;
            Supervisor::start(Beginnings {
                config,
                file,
                launch,
                registry,
                listener,
                service,
                signals,
            })?
        };
        let thread = std::thread::Builder::new()
            .name("ringway-control".to_owned())
            .spawn(move || {
                let outcome = runtime.block_on(supervisor.supervise(inboxes));
                // A log file on a stuck disk must not keep the process.
                runtime.shutdown_timeout(limits::LOG_LAST_WORDS);
                outcome
            })
            .map_err(system("cannot start the control thread"))?;
        Ok(Self {
            thread: Some(thread),
            requests: ways.requests,
            fleet: ways.fleet,
            listening,
            control: control_address,
            cores,
            shape,
        })
    }

    /// Asks it to go down as its configuration says; a second time, at once.
    pub fn stop(&self) {
        // It may be down already.
        let _ = self.requests.send(Request::Stop);
    }

    /// The way to its backends.
    pub const fn fleet(&self) -> &FleetHandle {
        &self.fleet
    }

    /// Waits until it is down.
    pub fn wait(mut self) -> Outcome {
        let thread = self
            .thread
            .take()
            .expect("invariant: taken only here and in drop");
        thread.join().unwrap_or_default()
    }

    /// Makes one worker fail, so that a test can see what its death does to the others.
    #[doc(hidden)]
    pub fn fail_worker(&self, number: usize) {
        let _ = self.requests.send(Request::Tell(number, Command::Fail));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stop();
            self.stop();
            // Its own panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn listen_for_control(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    let open = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map_err(|error| StartError::Control { address, error })
}

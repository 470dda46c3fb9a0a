//! A running Ringway: starts it, keeps its workers alive, takes it down well.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::launch::{Launch, StartError};
use super::log_writer::{LogWriter, Order, Target};
use super::signals::{HangUps, StopSignals};
use super::team::{Exit, Team};
use crate::access_log::Names;
use crate::config::{AccessLog, Config};
use crate::fleet::{SlotTable, Snapshot};
use crate::limits;
use crate::metrics::{BackendFailure, BackendSample, ControlCounters, WorkerCounters};
use crate::ring::Shape;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::sys::eventfd::EventFd;
use crate::worker::Command;

/// What the control listener reads its answers from.
pub struct ControlParts {
    /// Each worker's counters.
    pub workers: Vec<Arc<WorkerCounters>>,
    /// Reads one row a backend from the slot table.
    pub backends: Box<dyn Fn() -> Vec<BackendSample> + Send + Sync>,
    /// What the control thread counts.
    pub control: Arc<ControlCounters>,
    /// Raised when Ringway goes down.
    pub draining: Arc<AtomicBool>,
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
    /// Where it listens, in the order of the configuration.
    pub listening: Vec<SocketAddr>,
    /// Where its control listener is.
    pub control: SocketAddr,
    /// The core of each worker.
    pub cores: Vec<usize>,
    /// The shape of the workers' receive buffers.
    pub shape: Shape,
}

#[derive(Debug)]
enum Request {
    Stop,
    Restart(usize),
    Tell(usize, Command),
}

impl Running {
    /// Starts everything. When this returns, connections are accepted.
    pub fn start(config: &Config, service: Service, signals: Signals) -> Result<Self, StartError> {
        let system = |what| move |error| StartError::System(what, error);
        let control = listen_for_control(config.control.bind)?;
        let control_address = control
            .local_addr()
            .map_err(system("cannot read the control address"))?;
        let launch = Launch::prepare(config)?;
        let listening = launch.listeners.first().map_or_else(Vec::new, |members| {
            members.iter().map(|(address, _)| *address).collect()
        });
        let (cores, shape) = (launch.cores.clone(), launch.ring.buffers.shape);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(system("cannot start the control thread's runtime"))?;
        let (requests, inbox) = mpsc::unbounded_channel();
        let (exits, exited) = mpsc::unbounded_channel();
        let desk = {
            let _inside = runtime.enter();
            let control = tokio::net::TcpListener::from_std(control)
                .map_err(system("cannot watch the control listener"))?;
            let ways = (exits, requests.clone());
            Supervisor::start(config, launch, ways, (control, service), signals)?
        };
        let thread = std::thread::Builder::new()
            .name("ringway-control".to_owned())
            .spawn(move || {
                let outcome = runtime.block_on(desk.supervise(inbox, exited));
                // A log file on a stuck disk must not keep the process.
                runtime.shutdown_timeout(limits::LOG_LAST_WORDS);
                outcome
            })
            .map_err(system("cannot start the control thread"))?;
        Ok(Self {
            thread: Some(thread),
            requests,
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

/// The log's writer as a task, and the way to it.
struct LogTask {
    orders: mpsc::Sender<Order>,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

/// The log's writer before it runs, and what rings when there is something to write.
type Writer = (LogWriter, Arc<EventFd>);

/// The control thread's state.
struct Supervisor {
    team: Team,
    time: std::time::Duration,
    deadline: std::time::Duration,
    draining: Arc<AtomicBool>,
    signals: Option<(StopSignals, HangUps)>,
    log: Option<LogTask>,
    requests: mpsc::UnboundedSender<Request>,
    outcome: Outcome,
}

impl Supervisor {
    fn start(
        config: &Config,
        launch: Launch,
        (exits, requests): (mpsc::UnboundedSender<usize>, mpsc::UnboundedSender<Request>),
        (listener, service): (tokio::net::TcpListener, Service),
        signals: Signals,
    ) -> Result<Self, StartError> {
        let system = |what| move |error| StartError::System(what, error);
        let counters = Arc::new(ControlCounters::default());
        let snapshot = Arc::clone(&launch.snapshot);
        let writer = log_writer(config, &snapshot, &counters)?;
        let bell = writer.as_ref().map(|(_, bell)| Arc::clone(bell));
        let (team, drains) = Team::start(launch, config, bell, exits)?;
        let log = writer.map(|(mut writer, _)| {
            for drain in drains {
                writer.watch(drain);
            }
            let (orders, inbox) = mpsc::channel(limits::LOG_ORDERS_MAX);
            LogTask {
                orders,
                task: tokio::spawn(writer.run(inbox)),
            }
        });
        let draining = Arc::new(AtomicBool::new(false));
        let table = Arc::clone(&team.launch().table);
        let parts = ControlParts {
            workers: team.counters(),
            backends: Box::new(move || samples(&snapshot, &table)),
            control: counters,
            draining: Arc::clone(&draining),
        };
        tokio::spawn(service(listener, parts));
        let signals = match signals {
            Signals::Ignore => None,
            Signals::Heed => {
                let failed = system("cannot take over the signals");
                let stops = StopSignals::listen().map_err(failed)?;
                Some((
                    stops,
                    HangUps::listen().map_err(system("cannot take over SIGHUP"))?,
                ))
            }
        };
        let (time, deadline) = (config.drain.time, config.drain.deadline);
        Ok(Self {
            team,
            time,
            deadline,
            draining,
            signals,
            log,
            requests,
            outcome: Outcome::default(),
        })
    }

    /// Lives until every worker has drained, or until it is asked to stop a second time.
    async fn supervise(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Request>,
        mut exited: mpsc::UnboundedReceiver<usize>,
    ) -> Outcome {
        let mut stops = 0;
        while self.team.alive() > 0 || stops == 0 {
            let stop = tokio::select! {
                stop = next_stop(&mut self.signals, self.log.as_ref()) => stop,
                request = inbox.recv() => match request {
                    Some(Request::Tell(number, command)) => {
                        self.team.tell(number, command);
                        false
                    }
                    Some(Request::Restart(number)) => {
                        if stops == 0 {
                            self.restart(number).await;
                        }
                        false
                    }
                    Some(Request::Stop) | None => true,
                },
                Some(number) = exited.recv() => {
                    self.worker_ended(number, stops > 0);
                    false
                }
            };
            if stop {
                stops += 1;
                if stops > 1 {
                    self.quit(&mut exited).await;
                    return self.outcome;
                }
                self.drain();
            }
        }
        if let Some(LogTask { orders, task }) = self.log.take() {
            let _ = orders.send(Order::Stop).await;
            let _ = task.await;
        }
        self.outcome
    }

    fn drain(&mut self) {
        // Relaxed: the flag stands alone; an answer a moment late is as good.
        self.draining.store(true, Ordering::Relaxed);
        self.team.tell_all(&Command::Drain {
            time: self.time,
            deadline: self.deadline,
        });
        self.team.stop_listening();
    }

    /// Ends every worker now, and waits for their threads, so that none goes on inside the program we are part
    /// of. One that does not even hear this is left behind.
    async fn quit(&mut self, exited: &mut mpsc::UnboundedReceiver<usize>) {
        self.outcome.at_once = true;
        self.team.tell_all(&Command::Quit);
        let all_ended = async {
            while self.team.alive() > 0 {
                let Some(number) = exited.recv().await else {
                    return;
                };
                self.worker_ended(number, true);
            }
        };
        let patience = limits::QUIT_PATIENCE;
        if tokio::time::timeout(patience, all_ended).await.is_err() {
            let left = self.team.alive();
            tracing::warn!("{left} workers did not end when told to; leaving them behind");
        }
    }

    fn worker_ended(&mut self, number: usize, draining: bool) {
        match self.team.collect(number) {
            Exit::Drained(goodbyes) => {
                self.outcome.clean += goodbyes.clean;
                self.outcome.cut += goodbyes.cut;
            }
            Exit::Died(words) if draining => {
                tracing::error!(worker = number, "worker died while going down: {words}");
            }
            Exit::Died(words) => {
                tracing::error!(
                    worker = number,
                    "worker died with its tunnels, starting it again: {words}"
                );
                self.restart_soon(number);
            }
        }
    }

    /// Asks ourselves to start a worker again after a pause, during which signals are heard.
    fn restart_soon(&self, number: usize) {
        let requests = self.requests.clone();
        tokio::spawn(async move {
            tokio::time::sleep(limits::RESTART_PAUSE).await;
            let _ = requests.send(Request::Restart(number));
        });
    }

    async fn restart(&mut self, number: usize) {
        match self.team.restart(number) {
            Ok(Some(drain)) => {
                if let Some(LogTask { orders, .. }) = &self.log {
                    let _ = orders.send(Order::Watch(drain)).await;
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(worker = number, %error, "cannot start it again, trying once more");
                self.restart_soon(number);
            }
        }
    }
}

/// Waits for a signal; true if it asks to stop.
async fn next_stop(signals: &mut Option<(StopSignals, HangUps)>, log: Option<&LogTask>) -> bool {
    let Some((stops, hang_ups)) = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        signal = stops.next() => {
            tracing::info!("{}: going down", signal.label());
            true
        }
        () = hang_ups.next() => {
            if let Some(LogTask { orders, .. }) = log {
                let _ = orders.send(Order::Reopen).await;
            }
            false
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

fn log_writer(
    config: &Config,
    snapshot: &Arc<Snapshot>,
    counters: &Arc<ControlCounters>,
) -> Result<Option<Writer>, StartError> {
    let target = match &config.control.access_log {
        AccessLog::Off => return Ok(None),
        AccessLog::Stdout => Target::Stdout,
        AccessLog::File(path) => Target::File(path.clone()),
    };
    let system = |what| move |error| StartError::System(what, error);
    let bell = Arc::new(EventFd::new().map_err(system("cannot open the log's eventfd"))?);
    let names = Box::new(SnapshotNames::of(snapshot));
    let writer = LogWriter::open(target, Arc::clone(&bell), names, Arc::clone(counters))
        .map_err(system("control.access_log: cannot open the file"))?;
    Ok(Some((writer, bell)))
}

/// Names of routes and backends, at the place their numbers name.
struct SnapshotNames {
    routes: Vec<Arc<str>>,
    backends: Vec<Option<Arc<str>>>,
}

impl SnapshotNames {
    fn of(snapshot: &Snapshot) -> Self {
        let routes = snapshot
            .routes
            .iter()
            .map(|route| Arc::clone(&route.name))
            .collect();
        let mut backends = Vec::new();
        for member in snapshot.pools.iter().flat_map(|pool| pool.backends.iter()) {
            let place = member.id.index();
            backends.resize(backends.len().max(place + 1), None);
            backends[place] = Some(Arc::clone(&member.name));
        }
        Self { routes, backends }
    }
}

impl Names for SnapshotNames {
    fn route(&self, id: u16) -> Option<Cow<'_, str>> {
        self.routes
            .get(usize::from(id))
            .map(|name| Cow::Borrowed(&**name))
    }

    fn backend(&self, id: u16) -> Option<Cow<'_, str>> {
        self.backends
            .get(usize::from(id))?
            .as_deref()
            .map(Cow::Borrowed)
    }
}

fn samples(snapshot: &Snapshot, table: &SlotTable) -> Vec<BackendSample> {
    let members = snapshot.pools.iter().flat_map(|pool| {
        let name = &pool.name;
        pool.backends.iter().map(move |member| (name, member))
    });
    members
        .map(|(pool, member)| {
            let load = table.load(member.id);
            let failures = BackendFailure::ALL.iter();
            BackendSample {
                pool: pool.to_string(),
                backend: member.name.to_string(),
                established: load.established.into(),
                connecting: load.connecting.into(),
                failures: failures
                    .map(|failure| table.failures(member.id, *failure))
                    .sum(),
            }
        })
        .collect()
}

//! The control thread's own task: hears workers, signals, requests, probes and the DNS, and tells the workers.

use std::io;
use std::path::PathBuf;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use super::discovery::Resolver;
use super::launch::{Launch, StartError};
use super::log_writer::{LogWriter, Order, Target};
use super::manager::Manager;
use super::names::NameBook;
use super::overseer::{Event, Followed, News, Overseer};
use super::pairs;
use super::requests::{FleetHandle, FleetRequest, ReloadRefused, Reloaded};
use super::running::{ControlParts, Outcome, Request, Service, Signals};
use super::samples::samples_of;
use super::signals::{HangUps, StopSignals};
use super::team::{Exit, Team};
use crate::access_log::Drain;
use crate::clock::Now;
use crate::config::{self, AccessLog, Config};
use crate::fleet::{Registry, Snapshot};
use crate::limits;
use crate::metrics::ControlCounters;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::sys::eventfd::EventFd;
use crate::worker::Command;

/// The log's writer as a task, and the way to it.
struct LogTask {
    orders: mpsc::Sender<Order>,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

impl LogTask {
    fn start(mut writer: LogWriter, drains: Vec<Drain>) -> Self {
        for drain in drains {
            writer.watch(drain);
        }
        let (orders, inbox) = mpsc::channel(limits::LOG_ORDERS_MAX);
        Self {
            orders,
            task: tokio::spawn(writer.run(inbox)),
        }
    }
}

/// The signals that are heeded.
type Heeded = (StopSignals, HangUps);

/// The log's writer before it runs, and what rings when there is something to write.
type Writer = (LogWriter, Arc<EventFd>);

/// The control thread's state.
pub(super) struct Supervisor {
    team: Team,
    overseer: Overseer,
    counters: Arc<ControlCounters>,
    /// Where the configuration came from, for a reload.
    file: Option<PathBuf>,
    current: Arc<ArcSwap<Snapshot>>,
    names: NameBook,
    time: std::time::Duration,
    deadline: std::time::Duration,
    draining: Arc<AtomicBool>,
    signals: Option<Heeded>,
    log: Option<LogTask>,
    requests: mpsc::UnboundedSender<Request>,
    outcome: Outcome,
}

/// Everything that speaks to the supervisor.
pub(super) struct Inboxes {
    pub(super) requests: mpsc::UnboundedReceiver<Request>,
    pub(super) exits: mpsc::UnboundedReceiver<usize>,
    pub(super) fleet: mpsc::Receiver<FleetRequest>,
    pub(super) events: mpsc::Receiver<Event>,
}

/// The ways to the supervisor.
pub(super) struct Ways {
    pub(super) requests: mpsc::UnboundedSender<Request>,
    pub(super) fleet: FleetHandle,
}

/// What the supervisor is given at its start.
pub(super) struct Beginnings<'a> {
    pub(super) config: &'a Config,
    pub(super) file: Option<PathBuf>,
    pub(super) launch: Launch,
    pub(super) registry: Registry,
    pub(super) listener: tokio::net::TcpListener,
    pub(super) service: Service,
    pub(super) signals: Signals,
}

/// What wakes the supervisor.
enum Wake {
    Stop,
    Reopen,
    Asked(Option<Request>),
    Ended(usize),
    Fleet(FleetRequest),
    Event(Event),
    Tick,
}

impl Supervisor {
    /// Starts the workers and the control listener. Must be called inside the runtime.
    pub(super) fn start(beginnings: Beginnings<'_>) -> Result<(Self, Inboxes, Ways), StartError> {
        let Beginnings {
            config,
            file,
            launch,
            registry,
            listener,
            service,
            signals,
        } = beginnings;
        // Before anybody is served: a SIGTERM that comes with the first client must not cut it off.
        let heeded = heed(signals)?;
        let (requests, requests_inbox) = mpsc::unbounded_channel();
        let (exits, exits_inbox) = mpsc::unbounded_channel();
        let counters = Arc::new(ControlCounters::default());
        let (snapshot, vault) = (Arc::clone(&launch.snapshot), launch.vault.clone());
        let names = NameBook::of(&snapshot);
        let writer = log_writer(config, &names, &counters)?;
        let bell = writer.as_ref().map(|(_, bell)| Arc::clone(bell));
        let (team, drains) = Team::start(launch, config, bell, exits)?;
        let log = writer.map(|(writer, _)| LogTask::start(writer, drains));
        let (overseer, events) = Overseer::start(
            config.clone(),
            registry,
            (Arc::clone(&snapshot), vault),
            team.launch().cores.len(),
            resolver,
        );
        let (fleet, fleet_inbox) = FleetHandle::new(team.launch().cores.len(), names.clone());
        let draining = Arc::new(AtomicBool::new(false));
        let current = Arc::new(ArcSwap::new(snapshot));
        let parts = ControlParts {
            workers: team.counters(),
            samples: samples_of(&current, &team.launch().table),
            control: Arc::clone(&counters),
            draining: Arc::clone(&draining),
            fleet: fleet.clone(),
            token: config.control.token.clone(),
        };
        tokio::spawn(service(listener, parts));
        let supervisor = Self {
            team,
            overseer,
            counters,
            file,
            current,
            names,
            time: config.drain.time,
            deadline: config.drain.deadline,
            draining,
            signals: heeded,
            log,
            requests: requests.clone(),
            outcome: Outcome::default(),
        };
        let inboxes = Inboxes {
            requests: requests_inbox,
            exits: exits_inbox,
            fleet: fleet_inbox,
            events,
        };
        Ok((supervisor, inboxes, Ways { requests, fleet }))
    }

    /// Lives until every worker has drained, or until it is asked to stop a second time.
    pub(super) async fn supervise(mut self, mut inboxes: Inboxes) -> Outcome {
        let mut tick = tokio::time::interval(limits::FLEET_TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stops = 0;
        self.manager().ready("serving");
        while self.team.alive() > 0 || stops == 0 {
            match self.next(&mut inboxes, &mut tick).await {
                Wake::Asked(Some(Request::Tell(number, command))) => {
                    self.team.tell(number, command);
                }
                Wake::Asked(Some(Request::Restart(number))) => {
                    if stops == 0 {
                        self.restart(number).await;
                    }
                }
                Wake::Stop | Wake::Asked(Some(Request::Stop) | None) => {
                    stops += 1;
                    if stops > 1 {
                        self.quit(&mut inboxes.exits).await;
                        return self.outcome;
                    }
                    self.drain();
                }
                Wake::Reopen => {
                    if let Some(LogTask { orders, .. }) = &self.log {
                        let _ = orders.send(Order::Reopen).await;
                    }
                    if stops == 0 && self.file.is_some() {
                        self.hung_up();
                    }
                }
                Wake::Ended(number) => self.worker_ended(number, stops > 0),
                Wake::Fleet(request) => self.answer(request),
                Wake::Event(event) => {
                    let news = self.overseer.heard(event, Now::read());
                    self.tell(news);
                }
                Wake::Tick => {
                    let now = Now::read();
                    self.overseer.look(now);
                    let news = self.overseer.look_at_files(&self.counters, now);
                    self.tell(news);
                }
            }
            self.close_what_left();
        }
        if let Some(LogTask { orders, task }) = self.log.take() {
            let _ = orders.send(Order::Stop).await;
            let _ = task.await;
        }
        self.outcome
    }

    /// Who heeds the signals of the process also speaks for it; a Ringway inside another program does not.
    const fn manager(&self) -> Manager {
        Manager::new(self.signals.is_some())
    }

    async fn next(&mut self, inboxes: &mut Inboxes, tick: &mut Interval) -> Wake {
        tokio::select! {
            wake = next_signal(&mut self.signals) => wake,
            request = inboxes.requests.recv() => Wake::Asked(request),
            Some(number) = inboxes.exits.recv() => Wake::Ended(number),
            Some(request) = inboxes.fleet.recv() => Wake::Fleet(request),
            Some(event) = inboxes.events.recv() => Wake::Event(event),
            _ = tick.tick() => Wake::Tick,
        }
    }

    fn answer(&mut self, request: FleetRequest) {
        let now = Now::read();
        // Whoever asked may have left; the order was carried out all the same.
        match request {
            FleetRequest::Rows(answer) => {
                let _ = answer.send(self.overseer.rows(now));
            }
            FleetRequest::Change {
                pool,
                backend,
                change,
                answer,
            } => {
                let done = self.overseer.change((&pool, &backend), change, now);
                let done = done.map(|(row, news)| {
                    self.tell(news);
                    row
                });
                let _ = answer.send(done);
            }
            FleetRequest::Reload(answer) => {
                let _ = answer.send(self.reload());
            }
            FleetRequest::Ask { worker, question } => {
                self.team.tell(worker.into(), Command::Ask(question));
            }
        }
    }

    /// Reads the file again. A file with mistakes changes nothing.
    fn reload(&mut self) -> Result<Reloaded, ReloadRefused> {
        let file = self.file.as_ref().ok_or(ReloadRefused::NoFile)?;
        if self.draining.load(Ordering::Relaxed) {
            return Err(ReloadRefused::Gone);
        }
        let refused = |words: String| ReloadRefused::Mistakes(words);
        let config = config::load(file).map_err(|mistakes| refused(mistakes.to_string()))?;
        let (time, deadline) = (config.drain.time, config.drain.deadline);
        let followed = self.overseer.reload(config, Now::read());
        let Followed {
            news,
            needs_restart,
        } = followed.map_err(|full| refused(full.to_string()))?;
        (self.time, self.deadline) = (time, deadline);
        self.tell(news);
        Ok(Reloaded { needs_restart })
    }

    fn hung_up(&mut self) {
        self.manager().reloading();
        let done = self.reload();
        self.manager().ready(match done {
            Ok(_) => "serving",
            Err(_) => "serving; the last reload was refused",
        });
        match done {
            Ok(Reloaded { needs_restart }) if needs_restart.is_empty() => {
                tracing::info!("reloaded");
            }
            Ok(Reloaded { needs_restart }) => {
                let which = needs_restart.join(", ");
                tracing::warn!("reloaded, but changes of {which} hold only after a restart");
            }
            Err(error) => tracing::error!("cannot reload: {error}"),
        }
    }

    /// Tells every worker what is new. One whose mailbox is full has it told again until it takes it.
    fn tell(&mut self, news: News) {
        if let Some(snapshot) = news.snapshot {
            self.names.follow(&snapshot);
            self.current.store(Arc::clone(&snapshot));
            pairs::follow(&self.team.counters(), &snapshot);
            self.team.publish(snapshot);
        }
    }

    /// Closes the tunnels of backends that have left.
    fn close_what_left(&mut self) {
        self.team.publish_again();
        for command in self.overseer.take_closing() {
            if !self.team.tell_all(&command) {
                self.overseer.untold(&command);
            }
        }
    }

    fn drain(&mut self) {
        // Relaxed: the flag stands alone; an answer a moment late is as good.
        self.draining.store(true, Ordering::Relaxed);
        self.manager().stopping(self.deadline);
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

/// Waits for a signal.
async fn next_signal(signals: &mut Option<Heeded>) -> Wake {
    let Some((stops, hang_ups)) = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        signal = stops.next() => {
            tracing::info!("{}: going down", signal.label());
            Wake::Stop
        }
        () = hang_ups.next() => Wake::Reopen,
    }
}

fn heed(signals: Signals) -> Result<Option<Heeded>, StartError> {
    let failed = |what| move |error| StartError::System(what, error);
    match signals {
        Signals::Ignore => Ok(None),
        Signals::Heed => {
            let stops = StopSignals::listen().map_err(failed("cannot take over the signals"))?;
            let hang_ups = HangUps::listen().map_err(failed("cannot take over SIGHUP"))?;
            Ok(Some((stops, hang_ups)))
        }
    }
}

/// What asks the DNS as the system is told to. Without it the pools keep to the file.
fn resolver() -> Option<Resolver> {
    Resolver::system()
        .inspect_err(|error| tracing::error!("no name can be asked for: {error}"))
        .ok()
}

fn log_writer(
    config: &Config,
    names: &NameBook,
    counters: &Arc<ControlCounters>,
) -> Result<Option<Writer>, StartError> {
    let target = match &config.control.access_log {
        AccessLog::Off => return Ok(None),
        AccessLog::Stdout => Target::Stdout,
        AccessLog::File(path) => Target::File(path.clone()),
    };
    let system = |what| move |error| StartError::System(what, error);
    let bell = Arc::new(EventFd::new().map_err(system("cannot open the log's eventfd"))?);
    let names = Box::new(names.clone());
    let writer = LogWriter::open(target, Arc::clone(&bell), names, Arc::clone(counters))
        .map_err(system("control.access_log: cannot open the file"))?;
    Ok(Some((writer, bell)))
}

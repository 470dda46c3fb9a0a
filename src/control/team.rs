//! The workers as the control thread sees them: started, told things, noticed when they die.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::launch::{Launch, StartError};
use crate::access_log::{self, Drain};
use crate::config::Config;
use crate::fleet::Snapshot;
use crate::limits;
use crate::metrics::WorkerCounters;
use crate::relay::Goodbyes;
use crate::rng::Rng;
use crate::sync::Arc;
use crate::sys::eventfd::EventFd;
use crate::worker::{self, Command, Sender, Setup, WorkerLimits, mailbox};

/// All workers.
pub(super) struct Team {
    launch: Launch,
    limits: WorkerLimits,
    members: Vec<Member>,
    /// What rings when a record is logged; nothing without an access log.
    log_bell: Option<Arc<EventFd>>,
    exits: mpsc::UnboundedSender<usize>,
    rng: Rng,
}

struct Member {
    counters: Arc<WorkerCounters>,
    sender: Sender,
    /// Its mailbox had no room for the newest snapshot.
    is_behind: bool,
    thread: Option<JoinHandle<io::Result<Goodbyes>>>,
}

/// How a worker ended.
#[derive(Debug)]
pub(super) enum Exit {
    /// After a drain.
    Drained(Goodbyes),
    /// By an error of the system or by a panic, which this describes.
    Died(String),
}

impl Team {
    /// Starts every worker. `exits` hears the number of each that ends; the drains belong to the log.
    pub(super) fn start(
        launch: Launch,
        config: &Config,
        log_bell: Option<Arc<EventFd>>,
        exits: mpsc::UnboundedSender<usize>,
    ) -> Result<(Self, Vec<Drain>), StartError> {
        let limits = WorkerLimits {
            tunnels_max: config.workers.tunnels_max,
            handshakes_max: config.workers.handshakes_max,
        };
        let rng = Rng::seeded(crate::clock::unix_millis());
        let mut team = Self {
            launch,
            limits,
            members: Vec::new(),
            log_bell,
            exits,
            rng,
        };
        let mut drains = Vec::new();
        for number in 0..team.launch.cores.len() {
            let (ready, is_ready) = std::sync::mpsc::channel();
            let spawned = team.spawn(number, Arc::new(WorkerCounters::default()), Some(ready));
            let (member, drain) =
                spawned.map_err(|error| team.give_up(number, error.to_string()))?;
            team.members.push(member);
            drains.extend(drain);
            // A worker that cannot begin ends instead, and what it held its end of with it.
            if is_ready.recv().is_err() {
                let words = match team.collect(number) {
                    Exit::Died(words) => words,
                    Exit::Drained(_) => "it ended before it began".to_owned(),
                };
                return Err(team.give_up(number, words));
            }
        }
        Ok((team, drains))
    }

    /// Takes down the workers that have begun, because one could not.
    fn give_up(&mut self, number: usize, words: String) -> StartError {
        let now = Duration::ZERO;
        self.tell_all(&Command::Drain {
            time: now,
            deadline: now,
        });
        for number in 0..self.members.len() {
            self.collect(number);
        }
        StartError::Worker(number, words)
    }

    fn spawn(
        &mut self,
        number: usize,
        counters: Arc<WorkerCounters>,
        ready: Option<std::sync::mpsc::Sender<()>>,
    ) -> io::Result<(Member, Option<Drain>)> {
        let board = self.launch.board.as_ref();
        let bell = board.map(|board| board.bell(number)).transpose()?;
        let (sender, mailbox) = mailbox(bell)?;
        let log = self.log_bell.as_ref();
        let (recorder, drain) = log
            .map(|bell| access_log::channel(limits::ACCESS_LOG_RECORDS_MAX, bell))
            .unzip();
        let setup = Setup {
            number: u16::try_from(number).unwrap_or(u16::MAX),
            core: self.launch.cores[number],
            listeners: self.launch.listeners[number].clone(),
            limits: self.limits,
            ring: self.launch.ring,
            features: self.launch.features,
            snapshot: Arc::clone(&self.launch.snapshot),
            table: Arc::clone(&self.launch.table),
            counters: Arc::clone(&counters),
            recorder,
            mailbox,
            board: board.map(Arc::clone),
            seed: self.rng.next_u64(),
            ready,
        };
        let notice = Notice {
            number,
            exits: self.exits.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("ringway-{number}"))
            .spawn(move || {
                let _notice = notice;
                worker::run(setup)
            })?;
        Ok((
            Member {
                counters,
                sender,
                is_behind: false,
                thread: Some(thread),
            },
            drain,
        ))
    }

    /// Collects a worker that has ended.
    pub(super) fn collect(&mut self, number: usize) -> Exit {
        match self.members[number].thread.take().map(JoinHandle::join) {
            Some(Ok(Ok(goodbyes))) => Exit::Drained(goodbyes),
            Some(Ok(Err(error))) => Exit::Died(error.to_string()),
            Some(Err(panic)) => Exit::Died(words_of(&*panic)),
            None => Exit::Died("it was collected already".to_owned()),
        }
    }

    /// Starts a worker anew, on the same core and with the same listeners: what waited in their queues
    /// while it was gone is greeted by its successor.
    pub(super) fn restart(&mut self, number: usize) -> io::Result<Option<Drain>> {
        let counters = Arc::clone(&self.members[number].counters);
        counters.worker_restarts.add(1);
        let (member, drain) = self.spawn(number, counters, None)?;
        self.members[number] = member;
        Ok(drain)
    }

    /// Tells every worker; false if a mailbox was full. One that is dead has nobody to tell.
    pub(super) fn tell_all(&mut self, command: &Command) -> bool {
        let mut told = true;
        for member in self
            .members
            .iter_mut()
            .filter(|member| member.thread.is_some())
        {
            if !member.sender.send(command.clone()) {
                tracing::warn!("a worker's mailbox is full; it has not looked for a long time");
                told = false;
            }
        }
        told
    }

    /// Gives every worker this snapshot, those too that are started later. One whose mailbox is full gets it with
    /// [`Team::publish_again`].
    pub(super) fn publish(&mut self, snapshot: Arc<Snapshot>) {
        self.launch.snapshot = snapshot;
        for member in &mut self.members {
            member.is_behind = true;
        }
        self.publish_again();
    }

    /// Gives the newest snapshot to whoever does not have it yet.
    pub(super) fn publish_again(&mut self) {
        for member in self.members.iter_mut().filter(|member| member.is_behind) {
            let snapshot = Arc::clone(&self.launch.snapshot);
            // A dead one's successor begins with it.
            let told = member.thread.is_none() || member.sender.send(Command::Snapshot(snapshot));
            member.is_behind = !told;
        }
    }

    /// Tells one worker; false if it is dead or its mailbox full.
    pub(super) fn tell(&mut self, number: usize, command: Command) -> bool {
        let member = self.members.get_mut(number);
        member.is_some_and(|member| member.thread.is_some() && member.sender.send(command))
    }

    /// Workers whose thread was not collected.
    pub(super) fn alive(&self) -> usize {
        self.members
            .iter()
            .filter(|member| member.thread.is_some())
            .count()
    }

    pub(super) fn counters(&self) -> Vec<Arc<WorkerCounters>> {
        self.members
            .iter()
            .map(|member| Arc::clone(&member.counters))
            .collect()
    }

    /// Closes the listening sockets, so that the kernel refuses from now on.
    pub(super) fn stop_listening(&mut self) {
        self.launch.listeners.iter_mut().for_each(Vec::clear);
    }

    pub(super) const fn launch(&self) -> &Launch {
        &self.launch
    }
}

/// Rings when a worker's thread ends, however it ends.
struct Notice {
    number: usize,
    exits: mpsc::UnboundedSender<usize>,
}

impl Drop for Notice {
    fn drop(&mut self) {
        // Without a listener the whole process is on its way out.
        let _ = self.exits.send(self.number);
    }
}

/// What a panic said.
fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!(
        "it panicked: {}",
        text.as_deref().unwrap_or("without a word")
    )
}

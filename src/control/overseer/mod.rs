//! Keeps the fleet as the file, the DNS, the probes and the operators want it. Decides; the supervisor tells the
//! workers what it decided.

mod change;
mod departures;
mod members;
mod record;
mod rows;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{Semaphore, mpsc};

use super::probe::{Approach, Secure};
use super::vault::{Vault, VaultErrors, keep_secrets};
use crate::clock::{Now, unix_millis};
use crate::config::Config;
use crate::fleet::{BackendId, Registry, SlotTable, Snapshot, TableFull};
use crate::health::ProbeSettings;
use crate::limits;
use crate::metrics::ControlCounters;
use crate::sync::Arc;
use crate::worker::Command;

pub use change::{Change, ChangeRefused};
pub use rows::{BackendRow, ProbeRow};

use members::Members;
use record::Record;
pub(super) use tasks::Event;
use tasks::{ResolverMaker, Tasks};

/// The fleet as control sees it.
pub(super) struct Overseer {
    config: Config,
    /// What a restart would change is told against this.
    began_with: Config,
    registry: Registry,
    snapshot: Arc<Snapshot>,
    members: Members,
    /// What TLS was loaded.
    vault: Vault,
    /// Every backend of the snapshot, by its row.
    records: BTreeMap<BackendId, Record>,
    tasks: Tasks,
    /// Backends whose tunnels are to be closed, by how many a second on one worker; not told yet.
    closing: BTreeMap<u32, BTreeSet<BackendId>>,
    workers: u32,
    /// When the ends of tunnels are looked at again.
    next_look: Now,
}

/// What the workers must be told.
#[derive(Debug, Default)]
pub(super) struct News {
    /// A new snapshot.
    pub(super) snapshot: Option<Arc<Snapshot>>,
}

/// What came of a new file.
pub(super) struct Followed {
    /// What the workers must be told.
    pub(super) news: News,
    /// What differs from the start and holds only after a restart.
    pub(super) needs_restart: Vec<&'static str>,
}

/// Why a new file was not followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    /// It names more backends than there are rows.
    #[error(transparent)]
    Table(#[from] TableFull),
    /// TLS cannot be as it says.
    #[error(transparent)]
    Tls(#[from] VaultErrors),
}

impl Overseer {
    /// An overseer of this snapshot, which was made from `config` by `registry`. Its probes and its questions to
    /// the DNS begin; what they find comes out of the receiver, for [`Overseer::heard`].
    pub(super) fn start(
        config: Config,
        registry: Registry,
        (snapshot, vault): (Arc<Snapshot>, Vault),
        workers: usize,
        resolver: ResolverMaker,
    ) -> (Self, mpsc::Receiver<Event>) {
        let (events, inbox) = mpsc::channel(limits::FLEET_EVENTS_MAX);
        let mut overseer = Self {
            members: Members::default(),
            records: BTreeMap::new(),
            tasks: Tasks::new(
                events,
                Arc::new(Semaphore::new(limits::PROBES_AT_ONCE)),
                resolver,
            ),
            closing: BTreeMap::new(),
            workers: u32::try_from(workers).unwrap_or(u32::MAX).max(1),
            next_look: Now::read().after(limits::ABNORMAL_WINDOW),
            began_with: config.clone(),
            config,
            registry,
            snapshot,
            vault,
        };
        departures::say_missing(&overseer.config);
        overseer.follow(Now::read());
        overseer.tasks.ask_for(&overseer.config);
        (overseer, inbox)
    }

    fn table(&self) -> &Arc<SlotTable> {
        self.registry.table()
    }

    /// A probe or the DNS has something to say.
    pub(super) fn heard(&mut self, event: Event, now: Now) -> News {
        match event {
            Event::Probed(probed) => {
                if let Some(record) = self.records.get_mut(&probed.id)
                    && record.generation == probed.generation
                {
                    record.probed(probed, now);
                    let id = record.id;
                    self.settle(id, now);
                }
                News::default()
            }
            Event::Named(named) => {
                if self.members.answered(&self.config, named) {
                    self.publish(now)
                } else {
                    News::default()
                }
            }
        }
    }

    /// Looks, once a window, at how the tunnels of every backend have ended.
    pub(super) fn look(&mut self, now: Now) {
        if now < self.next_look {
            return;
        }
        self.next_look = now.after(limits::ABNORMAL_WINDOW);
        let table = Arc::clone(self.registry.table());
        for pool in &self.snapshot.pools {
            for member in pool.backends.iter() {
                if let Some(record) = self.records.get_mut(&member.id) {
                    record.look(pool, &table, now);
                }
            }
        }
    }

    /// The file has changed: everything that does not need a restart follows it.
    pub(super) fn reload(&mut self, config: Config, now: Now) -> Result<Followed, ReloadError> {
        if let Err(error) = keep_secrets(&config) {
            tracing::warn!("core dumps cannot be turned off: {error}");
        }
        let vault = Vault::load(&config, &self.vault, now)?;
        let needs_restart = self.began_with.needs_restart(&config);
        let before = (
            self.members.clone(),
            std::mem::replace(&mut self.config, config),
        );
        self.members.retain(&self.config);
        let made = self
            .members
            .snapshot(&self.config, &mut self.registry, &self.records);
        match made {
            Ok(snapshot) => {
                self.vault = vault;
                self.snapshot = Arc::new(self.furnished(snapshot));
                departures::say_missing(&self.config);
                self.follow(now);
                self.tasks.ask_for(&self.config);
                let news = News {
                    snapshot: Some(Arc::clone(&self.snapshot)),
                };
                Ok(Followed {
                    news,
                    needs_restart,
                })
            }
            Err(full) => {
                (self.members, self.config) = before;
                self.take_back();
                Err(full.into())
            }
        }
    }

    /// Makes a snapshot of what is known now.
    fn publish(&mut self, now: Now) -> News {
        let made = self
            .members
            .snapshot(&self.config, &mut self.registry, &self.records);
        match made {
            Ok(snapshot) => {
                self.snapshot = Arc::new(self.furnished(snapshot));
                self.follow(now);
                News {
                    snapshot: Some(Arc::clone(&self.snapshot)),
                }
            }
            Err(full) => {
                tracing::error!("the set of backends stays as it is: {full}");
                self.take_back();
                News::default()
            }
        }
    }

    /// A snapshot with what TLS was loaded.
    fn furnished(&self, mut snapshot: Snapshot) -> Snapshot {
        let (listening, config) = (&self.began_with, &self.config);
        self.vault.furnish(listening, config, &mut snapshot);
        snapshot
    }

    /// Loads certificates and the like again if their files have changed. What cannot be loaded changes nothing: the
    /// old ones stay, and that is said and counted.
    pub(super) fn look_at_files(&mut self, counters: &ControlCounters, now: Now) -> News {
        let unix_seconds = i64::try_from(unix_millis() / 1000).unwrap_or(i64::MAX);
        for words in self.vault.reminders(now, unix_seconds) {
            tracing::warn!("{words}");
        }
        if !self.vault.has_changed(&self.config, now) {
            return News::default();
        }
        match Vault::load(&self.config, &self.vault, now) {
            Ok(vault) => {
                counters.tls_loads.add(1);
                tracing::info!("certificates were loaded again");
                self.vault = vault;
                self.publish(now)
            }
            Err(errors) => {
                counters.tls_load_failures.add(1);
                for error in &errors.0 {
                    tracing::error!("the old certificates stay: {error}");
                }
                News::default()
            }
        }
    }

    /// Takes back the rows that a snapshot which was not to be had been given.
    fn take_back(&mut self) {
        let pools = self.snapshot.pools.iter();
        let stays: BTreeSet<_> = pools
            .flat_map(|pool| pool.backends.iter())
            .map(|member| member.id)
            .collect();
        self.registry.retain(|id| stays.contains(&id));
    }

    /// Brings records, rows and probes in line with the snapshot.
    fn follow(&mut self, now: Now) {
        let mut gone = std::mem::take(&mut self.records);
        let begins = gone.is_empty();
        let snapshot = Arc::clone(&self.snapshot);
        for (pool, place) in snapshot.pools.iter().zip(0..) {
            let settings = &self.config.pools[place];
            let probe: Option<ProbeSettings> = settings.probe.clone();
            let connector = self.vault.connector(&pool.name);
            let connector = connector.filter(|_| settings.probe_tls).cloned();
            for member in pool.backends.iter() {
                let known = gone.remove(&member.id);
                let known = known.filter(|record| record.generation == member.generation);
                if known.is_none() && !begins {
                    // It joins others who carry tunnels already, so it is filled as slowly as one that came up.
                    self.table().rose(member.id, now);
                }
                let mut record = known.unwrap_or_else(|| Record::new(pool, member));
                record.follows(pool, member, probe.is_some());
                let verdict = record.verdict();
                self.records.insert(member.id, record);
                self.settle(member.id, now);
                let secure = connector.as_ref();
                let secure = secure.map(|connector| Secure::new(connector, member.host()));
                let approach = Approach {
                    secure,
                    sources: pool.source_addresses.clone(),
                };
                self.tasks
                    .probe(member, (probe.as_ref(), approach), verdict);
            }
        }
        for (id, mut record) in gone {
            self.tasks.stop_probing(id);
            record.is_removed = true;
            self.records.insert(id, record);
            self.settle(id, now);
            self.records.remove(&id);
        }
    }

    /// Writes into a backend's row what follows from its record, and sees to its tunnels if it has left.
    fn settle(&mut self, id: BackendId, now: Now) {
        let table = Arc::clone(self.table());
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        let Some(left) = record.settle(&table, now) else {
            return;
        };
        let per_second = (left.close_per_second / self.workers).max(1);
        self.closing.entry(per_second).or_default().insert(id);
    }

    /// Takes the commands that close tunnels; what cannot be told now goes back with [`Overseer::untold`].
    pub(super) fn take_closing(&mut self) -> Vec<Command> {
        let closing = std::mem::take(&mut self.closing);
        let commands = closing
            .into_iter()
            .map(|(per_second, backends)| Command::Close {
                backends: backends.into_iter().collect(),
                per_second,
            });
        commands.collect()
    }

    /// A worker's mailbox was full: its tunnels are closed with the next round.
    pub(super) fn untold(&mut self, command: &Command) {
        if let Command::Close {
            backends,
            per_second,
        } = command
        {
            self.closing
                .entry(*per_second)
                .or_default()
                .extend(backends.iter());
        }
    }
}

#[cfg(test)]
mod tests;

//! Who belongs to which pool: what the file names, and what the DNS last answered for its names.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::record::Record;
use super::tasks::Named;
use crate::config::{BackendSettings, Config, NameSettings, PoolSettings};
use crate::fleet::{BackendId, Registry, Snapshot, TableFull, Weight};
use crate::limits;

/// The last good answer for each name of each pool.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    answers: HashMap<Key, Vec<BackendSettings>>,
}

type Key = (String, NameSettings);

impl Members {
    /// Takes an answer over; true if it changes anything. A failed or empty answer changes nothing: a fleet does
    /// not vanish because its DNS did.
    pub(super) fn answered(&mut self, config: &Config, named: Named) -> bool {
        let Named { pool, name, answer } = named;
        let asked = config.pools.iter().find(|settings| settings.name == pool);
        if !asked.is_some_and(|settings| settings.names.contains(&name)) {
            return false;
        }
        let key = (pool, name);
        let (pool, name) = (&key.0, &key.1.name);
        match answer {
            Ok(answer) => {
                if answer.dropped > 0 {
                    tracing::warn!(
                        pool,
                        name,
                        "the DNS names {} backends more than the {} that are taken from one name",
                        answer.dropped,
                        limits::DNS_MEMBERS_MAX
                    );
                }
                if self.answers.get(&key) == Some(&answer.backends) {
                    return false;
                }
                tracing::info!(
                    pool,
                    name,
                    "the DNS names {} backends",
                    answer.backends.len()
                );
                self.answers.insert(key, answer.backends);
                true
            }
            Err(error) => {
                let kept = self.answers.get(&key).map_or(0, Vec::len);
                tracing::warn!(pool, name, "{error}; keeping the last good {kept} backends");
                false
            }
        }
    }

    /// Forgets the answers for names that are not asked for any more.
    pub(super) fn retain(&mut self, config: &Config) {
        let asked = |(pool, name): &Key| {
            let settings = config.pools.iter().find(|settings| settings.name == *pool);
            settings.is_some_and(|settings| settings.names.contains(name))
        };
        self.answers.retain(|key, _| asked(key));
    }

    /// A snapshot of `config` with these members.
    pub(super) fn snapshot(
        &self,
        config: &Config,
        registry: &mut Registry,
        records: &BTreeMap<BackendId, Record>,
    ) -> Result<Snapshot, TableFull> {
        let own: HashMap<_, _> = records
            .values()
            .filter_map(|record| {
                let weight = record.own_weight.and_then(Weight::new)?;
                Some(((&*record.pool, record.address), weight))
            })
            .collect();
        let mut room = limits::BACKENDS_MAX;
        let mut sets: Vec<_> = config.pools.iter().map(|pool| self.of(pool)).collect();
        for (pool, set) in config.pools.iter().zip(&mut sets) {
            if set.len() > room {
                tracing::warn!(
                    pool = pool.name,
                    "{} of its backends are left out: {} are all there may be",
                    set.len() - room,
                    limits::BACKENDS_MAX
                );
                set.truncate(room);
            }
            room -= set.len();
            for backend in set {
                if let Some(weight) = own.get(&(&*pool.name, backend.address)) {
                    backend.weight = *weight;
                }
            }
        }
        config.snapshot_with(registry, &|place| sets[place].clone())
    }

    /// The members of one pool: the file's first, then each address that only the DNS names.
    fn of(&self, pool: &PoolSettings) -> Vec<BackendSettings> {
        let mut known: HashSet<_> = pool
            .backends
            .iter()
            .map(|backend| backend.address)
            .collect();
        let mut all = pool.backends.clone();
        for name in &pool.names {
            let answer = self.answers.get(&(pool.name.clone(), name.clone()));
            let fresh = answer.into_iter().flatten();
            all.extend(fresh.filter(|backend| known.insert(backend.address)));
        }
        all
    }
}

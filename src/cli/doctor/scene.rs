//! What the checks judge by: the host, the load that was named, where workers run and where the scripts are.

use std::collections::BTreeSet;

use super::tuning::{Profile, Script, Tuning};
use crate::config::Cores;
use crate::sys::host::{Card, Host};

pub(in crate::cli) struct Scene<'a> {
    pub(in crate::cli) host: &'a Host,
    pub(in crate::cli) tunnels: u64,
    pub(in crate::cli) backends: u64,
    /// Source addresses that tunnels to one backend are dialled from.
    pub(in crate::cli) sources: u64,
    /// The processors that have a worker.
    pub(in crate::cli) cores: BTreeSet<u16>,
    pub(in crate::cli) tuning: Tuning,
}

impl Scene<'_> {
    pub(in crate::cli) fn tunnels_per_backend(&self) -> u64 {
        self.tunnels.div_ceil(self.backends.max(1))
    }

    pub(super) fn is_for(&self, profile: Profile) -> bool {
        self.tuning.profile() == profile
    }

    pub(super) fn apply(&self, script: Script) -> String {
        self.tuning.apply(script)
    }

    /// For what only these profiles of a script touch.
    pub(super) fn apply_as_one_of(&self, script: Script, profiles: &[Profile]) -> String {
        self.tuning.apply_as_one_of(script, profiles)
    }

    /// For what grows with the tunnels.
    pub(super) fn apply_for_tunnels(&self, script: Script) -> String {
        self.tuning.apply_for(script, self.tunnels)
    }

    /// The command that tunes one card for the processors that have a worker.
    pub(super) fn apply_to(&self, script: Script, card: &Card) -> String {
        let cores: Vec<String> = self.cores.iter().map(u16::to_string).collect();
        let command = self.tuning.apply_to(script, &card.name);
        format!("{command} --cores {}", cores.join(","))
    }
}

/// The processors that get a worker, as a configuration wishes.
pub(in crate::cli) fn worker_cores(wish: &Cores, allowed: &[u16]) -> BTreeSet<u16> {
    match wish {
        Cores::Auto => allowed.iter().copied().collect(),
        Cores::Count(count) => allowed.iter().copied().take((*count).into()).collect(),
        Cores::List(list) => list.iter().copied().collect(),
    }
}

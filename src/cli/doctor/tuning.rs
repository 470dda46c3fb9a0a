//! The scripts that tune a host, and the commands that run them.

use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;

/// What a host is tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// As many tunnels as there is memory for, each of them quiet most of the time.
    #[default]
    ManyIdle,
    /// Every message at once, whatever it costs in power.
    LowLatency,
    /// As many bytes as the cards carry.
    Throughput,
}

impl Profile {
    /// Its name on a command line.
    pub(in crate::cli) const fn name(self) -> &'static str {
        match self {
            Self::ManyIdle => "many-idle",
            Self::LowLatency => "low-latency",
            Self::Throughput => "throughput",
        }
    }
}

/// A script of `tuning/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Script {
    Sockets,
    TcpMemory,
    Ports,
    Limits,
    Nic,
    Irq,
    Cpu,
    Numa,
    HugePages,
    BusyPoll,
    Conntrack,
    Congestion,
    All,
}

impl Script {
    #[cfg(test)]
    pub(in crate::cli) const EVERY: [Self; 13] = [
        Self::Sockets,
        Self::TcpMemory,
        Self::Ports,
        Self::Limits,
        Self::Nic,
        Self::Irq,
        Self::Cpu,
        Self::Numa,
        Self::HugePages,
        Self::BusyPoll,
        Self::Conntrack,
        Self::Congestion,
        Self::All,
    ];

    pub(in crate::cli) const fn file(self) -> &'static str {
        match self {
            Self::Sockets => "sockets.sh",
            Self::TcpMemory => "tcp-memory.sh",
            Self::Ports => "ports.sh",
            Self::Limits => "limits.sh",
            Self::Nic => "nic.sh",
            Self::Irq => "irq.sh",
            Self::Cpu => "cpu.sh",
            Self::Numa => "numa.sh",
            Self::HugePages => "hugepages.sh",
            Self::BusyPoll => "busy-poll.sh",
            Self::Conntrack => "conntrack.sh",
            Self::Congestion => "congestion.sh",
            Self::All => "all.sh",
        }
    }
}

/// Where the scripts are, and what they are run for.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Tuning {
    folder: &'static str,
    profile: Profile,
}

impl Tuning {
    /// The scripts of the package if it is installed, else those of the source tree.
    pub(in crate::cli) fn found(profile: Profile) -> Self {
        let folder = if Path::new(INSTALLED).is_dir() {
            INSTALLED
        } else {
            "tuning"
        };
        Self { folder, profile }
    }

    #[cfg(test)]
    pub(in crate::cli) const fn of_the_tree(profile: Profile) -> Self {
        Self {
            folder: "tuning",
            profile,
        }
    }

    pub(in crate::cli) const fn profile(&self) -> Profile {
        self.profile
    }

    /// The command that tunes one subject.
    pub(in crate::cli) fn apply(&self, script: Script) -> String {
        self.apply_as(script, self.profile)
    }

    /// The same where only some profiles touch what is wrong: the one that was asked for, or else the first of them.
    pub(in crate::cli) fn apply_as_one_of(&self, script: Script, profiles: &[Profile]) -> String {
        let asked = profiles.iter().find(|profile| **profile == self.profile);
        self.apply_as(script, *asked.or(profiles.first()).unwrap_or(&self.profile))
    }

    /// The same for so many tunnels.
    pub(in crate::cli) fn apply_for(&self, script: Script, tunnels: u64) -> String {
        format!("{} --tunnels {tunnels}", self.apply(script))
    }

    fn apply_as(&self, script: Script, profile: Profile) -> String {
        let (folder, file, profile) = (self.folder, script.file(), profile.name());
        format!("sudo {folder}/{file} apply --profile {profile}")
    }

    /// The same for one card.
    pub(in crate::cli) fn apply_to(&self, script: Script, interface: &str) -> String {
        format!("{} --interface {interface}", self.apply(script))
    }
}

/// Where packages put the scripts.
const INSTALLED: &str = "/usr/share/ringway/tuning";

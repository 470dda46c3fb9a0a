//! The one unpinned thread: supervises workers, keeps the fleet, heeds signals, writes the log file.

mod discovery;
mod launch;
pub mod log_writer;
mod manager;
mod names;
mod overseer;
mod pairs;
#[cfg(test)]
pub(crate) mod papers;
mod probe;
mod requests;
mod running;
mod samples;
pub mod signals;
mod supervisor;
mod team;
mod tunnels;
mod vault;

pub use launch::StartError;
pub use overseer::{BackendRow, Change, ChangeRefused, ProbeRow};
pub use requests::{FleetHandle, ReloadRefused, Reloaded};
pub use running::{ControlParts, Outcome, Running, Service, Signals};
pub use tunnels::{
    AskRefused, Carried, NoTunnelId, OpenTunnel, SeenFrame, TunnelId, TunnelList, TunnelQuery,
    TunnelTail,
};
pub use vault::{
    Life, ShownCertificate, TlsReport, VaultError, VaultErrors, check_tls, examine_tls,
};

//! What TLS goes by: certificates, ticket keys and the authorities of backends, loaded from their files whole or not at
//! all, and loaded again when the files change.

mod certificate;
mod loading;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::clock::Now;
use crate::config::Config;
use crate::fleet::{Door, Snapshot, TlsDoor};
use crate::limits;
use crate::sync::Arc;
use crate::sys;
use crate::tls::{
    Acceptor, CertificateFact, Connector, ListenerTls, LoadError, RevocationFact, Roots,
    TicketKeys, Tickets,
};

pub use certificate::{Life, ShownCertificate};

/// Everything that was loaded, by the names in the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Vault {
    listeners: BTreeMap<String, Kept>,
    pools: BTreeMap<String, KeptPool>,
    /// How the files looked when they were last looked at, whether they could be loaded or not.
    seen: Vec<(PathBuf, Stamp)>,
    next_look: Now,
    /// When certificates that are not good for long are named again.
    next_reminder: Now,
}

/// A listener's TLS.
#[derive(Debug, Clone)]
struct Kept {
    settings: ListenerTls,
    tickets: TicketKeys,
    acceptor: Acceptor,
    certificates: Arc<[CertificateFact]>,
    revocations: Vec<RevocationFact>,
}

/// A pool's TLS.
#[derive(Debug, Clone)]
struct KeptPool {
    connector: Connector,
    /// What its backends are shown, if anything.
    certificate: Option<CertificateFact>,
}

/// Why something was not loaded: whose it is, and what is wrong with which file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {error}")]
pub struct VaultError {
    /// The setting, such as `listeners.public.tls.certificates[0]`.
    pub place: String,
    /// What is wrong.
    pub error: LoadError,
}

/// Everything that was not loaded; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultErrors(pub Vec<VaultError>);

/// What the files of TLS say about themselves, and everything that is wrong with them.
#[derive(Debug, Default)]
pub struct TlsReport {
    /// Certificates that are shown to clients and backends.
    pub certificates: Vec<ShownCertificate>,
    /// Revocation lists for the certificates of clients.
    pub revocations: Vec<RevocationFact>,
    /// What cannot be loaded. Of what stands beside it in the same listener or pool, the rest is known all the same.
    pub mistakes: Vec<VaultError>,
}

/// Loads everything that TLS goes by, as a start would, and says what is found.
pub fn examine_tls(config: &Config) -> TlsReport {
    let (vault, mistakes) = Vault::load_all(config, &Vault::default(), Now::read());
    let mut certificates: Vec<_> = vault.certificates().collect();
    for (place, files) in loading::certificates_named(config) {
        let is_known = certificates.iter().any(|shown| shown.place == place);
        // Its neighbours could not be loaded; what is wrong with itself has been said.
        if !is_known && let Ok(fact) = loading::fact_of(files) {
            certificates.push(ShownCertificate { place, fact });
        }
    }
    let kept = vault.listeners.values();
    TlsReport {
        certificates,
        revocations: kept.flat_map(|kept| kept.revocations.clone()).collect(),
        mistakes,
    }
}

/// Everything that TLS goes by and cannot be loaded, each with its place.
pub fn check_tls(config: &Config) -> Vec<String> {
    let (_, mistakes) = Vault::load_all(config, &Vault::default(), Now::read());
    mistakes.iter().map(ToString::to_string).collect()
}

/// Before the first key is read: no core dump of this process from now on, whoever else is in it, if the configuration
/// has any TLS. It stays so when a reload takes TLS away, as keys may stand in memory still.
pub(super) fn keep_secrets(config: &Config) -> io::Result<()> {
    if config.speaks_tls() {
        sys::forbid_dumps()
    } else {
        Ok(())
    }
}

/// What tells that a file has changed. Length and inode besides the time, as a copy may keep that.
type Stamp = Option<(SystemTime, u64, u64)>;

impl Vault {
    /// Loads everything that `config` names, or says all that is wrong with it. The ticket keys of `before` go on where
    /// their settings are the same, so that a reload costs nobody a full handshake.
    pub(super) fn load(config: &Config, before: &Self, now: Now) -> Result<Self, VaultErrors> {
        match Self::load_all(config, before, now) {
            (vault, mistakes) if mistakes.is_empty() => Ok(vault),
            (_, mistakes) => Err(VaultErrors(mistakes)),
        }
    }

    /// What could be loaded, and what could not.
    fn load_all(config: &Config, before: &Self, now: Now) -> (Self, Vec<VaultError>) {
        // Looked at before they are read: what changes meanwhile is seen with the next look.
        let seen = stamps(config);
        let mut vault = Self {
            seen,
            next_look: now.after(limits::TLS_FILES_LOOK),
            next_reminder: now,
            ..Self::default()
        };
        let mut mistakes = Vec::new();
        for listener in &config.listeners {
            let Some(settings) = &listener.tls else {
                continue;
            };
            let known = before.listeners.get(&listener.name);
            let place = format!("listeners.{}.tls", listener.name);
            match loading::listener(&place, settings, known, now) {
                Ok(kept) => {
                    vault.listeners.insert(listener.name.clone(), kept);
                }
                Err(wrong) => mistakes.extend(wrong),
            }
        }
        for pool in &config.pools {
            let Some(settings) = &pool.tls else { continue };
            let place = format!("pools.{}.tls", pool.name);
            match loading::pool(&place, settings) {
                Ok(kept) => {
                    vault.pools.insert(pool.name.clone(), kept);
                }
                Err(wrong) => mistakes.extend(wrong),
            }
        }
        (vault, mistakes)
    }

    /// Puts what was loaded where the workers find it. `listening` is the configuration by which the listeners were
    /// opened, as their numbers go by it.
    pub(super) fn furnish(&self, listening: &Config, config: &Config, snapshot: &mut Snapshot) {
        let doors = listening.listeners.iter().flat_map(|opened| {
            let named = |one: &&crate::config::Listener| one.name == opened.name;
            let settings = config.listeners.iter().find(named).unwrap_or(opened);
            let kept = self.listeners.get(&opened.name);
            let tls = kept.map(|kept| TlsDoor {
                acceptor: kept.acceptor.clone(),
                handshake_timeout: kept.settings.handshake_timeout,
                hsts: settings.hsts.as_deref().map(Arc::from),
                listener: Arc::from(&*opened.name),
                certificates: Arc::clone(&kept.certificates),
            });
            let door = Door {
                redirect_to_https: settings.redirect_to_https.filter(|_| tls.is_none()),
                tls,
            };
            opened.addresses.iter().map(move |_| door.clone())
        });
        snapshot.doors = doors.collect();
        for pool in &mut snapshot.pools {
            let kept = self.pools.get(&*pool.name);
            pool.connector = kept.map(|kept| kept.connector.clone());
        }
    }

    /// TLS to the backends of a pool, if it was loaded.
    pub(super) fn connector(&self, pool: &str) -> Option<&Connector> {
        self.pools.get(pool).map(|kept| &kept.connector)
    }

    /// Replaces ticket keys that are old, and says whether it is time to look at the files and any has changed.
    pub(super) fn has_changed(&mut self, config: &Config, now: Now) -> bool {
        for kept in self.listeners.values() {
            kept.tickets.rotate(now);
        }
        if self.is_empty() || now < self.next_look {
            return false;
        }
        self.next_look = now.after(limits::TLS_FILES_LOOK);
        let seen = stamps(config);
        let changed = seen != self.seen;
        self.seen = seen;
        changed
    }

    /// What is to be said about certificates that are not good, or not for long: at the first question after they were
    /// loaded, and once a day from then on.
    pub(super) fn reminders(&mut self, now: Now, unix_seconds: i64) -> Vec<String> {
        if now < self.next_reminder {
            return Vec::new();
        }
        self.next_reminder = now.after(limits::CERTIFICATE_REMINDER);
        let shown = self.certificates();
        let short = shown.filter(|shown| shown.life(unix_seconds) != Life::Good);
        short.map(|shown| shown.words(unix_seconds)).collect()
    }

    /// Every certificate that is shown to somebody.
    fn certificates(&self) -> impl Iterator<Item = ShownCertificate> {
        let listeners = self.listeners.iter().flat_map(|(name, kept)| {
            let facts = kept.certificates.iter().enumerate();
            facts.map(move |(place, fact)| ShownCertificate {
                place: loading::place_at(&format!("listeners.{name}.tls"), place),
                fact: fact.clone(),
            })
        });
        let pools = self.pools.iter().filter_map(|(name, kept)| {
            Some(ShownCertificate {
                place: format!("pools.{name}.tls.certificate"),
                fact: kept.certificate.clone()?,
            })
        });
        listeners.chain(pools)
    }

    fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.pools.is_empty()
    }
}

impl fmt::Display for VaultErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for VaultErrors {}

/// All files that TLS goes by, as they look now.
fn stamps(config: &Config) -> Vec<(PathBuf, Stamp)> {
    let mut files = Vec::new();
    for settings in config.listeners.iter().filter_map(|one| one.tls.as_ref()) {
        for certificate in &settings.certificates {
            files.extend([certificate.chain.clone(), certificate.key.clone()]);
        }
        if let Tickets::File(path) = &settings.tickets {
            files.push(path.clone());
        }
        if let Some(clients) = &settings.clients {
            files.push(clients.authorities.clone());
            files.extend(clients.revoked.clone());
        }
    }
    for settings in config.pools.iter().filter_map(|one| one.tls.as_ref()) {
        if let Roots::File(path) = &settings.roots {
            files.push(path.clone());
        }
        if let Some(certificate) = &settings.certificate {
            files.extend([certificate.chain.clone(), certificate.key.clone()]);
        }
    }
    let stamped = files.into_iter().map(|path| {
        let stamp = stamp(&path);
        (path, stamp)
    });
    stamped.collect()
}

fn stamp(path: &std::path::Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len(), data.ino()))
}

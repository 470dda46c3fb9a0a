//! What greets the clients of a listener: certificates, tickets and rules, loaded once and shared by all workers.

use std::fmt;
use std::path::Path;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ServerConnection};

use super::super::settings::{ListenerTls, Suite, Tickets};
use super::clients::{self, Clients, RevocationFact};
use super::names::ByName;
use super::provider::{HTTP_1_1, provider, versions};
use super::tap::Tap;
use super::tickets::TicketKeys;
use super::{CertificateFact, LoadError, certificates};
use crate::sync::Arc;

/// Greets the clients of a listener. Cloning is cheap.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    names: Arc<ByName>,
}

/// An acceptor, and what its files say about themselves.
#[derive(Debug)]
pub struct Loaded {
    /// Greets the clients.
    pub acceptor: Acceptor,
    /// Our certificates, in the order of the configuration. Those that are expired or not yet good are among them.
    pub certificates: Vec<CertificateFact>,
    /// The revocation lists for certificates of clients.
    pub revocations: Vec<RevocationFact>,
}

impl Acceptor {
    /// Reads all files, and refuses what could never work.
    pub fn load(wanted: &ListenerTls, keys: &TicketKeys) -> Result<Loaded, LoadError> {
        check_suites(&wanted.suites)?;
        let provider = provider(&wanted.suites);
        let loaded: Vec<_> = wanted
            .certificates
            .iter()
            .map(|files| certificates::load(files, &provider))
            .collect::<Result<_, _>>()?;
        let unused = loaded
            .iter()
            .skip(1)
            .find(|loaded| loaded.fact.names.is_empty());
        if let Some(unused) = unused {
            return Err(LoadError::new(
                &unused.fact.chain_path,
                "a certificate with DNS names or addresses",
                "none in it",
                "only the first certificate of a listener may be for no name: no client would get this one",
            ));
        }
        let clients = match &wanted.clients {
            Some(clients) => clients::load(clients, &provider)?,
            None => Clients::anybody(),
        };
        let revocations = clients.revocations.clone();
        Ok(Loaded {
            acceptor: Self::of(wanted, &loaded, provider, clients, keys)?,
            certificates: loaded.into_iter().map(|loaded| loaded.fact).collect(),
            revocations,
        })
    }

    /// Puts together what was read.
    pub(super) fn of(
        wanted: &ListenerTls,
        certificates: &[certificates::Loaded],
        provider: Arc<CryptoProvider>,
        clients: Clients,
        keys: &TicketKeys,
    ) -> Result<Self, LoadError> {
        let names = ByName::new(certificates, wanted.unknown_name)
            .ok_or_else(|| LoadError::new(Path::new(""), "at least one certificate", "none", ""))?;
        let names = Arc::new(names);
        let config = config(wanted, provider, Arc::clone(&names), clients, keys)?;
        Ok(Self {
            config: Arc::new(config),
            names,
        })
    }

    /// A greeting of rustls's; buffered, for that one never has to be given the same bytes twice.
    pub(super) fn connection(&self) -> Result<ServerConnection, rustls::Error> {
        ServerConnection::new(Arc::clone(&self.config))
    }

    /// Whether a client that names this host is refused.
    pub(super) fn refuses(&self, host: &str) -> bool {
        self.names.refuses(host)
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acceptor").field(&self.names).finish()
    }
}

pub(super) fn check_suites(suites: &[Suite]) -> Result<(), LoadError> {
    if suites.is_empty() {
        return Err(LoadError::new(
            Path::new(""),
            "at least one cipher",
            "none",
            "",
        ));
    }
    Ok(())
}

fn config(
    wanted: &ListenerTls,
    provider: Arc<CryptoProvider>,
    names: Arc<ByName>,
    clients: Clients,
    keys: &TicketKeys,
) -> Result<ServerConfig, LoadError> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(wanted.min_version))
        .map_err(|error| {
            LoadError::new(
                Path::new(""),
                "versions and ciphers that go together",
                error.to_string(),
                "",
            )
        })?
        .with_client_cert_verifier(clients.verifier)
        .with_cert_resolver(names);
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    // Our order of ciphers: a phone without AES in hardware pays with a fraction of a millisecond a message, a server
    // that does 100,000 of them pays with cores.
    config.ignore_client_order = true;
    config.key_log = Arc::new(Tap);
    config.enable_secret_extraction = true;
    // 0-RTT can be replayed by anybody who saw it.
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    // Every client that knows the extended master secret gets it. Requiring it (RFC 7627) would lock out OpenSSL 1.0.2
    // and what was built with it. The attack that it ends needs renegotiation or channel binding; we have neither.
    config.require_ems = false;
    // Sessions live in tickets alone: a table would have to be shared by workers and processes.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    if wanted.tickets != Tickets::Off
        && let Some(sealer) = keys.sealer(clients.scope)
    {
        config.ticketer = Arc::new(sealer);
        // Each costs 3 µs, and a tunnel that comes back needs one.
        config.send_tls13_tickets = 1;
    }
    Ok(config)
}

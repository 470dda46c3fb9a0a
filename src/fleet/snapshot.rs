//! What is configured, whole and immutable, as the workers see it.

use std::time::Duration;

use ipnet::IpNet;

use super::ids::PoolId;
use super::pool::Pool;
use super::route::RouteTable;
use crate::sync::Arc;
use crate::tls::{Acceptor, CertificateFact};

/// Everything a worker needs to know to greet a client. Shared as an `Arc`; a change is a new snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Pools, each at the place its [`PoolId`] names.
    pub pools: Vec<Pool>,
    /// Which pool a host and path lead to.
    pub routes: RouteTable,
    /// Peers whose `X-Forwarded-*` are believed (security rule 9).
    pub trusted_proxies: Vec<IpNet>,
    /// What stands behind each listening address, at the place its number names; a number past the end is a listener in
    /// the clear.
    pub doors: Vec<Door>,
    /// How long a client may take for its whole request head.
    pub head_timeout: Duration,
    /// What one source address may hold (security rule 16).
    pub source_limits: SourceLimits,
}

/// What a listener does before it listens to a request.
#[derive(Debug, Clone, Default)]
pub struct Door {
    /// TLS, if it speaks it.
    pub tls: Option<TlsDoor>,
    /// Clients in the clear are sent on to this port by HTTPS (308).
    pub redirect_to_https: Option<u16>,
}

/// TLS at a listener.
#[derive(Debug, Clone)]
pub struct TlsDoor {
    /// Greets.
    pub acceptor: Acceptor,
    /// From the accept to the end of the handshake.
    pub handshake_timeout: Duration,
    /// What `Strict-Transport-Security` says, if anything (RFC 6797).
    pub hsts: Option<Arc<str>>,
    /// What the listener is called.
    pub listener: Arc<str>,
    /// Its certificates, as far as metrics and people want to know them.
    pub certificates: Arc<[CertificateFact]>,
}

/// Bounds for one source address, an IPv6 source being a whole /64. `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceLimits {
    /// Connections open at once.
    pub connections: Option<u32>,
    /// Handshakes in flight at once.
    pub handshakes: Option<u32>,
    /// New connections in one second.
    pub new_connections_per_second: Option<u32>,
}

impl Snapshot {
    /// The pool with this id, which came from a route of this snapshot.
    pub fn pool(&self, id: PoolId) -> &Pool {
        &self.pools[id.index()]
    }

    /// What `Strict-Transport-Security` says at this listener.
    pub fn hsts(&self, listener: u32) -> Option<&str> {
        self.tls(listener)?.hsts.as_deref()
    }

    /// Where a client is sent on to that came in the clear to a listener which does that.
    pub fn redirect_of(&self, listener: u32, host: &str, target: &str) -> Option<String> {
        let port = self.doors.get(listener as usize)?.redirect_to_https?;
        // An IPv6 address has colons of its own, in brackets.
        let name = match host.rfind(':') {
            Some(colon) if !host[colon..].contains(']') => &host[..colon],
            _ => host,
        };
        let port = if port == 443 {
            String::new()
        } else {
            format!(":{port}")
        };
        Some(format!("https://{name}{port}{target}"))
    }

    /// TLS at the listener with this number.
    pub fn tls(&self, listener: u32) -> Option<&TlsDoor> {
        self.doors.get(listener as usize)?.tls.as_ref()
    }
}

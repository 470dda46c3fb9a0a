//! One question to one backend: does it take a connection, answer a GET, answer a ping? Knows no verdict and no past.
//!
//! What a backend answers is hostile input: heads, bodies and frames are read up to a bound, and nothing outlives the
//! future. Dropping it closes the socket, because no task is spawned.

mod http;
mod tcp;
#[cfg(test)]
mod tests;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use crate::clock::Now;
use crate::health::{ProbeKind, ProbeSettings};
use crate::limits::PROBE_GOODBYE;
use crate::rng::Rng;

/// What a good probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probed {
    /// How long the probe took; for a WebSocket the ping's round trip.
    pub(super) took: Duration,
}

/// Why a probe is bad. The backend is to blame for each but [`Self::Ours`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProbeFailure {
    /// It takes no connection.
    #[error("it takes no connection: {0}")]
    Refused(io::ErrorKind),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    Timeout,
    /// It ended the connection before its answer was whole.
    #[error("it closed the connection before its answer was whole")]
    Closed,
    /// It answered, but not what is expected.
    #[error("{0}")]
    BadAnswer(String),
    /// This machine could not ask; that says nothing about the backend.
    #[error("Ringway could not ask it: {0}")]
    Ours(String),
}

impl ProbeFailure {
    /// The word for it in metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::BadAnswer(_) => "bad_answer",
            Self::Ours(_) => "ours",
        }
    }
}

/// Probes one backend once; never longer than `settings.timeout`.
pub(super) async fn probe(
    address: SocketAddr,
    settings: &ProbeSettings,
) -> Result<Probed, ProbeFailure> {
    let begun = Now::read();
    let asked = timeout(settings.timeout, ask(address, &settings.kind, begun));
    let (probed, open) = asked.await.unwrap_or(Err(ProbeFailure::Timeout))?;
    if let Some(open) = open {
        let left = settings.timeout.saturating_sub(Now::read().since(begun));
        // The answer is known; a backend that does not say goodbye is no worse for it.
        let _ = timeout(left.min(PROBE_GOODBYE), open.say_goodbye()).await;
    }
    Ok(probed)
}

/// Asks, and answers what was found and the WebSocket that is still open, if it was one.
async fn ask(
    address: SocketAddr,
    kind: &ProbeKind,
    begun: Now,
) -> Result<(Probed, Option<websocket::Open>), ProbeFailure> {
    let stream = tcp::connect(address).await?;
    match kind {
        ProbeKind::Tcp => drop(stream),
        ProbeKind::Http(asked) => http::get(stream, address, asked).await?,
        ProbeKind::WebSocket(asked) => {
            // Chance enters here. Keys and payloads only have to differ; whoever could guess them is the one
            // they are sent to.
            let mut rng = Rng::seeded(begun.as_nanos() ^ u64::from(address.port()));
            let mut open = websocket::Open::greet(stream, address, asked, &mut rng).await?;
            let took = open.ping().await?;
            return Ok((Probed { took }, Some(open)));
        }
    }
    let took = Now::read().since(begun);
    Ok((Probed { took }, None))
}

/// The Host field: what the settings say, or the address.
fn host(configured: Option<&String>, address: SocketAddr) -> String {
    // A scope belongs to this machine (RFC 6874), and is left out.
    let plain = SocketAddr::new(address.ip(), address.port());
    configured.map_or_else(|| plain.to_string(), Clone::clone)
}

/// What a probe calls itself, so that operators find it in the backend's log.
const USER_AGENT: &str = "ringway-probe";

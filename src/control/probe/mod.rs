//! One question to one backend: does it take a connection, answer a GET, answer a ping? Knows no verdict and no past.
//! Where its pool speaks TLS, the question goes over TLS.
//!
//! What a backend answers is hostile input: heads, bodies and frames are read up to a bound, and nothing outlives the
//! future. Dropping it closes the socket, because no task is spawned.

mod http;
mod secure;
mod tcp;
#[cfg(test)]
pub(super) mod tests;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::clock::Now;
use crate::fleet::SourceAddresses;
use crate::health::{ProbeKind, ProbeSettings};
use crate::limits::PROBE_GOODBYE;
use crate::rng::Rng;

pub(super) use secure::Secure;

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
    /// The TLS handshake with it failed, or what came over TLS broke its rules.
    #[error("TLS with it failed: {0}")]
    Tls(String),
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
            Self::Tls(_) => "tls",
            Self::BadAnswer(_) => "bad_answer",
            Self::Ours(_) => "ours",
        }
    }
}

/// How a backend is come to.
#[derive(Clone, PartialEq, Default)]
pub(super) struct Approach {
    /// In the clear without it.
    pub(super) secure: Option<Secure>,
    /// Where its pool dials from.
    pub(super) sources: SourceAddresses,
}

/// Probes one backend once; never longer than `settings.timeout`.
pub(super) async fn probe(
    address: SocketAddr,
    approach: &Approach,
    settings: &ProbeSettings,
) -> Result<Probed, ProbeFailure> {
    let begun = Now::read();
    let asked = ask((address, approach), &settings.kind, begun);
    let asked = timeout(settings.timeout, asked).await;
    let (probed, open) = asked.unwrap_or(Err(ProbeFailure::Timeout))?;
    let left = settings.timeout.saturating_sub(Now::read().since(begun));
    let goodbye = left.min(PROBE_GOODBYE);
    match open {
        None => {}
        // The answer is known; a backend that does not say goodbye is no worse for it.
        Some(Open::WebSocket(open)) => drop(timeout(goodbye, open.say_goodbye()).await),
        Some(Open::Secure(stream)) => {
            if let Ok(late) = timeout(goodbye, secure::hang_up(stream)).await {
                late?;
            }
        }
    }
    Ok(probed)
}

/// What is still open when the answer is known.
enum Open {
    WebSocket(websocket::Open),
    /// Nothing was asked but for TLS.
    Secure(Stream),
}

/// A connection to a backend, in the clear or over TLS.
type Stream = Box<dyn Link>;

trait Link: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Link for T {}

/// Asks, and answers what was found and what is still open.
async fn ask(
    (address, approach): (SocketAddr, &Approach),
    kind: &ProbeKind,
    begun: Now,
) -> Result<(Probed, Option<Open>), ProbeFailure> {
    // From another one each time, so that each is tried out in turn.
    let chance = Rng::seeded(begun.as_nanos()).next_u64();
    let stream = tcp::connect(address, (approach.sources.to(address), chance)).await?;
    let secure = approach.secure.as_ref();
    let stream: Stream = match secure {
        None => Box::new(stream),
        Some(secure) => Box::new(secure.shake(stream).await?),
    };
    let mut still_open = None;
    match kind {
        ProbeKind::Tcp => still_open = secure.map(|_| Open::Secure(stream)),
        ProbeKind::Http(asked) => http::get(stream, address, asked).await?,
        ProbeKind::WebSocket(asked) => {
            // Chance enters here. Keys and payloads only have to differ; whoever could guess them is the one
            // they are sent to.
            let mut rng = Rng::seeded(begun.as_nanos() ^ u64::from(address.port()));
            let mut open = websocket::Open::greet(stream, address, asked, &mut rng).await?;
            let took = open.ping().await?;
            return Ok((Probed { took }, Some(Open::WebSocket(open))));
        }
    }
    let took = Now::read().since(begun);
    Ok((Probed { took }, still_open))
}

/// The Host field: what the settings say, or the address.
fn host(configured: Option<&String>, address: SocketAddr) -> String {
    // A scope belongs to this machine (RFC 6874), and is left out.
    let plain = SocketAddr::new(address.ip(), address.port());
    configured.map_or_else(|| plain.to_string(), Clone::clone)
}

/// What a probe calls itself, so that operators find it in the backend's log.
const USER_AGENT: &str = "ringway-probe";

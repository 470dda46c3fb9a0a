//! Carries a TLS handshake over a connection, step by step, and leaves the connection speaking in records.

use std::io;
use std::os::fd::AsFd;

use super::stream::Stream;
use super::turns::Turns;
use crate::clock::Now;
use crate::limits;
use crate::metrics::Refusal;
use crate::ring::Caller;
use crate::tls::{Facts, Failure, FailureReason, Handshake, Progress, Version, Wire};

/// Why there is no TLS on a connection.
#[derive(Debug)]
pub enum ShakeError {
    /// The handshake failed. Who is at the other end has been told, if it can be.
    Failed(Failure),
    /// It was not over in time.
    Timeout,
    /// The connection ended first.
    Ended(io::Error),
}

/// Shakes hands. What comes behind the handshake goes to `into`, opened.
pub async fn shake(
    (caller, turns): (&Caller, &Turns),
    stream: &Stream,
    mut handshake: Handshake,
    into: &mut Vec<u8>,
    deadline: Now,
) -> Result<Facts, ShakeError> {
    let (mut came, mut out) = (Vec::new(), Vec::new());
    loop {
        turns.take().await;
        let step = handshake.feed(&came, &mut out);
        came.clear();
        let waits =
            matches!(&step, Ok(Progress::Done(established)) if may_wait(&established.facts, &out));
        if !out.is_empty() && !waits {
            let failed = step.is_err();
            let until = if failed {
                Now::read().after(limits::REFUSAL_TIMEOUT).min(deadline)
            } else {
                deadline
            };
            let sent = caller.send_all(stream.as_fd(), std::mem::take(&mut out), until);
            match sent.await {
                Ok(memory) => out = memory,
                Err(_) if failed => {}
                Err(error) => return Err(broken(error)),
            }
            out.clear();
        }
        match step.map_err(ShakeError::Failed)? {
            Progress::More => {}
            Progress::Done(established) => {
                let wire = Wire::new(established.session, established.tickets).after(out);
                stream
                    .secure(wire, established.leftover, into)
                    .map_err(ShakeError::Failed)?;
                return Ok(established.facts);
            }
        }
        match caller.receive(stream.as_fd(), &mut came, deadline).await {
            Ok(0) => return Err(ShakeError::Ended(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => return Err(broken(error)),
        }
    }
}

/// Whether the end of our handshake may leave with what follows, which saves a send. In TLS 1.3 nobody waits for it: it is
/// a ticket of ours, or what goes before our request.
const fn may_wait(facts: &Facts, out: &[u8]) -> bool {
    matches!(facts.version, Version::Tls13) && out.len() <= limits::LAST_FLIGHT_BYTES_MAX
}

fn broken(error: io::Error) -> ShakeError {
    if error.kind() == io::ErrorKind::TimedOut {
        ShakeError::Timeout
    } else {
        ShakeError::Ended(error)
    }
}

/// Under which refusal a client's failed handshake is counted.
pub const fn refusal_of_handshake(reason: FailureReason) -> Refusal {
    match reason {
        FailureReason::NoSharedVersion => Refusal::TlsNoSharedVersion,
        FailureReason::NoSharedSuite => Refusal::TlsNoSharedSuite,
        FailureReason::UnknownName => Refusal::TlsUnknownName,
        FailureReason::NoSharedProtocol => Refusal::TlsNoSharedProtocol,
        FailureReason::BadClientCertificate => Refusal::TlsBadClientCertificate,
        FailureReason::NoClientCertificate => Refusal::TlsNoClientCertificate,
        FailureReason::PlainHttp => Refusal::PlainHttp,
        FailureReason::NotTls => Refusal::NotTls,
        FailureReason::PeerAlert => Refusal::TlsAlert,
        FailureReason::Protocol
        | FailureReason::TooLong
        | FailureReason::BadBackendCertificate
        | FailureReason::WrongPin => Refusal::TlsProtocol,
        FailureReason::SecretsDisagree | FailureReason::Internal => Refusal::TlsInternal,
    }
}

//! Greets a client over TLS where its listener speaks it; what follows is greeted as if it came in the clear.

use std::io;

use super::greet::{Greeter, Stop};
use super::jobs::Job;
use crate::fleet::TlsDoor;
use crate::limits;
use crate::metrics::Refusal;
use crate::tls::{Facts, Failure, FailureReason, Handshake};
use crate::upstream::{ShakeError, refusal_of_handshake, shake};

/// Shakes hands. What the client sent behind that is in the greeter's head then.
pub(super) async fn secure(
    greeter: &mut Greeter,
    job: &Job,
    door: &TlsDoor,
) -> Result<Facts, Stop> {
    let counters = &greeter.floor.counters;
    if counters.tls_handshakes_open.get() >= limits::TLS_HANDSHAKES_AT_ONCE {
        return Err(Stop::Mute(Refusal::TlsHandshakesFull, String::new()));
    }
    let local = greeter.floor.listeners[job.listener as usize].ip();
    let handshake = Handshake::accept(&door.acceptor)
        .map_err(|failure| Stop::Mute(Refusal::TlsInternal, failure.to_string()))?
        .at(local);
    counters.tls_handshakes_open.inc();
    let deadline = job.accepted.after(door.handshake_timeout);
    let way = (&greeter.caller, &greeter.floor.turns);
    let shaken = shake(way, &job.stream, handshake, &mut greeter.head, deadline).await;
    counters.tls_handshakes_open.dec();
    match &shaken {
        Ok(facts) if facts.resumed => counters.tls_resumed.add(1),
        Ok(_) => counters.tls_full.add(1),
        Err(_) => {}
    }
    shaken.map_err(|error| match error {
        // Nothing has been answered yet, so this client can be told in its own words.
        ShakeError::Failed(failure) if failure.reason == FailureReason::PlainHttp => {
            Refusal::PlainHttp.into()
        }
        ShakeError::Failed(failure) => {
            Stop::Mute(refusal_of_handshake(failure.reason), failure.to_string())
        }
        ShakeError::Timeout => Stop::Mute(Refusal::TlsTimeout, String::new()),
        ShakeError::Ended(_) => {
            counters.abandoned.add(1);
            Stop::Over
        }
    })
}

/// What comes of a client whose records broke the rules, or who gave up by an alert, before it had its answer. Nothing
/// if the error is another one.
pub(super) fn broke_off(error: &io::Error) -> Option<Stop> {
    let failure = error.get_ref()?.downcast_ref::<Failure>()?;
    let refusal = refusal_of_handshake(failure.reason);
    Some(Stop::Mute(refusal, failure.to_string()))
}

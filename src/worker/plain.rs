//! Relays one ordinary response whole: its head as rendered, its body byte for byte to its exact end.

use std::io;

use super::greet::{Greeter, HSTS, Stop};
use super::jobs::Job;
use crate::clock::Now;
use crate::http::{BodyReader, add_field, render_response, response_framing};
use crate::limits;
use crate::metrics::{BackendFailure, Refusal};
use crate::upstream::{Answer, Dialled};

/// What is known of the response before its head is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain<'a> {
    /// It answers a HEAD.
    pub(super) head_only: bool,
    /// What `Strict-Transport-Security` says, if anything.
    pub(super) hsts: Option<&'a str>,
    /// What the client is to come back with.
    pub(super) set_cookie: Option<&'a str>,
}

impl Plain<'_> {
    /// Adds what is ours to a head that goes to the client.
    pub(super) fn add_to(&self, head: &mut Vec<u8>) {
        if let Some(cookie) = self.set_cookie {
            add_field("Set-Cookie", cookie, head);
        }
        if let Some(hsts) = self.hsts {
            add_field(HSTS, hsts, head);
        }
    }
}

/// Relays the answer whose head was read. Both connections end after it (security rule 10).
pub(super) async fn relay(
    greeter: &mut Greeter,
    job: &Job,
    (dialled, answer): (&Dialled<'_>, Answer),
    response: Plain<'_>,
) -> Result<(), Stop> {
    let head = greeter.answer_head(answer)?;
    if head.status() == 101 {
        // It switched protocols without being asked: there is no response in it.
        dialled.failed(BackendFailure::BadAnswer);
        return Err(Refusal::BadBackendAnswer.into());
    }
    let framing = response_framing(&head, response.head_only).map_err(|_| {
        dialled.failed(BackendFailure::BadAnswer);
        Refusal::BadBackendAnswer
    })?;
    dialled.succeeded();
    let mut out = Vec::with_capacity(1024);
    render_response(&head, None, &mut out);
    response.add_to(&mut out);
    greeter.floor.counters.plain_responses.add(1);
    greeter.floor.answered(job.accepted);
    let mut body = BodyReader::new(framing);
    let mut rest = greeter.answer.split_off(answer.end);
    loop {
        let Ok(progress) = body.feed(&rest) else {
            let failure = BackendFailure::BadAnswer;
            return Err(cut_off(job, dialled, failure));
        };
        out.extend_from_slice(&rest[..progress.consumed]);
        let deadline = Now::read().after(limits::PLAIN_BODY_TIMEOUT);
        let sent = job
            .stream
            .send_all(&greeter.caller, std::mem::take(&mut out), deadline)
            .await;
        out = sent.map_err(|_| {
            // A client too slow for its body must not take the part it reads later for the whole.
            crate::sys::reset_on_close(&job.stream);
            Stop::Over
        })?;
        out.clear();
        if progress.done {
            return Ok(());
        }
        rest.clear();
        match dialled
            .stream()
            .receive(&greeter.caller, &mut rest, deadline)
            .await
        {
            Ok(0) if body.end_of_stream().is_ok() => return Ok(()),
            Ok(bytes) if bytes > 0 => {}
            Ok(_) => return Err(cut_off(job, dialled, BackendFailure::Closed)),
            Err(error) => {
                debug_assert_ne!(
                    error.kind(),
                    io::ErrorKind::InvalidInput,
                    "a request of our own"
                );
                return Err(cut_off(job, dialled, BackendFailure::Closed));
            }
        }
    }
}

/// The body broke off: the client must not take it for whole, so its connection is reset.
fn cut_off(job: &Job, dialled: &Dialled<'_>, failure: BackendFailure) -> Stop {
    dialled.failed(failure);
    crate::sys::reset_on_close(&job.stream);
    Stop::Over
}

//! Asks a backend, and verifies what it answers.

use super::greet::{Greeter, Proven, Request, Stop, Told};
use super::plain::Plain;
use super::wish::Wish;
use crate::clock::Now;
use crate::http::{ResponseHead, render_response, verify_101};
use crate::limits;
use crate::metrics::{BackendFailure, Refusal};
use crate::sys;
use crate::upstream::{Answer, AnswerError, Dialled, read_answer};

impl Greeter {
    /// Sends the request to the backend and reads the head of its answer, for as long as the client waits
    /// for it. Most answers come at once; only a client that has to wait is watched, as that costs two more
    /// requests of the ring.
    pub(super) async fn ask(
        &mut self,
        dialled: &Dialled<'_>,
        request: &Request<'_>,
        deadline: Now,
    ) -> Result<Result<Answer, AnswerError>, Stop> {
        let head = request.rendered();
        let (caller, bytes) = (&self.caller, &mut self.answer);
        bytes.clear();
        let backend = dialled.stream();
        // A backend may answer and close before it has read everything: its answer counts, not the send.
        let _ = backend.send_all(caller, head, deadline).await;
        let soon = Now::read().after(limits::CLIENT_WATCHED_AFTER);
        let answer = read_answer(caller, backend, bytes, soon.min(deadline)).await;
        if soon >= deadline || !matches!(answer, Err(AnswerError::Timeout)) {
            return Ok(answer);
        }
        let work = read_answer(caller, backend, bytes, deadline);
        let call_off = || sys::end_both(backend);
        let handle = caller.handle();
        let answer = handle.unless_left(request.client, work, call_off).await;
        answer.ok_or_else(|| {
            self.floor.counters.abandoned.add(1);
            Stop::Over
        })
    }

    /// Verifies a 101 (security rule 1), and renders it for the client. Nothing if the answer is an
    /// ordinary response, or no upgrade was asked for.
    pub(super) fn confirm(
        &self,
        (dialled, answer): (&Dialled<'_>, Answer),
        wish: &Wish,
        (page, told): (Plain<'_>, &Told),
    ) -> Result<Option<Proven>, Stop> {
        let Wish::Upgrade(expected) = wish else {
            return Ok(None);
        };
        if !answer.switches {
            return match told {
                Told::Nothing => Ok(None),
                // It answered as it may; the client cannot be given that answer any more.
                Told::Switched(_) => {
                    dialled.succeeded();
                    let words = "the backend refused the handshake";
                    Err(Stop::Refuse(Refusal::BadBackendAnswer, words.into()))
                }
            };
        }
        let bad = |detail: String| {
            dialled.failed(BackendFailure::BadAnswer);
            Stop::Refuse(Refusal::BadBackendAnswer, detail.into())
        };
        let head = ResponseHead::parse(&self.answer[answer.start..answer.end])
            .map_err(|error| bad(AnswerError::from(error).to_string()))?;
        let confirmed = verify_101(&head, expected).map_err(|error| bad(error.to_string()))?;
        if let Told::Switched(subprotocol) = told {
            let chosen = head.header("sec-websocket-protocol");
            dialled.succeeded();
            if chosen != subprotocol.as_ref().map(String::as_bytes) {
                let words = "the backend chose another subprotocol";
                return Err(Stop::Refuse(Refusal::BadBackendAnswer, words.into()));
            }
            return Ok(Some((confirmed, Vec::new())));
        }
        dialled.succeeded();
        let mut rendered = Vec::with_capacity(512);
        render_response(&head, Some(&confirmed), &mut rendered);
        page.add_to(&mut rendered);
        Ok(Some((confirmed, rendered)))
    }

    /// The head of the answer, which was parsed once when it was read.
    pub(super) fn answer_head(&self, answer: Answer) -> Result<ResponseHead<'_>, Stop> {
        ResponseHead::parse(&self.answer[answer.start..answer.end])
            .map_err(|_| Refusal::BadBackendAnswer.into())
    }
}

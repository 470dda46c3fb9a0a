//! Greets a client whose first message decides where it goes: it gets its 101 from us, and says where it belongs.
//!
//! ```text
//! head ─▶ our 101 ─▶ first message (bounded, by a deadline) ─▶ JSON pointer ─▶ key or pool ─▶ as any other greeting
//! ```
//!
//! The backend then gets the handshake and every byte as the client sent them. Whatever goes wrong from the 101 on is
//! told in a Close frame.

use std::borrow::Cow;
use std::cell::Cell;
use std::io;
use std::rc::Rc;

use super::greet::{Call, Decided, Greeter, Stop, Told};
use super::secure::broke_off;
use crate::clock::Now;
use crate::fleet::{Decides, FirstMessage, PoolId, key_hash};
use crate::http::{Expected, meaning, render_own_101};
use crate::limits;
use crate::metrics::Refusal;
use crate::ws::{CloseFrame, FrameLimits, Heard, Prelude, close, close_frame};

/// A pool, and the key that decides within it.
type Chosen = (PoolId, Option<u64>);

/// Answers the client, and waits for the message that decides.
pub(super) async fn hold(
    greeter: &mut Greeter,
    call: &Call<'_>,
    (expected, first): (&Expected, &FirstMessage),
    early: &[u8],
) -> Result<Decided<'static>, Stop> {
    let floor = Rc::clone(&greeter.floor);
    let mut answer = Vec::with_capacity(256);
    let subprotocol = expected.offered(first.subprotocol.as_deref());
    render_own_101(expected, subprotocol, &mut answer);
    let deadline = Now::read().after(first.timeout);
    let stream = &call.job.stream;
    let sent = stream.send_all(&greeter.caller, answer, deadline).await;
    sent.map_err(|_| left(greeter))?;
    let rules = call.route.frames.as_deref();
    let limits = rules.map_or(FrameLimits::default(), |rules| rules.client.limits);
    let mut prelude = Prelude::new(limits, first.bytes_max);
    let mut held = early.to_vec();
    let mut room = Room::in_hall(&floor.first_bytes);
    let mut heard = prelude.feed(early, &mut greeter.floor.scratch.borrow_mut());
    while heard == Heard::Wait {
        let from = held.len();
        room.charge(prelude.held() + held.capacity())?;
        if from > held_max(call) {
            let words = "more than the first message came before it was whole";
            return Err(Stop::Refuse(Refusal::FirstMessageRefused, words.into()));
        }
        listen(greeter, call, &mut held, deadline).await?;
        heard = prelude.feed(&held[from..], &mut greeter.floor.scratch.borrow_mut());
    }
    decide(greeter, call, first, (heard, &mut prelude)).map(|(pool, key)| Decided {
        pool,
        key,
        early: Cow::Owned(held),
        told: Told::Switched(subprotocol.map(str::to_owned)),
    })
}

/// Receives what comes next. A drain ends the wait within a moment.
async fn listen(
    greeter: &Greeter,
    call: &Call<'_>,
    held: &mut Vec<u8>,
    deadline: Now,
) -> Result<(), Stop> {
    loop {
        let now = Now::read();
        if greeter.floor.draining.get() {
            return Err(Refusal::Draining.into());
        }
        if now >= deadline {
            return Err(Refusal::FirstMessageTimeout.into());
        }
        let look = now.after(limits::FIRST_MESSAGE_LOOK).min(deadline);
        let stream = &call.job.stream;
        match stream.receive(&greeter.caller, held, look).await {
            Ok(0) => return Err(left(greeter)),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => return Err(broke_off(&error).unwrap_or_else(|| left(greeter))),
        }
    }
}

/// What one client takes of what first messages may take together; given back when it is dropped.
struct Room<'a> {
    all: &'a Cell<usize>,
    own: usize,
}

impl<'a> Room<'a> {
    const fn in_hall(all: &'a Cell<usize>) -> Self {
        Self { all, own: 0 }
    }

    /// Takes so much from now on, if it is there.
    fn charge(&mut self, bytes: usize) -> Result<(), Stop> {
        let others = self.all.get() - self.own;
        if others + bytes > limits::FIRST_MESSAGES_BYTES_MAX {
            return Err(Refusal::WorkerFull.into());
        }
        self.all.set(others + bytes);
        self.own = bytes;
        Ok(())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.all.set(self.all.get() - self.own);
    }
}

/// What may be held for one client: its message, the headers of its fragments, and some Pings between them.
fn held_max(call: &Call<'_>) -> usize {
    let first = call.route.first_message.as_ref();
    let message = first.map_or(0, |first| first.bytes_max as usize);
    message + limits::HELD_HEADERS_BYTES_MAX as usize
}

fn left(greeter: &Greeter) -> Stop {
    greeter.floor.counters.abandoned.add(1);
    Stop::Over
}

/// The pool and key that the message decides.
fn decide(
    greeter: &Greeter,
    call: &Call<'_>,
    first: &FirstMessage,
    (heard, prelude): (Heard, &mut Prelude),
) -> Result<Chosen, Stop> {
    let unusable: Cow<'static, str> = match heard {
        Heard::Text => {
            let mut reader = greeter.floor.json.borrow_mut();
            match reader.read(prelude.message(), &first.pointer) {
                Ok(value) => match chosen(call.route.pool, first, value) {
                    Some(chosen) => return Ok(chosen),
                    None => "the first message names no known pool".into(),
                },
                Err(none) => none.to_string().into(),
            }
        }
        Heard::Broken(rule) => {
            greeter.floor.counters.violated(rule.index());
            let close = close_frame(rule.close_code(), rule.reason(), None);
            return Err(Stop::Close(
                Some(Refusal::FirstMessageRefused),
                Box::new(close),
            ));
        }
        Heard::Close(code) => {
            greeter.floor.counters.abandoned.add(1);
            return Err(Stop::Close(None, Box::new(close_frame(code, "", None))));
        }
        Heard::Binary | Heard::Wait => "the first message is not a text".into(),
    };
    if first.may_be_missing {
        return Ok((call.route.pool, None));
    }
    Err(Stop::Refuse(Refusal::FirstMessageRefused, unusable))
}

/// Where a value leads, with `own` as the route's own pool. Nothing if it names no pool.
fn chosen(own: PoolId, first: &FirstMessage, value: &str) -> Option<Chosen> {
    match &first.decides {
        Decides::Backend => Some((own, Some(key_hash(value.as_bytes())))),
        Decides::Pool(pools) => {
            let found = pools.iter().find(|(name, _)| **name == *value);
            found.map(|(_, pool)| (*pool, None))
        }
    }
}

/// The code and reason of the Close frame that says what a refusal says, to a client which has its 101 already.
pub(super) fn close_of(refusal: Refusal, detail: &str) -> CloseFrame {
    let code = match refusal {
        Refusal::FirstMessageTimeout | Refusal::FirstMessageRefused => close::POLICY,
        Refusal::BadBackendAnswer | Refusal::BackendClosed => close::INTERNAL_ERROR,
        Refusal::Draining => close::GOING_AWAY,
        _ => close::TRY_AGAIN_LATER,
    };
    let reason = if detail.is_empty() {
        meaning(refusal)
    } else {
        detail
    };
    close_frame(code, reason, None)
}

//! Has handshakes take turns: a step of one costs what ten messages cost, so between two turns of the ring only so many
//! are taken, and the tunnels wait no longer than for those.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use crate::limits;

/// The steps that one worker's handshakes take. As many may wait as there are handshakes.
#[derive(Debug, Default)]
pub struct Turns {
    /// Steps since the ring had its turn.
    taken: Cell<u32>,
    waiting: RefCell<VecDeque<Waker>>,
}

impl Turns {
    /// Waits until one more step may be taken.
    pub async fn take(&self) {
        poll_fn(|context| {
            if self.taken.get() < limits::HANDSHAKE_STEPS_A_TURN {
                self.taken.set(self.taken.get() + 1);
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push_back(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The ring had its turn. Calls those who may go on; says whether anybody had been waiting, so that the ring does
    /// not sleep before they have.
    pub fn renew(&self) -> bool {
        self.taken.set(0);
        let mut waiting = self.waiting.borrow_mut();
        let had = !waiting.is_empty();
        for _ in 0..limits::HANDSHAKE_STEPS_A_TURN {
            waiting.pop_front().into_iter().for_each(Waker::wake);
        }
        had
    }

    /// Whether anybody waits for a later turn.
    pub fn anybody_waits(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    #[test]
    fn between_two_turns_of_the_ring_only_so_many_steps_are_taken() {
        let turns = Turns::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut ready = 0;
        let mut late = Vec::new();
        for _ in 0..5 {
            let mut step = Box::pin(turns.take());
            match step.as_mut().poll(&mut context) {
                Poll::Ready(()) => ready += 1,
                Poll::Pending => late.push(step),
            }
        }
        assert_eq!(ready, limits::HANDSHAKE_STEPS_A_TURN);
        while let Some(mut next) = (!late.is_empty()).then(|| late.remove(0)) {
            assert!(turns.anybody_waits());
            assert!(turns.renew(), "the ring must not sleep now");
            assert!(next.as_mut().poll(&mut context).is_ready());
        }
        assert!(!turns.renew(), "nobody waits any more");
        let mut step = pin!(turns.take());
        assert!(step.as_mut().poll(&mut context).is_ready());
    }
}

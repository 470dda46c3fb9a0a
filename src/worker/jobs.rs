//! The line between accepting and greeting: connections wait here for one of the long-lived greeters.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::clock::Now;
use crate::limits;
use crate::metrics::Refusal;
use crate::upstream::Stream;

/// A connection that was accepted and waits for its greeting.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) stream: Stream,
    pub(super) peer: SocketAddr,
    /// The number of the listener it came to.
    pub(super) listener: u32,
    pub(super) accepted: Now,
    /// It is only to be told why it is not welcome.
    pub(super) refused: Option<Refusal>,
}

/// Connections that wait, and greeters that wait for one.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    line: RefCell<VecDeque<Job>>,
    idle: RefCell<Idle>,
}

/// Greeters that wait. Each stands here once at the most, so that calling one always reaches somebody.
#[derive(Debug, Default)]
struct Idle {
    waiting: Vec<(u64, Waker)>,
    tickets: u64,
}

impl Jobs {
    /// Puts a connection in line. Says whether a greeter was waiting for it; if not, one more is needed.
    pub(super) fn push(&self, job: Job) -> bool {
        self.line.borrow_mut().push_back(job);
        let called = self.idle.borrow_mut().waiting.pop();
        called.map(|(_, waker)| waker.wake()).is_some()
    }

    /// Takes the next connection, waiting for it. Nothing if enough greeters wait already: then this one
    /// may go home, and what it needed with it.
    pub(super) fn next(&self) -> Next<'_> {
        Next {
            jobs: self,
            ticket: None,
        }
    }

    /// Takes everything that waits.
    pub(super) fn take_all(&self) -> VecDeque<Job> {
        std::mem::take(&mut self.line.borrow_mut())
    }
}

/// A greeter's wait for its next connection.
pub(super) struct Next<'a> {
    jobs: &'a Jobs,
    /// Under which it stands among the idle ones, or stood until it was called.
    ticket: Option<u64>,
}

impl Next<'_> {
    /// Takes this greeter from among the idle ones, if it was not called from there.
    fn stand_down(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.jobs
                .idle
                .borrow_mut()
                .waiting
                .retain(|(other, _)| *other != ticket);
        }
    }
}

impl Future for Next<'_> {
    type Output = Option<Job>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Job>> {
        // A task may be polled without having been called: whatever it was, it stands here only once.
        self.stand_down();
        if let Some(job) = self.jobs.line.borrow_mut().pop_front() {
            return Poll::Ready(Some(job));
        }
        let jobs = self.jobs;
        let mut idle = jobs.idle.borrow_mut();
        if idle.waiting.len() >= limits::GREETERS_IDLE_MAX {
            return Poll::Ready(None);
        }
        idle.tickets += 1;
        let ticket = idle.tickets;
        idle.waiting.push((ticket, context.waker().clone()));
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl Drop for Next<'_> {
    fn drop(&mut self) {
        self.stand_down();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Calls(AtomicU32);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn job() -> Job {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        Job {
            stream: Stream::new(socket.into()),
            peer: "192.0.2.1:5".parse().unwrap(),
            listener: 0,
            accepted: Now::from_nanos(0),
            refused: None,
        }
    }

    #[test]
    fn a_greeter_that_is_polled_uncalled_still_stands_in_line_once() {
        let (jobs, calls) = (Jobs::default(), Arc::new(Calls::default()));
        let waker = Waker::from(Arc::clone(&calls));
        let mut context = Context::from_waker(&waker);
        let mut waiting = Box::pin(jobs.next());
        for _ in 0..200 {
            assert!(waiting.as_mut().poll(&mut context).is_pending());
        }
        assert!(jobs.push(job()), "the one that waits is called");
        assert_eq!(calls.0.load(Ordering::Relaxed), 1);
        assert!(matches!(
            waiting.as_mut().poll(&mut context),
            Poll::Ready(Some(_))
        ));
        assert!(
            !jobs.push(job()),
            "nobody waits any more: a greeter is needed"
        );
    }

    #[test]
    fn a_greeter_that_went_away_is_not_called() {
        let jobs = Jobs::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = Box::pin(jobs.next());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(waiting);
        assert!(!jobs.push(job()));
    }

    #[test]
    fn when_enough_wait_the_next_one_goes_home() {
        let jobs = Jobs::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut many: Vec<_> = (0..limits::GREETERS_IDLE_MAX)
            .map(|_| Box::pin(jobs.next()))
            .collect();
        for waiting in &mut many {
            assert!(waiting.as_mut().poll(&mut context).is_pending());
        }
        let mut one_more = Box::pin(jobs.next());
        assert!(matches!(
            one_more.as_mut().poll(&mut context),
            Poll::Ready(None)
        ));
    }
}

//! The line between accepting and greeting: connections wait here for one of the long-lived greeters.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::task::{Poll, Waker};

use crate::clock::Now;
use crate::limits;
use crate::metrics::Refusal;

/// A connection that was accepted and waits for its greeting.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) socket: OwnedFd,
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
    idle: RefCell<Vec<Waker>>,
}

impl Jobs {
    /// Puts a connection in line. Says whether a greeter was waiting for it; if not, one more is needed.
    pub(super) fn push(&self, job: Job) -> bool {
        self.line.borrow_mut().push_back(job);
        match self.idle.borrow_mut().pop() {
            Some(waker) => {
                waker.wake();
                true
            }
            None => false,
        }
    }

    /// Takes the next connection, waiting for it. Nothing if enough greeters wait already: then this one
    /// may go home, and what it needed with it.
    pub(super) async fn next(&self) -> Option<Job> {
        poll_fn(|context| {
            if let Some(job) = self.line.borrow_mut().pop_front() {
                return Poll::Ready(Some(job));
            }
            let mut idle = self.idle.borrow_mut();
            if idle.len() >= limits::GREETERS_IDLE_MAX {
                return Poll::Ready(None);
            }
            idle.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Takes everything that waits.
    pub(super) fn take_all(&self) -> VecDeque<Job> {
        std::mem::take(&mut self.line.borrow_mut())
    }
}
